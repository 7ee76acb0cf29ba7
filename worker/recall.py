"""What a persona recalls for what was just said: its memories, held ready in this process, and kept up to date.

Each persona's index is read once and then follows the numbers of `core/store/memories.py`; the least used go when
there are too many. Vectors are made beside the talk, for what has none of this embedder yet. Knows no prompt.
"""

import asyncio
import hashlib
import logging
import struct
import time
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from core.errors import StoreError
from core.events import Line, PersonaKey
from core.memory import Memory, dated, faded, turn_id
from core.prompt import Recalled
from core.recall.finding import Index
from core.recall.question import Hit, Question, Row, Weights, near, spoken_by
from core.recall.terms import terms, words
from core.recall.when import span
from core.settings import Settings
from core.speakers import show_names
from core.store.memories import Change, Memories, State
from worker.embedding import Embedding
from worker.knowing import asks_back

log = logging.getLogger("limen.worker")

AT_ONCE = 16  # texts embedded between two looks at whether somebody talks
LONGEST = 1000  # characters of what was said that are looked at, from its end
PAUSE = 2.0  # seconds between two looks for what was said


class _Held:
    """A persona's index, as of `state`, with vectors of the embedder `maker`."""

    def __init__(self, maker: str, width: int) -> None:
        self.maker, self.width, self.lock = maker, width, asyncio.Lock()
        self.clear()

    def clear(self) -> None:
        """As if nothing had been read."""
        self.index, self.state = Index(self.width), State()
        self.seqs: dict[str, int] = {}


class Recall:
    """`shown`: memories a reply is given at most; `most`: those a persona keeps; `room`: those held ready here, of all
    personas together.

    Every method raises StoreError.
    """

    def __init__(
        self, memories: Memories, embedding: Embedding, zone: str = "UTC", shown: int = 3, most: int = 10_000,
        room: int = 100_000,
    ) -> None:  # fmt: skip
        self.memories, self.embedding = memories, embedding
        self._zone, self._shown, self._most, self._room = ZoneInfo(zone), shown, most, room
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._left: set[PersonaKey] = set()  # whose memories may want vectors

    async def search(
        self, persona: PersonaKey, text: str, count: int, asker: str = "", skip: Collection[str] = (),
        now: float | None = None, weights: Weights | None = None,
    ) -> list[Hit]:  # fmt: skip
        """The memories of this persona that a text touches most, best first."""
        held = await self._current(persona)
        if len(held.index) <= len(skip):
            return []
        now = time.time() if now is None else now
        vectors = await self.embedding.embed([text])
        fits = vectors is not None and self.embedding.id == held.maker  # else it was loaded just now
        question = Question(
            text=text, now=now, vector=vectors[0] if vectors is not None and fits else None, asker=asker,
            span=span(text, now, self._zone), skip=skip,
        )  # fmt: skip
        async with held.lock:
            if held.index.lacks:
                self._left.add(persona)
            return await asyncio.to_thread(held.index.search, question, count, weights)

    async def touched(
        self, persona: PersonaKey, talk: str, visible: Sequence[Line], new: Sequence[Line]
    ) -> tuple[Memory, ...]:  # fmt: skip
        """What new lines remind of, among all that the talk does not show any more; nothing if nothing comes near.

        Where somebody asks for what was told, also what it still shows: a small model finds a line that stands right
        before the question, and hardly one that stands ten lines above (of 64 replies of SmolLM2-135M 31 and 5 had it).

        What we said ourselves only where somebody asks for it: a small model would say it once more. Nor what says just
        what is said now.
        """
        text = "\n".join(line.text for line in new)[-LONGEST:]
        now, (ours, _) = set(terms(text)), spoken_by(words(text))
        if not self._shown or not now:
            return ()
        back = asks_back(text) and not ours
        first = next((at for at, line in enumerate(visible) if line.id == new[0].id), len(visible))
        skip = {turn_id(talk, line.id) for line in (*(visible[first:] if back else visible), *new)}  # nothing later
        hits = await self.search(persona, text, 3 * self._shown, new[-1].author.id, skip, new[-1].time)
        fit = [one.memory for one in hits if near(one) and (ours or not one.memory.ours)]
        if back:
            fit = [one for one in fit if not one.text.rstrip().endswith("?")]  # who asked tells nothing
        owned = (self._owned(persona, one) for one in fit if set(terms(one.text)) != now)
        return tuple(one for one in owned if one)[: self._shown]

    def _owned(self, persona: PersonaKey, memory: Memory) -> Memory | None:
        """What we said, with whom it was said to, for it may tell what they said. None if they are not known any more:
        what somebody took back does not come back in our words."""
        if not memory.ours or not memory.sources:
            return memory
        held = self._held.get(str(persona))
        asked = [held.index.memory(source) if held else None for source in memory.sources]
        people = dict.fromkeys([*memory.people, *(one.author.id for one in asked if one)])
        return msgspec.structs.replace(memory, people=tuple(people)) if all(asked) else None

    def shown(self, memories: Sequence[Memory], now: float, names: Mapping[str, str]) -> tuple[Recalled, ...]:
        """Memories as a prompt tells them. `names`: what it calls people, by id; nobody else is called by a name."""
        return tuple(
            Recalled(dated(one, now, self._zone), "You" if one.ours else names.get(one.author.id, ""), one.text)
            for one in memories
        )

    async def _current(self, persona: PersonaKey) -> _Held:
        """The index of a persona, with all that was said so far in it."""
        state = await self.memories.take_in(persona)
        held = self._hold(str(persona))
        async with held.lock:
            await self._follow(persona, held, state)
        while len(self._held) > 1 and sum(one.index.rows for one in self._held.values()) > self._room:
            self._held.popitem(last=False)
        return held

    def _hold(self, name: str) -> _Held:
        """The one that is held, or a new one; it is the last that goes when there is no room."""
        held = self._held.get(name)
        if held is None or held.index.worn or held.maker != self.embedding.id:
            held = self._held[name] = _Held(self.embedding.id, self.embedding.width)
        self._held.move_to_end(name)
        return held

    async def _follow(self, persona: PersonaKey, held: _Held, state: State) -> None:
        """Bring it up to `state`, which may be older than what it has seen since; it begins anew if the count does."""
        if state.seq < held.state.seq or state.gone < held.state.gone:
            state = await self.memories.state(persona)
            if state.seq < held.state.seq or state.gone < held.state.gone:  # Redis was emptied, or is another one
                held.clear()
        if state == held.state:
            return
        changes = await self.memories.since(persona, held.state.seq)
        if state.gone != held.state.gone:
            for name in held.index.ids() - set(await self.memories.ids(persona)):
                held.index.remove(name)
                held.seqs.pop(name, None)
        await asyncio.to_thread(_take, held, changes)
        held.state = State(max([state.seq, *(change.seq for change in changes)]), state.gone)

    async def tend(self, persona: PersonaKey, at_once: int = AT_ONCE) -> int:
        """Let fade what there is no room for, and make vectors for some that have none. How many still have none."""
        held = await self._current(persona)
        async with held.lock:
            every, bare = held.index.all(), held.index.bare()
        if gone := faded(every, self._most, time.time()):
            await self.memories.drop(persona, gone)
            return len(bare)
        some = bare[:at_once]
        vectors = await self.embedding.embed([memory.text for memory in some]) if some else None
        if vectors is None or self.embedding.id != held.maker:
            return len(bare)
        await self._keep(persona, held, some, list(vectors))
        return len(bare) - len(some)

    async def _keep(self, persona: PersonaKey, held: _Held, some: Sequence[Memory], vectors: Sequence[Row]) -> None:
        rows = {
            (memory.id, held.seqs[memory.id]): pack(vector, held.maker)
            for memory, vector in zip(some, vectors, strict=True)
            if memory.id in held.seqs
        }
        await self.memories.keep_vectors(persona, rows)
        async with held.lock:
            for memory, vector in zip(some, vectors, strict=True):
                if held.index.memory(memory.id) == memory:
                    held.index.set_vector(memory.id, vector)

    async def keep_on(self) -> None:
        """Until cancelled: take in what is said to anybody, and make its vectors, a few at a time."""
        while True:
            try:
                self._left.update(await self.memories.waiting())
                for persona in list(self._left):
                    if not await self.tend(persona):
                        self._left.discard(persona)
            except StoreError as error:
                log.warning("memories wait: %s", error)
                await asyncio.sleep(PAUSE)
            except Exception:  # a fault here must not end a worker that can talk
                log.exception("what was said is not taken in")
                await asyncio.sleep(10 * PAUSE)
            if not self._left or not self.embedding.id:
                await asyncio.sleep(PAUSE)


