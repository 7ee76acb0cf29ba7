"""Waking the workers that wait for something to claim, on a real server."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from core.store import keys
from tests.fakes.jobs import Desk, desk_at, done, job, until


@pytest.fixture
async def desk(redis_url: str) -> AsyncIterator[Desk]:
    """A desk at an empty queue."""
    async with desk_at(redis_url) as desk:
        yield desk


async def test_the_bell_wakes_a_waiting_worker(redis_url: str) -> None:
    """A worker that found nothing hears of the next job in another process at once."""
    async with desk_at(redis_url) as worker, desk_at(redis_url) as bot:
        assert [] == await worker.claim()
        ear = asyncio.ensure_future(worker.queue.bell(30))
        await bot.submit(job("a1"))

        assert True is await asyncio.wait_for(ear, 5)
        assert "a1" == (await worker.one()).job.id


async def test_the_bell_rings_for_what_is_delayed_and_what_comes_back(desk: Desk) -> None:
    """A worker must learn when to look again; and of jobs given back, and of the next in a line."""
    await desk.queue.submit(job("a1"), delay=0.05)
    assert True is await desk.queue.bell(5)

    claims = []

    async def claimed() -> bool:
        claims.extend(await desk.claim())
        return bool(claims)

    await until(claimed)
    await desk.submit(job("a2"))
    assert False is await desk.queue.bell(0.01)  # nothing can be claimed
    await desk.queue.complete(claims[0], done(claims[0]))
    assert True is await desk.queue.bell(5)
    await desk.queue.release([await desk.one()])
    assert True is await desk.queue.bell(5)


async def test_the_bell_rings_on_while_there_is_more_to_claim(desk: Desk) -> None:
    """As many workers wake as there is work for, and none when all is claimed."""
    await desk.submit(*(job(f"j{n}", f"t{n}") for n in range(5)))
    for _ in range(4):
        await desk.queue.bell(5)
    await desk.claim(1)
    rings = 0
    while await desk.queue.bell(0.01):
        rings += 1
        await desk.claim(1)

    assert 4 == rings
    assert set() == {key for key in await desk.left() if key == keys.BELL.pattern}
