"""The few commands we use: exact types, our errors, and what happens when the server goes away and comes back."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import redis.exceptions as rx

from core.errors import StoreError, StoreFull, StoreUnreachable
from core.store import server
from core.store.client import Client, patiently, translated
from tests.fakes.jobs import until


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Client]:
    """A client of the shared server."""
    client = Client(redis_url)
    yield client
    await client.close()


@pytest.fixture
async def own(home: Path) -> AsyncIterator[Client]:
    """A client of a server that may be killed."""
    client = Client(server.ensure(home))
    yield client
    await client.close()


def kill(home: Path) -> None:
    """End a server as the kernel does when memory runs out."""
    found = server.running(home)
    assert found
    os.kill(found.pid, signal.SIGKILL)


async def test_a_command_gives_bytes(client: Client) -> None:
    """Whatever bytes go in come out."""
    await client.do("SET", "k\0é", b"\x00\xff")

    assert b"\x00\xff" == await client.do("GET", "k\0é")
    assert None is await client.do("GET", "nothing")


@pytest.mark.parametrize("atomic", [True, False])
async def test_several_commands_answer_in_order(client: Client, atomic: bool) -> None:
    """One round trip, in a transaction or not; none are no round trip."""
    assert [1, 2, b"2"] == await client.do_all([("INCR", "n"), ("INCR", "n"), ("GET", "n")], atomic=atomic)
    assert [] == await client.do_all([], atomic=atomic)


async def test_a_script_runs_before_and_after_the_server_forgot_it(client: Client) -> None:
    """Keys and arguments arrive, by the script's hash or its text."""
    source = "return {KEYS[1], ARGV[1]}"
    for _ in range(2):
        assert [b"k", b"\x00v"] == await client.script(source, ["k"], [b"\x00v"])
        assert [b"k", b"\x00v"] == await client.script(source, ["k"], [b"\x00v"])
        await client.do("SCRIPT", "FLUSH")


async def test_keys_can_be_listed_by_pattern(client: Client) -> None:
    """All of them, however many, each once."""
    await client.do_all([("SET", f"a:{n:04}", 1) for n in range(3000)] + [("SET", "b", 1)])

    assert [f"a:{n:04}" for n in range(3000)] == await client.scan("a:*")


async def test_waiting_for_a_list_takes_one_element(client: Client) -> None:
    """True at once where there is one, false after the wait where there is none."""
    await client.do("RPUSH", "list", "x", "y")

    assert [True, True, False] == [await client.wait_for("list", 0.01) for _ in range(3)]


async def test_a_stream_is_read_from_any_entry_on(client: Client) -> None:
    """Ids and bodies in order; a wait ends with the first entry, or empty."""
    ids = [(await client.do("XADD", "s", "*", "b", body)).decode() for body in (b"\x00", b"two", b"three")]

    assert list(zip(ids, [b"\x00", b"two", b"three"], strict=True)) == await client.read_stream("s", "0", 0.01)
    assert [(ids[2], b"three")] == await client.read_stream("s", ids[1], 0.01)
    assert [(ids[0], b"\x00")] == await client.read_stream("s", "0", 0.01, count=1)
    assert [] == await client.read_stream("s", ids[2], 0.01)

    reading = asyncio.ensure_future(client.read_stream("s", ids[2], 20))
    await client.do("XADD", "s", "*", "b", b"four")

    assert [b"four"] == [body for _, body in await asyncio.wait_for(reading, 5)]


async def test_a_channel_is_heard(client: Client) -> None:
    """From the moment of subscribing."""
    heard = client.listen("news")
    first = asyncio.ensure_future(anext(heard))

    async def somebody_hears() -> bool:
        return await client.do("PUBLISH", "news", b"\x00first") > 0

    await until(somebody_hears)

    assert b"\x00first" == await asyncio.wait_for(first, 5)

    await client.do_all([("PUBLISH", "news", "second"), ("PUBLISH", "news", "third")])

    assert [b"second", b"third"] == [await anext(heard), await anext(heard)]
    await heard.aclose()


async def test_a_server_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    """A missing socket and a closed port both say so, and what to do."""
    for url in (f"unix://{tmp_path}/none.sock", "redis://127.0.0.1:1/0"):
        client = Client(url)
        with pytest.raises(StoreUnreachable, match="does not answer") as caught:
            await client.do("PING")
        await client.close()

        assert "limen doctor" in caught.value.hint


