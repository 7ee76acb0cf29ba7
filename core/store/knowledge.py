"""The texts that a character may look things up in, in passages: one shelf for each card, wherever it plays.

They are the operator's, put there by a command. Vectors lie beside them, by embedder: those of one that is no longer
used go by themselves. Knows no embedder and no file.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence

import msgspec

from core.store import keys
from core.store.client import Client

LONGEST = 200_000  # characters of a file
MOST = 1_000_000  # of all files of a card
PASSAGE = 480  # characters of a passage, about
UNREAD = 30 * keys.DAY
SHELF = "shelf"  # the field that says how often the shelf has changed

_encode = msgspec.msgpack.Encoder().encode


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A text in passages. `hash` changes with anything in it. `of_card`: its card names it, and it goes with that."""

    name: str
    hash: str
    added: float
    passages: tuple[str, ...]
    of_card: bool = False

    @property
    def characters(self) -> int:
        return sum(map(len, self.passages))


_file = msgspec.msgpack.Decoder(File).decode


class Knowledge:
    """Every method raises StoreError. `card` is a card's name."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def version(self, card: str) -> int:
        """Grows with each change of the shelf; 0 for one that was always empty."""
        return int(await self._client.do("HGET", keys.KNOWLEDGE(card), SHELF) or 0)

    async def files(self, card: str) -> list[File]:
        """All there is, by name."""
        fields = _pairs(await self._client.do("HGETALL", keys.KNOWLEDGE(card)))
        return sorted((_file(body) for name, body in fields if name != SHELF.encode()), key=lambda file: file.name)

    async def add(self, card: str, file: File) -> None:
        """Put a file on the shelf, in the place of one of that name."""
        name = keys.KNOWLEDGE(card)
        await self._client.do_all([("HSET", name, _field(file.name), _encode(file)), ("HINCRBY", name, SHELF, 1)])

    async def remove(self, card: str, name: str) -> bool:
        """Take a file away. False if it is not there."""
        shelf = keys.KNOWLEDGE(card)
        gone, _ = await self._client.do_all([("HDEL", shelf, _field(name)), ("HINCRBY", shelf, SHELF, 1)])
        return bool(gone)

    async def vectors(self, card: str, embedder: str) -> dict[str, bytes]:
        """What an embedder made of files, by their hash."""
        name = keys.PASSAGES(card, embedder)
        body, _ = await self._client.do_all([("HGETALL", name), ("EXPIRE", name, UNREAD)])
        return {field.decode(): value for field, value in _pairs(body)}

    async def keep(self, card: str, embedder: str, made: Mapping[str, bytes], gone: Sequence[str]) -> None:
        """Keep vectors by the hash of their file, and let go of those of files that are no more."""
        name = keys.PASSAGES(card, embedder)
        sets = [("HSET", name, field, body) for field, body in made.items()]
        dels = [("HDEL", name, *gone)] if gone else []
        await self._client.do_all([*sets, *dels, ("EXPIRE", name, UNREAD)])


def _field(name: str) -> str:
    return f"file:{name}"


def _pairs(body: object) -> list[tuple[bytes, bytes]]:
    if isinstance(body, dict):
        return list(body.items())
    assert isinstance(body, list)
    return list(zip(body[::2], body[1::2], strict=True))


def read(name: str, text: str, added: float) -> File:
    """A text as a file of passages."""
    return File(name=name, hash=hashlib.sha256(text.encode()).hexdigest()[:16], added=added, passages=passages(text))


def passages(text: str) -> tuple[str, ...]:
    """A text in pieces of some 480 characters that end where a paragraph or sentence does. A heading of Markdown stands
    before each piece that belongs to it."""
    found: list[tuple[str, list[str]]] = [("", [])]
    for block in re.split(r"\n\s*\n|\n(?=#)", text):
        line, _, rest = block.strip().partition("\n")
        if line.startswith("#"):
            found.append((line.strip("# ").strip(), []))
            block = rest
        found[-1][1].extend(_pieces(" ".join(block.split())))
    return tuple(f"{heading}: {piece}" if heading else piece for heading, pieces in found for piece in _joined(pieces))


def _pieces(block: str) -> list[str]:
    pieces: list[str] = []
    for sentence in re.split(r"(?<=[.!?…。])\s+", block):
        for start in range(0, len(sentence), PASSAGE):
            part = sentence[start : start + PASSAGE]
            if pieces and len(pieces[-1]) + len(part) < PASSAGE:
                pieces[-1] = f"{pieces[-1]} {part}"
            elif part:
                pieces.append(part)
    return pieces


def _joined(pieces: Sequence[str]) -> list[str]:
    """Short ones that follow each other (the lines of a list, say) as one."""
    joined: list[str] = []
    for piece in pieces:
        if joined and len(joined[-1]) + len(piece) < PASSAGE // 2:
            joined[-1] = f"{joined[-1]} {piece}"
        else:
            joined.append(piece)
    return joined
