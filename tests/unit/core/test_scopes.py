"""core/scopes.py: with whom a card comes alive, and that no two different rooms ever share a scope."""

import itertools

import pytest

from core.events import Kind, Person, Place
from core.scopes import scope_of, scopes_of
from core.settings import Scope

ANN = Person("discord:77:ann", "Ann")
ROOM = Place("discord", "77", "room")
THREAD = Place("discord", "77", "room", thread="t1", kind=Kind.THREAD)
DM = Place("discord", "77", "dm-1", kind=Kind.DM)


@pytest.mark.parametrize(
    ("by", "place", "scope"),
    [
        ("channel", ROOM, "discord:77:channel:room"),
        ("channel", THREAD, "discord:77:channel:room"),
        ("thread", THREAD, "discord:77:thread:room.t1"),
        ("thread", ROOM, "discord:77:channel:room"),
        ("server", THREAD, "discord:77:server:77"),
        ("user", ROOM, "discord:77:member:ann"),
        ("user", DM, "discord:77:user:ann"),
        ("server", DM, "discord:77:user:ann"),
        ("channel", DM, "discord:77:user:ann"),
    ],
)
def test_the_operator_chooses_with_whom_a_card_comes_alive(by: str, place: Place, scope: str) -> None:
    """A DM is always the person's own, never that person's part of a channel."""
    assert scope == scope_of(place, ANN, Scope(discord=by))  # type: ignore[arg-type]


def test_a_platform_without_a_choice_goes_by_channel() -> None:
    """The terminal's talk is a DM; anything else is a channel."""
    assert "irc:x:channel:c" == scope_of(Place("irc", "x", "c"), ANN, Scope())


def test_telegram_is_personal_unless_told_otherwise() -> None:
    """A group there is each member's own."""
    place = Place("telegram", "t", "group")

    assert "telegram:t:member:5" == scope_of(place, Person("telegram:t:5"), Scope())
    assert "telegram:t:channel:group" == scope_of(place, Person("telegram:t:5"), Scope(telegram="channel"))


def test_a_name_means_nothing() -> None:
    """Only the stable id decides."""
    renamed = Person(ANN.id, "Somebody Else")

    assert scope_of(DM, ANN, Scope()) == scope_of(DM, renamed, Scope())


@pytest.mark.parametrize("by", ["channel", "thread", "server", "user"])
def test_no_id_can_forge_another_scope(by: str) -> None:
    """Ids with separators in them stay apart, whatever they are put together with."""
    odd = ["a", "a:b", "b", "a.b", "a/b", "a|b", "%3A", "a%3Ab", "user:a"]
    seen: dict[str, object] = {}
    for workspace, channel, thread, kind in itertools.product(odd, odd, ["", *odd], [Kind.CHANNEL, Kind.DM]):
        place = Place("discord", workspace, channel, thread, kind)
        scope = scope_of(place, ANN, Scope(discord=by))  # type: ignore[arg-type]
        means = _meant(place, by)
        assert seen.setdefault(scope, means) == means
        assert 4 == len(scope.split(":"))


def _meant(place: Place, by: str) -> tuple[str, ...]:
    if place.kind == Kind.DM:
        return ("dm", place.workspace)
    if by in ("server", "user"):
        return (by, place.workspace)
    return (by, place.workspace, place.channel, place.thread if by == "thread" else "")


@pytest.mark.parametrize(
    "place", [ROOM, THREAD, DM, Place("telegram", "t", "-7"), Place("slack", "w", "c", thread="1.2")]
)
def test_whatever_the_operator_chooses_is_among_all_that_could_be(place: Place) -> None:
    """Also where it is not known what kind of place it is, as from the id of a conversation."""
    choices = [
        Scope(discord=by, slack=by, telegram=telegram)  # type: ignore[arg-type]
        for by in ("channel", "user", "thread", "server")
        for telegram in ("channel", "user")
    ]
    plain = Place(place.platform, place.workspace, place.channel, place.thread)

    assert {scope_of(place, ANN, by) for by in choices} <= scopes_of(plain, ANN)


@pytest.mark.parametrize("who", ["console:local:me", "console:local:ann"])
def test_whoever_sits_at_the_terminal_meets_the_same_one(who: str) -> None:
    """It is its owner's, and somebody else is a guest there."""
    place = Place("console", "local", "me", kind=Kind.DM)

    assert "console:local:user:me" == scope_of(place, Person(who), Scope())
