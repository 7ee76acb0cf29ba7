"""core/lanes: order within a key, none between keys, never too much at once."""

import asyncio

import pytest

from core.lanes import Lanes


class Work:
    """Things of a key that begins with `slow` wait until `go`."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.together: list[list[str]] = []
        self.go = asyncio.Event()

    async def __call__(self, things: list[str]) -> None:
        if things[0].startswith("slow"):
            await self.go.wait()
        await asyncio.sleep(0)
        self.together.append(things)
        self.done += things


async def test_a_slow_lane_holds_up_only_its_own() -> None:
    """What waits in it is done together, in order, when its turn comes."""
    work = Work()
    lanes = Lanes(work, 100)
    for thing in ("slow1", "quick1", "slow2", "quick2", "slow3"):
        await lanes.put(thing[:4], thing)
    while len(work.done) < 2:
        await asyncio.sleep(0)
    assert work.done == ["quick1", "quick2"]
    assert lanes.busy("slow")
    work.go.set()
    await lanes.none()
    assert work.done == ["quick1", "quick2", "slow1", "slow2", "slow3"]
    assert work.together[-1][-1] == "slow3"
    assert not lanes.busy("slow")


async def test_there_is_never_more_than_the_window() -> None:
    """Whoever puts waits; a lane that has been emptied leaves nothing behind."""
    work = Work()
    lanes = Lanes(work, 3)
    for number in range(3):
        await lanes.put("slow", f"slow{number}")
    putting = asyncio.create_task(lanes.put("quick", "quick"))
    await asyncio.sleep(0.01)
    assert not putting.done()
    work.go.set()
    await putting
    await lanes.none()
    assert work.done == ["slow0", "slow1", "slow2", "quick"]
    assert lanes._lanes == {}


async def test_an_error_is_raised_and_the_others_go_on() -> None:
    """It is not lost, and what the lane still held is not waited for."""

    async def work(things: list[str]) -> None:
        if "bad" in things:
            raise ValueError("no")

    lanes = Lanes(work, 100)
    for thing in ("bad", "good"):
        await lanes.put(thing, thing)
    with pytest.raises(ValueError, match="no"):
        await lanes.trouble()
    await lanes.none()
    await lanes.close()


async def test_closing_breaks_off_what_goes_on() -> None:
    """And waits until it is gone."""
    work = Work()
    lanes = Lanes(work, 100)
    await lanes.put("slow", "slow")
    await asyncio.sleep(0)
    await lanes.close()
    work.go.set()
    await asyncio.sleep(0)
    assert work.done == []
