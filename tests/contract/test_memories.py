"""The memories' contract: lines are taken in, facts supersede, what goes is gone; on both servers."""

from collections.abc import AsyncIterator

import pytest

from core.events import Line, Message, Person, PersonaKey, Place
from core.memory import Kind, Memory, note, turn_id
from core.store import keys
from core.store.client import Client
from core.store.conversations import Conversations, heard, said
from core.store.memories import Memories, State, noted, unsaid
from core.store.queue import Offer, Queue

ROOM, DM = Place("discord", "77", "room"), Place("discord", "77", "dm")
MIRA = PersonaKey("discord:b1", "mira", "discord:77:server:77")
OTHER = PersonaKey("discord:b1", "mira", "discord:77:user:ann")
ANN, BOB = Person("discord:77:ann", "Ann"), Person("discord:77:bob", "Bob")
TALK = MIRA.conversation(ROOM)


class Kept:
    """Memories, and the Redis they are on."""

    def __init__(self, client: Client) -> None:
        self.client, self.memories = client, Memories(client)
        self.queue, self.talks = Queue(client), Conversations(client)

    async def hear(self, number: int, text: str, who: Person = ANN, place: Place = ROOM) -> None:
        """Something is said."""
        message = Message(id=f"m{number}", account=MIRA.account, place=place, author=who, time=float(number), text=text)
        await self.queue.accept([Offer(line=heard(MIRA, place, message, text))])

    async def reply(self, name: str, text: str, to: str, time: float) -> None:
        """We answer."""
        line = Line(name, Person(MIRA.account, "Mira", True), text, time, True, name, (to,))
        await self.client.do_all([*said(TALK, line, 1.0), *noted(MIRA, TALK, name)])

    async def texts(self, persona: PersonaKey = MIRA) -> list[str]:
        """What is remembered, oldest first."""
        await self.memories.take_in(persona)
        return [memory.text for memory in await self.memories.every(persona)]


def fact(name: str, text: str, slot: str, time: float = 1.0, about: Person = ANN) -> Memory:
    return Memory(id=name, text=text, time=time, author=about, kind=Kind.FACT, slot=slot)


@pytest.fixture
async def on(redis_url: str) -> AsyncIterator[Kept]:
    """Memories on an empty Redis."""
    client = Client(redis_url)
    yield Kept(client)
    await client.close()


async def test_what_is_heard_and_said_is_remembered_word_for_word(on: Kept) -> None:
    """Also what nobody answered; with who, when and where, and what we answered."""
    await on.hear(2, "I keep bees 🐝", BOB)
    await on.hear(1, "I have a parrot")
    await on.reply("r1", "What is it called?", "m1", 1.5)
    waits = await on.memories.waiting()
    await on.memories.take_in(MIRA)
    parrot, asked, bees = await on.memories.every(MIRA)

    assert [MIRA] == waits
    assert [] == await on.memories.waiting()
    assert ("I have a parrot", ANN, 1.0, TALK, "m1") == (
        parrot.text, parrot.author, parrot.time, parrot.talk, parrot.line
    )  # fmt: skip
    assert (True, (parrot.id,), ()) == (asked.ours, asked.sources, asked.everybody())
    assert ("I keep bees 🐝", (BOB.id,)) == (bees.text, bees.everybody())
    assert [MIRA] == await on.memories.of_person(ANN.id)
    assert [] == await on.texts(OTHER)


async def test_ids_of_two_channels_do_not_meet(on: Kept) -> None:
    """Telegram counts anew in each."""
    await on.hear(1, "here")
    await on.hear(1, "there", place=DM)

    assert {"here", "there"} == set(await on.texts())
    assert {turn_id(TALK, "m1"), "discord:77:dm/m1"} == set(await on.memories.ids(MIRA))


async def test_taking_in_twice_changes_nothing(on: Kept) -> None:
    """Nor does hearing of it again."""
    await on.hear(1, "once")
    await on.texts()
    before = await on.memories.state(MIRA)
    await on.client.do_all(noted(MIRA, TALK, "m1"))

    assert ["once"] == await on.texts()
    assert (State(1, 0), before) == (before, await on.memories.state(MIRA))


