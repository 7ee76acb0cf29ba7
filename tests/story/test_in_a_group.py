"""Among people: who is heard, who is answered and how often, when we rest, and that a stop is a stop."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from bots.commands import status
from bots.reading import read
from core.commands.desk import RESTING, Answer
from core.engine import Act, Outcome
from core.events import Addressed, Attachment, Command, Kind, Message, Person, Place
from core.settings import Attention, Scope
from core.store import keys
from tests.fakes.house import ANN, BOB, BOT, DM, OTHER_SERVER, ROOM, House, house_at, quick, react, say
from worker.echo import Echo

TALK = f"{BOT}|mira|{ROOM}"
ROBOT = Person("discord:77:robot", "Robot", is_bot=True)
THREAD = Place("discord", "77", "room", "t1", Kind.THREAD)


@asynccontextmanager
async def among(url: str, **rules: Any) -> AsyncIterator[House]:
    """A house with these rules, in which nobody waits for a second message."""
    attention = msgspec.convert({"settle_seconds": 0, "quick_seconds": 0} | rules, Attention)
    async with house_at(url, msgspec.structs.replace(quick(), attention=attention)) as house:
        yield house


def overheard(text: str, number: int | str, who: Person = ANN, where: Place = ROOM) -> Message:
    """Said now, and not to us."""
    return msgspec.structs.replace(say(text, number, who, where, to=Addressed.NO), time=time.time() + 60)


async def command(house: House, name: str, number: int = 1, who: Person = ANN, where: Place = ROOM) -> Answer:
    """Somebody gives a command."""
    given = Command(id=f"c-{number}", account=BOT, place=where, author=who, time=1.0, name=name)
    return await house.p.desk(house.engine).answer(given)


def acts(outcomes: list[Outcome]) -> list[Act]:
    """What became of each."""
    return [outcome.act for outcome in outcomes]


# Who may change a character that all share.


async def test_one_of_many_does_not_change_the_character_of_all(redis_url: str) -> None:
    """An operator does: by the platform's word, or by the settings'. Who is alone with it is its master."""

    async def switch(house: House, number: int, where: Place = ROOM, operator: bool = False) -> Answer:
        given = Command(id=f"c-{number}", account=BOT, place=where, author=BOB, time=1.0, name="switch", args="orrin",
                        operator=operator)  # fmt: skip
        return await house.p.desk(house.engine).answer(given)

    async with among(redis_url) as house:
        refused, alone = await switch(house, 1), await switch(house, 2, DM)
        stayed = (await house.engine.persona(say("hi"))).card
        by_role = await switch(house, 3, operator=True)
    async with among(redis_url) as house:
        house.engine.settings = msgspec.structs.replace(house.engine.settings, operators=BOB.id)
        by_name = await switch(house, 4)
    async with among(redis_url) as house:
        house.engine.settings = msgspec.structs.replace(house.engine.settings, scope=Scope(discord="user"))
        own = await switch(house, 5)

    assert (True, "administrator" in refused.text, "mira") == (refused.error, True, stayed)
    assert ["orrin"] * 4 == [answer.switched for answer in (alone, by_role, by_name, own)]


# What is only overheard.


async def test_the_overheard_is_answered_so_often_an_hour(redis_url: str) -> None:
    """In each channel with its threads; what is meant for us is answered besides, and nobody is told of the rate."""
    async with among(redis_url, ambient_per_hour=2) as house, house.at_work():
        for number in range(2):
            await house.talk(overheard(f"nice weather, {number}", number))
        more = await house.engine.on_messages([overheard("lovely", 3), overheard("lovely", 4, where=THREAD)])
        elsewhere = await house.talk(overheard("rain", 5, where=OTHER_SERVER))
        called = await house.talk(say("and you?", 6))

    assert [(Act.HEARD, "")] * 2 == [(outcome.act, outcome.note) for outcome in more]
    assert [("m-5",), ("m-6",)] == [done.answers for done in (*elsewhere, *called)]


async def test_we_never_speak_twice_in_a_row(redis_url: str) -> None:
    """Of all that is said before our answer is there, only the first is answered; the next words are, again."""
    async with among(redis_url, ambient_per_hour=100) as house:
        before = await house.engine.on_messages(
            [overheard(f"word {n}", n, who) for n, who in enumerate((ANN, BOB, ANN))]
        )
        async with house.at_work():
            await house.answer(before[0])
            late = msgspec.structs.replace(overheard("said meanwhile", 7, BOB), time=time.time() - 60)
            crossed = await house.engine.on_message(late)
            (next_,) = await house.talk(overheard("said after it", 8, BOB))

    assert [Act.QUEUED, Act.HEARD, Act.HEARD] == acts(before)
    assert Act.HEARD == crossed.act
    assert ("m-8",) == next_.answers


async def test_a_long_line_is_no_news_to_those_who_did_not_ask(redis_url: str) -> None:
    """Excuses are for who waits for an answer."""
    settings = msgspec.structs.replace(
        quick(max_depth=1), attention=Attention(settle_seconds=0, quick_seconds=0, ambient_per_hour=9)
    )
    async with house_at(redis_url, settings) as house:
        await house.engine.on_message(say("hello", 1, where=OTHER_SERVER))
        outcomes = await house.engine.on_messages([overheard("nice", 2), say("hello?", 3)])

    assert [Act.HEARD, Act.FULL] == acts(outcomes)
    assert ["", True] == [outcomes[0].note, bool(outcomes[1].note)]


# Quiet hours.


@pytest.mark.parametrize(
    ("left", "answered"),
    [("overheard", ["called", "dm"]), ("channels", ["dm"]), ("everything", [])],
)
async def test_in_quiet_hours_all_is_heard_and_the_setting_says_what_is_answered(
    redis_url: str, left: str, answered: list[str]
) -> None:
    """By the operator's clock."""
    rules = {"quiet_hours": "22:00-07:30", "quiet_for": left, "ambient_per_hour": 9}
    async with among(redis_url, **rules) as house:
        house.engine.settings = msgspec.structs.replace(house.engine.settings, timezone="Europe/Vienna")
        house.engine.clock = lambda: 1_782_857_000.0  # half past midnight in Vienna
        said = [overheard("nice", "overheard"), say("hi", "called"), say("hi", "dm", where=DM)]
        outcomes = await house.engine.on_messages(said)
        regenerated = await command(house, "regenerate")
        house.engine.clock = lambda: 1_782_900_000.0  # noon
        (by_day,) = await house.engine.on_messages([say("hi", "by day", where=OTHER_SERVER)])
        kept = await house.p.conversations.count(TALK)

    assert [f"m-{name}" for name in answered] == [
        message.id for message, outcome in zip(said, outcomes, strict=True) if outcome.act == Act.QUEUED
    ]
    assert ("quiet hours" in regenerated.text) == (left != "overheard")
    assert Act.QUEUED == by_day.act
    assert 2 == kept


