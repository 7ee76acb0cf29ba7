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
from core.errors import Fault, LimenError, StoreError, StoreFull, StoreUnreachable, UserError
from core.events import AnyEvent, Deletion, Edit, Reaction

log = logging.getLogger("limen.intake")

MOST = 50
WITHIN = 0.002
FIRST_PAUSE, LAST_PAUSE = 0.05, 0.5  # seconds until an absent Redis is asked again
KEPT = 1_000  # events that are kept for it at most; with more, the oldest are lost
REFUSALS = 5  # of one event, while Redis writes others down: then something is wrong with that event
WRITES = {Act.HEARD, Act.QUEUED, Act.MERGED, Act.RECORDED, Act.PARKED, Act.CHANGED}

Handle = Callable[[Sequence[AnyEvent]], Awaitable[list[Outcome]]]


@dataclass(slots=True)
class _Offered:
    """An event on its way. `until`: when its patience ends; never, for one that is kept."""

    event: AnyEvent
    outcome: asyncio.Future[Outcome]
    until: float
    is_settled: bool = False
    is_written: bool = False
    refusals: int = 0

    @property
    def may_be_kept(self) -> bool:
        """Nobody waits for it."""
        return isinstance(self.event, Reaction | Edit | Deletion)

    @property
    def is_kept(self) -> bool:
        return self.until == math.inf

    def keep(self) -> None:
        """For as long as it takes."""
        self.until = math.inf
        self._tell(Outcome(act=Act.KEPT))

    def became(self, outcome: Outcome) -> None:
        """That."""
        self.is_settled, self.is_written = True, outcome.act in WRITES
        self._tell(outcome)

    def failed(self, error: LimenError) -> None:
        """It could not be taken."""
        self.is_settled = True
        if self.is_kept:
            log.warning("an event that was kept could not be taken (%s): %s", self.event.id, error)
        if not self.outcome.done():
            self.outcome.set_exception(error)

    def refused(self, error: LimenError) -> None:
        """Another was written down, and this one was not."""
        self.refusals += 1
        if self.refusals >= REFUSALS:
            self.failed(error)

    def _tell(self, outcome: Outcome) -> None:
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
        self._lost = 0  # of those that were kept, since Redis is away

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
        pause, trouble = FIRST_PAUSE, None
        try:
            while True:
                trouble = await self._settle(await self._collect(trouble))
                if trouble is None:
                    self._is_back()
                    pause = FIRST_PAUSE
                    continue
                self._lose_patience(trouble)
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(2 * pause, LAST_PAUSE)
        finally:
            if kept := self._kept():
                log.warning("%d reactions, edits and deletions were kept, and end with this process", kept)

    async def _collect(self, trouble: StoreError | None) -> list[_Offered]:
        """The oldest. They wait on until they are settled.

        Where Redis has just refused the oldest, messages behind them are tried, too: their authors are told; or they
        are taken, and then it is the oldest that are wrong.
        """
        while self._waiting and self._waiting[0].is_settled:
            self._waiting.popleft()
        if not self._waiting:
            self._came.clear()
            await self._came.wait()
        if len(self._waiting) == 1:
            await asyncio.sleep(WITHIN)
        waiting = (one for one in self._waiting if not one.is_settled)
        batch = list(islice(waiting, MOST))
        if trouble and not isinstance(trouble, StoreUnreachable):
            batch += islice((one for one in waiting if not one.may_be_kept), MOST)
        return batch

    async def _settle(self, batch: Sequence[_Offered]) -> StoreError | None:
        """Take a batch. One event that cannot be taken (its card is broken, say) must not cost the others.

        Why something of it waits on; None if all is settled.
        """
        try:
            outcomes = await self._handle([one.event for one in batch])
        except StoreUnreachable as error:
            return error
        except (UserError, StoreError) as error:
            return await self._apart(batch, error)
        except LimenError as error:
            for one in batch:
                one.failed(error)
        except Exception:  # the edge of what one event can break
            if len(batch) == 1:
                log.exception("a fault in limen: an event cannot be taken (%s); please report it", batch[0].event.id)
            return await self._apart(batch, Fault())
        else:
            for one, outcome in zip(batch, outcomes, strict=True):
                one.became(outcome)
        return None

    async def _apart(self, batch: Sequence[_Offered], error: LimenError) -> StoreError | None:
        """Each by itself, to find out whose trouble it is.

        What may be kept waits on where Redis refuses it: for as long as it writes nothing down (it is full, or a
        replica since a failover), and for a few more tries while it does that with others.
        """
        if len(batch) == 1:
            if isinstance(error, StoreError) and batch[0].may_be_kept:
                return error
            batch[0].failed(error)
            return None
        left: list[tuple[_Offered, StoreError]] = []
        for one in batch:
            trouble = await self._settle([one])
            if isinstance(trouble, StoreUnreachable):
                return trouble
            if trouble:
                left.append((one, trouble))
        if any(one.is_written for one in batch):
            for one, trouble in left:
                if not isinstance(trouble, StoreFull):  # then some may find room, and some not
                    one.refused(trouble)
        return left[-1][1] if left else None

    def _lose_patience(self, trouble: StoreError) -> None:
        """With those whose time is up, wherever they wait. What is kept keeps its place among the others."""
        now = asyncio.get_running_loop().time()
        kept = self._kept()
        for one in self._waiting:
            if one.is_settled or one.until > now:
                continue
            if one.may_be_kept:
                one.keep()
            else:
                one.failed(trouble)
        if not kept and self._kept():
            log.warning("reactions, edits and deletions are kept until Redis takes them: %s", trouble)
        self._lose(self._kept() - KEPT)
        self._waiting = deque(one for one in self._waiting if not one.is_settled)

    def _kept(self) -> int:
        return sum(one.is_kept and not one.is_settled for one in self._waiting)

    def _lose(self, many: int) -> None:
        """The oldest that are kept, where there is no room for them."""
        if many <= 0:
            return
        if not self._lost:
            log.warning("more than %d reactions, edits and deletions are kept: the oldest are lost", KEPT)
        self._lost += many
        for one in islice((one for one in self._waiting if one.is_kept and not one.is_settled), many):
            one.is_settled = True

    def _is_back(self) -> None:
        if self._lost:
            log.warning("Redis is back: %d reactions, edits and deletions were lost", self._lost)
            self._lost = 0
