"""How nights live and die: real Redis, real workers and their children (the model only echoes), kills in between."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from bots import up
from bots.assemble import Parts, parts
from bots.collisions import ROOT
from core import config
from core.events import Kind, Person, PersonaKey, Place
from core.nights import Outcome
from core.settings import Settings
from core.store.ledger import Record, Told
from core.store.nights import RUN
from tests.fakes.jobs import until
from worker.names import is_dead

MIRA = PersonaKey("console:local", "mira", "console:local:user:me")
HERE = Place("console", "local", "me", kind=Kind.DM)
QUICK, ENDLESS = "echo:0.01x10", "echo:1x10000"  # how long a night takes


@pytest.fixture
def _testing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMEN_TESTING", "1")
    monkeypatch.delenv("REDIS_URL", raising=False)


@pytest.fixture
async def house(home: Path, _testing: None) -> AsyncIterator[Settings]:
    """Settings of a home of its own; everything is stopped at the end."""
    settings = config.load(os.environ, home=home)
    try:
        yield settings
    finally:
        await up.down(settings)


def paced(settings: Settings, ref: str) -> Settings:
    """Their nights, and replies, take so long."""
    return replace(settings, model=replace(settings.model, ref=ref))


@pytest.fixture
async def p(house: Settings) -> AsyncIterator[Parts]:
    """A home in which mira has spoken, and no night ever was: one has been missed."""
    async with parts(house, await up.ensure_redis(house)) as p:
        record = Record(
            id="r1", persona=MIRA, conversation=MIRA.conversation(HERE), place=HERE, author=Person("console:local:me"),
            answers=("m1",), time=time.time(), text="Aye", sections=(), roles=(),
        )  # fmt: skip
        await p.ledger.keep(record, [Told("user", "hello")])
        yield p


async def kept(p: Parts) -> bool:
    return bool(await p.nights.of(MIRA)) and await p.nights.last_success() > 0


async def learner(p: Parts) -> str:
    """The process that is at mira's night."""
    await until(lambda: _at_it(p), 60)
    return await p.nights.holder(str(MIRA))


async def _at_it(p: Parts) -> bool:
    return bool(await p.nights.holder(str(MIRA)))


async def gone(holder: str) -> None:
    async with asyncio.timeout(30):
        while not is_dead(holder):
            await asyncio.sleep(0.02)


async def test_a_missed_night_is_made_up_for_once_by_two_workers(p: Parts, house: Settings, homes: Path) -> None:
    """Two machines on one Redis: one of them runs it, its result is kept, and neither runs it again."""
    shared = replace(paced(house, QUICK), redis_url=p.client.url)
    both = [replace(shared, home=homes / f"two-{number}") for number in range(2)]
    children = [await asyncio.to_thread(up.start_worker, one) for one in both]
    try:
        await until(lambda: kept(p), 60)
        await until(lambda: _ready(p, 2), 60)
        assert [None, None] == [child.poll() for child in children]
    finally:
        for one in both:
            await up.down(one)

    (night,) = await p.nights.of(MIRA)
    assert (Outcome.UNDECIDED, "mira") == (night.outcome, night.persona.card)
    assert 1 == sum((one.home / "night.log").exists() for one in both)
    assert ("", "") == (await p.nights.holder(RUN), await p.nights.holder(str(MIRA)))


async def _ready(p: Parts, count: int) -> bool:
    return count == [about["state"] for about in (await p.presence.workers()).values()].count("ready")


async def test_a_worker_that_is_killed_takes_its_night_with_it(p: Parts, house: Settings) -> None:
    """No orphan trains on; what it held is the next worker's at once, and the night is made up for."""
    worker = await asyncio.to_thread(up.start_worker, paced(house, ENDLESS))
    first = await learner(p)
    assert f":{worker.pid}:" not in first
    os.kill(worker.pid, signal.SIGKILL)
    await gone(first)
    assert [] == await p.nights.of(MIRA)

    await until(lambda: _ended(worker), 60)
    await asyncio.to_thread(up.start_worker, paced(house, QUICK))
    await until(lambda: kept(p), 60)
    assert 1 == len(await p.nights.of(MIRA))


