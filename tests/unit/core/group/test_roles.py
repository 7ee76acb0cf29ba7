"""core/group/roles.py: who may change a character that others share."""

import pytest

from core.commands.desk import COMMANDS
from core.events import Command, Kind, Person, Place
from core.group import roles

ROOM, DM = Place("discord", "77", "901"), Place("discord", "dm", "5", kind=Kind.DM)
THREAD = Place("slack", "T1", "C1", "1.5", Kind.THREAD)
SHARED = "discord:77:channel:901"


def command(name: str, args: str = "", *, where: Place = ROOM, operator: bool = False) -> Command:
    """Ann's."""
    return Command(
        id="c", account="discord:9", place=where, author=Person("discord:1", "Ann"), time=0.0, name=name, args=args,
        operator=operator,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "args", "changes"),
    [
        ("switch", "orrin", True),
        ("switch", " ", False),
        ("tune", "warmth +1", True),
        ("tune", "", False),
        ("reset", "", True),
        ("pause", "learning", True),
        ("resume", "learning", True),
        ("persona", "", False),
        ("persona", "knowledge list", False),
        ("persona", "knowledge", False),
        ("persona", "Knowledge ADD ships.txt", True),
        ("persona", "rollback yesterday", True),
        ("regenerate", "", False),
        ("stop", "", False),
        ("privacy", "train yes", False),
        ("forget", "everything yes", False),
        ("no such", "thing", False),
    ],
)
def test_what_changes_a_character_for_all_needs_an_operator(name: str, args: str, changes: bool) -> None:
    """To look, to be forgotten, to stop and to be answered anew is everybody's right."""
    assert changes == roles.changes(name, args)
    assert changes == bool(roles.refusal(command(name, args), SHARED))


def test_what_is_everybodys_stays_so() -> None:
    """A command that nobody thought of here does not become the operators' by accident, nor by its arguments."""
    rights = {"export", "forget", "help", "privacy", "stop", "react", "unreact", "regenerate", "history", "personas"}

    assert set() == {name for name in rights & set(COMMANDS) if roles.changes(name, "yes")}


@pytest.mark.parametrize(
    ("scope", "where", "own"),
    [
        (SHARED, ROOM, False),
        ("discord:77:server:77", ROOM, False),
        ("slack:T1:thread:C1.1%2E5", THREAD, False),
        ("discord:77:member:1", ROOM, True),
        ("discord:dm:user:1", DM, True),
        ("console:local:user:me", Place("console", "local", "me", kind=Kind.DM), True),
        ("discord:77:channel:user", ROOM, False),
    ],
)
def test_alone_everybody_is_master(scope: str, where: Place, own: bool) -> None:
    """In a DM, and where each has their own; not where a channel is called like that."""
    assert own == (roles.refusal(command("switch", "orrin", where=where), scope) == "")


def test_an_operator_is_one_by_role_or_by_name() -> None:
    """By the platform's own roles, or because the settings name them: whole, or with a star."""
    asked = command("switch", "orrin")

    assert "" == roles.refusal(command("switch", "orrin", operator=True), SHARED)
    assert "" == roles.refusal(asked, SHARED, "slack:T1:U5 discord:1")
    assert "" == roles.refusal(asked, SHARED, "discord:*")
    assert roles.refusal(asked, SHARED, "discord:12, discord:2")


def test_a_refusal_says_who_may_and_what_else_there_is() -> None:
    """Nobody is left standing."""
    said = roles.refusal(command("tune", "warmth +1"), SHARED)

    assert all(part in said for part in ("/tune", "administrator", "`operators`", "alone"))


def test_a_platform_is_asked_only_when_it_matters() -> None:
    """Not in a DM, and not for what everybody may."""
    assert roles.asks_for_role(command("switch", "orrin"))
    assert not roles.asks_for_role(command("switch", "orrin", where=DM))
    assert not roles.asks_for_role(command("help"))
    assert not roles.asks_for_role(command("forget", "yes"))


def test_an_operator_may_let_it_forget_what_others_said() -> None:
    """So it must be known who is one; and nobody is refused for it here."""
    asked = command("forget", "that")

    assert roles.asks_for_role(asked)
    assert "" == roles.refusal(asked, SHARED)