# Whom we hear.


async def test_who_is_denied_is_not_heard_at_all(redis_url: str) -> None:
    """Nothing of it is kept, answered, counted as a rating or carried out; what concerns their data always is."""
    async with among(redis_url, deny_people=BOB.id, deny_places="discord:88") as house:
        async with house.at_work():
            (done,) = await house.talk(say("hello", 1))
        outcomes = await house.engine.on_messages([say("hi", 2, BOB), say("hi", 3, where=OTHER_SERVER)])
        await house.engine.on_reaction(react(done.reply_id, "👎", BOB))
        facts = (await house.entry(done.reply_id)).facts
        refused = [await command(house, name, n, BOB) for n, name in enumerate(("regenerate", "switch", "history"))]
        open_ = [await command(house, name, 9, BOB) for name in ("privacy", "forget", "export", "help")]
        traces = await house.p.client.scan(f"*{BOB.id}*")

    assert [Act.IGNORED] * 2 == acts(outcomes)
    assert () == tuple(facts)
    assert all("not meant to speak here" in answer.text for answer in refused)
    assert not any(answer.error for answer in open_)
    assert [] == traces


async def test_a_rating_given_before_can_be_taken_back_by_who_is_denied_since(redis_url: str) -> None:
    """It is theirs."""
    async with among(redis_url) as house, house.at_work():
        (done,) = await house.talk(say("hello"))
        await house.engine.on_reaction(react(done.reply_id, "👎", BOB))
    async with among(redis_url, deny_people="discord:77:*") as house:
        back = msgspec.structs.replace(react(done.reply_id, "👎", BOB), id="x-back", removed=True)
        await house.engine.on_reaction(back)
        facts = (await house.entry(done.reply_id)).facts

    assert [False, True] == [fact.removed for fact in facts]


async def test_the_terminal_of_the_operator_knows_no_such_rules(redis_url: str) -> None:
    """A session of its own is neither shut out, nor hushed, nor counted."""
    rules = {"allow_places": "discord:99:*", "quiet_hours": "00:00-00:00", "quiet_for": "everything", "person_quota": 1}
    async with among(redis_url, **rules) as house:
        terminal = house.p.engine(replies="console:local:session")
        outcomes = await terminal.on_messages([say("hi", n, where=DM) for n in range(3)])

    assert [Act.QUEUED] * 3 == acts(outcomes)


