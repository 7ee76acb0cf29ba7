"""Who may ask for what: what changes a character for everybody who shares it needs somebody who runs the place. Pure.

Knows commands and scopes. What a platform's own roles say of somebody comes with the command (`Command.operator`);
how it was found is the adapter's business. Alone with a character, in a DM or a scope of one's own, everybody is
master of it.
"""

from collections.abc import Callable

from core.events import Command, Kind, Place
from core.group.manners import named

_OWN = ("user", "member")  # kinds of scopes that one person has to themselves: see `core.scopes`
_KNOWLEDGE = ("add", "remove", "delete")

REFUSAL = (
    "/{name} changes me for everybody here, so it takes somebody who manages this place (an administrator, or whom my "
    "`operators` setting names). Ask one of them; or write to me alone, where I am yours to change."
)


def _always(args: str) -> bool:
    return True


def _if_said(args: str) -> bool:
    """Without a word it only shows, or says what is missing."""
    return bool(args.strip())


def _persona(args: str) -> bool:
    """`/persona` shows; `/persona rollback …` and `/persona knowledge add …` change."""
    first, *rest = args.lower().split() or [""]
    return first in ("rollback", "reset") or (first == "knowledge" and bool(rest) and rest[0] in _KNOWLEDGE)


# What changes the character itself, and with which arguments. Whatever is not here is for everybody.
CHANGES: dict[str, Callable[[str], bool]] = {
    "pause": _always,
    "persona": _persona,
    "reset": _always,
    "resume": _always,
    "switch": _if_said,
    "tune": _if_said,
}


# What everybody may ask for, and an operator gets more of: they may let it forget what others said.
COUNTS: dict[str, Callable[[str], bool]] = {
    "forget": lambda args: args.lower().split()[:1] == ["that"],
}


def changes(name: str, args: str) -> bool:
    """Does this command change the character for all who share it?"""
    found = CHANGES.get(name)
    return found is not None and found(args)


def asks_for_role(command: Command) -> bool:
    """Must it be known whether its author is an operator? An adapter that has to ask its platform asks only then."""
    counts = COUNTS.get(command.name)
    matters = changes(command.name, command.args) or (counts is not None and counts(command.args))
    return command.place.kind != Kind.DM and matters


def is_own(place: Place, scope: str) -> bool:
    """Is the character of this scope one person's alone?"""
    return place.kind == Kind.DM or scope.split(":")[2:3] in [[kind] for kind in _OWN]


def refusal(command: Command, scope: str, operators: str = "") -> str:
    """Why a command may not be carried out, for its author; empty if it may. `operators` are ids: `Settings`."""
    if not changes(command.name, command.args) or is_own(command.place, scope):
        return ""
    if command.operator or named(command.author.id, operators):
        return ""
    return REFUSAL.format(name=command.name)
