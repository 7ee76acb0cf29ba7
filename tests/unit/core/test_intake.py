"""core/intake: in order and in batches; whoever waits hears in time that Redis is away, and the rest is kept for it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import pytest

from core import intake
from core.engine import Act, Outcome
from core.errors import CardError, StoreError, StoreFull, StoreUnreachable
from core.events import AnyEvent, Deletion, Edit, Message, Person, Place, Reaction
from core.intake import Intake

ANN = Person("test:ann", "Ann")
COMMON = {"account": "test:b", "place": Place("test", "w", "c"), "author": ANN, "time": 1.0}


def said(name: str) -> Message:
    """Somebody waits for this."""
    return Message(id=name, **COMMON, text="hello")


def felt(name: str) -> Reaction:
    """Nobody waits for that, nor for the next two."""
    return Reaction(id=name, **COMMON, message_id="m", emoji="👍")


def edited(name: str) -> Edit:
    return Edit(id=name, **COMMON, message_id="m", text="hello")


def deleted(name: str) -> Deletion:
    return Deletion(id=name, **COMMON, message_id="m")


class Engine:
    """Takes events while Redis is there; not those whose card is broken, and not what Redis itself refuses."""

    def __init__(self, patience: float, away: StoreError | None = None) -> None:
        self.away: StoreError | None = away or StoreUnreachable("gone")
        self.taken, self.tries = list[str](), 0
        self.intake = Intake(self.handle, patience)

    async def handle(self, events: Sequence[AnyEvent]) -> list[Outcome]:
        self.tries += 1
        if self.away:
            raise self.away
        if any(event.id.startswith("bad") for event in events):
            raise CardError("broken")
        if any(event.id.startswith("wrong") for event in events):
            raise StoreError("WRONGTYPE")
        self.taken += [event.id for event in events]
        return [Outcome(act=Act.HEARD) for _ in events]


@asynccontextmanager
async def running(engine: Engine) -> AsyncIterator[None]:
    """Its intake runs."""
    task = asyncio.create_task(engine.intake.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_what_nobody_waits_for_is_kept_until_redis_is_back() -> None:
    """In order, together with what comes then. Whoever offered it is told that it is kept, and goes on."""
    engine = Engine(patience=0.05)
    async with running(engine):
        kept = [engine.intake.offer(one) for one in (felt("1"), edited("2"), deleted("3"))]
        assert [Act.KEPT] * 3 == [(await one).act for one in kept]
        tries = engine.tries
        while engine.tries < tries + 2:  # for as long as it takes
            await asyncio.sleep(0.01)
        fresh = [engine.intake.offer(one) for one in (said("4"), felt("5"))]
        engine.away = None
        assert [Act.HEARD] * 2 == [(await one).act for one in fresh]
    assert ["1", "2", "3", "4", "5"] == engine.taken


async def test_nobody_waits_longer_for_what_came_before() -> None:
    """Neither for what is kept nor for others who wait: each hears when their own patience is over, however many."""
    engine = Engine(patience=0.3)
    loop = asyncio.get_running_loop()
    async with running(engine):
        engine.intake.offer(felt("1"))
        first = [engine.intake.offer(said(f"a{n}")) for n in range(2 * intake.MOST)]
        await asyncio.sleep(0.2)
        began = loop.time()
        later = [engine.intake.offer(said(f"b{n}")) for n in range(2 * intake.MOST)]
        for one in (*first, *later):
            with pytest.raises(StoreUnreachable):
                await one
        took = loop.time() - began
        engine.away = None
        await engine.intake.put(said("c"))
    assert 0.3 <= took < 0.3 + 2 * intake.LAST_PAUSE
    assert ["1", "c"] == engine.taken


async def test_no_more_are_kept_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The oldest are lost, also of many who lose patience at once; whoever says something is told. The log counts."""
    monkeypatch.setattr(intake, "KEPT", 2)
    engine = Engine(patience=0.0)
    async with running(engine):
        for name in "12":
            await engine.intake.put(felt(name))
        for one in [engine.intake.offer(felt(name)) for name in "345"]:
            await one
        with pytest.raises(StoreUnreachable):
            await engine.intake.put(said("6"))
        engine.away = None
        await engine.intake.put(said("7"))
        engine.away = StoreUnreachable("gone")
        await engine.intake.put(felt("8"))
    assert ["4", "5", "7"] == engine.taken
    logged = [row.getMessage() for row in caplog.records]
    kept = "reactions, edits and deletions are kept until Redis takes them: gone"
    assert [
        kept,
        "more than 2 reactions, edits and deletions are kept: the oldest are lost",
        "Redis is back: 3 reactions, edits and deletions were lost",
        kept,
        "1 reactions, edits and deletions were kept, and end with this process",
    ] == logged


async def test_what_was_kept_and_cannot_be_taken_holds_up_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody is there any more to be told: the log is."""
    engine = Engine(patience=0.0)
    async with running(engine):
        for name in ("1", "bad", "2"):
            await engine.intake.put(edited(name))
        engine.away = None
        await engine.intake.put(said("3"))
    assert ["1", "2", "3"] == engine.taken
    assert "an event that was kept could not be taken (bad): broken" in caplog.text


@pytest.mark.parametrize("error", [StoreError("READONLY You can't write"), StoreFull("its disk is full")])
async def test_a_redis_that_can_write_nothing_is_away_for_what_is_kept(
    error: StoreError, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also before it is kept. Whoever says something hears at once what is wrong, also behind much that is kept."""
    monkeypatch.setattr(intake, "MOST", 2)
    monkeypatch.setattr(intake, "LAST_PAUSE", 0.05)
    engine = Engine(1.0, error)
    async with running(engine):
        await asyncio.gather(*(engine.intake.offer(felt(name)) for name in "123"))
        fresh = engine.intake.offer(felt("4"))
        for name in "567":  # however often Redis is asked
            with pytest.raises(type(error)):
                await engine.intake.put(said(name))
        engine.away = None
        await engine.intake.put(said("8"))
        await fresh
    assert ["1", "2", "3", "4"] == [name for name in engine.taken if name != "8"]


async def test_what_redis_refuses_alone_is_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It holds up nobody, even where there is much of it; and it is tried a few times while others are taken."""
    monkeypatch.setattr(intake, "MOST", 2)
    monkeypatch.setattr(intake, "LAST_PAUSE", 0.05)
    engine = Engine(patience=1.0)
    async with running(engine):
        await asyncio.gather(*(engine.intake.offer(felt(name)) for name in ("wrong1", "1", "wrong2", "wrong3", "2")))
        engine.away = None
        for number in range(3 * intake.REFUSALS):
            await engine.intake.put(said(f"a{number}"))
    assert ["1", "2"] == [name for name in engine.taken if not name.startswith("a")]
    for name in ("wrong1", "wrong2", "wrong3"):
        assert f"an event that was kept could not be taken ({name}): WRONGTYPE" in caplog.text
