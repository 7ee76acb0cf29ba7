"""What a persona remembers: across talks of its scope, with date and speaker, and of no other scope."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest

from core.engine import Act
from core.events import Addressed, Command, Person, PersonaKey, Place
from core.memory import Kind, Memory
from core.settings import Scope
from core.store import keys
from tests.fakes.house import ANN, BOB, BOT, DM, OTHER_SERVER, ROOM, House, edit, house_at, quick, say, unsay
from worker import recall as recall_
from worker.echo import Echo
from worker.embed import HashEmbedder, Vectors
from worker.embedding import Embedding
from worker.generator import Request
from worker.judge import Judge
from worker.nearness import Nearness
from worker.recall import Recall

MIRA = PersonaKey(BOT, "mira", "discord:77:server:77")
GARDEN, OTHER_ROOM = Place("discord", "77", "garden"), Place("discord", "77", "attic")


@pytest.fixture
async def house(redis_url: str) -> AsyncIterator[House]:
    """One persona for all channels of a server; a worker that can recall."""
    settings = msgspec.structs.replace(quick(), scope=Scope(discord="server"))
    async with house_at(redis_url, settings) as house:
        embedding = Embedding(HashEmbedder)
        assert await embedding.ready()
        house.recall = Recall(house.p.memories, embedding)
        yield house


async def asked(house: House, text: str, number: int, who: Person = BOB, where: Place = GARDEN) -> str:
    """The prompt of a reply."""
    (done,) = await house.talk(say(text, number, who, where))
    return await house.prompt(done.reply_id)


async def test_what_was_said_elsewhere_in_the_scope_is_recalled_with_its_speaker(house: House) -> None:
    """Also what nobody answered; what the talk shows still is not told twice."""
    await house.engine.on_message(say("My parrot is called Pepper", 1, to=Addressed.NO))
    async with house.at_work():
        told = await asked(house, "What is the parrot called?", 2)
        again = await asked(house, "A parrot, then?", 3)
        other = await asked(house, "Well well", 4)
        there = await asked(house, "What did you say of the parrot?", 5, ANN, ROOM)

    assert ', Ann: "My parrot is called Pepper"' in told
    assert "You remember from before:" in told
    assert 1 == again.count("My parrot is called Pepper")
    assert "You remember from before:" not in other
    assert 1 == there.count("My parrot is called Pepper")
    assert "You remember from before:" in there  # what was said of it in the garden


async def test_nothing_leaves_its_scope(house: House) -> None:
    """Not a DM, not another server, not another character."""
    await house.engine.on_messages(
        [say("The password is swordfish", 1, where=DM), say("The password is haddock", 2, where=OTHER_SERVER)]
    )
    async with house.at_work():
        here = await asked(house, "What is the password?", 3, ANN, ROOM)
        dm = await asked(house, "What is the password?", 4, ANN, DM)

    assert "swordfish" not in here
    assert "haddock" not in here
    assert "haddock" not in dm


async def test_an_edit_changes_what_is_recalled_and_a_deletion_takes_it(house: House) -> None:
    """Before it is taken in and after."""
    one, two = say("My boat is green", 1, to=Addressed.NO), say("My boat has a red sail", 2, to=Addressed.NO)
    await house.engine.on_messages([one, two])
    await house.engine.on_edit(edit(one, "My boat is blue"))
    async with house.at_work():
        first = await asked(house, "How was my boat?", 3)
        await house.engine.on_edit(edit(one, "My boat is black"))
        await house.engine.on_deletion(unsay(two))
        second = await asked(house, "And the boat?", 4)
        await house.p.conversations.delete(MIRA.conversation(ROOM), "m-1")
        await house.engine.on_edit(edit(one, "My boat is white"))
        third = await asked(house, "My boat!", 5)

    assert "My boat is blue" in first
    assert "red sail" in first
    assert "My boat is black" in second
    assert "red sail" not in second
    assert "My boat is white" in third


async def test_whose_words_are_recalled_is_on_record_with_the_reply(house: House) -> None:
    """Training on it takes their yes, too; and what our reply was reminded of is known."""
    await house.engine.on_message(say("My parrot is called Pepper", 1, to=Addressed.NO))
    async with house.at_work():
        (done,) = await house.talk(say("What is the parrot called?", 2, BOB, GARDEN))
    entry = await house.entry(done.reply_id)

    assert {ANN.id, BOB.id} == set(entry.record.people)
    assert ["discord:77:room/m-1"] == await house.p.conversations.reminded(MIRA.conversation(GARDEN))


class Pilot(Echo):
    """Knows when the ferry leaves, and no more."""

    def add(self, request: Request) -> None:
        """As `Echo`, with other words."""
        super().add(msgspec.structs.replace(request, tokens=tuple(b"Your ferry leaves at nine.")))


async def test_what_we_said_to_somebody_is_theirs_too(house: House) -> None:
    """It may tell what they said: training on it takes their yes, and when their question is gone it is not told."""
    question = say("When do I go?", 1)
    async with house.at_work(Pilot()):
        await house.talk(question)
        (asked,) = await house.talk(say("What did you say of the ferry?", 2, BOB, GARDEN))
        await house.engine.on_deletion(unsay(question))
        (again,) = await house.talk(say("So what did you say of a ferry?", 3, BOB, OTHER_ROOM))
    first, second = await house.entry(asked.reply_id), await house.entry(again.reply_id)

    assert "leaves at nine" in await house.prompt(asked.reply_id)
    assert {ANN.id, BOB.id} == set(first.record.people)
    assert not [one for one in second.record.recalled if one.startswith("discord:77:room/")]


async def test_what_was_remembered_of_who_is_forgotten_goes_from_the_prompts_of_others(house: House) -> None:
    """And the card's own words stay in them."""
    await house.engine.on_message(say("My parrot is called Pepper", 1, to=Addressed.NO))
    async with house.at_work():
        (done,) = await house.talk(say("What is the parrot called?", 2, BOB, GARDEN))
    before = await house.prompt(done.reply_id)
    await house.p.privacy.forget(ANN.id)
    after = await house.prompt(done.reply_id)

    assert "Pepper" in before
    assert "Pepper" not in after
    assert all(one.reply in after for one in house.p.card("mira").voice.examples)


