"""A file that somebody sent: how much of it is read, and from where."""

import gzip
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from adapters import fetching
from core.errors import TooLong
from core.events import Attachment
from core.files import sniffed

BOMB = gzip.compress(b"0" * 3_000_000)
SENT = Attachment("a.txt", "text/plain", 5)


@pytest.fixture
async def host(unused_tcp_port: int) -> AsyncIterator[str]:
    """A host of files."""

    async def bomb(request: web.Request) -> web.Response:
        """Packed, whether or not that was asked for."""
        return web.Response(body=BOMB, headers={"Content-Encoding": "gzip"})

    async def elsewhere(request: web.Request) -> web.Response:
        raise web.HTTPFound("/plain")

    async def plain(request: web.Request) -> web.Response:
        return web.Response(body=b"hello")

    app = web.Application()
    app.router.add_get("/bomb", bomb)
    app.router.add_get("/elsewhere", elsewhere)
    app.router.add_get("/plain", plain)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", unused_tcp_port).start()
    yield f"http://127.0.0.1:{unused_tcp_port}"
    await runner.cleanup()


async def test_no_more_is_read_than_is_allowed_and_nothing_is_unpacked(host: str) -> None:
    """A thousandth of what is in it would be sent, and all of it lie in memory."""
    async with aiohttp.ClientSession() as session:
        assert await fetching.read(session, f"{host}/plain", 100) == b"hello"
        assert await fetching.read(session, f"{host}/plain", 3) == b"hell"
        assert await fetching.read(session, f"{host}/bomb", 100_000) == BOMB
        assert await fetching.read(session, f"{host}/elsewhere", 100) is None
        assert await fetching.read(session, f"{host}/nowhere", 100) is None
    assert sniffed(BOMB, 100).note


async def test_telegrams_files_are_not_unpacked_either(host: str) -> None:
    """They come by another library."""
    wire = pytest.importorskip("adapters.telegram.wire").Wire("1:a", host)

    assert await wire._read(f"{host}/bomb", 100_000) == BOMB
    assert await wire._read(f"{host}/plain", 3) is None
    await wire.close()


def test_what_is_longer_than_allowed_is_not_taken() -> None:
    """Whether it says so, or does not."""
    fetching.admit(SENT, 5)
    assert fetching.whole(SENT, b"hello", 5) == b"hello"
    with pytest.raises(TooLong, match="5 bytes, and 4 are allowed"):
        fetching.admit(SENT, 4)
    with pytest.raises(TooLong, match="longer than it was said"):
        fetching.whole(SENT, b"hello!", 5)
