"""Several replies to choose from, and which one it shall be: its people's taste picks (`core/votes/taste.py`), among
those that are true (`worker/truth.py`).

A taste is read from the ledger's votes whenever it is wanted, so that what was taken back, deleted or forgotten is in
it no more; only vectors and the head are kept here, for as long as nothing changes. Nothing of it is stored.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from core import feedback
from core.events import PersonaKey
from core.store.consents import Consents
from core.store.ledger import Entry, Ledger
from core.store.personalities import Entry as Change
from core.votes.polarity import Polarity
from core.votes.taste import MOST, Floats, Head, Looks, counted
from core.votes.unlearned import counting, spans
from worker.generator import Finished, Request
from worker.night.sight import people, seen, shared

Embed = Callable[[Sequence[str]], Awaitable[Floats | None]]
History = Callable[[PersonaKey], Awaitable[Sequence[Change]]]
Truth = Callable[[Sequence[str]], Sequence[int]]  # replies → places of those that may be given

log = logging.getLogger("limen.worker")

WAIT = 1.0  # seconds that a reply waits for what is liked to be learned; that goes on beside, for the next one
AT_ONCE = 16  # replies embedded at a time: others want the embedder, too
PERSONAS = 64  # whose heads are kept: some 600 KB each
STALE = 60.0  # seconds after which consent is asked for again
# Of a card's temperature, where it is asked for what its card says. Of 62 answers of SmolLM2-135M to such questions 35
# were right at 0.7, 48 at 0.42, 38 at 0.21 and 35 at 0.07.
SOBER = 0.6
STEP = 1_000_003  # between the seeds of two candidates


def all_of(replies: Sequence[str]) -> Sequence[int]:
    """Where nothing was asked, all are true."""
    return range(len(replies))


@dataclass
class _Known:
    """A persona's head, made of votes that changed last as `marks` say; `looks` of single replies, by id."""

    marks: dict[str, float] = field(default_factory=dict)
    until: float = 0.0
    looks: dict[str, Looks] = field(default_factory=dict)
    head: Head | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Picked(msgspec.Struct, frozen=True):
    """Which of how many it is, and how well it should be liked: from -1 to 1, or about."""

    at: int = 0
    of: int = 1
    score: float = 0.0