async def test_a_reply_in_another_channel_that_was_reminded_of_who_is_forgotten_begins_anew(house: House) -> None:
    """It is being written when Ann is forgotten; nothing of her is left behind it."""
    await house.engine.on_message(say("My parrot is called Pepper", 1, to=Addressed.NO))
    async with house.at_work(Echo(delay=0.01, words=60)):
        asked = await house.engine.on_message(say("What is the parrot called?", 2, BOB, GARDEN))
        await house.shelf.wait(lambda: house.shelf.drafts)
        await house.p.privacy.forget(ANN.id)
        done = await house.answer(asked)

    assert "Pepper" not in await house.prompt(done.reply_id)
    assert {BOB.id} == set((await house.entry(done.reply_id)).record.people)
    assert [] == await house.p.client.scan(f"limen:person:{ANN.id}:*")


async def test_vectors_are_made_beside_the_talk_and_anew_for_another_embedder(house: House) -> None:
    """What was said is taken in without being asked for."""
    assert house.recall
    await house.engine.on_message(say("My parrot is called Pepper", 1, to=Addressed.NO))
    before = await house.recall.tend(MIRA)
    first = [change.vector for change in await house.p.memories.since(MIRA)]
    other = Embedding(lambda: HashEmbedder(64))
    assert await other.ready()
    recall = Recall(house.p.memories, other)
    found = await recall.search(MIRA, "parrot", 5)
    await recall.tend(MIRA)
    second = [change.vector for change in await house.p.memories.since(MIRA)]

    assert (0, 0.0) == (before, found[0].meaning)
    assert [12 + 256] == [len(vector) for vector in first]
    assert [12 + 64] == [len(vector) for vector in second]
    assert (await recall.search(MIRA, "parrot", 5))[0].meaning > 0.2