async def test_a_wrong_password_is_no_absence(client: Client) -> None:
    """Waiting would not help, so it is no StoreUnreachable; and the password is not repeated."""
    await client.do("ACL", "SETUSER", "ada", "on", ">right", "~*", "+@all")
    path = client.url.removeprefix("unix://")
    stranger = Client(f"unix://ada:wr0ng@{path}")
    with pytest.raises(StoreError, match="does not let us in") as caught:
        await stranger.do("PING")
    await stranger.close()
    await client.do("ACL", "DELUSER", "ada")

    assert not isinstance(caught.value, StoreUnreachable)
    assert "wr0ng" not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize("command", [("NOSUCHCOMMAND",), ("HGET", "string", "f"), ("SET", "only-a-key")])
async def test_a_refused_command_is_our_error(client: Client, command: tuple[str, ...]) -> None:
    """Alone, in a batch and in a script."""
    await client.do("SET", "string", "x")
    with pytest.raises(StoreError, match="refused"):
        await client.do(*command)
    with pytest.raises(StoreError, match="refused"):
        await client.do_all([("SET", "x", 1), command])
    with pytest.raises(StoreError, match="refused"):
        await client.script("return redis.call(unpack(ARGV))", [], list(command))


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (rx.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), StoreFull),
        (rx.ResponseError("MISCONF Errors writing to the AOF file: No space left on device"), StoreFull),
        (rx.BusyLoadingError("Redis is loading the dataset in memory"), StoreUnreachable),
        (rx.TimeoutError("Timeout reading from socket"), StoreUnreachable),
        (ConnectionResetError(104, "Connection reset by peer"), StoreUnreachable),
        (TimeoutError(), StoreUnreachable),
        (rx.ReadOnlyError("You can't write against a read only replica."), StoreError),
        (rx.InvalidResponse("Protocol Error: b'HTTP/1.1 400'"), StoreError),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_every_foreign_error_has_one_of_ours(theirs: Exception, ours: type[StoreError]) -> None:
    """With the foreign one as its cause."""
    with pytest.raises(StoreError) as caught, translated():
        raise theirs

    assert ours is type(caught.value)
    assert theirs is caught.value.__cause__


async def test_what_is_blocked_learns_that_the_server_died(own: Client, home: Path) -> None:
    """A wait, a read and a listener all end with StoreUnreachable, at once."""
    waits = [
        asyncio.ensure_future(own.wait_for("list", 30)),
        asyncio.ensure_future(own.read_stream("stream", "0", 30)),
        asyncio.ensure_future(anext(own.listen("news"))),
    ]

    async def all_wait() -> bool:
        blocked = (await own.do("INFO", "clients"))["blocked_clients"]
        return blocked == 2 and bool(await own.do("PUBSUB", "CHANNELS"))

    await until(all_wait)
    kill(home)
    ends = await asyncio.wait_for(asyncio.gather(*waits, return_exceptions=True), 5)

    assert [StoreUnreachable] * 3 == [type(end) for end in ends]


async def test_a_server_that_came_back_is_used_at_once(own: Client, home: Path) -> None:
    """Pooled connections of before the crash cost nobody an error, and what was acknowledged is there."""
    await asyncio.gather(*(own.do("SET", f"k{n}", n) for n in range(10)))
    await own.wait_for("list", 0.01)
    kill(home)
    with pytest.raises(StoreUnreachable):
        await own.do("PING")
    await asyncio.to_thread(server.ensure, home)

    assert [str(n).encode() for n in range(10)] == await asyncio.gather(*(own.do("GET", f"k{n}") for n in range(10)))
    assert False is await own.wait_for("list", 0.01)
    assert [b"1"] == await own.do_all([("GET", "k1")])


async def test_patience_waits_for_a_server_to_come_back(own: Client, home: Path) -> None:
    """What may be said twice is said until it is answered."""
    await own.do("SET", "k", "v")
    kill(home)
    asked = asyncio.ensure_future(patiently(lambda: own.do("GET", "k"), 30))
    await asyncio.to_thread(server.ensure, home)

    assert b"v" == await asyncio.wait_for(asked, 30)


async def test_patience_ends() -> None:
    """After its time the absence is told; any other error at once."""
    tries: list[float] = []

    async def away() -> None:
        tries.append(asyncio.get_running_loop().time())
        raise StoreUnreachable("away")

    with pytest.raises(StoreUnreachable):
        await patiently(away, 0.3)

    assert len(tries) >= 3
    assert tries[-1] - tries[0] <= 0.3

    async def refused() -> None:
        tries.clear()
        raise StoreFull("full")

    with pytest.raises(StoreFull):
        await patiently(refused, 0.3)

    assert [] == tries