def recall(memories: Memories, embedding: Embedding, settings: Settings) -> Recall:
    """As the settings want it."""
    wanted = settings.memory
    return Recall(memories, embedding, settings.timezone, wanted.recalled, wanted.kept, wanted.held)


def _take(held: _Held, changes: Sequence[Change]) -> None:
    for change in changes:
        held.index.put(change.memory, unpack(change.vector, held.maker))
        held.seqs[change.id] = change.seq


def _mark(maker: str) -> bytes:
    return hashlib.sha256(maker.encode()).digest()[:8]


def pack(vector: Row, maker: str) -> bytes:
    """A vector of unit length in a byte for each number, behind the mark of its maker."""
    scale = max(float(np.abs(vector).max()), 1e-9)
    numbers: bytes = np.rint(vector / scale * 127).astype(np.int8).tobytes()
    return _mark(maker) + struct.pack("<f", scale) + numbers


def unpack(packed: bytes, maker: str) -> Row | None:
    """The vector again, of unit length; None if another embedder made it, or if it is damaged."""
    if len(packed) < 13 or packed[:8] != _mark(maker):
        return None
    vector = np.frombuffer(packed[12:], np.int8).astype(np.float32) * np.float32(struct.unpack("<f", packed[8:12])[0])
    length = float(np.linalg.norm(vector))
    return vector / np.float32(length) if np.isfinite(length) and length > 0 else None


def met(recalled: Sequence[Memory], talk: Sequence[Line], ours: Sequence[str]) -> dict[str, str]:
    """What to call who talks here and who is remembered, by id: all are told apart, under the names of the talk."""
    here = {line.author.id for line in talk}
    away = {one.author.id: Line(one.id, one.author, "", one.time) for one in recalled if one.author.name}
    return show_names([*talk, *(line for person, line in away.items() if person not in here)], ours)
