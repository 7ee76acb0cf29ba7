"""Who is there: workers and what they are doing, and terminals that talk. For `limen status`, and for idling out."""

import time
from typing import Any

from core.store import keys
from core.store.client import Client

FRESH = 15.0
NIGHTS = "nights"  # the lane of a worker that serves nobody and runs only nights


class Presence:
    """Every method raises StoreError. Times in seconds UTC; nobody is there whose last beat is older than `FRESH`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def beat(self, worker: str, about: dict[str, str | int | float]) -> None:
        """A worker is alive and does this."""
        fields: list[str | int | float] = [word for pair in about.items() for word in pair]
        await self._client.do_all(
            [
                ("HSET", keys.WORKER(worker), *fields),
                ("EXPIRE", keys.WORKER(worker), keys.DAY),
                ("ZADD", keys.WORKERS.pattern, time.time(), worker),
                ("ZREMRANGEBYSCORE", keys.WORKERS.pattern, "-inf", time.time() - keys.DAY),
            ]
        )

    async def leave(self, worker: str) -> None:
        """A worker is going."""
        await self._client.do_all([("DEL", keys.WORKER(worker)), ("ZREM", keys.WORKERS.pattern, worker)])

    async def workers(self) -> dict[str, dict[str, str]]:
        """What each worker that serves people said last. `seen` is how many seconds ago."""
        return {name: about for name, about in (await self._all()).items() if about.get("lane") != NIGHTS}

    async def trainers(self) -> dict[str, dict[str, str]]:
        """The same of workers that run only nights."""
        return {name: about for name, about in (await self._all()).items() if about.get("lane") == NIGHTS}

    async def _all(self) -> dict[str, dict[str, str]]:
        rows: Any = await self._client.do("ZRANGE", keys.WORKERS.pattern, 0, -1)
        found = {}
        for name in rows:
            score = await self._client.do("ZSCORE", keys.WORKERS.pattern, name)
            about = await self._client.do("HGETALL", keys.WORKER(name.decode()))
            if about and score is not None:
                seen = {"seen": f"{time.time() - float(score):.1f}"}
                found[name.decode()] = {k.decode(): v.decode() for k, v in about.items()} | seen
        return found

    async def here(self, session: str) -> None:
        """A terminal is talking."""
        await self._client.do("ZADD", keys.SESSIONS.pattern, time.time(), session)

    async def gone(self, session: str) -> None:
        """A terminal was closed."""
        await self._client.do("ZREM", keys.SESSIONS.pattern, session)

    async def anyone(self) -> bool:
        """Is any terminal talking?"""
        await self._client.do("ZREMRANGEBYSCORE", keys.SESSIONS.pattern, "-inf", time.time() - keys.DAY)
        return await self.talking() > 0

    async def talking(self) -> int:
        """How many terminals are talking."""
        return int(await self._client.do("ZCOUNT", keys.SESSIONS.pattern, time.time() - FRESH, "+inf"))
