"""What becomes of what people say: from the event to the reply and the history, on real Redis, with an echo."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from core.engine import Act
from core.errors import LimenError, UnknownPersona
from core.events import Addressed, Line, Person, Place
from core.intake import Intake
from core.settings import Attention, Settings
from tests.fakes.house import (
    ANN,
    BOB,
    BOT,
    DM,
    OTHER_SERVER,
    ROOM,
    House,
    Short,
    edit,
    house_at,
    quick,
    react,
    say,
    unsay,
)
from worker.echo import Echo

TALK = f"{BOT}|mira|{ROOM}"


@pytest.fixture
async def house(redis_url: str) -> AsyncIterator[House]:
    """A house in which nobody is at work yet."""
    async with house_at(redis_url) as house:
        yield house


async def test_a_redelivered_message_is_answered_once(house: House) -> None:
    """Platforms tell things twice; the second answer names the job of the first."""
    first, again = [await house.engine.on_message(say("hello")) for _ in range(2)]

    assert (Act.QUEUED, Act.SEEN) == (first.act, again.act)
    assert first.job == again.job
    assert 1 == len(await house.p.queue.all())
    assert 1 == await house.p.conversations.count(TALK)


async def test_an_edit_before_claiming_is_what_the_model_sees(house: House) -> None:
    """The job points at the message; it does not hold it."""
    asked = await house.engine.on_message(say("I like cats"))
    assert Act.CHANGED == (await house.engine.on_edit(edit(say(""), "I like dogs"))).act
    async with house.at_work():
        done = await house.answer(asked)

    assert "I like dogs" in done.text
    assert "cats" not in await house.prompt(done.reply_id)


async def test_an_edit_over_the_limit_is_refused_like_a_message(house: House) -> None:
    """What was said before stands; a message we never heard cannot change."""
    await house.engine.on_message(say("short"))
    outcome = await house.engine.on_edit(edit(say(""), "x" * 20_001))

    assert Act.REFUSED == outcome.act
    assert "20,001" in outcome.note
    assert ["short"] == [line.text for line in await house.p.conversations.last(TALK, 9)]
    assert Act.IGNORED == (await house.engine.on_edit(edit(say("", 2), "new"))).act


async def test_nothing_is_said_to_a_message_that_was_deleted(house: House) -> None:
    """Silence, and no error."""
    asked = await house.engine.on_message(say("never mind"))
    assert Act.CHANGED == (await house.engine.on_deletion(unsay(say("")))).act
    async with house.at_work():
        done = await house.answer(asked)

    assert ("silent", "") == (done.act, done.text)
    assert [] == house.shelf.failures
    assert 0 == await house.p.conversations.count(TALK)
    assert await house.p.ledger.get(done.reply_id) is None


async def test_quick_messages_of_one_person_are_one_turn(redis_url: str) -> None:
    """Somebody else's message in between is a turn of its own."""
    settings = Settings(attention=Attention(quick_seconds=30, settle_seconds=0))
    async with house_at(redis_url, settings) as house:
        messages = [say("one", 1), say("two", 2), say("hey", 3, BOB), say("three", 4)]
        outcomes = await house.engine.on_messages(messages)
        async with house.at_work():
            dones = [await house.answer(outcomes[at]) for at in (0, 2, 3)]

    assert [Act.QUEUED, Act.MERGED, Act.QUEUED, Act.QUEUED] == [outcome.act for outcome in outcomes]
    assert [("m-1", "m-2"), ("m-3",), ("m-4",)] == [done.answers for done in dones]
    assert "Ann: one\nAnn: two" in dones[0].text


async def test_a_full_queue_says_so(redis_url: str) -> None:
    """The message is heard, but no answer is promised; the note says how many wait."""
    async with house_at(redis_url, quick(max_per_conversation=2)) as house:
        outcomes = [await house.engine.on_message(say("hi", n, Person(f"p:{n}"))) for n in range(3)]
        kept = await house.p.conversations.count(TALK)

    assert [Act.QUEUED, Act.QUEUED, Act.FULL] == [outcome.act for outcome in outcomes]
    assert "2 waiting" in outcomes[2].note
    assert 3 == kept


async def test_a_message_that_is_too_long_is_refused_with_a_reason(house: House) -> None:
    """Both numbers are in it; nothing of it is kept."""
    outcome = await house.engine.on_message(say("x" * 200_000))

    assert Act.REFUSED == outcome.act
    assert "200,000" in outcome.note
    assert "20,000" in outcome.note
    assert 0 == await house.p.conversations.count(TALK)


