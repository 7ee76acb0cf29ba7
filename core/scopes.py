"""With whom a card comes alive: a place and a person → a scope id. Pure. Scopes are walls: nothing crosses them."""

import msgspec

from core.events import Kind, Person, Place, quote
from core.settings import Scope

CONSOLE = "console"
OWNER = f"{CONSOLE}:local:me"  # of the terminal


def is_guest(person: str) -> bool:
    """Somebody else at the owner's terminal?"""
    return person != OWNER and person.startswith(f"{CONSOLE}:local:")


def scope_of(place: Place, person: Person, by: Scope) -> str:
    """`platform:workspace:kind:id`, by the operator's choice for the platform.

    A DM is always the person's own (`user`), never that person's part of a channel (`member`). The terminal is its
    owner's, whoever else sits down there for a while.
    """
    base = f"{quote(place.platform)}:{quote(place.workspace)}"
    who = quote(person.id.rsplit(":", 1)[-1])
    if place.kind == Kind.DM:
        return f"{base}:user:{quote(place.channel) if place.platform == CONSOLE else who}"
    match getattr(by, place.platform, "channel"):
        case "user":
            return f"{base}:member:{who}"
        case "server":
            return f"{base}:server:{quote(place.workspace)}"
        case "thread" if place.thread:
            channel = quote(place.channel).replace(".", "%2E")  # the first dot is ours: a Slack thread has one too
            return f"{base}:thread:{channel}.{quote(place.thread)}"
    return f"{base}:channel:{quote(place.channel)}"


def scopes_of(place: Place, person: Person) -> set[str]:
    """Every scope that this could be, whatever the operator chooses or has chosen."""
    kinds = (msgspec.structs.replace(place, kind=kind) for kind in (Kind.DM, Kind.CHANNEL))
    choices = [Scope(discord=by, telegram="user", slack=by) for by in ("channel", "user", "thread", "server")]
    return {scope_of(where, person, by) for where in kinds for by in (*choices, Scope(telegram="channel"))}