class Faulty(HashEmbedder):
    """Has no memory left, say."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        raise RuntimeError("out of memory")


async def test_whatever_goes_wrong_beside_it_the_reply_is_given(house: House) -> None:
    """The embedder fails, and a personality cannot be read: rules hold by words, and nothing is written to it."""
    embedding = Embedding(Faulty)
    assert await embedding.ready()
    house.recall, house.judge = Recall(house.p.memories, embedding), Judge(house.p.conversations, Nearness(Faulty()))
    await house.engine.on_message(say("My parrot is called Pepper", 1, to=Addressed.NO))
    await house.p.client.do("SET", keys.SELF_AT(str(MIRA)), "damaged")
    async with house.at_work():
        (done,) = await house.talk(say("What is the parrot called?", 2, BOB, GARDEN))

    assert "What is the parrot called?" in done.text


class Stuck(Embedding):
    """Comes to no end."""

    async def embed(self, texts: Sequence[str]) -> Vectors | None:
        """Never."""
        await asyncio.Event().wait()
        return None


async def test_no_reply_waits_for_ever(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """For what it would be reminded of; the log has a line, and no traceback."""
    monkeypatch.setattr("worker.compose.LATE", 0.1)
    house.recall = Recall(house.p.memories, Stuck(HashEmbedder))
    await house.engine.on_message(say("My parrot is called Pepper", 1, to=Addressed.NO))
    async with house.at_work():
        (done,) = await house.talk(say("What is the parrot called?", 2, BOB, GARDEN))

    assert "What is the parrot called?" in done.text
    assert [None] == [row.exc_info for row in caplog.records if "what it recalls took too long" in row.getMessage()]


async def test_without_an_embedder_words_alone_recall(house: House) -> None:
    """Nothing waits for it."""

    def never() -> HashEmbedder:
        raise AssertionError("not now")

    embedding = Embedding(never)
    embedding.begin = lambda: None  # type: ignore[method-assign]
    recall = Recall(house.p.memories, embedding)
    await house.engine.on_message(say("My parrot is called Pepper", 1, to=Addressed.NO))

    assert ["My parrot is called Pepper"] == [hit.memory.text for hit in await recall.search(MIRA, "parrots", 3)]


async def test_the_weakest_fade_when_there_is_no_room(house: House) -> None:
    """A tenth at a time; the index follows."""
    embedding = Embedding(HashEmbedder)
    assert await embedding.ready()
    recall = Recall(house.p.memories, embedding, most=20)
    talk = [say(f"I love my dog number {n} very much, and she lives here", n, to=Addressed.NO) for n in range(10)]
    await house.engine.on_messages([*talk, *(say(f"ok {n}", n + 10, to=Addressed.NO) for n in range(12))])
    await recall.tend(MIRA)
    await recall.tend(MIRA)

    assert 18 == await house.p.memories.count(MIRA)
    dogs = [hit for hit in await recall.search(MIRA, "dog", 30) if "dog" in hit.memory.text]
    assert 10 == len(dogs)


async def test_a_worker_takes_in_what_is_said_to_anybody(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """While nobody asks anything."""
    monkeypatch.setattr(recall_, "PAUSE", 0.02)
    assert house.recall
    task = asyncio.create_task(house.recall.keep_on())
    await house.engine.on_message(say("Overheard", 1, to=Addressed.NO))
    try:
        async with asyncio.timeout(20):
            while not [change for change in await house.p.memories.since(MIRA) if change.vector]:
                await asyncio.sleep(0.05)
    finally:
        task.cancel()

    assert [] == await house.p.memories.waiting()


def given(name: str, args: str = "", who: Person = ANN, where: Place = ROOM, number: int = 1) -> Command:
    return Command(
        id=f"c-{name}-{number}", account=BOT, place=where, author=who, time=2000.0, name=name, args=args
    )  # fmt: skip


async def test_people_see_what_is_remembered_and_search_it(house: House) -> None:
    """By the words that they give; of no other scope."""
    desk = house.p.desk(house.engine)
    nothing = await desk.answer(given("memory"))
    await house.engine.on_messages([say("I planted three apple trees", 1), say("The secret pear", 2, where=DM)])
    noted = await desk.answer(given("remember", "Bob is  allergic to nuts", BOB))
    all_, found, none = [await desk.answer(given("memory", text)) for text in ("", "apples and trees", "secret pear")]
    other = await desk.answer(given("memory", "", ANN, OTHER_SERVER))

    assert "I remember nothing here yet." == nothing.text == other.text
    assert "I will remember: “Bob is allergic to nuts”" in noted.text
    assert "I remember 2 things here, since today." in all_.text
    assert "- today, Bob: Bob is allergic to nuts" in all_.text
    assert "- today, Ann: I planted three apple trees" == found.text
    assert "Nothing that I remember has that." == none.text
    assert (await desk.answer(given("remember", " ", number=9))).error


async def test_what_was_said_in_another_channel_is_not_shown(house: House) -> None:
    """Not everybody is in all channels of a server; what was made of it neither, and notes are for all."""
    desk = house.p.desk(house.engine)
    await house.engine.on_message(say("The surprise party is on Friday", 1, where=GARDEN, to=Addressed.NO))
    fact = Memory(id="fact:1", text="Ann plans a party.", time=1001.0, author=ANN, kind=Kind.FACT,
                  sources=("discord:77:garden/m-1",))  # fmt: skip
    await house.p.memories.add(MIRA, [fact])
    there, here, hers = [
        (await desk.answer(given("memory", "party", who, where))).text
        for who, where in ((BOB, GARDEN), (BOB, ROOM), (ANN, ROOM))
    ]
    async with house.at_work():
        (done,) = await house.talk(say("When is the surprise party?", 2, BOB))
    reminded = (await desk.answer(given("memory", "", BOB))).text

    assert "surprise party" in there
    assert "Ann plans a party" in there
    assert "Nothing that I remember has that." == here
    assert "surprise party" in hers
    assert "surprise party is on Friday" in await house.prompt(done.reply_id)
    assert "surprise party is on Friday" not in reminded


async def test_an_export_holds_nothing_of_talks_that_one_was_not_in(house: House) -> None:
    """Ann's words were recalled for Bob in another channel, and Bob's of there for her."""
    await house.engine.on_message(say("My parrot is called Pepper", 1, to=Addressed.NO))
    await house.engine.on_message(say("My ferret is Fred", 4, BOB, GARDEN, to=Addressed.NO))
    async with house.at_work():
        (his,) = await house.talk(say("What is the parrot called?", 2, BOB, GARDEN))
        (hers,) = await house.talk(say("What is the ferret called?", 3))
    told = {row["reply_id"]: row for row in (await house.p.privacy.export(ANN.id))["replies"]}

    assert "Pepper" in await house.prompt(his.reply_id)
    assert "Fred" in await house.prompt(hers.reply_id)
    assert {his.reply_id, hers.reply_id} == set(told)
    assert ([], True) == (told[his.reply_id]["messages"], told[his.reply_id]["quoted_elsewhere"])
    assert "ferret is Fred" not in str(told)
    assert "What is the ferret called?" in str(told[hers.reply_id]["messages"])


async def test_a_note_reaches_a_reply_and_can_be_taken_back(house: House) -> None:
    """Told twice, it is one note; and what is taken back can be had again."""
    desk = house.p.desk(house.engine)
    for _ in range(2):
        await desk.answer(given("remember", "Bob is allergic to nuts"))
    count = await house.p.memories.count(MIRA)
    async with house.at_work():
        before = await asked(house, "Is Bob allergic to something?", 1)
    gone = await desk.answer(given("forget", "that", where=GARDEN))
    after = [memory.text for memory in await house.p.memories.every(MIRA)]
    wrong = await desk.answer(given("forget", "undo", BOB, number=2))
    back = await desk.answer(given("forget", "undo", where=GARDEN, number=3))

    assert 1 == count
    assert ', Ann: "Bob is allergic to nuts"' in before
    assert "Forgotten: “Bob is allergic to nuts”" in gone.text
    assert "Bob is allergic to nuts" not in after
    assert wrong.error
    assert "I remember it again: “Bob is allergic to nuts”" == back.text
    assert "Bob is allergic to nuts" in {memory.text for memory in await house.p.memories.every(MIRA)}


async def test_notes_of_one_person_have_a_bound(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """For they never fade: nobody fills a memory with them that others share."""
    monkeypatch.setattr("core.commands.remembering.NOTES", 2)
    desk = house.p.desk(house.engine)
    hers = [await desk.answer(given("remember", f"note {n}", number=n)) for n in range(3)]
    his = await desk.answer(given("remember", "note of Bob", BOB, number=9))

    assert [False, False, True] == [answer.error for answer in hers]
    assert "I have 2 notes of yours" in hers[2].text
    assert not his.error


async def test_that_is_what_one_said_last_if_nothing_was_recalled(house: House) -> None:
    """It leaves the talk as well."""
    desk = house.p.desk(house.engine)
    await house.engine.on_messages([say("first", 1), say("I said too much", 2), say("Bob here", 3, BOB)])
    gone = await desk.answer(given("forget", "that"))

    assert "Forgotten: “I said too much”" in gone.text
    assert ["first", "Bob here"] == [line.text for line in await house.p.conversations.last(MIRA.conversation(ROOM), 9)]
    assert {"first", "Bob here"} == {memory.text for memory in await house.p.memories.every(MIRA)}


async def test_what_is_deleted_does_not_come_back(house: House) -> None:
    """It was forgotten in the chat, and then deleted on the platform."""
    desk, line = house.p.desk(house.engine), say("I said too much", 1)
    await house.engine.on_message(line)
    await desk.answer(given("forget", "that"))
    await house.engine.on_deletion(unsay(line))
    back = await desk.answer(given("forget", "undo", number=2))

    assert back.error
    assert [] == await house.p.memories.every(MIRA)


async def test_what_another_said_is_theirs_to_take_away(house: House) -> None:
    """Or an operator's."""
    desk = house.p.desk(house.engine)
    await house.engine.on_message(say("My parrot is called Pepper", 1, to=Addressed.NO))
    async with house.at_work():
        await asked(house, "What is the parrot called?", 2)
    refused = await desk.answer(given("forget", "that", BOB, GARDEN))
    operator = msgspec.structs.replace(given("forget", "that", BOB, GARDEN, 2), operator=True)
    done = await desk.answer(operator)

    assert refused.error
    assert "That is what Ann said." in refused.text
    assert "Forgotten: “My parrot is called Pepper”" in done.text