async def test_an_edit_changes_a_memory_and_its_vector_goes(on: Kept) -> None:
    """Whether it is taken in already or not, and also if the talk has let go of it."""
    await on.hear(1, "I live in Lyon")
    assert not await on.memories.edit(MIRA, TALK, "m1", "too early")
    await on.talks.edit(TALK, "m1", "I live in Paris")
    await on.texts()
    name = turn_id(TALK, "m1")
    await on.memories.keep_vectors(MIRA, {(name, 1): b"vector"})
    assert b"vector" == (await on.memories.since(MIRA))[0].vector
    await on.talks.delete(TALK, "m1")

    assert await on.memories.edit(MIRA, TALK, "m1", "I live in Rome")
    (change,) = await on.memories.since(MIRA, 1)
    assert ("I live in Rome", b"", 2) == (change.memory.text, change.vector, change.seq)


async def test_a_vector_of_what_has_changed_meanwhile_is_not_kept(on: Kept) -> None:
    """Nor one of what is gone."""
    await on.hear(1, "old")
    await on.texts()
    name = turn_id(TALK, "m1")
    await on.memories.edit(MIRA, TALK, "m1", "new")
    await on.memories.keep_vectors(MIRA, {(name, 1): b"old", ("nobody", 1): b"x"})
    assert [b""] == [change.vector for change in await on.memories.since(MIRA)]
    await on.memories.keep_vectors(MIRA, {(name, 2): b"new"})

    assert [b"new"] == [change.vector for change in await on.memories.since(MIRA)]
    assert 1 == await on.client.do("HLEN", keys.MEMORY_VECTORS(str(MIRA)))


async def test_what_is_deleted_is_neither_remembered_nor_will_be(on: Kept) -> None:
    """A reply that was given again takes the old one's place."""
    await on.hear(1, "one")
    await on.hear(2, "two")
    await on.memories.take_in(MIRA)
    await on.hear(3, "three")
    await on.reply("r1", "first", "m1", 4.0)
    await on.texts()
    known = await on.memories.unsay(MIRA, TALK, "m1"), await on.memories.unsay(MIRA, TALK, "m3")
    await on.hear(5, "five")
    unknown = await on.memories.unsay(MIRA, TALK, "m5")
    await on.client.do_all(unsaid(MIRA, TALK, ["r1"]))

    assert ((True, True), False) == (known, unknown)
    assert ["two"] == await on.texts()
    assert 3 == (await on.memories.state(MIRA)).gone


async def test_a_newer_fact_supersedes_and_an_older_one_does_not(on: Kept) -> None:
    """Of the same person and slot; whichever comes first."""
    await on.memories.add(MIRA, [fact("f1", "Ann lives in Lyon", "home", 10), fact("b", "Bob too", "home", 1, BOB)])
    await on.memories.add(MIRA, [fact("f2", "Ann lives in Rome", "home", 20)])
    await on.memories.add(MIRA, [fact("f0", "Ann lives in Bonn", "home", 5), fact("n", "Ann is called Ann", "name")])

    over = {memory.id: memory.superseded_by for memory in await on.memories.every(MIRA)}
    assert {"f0": "f2", "f1": "f2", "f2": "", "b": "", "n": ""} == over


async def test_a_note_supersedes_a_fact_and_a_fact_a_note(on: Kept) -> None:
    """They say the same sort of thing."""
    await on.memories.add(MIRA, [fact("f1", "Ann lives in Lyon", "home", 10), note("n", "I live in Rome", ANN, 20.0)])
    await on.memories.add(MIRA, [fact("f2", "Ann lives in Bonn", "home", 30)])

    assert {"f1": "n", "n": "f2", "f2": ""} == {m.id: m.superseded_by for m in await on.memories.every(MIRA)}


