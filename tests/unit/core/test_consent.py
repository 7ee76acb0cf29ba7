"""core/consent.py: the one question, whom it is put to, and in which words."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from core import cards, consent
from core.commands.answers import Answer
from core.consent import Asking, hint, question
from core.errors import CardError, LimenError
from core.events import Kind, Person, PersonaKey, Place
from core.jobs import Done
from core.privacy import WORDING, Privacy
from core.store import keys
from core.store.client import Client
from core.store.consents import REST, Consents, Purpose
from core.store.conversations import Conversations
from core.store.ledger import Ledger
from core.store.queue import Limits, Queue
from personas import library
from personas.card import Card

FOLDERS = library.folders(Path("/nowhere"))
PLAIN_CARD = Card(name="x", title="X", description="You are X.")
ROOM, DM = Place("discord", "7", "9"), Place("discord", "dm", "5", kind=Kind.DM)
DONE = Done(
    job="j", reply_id="r", conversation="c", place=DM, persona=PersonaKey("discord:1", "x", "s"), text="Arr!",
    author=Person("discord:2", "Ann"),
)  # fmt: skip


@pytest.fixture
def consents(client: Client) -> Consents:
    """What all bots and processes share."""
    return Consents(client)


async def shown(asking: Asking, done: Done) -> Answer | None:
    """What whoever it was for is asked now."""
    answers: list[Answer] = []

    async def show(person: Person, question: Answer) -> None:
        assert person == done.author
        answers.append(question)

    await asking.ask(done, show)
    return answers[0] if answers else None


def asking(consents: Consents, when: Any = "everywhere", whispers: bool = False, card: Any = None) -> Asking:
    """Of one bot account."""
    return Asking(consents, when, card or (lambda name: PLAIN_CARD), whispers)


def by(number: int, place: Place = ROOM) -> Done:
    """A reply to somebody there."""
    return replace(DONE, place=place, author=Person(f"discord:{number}"))


@pytest.mark.parametrize("name", library.names(FOLDERS))
def test_every_card_of_ours_asks_in_a_voice_of_its_own(name: str) -> None:
    """And always says what a yes means, word for word."""
    card = cards.load(name, FOLDERS)

    assert card.consent
    assert card.consent in question(card).text
    assert WORDING[Purpose.TRAIN] in question(card).text
    assert "/privacy" in hint(card).text


def test_a_card_without_a_voice_asks_plainly() -> None:
    """The choices are a yes and a no, which can be typed as well."""
    asked = question(PLAIN_CARD)

    assert "may I learn" in asked.text
    assert [("privacy", "train yes"), ("privacy", "train no")] == [(one.name, one.args) for one in asked.choices]
    assert all(f"/privacy {one.args}" in asked.text for one in asked.choices)


async def test_somebody_is_asked_once_in_their_life(client: Client, consents: Consents) -> None:
    """By whichever process; and anew once all of theirs was forgotten, as /forget everything promises."""
    first, second = asking(consents), asking(consents)

    assert [True, False, False] == [bool(await shown(one, DONE)) for one in (first, first, second)]
    assert question(PLAIN_CARD).text == (await consents.told("discord:2"))["asked_wording"]
    await client.do("DEL", keys.CONSENT("discord:2"))
    assert [True, False] == [bool(await shown(one, DONE)) for one in (first, second)]


async def test_who_has_said_yes_or_no_is_not_asked(consents: Consents) -> None:
    """They know of it."""
    await consents.say("discord:2", "", "no")

    assert await shown(asking(consents), DONE) is None


async def test_who_was_not_shown_the_question_was_not_asked(consents: Consents) -> None:
    """It is put again after their next reply, and the hint in that room, too."""
    one, room = asking(consents), replace(DONE, place=ROOM)

    async def fails(person: Person, question: Answer) -> None:
        raise LimenError("the platform will not have it")

    with pytest.raises(LimenError):
        await one.ask(room, fails)
    assert {} == await consents.told("discord:2")
    assert hint(PLAIN_CARD) == await shown(one, room)
    assert hint(PLAIN_CARD).text == (await consents.told("discord:2"))["asked_wording"]


async def test_a_platform_has_a_minute_to_show_it(consents: Consents, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it is put another time. (It may want us to rest for hours.)"""
    monkeypatch.setattr(consent, "PATIENCE", 0.05)
    one = asking(consents)

    async def rests(person: Person, question: Answer) -> None:
        await asyncio.sleep(60)

    with pytest.raises(LimenError, match="could not be shown within"):
        await one.ask(DONE, rests)
    assert question(PLAIN_CARD) == await shown(one, DONE)


