"""A card's rules at work: what people say, what comes back, and what of it may train anything. Real Redis, an echo."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import pytest

from core.events import Line
from core.feedback import Reading, Seen, read
from core.growth.changes import Rated
from core.jobs import Done
from core.store.consents import Purpose
from core.store.conversations import Conversations
from core.votes import polarity
from tests.fakes.house import ANN, BOB, BOT, ROOM, House, house_at, quick, react, say
from worker.embed import HashEmbedder
from worker.judge import Judge
from worker.nearness import Nearness
from worker.night.examples import collect

CARD = """
name: gate
title: The Gatekeeper
description: You keep a gate.
world:
  details:
    - about: [moat]
      text: The moat is nine feet deep and full of old armour.
traits:
  warmth: {value: 0.5, band: [0.2, 0.8]}
rules:
  - when: {keywords: [open sesame]}
    say: The gate swings open.
  - when: {regex: '^(thanks|ok)$'}
    react: 👍
  - when: {keywords: [psst]}
    silent: true
  - when: {keywords: [hail]}
    say: My dear friend, how kind of you to come! I love you so much, thank you, dear friend!
  - when: {intent: [I would like to leave the castle now]}
    steer: Wish them a safe way home.
  - when: {first_contact: true}
    steer: Ask for their name.
"""


@pytest.fixture
async def house(redis_url: str, home: Path) -> AsyncIterator[House]:
    """A house whose persona keeps a gate; what means the same is seen by its spelling."""
    (home / "personas").mkdir()
    (home / "personas" / "gate.yaml").write_text(CARD, encoding="utf-8")
    async with house_at(redis_url, msgspec.structs.replace(quick(), home=home, persona="gate")) as house:
        house.judge = Judge(house.p.conversations, Nearness(HashEmbedder()))
        yield house


def _read(seen: Sequence[Seen]) -> Reading:
    return read(seen, polarity.ours(), shared=False, now=2000.0)


def shape(done: Done) -> tuple[str, str, str]:
    return done.act, done.text, done.emoji


async def test_each_act_comes_back_as_it_is(house: House) -> None:
    """Words without the model, an emoji on the message, silence; and the model where no rule holds."""
    async with house.at_work():
        said, felt, silent, spoken = await house.talk(
            say("Open Sesame!", 1), say("thanks", 2), say("psst", 3), say("hello", 4)
        )

    assert ("say", "The gate swings open.", "") == shape(said)
    assert ("react", "", "👍") == shape(felt)
    assert ("silent", "", "") == shape(silent)
    assert ("say", "I heard 4 lines. You said: Ann: hello") == shape(spoken)[:2]
    assert ["rule", "rule", "rule", "stop"] == [done.finish for done in (said, felt, silent, spoken)]


async def test_a_stage_direction_reaches_the_model_for_one_reply(house: House) -> None:
    """By what was meant, where the words are others; the next reply knows nothing of it."""
    async with house.at_work():
        first, later = await house.talk(say("I'd like to leave the castle now, please", 1), say("how deep is it?", 2))

    assert "For this one reply: Wish them a safe way home." in await house.prompt(first.reply_id)
    assert "For this one reply" not in await house.prompt(later.reply_id)


async def test_first_contact_is_once_for_everybody(house: House) -> None:
    """Bob is new although Ann is not."""
    async with house.at_work():
        ann, again, bob = await house.talk(say("hello", 1), say("hello", 2), say("hello", 3, BOB))

    asked = ["Ask for their name" in await house.prompt(done.reply_id) for done in (ann, again, bob)]
    assert [True, False, True] == asked


async def test_what_somebody_says_beside_it_is_no_contact(house: House) -> None:
    """Lines that were only overheard do not make an acquaintance."""
    heard = Line("m-0", ANN, "nice weather", 1.0)
    talk = f"{BOT}|gate|{ROOM}"
    outcome = await house.engine.on_message(say("nice weather", 0, to="no"))  # type: ignore[arg-type]
    async with house.at_work():
        (done,) = await house.talk(say("hello", 1))

    assert "" == outcome.job
    assert heard.text in [line.text for line in await Conversations(house.p.client).last(talk, 9)]
    assert "Ask for their name" in await house.prompt(done.reply_id)


async def test_what_a_rule_says_can_be_rated_and_trains_nothing(house: House) -> None:
    """It is in the ledger with the rule's name; a night takes only what the model wrote."""
    async with house.at_work():
        said, spoken = await house.talk(say("open sesame", 1), say("hello", 2))
        for done in (said, spoken):
            assert "recorded" == (await house.engine.on_reaction(react(done.reply_id, "👍"))).act
    await house.p.privacy.say(ANN.id, True, Purpose.TRAIN)

    entry = await house.entry(said.reply_id)
    rows = await collect(house.p.ledger, house.p.privacy.consents, entry.record.persona, _read, now=2000.0)

    assert ("rules[0]", "The gate swings open.", 1) == (entry.record.by, entry.record.text, len(entry.facts))
    assert [spoken.reply_id] == [row.reply for row in rows.examples]
    assert {"said by the card, not by the model": 1} == rows.refused