# Other bots.


async def test_bots_do_not_go_on_for_ever(redis_url: str) -> None:
    """After so many answers we wait for a person, in whichever thread of the channel they come from."""
    async with among(redis_url, bots=True, bot_turns=3) as house:
        robots = [say("and then?", n, ROBOT, where=(ROOM, THREAD)[n % 2]) for n in range(6)]
        first = await house.engine.on_messages(robots)
        await house.engine.on_message(overheard("you two!", "a person"))
        then = await house.engine.on_messages([say("so?", n, ROBOT) for n in range(10, 15)])

    assert [Act.QUEUED] * 3 + [Act.HEARD] * 3 == acts(first)
    assert [Act.QUEUED] * 3 + [Act.HEARD] * 2 == acts(then)


async def test_other_bots_are_not_answered_unless_allowed(redis_url: str) -> None:
    """They are heard; nor do they make us speak by being overheard, or stop us."""
    async with among(redis_url, ambient_per_hour=9) as house:
        await house.engine.on_message(say("hello"))
        outcomes = await house.engine.on_messages(
            [say("hi", 2, ROBOT), overheard("hi", 3, ROBOT), say("stop", 4, ROBOT)]
        )
        waiting = await house.p.queue.jobs(TALK)

    assert [Act.HEARD] * 3 == acts(outcomes)
    assert 1 == len(waiting)


async def test_a_command_of_another_bot_does_nothing_unless_allowed(redis_url: str) -> None:
    """Not even those that everybody may give; and nothing is said to it, which it might answer."""
    async with among(redis_url) as house:
        await house.engine.on_message(say("hello"))
        answers = [await command(house, name, n, ROBOT) for n, name in enumerate(("help", "stop", "no-such", "switch"))]
        waiting = await house.p.queue.jobs(TALK)
    async with among(redis_url, bots=True) as house:
        allowed = await command(house, "help", 9, ROBOT)
        answers.append(await command(house, "stop", 10, ROBOT))

    assert [Answer()] * 5 == answers
    assert 1 == len(waiting)
    assert "/switch" in allowed.text


# A stop is a stop.


@pytest.mark.parametrize(
    "order",
    [
        say("stop", 2, BOB),
        say("STOP!", 2, BOB, to=Addressed.REPLY),
        say("Mira, stop.", 2, BOB, to=Addressed.NO),
        say("stop", 2, ANN, to=Addressed.NO),
    ],
    ids=["mentioned", "as a reply", "by name", "by whom we answer"],
)
async def test_a_reply_that_is_being_written_is_stopped_by_a_word(redis_url: str, order: Message) -> None:
    """It ends where it is; the order is kept as what was said, and gets no answer."""
    async with among(redis_url) as house, house.at_work(Echo(delay=0.01, words=5000)):
        asked = await house.engine.on_message(say("tell me everything"))
        await house.shelf.wait(lambda: any(text.startswith("I heard") for text, _ in house.shelf.drafts))
        told = await house.engine.on_message(order)
        done = await house.answer(asked)
        lines = [line.id for line in await house.p.conversations.last(TALK, 9)]

    assert (Act.HEARD, "") == (told.act, told.job)
    assert (True, "cancelled") == (done.cancelled, done.finish)
    assert ["m-1", done.reply_id, "m-2"] == lines


async def test_an_order_in_the_same_breath_stops_what_it_follows(redis_url: str) -> None:
    """Both events come in one batch, and are taken in their order."""
    async with among(redis_url) as house:
        outcomes = await house.engine.on_messages([say("tell me everything", 1), say("stop", 2), say("hello", 3)])
        waiting = [job.events for job in await house.p.queue.all()]

    assert [Act.QUEUED, Act.HEARD, Act.QUEUED] == acts(outcomes)
    assert [("m-3",)] == waiting


@pytest.mark.parametrize(
    "talk",
    [say("stop", 2, BOB, to=Addressed.NO), say("stop", 2, BOB, OTHER_SERVER), say("stop it", 2, BOB)],
    ids=["to nobody", "elsewhere", "not alone"],
)
async def test_what_is_no_order_to_us_stops_nothing(redis_url: str, talk: Message) -> None:
    """Somebody may say stop to somebody else."""
    async with among(redis_url) as house:
        asked = await house.engine.on_message(say("tell me everything"))
        await house.engine.on_message(talk)

        assert asked.job in await house.p.queue.jobs(TALK)


