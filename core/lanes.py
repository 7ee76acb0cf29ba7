"""Work in lanes: in order under one key, side by side under different ones, so much at once. Knows no event.

A lane that is slow holds up only its own; one that has been emptied costs nothing.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Lanes(Generic[T]):
    """`work` is given all that waits under a key, oldest first, and is not called again for that key before it is done.

    At most `most` things are held: `put` waits while there are as many. The first error of `work` is raised by
    `trouble`, and that lane ends.
    """

    def __init__(self, work: Callable[[list[T]], Awaitable[None]], most: int) -> None:
        self._work, self._most, self._held = work, most, 0
        self._lanes: dict[Hashable, deque[T]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._trouble: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def put(self, key: Hashable, thing: T) -> None:
        """It is done when its turn comes."""
        while self._held >= self._most:
            await self._change()
        self._held += 1
        if (lane := self._lanes.get(key)) is not None:
            lane.append(thing)
            return
        self._lanes[key] = deque((thing,))
        task = asyncio.create_task(self._go(key))
        self._tasks.add(task)
        task.add_done_callback(self._gone)

    def busy(self, key: Hashable) -> bool:
        """Is something under this key not done yet?"""
        return key in self._lanes

    async def none(self) -> None:
        """Until nothing is held."""
        while self._held:
            await self._change()

    async def trouble(self) -> None:
        """For ever; or until a `work` fails, whose error is raised."""
        await asyncio.shield(self._trouble)

    async def close(self) -> None:
        """Break off whatever goes on."""
        while pending := {task for task in self._tasks if not task.done()}:
            for task in pending:
                task.cancel()
            await asyncio.wait(pending, timeout=1.0)  # a timeout in a library may swallow a cancellation
        if self._trouble.done() and not self._trouble.cancelled():
            self._trouble.exception()  # seen

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def _go(self, key: Hashable) -> None:
        """All that waits, again and again, until nothing does."""
        lane = self._lanes[key]
        try:
            while lane:
                things = list(lane)
                lane.clear()
                try:
                    await self._work(things)
                finally:
                    self._held -= len(things)
                    self._changed.set()
        finally:
            self._held -= len(lane)
            del self._lanes[key]

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not self._trouble.done():
            self._trouble.set_exception(error)
