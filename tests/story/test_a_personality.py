"""A personality grows with those who talk to it, says why, and goes back to any day."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from core.changes import Rated, Talked
from core.events import PersonaKey
from core.personality import State, bond, replay
from tests.fakes.house import ANN, BOB, House, house_at, quick, react, say

WARM = "I love you dear friend, thank you, you are wonderful and kind!"


@pytest.fixture
async def house(redis_url: str) -> AsyncIterator[House]:
    async with house_at(redis_url, quick()) as house:
        yield house


async def state(house: House, persona: PersonaKey) -> State:
    return await house.p.growth.state(persona, house.p.card(persona.card))


async def test_talk_and_thumbs_move_a_personality(house: House) -> None:
    """Ann's kindness makes it warmer, and a liked warm reply more so; every change names its causes."""
    async with house.at_work():
        (done,) = await house.talk(say(WARM, 1))
        talked = await state(house, done.persona)
        await house.engine.on_reaction(react(done.reply_id, "👍"))
        liked = await state(house, done.persona)

    changes = [entry.change for entry in await house.p.growth.store.history(done.persona)]
    rated = next(change for change in changes if isinstance(change, Rated))
    assert 0.75 < talked.traits["warmth"] < liked.traits["warmth"] < 0.8
    assert ("m-1",) == next(change.causes for change in changes if isinstance(change, Talked))
    assert (done.reply_id, "👍", 1.0, ANN.id) == (rated.reply, rated.emoji, rated.value, rated.person)
    assert 0 < bond(talked, ANN.id, talked.time)[1] < bond(liked, ANN.id, liked.time)[1]
    assert msgspec.msgpack.encode(replay(State(), changes)) == msgspec.msgpack.encode(liked)
    assert f"/{talked.events}" not in done.persona_version  # it spoke as it was before it heard this
    assert done.persona_version.endswith("/1")


async def test_a_reaction_that_is_taken_back_takes_its_effect_back(house: House) -> None:
    """And one that comes twice counts once."""
    async with house.at_work():
        (done,) = await house.talk(say(WARM, 1))
        before = await state(house, done.persona)
        for _ in range(2):
            await house.engine.on_reaction(react(done.reply_id, "👍"))
            liked = await state(house, done.persona)
        gone = msgspec.structs.replace(react(done.reply_id, "👍"), id="x-gone", removed=True, time=1003.0)
        await house.engine.on_reaction(gone)
        after = await state(house, done.persona)

    assert before.events + 1 == liked.events == after.events - 1
    assert before.traits == pytest.approx(after.traits)
    assert before.traits["warmth"] < liked.traits["warmth"]


async def test_what_somebody_says_to_others_is_heard_too(house: House) -> None:
    """But makes them less familiar than speaking to it; a bot is nobody."""
    bot = msgspec.structs.replace(BOB, id="discord:77:bot", is_bot=True)
    async with house.at_work():
        await house.engine.on_message(msgspec.structs.replace(say("Hello Eve!", 1, BOB), addressed="no"))
        await house.engine.on_message(msgspec.structs.replace(say("Beep!", 2, bot), addressed="no"))
        (done,) = await house.talk(say("Hello!", 3))
        now = await state(house, done.persona)

    known = {person: round(one.known, 2) for person, one in now.people.items()}
    assert {BOB.id: 0.3, ANN.id: 1.0} == known
    assert (2, 1) == (now.style.heard, now.style.replies)


async def test_another_reply_to_the_same_hears_nothing_twice(house: House) -> None:
    """The words were weighed with the first one."""
    async with house.at_work():
        (done,) = await house.talk(say("Hello!", 1))
        before = await state(house, done.persona)
        await house.answer(await house.engine.regenerate(done.persona, done.place, ANN))
        after = await state(house, done.persona)

    assert before.events == after.events


async def test_a_card_that_does_not_evolve_stays_as_it_is(house: House) -> None:
    """Nothing is written at all."""
    still = msgspec.structs.replace(house.p.card("mira"), evolves=False)
    house.engine.cards = lambda name: still
    async with house.at_work():
        (done,) = await house.talk(say(WARM, 1))
        await house.engine.on_reaction(react(done.reply_id, "👍"))
        now = await house.p.growth.state(done.persona, still)

    assert 0.75 == now.traits["warmth"]
    assert [] == await house.p.growth.store.history(done.persona)
    assert done.persona_version == f"{still.hash}/1"


async def test_scopes_are_walls(house: House) -> None:
    """What somebody is to one persona is nothing to another."""
    async with house.at_work():
        (done,) = await house.talk(say(WARM, 1))
        other = msgspec.structs.replace(done.persona, scope="discord:88:channel:room")
        now = await state(house, other)

    assert ({}, 0.75) == (now.people, now.traits["warmth"])