async def _ended(worker: up.Child) -> bool:
    return worker.poll() == -signal.SIGKILL


async def test_down_ends_a_night(p: Parts, house: Settings) -> None:
    """The child gives back what it holds; nothing is kept, and the night is still due."""
    shared = replace(paced(house, ENDLESS), redis_url=p.client.url)  # a Redis that stays
    await asyncio.to_thread(up.start_worker, shared)
    child = await learner(p)
    await up.down(shared)
    await gone(child)

    assert ("", "") == (await p.nights.holder(RUN), await p.nights.holder(str(MIRA)))
    assert (0.0, []) == (await p.nights.last_success(), await p.nights.of(MIRA))


async def test_a_night_that_is_killed_is_known_and_its_worker_lives_on(p: Parts, house: Settings) -> None:
    """Out of memory, say: `limen night status` tells, and people are still answered."""
    worker = await asyncio.to_thread(up.start_worker, paced(house, ENDLESS))
    child = await learner(p)
    os.kill(int(child.rsplit(":", 2)[1]), signal.SIGKILL)
    await until(lambda: _told(p), 60)

    last = await p.nights.last()
    assert last
    assert "was ended by signal 9" in last.trouble
    assert 0.0 == await p.nights.last_success()
    assert worker.poll() is None


async def _told(p: Parts) -> bool:
    return await p.nights.last() is not None


async def test_a_night_by_hand_ends_at_ctrl_c(p: Parts, house: Settings) -> None:
    """At once, whatever it computes; what it held is free, and the status says so."""
    environ = {**os.environ, **config.as_variables(paced(house, ENDLESS))}
    argv = [sys.executable, "-m", "bots", "--home", str(house.home), "night", "--now"]
    process = await asyncio.create_subprocess_exec(*argv, cwd=ROOT, env=environ, stderr=asyncio.subprocess.PIPE)
    await learner(p)
    process.send_signal(signal.SIGINT)
    _, said = await process.communicate()

    assert (130, True) == (process.returncode, b"Stopped." in said)
    assert ("", "") == (await p.nights.holder(RUN), await p.nights.holder(str(MIRA)))
    assert await p.nights.last() is None


async def test_an_idle_worker_does_not_go_while_a_night_lasts(p: Parts, house: Settings) -> None:
    """Nobody talks, but somebody learns; then it goes."""
    shared = replace(paced(house, "echo:0.1x20"), redis_url=p.client.url)
    idle = replace(shared, worker=replace(shared.worker, idle_minutes=0.002))
    worker = await asyncio.to_thread(up.start_worker, idle)
    async with asyncio.timeout(60):
        while worker.poll() is None:
            await asyncio.sleep(0.02)

    assert 0 == worker.poll()
    assert 1 == len(await p.nights.of(MIRA))


async def test_a_worker_of_nights_alone_serves_nobody(p: Parts, house: Settings) -> None:
    """It makes the night, and is not taken for one that answers; told to end, it leaves."""
    environ = {**os.environ, **config.as_variables(paced(house, QUICK))}
    argv = [sys.executable, "-m", "bots", "--home", str(house.home), "worker", "--nights"]
    process = await asyncio.create_subprocess_exec(*argv, cwd=ROOT, env=environ)
    try:
        await until(lambda: kept(p), 60)
        await until(lambda: _trainers(p), 60)
        assert {} == await p.presence.workers()
        assert up.worker_pid(house.home, up.NIGHTS) == process.pid
        assert 0 == up.worker_pid(house.home)
    finally:
        stopped = await up.down(replace(house, redis_url=p.client.url))

    assert (["the worker of nights"], 0) == (stopped, await process.wait())
    assert {} == await p.presence.trainers()


async def _trainers(p: Parts) -> bool:
    return bool(await p.presence.trainers())
