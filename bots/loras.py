"""LoRAs as people handle them: the store's files on one side, on the other who serves with which. Imports no torch."""

import re
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec

from bots import up
from bots.assemble import Parts
from core.errors import InputError, LoraError
from core.events import PersonaKey
from core.jobs import BASE
from core.nights import Manifest
from core.privacy import iso
from core.settings import Settings
from core.store.loras import CARD, Fault, Made, Serving, common, family, fresh
from personas import shape

if TYPE_CHECKING:
    from worker.lora.check import About
    from worker.lora.store import LoraStore

FAMILY = re.compile(r".+-[0-9a-f]{8}")  # see core.store.loras.family
NIGHT = timedelta(hours=4)  # a day ends at 04:00
Everyone = Mapping[PersonaKey, Serving]


class Use(msgspec.Struct, frozen=True):
    """Who has a version, and as what: `live`, `canary`, `before` (a rollback may go there) or `history`."""

    persona: PersonaKey
    role: str


class Overview(msgspec.Struct, frozen=True):
    """All LoRAs of a home. `missing`: versions that should serve and are not in the store; `tainted`: those that hold
    what somebody asked to be forgotten; `common`: who speaks with what all scopes of the card have in common, and with
    what."""

    everyone: dict[PersonaKey, Serving]
    unused: tuple[str, ...]
    missing: tuple[str, ...]
    faults: tuple[Fault, ...]
    tainted: tuple[str, ...] = ()
    common: Everyone = {}


def store(settings: Settings) -> "LoraStore":
    """Where the files are. Raises LoraError, MissingExtra."""
    try:
        from worker.lora.store import LoraStore
    except ImportError as error:
        raise up.incomplete(error) from error
    return LoraStore(settings.lora_store, settings.worker.cache / "loras")


def check(settings: Settings, folder: Path, any_base: bool) -> "About":
    """What a LoRA is, if it can serve with these settings. Raises LoraError, ModelError, MissingExtra."""
    try:
        from worker.lora import check as checking

        return checking.check(settings, folder, any_base)
    except ImportError as error:
        raise up.incomplete(error) from error


async def keep(p: Parts, folder: Path, persona: PersonaKey, name: str, any_base: bool) -> str:
    """Copy a LoRA into the store, as a new version of this persona: its name. Raises LoraError, StoreError.

    One for `any_base` says there that it is for ours: workers compare the name.
    """
    from worker.lora.check import base_names, renamed

    kept, today, names = store(p.settings), day(p.settings.timezone), base_names(p.settings)
    gone = await p.loras.gone()
    version = f"{family(persona)}/{today}-{name}" if name else fresh(persona, today, {*kept.versions(), *gone})
    if version in gone:
        raise LoraError(f"{version} was deleted, and a name is given only once", "choose another --name")
    ours = names[0].removeprefix("hf:") if any_base and names else ""
    with renamed(folder, ours) if ours else nullcontext(folder) as files:
        await _note(p, persona, version, files)
        kept.add(version, files)
    return version


async def _note(p: Parts, persona: PersonaKey, version: str, files: Path) -> None:
    """Whose words are in it, where it says so: they may ask to be forgotten. Raises LoraError if they have."""
    from worker.lora.manifest import read

    if (told := read(files)) is None:
        return
    if not all([await p.privacy.basis(person) for person in told.people]):
        said = "somebody whose words or votes are in it has agreed to no training here, or asked to be forgotten"
        raise LoraError(said, "train it again without them")
    await p.loras.made(version, Made(str(persona), told.base_hash, told.parent), told.people)


async def remove(p: Parts, version: str) -> None:
    """Delete a version, and what is known of it. Raises LoraError, StoreError."""
    from worker.lora import keeping

    await keeping.remove(store(p.settings), p.loras, version)


