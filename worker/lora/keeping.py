"""A night's LoRA → the store, under a name of its own, with everything that must be known to forget somebody later.

First Redis knows whose words are in it, then the ledger is asked whether they still may be: whoever is forgotten
meanwhile is found by the one or by the other.
"""

import asyncio
import logging
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from core.errors import LoraError
from core.events import PersonaKey
from core.nights import Manifest, Outcome
from core.store import keys
from core.store.ledger import Ledger
from core.store.loras import NIGHT, Loras, Made, Serving, fresh, made_by
from worker.lora import manifest as manifests
from worker.lora.folders import FILES
from worker.lora.store import LoraStore

log = logging.getLogger("limen.worker")

BATCH = 200  # replies that are read at once


async def keep_night(
    store: LoraStore, loras: Loras, ledger: Ledger, persona: PersonaKey, day: str, folder: Path, manifest: Manifest
) -> Manifest:
    """Put what a night made into the store: a folder as peft writes it, and where it comes from.

    The manifest as it was kept: `version` is new (made on `day`, `20261127`), and `people` are also those of the
    version that it began with. Raises LoraError, also if somebody was forgotten while it was trained; StoreError.
    """
    taken = {*await asyncio.to_thread(store.versions), *await loras.gone()}
    people = {*manifest.people, *await asyncio.to_thread(_inherited, store, manifest.parent)}
    kept = msgspec.structs.replace(
        manifest, version=fresh(persona, day, taken), persona=str(persona), people=tuple(sorted(people))
    )
    await loras.made(kept.version, Made(str(persona), kept.base_hash, kept.parent), kept.people)
    try:
        await _check_people(loras, ledger, manifest)
        await asyncio.to_thread(_add, store, folder, kept)
    except BaseException:
        await loras.removed(kept.version, kept.people)
        raise
    return kept


async def introduce(
    loras: Loras, persona: PersonaKey, version: str, share: float, over: Serving | None = None
) -> Outcome:  # fmt: skip
    """Let a kept version speak: on trial in a share of the sessions (`night.canary`), or at once if that is 0.

    `over`: what served when it was begun, which is what it was judged against. Raises LoraError if something else does
    by now, if the persona was pinned meanwhile, or somebody asked to be forgotten; StoreError.
    """
    if share:
        await loras.canary(persona, version, share, NIGHT, over)
        return Outcome.TRIAL
    await loras.promote(persona, version, NIGHT, over)
    return Outcome.PROMOTED


async def clear_tainted(store: LoraStore, loras: Loras, persona: PersonaKey) -> list[str]:
    """Delete the files of every version of this persona that somebody was forgotten by. Which they were.

    A night calls it for its persona when it is over, whether it made a new one or not. Raises LoraError, StoreError.
    """
    due = [one.version for one in await loras.rebuild_due() if one.persona == persona]
    for version in due:
        await remove(store, loras, version)
    return due


async def clear_old(store: LoraStore, loras: Loras, days: int) -> list[str]:
    """Delete versions of nights that nobody speaks with, tries, or goes back to, and did not in so many days.

    Which they were. What one of the others began with stays, and so does what was brought in by hand. What cannot be
    deleted now is tried again by the next call. Raises StoreError.
    """
    everyone, origins = await loras.everyone(), await loras.origins()  # in this order: one may move house just now
    tainted = {one.version for one in await loras.rebuild_due()}
    used = {version for one in everyone.values() for version in (one.live, one.canary, *one.before)}
    old = {one for one, about in origins.items() if about.base_hash and made_by(one) < time.time() - days * keys.DAY}
    kept, gone = _with_parents(set(origins) - old | used | tainted, origins), list[str]()
    for version in sorted(old - kept):
        try:
            if await loras.let_go(PersonaKey.parse(origins[version].persona), version, days):
                await remove(store, loras, version)
                gone.append(version)
        except (LoraError, OSError) as error:
            log.warning("%s could not be deleted: %s", version, error)
    return gone


def _with_parents(versions: set[str], origins: Mapping[str, Made]) -> set[str]:
    """These, what they began with, what that began with, and so on."""
    found = set(versions)
    while more := {origins[one].parent for one in found if one in origins} - found - {""}:
        found |= more
    return found


async def remove(store: LoraStore, loras: Loras, version: str) -> None:
    """Delete a version, and what is known of it. Raises LoraError, StoreError."""
    people = await asyncio.to_thread(_people, store, version)
    await asyncio.to_thread(store.remove, version)
    await loras.removed(version, people)


async def _check_people(loras: Loras, ledger: Ledger, manifest: Manifest) -> None:
    """Raises LoraError if one of them is no more in the rows: they asked to be forgotten, and the weights know them."""
    still: set[str] = set()
    for at in range(0, len(manifest.rows), BATCH):
        for entry in await ledger.entries(manifest.rows[at : at + BATCH]):
            raters = {fact.user for fact in entry.facts}
            still |= {*entry.record.people, entry.record.author.id, *raters}
    clean = await loras.clean([manifest.parent]) if manifest.parent else ("",)
    if not {*manifest.people} <= still or not clean:
        step = "nothing was kept; the next night trains without them"
        raise LoraError("somebody whose words or votes are in it was forgotten while it was trained", step)


def _inherited(store: LoraStore, parent: str) -> set[str]:
    """Whose words are in the weights that it began with. Their own manifest has inherited them in the same way."""
    manifest = manifests.read(store.folder(parent)) if parent else None
    return {*manifest.people} if manifest else set()


def _people(store: LoraStore, version: str) -> tuple[str, ...]:
    """Whom a stored version names; nobody, where it cannot be read any more: it goes anyway."""
    try:
        manifest = manifests.read(store.folder(version))
    except LoraError as error:
        log.warning("%s", error)
        return ()
    return manifest.people if manifest else ()


def _add(store: LoraStore, folder: Path, manifest: Manifest) -> None:
    with with_manifest(folder, manifest) as whole:
        store.add(manifest.version, whole)


@contextmanager
def with_manifest(folder: Path, manifest: Manifest) -> Iterator[Path]:
    """A folder with the same files and this manifest. It is gone when the block ends."""
    with tempfile.TemporaryDirectory(prefix="limen-lora-") as place:
        whole = Path(place)
        for name in FILES:
            (whole / name).symlink_to((folder / name).absolute())
        manifests.write(whole, manifest)
        yield whole
