"""Events in, in batches: up to 50 at once or what came within 2 ms, whichever is first. Keeps their order.

A batch is tried again while Redis is away: the store takes each event once, however often it is told. All bots of a
process share one intake: what goes wrong with one event, a fault of ours too, is that event's alone.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from core.engine import Outcome
from core.errors import Fault, LimenError, UserError
from core.events import AnyEvent
from core.store.client import patiently

log = logging.getLogger("limen.intake")

MOST = 50
WITHIN = 0.002

Handle = Callable[[Sequence[AnyEvent]], Awaitable[list[Outcome]]]
Batch = list[tuple[AnyEvent, asyncio.Future[Outcome]]]


class Intake:
    """Put events in, get their outcomes. `run()` must be running."""

    def __init__(self, handle: Handle, patience: float = 60.0) -> None:
        self._handle = handle
        self._patience = patience
        self._waiting: asyncio.Queue[tuple[AnyEvent, asyncio.Future[Outcome]]] = asyncio.Queue()

    async def put(self, event: AnyEvent) -> Outcome:
        """What became of one event. Raises LimenError when it could not be taken."""
        return await self.offer(event)

    def offer(self, event: AnyEvent) -> "asyncio.Future[Outcome]":
        """The same, to be waited for later. Whoever offers sees to it that not too many are on their way."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((event, future))
        return future

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._settle(await self._collect())

    async def _settle(self, batch: Batch) -> None:
        """Take a batch. One event that cannot be taken (its card is broken, say) must not cost the others."""
        try:
            outcomes = await patiently(lambda: self._handle([event for event, _ in batch]), self._patience)
        except UserError as error:
            await self._apart(batch, error)
        except LimenError as error:
            _tell(batch, error)
        except Exception:  # the edge of what one event can break
            if len(batch) == 1:
                log.exception("a fault in limen: an event cannot be taken (%s); please report it", batch[0][0].id)
            await self._apart(batch, Fault())
        else:
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                if not future.done():
                    future.set_result(outcome)

    async def _apart(self, batch: Batch, error: LimenError) -> None:
        """Each by itself, to find out whose trouble it is."""
        if len(batch) == 1:
            _tell(batch, error)
            return
        for one in batch:
            await self._settle([one])

    async def _collect(self) -> Batch:
        batch = [await self._waiting.get()]
        if self._waiting.empty():
            await asyncio.sleep(WITHIN)
        while len(batch) < MOST:
            with suppress(asyncio.QueueEmpty):
                batch.append(self._waiting.get_nowait())
                continue
            break
        return batch


def _tell(batch: Batch, error: LimenError) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
