"""Forgetting reaches the weights: a LoRA with somebody's rows speaks no more, not even in a reply being written."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from core.events import Line, PersonaKey
from core.jobs import BASE
from core.store import keys
from core.store.conversations import IDLE
from core.store.loras import Made, common, family
from tests.fakes.engines import engine
from tests.fakes.house import ANN, BOB, BOT, DM, ROOM, House, house_at, quick, say
from tests.fakes.loras import TINY, weights
from worker.echo import Echo
from worker.generator import Finished, Generator, Piece, Request

MIRA = PersonaKey(BOT, "mira", "discord:77:channel:room")
ALONE = PersonaKey(BOT, "mira", "discord:77:user:ann")
CLEAN, TAINTED = (f"{family(MIRA)}/20261126-{number}" for number in (1, 2))


@pytest.fixture
async def house(redis_url: str) -> AsyncIterator[House]:
    async with house_at(redis_url, quick()) as house:
        for version, person in ((CLEAN, BOB), (TAINTED, ANN)):
            await house.p.loras.made(version, Made(str(MIRA)), [person.id])
            await house.p.loras.promote(MIRA, version, "night")
        yield house


def tiny() -> Generator:
    """Our engine, with both LoRAs at hand."""
    made = {version: weights(TINY, 4, seed=n, version=version) for n, version in enumerate((CLEAN, TAINTED))}
    return engine(made, room=32_768, context=16_384)


async def test_the_lora_of_who_is_forgotten_speaks_no_more(house: House) -> None:
    """The one before does, though the worker has both in memory; nobody else's LoRA changes."""
    async with house.at_work(tiny()):
        (before,) = await house.talk(say("who are you?", 1, BOB))
        went = await house.p.privacy.forget(ANN.id)
        (after,) = await house.talk(say("and now?", 2, BOB))
        await house.p.privacy.forget(BOB.id)
        (last,) = await house.talk(say("and now?", 3, ANN))

    assert [TAINTED, CLEAN, BASE] == [done.lora_version for done in (before, after, last)]
    assert 1 == went["LoRAs"]


class Held(Echo):
    """Speaks with the first LoRA that it is asked for, and for others not before it may."""

    def __init__(self, held: str) -> None:
        super().__init__(delay=0.01)
        self.held, self.asked = held, list[tuple[str, ...]]()

    def add(self, request: Request) -> None:
        self.asked.append(request.loras)
        super().add(request)

    def step(self) -> list[Piece | Finished]:
        return [] if self.asked[-1][:1] == (self.held,) else super().step()


async def test_a_reply_that_is_being_written_with_it_begins_anew(house: House) -> None:
    """It had been composed before, with the tainted version first and even as what to fall back on."""
    echo = Held(TAINTED)
    async with house.at_work(echo):
        asked = await house.engine.on_message(say("who are you?", 1, BOB))
        async with asyncio.timeout(15):
            while not echo.asked:
                await asyncio.sleep(0.01)
        await house.p.privacy.forget(ANN.id)
        await house.answer(asked)

    assert [(TAINTED, CLEAN), (CLEAN,)] == echo.asked


async def test_what_is_tainted_is_not_asked_for_even_where_it_still_stands(house: House) -> None:
    """A Redis that lost the withdrawal but not the taint, say."""
    echo = Held("")
    await house.p.client.do("ZADD", keys.TAINTED.pattern, 1, TAINTED)
    async with house.at_work(echo):
        await house.talk(say("who are you?", 1, BOB))

    assert [(CLEAN,)] == echo.asked


async def test_forget_and_export_know_the_loras_of_somebody(house: House) -> None:
    """Before, they are named; afterwards nothing names the person, and the version waits to be rebuilt."""
    assert [TAINTED] == (await house.p.privacy.export(ANN.id))["loras"]
    await house.p.privacy.forget(ANN.id, ALONE)
    assert TAINTED == (await house.p.loras.serving(MIRA)).live  # that was another persona's

    await house.p.privacy.forget(ANN.id, MIRA)
    assert [] == (await house.p.privacy.export(ANN.id))["loras"]
    assert [] == await house.p.client.scan(keys.LORAS_OF(ANN.id))
    assert [TAINTED] == [due.version for due in await house.p.loras.rebuild_due()]
    assert (CLEAN, "forgotten") == ((past := (await house.p.loras.serving(MIRA)).history[0]).version, past.why)