async def test_when_a_fact_goes_the_one_before_holds_again(on: Kept) -> None:
    """Whoever holds a copy is told so by its number."""
    await on.memories.add(MIRA, [fact("f1", "Lyon", "home", 10), fact("f2", "Rome", "home", 20)])
    before = await on.memories.state(MIRA)
    gone = await on.memories.drop(MIRA, ["f2", "unknown"])
    (change,) = await on.memories.since(MIRA, before.seq)

    assert (1, "f1", "") == (gone, change.id, change.memory.superseded_by)
    await on.memories.add(MIRA, [fact("f3", "Bonn", "home", 30)])
    assert {"f1": "f3", "f3": ""} == {m.id: m.superseded_by for m in await on.memories.every(MIRA)}


async def test_adding_the_same_again_adds_nothing(on: Kept) -> None:
    """By its id; another text replaces it."""
    note = Memory(id="n1", text="tea, no sugar", time=1.0, author=ANN, kind=Kind.NOTE, importance=1.0)
    kept = [await on.memories.add(MIRA, [note]) for _ in range(2)]

    assert [1, 0] == kept
    assert [note] == await on.memories.get(MIRA, ["n1", "n2"])
    assert 1 == await on.memories.count(MIRA)


async def test_forgetting_somebody_takes_what_was_made_of_them(on: Kept) -> None:
    """Their words, our answers, facts about them, and episodes in which they are; not others' words."""
    await on.hear(1, "I have a parrot")
    await on.hear(2, "I keep bees", BOB)
    await on.reply("r1", "A parrot!", "m1", 1.5)
    await on.reply("r2", "Bees!", "m2", 2.5)
    made = [
        fact("f1", "Ann has a parrot", "pet"),
        fact("f2", "Bob keeps bees", "pet", about=BOB),
        Memory(id="e1", text="They met", time=3.0, author=BOB, people=(ANN.id,), kind=Kind.EPISODE),
        Memory(id="e2", text="Animals", time=4.0, author=Person(""), kind=Kind.EPISODE, sources=("f1", "f2")),
    ]
    await on.memories.add(MIRA, made)
    theirs = [memory.text for memory in await on.memories.about(ANN.id, MIRA)]
    went = await on.memories.forget(ANN.id, MIRA)

    assert ["Ann has a parrot", "I have a parrot", "A parrot!"] == theirs
    assert 5 == went
    assert {"I keep bees", "Bees!", "Bob keeps bees"} == set(await on.texts())
    assert ([], [MIRA]) == (await on.memories.of_person(ANN.id), await on.memories.of_person(BOB.id))


async def test_what_was_cut_from_the_talk_before_it_was_taken_in_is_not_remembered(on: Kept) -> None:
    """A reference to nothing does no harm, nor one that is damaged."""
    await on.hear(1, "cut")
    await on.talks.delete(TALK, "m1")
    await on.client.do("SADD", keys.MEMORY_FRESH(str(MIRA)), "nonsense", "no|talk\nx")
    await on.hear(2, "kept")

    assert ["kept"] == await on.texts()
    assert [] == await on.memories.waiting()


async def test_a_memory_that_cannot_be_read_is_left_out(on: Kept) -> None:
    """The others are as they were."""
    await on.hear(1, "whole")
    await on.texts()
    for name, body in (("a/b", b"\x81"), ("c", b"M\xff"), ("d", b"")):
        await on.client.do("HSET", keys.MEMORIES(str(MIRA)), name, body)
        await on.client.do("ZADD", keys.MEMORY_ORDER(str(MIRA)), 9, name)

    assert ["whole"] == await on.texts()
    assert 3 == await on.memories.drop(MIRA, ["a/b", "c", "d"])


async def test_many_are_taken_in_and_read(on: Kept) -> None:
    """More than one round trip holds."""
    for at in range(0, 1200, 300):
        messages = [
            Message(id=str(n), account=MIRA.account, place=ROOM, author=ANN, time=float(n), text=f"line {n}")
            for n in range(at, at + 300)
        ]
        await on.queue.accept([Offer(line=heard(MIRA, ROOM, one, one.text)) for one in messages])

    assert [f"line {n}" for n in range(1200)] == await on.texts()
    assert 1200 == len(await on.memories.since(MIRA))
    await on.memories.erase(MIRA)
    assert [] == await on.texts()
