"""What all tests share: a real Redis from our own supervisor, and homes whose servers end with them.

`LIMEN_TEST_REDIS=redis-server` runs everything on that binary of the PATH instead of the bundled one.
"""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import redis

from core.store import server
from core.store.client import Client

# One thread for each torch, here and in the processes that tests start: several that share cores stand in each other's
# way (ten times as slow, measured).
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("LIMEN_MODEL__THREADS", "1")
os.environ.setdefault("LIMEN_EMBEDDER", "hash")  # needs no weights, and takes no time


@pytest.fixture(scope="session")
def redis_binary() -> Path:
    """The server binary that this run tests."""
    wanted = os.environ.get("LIMEN_TEST_REDIS")
    if not wanted:
        return server.find_binary()
    found = shutil.which(wanted)
    if not found:
        raise pytest.UsageError(f"LIMEN_TEST_REDIS={wanted} is not on the PATH")
    return Path(found)


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A short folder for homes (a socket's path is limited). Whatever server a test left behind ends here."""
    root = Path(tempfile.mkdtemp(prefix="limen-", dir="/tmp"))
    yield root
    for place in (root, tmp_path_factory.getbasetemp()):
        for life in place.rglob("redis/alive"):
            server.stop(life.parent.parent)
    shutil.rmtree(root)


@pytest.fixture
def home(homes: Path) -> Iterator[Path]:
    """A home of one's own, as yet without a server; one that is started is ended."""
    mine = Path(tempfile.mkdtemp(dir=homes))
    yield mine
    server.stop(mine)


@pytest.fixture(scope="session")
def redis_server(homes: Path, redis_binary: Path) -> Path:
    """The home of the one server that most tests share. For a clean one ask for `redis_url`."""
    mine = homes / "shared"
    server.ensure(mine, redis_binary)
    return mine


@pytest.fixture
def redis_url(redis_server: Path, redis_binary: Path) -> str:
    """The shared server, empty, and alive again should a test have killed it."""
    url = server.ensure(redis_server, redis_binary)
    with redis.Redis.from_url(url) as client:
        client.flushall()
    return url


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Client]:
    """Our client of an empty Redis."""
    client = Client(redis_url)
    yield client
    await client.close()