async def test_a_trial_keeps_to_whole_sessions(house: House) -> None:
    """In a personal scope every second one, whichever worker answers; a session ends after half an hour of silence."""
    echo = Held("")
    await house.p.loras.promote(ALONE, CLEAN, "command")
    await house.p.loras.canary(ALONE, TAINTED, 0.5)
    number = 0
    for _ in range(4):
        async with house.at_work(echo):
            for _ in range(2):
                number += 1
                await house.talk(say("hi", number, where=DM))
        talk = keys.TALK(ALONE.conversation(DM))
        spoke = float(await house.p.client.do("HGET", talk, "spoke"))
        await house.p.client.do("HSET", talk, "spoke", spoke - IDLE - 1)

    new, old = [(TAINTED, CLEAN)] * 2, [(CLEAN,)] * 2
    assert [*new, *old, *new, *old] == echo.asked


async def test_a_channel_draws_a_lot_for_each_session(house: House) -> None:
    """All replies of one share it, and a reply that is given again has its own."""
    echo = Held("")
    await house.p.loras.canary(MIRA, CLEAN, 0.5)
    async with house.at_work(echo):
        await house.talk(*(say("hi", number, BOB) for number in range(6)))
        together = set(echo.asked)
        for _ in range(12):
            await house.answer(await house.engine.regenerate(MIRA, ROOM, BOB))

    assert 1 == len(together)
    assert 2 == len(set(echo.asked[6:]))


async def test_a_file_of_prompts_is_answered_by_both(house: House) -> None:
    """Each reply draws a lot of its own, and with the same seed the same."""
    echo = Held("")
    await house.p.loras.promote(ALONE, CLEAN, "command")
    await house.p.loras.canary(ALONE, TAINTED, 0.5)
    await house.engine.on_message(say("hi", 1, where=DM))
    (like,) = await house.p.queue.all()
    await house.p.queue.drop(like.id)
    line = Line("l-1", ANN, "from a file", 1.0)
    async with house.at_work(echo):
        for number in range(24):
            name, seed = f"file-{number}", number % 12
            own = {"id": name, "reply_id": f"r-{name}", "seed": seed, "ephemeral": (line,), "events": (line.id,)}
            await house.p.queue.submit(msgspec.structs.replace(like, conversation="file", **own))
            await house.shelf.wait(lambda: len(house.shelf.finals) > number, 15)  # noqa: B023

    assert {(TAINTED, CLEAN), (CLEAN,)} == set(echo.asked)
    assert echo.asked[:12] == echo.asked[12:]


async def test_who_has_no_lora_yet_speaks_with_the_cards(house: House) -> None:
    """Where pooling is on. Who went back to the base keeps it, and what is forgotten speaks in no scope of the card."""
    echo, both = Held(""), f"{family(common(ALONE))}/20261126-1"
    await house.p.loras.made(both, Made(str(common(ALONE))), [BOB.id])
    await house.p.loras.promote(common(ALONE), both, "night")
    async with house.at_work(echo):
        await house.talk(say("hi", 1, where=DM))
    house.pool = True
    async with house.at_work(echo):
        await house.talk(say("hi", 2, where=DM))
        await house.p.loras.promote(ALONE, BASE, "command")
        await house.talk(say("hi", 3, where=DM))  # it had been the base, so nothing was chosen
        await house.p.loras.pin(ALONE, BASE)
        await house.talk(say("hi", 4, where=DM))
        await house.p.loras.unpin(ALONE)
        await house.p.privacy.forget(BOB.id)
        await house.talk(say("hi", 5, where=DM))

    assert [(), (both,), (both,), (), ()] == echo.asked