async def test_stop_is_talk_where_nothing_is_written(redis_url: str) -> None:
    """And an operator may have no such word, or others."""
    async with among(redis_url) as house, house.at_work():
        (done,) = await house.talk(say("stop"))
    async with among(redis_url, stop_words="halt") as house:
        await house.engine.on_message(say("tell me", 2))
        outcomes = await house.engine.on_messages([say("stop", 3), say("Halt!", 4)])

    assert ("m-1",) == done.answers
    assert [Act.QUEUED, Act.HEARD] == acts(outcomes)


async def test_quiet_hours_and_quotas_do_not_keep_anybody_from_stopping_us(redis_url: str) -> None:
    """It costs nothing, either."""
    async with among(redis_url, person_quota=1) as house:
        await house.engine.on_message(say("tell me everything"))
        house.engine.rules = msgspec.structs.replace(
            house.engine.rules, quiet_hours="00:00-00:00", quiet_for="everything"
        )
        await house.engine.on_message(say("stop", 2))

        assert [] == await house.p.queue.jobs(TALK)


# Quotas.


async def test_the_operator_sees_who_has_had_their_share(redis_url: str) -> None:
    """In `limen status`: of each quota that is set, how many have reached it, and how many are counted."""
    async with among(redis_url, person_quota=2, channel_quota=100, quota_minutes=30) as house:
        await house.engine.on_messages([say("hi", n, where=(ROOM, DM)[n % 2]) for n in range(4)])
        await house.engine.on_message(say("hi", 10, BOB))
        seen = await status._quotas(house.p)
    async with among(redis_url) as house:
        assert {} == await status._quotas(house.p)

    assert [
        ("quotas", "2 answers in 30 min to a person: 1 of 2 lately have had theirs"),
        ("", "100 answers in 30 min to a channel: 0 of 1 lately have had theirs"),
    ] == status.quota_rows(seen)


async def test_over_a_quota_one_kind_message_and_then_silence(redis_url: str) -> None:
    """What is said is heard all the same; others are answered, and so are those to whom no quota applies."""
    async with among(redis_url, person_quota=2, quota_free=BOB.id) as house:
        anns = await house.engine.on_messages([say("hi", n, where=(ROOM, DM)[n % 2]) for n in range(5)])
        bobs = await house.engine.on_messages([say("hi", n, BOB) for n in range(10, 15)])
        kept = await house.p.conversations.count(TALK)

    assert [Act.QUEUED, Act.QUEUED, Act.FULL, Act.HEARD, Act.HEARD] == acts(anns)
    assert "I have answered you 2 times in an hour and must rest a little. Please ask me again later." == anns[2].note
    assert ["", ""] == [outcome.note for outcome in anns[3:]]
    assert [Act.QUEUED] * 5 == acts(bobs)
    assert 8 == kept


async def test_a_refusal_is_for_whoever_called_us(redis_url: str) -> None:
    """By name alone, too; nobody hears of it who was only overheard, nor another bot."""
    async with among(redis_url, person_quota=1, max_message_chars=200, ambient_per_hour=9) as house:
        long = [
            overheard(f"Mira, {'a' * 200}", 1),
            overheard("a" * 201, 2),
            say("a" * 201, 3, BOB),
            say("a" * 201, 4, ROBOT),
        ]
        refused = await house.engine.on_messages(long)
        over = await house.engine.on_messages([overheard("Mira, hello?", n) for n in (5, 6)])

    assert [Act.REFUSED] * 4 == acts(refused)
    assert [True, False, True, False] == [bool(outcome.note) for outcome in refused]
    assert (Act.FULL, True) == (over[1].act, "must rest" in over[1].note)


async def test_a_channel_has_a_quota_with_its_threads(redis_url: str) -> None:
    """Whoever speaks there; a DM has none, nor do other channels share it."""
    people = [Person(f"discord:77:{n}") for n in range(5)]
    async with among(redis_url, channel_quota=2, ambient_per_hour=9) as house:
        room = await house.engine.on_messages(
            [say("hi", n, who, where=(ROOM, THREAD)[n % 2]) for n, who in enumerate(people)]
        )
        quiet = await house.engine.on_message(
            overheard("nice", 9, where=Place("discord", "77", "room", "t2", Kind.THREAD))
        )
        others = await house.engine.on_messages([say("hi", n, where=w) for n in range(3) for w in (DM, OTHER_SERVER)])

    assert [Act.QUEUED, Act.QUEUED, Act.FULL, Act.HEARD, Act.HEARD] == acts(room)
    assert "2 times here" in room[2].note
    assert (Act.HEARD, "") == (quiet.act, quiet.note)
    assert [Act.QUEUED] * 5 + [Act.FULL] == acts(others)