def manifest(settings: Settings, version: str) -> Manifest | None:
    """Where a stored LoRA comes from, if it says so. Raises LoraError, MissingExtra."""
    kept = store(settings)
    from worker.lora.manifest import read

    return read(kept.folder(version))


def about(settings: Settings, version: str) -> "About":
    """What a stored LoRA is. Raises LoraError, MissingExtra."""
    kept = store(settings)
    from worker.lora.check import about as described

    return described(kept.folder(version))


def day(zone: str, now: datetime | None = None) -> str:
    """The operator's day as versions have it in their names: `20261121`."""
    return f"{(now or datetime.now(ZoneInfo(zone))) - NIGHT:%Y%m%d}"


async def overview(p: Parts) -> Overview:
    """Who serves with what, and what is wrong. Raises StoreError, LoraError."""
    everyone, there = await p.loras.everyone(), store(p.settings).versions()
    tainted = tuple(due.version for due in await p.loras.rebuild_due())
    named = {use for serving in everyone.values() for use in roles(serving)}
    serving = await p.loras.wanted()
    return Overview(
        everyone,
        tuple(version for version in there if version not in {*named, *tainted}),
        tuple(sorted(serving - set(there))),
        tuple(await p.loras.faults()),
        tainted,
        speaking(everyone, p.settings.night.pool == "card"),
    )


def speaking(everyone: Everyone, pool: bool) -> dict[PersonaKey, Serving]:
    """Who speaks with the card's common LoRA, having nothing of its own, and with what. Nobody without `pool`."""
    own = {key: serving for key, serving in everyone.items() if pool and key.scope != CARD and serving.untaught}
    found = {key: serving.over(everyone.get(common(key), Serving())) for key, serving in own.items()}
    return {key: serving for key, serving in found.items() if serving.live != BASE}


def roles(serving: Serving) -> dict[str, str]:
    """Every version that a persona has, or had, and as what."""
    past = dict.fromkeys((one.version for one in serving.history), "history")
    before = dict.fromkeys(serving.before, "before")
    now = {serving.live: "live", **({serving.canary: "canary"} if serving.canary else {})}
    return {version: role for version, role in {**past, **before, **now}.items() if version != BASE}


def users(everyone: Everyone, version: str) -> list[Use]:
    """Who has this version."""
    found = ((persona, roles(serving).get(version)) for persona, serving in everyone.items())
    return [Use(persona, role) for persona, role in found if role]


def need(version: str, there: Iterable[str]) -> None:
    """Raises InputError if there is no such version, with what was perhaps meant."""
    known = list(there)
    if version not in known:
        said = f"there is no LoRA called {version!r}{shape.near(version, known)}"
        raise InputError(said, "`limen lora list` shows all there are")


def need_own(persona: PersonaKey, version: str, origin: Made | None = None) -> None:
    """Raises LoraError if a version is another persona's: scopes are walls.

    Its `origin` knows better than its name: a version keeps that when its persona's room gets another id.
    """
    above = version.rpartition("/")[0]
    theirs = origin.persona != str(persona) if origin else above != family(persona)
    if FAMILY.fullmatch(above) and theirs:
        said = f"{version} is another persona's than {persona.card} in {persona.scope}, and scopes are walls"
        raise LoraError(said, "if both are to have it, `limen lora add` its folder for this one too")


def plain(persona: PersonaKey, serving: Serving, common: Serving | None = None) -> dict[str, Any]:
    """A persona and what it serves with, as plain data. `common`: what it speaks with, if that is the card's."""
    return {
        "persona": persona.card,
        "scope": persona.scope,
        "account": persona.account,
        "live": serving.live,
        "speaks_with": (common or serving).live,
        "canary": serving.canary,
        "share": serving.share,
        "trial_began": iso(serving.began) if serving.canary else "",
        "pinned": serving.pinned,
        "before": list(serving.before),
        "history": [
            {"version": one.version, "time": iso(one.time), "why": one.why, "deleted": one.gone}
            for one in serving.history
        ],
    }
