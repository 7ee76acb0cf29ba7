"""A platform that takes every reply at once and remembers it: for tests of everything before it."""

import asyncio
from collections.abc import Callable

from core.delivery import Sending
from core.jobs import Done, Failed


class Shelf:
    """An Outlet. `wait` for what should be on it, instead of sleeping."""

    def __init__(self) -> None:
        self.drafts: list[tuple[str, int]] = []
        self.finals: list[Done] = []
        self.failures: list[Failed] = []
        self._changed = asyncio.Event()

    async def draft(self, text: str, attempt: int, sending: Sending) -> None:
        """Text so far, and which attempt."""
        self.drafts.append((text, attempt))
        self._changed.set()

    async def final(self, done: Done, sending: Sending) -> None:
        """The whole reply; our message id is the reply's."""
        if await sending.begin(0) == "sent":
            return
        await sending.sent(0, (done.reply_id,))
        self.finals.append(done)
        self._changed.set()

    async def failed(self, failed: Failed, sending: Sending) -> None:
        """There will be none."""
        self.failures.append(failed)
        self._changed.set()

    async def wait(self, holds: Callable[[], object], seconds: float = 30.0) -> None:
        """Until it holds; an error after so many seconds."""
        async with asyncio.timeout(seconds):
            while not holds():
                self._changed.clear()
                await self._changed.wait()
