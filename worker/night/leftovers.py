"""What a training that was killed left on this machine to go on from: which votes it was about, and when that goes
though nobody goes on.

It holds weights that have learned from people, so whoever is forgotten is to be found in it, too. Knows no torch.
"""

import asyncio
import hashlib
import logging
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import msgspec

from core.events import PersonaKey
from core.store import keys
from core.store.ledger import Ledger
from core.store.loras import common, family
from core.store.nights import Nights
from worker.night.leases import taken

log = logging.getLogger("limen.night")

BEGUN = "begun.json"
LEFT_FOR = 2 * keys.DAY  # less than it is known for that somebody was forgotten (`keys.FORGOT_FOR`)


class Begun(msgspec.Struct, frozen=True):
    """A night that began to learn: when (seconds UTC), and how many of its reactions were new then. What came later is
    the next night's, so that one that is cut off in a lively place has the same rows when it goes on.

    `people`: a digest of all whose words and votes are in them. Whoever is missing from it now may have been forgotten.
    """

    time: float
    fresh: int
    people: str = ""


def digest(people: Iterable[str]) -> str:
    """Which people these are, without saying who."""
    return hashlib.sha256("\n".join(sorted(set(people))).encode()).hexdigest()


def begin(place: Path, begun: Begun) -> None:
    """Note it beside what is kept, which goes if it was of other people. A disk that is full costs a later start, and
    not the night."""
    if (left := _noted(place)) and left == begun:
        return
    shutil.rmtree(place, ignore_errors=True)
    try:
        place.mkdir(parents=True, exist_ok=True)
        (place / BEGUN).write_bytes(msgspec.json.encode(begun))
    except OSError as error:
        log.warning("that a night began could not be noted: %s", error)


def begun(place: Path, fresh: int) -> Begun | None:
    """The night that was cut off here lately, if one was. `fresh`: how many reactions are new now; if they are fewer
    than then, that night was made up for on another machine."""
    left = _noted(place)
    return left if left and left.fresh <= fresh and time.time() - left.time < LEFT_FOR else None


def _noted(place: Path) -> Begun | None:
    with suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode((place / BEGUN).read_bytes(), type=Begun)
    return None


def folder(home: Path, persona: PersonaKey) -> Path:
    """Where a persona's training keeps how far it is."""
    return home / "nights" / family(persona)


async def clear(home: Path, nights: Nights, ledger: Ledger) -> list[Path]:
    """Delete what is left of personas that somebody was forgotten by lately, and whatever is older than `LEFT_FOR`.

    Which it was. A training that is at work keeps its own, which goes with its end. Raises StoreError.
    """
    ages = await asyncio.to_thread(_ages, home / "nights")
    if not ages:
        return []
    personas = {folder(home, key): key for one in await ledger.personas() for key in (one, common(one))}
    forgot = await nights.forgot([personas[place] for place in ages if place in personas])
    due = [place for place, age in ages.items() if age > LEFT_FOR or personas.get(place) in forgot]
    return [place for place in due if await _cleared(place, personas.get(place), nights)]


def _ages(root: Path) -> dict[Path, float]:
    """Seconds since each folder was last written to."""
    found, now = dict[Path, float](), time.time()
    for place in sorted(root.iterdir()) if root.is_dir() else ():
        with suppress(FileNotFoundError, NotADirectoryError):  # its night may end just now
            found[place] = now - max(file.stat().st_mtime for file in (*place.iterdir(), place))
    return found


async def _cleared(place: Path, persona: PersonaKey | None, nights: Nights) -> bool:
    """Is it deleted? Not while somebody goes on from it. Of who is not known any more, nobody does."""
    lease = await taken(nights, str(persona)) if persona else None
    if persona and not lease:
        return False
    try:
        await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)
    finally:
        if lease:
            await lease.end()
    log.info("what a killed training left in %s is deleted", place)
    return True
