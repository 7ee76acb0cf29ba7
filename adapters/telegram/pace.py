"""How often we may speak in a chat, and in all of them together. Knows no network.

Telegram's limits: one message a second in a chat, twenty a minute in a group, thirty a second in all; edits count. Each
chat has tokens that come back with time. What may be left out (the edits of a reply that grows) leaves a reserve, so
that what must be said finds one; a chat that was told to wait is slower for a while.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

KNOWN = 4096  # chats that are remembered; one that is not has all its tokens
SLOWEST = 8.0


@dataclass(frozen=True)
class Rate:
    """`tokens` at once and `every` so many seconds another; `gap` between two edits that could be left out."""

    tokens: float
    every: float
    gap: float
    reserve: float = 2.0


PRIVATE = Rate(tokens=5, every=1.0, gap=1.0)
GROUP = Rate(tokens=5, every=4.0, gap=2.0)
ALL = Rate(tokens=25, every=0.04, gap=0.0, reserve=5.0)


class _Bucket:
    """The tokens of one chat."""

    def __init__(self, rate: Rate, now: float) -> None:
        self.rate, self.at, self.tokens = rate, now, rate.tokens
        self.held = self.last = 0.0
        self.slow = 1.0

    def wait(self, now: float, leave: float) -> float:
        """How long until one can be taken that leaves so many."""
        self.tokens = min(self.rate.tokens, self.tokens + (now - self.at) / (self.rate.every * self.slow))
        self.at = now
        missing = (1.0 + leave - self.tokens) * self.rate.every * self.slow
        gap = self.last + self.rate.gap * self.slow - now if leave else 0.0
        return max(0.0, missing, gap, self.held - now)

    def take(self, now: float) -> None:
        """One is used."""
        self.tokens -= 1.0
        self.last = now
        self.slow = max(1.0, self.slow * 0.95)


class Pace:
    """The tokens of every chat. A chat id below zero is a group or a channel."""

    def __init__(
        self,
        private: Rate = PRIVATE,
        group: Rate = GROUP,
        everywhere: Rate = ALL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._private, self._group, self._clock = private, group, clock
        self._chats: OrderedDict[str, _Bucket] = OrderedDict()
        self._all = _Bucket(everywhere, clock())

    def wait(self, chat: str, spare: bool) -> float:
        """Seconds until something may be said there. `spare`: it could be left out."""
        buckets, now = (self._of(chat), self._all), self._clock()
        return max(bucket.wait(now, bucket.rate.reserve if spare else 0.0) for bucket in buckets)

    def take(self, chat: str) -> None:
        """Something is said there now."""
        for bucket in (self._of(chat), self._all):
            bucket.take(self._clock())

    async def turn(self, chat: str) -> None:
        """Wait until what must be said may be said, and take the token."""
        while (seconds := self.wait(chat, spare=False)) > 0:
            await asyncio.sleep(seconds)
        self.take(chat)

    def hold(self, chat: str, seconds: float) -> None:
        """Telegram said: not before so many seconds."""
        bucket = self._of(chat)
        bucket.held = max(bucket.held, self._clock() + seconds)
        bucket.slow = min(SLOWEST, bucket.slow * 2)

    def _of(self, chat: str) -> _Bucket:
        bucket = self._chats.get(chat)
        if bucket is None:
            bucket = self._chats[chat] = _Bucket(self._group if chat.startswith("-") else self._private, self._clock())
            if len(self._chats) > KNOWN:
                self._chats.popitem(last=False)
        self._chats.move_to_end(chat)
        return bucket
