"""Where cards lie and how they are found by name: one's own folder first, then the shipped one. Reads, never writes.

A broken card is listed with its faults and hides nothing but the shipped card of the same name.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import msgspec

from personas import reading
from personas.card import Card, CardFaults
from personas.yamlfile import Fault

SHIPPED = Path(__file__).parent


class NoSuchCard(LookupError):
    """There is no card called `name`; `known` are the names there are."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"no card is called {name!r}")
        self.name, self.known = name, list(known)


class Entry(msgspec.Struct, frozen=True):
    """A card file in the library. A broken one has no card, and says why in `faults`."""

    name: str
    path: Path
    card: Card | None = None
    faults: tuple[Fault, ...] = ()


def folders(home: Path) -> tuple[Path, ...]:
    """Where cards are looked for, first come first served: `home/personas`, then those we ship."""
    return (home / "personas", SHIPPED)


def entries(folders: Sequence[Path]) -> list[Entry]:
    """Every card there is, by name; of the same name, the one in the first folder, and there in the first file."""
    found: dict[str, Entry] = {}
    for folder in folders:
        for path in _files(folder):
            entry = _entry(path)
            found.setdefault(entry.name, entry)
    return [found[name] for name in sorted(found)]


def names(folders: Sequence[Path]) -> list[str]:
    """The names of all cards, broken ones too."""
    return [entry.name for entry in entries(folders)]


def find(name: str, folders: Sequence[Path]) -> Entry:
    """The card of that name, in any case of letters. Raises NoSuchCard."""
    wanted = name.strip().lower()
    there = entries(folders)
    for entry in there:
        if entry.name == wanted:
            return entry
    raise NoSuchCard(name, [entry.name for entry in there])


def load(name: str, folders: Sequence[Path]) -> Card:
    """The card of that name. Raises NoSuchCard, or CardFaults if it is broken."""
    entry = find(name, folders)
    if entry.card is None:
        raise CardFaults(list(entry.faults))
    return entry.card


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix in (".yaml", ".yml"))
    except OSError:  # no folder of one's own is the usual case
        return []


def _entry(path: Path) -> Entry:
    try:
        state = path.stat()
    except OSError as error:
        return Entry(path.stem.lower(), path, faults=(Fault(path.name, 1, "", f"cannot be read: {error.strerror}"),))
    return _parsed(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=1024)
def _parsed(path: Path, mtime_ns: int, size: int) -> Entry:
    """A card changes only with its file: the times and sizes are there to key the cache."""
    try:
        card = reading.read(path)
    except CardFaults as error:
        return Entry(_name_in(path), path, faults=tuple(error.faults))
    return Entry(card.name, path, card)


def _name_in(path: Path) -> str:
    """What a broken card would be called: so that it still stands before the shipped one that it replaces."""
    try:
        text = path.read_bytes()[:4000].decode("utf-8", "replace")
    except OSError:
        text = ""
    line = re.search(r"^name: *([a-z0-9-]+) *$", text, re.MULTILINE)
    return line[1] if line else path.stem.lower()
