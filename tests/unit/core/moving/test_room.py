"""core/moving/room.py: where a room's ids go, and that no kind of key is left out."""

import inspect
import re

import pytest

from core.events import Kind, Person, PersonaKey, Place
from core.moving import memory, personality, room
from core.moving.room import STAYS, Route
from core.scopes import scopes_of
from core.store import keys, memories, reflections

OLD, NEW = Place("telegram", "-5", "-5"), Place("telegram", "-1005", "-1005")
ROUTE = Route("telegram:7", OLD, NEW)
ANN = Person("telegram:9")

# Moved by `move` in `core/store/queue.lua`, with the conversation.
QUEUED = {"QUEUE", "JOB", "LINE", "BUSY", "READY", "SPENT", "DELAYED", "LEASES", "DEAD"}
# They know of no room: by what they are named after, and by what they hold.
ROOMLESS = {
    "CLOCK", "DEPTH", "FENCE", "TICK", "TURN", "BELL", "CANCELS", "CARRIER", "ASKED", "ASKED_TOLD", "CARD", "LORAS_OF",
    "TAINTED", "LORAS_GONE", "LORA_FAULT", "LORA_FAULTS", "LORA_FAULTY", "SECTION", "REACTIONS", "REPLIED_TO",
    "RATED_BY", "NIGHTS", "WEIGHED", "KNOWLEDGE", "PASSAGES", "COUNTED_IN", "NIGHT_RUN", "CONSENT", "ASKING",
    "OWN_WORD", "ERASE_DUE", "WORKER", "WORKERS", "SESSIONS",
}  # fmt: skip

SOURCES = "".join(inspect.getsource(module) for module in (room, memory, personality, memories, reflections))


@pytest.mark.parametrize("name", sorted(keys.every()))
def test_every_key_moves_or_says_why_not(name: str) -> None:
    """A new key belongs in one of the four; `tests/contract/test_moves.py` looks into what moves."""
    moves = re.search(rf"keys\.{name}\b", SOURCES) is not None

    assert 1 == sum((moves and name not in STAYS, name in STAYS, name in QUEUED, name in ROOMLESS))


@pytest.mark.parametrize("place", [OLD, Place("telegram", "-5", "-5", "3", Kind.THREAD)])
def test_every_scope_of_the_old_room_is_one_of_the_new(place: Place) -> None:
    """Whatever the operator has chosen; a DM is no part of it."""
    there = {ROUTE.scope(scope) for scope in scopes_of(place, ANN)}

    assert scopes_of(ROUTE.place(place), ANN) == there


@pytest.mark.parametrize(
    "scope",
    [
        "telegram:dm:user:9",
        "telegram:-50:channel:-50",
        "telegram:-1005:channel:-1005",
        "discord:-5:channel:-5",
        "a:b:c:d",
    ],
)
def test_other_scopes_stay(scope: str) -> None:
    """Also those whose id only begins alike."""
    assert scope == ROUTE.scope(scope)


def test_a_channel_of_many_moves_alone() -> None:
    """What belongs to the whole workspace stays where it is."""
    route = Route("x:1", Place("x", "w", "a"), Place("x", "w", "b"))

    assert ["x:w:channel:b", "x:w:thread:b.3", "x:w:channel:c", "x:w:server:w", "x:w:member:9"] == [
        route.scope(f"x:w:{one}") for one in ("channel:a", "thread:a.3", "channel:c", "server:w", "member:9")
    ]


def test_personas_of_another_account_stay() -> None:
    """Each bot account is told by itself."""
    mine, other = (PersonaKey(account, "mira", "telegram:-5:channel:-5") for account in ("telegram:7", "telegram:8"))

    assert ("telegram:-1005:channel:-1005", other) == (ROUTE.persona(mine).scope, ROUTE.persona(other))
    assert other.conversation(OLD) == ROUTE.talk(other.conversation(OLD))
    assert mine.conversation(NEW) == ROUTE.talk(mine.conversation(OLD))
