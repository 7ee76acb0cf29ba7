"""Taking a job from the worker that has it: to be composed anew, or to be forgotten."""

from collections.abc import AsyncIterator

import pytest

from core.errors import StaleLease
from core.store.queue import Claim
from tests.fakes.jobs import Desk, desk_at, done, job


@pytest.fixture
async def desk(redis_url: str) -> AsyncIterator[Desk]:
    """A queue on an empty Redis."""
    async with desk_at(redis_url, attempts=1) as desk:
        yield desk


async def unheard(desk: Desk, claim: Claim) -> None:
    """Nothing that this claim's worker says takes effect."""
    with pytest.raises(StaleLease):
        await desk.queue.complete(claim, done(claim), [("SET", "planted", "1")])
    assert ["stale"] == await desk.queue.beat([claim])
    assert 0 == await desk.client.do("EXISTS", "planted")


async def test_a_job_called_back_is_first_in_its_line_again(desk: Desk) -> None:
    """It costs no attempt, and the worker that had it is not heard."""
    await desk.submit(job("a1"), job("a2"))
    claim = await desk.one()

    assert [True, False] == [await desk.queue.recall(name) for name in ("a1", "a2")]
    await unheard(desk, claim)
    again = await desk.one()
    assert ("a1", 1) == (again.job.id, again.attempt)
    await desk.queue.complete(again, done(again))
    assert ["a2"] == await desk.serve()
    assert set() == await desk.left()


async def test_a_running_job_is_forgotten_if_that_is_said(desk: Desk) -> None:
    """Without a word; the next of its conversation goes on."""
    await desk.submit(job("a1"), job("a2"))
    claim = await desk.one()

    assert True is await desk.queue.drop("a1", running=True)
    await unheard(desk, claim)
    assert [] == await desk.replies()
    assert ["a2"] == await desk.serve()
    assert set() == await desk.left()
