"""What must not be broken off is finished, but not for ever."""

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
