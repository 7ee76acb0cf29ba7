"""What must not be broken off is finished, but not for ever; what only waits is broken off at once."""

import asyncio

import pytest

from adapters.slack import work
from adapters.slack.work import Work


async def begun(of: Work, go_on: asyncio.Event, said: list[str]) -> asyncio.Task[None]:
    """Something that is under way until it may go on."""
    started = asyncio.Event()

    async def saying() -> None:
        started.set()
        await go_on.wait()
        said.append("said")

    task = asyncio.create_task(of.unbroken(saying()))
    await started.wait()
    return task


async def waiting(of: Work, seconds: float, said: list[str]) -> None:
    """Something that has to wait before it can be said."""
    await of.pause(seconds)
    said.append("said")


async def test_what_was_begun_is_finished_though_we_are_told_to_stop():
    """And whoever told us so knows that it is."""
    go_on, said = asyncio.Event(), list[str]()
    task = await begun(Work("slack:us"), go_on, said)
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    await asyncio.wait([task])
    assert (["said"], True) == (said, task.cancelled())


async def test_what_takes_too_long_then_is_never_said(monkeypatch: pytest.MonkeyPatch):
    """Another may carry it by that time, and would say it a second time."""
    monkeypatch.setattr(work, "GRACE", 0.01)
    of, go_on, said = Work("slack:us"), asyncio.Event(), list[str]()
    task = await begun(of, go_on, said)
    task.cancel()
    await asyncio.wait([task])
    go_on.set()
    await of.finish()
    assert [] == said


async def test_whoever_only_waits_stops_at_once():
    """Nothing is under way, and what was to come is another's."""
    of, said = Work("slack:us"), list[str]()
    task = asyncio.create_task(of.unbroken(waiting(of, 60.0, said)))
    await asyncio.sleep(0)  # it begins
    await asyncio.sleep(0)  # and waits
    task.cancel()
    async with asyncio.timeout(2):
        await asyncio.wait([task])
    assert ([], True, set()) == (said, task.cancelled(), of._tasks)


@pytest.mark.parametrize("seconds", [60.0, 0.0])
async def test_what_was_under_way_when_we_are_told_to_stop_goes_no_further(seconds: float):
    """It comes to its end; whether there is something to wait for then, or nothing, no more is begun."""
    of, go_on, said = Work("slack:us"), asyncio.Event(), list[str]()
    started = asyncio.Event()

    async def refused() -> None:
        started.set()
        await go_on.wait()
        said.append("busy")
        await waiting(of, seconds, said)

    task = asyncio.create_task(of.unbroken(refused()))
    await started.wait()
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    async with asyncio.timeout(2):
        await asyncio.wait([task])
    assert (["busy"], True) == (said, task.cancelled())


async def test_in_the_end_only_short_waits_are_waited_for():
    """A note that Slack takes in a moment is still heard; nobody waits for one that it takes in a minute."""
    of, said, late = Work("slack:us"), list[str](), list[str]()
    of.beside(waiting(of, 0.01, said))
    of.beside(waiting(of, 60.0, late))
    await asyncio.sleep(0)
    async with asyncio.timeout(2):
        await of.finish()
    assert (["said"], []) == (said, late)
