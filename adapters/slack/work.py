"""What goes on beside the rest, what must not be broken off, and what is complained of once. Knows no Slack."""

import asyncio
import logging
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
        self._complaints: Recent[str, bool] = Recent(1_000)

    def beside(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Begin it, and go on."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def unbroken(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it, and finish it even if we are told to stop in the middle; what takes too long then is broken off."""
        task = self.beside(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            end = time.monotonic() + GRACE
            while not task.done() and (left := end - time.monotonic()) > 0:
                with suppress(asyncio.CancelledError):  # they ask again, who want to be sure
                    await asyncio.wait([task], timeout=left)
            task.cancel()  # it may be another's by then, who would say it, too
            raise

    async def finish(self) -> None:
        """Until nothing goes on any more; what takes too long is broken off."""
        if tasks := list(self._tasks):
            _, late = await asyncio.wait(tasks, timeout=GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def complain(self, what: str, channel: str = "") -> None:
        """Say it in the log, once for each place."""
        text = f"{self._account} in {channel}: {what}" if channel else f"{self._account}: {what}"
        if self._complaints.keep(text, True):
            log.warning("%s", text)