async def test_what_was_recalled_and_then_deleted_trains_nothing(house: House) -> None:
    """Nor what was said of it in another channel; other replies do."""
    one = say("My parrot is called Pepper", 1, to=Addressed.NO)
    await house.engine.on_message(one)
    async with house.at_work():
        (told,) = await house.talk(say("What is the parrot called?", 2, BOB, GARDEN))
        (other,) = await house.talk(say("Well, well", 3, BOB, GARDEN))
    before = [(await house.entry(done.reply_id)).record.deleted for done in (told, other)]
    await house.engine.on_deletion(unsay(one))

    assert [False, False] == before
    assert [True, False] == [(await house.entry(done.reply_id)).record.deleted for done in (told, other)]


async def test_fifty_scopes_keep_their_secrets(house: House) -> None:
    """Each is asked for everything, by words and by likeness, as replies are and as people do."""
    assert house.recall
    desk = house.p.desk(house.engine)
    places = [Place("discord", str(1000 + n), "room") for n in range(50)]
    for n, place in enumerate(places):
        await house.engine.on_message(say(f"The secret code is swordfish{n}x", n, where=place, to=Addressed.NO))
    for n, place in enumerate(places):
        persona = PersonaKey(BOT, "mira", f"discord:{1000 + n}:server:{1000 + n}")
        hits = await house.recall.search(persona, "the secret code is swordfish", 100)
        told = (await desk.answer(given("memory", "secret code", ANN, place, n))).text

        assert [f"The secret code is swordfish{n}x"] == [hit.memory.text for hit in hits]
        assert [f"swordfish{n}x"] == [word for word in told.split() if word.startswith("swordfish")]


