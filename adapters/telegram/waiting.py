"""`… is typing`, for as long as somebody waits for a reply. Telegram shows it five seconds, or until we speak."""

import asyncio
from collections import OrderedDict

from adapters.telegram.trouble import Flooded
from adapters.telegram.wire import Wire
from core.errors import LimenError
from core.events import Place

EVERY = 4.5
SETTLED = 1024  # jobs whose reply came that are remembered: it may be quicker than the news that it is due
LONGEST = 300.0  # a reply that another process carries is never seen to come here


class Waiting:
    """What is due in each place, by job."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._due: dict[str, Place] = {}
        self._settled: OrderedDict[str, None] = OrderedDict()
        self._typing: dict[str, asyncio.Task[None]] = {}

    def expect(self, job: str, place: Place) -> None:
        """A reply is due there."""
        if job in self._settled:
            return
        self._due[job] = place
        if str(place) not in self._typing:
            self._typing[str(place)] = asyncio.create_task(self._type(place))

    def settle(self, job: str) -> None:
        """It came, or will not."""
        self._settled[job] = None
        if len(self._settled) > SETTLED:
            self._settled.popitem(last=False)
        place = self._due.pop(job, None)
        if place and place not in self._due.values():
            self._stop(place)

    async def close(self) -> None:
        """Nobody waits any more."""
        self._due.clear()
        tasks = list(self._typing.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _stop(self, place: Place) -> None:
        if task := self._typing.pop(str(place), None):
            task.cancel()

    async def _type(self, place: Place) -> None:
        try:
            async with asyncio.timeout(LONGEST):
                while True:
                    await asyncio.sleep(await self._shown(place))
        except (LimenError, TimeoutError):  # nobody misses it where it cannot be shown
            self._due = {job: where for job, where in self._due.items() if where != place}
            self._typing.pop(str(place), None)

    async def _shown(self, place: Place) -> float:
        """Show it. How long until it must be shown again."""
        try:
            await self._wire.typing(place)
        except Flooded as error:
            return error.seconds
        return EVERY