LIMITED = CARD.replace(
    "world:",
    """knowledge:
  domains: [gates]
  era: Around 1450
  admits: [No key of mine fits that., That gate is closed to me.]
world:""",
)


async def test_what_it_cannot_know_it_says_in_its_own_words(house: House, home: Path) -> None:
    """Not twice the same; in the ledger by name, and no night learns from it."""
    (home / "personas" / "gate.yaml").write_text(LIMITED, encoding="utf-8")
    async with house.at_work():
        first, second, third = await house.talk(
            say("What is on television?", 1), say("How does a smartphone work?", 2), say("Is the gate open?", 3)
        )

    assert {"No key of mine fits that.", "That gate is closed to me."} == {first.text, second.text}
    assert ["knowledge", "knowledge", ""] == [(await house.entry(x.reply_id)).record.by for x in (first, second, third)]


async def test_the_model_may_be_told_instead(house: House, home: Path) -> None:
    """By the setting, for those whose model keeps to it."""
    (home / "personas" / "gate.yaml").write_text(LIMITED, encoding="utf-8")
    house.judge = Judge(house.p.conversations, Nearness(HashEmbedder()), unknown="steer")
    async with house.at_work():
        (told,) = await house.talk(say("What is on television?", 1))

    assert "You know nothing about this. Say that you do not know" in await house.prompt(told.reply_id)
    assert "" == (await house.entry(told.reply_id)).record.by


BOUND = CARD + "knowledge: {unknowns: [The price of gold]}\nlimits: {topics: [elections in the capital]}\n"


async def test_what_it_is_told_to_say_for_a_limit_trains_nothing(house: House, home: Path) -> None:
    """That it does not know, or does not discuss this: votes on it are no votes on how it talks."""
    (home / "personas" / "gate.yaml").write_text(BOUND, encoding="utf-8")
    async with house.at_work():
        _, declined, unknown = await house.talk(
            say("hello", 1), say("elections in the capital", 2), say("The price of gold?", 3)
        )
        for done in (declined, unknown):
            await house.engine.on_reaction(react(done.reply_id, "👎"))
    await house.p.privacy.say(ANN.id, True, Purpose.TRAIN)

    told = [(await house.entry(done.reply_id)).record.limit for done in (declined, unknown)]
    rows = await collect(house.p.ledger, house.p.privacy.consents, declined.persona, _read, now=2000.0)

    assert ["declined", "unknown"] == told
    assert [] == rows.examples
    assert {"beyond what the card knows or discusses": 2} == rows.refused


async def test_who_likes_what_a_rule_says_moves_no_trait(house: House) -> None:
    """It pleases; but the words are the card's, and say nothing of how the character has become."""
    async with house.at_work():
        (done,) = await house.talk(say("hail", 1))
        await house.engine.on_reaction(react(done.reply_id, "❤"))
    growth, card = house.p.growth, house.p.card("gate")
    await growth.state(done.persona, card)
    (rated,) = [one.change for one in await growth.store.history(done.persona) if isinstance(one.change, Rated)]

    assert (True, {}) == (rated.pull[0] > 0, rated.pushes)
