"""Events in, in batches: up to 50 at once or what came within 2 ms, whichever is first. Keeps their order.

While Redis is away they are tried again: the store takes each event once, however often it is told. Whoever said
something hears after a minute that it could not be taken; reactions, edits and deletions, for which nobody waits, are
kept for as long as the process lives, the latest 1,000 of them. All bots of a process share one intake: what goes
wrong with one event, a fault of ours too, is that event's alone.
"""

import asyncio
import logging
import math
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from core.engine import Act, Outcome
from core.errors import Fault, LimenError, StoreUnreachable, UserError
from core.events import AnyEvent, Deletion, Edit, Reaction

log = logging.getLogger("limen.intake")

MOST = 50
WITHIN = 0.002
FIRST_PAUSE, LAST_PAUSE = 0.05, 0.5  # seconds until an absent Redis is asked again
KEPT = 1_000  # events that are kept for it at most; with more, the oldest are lost

Handle = Callable[[Sequence[AnyEvent]], Awaitable[list[Outcome]]]


@dataclass(slots=True)
class _Offered:
    """An event on its way. `until`: when its patience ends; never, for one that is kept."""

    event: AnyEvent
    outcome: asyncio.Future[Outcome]
    until: float

    @property
    def is_kept(self) -> bool:
        return self.until == math.inf

    def tell(self, error: LimenError) -> None:
        """It could not be taken."""
        if self.is_kept:
            log.warning("an event that was kept could not be taken (%s): %s", self.event.id, error)
        if not self.outcome.done():
            self.outcome.set_exception(error)

    def became(self, outcome: Outcome) -> None:
        """That."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)


class Intake:
    """Put events in, get their outcomes. `run()` must be running. `patience`: seconds that an absent Redis is waited
    for before somebody is told."""

    def __init__(self, handle: Handle, patience: float = 60.0) -> None:
        self._handle = handle
        self._patience = patience
        self._waiting: deque[_Offered] = deque()
        self._came = asyncio.Event()
        self._kept = self._lost = 0  # lost: since Redis is away

    async def put(self, event: AnyEvent) -> Outcome:
        """What became of one event. Raises LimenError when it could not be taken."""
        return await self.offer(event)

    def offer(self, event: AnyEvent) -> "asyncio.Future[Outcome]":
        """The same, to be waited for later. Whoever offers sees to it that not too many are on their way."""
        loop = asyncio.get_running_loop()
        offered = _Offered(event, loop.create_future(), loop.time() + self._patience)
        self._waiting.append(offered)
        self._came.set()
        return offered.outcome

    async def run(self) -> None:
        """Until cancelled."""
        pause = FIRST_PAUSE
        try:
            while True:
                batch = await self._collect()
                try:
                    await self._settle(batch)
                    self._is_back()
                    pause = FIRST_PAUSE
                except StoreUnreachable as error:
                    self._lose_patience(error)
                    await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                    pause = min(2 * pause, LAST_PAUSE)
        finally:
            if self._kept:
                log.warning("%d reactions, edits and deletions were kept, and end with this process", self._kept)

    async def _collect(self) -> list[_Offered]:
        """The oldest. They wait on until they are settled."""
        if not self._waiting:
            self._came.clear()
            await self._came.wait()
        if len(self._waiting) == 1:
            await asyncio.sleep(WITHIN)
        return list(islice(self._waiting, MOST))

    async def _settle(self, batch: Sequence[_Offered]) -> None:
        """Take a batch. One event that cannot be taken (its card is broken, say) must not cost the others.

        Raises StoreUnreachable: what of it is not settled waits on.
        """
        try:
            outcomes = await self._handle([one.event for one in batch])
        except StoreUnreachable:
            raise
        except UserError as error:
            await self._apart(batch, error)
        except LimenError as error:
            for _ in batch:
                self._next().tell(error)
        except Exception:  # the edge of what one event can break
            if len(batch) == 1:
                log.exception("a fault in limen: an event cannot be taken (%s); please report it", batch[0].event.id)
            await self._apart(batch, Fault())
        else:
            for _, outcome in zip(batch, outcomes, strict=True):
                self._next().became(outcome)

    async def _apart(self, batch: Sequence[_Offered], error: LimenError) -> None:
        """Each by itself, to find out whose trouble it is."""
        if len(batch) == 1:
            self._next().tell(error)
            return
        for one in batch:
            await self._settle([one])

    def _next(self) -> _Offered:
        """The oldest, which waits no more."""
        one = self._waiting.popleft()
        if one.is_kept:
            self._kept -= 1
        return one

    def _lose_patience(self, error: StoreUnreachable) -> None:
        """With those whose time is up, wherever they wait. What is kept keeps its place among the others."""
        now = asyncio.get_running_loop().time()
        due = [one for one in self._waiting if one.until <= now]
        for one in due:
            if isinstance(one.event, Reaction | Edit | Deletion):
                self._keep(one)
            else:
                one.tell(error)
        if due:
            self._waiting = deque(one for one in self._waiting if one.until > now)
        self._lose()

    def _keep(self, one: _Offered) -> None:
        if not self._kept:
            log.warning("Redis stays away: reactions, edits and deletions are kept until it is back")
        one.until = math.inf
        self._kept += 1
        one.became(Outcome(act=Act.KEPT))

    def _lose(self) -> None:
        """The oldest, where more are kept than there is room for: they are the first of all that wait."""
        while self._kept > KEPT:
            if not self._lost:
                log.warning("more than %d reactions, edits and deletions are kept: the oldest are lost", KEPT)
            self._next()
            self._lost += 1

    def _is_back(self) -> None:
        if self._lost:
            log.warning("Redis is back: %d reactions, edits and deletions were lost", self._lost)
            self._lost = 0
