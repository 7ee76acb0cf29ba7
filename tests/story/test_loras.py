"""Personas with LoRAs of their own, through real parts: Redis, composing, our engine over a tiny model, delivery."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from core.engine import Outcome
from core.events import PersonaKey
from core.jobs import BASE
from tests.fakes.engines import engine
from tests.fakes.house import ANN, BOT, OTHER_SERVER, House, house_at, quick, say
from tests.fakes.loras import TINY, weights
from worker.compose import Composer
from worker.echo import Echo
from worker.engine import Engine
from worker.generator import Finished, Piece
from worker.lora.files import Weights
from worker.serve import Server

MIRA = PersonaKey(BOT, "mira", "discord:77:channel:room")
ROOMY = 16_384  # tokens of context: with a byte tokenizer, cards are long
LORAS = {v: weights(TINY, 4, seed=number, version=v) for number, v in enumerate(("one/1", "two/1", "two/2"))}


class Watched:
    """An engine that remembers who was in a batch together; it begins when `expected` requests are there."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.expected, self.together = engine, 0, set[frozenset[str]]()

    def __getattr__(self, name: str) -> object:
        return getattr(self.engine, name)

    def step(self) -> list[Piece | Finished]:
        if self.engine.active < self.expected:
            return []
        self.expected = 0
        self.together.add(frozenset(row.request.id.partition(":")[0] for row in self.engine._rows))
        return self.engine.step()


class Faulty(Echo):
    """It cannot load two."""

    def faults(self) -> dict[str, str]:
        return {"one/2": "cut short", "one/7": "NaN"}


@pytest.fixture
async def house(redis_url: str) -> AsyncIterator[House]:
    async with house_at(redis_url, quick()) as house:
        yield house


def model(loras: dict[str, Weights]) -> Watched:
    return Watched(engine(loras, room=2 * ROOMY, context=ROOMY))


async def both(house: House) -> tuple[Outcome, Outcome]:
    """Two rooms, each with a persona of its own, are spoken in at once."""
    there = msgspec.structs.replace(ANN, id="discord:88:ann")
    return (
        await house.engine.on_message(say("hello", 1)),
        await house.engine.on_message(say("hello", 2, there, OTHER_SERVER)),
    )


async def personas(house: House, watched: Watched) -> tuple[PersonaKey, PersonaKey]:
    """Both have said something, with the base."""
    async with house.at_work(watched):  # type: ignore[arg-type]
        first, second = [await house.answer(outcome) for outcome in await both(house)]
    assert [BASE, BASE] == [first.lora_version, second.lora_version]
    return first.persona, second.persona


async def test_two_personas_with_different_loras_stream_at_once(house: House) -> None:
    """In one batch, and each reply is on record with the version that spoke."""
    watched = model(LORAS)
    one, two = await personas(house, watched)
    await house.p.loras.promote(one, "one/1", "command")
    await house.p.loras.promote(two, "two/1", "command")
    outcomes = [
        await house.engine.on_message(say("who are you?", 3)),
        await house.engine.on_message(
            say("who are you?", 4, msgspec.structs.replace(ANN, id="discord:88:ann"), OTHER_SERVER)
        ),
    ]
    watched.expected = 2
    async with house.at_work(watched):  # type: ignore[arg-type]
        done = [await house.answer(outcome) for outcome in outcomes]

    assert ["one/1", "two/1"] == [reply.lora_version for reply in done]
    assert ["one/1", "two/1"] == [(await house.entry(reply.reply_id)).record.lora_version for reply in done]
    assert frozenset(reply.job for reply in done) in watched.together


async def test_a_promotion_counts_from_the_next_reply_and_a_rollback_too(house: House) -> None:
    """No restart of anything."""
    watched = model(LORAS)
    _, two = await personas(house, watched)
    versions = []
    async with house.at_work(watched):  # type: ignore[arg-type]
        for number, change in enumerate(("two/1", "two/2", "")):
            await (house.p.loras.promote(two, change, "night") if change else house.p.loras.rollback(two))
            there = msgspec.structs.replace(ANN, id="discord:88:ann")
            done = await house.answer(await house.engine.on_message(say("and now?", 10 + number, there, OTHER_SERVER)))
            versions.append(done.lora_version)

    assert ["two/1", "two/2", "two/1"] == versions


async def test_a_version_that_is_gone_is_told_of_and_an_earlier_one_speaks(house: House) -> None:
    """Until it can be loaded again."""
    watched = model({"one/1": LORAS["one/1"]})
    one, _ = await personas(house, watched)
    await house.p.loras.promote(one, "one/1", "night")
    await house.p.loras.promote(one, "one/2", "night")
    async with house.at_work(watched):  # type: ignore[arg-type]
        (done,) = await house.talk(say("who are you?", 3))
        async with asyncio.timeout(15):
            while not (faults := await house.p.loras.faults()):
                await asyncio.sleep(0.02)

    assert "one/1" == done.lora_version
    assert [("one/2", "there is no one/2")] == [(fault.version, fault.reason) for fault in faults]


async def test_a_fault_that_stands_is_told_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is forgotten after a day, for what somebody is to speak with; of the rest it was said once."""
    p = house.p
    await p.loras.promote(MIRA, "one/1", "night")
    await p.loras.canary(MIRA, "one/2", 0.5)
    echo = Faulty()
    composer = Composer(p.conversations, p.ledger, p.personas, p.loras, echo, p.growth)
    server, said = Server(p.client, p.queue, composer, echo, 4, {}), list[tuple[str, str]]()

    async def faulty(version: str, reason: str) -> None:
        said.append((version, reason))

    monkeypatch.setattr(server._loras, "faulty", faulty)
    for _ in range(3):
        await server._tell_faults()
    assert [("one/2", "cut short"), ("one/7", "NaN")] == sorted(said)
    said.clear()
    monkeypatch.setattr("worker.serve.RETELL", -1.0)
    await server._tell_faults()
    assert [("one/2", "cut short")] == said


async def test_what_a_worker_could_not_load_is_forgotten_when_its_successor_speaks_with_it(house: House) -> None:
    """As after `lora.rank` was raised, which asks for a new worker. What nobody has spoken with is still known."""
    watched = model(LORAS)
    one, _ = await personas(house, watched)
    await house.p.loras.promote(one, "one/1", "night")
    for version in ("one/1", "one/9"):
        await house.p.loras.faulty(version, "it has rank 16, and the slots hold up to 8")
    async with house.at_work(watched):  # type: ignore[arg-type]
        (done,) = await house.talk(say("who are you?", 3))
        async with asyncio.timeout(15):
            while len(faults := await house.p.loras.faults()) > 1:
                await asyncio.sleep(0.02)

    assert ("one/1", ["one/9"]) == (done.lora_version, [fault.version for fault in faults])
