"""What goes on beside the rest, what must not be broken off, and what is complained of once. Knows no Slack."""

import asyncio
import logging
import math
import time
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from adapters.slack.recent import Recent

log = logging.getLogger("limen.slack")

T = TypeVar("T")
GRACE = 5.0  # seconds that something which was begun may still take, once we are told to stop


class Work:
    """Of one bot account."""

    def __init__(self, account: str) -> None:
        self._account = account
        self._tasks: set[asyncio.Task[Any]] = set()
        self._pauses: dict[asyncio.Task[Any] | None, float] = {}  # until when they wait
        self._ends: dict[asyncio.Task[Any] | None, float] = {}  # until when they may
        self._complaints: Recent[str, bool] = Recent(1_000)

    def beside(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Begin it, and go on."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._gone)
        return task

    def _gone(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self._ends.pop(task, None)

    async def pause(self, seconds: float) -> None:
        """Wait, with nothing under way: to be told to stop breaks this off at once, and what was to come after it.

        With no seconds: go on only if we have not been told.
        """
        task, until = asyncio.current_task(), time.monotonic() + seconds
        if until > self._ends.get(task, until):
            raise asyncio.CancelledError
        self._pauses[task] = until
        try:
            await asyncio.sleep(seconds)
        finally:
            del self._pauses[task]

    def _hurry(self, task: asyncio.Task[Any], end: float) -> None:
        """It does not wait for anything beyond that time."""
        self._ends[task] = end
        if self._pauses.get(task, end) > end:
            task.cancel()

    async def unbroken(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it, and finish what is under way even if we are told to stop; what takes too long then is broken off."""
        task = self.beside(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            end = time.monotonic() + GRACE
            if not task.done():
                self._hurry(task, 0.0)
            while not task.done() and (left := end - time.monotonic()) > 0:
                with suppress(asyncio.CancelledError):  # they ask again, who want to be sure
                    await asyncio.wait([task], timeout=left)
            task.cancel()  # it may be another's by then, who would say it, too
            raise

    async def finish(self) -> None:
        """Until nothing goes on any more; what takes too long is broken off: at once, if it would only wait so long."""
        if tasks := list(self._tasks):
            for task in tasks:
                self._hurry(task, min(time.monotonic() + GRACE, self._ends.get(task, math.inf)))
            _, late = await asyncio.wait(tasks, timeout=GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def complain(self, what: str, channel: str = "") -> None:
        """Say it in the log, once for each place."""
        text = f"{self._account} in {channel}: {what}" if channel else f"{self._account}: {what}"
        if self._complaints.keep(text, True):
            log.warning("%s", text)