class Tastes:
    """`embed` may give None: then nobody's taste is known. `count`: replies to choose from, where a card says nothing.

    `most`: no more than so many, whatever a card says. `half_life` of a vote in seconds. `history` of a personality
    tells which votes are not learned from (`core/votes/unlearned.py`).
    """

    def __init__(
        self, ledger: Ledger, consents: Consents, embed: Embed, polarity: Polarity, count: int = 1, most: int = 8,
        half_life: float = float("inf"), history: History | None = None, clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._ledger, self._consents, self._embed, self._polarity = ledger, consents, embed, polarity
        self._count, self._most, self._half_life, self._clock = count, most, half_life, clock
        self.history = history
        self._known: OrderedDict[PersonaKey, _Known] = OrderedDict()
        self._learning: dict[PersonaKey, asyncio.Task[Head | None]] = {}

    async def candidates(
        self, persona: PersonaKey, request: Request, told: bool = False
    ) -> tuple[tuple[Request, ...], Head | None]:
        """The request, as often as there shall be replies to choose from; more than once only where there is a head
        that is known soon, or where something is to be `told` that not every reply may tell.

        What is to be told is told soberly. Raises StoreError.
        """
        request = soberly(request) if told else request
        count = min(max(self._count, request.sampling.candidates), self._most)
        if count == 1 or request.sampling.temperature == 0:  # greedy, all would be the same
            return (request,), None
        head = await self._soon(persona)
        return (several(request, count) if head or told else (request,)), head

    async def _soon(self, persona: PersonaKey) -> Head | None:
        """The head, unless it takes long: then it is learned beside the talk, once."""
        task = self._learning.get(persona)
        if task is None:
            task = self._learning[persona] = asyncio.create_task(self.head(persona))
            task.add_done_callback(lambda done: self._learned_by(persona, done))
        await asyncio.wait([task], timeout=WAIT)
        if task.done():
            return task.result()
        log.info("%s: what is liked is still being learned; one reply will do", persona)
        return None

    def _learned_by(self, persona: PersonaKey, task: asyncio.Task[Head | None]) -> None:
        self._learning.pop(persona, None)
        if not task.cancelled() and (error := task.exception()):  # perhaps nobody waits for it any more
            log.warning("%s: what is liked cannot be learned: %s", persona, error)

    async def head(self, persona: PersonaKey) -> Head | None:
        """What is liked there, as far as votes tell by now; None before the first. Raises StoreError."""
        marks = await self._ledger.rated(persona, MOST)
        known = self._known.setdefault(persona, _Known())
        self._known.move_to_end(persona)
        while len(self._known) > PERSONAS:
            self._known.popitem(last=False)
        async with known.lock:
            if marks != known.marks or self._clock() > known.until:
                known.head = await self._learned(persona, marks, known)
                known.marks, known.until = marks, self._clock() + STALE
            return known.head

    async def pick(
        self, head: Head | None, ends: Sequence[Finished], seed: int, true: Truth = all_of
    ) -> tuple[Finished, Picked]:
        """One of these replies: of those that are `true`, the one that is liked. Those that came to nothing are none,
        unless there is no other."""
        good = [at for at, end in enumerate(ends) if end.finish in ("stop", "length") and end.text.strip()]
        good = [good[place] for place in true([ends[at].text for at in good])]
        vectors = await self._embed([ends[at].text for at in good]) if head and len(good) > 1 else None
        if head is None or vectors is None:
            at = good[0] if good else 0
            return ends[at], Picked(at, len(ends))
        looks = Looks([ends[at].text for at in good], vectors)
        belief = await asyncio.to_thread(head.judge, looks)
        chosen = belief.pick(seed)
        return ends[good[chosen]], Picked(good[chosen], len(ends), round(float(belief.mean[chosen]), 4))

    async def _learned(self, persona: PersonaKey, marks: dict[str, float], known: _Known) -> Head | None:
        entries = await self._undone(persona, await self._ledger.outlines(list(marks)))
        everybody = await self._consents.allowing({person for entry in entries for person in people(entry)})
        told = seen(entries, everybody, weak=False)
        votes = counted(
            feedback.read(
                told, self._polarity, shared=shared(persona, told), now=self._clock(), half_life=self._half_life
            )
        )
        if not votes.replies or not await self._look(entries, set(votes.replies), known):
            return None
        looks = Looks.joined([known.looks[reply] for reply in votes.replies])
        return await asyncio.to_thread(Head, looks, votes.values, votes.weights)

    async def _undone(self, persona: PersonaKey, entries: Sequence[Entry]) -> list[Entry]:
        """Without the votes of times in which nothing was to be learned."""
        void = spans([one.change for one in await self.history(persona)]) if self.history and entries else []
        return [msgspec.structs.replace(entry, facts=counting(entry.facts, void)) for entry in entries]

    async def _look(self, entries: Sequence[Entry], wanted: set[str], known: _Known) -> bool:
        """Looks of all these replies, and of no others. False: there is no embedder, or it is another one by now."""
        known.looks = {reply: looks for reply, looks in known.looks.items() if reply in wanted}
        new = [entry.record for entry in entries if entry.record.id in wanted - known.looks.keys()]
        for at in range(0, len(new), AT_ONCE):
            some = new[at : at + AT_ONCE]
            vectors = await self._embed([record.text for record in some])
            if vectors is None:
                return False
            for row, record in enumerate(some):
                known.looks[record.id] = Looks([record.text], vectors[row : row + 1])
        return len({looks.vectors.shape[1] for looks in known.looks.values()}) == 1


def soberly(request: Request) -> Request:
    """The same with dice that stray less."""
    cooler = msgspec.structs.replace(request.sampling, temperature=request.sampling.temperature * SOBER)
    return msgspec.structs.replace(request, sampling=cooler)


def several(request: Request, count: int) -> tuple[Request, ...]:
    """The same asked so many times, each with dice of its own; the others wait until the first one's prompt is read."""
    others = (
        msgspec.structs.replace(
            request, id=f"{request.id}#{at}", seed=(request.seed + at * STEP) % 2**63, after=request.id
        )
        for at in range(1, count)
    )
    return (request, *others)


def whose(event: str) -> str:
    """The id of the request that a candidate is one of."""
    return event.partition("#")[0]
