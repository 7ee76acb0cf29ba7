"""What an emoji means as a reaction to a reply: our own table (`polarity.yaml`), and the operator's over it.

Knows no platform: an emoji comes as its canonical key, the bare Unicode emoji or `platform:id`.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from core.errors import ConfigError
from personas import shape, yamlfile
from personas.yamlfile import Document, Fault, YamlError

Meaning = tuple[float, float]
Table = Mapping[str, Meaning]

_RANGE = "a value from -1 to 1, or [value, confidence] with a confidence from 0 to 1"
_CUSTOM = re.compile(r"[a-z]+:[\w+-]+")
_SERVER = re.compile(r"[a-z]+:\S+")
_DRESS = re.compile("[\ufe0e\ufe0f]|(?<=.)[\U0001f3fb-\U0001f3ff]")


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    # A value is checked by hand: msgspec 0.21 crashes on a bounded number or a tuple of them.
    emoji: Annotated[dict[str, Any], Meta(extra={"allowed": "a mapping of emoji to values"})] = {}
    servers: Annotated[
        dict[str, dict[str, Any]], Meta(extra={"allowed": "a mapping of servers to mappings of emoji to values"})
    ] = {}


class Polarity:
    """An immutable table. `of(emoji, server)` is (value -1 to 1, confidence 0 to 1), or None for one it doesn't know.

    `server` is `platform:workspace`. What is said for a server wins over what is said for all.
    """

    __slots__ = ("_emoji", "_servers")

    def __init__(self, emoji: Table, servers: Mapping[str, Table] | None = None) -> None:
        self._emoji = MappingProxyType(dict(emoji))
        self._servers = {name: MappingProxyType(dict(table)) for name, table in (servers or {}).items()}

    def of(self, emoji: str, server: str = "") -> Meaning | None:
        """What `emoji` means on this server; None: nobody has said."""
        local = self._servers.get(server)
        return (local and local.get(emoji)) or self._emoji.get(emoji)

    def over(self, base: "Polarity") -> "Polarity":
        """This table's entries before those of `base`."""
        servers = {
            name: {**base._servers.get(name, {}), **self._servers.get(name, {})}
            for name in {**base._servers, **self._servers}
        }
        return Polarity({**base._emoji, **self._emoji}, servers)

    def known(self) -> Table:
        """Every emoji that has a meaning everywhere."""
        return self._emoji


@cache
def ours() -> Polarity:
    """The table that we ship."""
    return _read(files("core.votes").joinpath("polarity.yaml").read_text(encoding="utf-8"), "polarity.yaml")


def load(path: str = "") -> Polarity:
    """Our table, and the operator's file over it, if there is one. Raises ConfigError naming every fault in it."""
    return _read(Path(path).expanduser(), path).over(ours()) if path else ours()


def _read(source: Path | str, name: str) -> Polarity:
    try:
        document = yamlfile.read(source, name)
    except YamlError as error:
        raise ConfigError(str(error), "put the file right, or leave night.polarity empty") from error
    found = yamlfile.check(document, _File)
    faults = found if isinstance(found, list) else list(_misfits(found, document))
    if faults or isinstance(found, list):
        raise ConfigError("\n".join(map(str, faults)), "docs/nights.md shows the form of this file")
    return Polarity(_table(found.emoji), {server: _table(table) for server, table in found.servers.items()})


def _misfits(found: _File, document: Document) -> Iterator[Fault]:
    """Values out of range, keys that can never match anything, and two spellings of one emoji."""
    yield from _odd(found.emoji, ("emoji",), document)
    for server, table in found.servers.items():
        if not _SERVER.fullmatch(server):
            yield document.fault(("servers", server), "is not a server; expected platform:workspace, as in discord:77")
        yield from _odd(table, ("servers", server), document)


def _odd(table: Mapping[str, object], where: tuple[str, ...], document: Document) -> Iterator[Fault]:
    spelt: dict[str, str] = {}
    for key, given in table.items():
        if not _is_emoji(key):
            yield document.fault((*where, key), "is not an emoji; write the emoji itself, or platform:id for your own")
        elif (first := spelt.setdefault(_bare(key), key)) != key:
            yield document.fault((*where, key), f"is the same emoji as {first!r}: skin and style make no difference")
        if not _meaning(given):
            yield document.fault((*where, key), f"{_shown(given)} is not allowed; expected {_RANGE}")


def _shown(given: object) -> str:
    return f"[{', '.join(map(shape.shown, given))}]" if isinstance(given, list) else shape.shown(given)


def _meaning(given: object) -> Meaning | None:
    """`given` as value and confidence, if it is that. A value by itself is meant as it stands: full confidence."""
    pair = given if isinstance(given, list) else [given, 1]
    if len(pair) != 2 or not all(isinstance(one, int | float) and not isinstance(one, bool) for one in pair):
        return None
    value, confidence = map(float, pair)
    return (value, confidence) if -1 <= value <= 1 and 0 <= confidence <= 1 else None


def _is_emoji(key: str) -> bool:
    if key.isascii():
        return bool(_CUSTOM.fullmatch(key))
    return not any(letter.isalpha() and letter != "\u2139" for letter in key)  # the i in a square is one


def _bare(key: str) -> str:
    """Without skin tone and variation selectors, as the adapters hand them on."""
    return _DRESS.sub("", key)


def _table(given: Mapping[str, object]) -> dict[str, Meaning]:
    return {_bare(key): meaning for key, one in given.items() if (meaning := _meaning(one))}
