"""A personality grows with those who talk to it, says why, and goes back to any day."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from core import days
from core.events import Command, Person, PersonaKey, Place
from core.growth.changes import Born, Rated, Talked
from core.personality import State, bond, replay
from core.settings import Scope
from personas.card import Emotion, Rule, Trait, When
from tests.fakes.commands import meanwhile
from tests.fakes.house import ANN, BOB, BOT, DM, ROOM, House, house_at, quick, react, say

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


async def test_whoever_is_forgotten_is_a_stranger_again(house: House) -> None:
    """Export shows what they are to it, and why; afterwards nothing does, and what it has become stays."""
    async with house.at_work():
        (done,) = await house.talk(say(WARM, 1))
        await house.engine.on_reaction(react(done.reply_id, "👍"))
        before = await state(house, done.persona)
        (part,) = (await house.p.privacy.export(ANN.id))["personalities"]
        await house.p.privacy.forget(ANN.id)
        after = await state(house, done.persona)
        left = (await house.p.privacy.export(ANN.id))["personalities"]

    assert ("Ann", str(done.persona)) == (part["relationship"]["name"], part["persona"])
    assert ["Talked", "Rated"] == [change["type"] for change in part["changes"]]
    assert (before.traits, {}, []) == (after.traits, after.people, left)


async def test_scopes_are_walls(house: House) -> None:
    """What somebody is to one persona is nothing to another."""
    async with house.at_work():
        (done,) = await house.talk(say(WARM, 1))
        other = msgspec.structs.replace(done.persona, scope="discord:88:channel:room")
        now = await state(house, other)

    assert ({}, 0.75) == (now.people, now.traits["warmth"])


def order(words: str, who: Person = ANN, where: Place = DM, operator: bool = False) -> Command:
    """`/words`, as typed in a DM."""
    name, _, args = words.partition(" ")
    return Command(id=f"c-{words}-{time.monotonic_ns()}", account=BOT, place=where, author=who, time=1003.0, name=name,
                   args=args, operator=operator)  # fmt: skip


async def ask(house: House, words: str, **more: object) -> str:
    """What somebody is told."""
    return (await house.p.desk(house.engine).answer(order(words, **more))).text  # type: ignore[arg-type]


async def test_it_says_why_and_goes_back(house: House) -> None:
    """Talk, a thumb, /why, /persona; rolled back to yesterday, it is as it was born, and says that as well."""
    async with house.at_work():
        (done,) = await house.talk(say(WARM, 1, where=DM))
        await house.engine.on_reaction(react(done.reply_id, "👍", where=DM))
        reason = await ask(house, "why warmth")
        whole = await ask(house, "why")
        shown = await ask(house, "persona")
        back = await ask(house, "persona rollback yesterday")
        now = await state(house, done.persona)
        again = await ask(house, "why warmth since yesterday")
        await house.engine.on_reaction(msgspec.structs.replace(
            react(done.reply_id, "👍", where=DM), id="gone", removed=True, time=1004.0))  # fmt: skip
        after = await state(house, done.persona)

    assert "warmth rose by 0.02 since we met, to 0.77" in reason
    assert "(my card: 0.75)" in reason
    assert "+0.02  Ann 👍 on “I heard 1 lines. You said: I love you" in reason
    assert "humour" not in reason
    assert "You and I: familiarity 0.04, warmth +0.10" in whole
    assert "warmth 0.77 (+0.02 from my card)" in shown
    assert back.startswith("I am as I was yesterday: warmth 0.77 → 0.75")
    assert back.endswith("Memories stay.")
    assert ({}, 0.75) == (now.people, now.traits["warmth"])
    assert "My warmth is as it was since we met" in again
    assert "Ann took it back to the end of yesterday" in again
    assert after.traits == pytest.approx(now.traits)


async def test_the_lora_of_then_serves_again(house: House) -> None:
    """One that went live today does not speak for yesterday; one that may not serve any more is named."""
    async with house.at_work():
        (done,) = await house.talk(say(WARM, 1, where=DM))
        await house.p.loras.promote(done.persona, "mira-x/1", "command")
        told = await ask(house, "persona rollback yesterday")

    assert "base" == (await house.p.loras.serving(done.persona)).live
    assert "I speak with the base again." in told


async def test_many_thumbs_at_once_count_no_more_than_one_by_one(house: House) -> None:
    """They are weighed together before the next reply, and damped all the same."""
    async with house.at_work():
        replies = await house.talk(*(say(WARM, number, where=DM) for number in range(1, 13)))
        before = await state(house, replies[0].persona)
        for done in replies:
            await house.engine.on_reaction(react(done.reply_id, "👍", where=DM))
        after = await state(house, replies[0].persona)

    steps = [
        entry.change.pushes["warmth"]
        for entry in await house.p.growth.store.history(replies[0].persona)
        if isinstance(entry.change, Rated)
    ]
    assert (12, 12.0) == (len(steps), pytest.approx(after.people[ANN.id].rated, rel=0.01))
    assert min(steps) < max(steps) / 2
    assert after.traits["warmth"] - before.traits["warmth"] < 12 * max(steps) * 0.75


async def test_a_rule_knows_how_it_feels(house: House) -> None:
    """Unkindness makes it sad, and a rule for that holds; before, it did not."""
    rule = Rule(when=When(mood="sad"), say="Leave me be.")
    sad = msgspec.structs.replace(house.p.card("mira"), rules=(rule,), emotions=(Emotion(name="sad"),))
    house.engine.cards = lambda name: sad
    async with house.at_work():
        told = await house.talk(
            *(say("Shut up, you stupid idiot, you are useless. I hate you.", n, where=DM) for n in range(1, 5))
        )

    assert told[0].text.startswith("I heard")
    assert "Leave me be." == told[-1].text


async def test_an_edited_card_holds_from_the_next_reply_on(house: House) -> None:
    """Its bands at once, and what was learned as far as they allow; it is noted once."""
    async with house.at_work():
        (first,) = await house.talk(say("Hello", 1, where=DM))
        await ask(house, "tune warmth +2")
        card = house.p.card("mira")
        tame = {**card.traits, "warmth": Trait(value=0.5, band=(0.4, 0.6))}
        edited = msgspec.structs.replace(card, traits=tame)
        house.engine.cards = lambda name: edited
        await house.talk(say("Hello", 2, where=DM), say("Hello", 3, where=DM))
        now = await house.p.growth.state(first.persona, edited)

    born = [entry for entry in await house.p.growth.store.history(first.persona) if isinstance(entry.change, Born)]
    assert (2, 0.6, edited.hash) == (len(born), now.traits["warmth"], now.card)


async def test_dials_are_turned_by_hand(house: House) -> None:
    """By tenths or by numbers, within the band, at once; what is wrong is said with what is right."""
    async with house.at_work():
        (done,) = await house.talk(say("Hello", 1, where=DM))
        told = [
            await ask(house, f"tune {words}")
            for words in ("warmth +1", "warmth -0.05", "warmth +9", "warmth +1", "wamth +1", "warmth", "warmth lots")
        ]
        listed = await ask(house, "tune")
        (next_,) = await house.talk(say("And you?", 2, where=DM))
        prompt = await house.prompt(next_.reply_id)

    assert ["warmth: 0.75 → 0.85", "warmth: 0.85 → 0.80", "warmth: 0.80 → 0.95"] == told[:3]
    assert "stays at 0.95" in told[3]
    assert "Perhaps you mean warmth" in told[4]
    assert ["Say how far to turn it" in text for text in told[5:]] == [True, True]
    assert "warmth             0.95  (card 0.75, from 0.55 to 0.95)" in listed
    assert "very high warmth" in prompt
    assert 0.95 == pytest.approx((await state(house, done.persona)).traits["warmth"], abs=0.01)


async def test_paused_it_learns_nothing_and_never_makes_up_for_it(house: House) -> None:
    """Neither from talk nor from thumbs; what was learned before stays."""
    async with house.at_work():
        (first,) = await house.talk(say(WARM, 1, where=DM))
        assert "no more" in await ask(house, "pause learning")
        before = await state(house, first.persona)
        (done,) = await house.talk(say(WARM, 2, where=DM))
        await house.engine.on_reaction(react(done.reply_id, "👍", where=DM))
        assert "paused already" in await ask(house, "pause")
        assert "Learning is paused" in await ask(house, "persona")
        assert "again" in await ask(house, "resume")
        after = await state(house, first.persona)

    assert before.traits == after.traits
    assert before.people[ANN.id].known == pytest.approx(after.people[ANN.id].known, rel=0.01)


async def test_a_reset_asks_first(house: House) -> None:
    """Then it is as on its first day."""
    async with house.at_work():
        (done,) = await house.talk(say(WARM, 1, where=DM))
        await ask(house, "tune humour -1")
        asked = await house.p.desk(house.engine).answer(order("reset"))
        kept = await state(house, done.persona)
        told = await ask(house, "reset yes")
        now = await state(house, done.persona)

    assert ["/reset yes" in asked.text, asked.changed] == [True, False]
    assert ("reset", "yes") == (asked.choices[0].name, asked.choices[0].args)
    assert pytest.approx(0.75, abs=0.01) == kept.traits["humour"]
    assert "first day" in told
    assert (0.85, {}) == (now.traits["humour"], now.people)


async def test_in_a_group_it_takes_an_operator(house: House) -> None:
    """Everybody may ask why; the words of another room are not shown."""
    async with house.at_work():
        (done,) = await house.talk(say(WARM, 1))
        await house.engine.on_reaction(react(done.reply_id, "👍"))
        refused = [await ask(house, words, where=ROOM) for words in ("tune warmth -1", "pause learning", "reset yes")]
        allowed = await ask(house, "tune warmth -1", where=ROOM, operator=True)
        reason = await ask(house, "why warmth", where=ROOM)

    assert all("takes somebody who manages this place" in text for text in refused)
    assert "→" in allowed
    assert "Ann turned warmth by -0.10" in reason


async def test_words_of_another_room_are_not_quoted(redis_url: str) -> None:
    """Where one character is alive on a whole server, not everybody is in every channel."""
    settings = msgspec.structs.replace(quick(), scope=Scope(discord="server"))
    other = Place("discord", "77", "secret")
    async with house_at(redis_url, settings) as house, house.at_work():
        (done,) = await house.talk(say(WARM, 1, where=other))
        await house.engine.on_reaction(react(done.reply_id, "👍", where=other))
        here, there = await ask(house, "why warmth", where=ROOM), await ask(house, "why warmth", where=other)

    assert ("Ann 👍" in here, "I love you" in here) == (True, False)
    assert "I love you" in there


@pytest.mark.parametrize(
    "words", ["why whence", "why since someday", "why warmth humour", "persona rollback", "persona rollback today"]
)
async def test_what_is_not_understood_is_said(words: str, house: House) -> None:
    """With what could be said instead."""
    told = await house.p.desk(house.engine).answer(order(words))

    assert told.error
    assert "yesterday" in told.text


async def test_a_card_that_does_not_evolve_says_so(house: House) -> None:
    """It cannot be tuned either."""
    still = msgspec.structs.replace(house.p.card("mira"), evolves=False)
    house.engine.cards = lambda name: still

    told = [await ask(house, words) for words in ("tune warmth +1", "why", "persona", "reset yes")]

    assert all("as the card has it" in text or "as my card has me" in text for text in told)


async def test_the_shell_shows_a_history_and_goes_back(
    house: House, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """talk → 👍 → history → diff → rollback; a day that is none is refused, and today is not over."""
    monkeypatch.setenv("REDIS_URL", house.p.client.url)
    monkeypatch.setenv("LIMEN_HOME", str(home))
    async with house.at_work():
        (done,) = await house.talk(say(WARM, 1, where=DM))
        await house.engine.on_reaction(react(done.reply_id, "👍", where=DM))
    whose = ("--persona", "mira", "--account", done.persona.account, "--scope", done.persona.scope)

    listed = await meanwhile("persona", "history", *whose)
    short = await meanwhile("persona", "history", *whose, "-n", "1", "--since", "today")
    plain = json.loads((await meanwhile("persona", "history", *whose, "--json")).out)
    differs = await meanwhile("persona", "diff", "yesterday", "today", *whose)
    data = json.loads((await meanwhile("persona", "diff", "today", "yesterday", *whose, "--json")).out)
    asked = await meanwhile("persona", "rollback", "yesterday", *whose, stdin="n\n")
    back = await meanwhile("persona", "rollback", "yesterday", *whose, "--yes")
    again = await meanwhile("persona", "diff", "yesterday", "today", *whose)
    early = await meanwhile("persona", "rollback", "today", *whose, "--yes")
    odd = await meanwhile("persona", "diff", "someday", "today", *whose)

    assert ["Born", "Talked", "Rated"] == [row["type"] for row in plain]
    assert [done.reply_id, ["m-1"]] == [plain[2]["reply"], plain[1]["causes"]]
    week = days.date(days.day_of(time.time() - 7 * 86_400, "UTC")).isoformat()
    assert f"Since {week}, --since DAY goes further back.\n" == listed.err
    assert "Since today, --since DAY goes further back; 2 earlier changes left out, -n shows more.\n" == short.err
    assert "Ann 👍 on “I heard 1 lines." in listed.out
    assert "Ann said something: “I love you dear friend" in listed.out
    assert "warmth" in differs.out
    assert "0.75 → 0.77" in differs.out
    assert "Ann: familiarity 0.00 → 0.04" in differs.out
    assert "warmth" in [move["dial"] for move in data["moves"]]
    assert 130 == asked.status
    assert (0, True) == (back.status, "Memories stay." in back.out)
    assert "Nothing differs." in again.out
    assert (1, "not over yet") == (early.status, early.err[early.err.index("not") :][:12])
    assert (2, True) == (odd.status, "2026-05-01" in odd.err)
    assert max(map(len, (listed.out + differs.out).splitlines())) <= 100


async def test_the_shell_knows_a_persona_that_nobody_has_met(
    house: House, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so, and begins nothing."""
    monkeypatch.setenv("REDIS_URL", house.p.client.url)
    monkeypatch.setenv("LIMEN_HOME", str(home))

    said = await meanwhile("persona", "history", "--persona", "orrin")
    nobody = await meanwhile("persona", "history", "--persona", "orin")

    week = days.date(days.day_of(time.time() - 7 * 86_400, "UTC")).isoformat()
    assert (0, True) == (said.status, f"Nothing has changed it since {week}." in said.out)
    assert (1, True) == (nobody.status, "orrin" in nobody.err)
    assert [] == await house.p.client.scan("limen:self:*")
