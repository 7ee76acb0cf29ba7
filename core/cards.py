"""Persona cards as the rest of limen asks for them: found and checked by `personas/`, refused in our own errors."""

from collections.abc import Sequence
from pathlib import Path

from core.errors import CardError, UnknownPersona
from personas import library, reading, shape
from personas.card import Card, CardFaults
from personas.library import Entry, NoSuchCard
from personas.yamlfile import Fault


def load(name: str, folders: Sequence[Path]) -> Card:
    """The card of that name, in any case of letters. Raises UnknownPersona or CardError."""
    try:
        return library.load(name, folders)
    except NoSuchCard as error:
        raise UnknownPersona(
            f"there is no persona called {name!r}{shape.near(error.name, error.known)}", _next_step(error)
        ) from error
    except CardFaults as error:
        raise CardError(f"the card of {name!r} is not valid:\n{error}", "put it right, then try again") from error


def read(path: Path) -> Card:
    """The card in this file. Raises CardError."""
    try:
        return reading.read(path)
    except CardFaults as error:
        raise CardError(f"{path} is not a valid card:\n{error}", "put it right, then try again") from error


def check(path: Path) -> list[Fault]:
    """Everything that is wrong with the card in this file, by line; nothing if it is sound."""
    try:
        reading.read(path)
    except CardFaults as error:
        return error.faults
    return []


def available(folders: Sequence[Path]) -> list[Entry]:
    """Every card there is, by name. A broken one is among them, with its faults and no card."""
    return library.entries(folders)


def _next_step(error: NoSuchCard) -> str:
    return f"there is: {', '.join(error.known)}" if error.known else "no folder of cards was found"