async def test_asking_for_another_reply_counts_as_asking(redis_url: str) -> None:
    """Or nobody would need to say anything new. Who gives a command is told each time."""
    async with among(redis_url, person_quota=2) as house, house.at_work():
        await house.talk(say("hello"))
        answers = [await command(house, "regenerate", n) for n in range(4)]

    assert [True, False, False, False] == [answer.job is not None for answer in answers]
    assert "2 times" in answers[1].text
    assert [RESTING] * 2 == [answer.text for answer in answers[2:]]


async def test_what_a_quota_counts_of_somebody_can_be_seen_and_forgotten(redis_url: str) -> None:
    """Walked over all keys of Redis: what bears their name is told, has an end, and is gone when they wish it."""
    async with among(redis_url, person_quota=2, channel_quota=9, ambient_per_hour=9, bots=True) as house:
        await house.engine.on_messages([say("hi", f"{n}-{who.name}", who) for n in range(3) for who in (ANN, BOB)])
        await house.engine.on_messages([say("hi", "robot", ROBOT), overheard("nice", "o", BOB, OTHER_SERVER)])
        counted = {name for key in COUNTS for name in await house.p.client.scan(key("*"))}
        lives = [await house.p.client.do("PTTL", name) for name in counted]
        told = (await house.p.privacy.export(ANN.id))["quota"]
        before = await house.p.client.scan(f"*{ANN.id}*")
        await house.p.privacy.forget(ANN.id)
        after = {word: await house.p.client.scan(f"*{word}*") for word in (ANN.id, BOB.id)}
        again = (await house.p.privacy.export(ANN.id))["quota"]

    assert len(COUNTS) == len({key.pattern for key in COUNTS for name in counted if name.startswith(_head(key))})
    assert all(life > 0 for life in lives)
    assert {"answered_lately": 2, "told_to_wait": True} == told
    assert {keys.ASKED(ANN.id), keys.ASKED_TOLD(ANN.id)} <= set(before)
    assert [] == after[ANN.id]
    assert {keys.ASKED(BOB.id), keys.ASKED_TOLD(BOB.id)} <= set(after[BOB.id])
    assert {"answered_lately": 0, "told_to_wait": False} == again


COUNTS = [keys.ASKED, keys.ASKED_TOLD, keys.SPOKEN, keys.OVERHEARD, keys.BOT_TURNS]


def _head(key: keys.Key) -> str:
    return key.pattern.partition("{}")[0]


# Files that people send.


async def test_a_file_calls_nobody(redis_url: str) -> None:
    """What stands in it, and how it is called, is not said to us; alone it is enough where all is for us."""
    async with among(redis_url) as house:
        named = msgspec.structs.replace(say("look", 1, to=Addressed.NO), files="[file: mira.txt, 5 bytes]\n> Mira stop")
        alone = msgspec.structs.replace(say("", 2, where=DM, to=Addressed.DM), files="[image: cat.png]")
        outcomes = await house.engine.on_messages([named, alone])
        kept = await house.p.conversations.last(TALK, 9)

    assert [Act.HEARD, Act.QUEUED] == acts(outcomes)
    assert ["look\n[file: mira.txt, 5 bytes]\n> Mira stop"] == [line.text for line in kept]


async def test_only_files_that_are_meant_for_us_are_fetched(redis_url: str) -> None:
    """By a name, too; not from whom the settings deny, and not more than a few."""
    fetched: list[str] = []

    class Shelf:
        async def fetch(self, attachment: Attachment, most: int) -> bytes:
            fetched.append(attachment.name)
            return b"hello"

    async with among(redis_url, deny_people=BOB.id) as house:
        for number, (text, who, to) in enumerate(
            [("hi", ANN, Addressed.NO), ("hi", BOB, Addressed.MENTION), ("Mira, hi", ANN, Addressed.NO)]
        ):
            files = tuple(Attachment(f"{number}{name}.txt", "text/plain", 5) for name in "abc")
            message = msgspec.structs.replace(say(text, number, who, to=to), attachments=files)
            event = await read(Shelf(), house.engine, message)
            assert isinstance(event, Message)
            assert event.files.count("[file: ") == 3

    assert ["2a.txt", "2b.txt"] == fetched
