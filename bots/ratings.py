"""Lines of `limen feedback import` → ratings: of replies in the ledger, or of replies that were given elsewhere. Pure.

A rating's ids depend on nothing but the line's content, so a file that is imported twice changes nothing.
"""

import hashlib
import json
from datetime import datetime, tzinfo
from typing import Any

import msgspec

from adapters.emoji import canonical
from bots.files import Row
from bots.generation import ANONYMOUS, name_fault
from bots.options import ACCOUNT, account_fault, scope_fault
from core.errors import InputError
from core.events import Kind, Person, PersonaKey, Place, unquote
from core.feedback import Fact
from core.store.ledger import Record, Told
from core.text import clean

ROLES = ("system", "user", "assistant")
BASIS = "operator"
LATEST = 1e11  # seconds: beyond it, somebody counted in milliseconds


class Rating(msgspec.Struct, frozen=True, kw_only=True):
    """A fact for a reply. `record` and `messages`: the reply itself, if it was given elsewhere."""

    reply_id: str
    fact: Fact
    record: Record | None = None
    messages: tuple[Told, ...] = ()

    @property
    def people(self) -> set[str]:
        """Whose words and judgement it carries."""
        return {self.fact.user, *(self.record.people if self.record else ())}


def read(row: Row, now: float, zone: tzinfo) -> Rating:
    """A line as a rating. `now` in seconds UTC, for lines without a time; `zone` for times without one.

    Raises InputError saying what is wrong with it.
    """
    if row.fault:
        raise InputError(row.fault)
    data = row.data
    if fault := name_fault("user", data.get("user")):
        raise InputError(fault)
    record, messages = (None, ()) if "reply_id" in data else _elsewhere(data, now)
    reply = record.id if record else _reply_id(data)
    return Rating(reply_id=reply, fact=_fact(data, reply, now, zone), record=record, messages=messages)


def _reply_id(data: dict[str, Any]) -> str:
    if fault := name_fault("reply_id", data["reply_id"]):
        raise InputError(fault)
    return str(data["reply_id"])


def _fact(data: dict[str, Any], reply: str, now: float, zone: tzinfo) -> Fact:
    removed, user = data.get("removed", False), clean(data["user"])
    if not isinstance(removed, bool):
        raise InputError('"removed" must be true or false')
    if not isinstance(data.get("emoji"), str):
        raise InputError('"emoji" must be text, such as "👍" or ":thumbsup:"')
    emoji, time = canonical(data["emoji"]), read_time(data.get("time"), zone)
    name = _digest(reply, user, emoji, removed, time)
    return Fact(f"import:{name}", user, emoji, now if time is None else time, removed, basis=BASIS)


def read_time(given: object, zone: tzinfo) -> float | None:
    """Seconds UTC, from a number or ISO 8601 (in `zone` where it names none); None if none is given."""
    if given is None:
        return None
    try:
        if isinstance(given, str):
            moment = datetime.fromisoformat(given.strip())
            return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()
        if isinstance(given, int | float) and not isinstance(given, bool) and 0 <= given < LATEST:
            return float(given)
    except (ValueError, OverflowError, OSError):
        pass  # told below, in one sentence for all that is no time
    raise InputError(f'"time" is {str(given)[:40]!r}; expected 2026-05-01T12:00:00Z or seconds since 1970')


def _elsewhere(data: dict[str, Any], now: float) -> tuple[Record, tuple[Told, ...]]:
    """A reply that we did not give, as a record of the ledger."""
    persona, messages, text = _persona(data), _messages(data.get("messages")), data.get("reply")
    if not isinstance(text, str) or not text.strip():
        raise InputError('"reply" must be the text that was rated (or give the "reply_id" of one of ours)')
    author = data.get("author") or ANONYMOUS
    if fault := name_fault("author", author):
        raise InputError(fault)
    said = [[told.role, told.content] for told in messages]
    name = f"import-{_digest(persona.account, persona.card, persona.scope, said, clean(text))}"
    platform, workspace, _, _ = persona.scope.split(":")
    place = Place(unquote(platform), unquote(workspace), name, kind=Kind.DM)
    return Record(
        id=name, persona=persona, conversation=persona.conversation(place), place=place, author=Person(clean(author)),
        answers=(), time=now, text=clean(text), sections=(), roles=(), people=(clean(author),), source="import",
    ), messages  # fmt: skip


def _persona(data: dict[str, Any]) -> PersonaKey:
    card, scope, account = data.get("persona"), data.get("scope"), data.get("account", ACCOUNT)
    if not isinstance(card, str) or not card.strip():
        raise InputError('"persona" must be a name (or give the "reply_id" of one of our replies)')
    if fault := scope_fault(scope):
        raise InputError(f'"scope" {fault}')
    if fault := account_fault(account):
        raise InputError(f'"account" {fault}')
    return PersonaKey(account, card.strip().lower(), str(scope))


def _messages(given: object) -> tuple[Told, ...]:
    if not isinstance(given, list) or not given:
        raise InputError('"messages" must be a list of {"role","content"}')
    return tuple(_told(number, one) for number, one in enumerate(given, 1))


def _told(number: int, given: object) -> Told:
    role, content = (given.get("role"), given.get("content")) if isinstance(given, dict) else (None, None)
    if role not in ROLES or not isinstance(content, str):
        raise InputError(f'message {number} must be {{"role","content"}}, with a role of {", ".join(ROLES)}')
    return Told(role, clean(content))


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]