@pytest.mark.parametrize("done", [DONE, replace(DONE, place=ROOM)])
async def test_who_is_just_being_asked_is_not_asked_beside_that(consents: Consents, done: Done) -> None:
    """Neither by another bot of the process nor by another process: they answer the same newcomer at the same time."""
    one, other = asking(consents), asking(consents)

    async def slow(person: Person, question: Answer) -> None:
        for there in (done.place, replace(DM, channel="6")):
            assert await shown(other, replace(done, place=there)) is None

    await one.ask(done, slow)
    assert "asked" in await consents.told("discord:2")


async def test_a_room_reads_one_hint_however_many_bots_and_threads_it_has(consents: Consents) -> None:
    """Two newcomers are answered at the same time."""

    async def slow(person: Person, question: Answer) -> None:
        assert await shown(asking(consents), by(11, replace(ROOM, thread="3"))) is None

    await asking(consents).ask(by(10), slow)
    assert await shown(asking(consents), by(11, replace(ROOM, thread="3"))) is None
    assert {} == await consents.told("discord:11")


async def test_a_room_does_not_read_the_hint_for_every_newcomer(client: Client, consents: Consents) -> None:
    """Who comes soon after is told another time, in another room at once, and alone, too."""
    one = asking(consents)

    first = [bool(await shown(one, by(number))) for number in (10, 11)]
    elsewhere = [bool(await shown(one, done)) for done in (by(12, replace(ROOM, channel="8")), by(13, DM))]
    rests = await client.do("TTL", keys.HINTED(str(ROOM)))
    await client.do("DEL", keys.HINTED(str(ROOM)))
    later = [bool(await shown(one, by(number))) for number in (10, 11, 12)]

    assert ([True, False], [True, True], [False, True, False]) == (first, elsewhere, later)
    assert REST - 60 < rests <= REST


async def test_who_is_forgotten_while_the_question_is_shown_is_forgotten(client: Client, consents: Consents) -> None:
    """Nothing of it is noted after that; and their next reply is their first one again."""
    privacy = Privacy(client, Queue(client, Limits()), Conversations(client), Ledger(client))
    one = asking(consents)

    async def slow(person: Person, question: Answer) -> None:
        await privacy.forget(person.id)

    await one.ask(DONE, slow)
    assert [] == await client.scan("*discord*2*")
    assert question(PLAIN_CARD) == await shown(one, DONE)


async def test_a_no_that_is_forgotten_does_not_become_a_yes_of_the_operator(client: Client, consents: Consents) -> None:
    """They are asked anew, as everybody is. All that is kept is that nobody speaks for them, and not even their id."""
    privacy = Privacy(client, Queue(client, Limits()), Conversations(client), Ledger(client))
    await consents.first("discord:2", "operator", "a file")
    await consents.say("discord:2", "", "no")
    await privacy.forget("discord:2")
    left, told = await client.scan("*"), await privacy.export("discord:2")

    assert not await consents.first("discord:2", "operator", "another file")
    assert not await consents.first("discord:2", "operator", "another file", Purpose.POOL)
    assert ("", {}) == (await consents.basis("discord:2"), await consents.told("discord:2"))
    assert [keys.NIGHT_GONE.pattern, keys.OWN_WORD.pattern] == left
    assert not any(b"discord" in one for one in await client.do("SMEMBERS", keys.OWN_WORD.pattern))
    assert (True, {}) == (told["only_their_own_word_counts"], told["consent"])
    assert question(PLAIN_CARD) == await shown(asking(consents), DONE)

    await privacy.forget("discord:2")
    assert not await consents.first("discord:2", "operator", "a third file")
    await consents.say("discord:2", "asked", "yes")
    assert [keys.NIGHT_GONE.pattern, keys.CONSENT("discord:2")] == await client.scan("*")


