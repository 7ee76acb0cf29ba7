"""core/consent.py: the one question, whom it is put to, and in which words."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from core import cards
from core.answers import Answer
from core.consent import REST, Asking, hint, question
from core.errors import CardError, LimenError
from core.events import Kind, Person, PersonaKey, Place
from core.jobs import Done
from core.privacy import WORDING
from core.store.consents import Purpose
from personas import library
from personas.card import Card

FOLDERS = library.folders(Path("/nowhere"))
PLAIN_CARD = Card(name="x", title="X", description="You are X.")
ROOM, DM = Place("discord", "7", "9"), Place("discord", "dm", "5", kind=Kind.DM)
DONE = Done(
    job="j", reply_id="r", conversation="c", place=DM, persona=PersonaKey("discord:1", "x", "s"), text="Arr!",
    author=Person("discord:2", "Ann"),
)  # fmt: skip


class Once:
    """Whom it was asked of: nobody twice."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, str]] = []

    async def may_ask(self, person: str) -> bool:
        return person not in dict(self.noted)

    async def asked(self, person: str, wording: str) -> None:
        self.noted.append((person, wording))


async def shown(asking: Asking, done: Done) -> Answer | None:
    """What whoever it was for is asked now."""
    answers: list[Answer] = []

    async def show(person: Person, question: Answer) -> None:
        assert person == done.author
        answers.append(question)

    await asking.ask(done, show)
    return answers[0] if answers else None


def asking(consents: Any = None, when: Any = "everywhere", whispers: bool = False, card: Any = None) -> Asking:
    """Of one bot account."""
    given: Any = consents or Once()
    return Asking(given, when, card or (lambda name: PLAIN_CARD), whispers)


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


async def test_somebody_is_asked_once_in_their_life() -> None:
    """By whichever process; and anew once all of theirs was forgotten, as /forget everything promises."""
    consents = Once()
    first, second = asking(consents), asking(consents)

    assert [True, False, False] == [bool(await shown(one, DONE)) for one in (first, first, second)]
    assert {("discord:2", question(PLAIN_CARD).text)} == set(consents.noted)
    consents.noted.clear()
    assert [True, False] == [bool(await shown(one, DONE)) for one in (first, second)]


async def test_who_was_not_shown_the_question_was_not_asked() -> None:
    """It is put again after their next reply, and the hint in that room, too."""
    consents, room = Once(), replace(DONE, place=ROOM)
    one = asking(consents)

    async def fails(person: Person, question: Answer) -> None:
        raise LimenError("the platform will not have it")

    with pytest.raises(LimenError):
        await one.ask(room, fails)
    assert [] == consents.noted
    assert hint(PLAIN_CARD) == await shown(one, room)
    assert [("discord:2", hint(PLAIN_CARD).text)] == consents.noted


async def test_who_is_just_being_asked_is_not_asked_beside_that() -> None:
    """Two replies to one person, in two places, may be whole at the same time."""
    consents = Once()
    one = asking(consents)

    async def slow(person: Person, question: Answer) -> None:
        assert await shown(one, replace(DONE, place=replace(DM, channel="6"))) is None

    await one.ask(DONE, slow)
    assert 1 == len(consents.noted)


async def test_a_room_does_not_read_the_hint_for_every_newcomer() -> None:
    """Who comes soon after is told another time, in another room at once, and alone, too."""
    now, consents = [0.0], Once()
    one = Asking(consents, "everywhere", lambda name: PLAIN_CARD, False, clock=lambda: now[0])  # type: ignore[arg-type]
    room = replace(DONE, place=ROOM)

    def by(number: int, done: Done = room) -> Done:
        return replace(done, author=Person(f"discord:{number}"))

    first = [bool(await shown(one, by(number))) for number in (10, 11)]
    elsewhere = [bool(await shown(one, done)) for done in (by(12, replace(room, place=replace(ROOM, channel="8"))),
                                                       by(13, DONE))]  # fmt: skip
    now[0] = REST
    later = [bool(await shown(one, by(number))) for number in (10, 11, 12)]

    assert ([True, False], [True, True], [False, True, False]) == (first, elsewhere, later)


async def test_in_a_room_where_all_read_it_there_is_a_hint() -> None:
    """Unless the platform can say something to one person alone."""
    in_a_room = replace(DONE, place=ROOM)

    assert hint(PLAIN_CARD) == await shown(asking(), in_a_room)
    assert question(PLAIN_CARD) == await shown(asking(whispers=True), in_a_room)
    assert question(PLAIN_CARD) == await shown(asking(), DONE)


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
async def test_only_who_was_answered_is_asked(done: Done) -> None:
    """Not a bot, and not whoever stopped us."""
    consents = Once()

    assert await shown(asking(consents), done) is None
    assert [] == consents.noted


async def test_the_operator_says_where_people_are_asked() -> None:
    """Somebody met in a room is asked later, in private."""
    private, in_a_room = asking(when="private"), replace(DONE, place=ROOM)

    assert [False, True] == [bool(await shown(private, done)) for done in (in_a_room, DONE)]
    assert await shown(asking(when="never"), DONE) is None


async def test_a_card_that_has_broken_asks_nobody() -> None:
    """A reply must not fail for it; when it is mended, they are asked."""
    mended: list[Card] = []

    def card(name: str) -> Card:
        if not mended:
            raise CardError("broken")
        return mended[0]

    it = asking(card=card)
    assert await shown(it, DONE) is None
    mended.append(PLAIN_CARD)
    assert question(PLAIN_CARD) == await shown(it, DONE)
