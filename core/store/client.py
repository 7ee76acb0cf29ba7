"""The Redis commands we use, with exact types, and its errors as ours. redis-py's own types are wide unions.

Everything is bytes in and out: what we store is msgpack. A blocking read has its own connection and its own timeout.
"""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, TypeVar, cast

import redis.asyncio as aredis
import redis.exceptions as rx
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from core.errors import StoreError, StoreFull, StoreUnreachable

Value = str | bytes | int | float
Effect = tuple[Value, ...]  # one Redis command, as a tuple of its words
T = TypeVar("T")

LONGEST_WAIT = 30.0
ANSWER = 10.0  # seconds in which a living server says something


@contextmanager
def translated() -> Iterator[None]:
    """Raise redis-py's errors as ours."""
    try:
        yield
    except (rx.BusyLoadingError, rx.ConnectionError, rx.TimeoutError, OSError) as e:
        if isinstance(e, rx.AuthenticationError) or isinstance(e.__cause__, rx.AuthenticationError):
            raise StoreError(f"Redis does not let us in ({e})", "REDIS_URL wants the right name and password") from e
        raise StoreUnreachable(f"Redis does not answer ({e})", "`limen doctor` says what is wrong") from e
    except rx.OutOfMemoryError as e:
        raise StoreFull(
            f"Redis is out of memory ({e})", "give it more memory, or keep less: `retention` in limen.yaml"
        ) from e
    except rx.ResponseError as e:
        if "MISCONF" in str(e) or "OOM" in str(e) or "No space" in str(e):
            raise StoreFull(f"Redis cannot write ({e})", "free some disk; what was acknowledged is safe") from e
        raise StoreError(f"Redis refused a command: {e}") from e
    except rx.RedisError as e:
        raise StoreError(f"Redis: {e}") from e


class Client:
    """A pool of connections to one Redis. Every method raises StoreError or its children.

    Nothing is retried here: a command whose answer was lost may have been carried out, and only the caller knows
    whether saying it twice is harmless (`patiently` is for those that are).
    """

    def __init__(self, url: str) -> None:
        self.url = url
        # No `socket_timeout`: for it redis-py sends under `asyncio.wait_for`, which on Python 3.11 loses a cancellation
        # that comes together with the result. `asyncio.timeout` does not.
        self._redis: aredis.Redis = aredis.Redis.from_url(url, socket_timeout=None, retry=Retry(NoBackoff(), 0))
        self._blocking: aredis.Redis = aredis.Redis.from_url(url, socket_timeout=None, retry=Retry(NoBackoff(), 0))

    async def close(self) -> None:
        """Give the connections back."""
        with suppress(rx.RedisError, OSError):
            await self._redis.aclose()
            await self._blocking.aclose()

    async def do(self, *command: Value) -> Any:
        """One command, and what it answers."""
        with translated():
            async with asyncio.timeout(ANSWER):
                return await _execute(self._redis, *command)

    async def do_all(self, commands: Iterable[Effect], atomic: bool = True) -> list[Any]:
        """Several commands in one round trip (MULTI if `atomic`); their answers in order."""
        pipe = self._redis.pipeline(transaction=atomic)
        for command in commands:
            pipe.execute_command(*command)
        if not pipe.command_stack:
            return []
        with translated():
            async with asyncio.timeout(ANSWER):
                return await pipe.execute()

    async def script(self, source: str, keys: Sequence[str], args: Sequence[Value]) -> Any:
        """Run a Lua script: by its hash where the server knows it already."""
        with translated():
            async with asyncio.timeout(ANSWER):
                try:
                    return await _execute(self._redis, "EVALSHA", _sha(source), len(keys), *keys, *args)
                except rx.NoScriptError:  # a new server, or one that was flushed
                    return await _execute(self._redis, "EVAL", source, len(keys), *keys, *args)

    async def scan(self, pattern: str) -> list[str]:
        """Names of the keys that match, in order; without blocking the server for long."""
        cursor, found = 0, set()
        while True:
            answer = await self.do("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)
            cursor = int(answer[0])
            found |= {name.decode() for name in answer[1]}
            if cursor == 0:
                return sorted(found)

    async def wait_for(self, key: str, seconds: float) -> bool:
        """Take one element off the list at `key`, waiting up to `seconds`. True if there was one."""
        seconds = min(max(seconds, 0.01), LONGEST_WAIT)
        with translated():
            async with asyncio.timeout(seconds + ANSWER):
                return await _execute(self._blocking, "BLPOP", key, seconds) is not None

    async def read_stream(self, key: str, after: str, seconds: float, count: int = 200) -> list[tuple[str, bytes]]:
        """Entries of a stream after the id `after`, waiting up to `seconds` for one: (id, its field `b`)."""
        wait_ms = max(1, int(min(seconds, LONGEST_WAIT) * 1000))
        command = ("XREAD", "COUNT", count, "BLOCK", wait_ms, "STREAMS", key, after)
        with translated():
            async with asyncio.timeout(wait_ms / 1000 + ANSWER):
                answer = await _execute(self._blocking, *command)
        return _entries(answer)

    async def listen(self, channel: str) -> AsyncIterator[bytes]:
        """Messages published on a channel, for as long as the connection lives."""
        pubsub = self._blocking.pubsub()
        try:
            with translated():
                await pubsub.subscribe(channel)
            while True:
                with translated():
                    message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=LONGEST_WAIT)
                if message is not None:
                    yield cast("bytes", message["data"])
        finally:
            with suppress(rx.RedisError, OSError):
                await pubsub.aclose()  # type: ignore[no-untyped-call]


async def _execute(server: aredis.Redis, *command: Value) -> Any:
    return await cast("Awaitable[Any]", server.execute_command(*command))  # type: ignore[no-untyped-call]


def _entries(answer: Any) -> list[tuple[str, bytes]]:
    if not answer:
        return []
    rows = next(iter(answer.values())) if isinstance(answer, dict) else answer[0][1]
    found = []
    for entry_id, fields in _flat(rows):
        body = fields[b"b"] if isinstance(fields, dict) else fields[fields.index(b"b") + 1]
        found.append((entry_id.decode(), body))
    return found


def _flat(rows: Any) -> Iterator[tuple[bytes, Any]]:
    for row in rows:
        if len(row) == 1 or not isinstance(row[0], bytes):  # RESP3 wraps each stream's rows once more
            yield from _flat(row)
        else:
            yield row[0], row[1]


@cache
def _sha(source: str) -> str:
    return hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


async def patiently(act: Callable[[], Awaitable[T]], seconds: float = 15.0) -> T:
    """Do `act` again while Redis is away, for up to `seconds`. Only for what may safely be done twice.

    Raises StoreUnreachable when it stays away.
    """
    end = asyncio.get_running_loop().time() + seconds
    pause = 0.05
    while True:
        try:
            return await act()
        except StoreUnreachable:
            if asyncio.get_running_loop().time() + pause > end:
                raise
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, 0.5)