async def test_who_never_said_no_is_forgotten_without_a_trace(client: Client, consents: Consents) -> None:
    """Then the operator's statement stands in again: nothing was said against it."""
    privacy = Privacy(client, Queue(client, Limits()), Conversations(client), Ledger(client))
    await consents.first("discord:2", "operator", "a file")
    await privacy.forget("discord:2")

    assert [keys.NIGHT_GONE.pattern] == await client.scan("*")
    assert await consents.first("discord:2", "operator", "another file")


async def test_the_operators_word_is_not_that_of_a_guest_in_the_terminal(client: Client, consents: Consents) -> None:
    """Also where it was recorded before guests were asked: they have said nothing, so they are asked."""
    guest, owner = "console:local:ben", "console:local:me"
    for person in (guest, owner, "discord:2"):
        for field, words in (("basis", "wording"), ("pool", "pool_wording")):
            await client.do("HSET", keys.CONSENT(person), field, "operator", words, "of then")
    asked = replace(DONE, author=Person(guest, "Ben"))

    assert {owner, "discord:2"} == await consents.allowing([guest, owner, "discord:2"], pool=True)
    assert ["", "operator"] == [await consents.basis(one, Purpose.POOL) for one in (guest, owner)]
    assert ({}, True) == (await consents.told(guest), "basis" in await consents.told(owner))
    assert not await consents.first("console:local:cy", "operator", "a file")

    answers: list[Answer] = []

    async def show(person: Person, question: Answer) -> None:
        answers.append(question)

    await asking(consents).ask(asked, show)
    await consents.say(guest, "asked", "yes")
    assert ([question(PLAIN_CARD)], {guest}) == (answers, await consents.allowing([guest]))


async def test_in_a_room_where_all_read_it_there_is_a_hint(consents: Consents) -> None:
    """Unless the platform can say something to one person alone."""
    assert hint(PLAIN_CARD) == await shown(asking(consents), by(1))
    assert question(PLAIN_CARD) == await shown(asking(consents, whispers=True), by(2))
    assert question(PLAIN_CARD) == await shown(asking(consents), by(3, DM))


@pytest.mark.parametrize(
    "done",
    [
        replace(DONE, author=None),
        replace(DONE, author=Person("discord:3", "Robot", is_bot=True)),
        replace(DONE, act="react", emoji="👍"),
        replace(DONE, act="silent", text=""),
        replace(DONE, cancelled=True),
    ],
)
async def test_only_who_was_answered_is_asked(done: Done, client: Client, consents: Consents) -> None:
    """Not a bot, and not whoever stopped us."""
    assert await shown(asking(consents), done) is None
    assert [] == await client.scan("*")


async def test_the_operator_says_where_people_are_asked(consents: Consents) -> None:
    """Somebody met in a room is asked later, in private."""
    private = asking(consents, when="private")

    assert [False, True] == [bool(await shown(private, done)) for done in (by(1), by(1, DM))]
    assert await shown(asking(consents, when="never"), by(2, DM)) is None


async def test_a_card_that_has_broken_asks_nobody(consents: Consents) -> None:
    """A reply must not fail for it; when it is mended, they are asked."""
    mended: list[Card] = []

    def card(name: str) -> Card:
        if not mended:
            raise CardError("broken")
        return mended[0]

    it = asking(consents, card=card)
    assert await shown(it, DONE) is None
    mended.append(PLAIN_CARD)
    assert question(PLAIN_CARD) == await shown(it, DONE)