@pytest.mark.parametrize("nothing", ["", " \n\t ", "\0", "\r\n", "\x07\x1b"])
async def test_nothing_said_is_nothing_heard(house: House, nothing: str) -> None:
    """Empty, white, or only what cannot be shown."""
    assert Act.IGNORED == (await house.engine.on_message(say(nothing))).act
    assert 0 == await house.p.conversations.count(TALK)


async def test_odd_characters_come_through_whole_or_replaced(house: House) -> None:
    """NUL goes, a lone surrogate becomes U+FFFD, everything else stays; names too."""
    odd = say("a\0b \ud83d 🐝 \u202eéé", who=Person("discord:77:odd", "A\0\ud83dnn"))
    async with house.at_work():
        (done,) = await house.talk(odd)
        (line, _) = await house.p.conversations.last(TALK, 9)

    assert "ab \ufffd 🐝 \u202eéé" in done.text
    assert "A\ufffdnn" == line.author.name


async def test_what_was_overheard_is_kept_but_not_answered(house: House) -> None:
    """Once somebody calls, the model knows what was said before."""
    overheard = await house.engine.on_message(say("the password is fish", 1, BOB, to=Addressed.NO))
    async with house.at_work():
        (done,) = await house.talk(say("what did Bob say?", 2))

    assert (Act.HEARD, "") == (overheard.act, overheard.job)
    assert "Bob: the password is fish" in await house.prompt(done.reply_id)
    assert ("m-2",) == done.answers


async def test_two_bots_in_one_channel_keep_apart(house: House) -> None:
    """Both hear the same event with the same id; each has its own history and its own answer."""
    other = "discord:b2"
    outcomes = await house.engine.handle([say("hello you two"), say("hello you two", account=other)])

    assert [Act.QUEUED, Act.QUEUED] == [outcome.act for outcome in outcomes]
    assert {BOT, other} == {job.replies for job in await house.p.queue.all()}
    await house.engine.on_deletion(unsay(say("", account=other)))
    assert [1, 0] == [await house.p.conversations.count(f"{bot}|mira|{ROOM}") for bot in (BOT, other)]


async def test_scopes_are_walls(house: House) -> None:
    """What one said in a DM is in no channel's prompt, nor a channel's in another server's: tried each way."""
    rooms = {"secret-dm": DM, "secret-room": ROOM, "secret-server": OTHER_SERVER, "secret-hall": _room("hall")}
    async with house.at_work():
        told = {word: await house.talk(say(f"I hide {word}", word, where=room)) for word, room in rooms.items()}
        asked = {w: (await house.talk(say("what do I hide?", f"ask-{w}", where=r)))[0] for w, r in rooms.items()}
        prompts = {word: await house.prompt(done.reply_id) for word, done in asked.items()}

    assert 4 == len({done[0].persona for done in told.values()})
    for mine, prompt in prompts.items():
        assert [mine] == [word for word in rooms if word in prompt]


async def test_regenerating_gives_another_reply_in_the_place_of_the_old(house: House) -> None:
    """It has its own id and its own ratings; what was said since stays behind it."""
    async with house.at_work():
        (first,) = await house.talk(say("hello"))
        await house.engine.on_reaction(react(first.reply_id, "👎"))
        persona = first.persona
        second = await house.answer(await house.engine.regenerate(persona, ROOM, ANN))
        await house.engine.on_reaction(react(second.reply_id, "👍"))
        lines = await house.p.conversations.last(TALK, 9)
        entries = [await house.entry(done.reply_id) for done in (first, second)]

    assert first.reply_id != second.reply_id
    assert ["m-1", second.reply_id] == [line.id for line in lines]
    assert [["👎"], ["👍"]] == [[fact.emoji for fact in entry.facts] for entry in entries]
    assert entries[0].messages == entries[1].messages
    assert first.reply_id == entries[1].record.regenerates


async def test_regenerating_twice_before_the_first_is_there_leaves_one_reply(house: House) -> None:
    """The last one given stands in history."""
    async with house.at_work():
        (first,) = await house.talk(say("hello"))
    outcomes = [await house.engine.regenerate(first.persona, ROOM, ANN) for _ in range(2)]
    async with house.at_work():
        dones = [await house.answer(outcome) for outcome in outcomes]

    assert ["m-1", dones[1].reply_id] == [line.id for line in await house.p.conversations.last(TALK, 9)]


