"""Payloads → events, where something must be asked first: beside the others, in order within a channel.

Knows no platform. So a name or a thread that the platform is slow to tell holds up nobody who is somewhere else.
Where nobody asks for events (Redis is away, say), so many payloads wait, and what comes then is not taken.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from core.events import AnyEvent
from core.lanes import Lanes

Raw = TypeVar("Raw")
MOST = 1_000  # payloads that are asked about at once; with more, nobody is heard
WAITING = 10_000  # payloads that wait to be heard; more are not taken

Asking = Callable[[], Awaitable[object]]


class _Read(NamedTuple):
    """What a payload of that channel has become."""

    channel: str
    events: Sequence[AnyEvent]
    fault: Exception | None = None


class Reading(Generic[Raw]):
    """`lacks` says what has to be asked before `read` can make events of a payload; None: nothing. Neither may raise.

    `channel` names whose order a payload keeps. `full` is told 0 when the first of many is not taken, and how many were
    not when that is over.
    """

    def __init__(
        self,
        read: Callable[[Raw], Sequence[AnyEvent]],
        lacks: Callable[[Raw], Asking | None],
        channel: Callable[[Raw], str],
        full: Callable[[int], None],
    ) -> None:
        self._read, self._lacks, self._channel, self._full = read, lacks, channel, full
        self._came: asyncio.Queue[tuple[Raw] | _Read | None] = asyncio.Queue()
        self._beside: Counter[str] = Counter()  # of a channel, what is asked about or not told yet
        self._waiting = self._refused = 0

    def put(self, raw: Raw) -> bool:
        """It came. False: too many wait, and it is not taken."""
        if self._waiting >= WAITING:
            if not self._refused:
                self._full(0)
            self._refused += 1
            return False
        self._waiting += 1
        self._came.put_nowait((raw,))
        return True

    def end(self) -> None:
        """`events` ends when it has told what came before."""
        self._came.put_nowait(None)

    async def events(self) -> AsyncGenerator[AnyEvent, None]:
        """Until the end. What came since is told when this is called once more, up to the next end."""
        lanes, ended = Lanes(self._ask, MOST), False
        try:
            while self._beside or not ended:
                came = await self._came.get()
                if came is None:
                    ended = True
                    continue
                for event in await self._of(came, lanes):
                    yield event
        finally:
            await lanes.close()

    async def _of(self, came: tuple[Raw] | _Read, lanes: Lanes[Raw]) -> Sequence[AnyEvent]:
        """What can be told now."""
        if isinstance(came, _Read):
            self._beside[came.channel] -= 1
            if not self._beside[came.channel]:
                del self._beside[came.channel]
            if came.fault:
                raise came.fault
            return came.events
        (raw,) = came
        self._off()
        channel = self._channel(raw)
        if channel not in self._beside and not self._lacks(raw):
            return self._read(raw)
        self._beside[channel] += 1
        await lanes.put(channel, raw)
        return ()

    def _off(self) -> None:
        """One waits no more. It is over when half of them are gone: at the brink every second one would be refused."""
        self._waiting -= 1
        if self._refused and self._waiting <= WAITING // 2:
            self._full(self._refused)
            self._refused = 0

    async def _ask(self, raws: list[Raw]) -> None:
        for raw in raws:
            channel = self._channel(raw)
            try:
                if asking := self._lacks(raw):  # what came before may have told it by now
                    await asking()
                self._came.put_nowait(_Read(channel, self._read(raw)))
            except Exception as fault:  # for whoever listens
                self._came.put_nowait(_Read(channel, (), fault))
