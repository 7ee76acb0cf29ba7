"""What is sent beside the events, so that a slow Discord holds up nothing else that happens there."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from core.errors import LimenError

log = logging.getLogger("limen.discord")

BRIEFLY = 1.0  # seconds that we wait for Discord where somebody waits for us; then it goes on by itself


class Beside:
    """Calls under way. What does not work is logged: there is nobody to tell."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()

    def do(self, call: Coroutine[Any, Any, Any], what: str) -> asyncio.Task[None]:
        """Begin it, and go on."""
        task = asyncio.create_task(_done(call, what))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def briefly(self, call: Coroutine[Any, Any, Any], what: str) -> None:
        """Wait for it a moment."""
        await asyncio.wait({self.do(call, what)}, timeout=BRIEFLY)


async def _done(call: Coroutine[Any, Any, Any], what: str) -> None:
    try:
        await call
    except LimenError as error:
        log.warning("could not %s: %s", what, error)