async def test_a_reply_that_is_deleted_is_forgotten(house: House) -> None:
    """By the platform's id of it."""
    async with house.at_work():
        (done,) = await house.talk(say("Say something", 1, where=ROOM))
    await house.p.memories.take_in(MIRA)
    before = [memory.text for memory in await house.p.memories.every(MIRA)]
    ours = msgspec.structs.replace(say("", 1), id=done.reply_id)  # as `Shelf` calls what it was sent
    await house.engine.on_deletion(unsay(ours))

    assert 2 == len(before)
    assert ["Say something"] == [memory.text for memory in await house.p.memories.every(MIRA)]


async def test_a_copy_begins_anew_when_redis_does(house: House) -> None:
    """An emptied Redis counts from one again."""
    assert house.recall
    await house.engine.on_messages([say(f"old thing {n}", n, to=Addressed.NO) for n in range(5)])
    before = await house.recall.search(MIRA, "old thing", 9)
    await house.p.client.do("FLUSHALL")
    await house.engine.on_message(say("new thing", 1, to=Addressed.NO))
    after = await house.recall.search(MIRA, "old thing", 9)

    assert (5, ["new thing"]) == (len(before), [hit.memory.text for hit in after])


async def test_what_it_said_itself_is_recalled_only_for_whoever_asks(house: House) -> None:
    """And a question is no answer to itself."""
    async with house.at_work():
        await asked(house, "Which harbour has the best oranges?", 1, ANN, ROOM)
        again = await asked(house, "Which harbour has the best oranges?", 2)
        by_it = await asked(
            house, "Which harbour has the best oranges, did you say?", 3, BOB, Place("discord", "77", "hall")
        )

    assert "You remember from before:" not in again
    assert ", You:" in by_it


