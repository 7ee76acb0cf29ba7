"""A card's knowledge files at hand: their passages with vectors, and those that a message is near to.

Vectors are made once for each file and embedder, in the background: until then the rest is found. Takes texts from
`core/store/knowledge.py` or its like; decides nothing about what is known.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec
import numpy as np

from core.errors import StoreError
from core.store.knowledge import File
from worker.embed import Vectors
from worker.nearness import Heard, Nearness

log = logging.getLogger("limen.worker")

CITED = 2  # passages that reach a prompt: more is more than a small model holds apart
NEAR = 0.4  # from here on a passage is about the message
BATCH = 32


class Passage(msgspec.Struct, frozen=True):
    """A passage of a knowledge file: `number` from 1, `near` from 0 to 1."""

    file: str
    number: int
    text: str
    near: float = 0.0

    @property
    def name(self) -> str:
        """As the ledger keeps it."""
        return f"{self.file}#{self.number}"


class Texts(Protocol):
    """Where texts and their vectors come from, and vectors go to: `core/store/knowledge.py` says what these do."""

    async def version(self, card: str) -> int: ...

    async def files(self, card: str) -> list[File]: ...

    async def vectors(self, card: str, embedder: str) -> dict[str, bytes]: ...

    async def keep(self, card: str, embedder: str, made: Mapping[str, bytes], gone: Sequence[str]) -> None: ...


class _Held:
    """What is held of one card."""

    def __init__(self) -> None:
        self.version = -1
        self.files: list[File] = []
        self.rows: dict[str, Vectors] = {}


class Shelf:
    """Of one worker. Raises StoreError."""

    def __init__(self, knowledge: Texts) -> None:
        self._knowledge = knowledge
        self._held: dict[str, _Held] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def find(self, card: str, heard: Heard, nearness: Nearness) -> tuple[Passage, ...]:
        """The passages that a message is about, the nearest first."""
        held = await self._fresh(card, nearness)
        shelf = [(file, rows) for file in held.files if (rows := held.rows.get(file.hash)) is not None and len(rows)]
        return await asyncio.to_thread(_nearest, shelf, heard, nearness) if shelf else ()

    async def ready(self, card: str) -> None:
        """Until every file of a card has its vectors."""
        if task := self._tasks.get(card):
            await asyncio.shield(task)

    async def _fresh(self, card: str, nearness: Nearness) -> _Held:
        held = self._held.setdefault(card, _Held())
        version = await self._knowledge.version(card)
        if version != held.version:
            held.files = await self._knowledge.files(card)
            stored = await self._knowledge.vectors(card, nearness.id) if held.files else {}
            held.rows = {
                name: np.frombuffer(body, np.float32).reshape(-1, nearness.width) for name, body in stored.items()
            }
            held.version = version
        if any(file.hash not in held.rows for file in held.files) and card not in self._tasks:
            self._tasks[card] = asyncio.create_task(self._make(card, held, nearness))
        return held

    async def _make(self, card: str, held: _Held, nearness: Nearness) -> None:
        """Vectors for the files that have none, in small batches: the embedder is also wanted by those who talk."""
        try:
            for file in [file for file in held.files if file.hash not in held.rows]:
                parts = [
                    await asyncio.to_thread(nearness.embed, file.passages[at : at + BATCH])
                    for at in range(0, len(file.passages), BATCH)
                ]
                held.rows[file.hash] = np.concatenate(parts) if parts else np.zeros((0, nearness.width), np.float32)
                body = np.ascontiguousarray(held.rows[file.hash], np.float32).tobytes()
                gone = [name for name in held.rows if name not in {file.hash for file in held.files}]
                await self._knowledge.keep(card, nearness.id, {file.hash: body}, gone)
        except StoreError as error:  # with the next message it is tried again
            log.warning("the knowledge of %s: %s", card, error)
        finally:
            del self._tasks[card]


def _nearest(shelf: Sequence[tuple[File, Vectors]], heard: Heard, nearness: Nearness) -> tuple[Passage, ...]:
    """Blocks."""
    found = []
    for file, rows in shelf:
        near = nearness.lifted((rows @ heard.rows.T).max(axis=1))
        found += [Passage(file.name, at + 1, file.passages[at], float(near[at])) for at in np.argsort(-near)[:CITED]]
    best = sorted(found, key=lambda passage: -passage.near)[:CITED]
    return tuple(passage for passage in best if passage.near >= NEAR)
