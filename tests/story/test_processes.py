"""How processes live and die: real Redis, a real worker process (with a model that only echoes), kills in between."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from bots import up
from bots.assemble import Parts, parts
from core import config
from core.delivery import Delivery
from core.events import Kind, Message, Person, Place
from core.intake import Intake
from core.settings import Settings
from core.store import server
from tests.fakes.outlet import Shelf

ME, HERE = Person("console:local:me", "Ann"), Place("console", "local", "me", kind=Kind.DM)
TALK = "console:local|mira|console:local:me"


@pytest.fixture
async def house(home: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Settings]:
    """Settings of a home of its own, whose worker echoes slowly; everything is stopped at the end."""
    monkeypatch.setenv("LIMEN_TESTING", "1")
    monkeypatch.setenv("LIMEN_MODEL__REF", "echo:0.03x40")
    monkeypatch.delenv("REDIS_URL", raising=False)
    settings = config.load(os.environ, home=home)
    try:
        yield settings
    finally:
        await up.down(settings)


@asynccontextmanager
async def talking(settings: Settings) -> AsyncIterator[tuple[Parts, Intake, Shelf]]:
    """A terminal, without its screen: everything up and kept up, replies on a shelf."""
    url = await up.ensure_redis(settings)
    async with parts(settings, url) as p:
        shelf, intake = Shelf(), Intake(p.engine(settle=False).handle)
        delivery = Delivery(p.client, p.ledger, shelf, "console:local")
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(work)
                for work in (up.keep_up(settings, url, pause=0.05), intake.run(), delivery.run())
            ]
            yield p, intake, shelf
            for task in tasks:
                task.cancel()
        await delivery.release()  # as `limen chat` does; else the next terminal waits for the lease to end


def say(text: str, number: int = 1) -> Message:
    return Message(id=f"m{number}", account="console:local", place=HERE, author=ME, time=time.time(), text=text)


async def living_worker(settings: Settings) -> int:
    async with asyncio.timeout(30):
        while up.worker_pid(settings.home) <= 0:
            await asyncio.sleep(0.02)
    return up.worker_pid(settings.home)


async def test_a_worker_killed_in_mid_reply_costs_nobody_a_reply(house: Settings) -> None:
    """Another takes the job over at once; the reply arrives once, and whole."""
    async with talking(house) as (_, intake, shelf):
        await intake.put(say("hello"))
        await shelf.wait(lambda: shelf.drafts)
        first = await living_worker(house)
        os.kill(first, signal.SIGKILL)
        await shelf.wait(lambda: shelf.finals)

        assert first != up.worker_pid(house.home)
        assert 1 == len(shelf.finals)
        assert shelf.finals[0].text.startswith("I heard 1 lines. You said: hello")
        assert 2 <= len({attempt for _, attempt in shelf.drafts})
        assert [] == shelf.failures


async def test_a_redis_killed_in_mid_reply_loses_nothing(house: Settings) -> None:
    """It is started again, the reply arrives, and the talk goes on with all that was said."""
    async with talking(house) as (p, intake, shelf):
        await intake.put(say("hello", 1))
        await shelf.wait(lambda: shelf.drafts)
        info = await asyncio.to_thread(server.running, house.home)
        assert info
        os.kill(info.pid, signal.SIGKILL)
        await shelf.wait(lambda: shelf.finals)
        await intake.put(say("again", 2))
        await shelf.wait(lambda: len(shelf.finals) == 2)

        assert shelf.finals[1].text.startswith("I heard 2 lines. You said: again")
        assert 4 == len(await p.conversations.last(TALK, 10))
        assert [] == shelf.failures


async def test_what_was_said_is_still_known_after_down_and_up(house: Settings) -> None:
    """State lives in the home, not in processes."""
    async with talking(house) as (_, intake, shelf):
        await intake.put(say("my name is Ann", 1))
        await shelf.wait(lambda: shelf.finals)

    assert ["the worker", "Redis"] == await up.down(house)
    assert (0, None) == (up.worker_pid(house.home), await asyncio.to_thread(server.running, house.home))

    async with talking(house) as (_, intake, shelf):
        await intake.put(say("who am I?", 2))
        await shelf.wait(lambda: shelf.finals)

        assert shelf.finals[0].text.startswith("I heard 2 lines.")


async def test_two_who_start_at_once_start_one_worker(house: Settings) -> None:
    """The second finds the lock taken and leaves quietly."""
    url = await up.ensure_redis(house)
    children = [await asyncio.to_thread(up.start_worker, house) for _ in range(2)]
    async with asyncio.timeout(30):
        while all(child.poll() is None for child in children):
            await asyncio.sleep(0.02)
    alive = await living_worker(house)

    assert [0] == [child.poll() for child in children if child.poll() is not None]
    assert alive in [child.pid for child in children]
    assert url


async def test_an_idle_worker_goes_and_takes_redis_with_it(house: Settings) -> None:
    """Nobody talks: nothing is left running."""
    house = replace(house, worker=replace(house.worker, idle_minutes=0.005))
    await up.ensure_redis(house)
    child = await asyncio.to_thread(up.start_worker, house)
    async with asyncio.timeout(30):
        while child.poll() is None:
            await asyncio.sleep(0.02)

    assert 0 == child.poll()
    assert await asyncio.to_thread(server.running, house.home) is None


async def test_a_worker_that_cannot_start_says_why(house: Settings) -> None:
    """The reason reaches whoever waits for it, with the next step."""
    house = replace(house, model=replace(house.model, ref="/no/such/model"))
    told: list[str] = []
    url = await up.ensure_redis(house)
    keeper = asyncio.create_task(up.keep_up(house, url, told.append, pause=0.05))
    async with asyncio.timeout(60):
        while not told:
            await asyncio.sleep(0.02)
    keeper.cancel()

    assert "there is no model folder /no/such/model" in told[0]
    assert "→" in told[0]