async def test_what_is_asked_for_stands_before_the_question_though_the_talk_still_shows_it(house: House) -> None:
    """A small model does not find it ten lines above. Whatever else is said brings back nothing that is to be seen."""
    async with house.at_work():
        await asked(house, "My cat is called Momo and she is afraid of thunder", 1, ANN)
        other = await asked(house, "A cat is afraid of thunder, as you know", 2)
        told = await asked(house, "What is my cat called?", 3, ANN)
        by_another = await asked(house, "What did Ann say her cat is called?", 4)

    assert "You remember from before:" not in other
    for prompt in (told, by_another):
        assert 'Ann: "My cat is called Momo and she is afraid of thunder"' in prompt.partition("You remember")[2]
        assert 'Ann: "What is my cat called?"' not in prompt


async def test_what_was_said_after_a_question_is_not_remembered_for_it(house: House) -> None:
    """It stands in the talk by the time that the question is answered, and is not from before."""
    first = await house.engine.on_message(say("What is my cat called?", 1, ANN, GARDEN))
    await house.engine.on_message(say("My cat is called Momo", 2, ANN, GARDEN, Addressed.NO))
    async with house.at_work():
        done = await house.answer(first)

    assert "Momo" not in (await house.prompt(done.reply_id)).partition("You remember")[2]


async def test_who_played_before_hears_that_something_was_deleted_or_edited(house: House) -> None:
    """After a switch another character plays, and the one before must not go on knowing it."""
    one, two = say("My boat is green", 1, to=Addressed.NO), say("My sail is red", 2, to=Addressed.NO)
    await house.engine.on_messages([one, two])
    for card in ("noa", "orrin"):
        await house.p.personas.choose(BOT, MIRA.scope, card)
        await house.engine.on_message(say("My oar is long", f"3-{card}", to=Addressed.NO))
    await house.engine.on_edit(edit(one, "My boat is blue"))
    await house.engine.on_deletion(unsay(two))
    oars = msgspec.structs.replace(MIRA, card="noa").conversation(ROOM)
    gone = await house.engine.on_deletion(unsay(say("", "3-noa")))

    assert ["My boat is blue"] == [line.text for line in await house.p.conversations.last(MIRA.conversation(ROOM), 9)]
    assert [] == await house.p.conversations.last(oars, 9)
    assert Act.CHANGED == gone.act
