"""Who runs a group: asked of Telegram when a command needs it, and remembered for a minute."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from adapters.telegram.wire import Wire
from core.errors import LimenError
from core.events import Command

HOLDS = 60.0  # seconds; who is no administrator any more is still one for so long
PATIENCE = 5.0  # seconds that a command waits for the answer
MOST = 1024


class Ranks:
    """Of one bot account. What Telegram does not tell counts as a no, and is asked again the next time."""

    def __init__(self, wire: Wire, clock: Callable[[], float] = time.monotonic) -> None:
        self._wire, self._clock = wire, clock
        self._known: OrderedDict[tuple[str, str], tuple[bool, float]] = OrderedDict()

    async def ranked(self, command: Command) -> Command:
        """With whether its author is an operator there."""
        chat, user = command.place.channel, command.author.id.rpartition(":")[2]
        if command.operator or not user.isdecimal() or not await self._manages(chat, user):
            return command
        return msgspec.structs.replace(command, operator=True)

    async def _manages(self, chat: str, user: str) -> bool:
        known, until = self._known.get((chat, user), (False, 0.0))
        if self._clock() < until:
            return known
        try:
            async with asyncio.timeout(PATIENCE):
                known = await self._wire.manages(chat, user)
        except (LimenError, TimeoutError):
            return False
        self._known[chat, user] = known, self._clock() + HOLDS
        self._known.move_to_end((chat, user))
        if len(self._known) > MOST:
            self._known.popitem(last=False)
        return known