async def test_there_must_be_a_reply_to_regenerate(house: House) -> None:
    """Before that there is a note."""
    persona = await house.engine.persona(say(""))
    outcome = await house.engine.regenerate(persona, ROOM, ANN)

    assert Act.IGNORED == outcome.act
    assert outcome.note


async def test_stopping_keeps_what_was_said_so_far(house: House) -> None:
    """The reply ends where it was, and is on record like that."""
    async with house.at_work(Echo(delay=0.01, words=5000)):
        asked = await house.engine.on_message(say("tell me everything"))
        await house.shelf.wait(lambda: any(text.startswith("I heard") for text, _ in house.shelf.drafts))
        assert 1 == await house.engine.stop(asked.conversation)
        done = await house.answer(asked)
        (_, line) = await house.p.conversations.last(TALK, 9)

    assert (True, "cancelled") == (done.cancelled, done.finish)
    assert done.text.startswith("I heard")
    assert [done.text] * 2 == [line.text, (await house.entry(done.reply_id)).record.text]
    assert 0 == await house.engine.stop(asked.conversation)


async def test_stopping_what_waits_says_that_it_was_stopped(house: House) -> None:
    """There is no reply, and nobody waits for one."""
    asked = await house.engine.on_message(say("hello"))
    assert 1 == await house.engine.stop(asked.conversation)
    async with house.at_work():
        await house.shelf.wait(lambda: house.shelf.failures)

    assert [(asked.reply_id, True, False)] == [(f.reply_id, f.cancelled, f.dead) for f in house.shelf.failures]
    assert [] == house.shelf.finals


async def test_history_is_compacted_in_chunks_with_a_summary(house: House) -> None:
    """The start stays where it is for several turns, then moves by a chunk; what was left is summed up."""
    starts, said = [], [say(f"My number is {n}.", n, BOB if n % 2 else ANN) for n in range(8)]
    async with house.at_work(Short()):
        for message in said:
            (done,) = await house.talk(message)
            starts.append((await house.p.conversations.talk(TALK)).lines[0].id)
        talk, last = await house.p.conversations.talk(TALK), await house.entry(done.reply_id)

    assert ["m-0"] * 4 + ["m-2"] * 2 + ["m-4"] * 2 == starts
    assert 'Ann said: "My number is 0."\nBob said: "My number is 1."' in talk.summary
    assert {ANN.id, BOB.id} == set(talk.people)
    assert "My number is 0." in last.messages[0].content
    assert last.record.summed
    assert 16 == await house.p.conversations.count(TALK)


async def test_an_ephemeral_job_changes_no_history(house: House) -> None:
    """Its lines are the whole talk; its reply is on record all the same."""
    await house.engine.on_message(say("a real one"))
    (job,) = await house.p.queue.all()
    line = Line("l-1", ANN, "from a file", 1.0)
    file = msgspec.structs.replace(job, id="j-file", reply_id="r-file", conversation="file", ephemeral=(line,),
                                   events=("l-1",))  # fmt: skip
    await house.p.queue.drop(job.id)
    before = await _talk_keys(house)
    await house.p.queue.submit(file)
    async with house.at_work():
        await house.shelf.wait(lambda: house.shelf.finals)

    assert before == await _talk_keys(house)
    assert "file" == (await house.entry("r-file")).record.source
    assert "a real one" not in await house.prompt("r-file")


async def test_one_event_that_cannot_be_taken_does_not_cost_the_others(house: House) -> None:
    """A card that is gone is told to whom it concerns."""
    persona = await house.engine.persona(say("", where=DM))
    await house.p.personas.choose(BOT, persona.scope, "nobody-of-that-name")
    intake = Intake(house.engine.handle)
    puts = [intake.put(say("hi", 1)), intake.put(say("hi", 2, where=DM)), intake.put(say("hi", 3, BOB))]
    running = asyncio.create_task(intake.run())
    told = await asyncio.wait_for(asyncio.gather(*puts, return_exceptions=True), 10)
    running.cancel()

    assert isinstance(told[1], UnknownPersona)
    assert not any(isinstance(outcome, LimenError) for outcome in (told[0], told[2]))
    assert {"m-1", "m-3"} == {event for job in await house.p.queue.all() for event in job.events}


def _room(channel: str) -> Place:
    return Place("discord", "77", channel)


async def _talk_keys(house: House) -> dict[str, object]:
    names = await house.p.client.scan("limen:talk*")
    return {name: await house.p.client.do("DUMP", name) for name in names}
