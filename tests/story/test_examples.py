"""From talk and emoji to what a night learns from: whose words train, where, and what a no does."""

from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest

from core import feedback
from core.events import PersonaKey, Place
from core.feedback import Reading, Seen
from core.jobs import Done
from core.store.consents import Purpose
from core.votes import polarity
from tests.fakes.house import ANN, BOB, BOT, DM, OTHER_SERVER, ROOM, House, edit, house_at, react, say, unsay
from worker.night.examples import Collected, collect

HERE = PersonaKey(BOT, "mira", "discord:77:channel:room")
THERE = PersonaKey(BOT, "mira", "discord:88:channel:room")
NOW = 2e9


@pytest.fixture
async def house(redis_url: str) -> AsyncIterator[House]:
    """A house in which Ann and Bob allow training."""
    async with house_at(redis_url) as house:
        for person in (ANN, BOB):
            await house.p.privacy.say(person.id, True, Purpose.TRAIN)
        yield house


def heard(seen: Sequence[Seen]) -> Reading:
    return feedback.read(seen, polarity.load(), shared=False, now=NOW)


async def collected(house: House, persona: PersonaKey = HERE, pool: bool = False, most: int = 100) -> Collected:
    return await collect(
        house.p.ledger, house.p.privacy.consents, persona, heard, now=NOW, half_life_days=1e9, pool=pool, most=most
    )


async def talk(house: House, where: Place = ROOM) -> list[Done]:
    """Ann, Bob and Ann again say something; each likes the answer."""
    name = str(where)
    said = [say(f"I am {who.name} in {name}", f"{name}-{k}", who, where) for k, who in enumerate((ANN, BOB, ANN))]
    async with house.at_work():
        replies = await house.talk(*said)
    for reply, message in zip(replies, said, strict=True):
        await house.engine.on_reaction(react(reply.reply_id, "👍", message.author, where))
    return replies


async def test_a_liked_reply_becomes_a_row_with_its_prompt(house: House) -> None:
    """Message for message as it was served."""
    replies = await talk(house)
    found = await collected(house)

    assert ([reply.reply_id for reply in replies], {}) == ([row.reply for row in found.examples], found.refused)
    assert (await house.entry(replies[2].reply_id)).messages == found.examples[2].messages
    assert (replies[0].text, True, "base") == (found.examples[0].text, found.examples[0].liked, found.examples[0].lora)
    assert (ANN.id, BOB.id) == found.examples[1].people
    assert 1 == len({row.group for row in found.examples})
    assert (3, 3) == (found.replies, found.reactions)


async def test_nothing_crosses_a_scope(house: House) -> None:
    """Neither from another server, nor from a DM, nor with everybody's consent to pooling."""
    for person in (ANN, BOB):
        await house.p.privacy.say(person.id, True, Purpose.POOL)
    for where in (ROOM, OTHER_SERVER):
        await talk(house, where)
    async with house.at_work():
        (secret,) = await house.talk(say("in private", "dm", where=DM))
    await house.engine.on_reaction(react(secret.reply_id, "👍", where=DM))

    for pool in (False, True):
        here, there = await collected(house, HERE, pool), await collected(house, THERE, pool)
        assert (3, 3) == (len(here.examples), len(there.examples))
        assert all(str(OTHER_SERVER) not in str(row) and "in private" not in str(row) for row in here.examples)
        assert all(str(ROOM) not in str(row) for row in there.examples)


async def test_pooling_takes_only_rows_in_which_everybody_agreed_to_it(house: House) -> None:
    """A yes to training is none to pooling; both together are."""
    await talk(house)
    none = await collected(house, pool=True)
    await house.p.privacy.say(ANN.id, True, Purpose.POOL)
    hers = await collected(house, pool=True)

    assert ([], {"no consent": 3}) == (none.examples, none.refused)
    assert [(ANN.id,)] == [row.people for row in hers.examples]


async def test_rows_of_who_says_no_leave_the_next_night(house: House) -> None:
    """What they said, what was said to them, and what they thought of others' replies."""
    first, second, _ = await talk(house)
    await house.engine.on_reaction(react(first.reply_id, "👎", BOB))
    assert 3 == len((await collected(house)).examples) + sum((await collected(house)).refused.values())
    await house.p.privacy.say(BOB.id, False, Purpose.TRAIN)
    found = await collected(house)

    assert [first.reply_id] == [row.reply for row in found.examples]
    assert ((ANN.id,), True) == (found.examples[0].people, found.examples[0].liked)
    assert {"no consent": 2} == found.refused
    assert [ANN.id] == [voter.user for voter in found.reading.voters]
    assert second.reply_id not in {verdict.reply for verdict in found.reading.verdicts}


async def test_a_forgotten_person_is_in_no_row(house: House) -> None:
    """Replies to others that had their words in the prompt are refused, for what is left is not what was served."""
    await talk(house)
    await house.p.privacy.forget(ANN.id)
    found = await collected(house)

    assert ([], {"forgotten": 1}) == (found.examples, found.refused)


async def test_what_is_deleted_on_the_platform_trains_nothing(house: House) -> None:
    """A reply of ours, and every reply with a deleted message in its prompt."""
    replies = await talk(house)
    await house.engine.on_deletion(unsay(say("", f"{ROOM}-1", BOB)))
    found = await collected(house)
    assert ([replies[0].reply_id], {"deleted": 2}) == ([row.reply for row in found.examples], found.refused)

    gone = say("", 1)
    await house.engine.on_deletion(msgspec.structs.replace(unsay(gone), message_id=replies[0].reply_id))
    assert {"deleted": 3} == (await collected(house)).refused


async def test_what_reads_differently_now_trains_nothing_as_it_was_said(house: House) -> None:
    """Every reply with the old words in its prompt, whatever becomes of the new ones; an edit that changes no word (a
    link that got its picture) is none."""
    replies = await talk(house)
    said = say(f"I am {BOB.name} in {ROOM}", f"{ROOM}-1", BOB)
    await house.engine.on_edit(edit(said, said.text))
    assert {} == (await collected(house)).refused

    await house.engine.on_edit(edit(said, "something else"))
    found = await collected(house)
    assert ([replies[0].reply_id], {"edited": 2}) == ([row.reply for row in found.examples], found.refused)

    await house.engine.on_deletion(unsay(said))
    assert {"edited": 2} == (await collected(house)).refused


async def test_a_night_has_a_bound(house: House) -> None:
    """The rows that weigh most are taken; how many are left out is said."""
    await talk(house)
    found = await collected(house, most=2)

    assert (2, {"beyond the night's bound": 1}) == (len(found.examples), found.refused)
