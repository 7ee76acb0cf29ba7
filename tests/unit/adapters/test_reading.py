"""adapters/reading: what must be asked about holds up its own channel, and no other."""

import asyncio
from collections.abc import Sequence
from functools import partial

import pytest

from adapters.reading import Asking, Reading
from core.events import AnyEvent, Message, Person, Place


class Desk:
    """Payloads are (channel, text); what is said in `slow` wants something to be asked, which takes until `go`."""

    def __init__(self) -> None:
        self.go, self.asked, self.fails = asyncio.Event(), 0, False
        self.full: list[int] = []
        self.reading: Reading[tuple[str, str]] = Reading(
            self.read, self.lacks, lambda raw: raw[0], lambda refused: self.full.append(refused)
        )

    def read(self, raw: tuple[str, str]) -> Sequence[AnyEvent]:
        channel, text = raw
        place = Place("test", "w", channel)
        return [Message(id=text, account="test:b", place=place, author=Person("a"), time=1.0, text=text)]

    def lacks(self, raw: tuple[str, str]) -> Asking | None:
        return None if raw[0] != "slow" or self.go.is_set() else partial(self.ask)

    async def ask(self) -> None:
        self.asked += 1
        if self.fails:
            raise ValueError("a fault")
        await self.go.wait()


async def told(desk: Desk, into: list[str]) -> None:
    """Until the end."""
    async for event in desk.reading.events():
        assert isinstance(event, Message)
        into.append(event.text)


async def test_a_channel_that_is_asked_about_holds_up_no_other() -> None:
    """And keeps its order: what comes later is told later, whether or not it lacks anything."""
    desk, heard = Desk(), list[str]()
    for raw in (("slow", "s1"), ("quick", "q1"), ("slow", "s2"), ("quick", "q2")):
        desk.reading.put(raw)
    task = asyncio.create_task(told(desk, heard))
    while len(heard) < 2 or not desk.asked:
        await asyncio.sleep(0)
    assert heard == ["q1", "q2"]
    desk.reading.put(("slow", "s3"))
    desk.go.set()
    desk.reading.put(("slow", "s4"))
    desk.reading.end()
    await task
    assert heard == ["q1", "q2", "s1", "s2", "s3", "s4"]
    assert desk.asked == 1


async def test_what_comes_after_the_end_is_told_when_it_is_asked_for() -> None:
    """Nothing that came is lost."""
    desk, heard = Desk(), list[str]()
    desk.reading.put(("quick", "q1"))
    desk.reading.end()
    desk.reading.put(("quick", "q2"))
    await told(desk, heard)
    assert heard == ["q1"]
    desk.reading.end()
    await told(desk, heard)
    assert heard == ["q1", "q2"]


async def test_a_fault_while_asking_is_no_silence() -> None:
    """It is raised: whoever keeps the bot alive begins anew."""
    desk = Desk()
    desk.fails = True
    desk.reading.put(("slow", "s1"))
    desk.reading.end()
    with pytest.raises(ValueError, match="a fault"):
        async with asyncio.timeout(5):
            await told(desk, [])


async def test_no_more_wait_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is beyond is not taken, which is said once and summed up when half of them are gone; what was asked about
    needs no room."""
    monkeypatch.setattr("adapters.reading.WAITING", 4)
    desk, heard = Desk(), list[str]()
    events = desk.reading.events()
    assert [True] * 4 + [False] * 2 == [desk.reading.put(("slow" if n < 2 else "quick", str(n))) for n in range(6)]
    assert [0] == desk.full

    async def next_one() -> None:
        event = await anext(events)
        assert isinstance(event, Message)
        heard.append(event.text)

    await next_one()
    assert ["2"] == heard
    assert [0, 2] == desk.full
    assert [True] * 3 + [False] == [desk.reading.put(("quick", str(n))) for n in range(6, 10)]
    desk.go.set()
    while len(heard) < 7:
        await next_one()
    await events.aclose()
    assert ["2", "3", "6", "7", "8", "0", "1"] == heard
    assert [0, 2, 0, 1] == desk.full
