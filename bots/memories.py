"""Files of turns and questions → memories and answers: what a line says, and what is written for it. No terminal."""

import time
from datetime import UTC, datetime, tzinfo
from typing import Any

import msgspec

from bots.files import Row
from bots.generation import name_fault
from bots.ratings import read_time
from core.errors import InputError
from core.events import Person
from core.memory import Kind, Memory, dated, weigh
from core.text import clean

LONGEST = 20_000  # characters of a turn or a question
OURS = frozenset(("assistant", "bot", "ai", "you"))  # as files call us


class Asked(msgspec.Struct, frozen=True):
    """A question of a file. `time` in seconds UTC, 0: now; `author` is the id of whoever asks."""

    id: str | int
    text: str
    time: float = 0.0
    author: str = ""


def turn(row: Row, zone: tzinfo, ours: frozenset[str] = OURS) -> Memory | str:
    """A line as the memory of a turn, or why it is none. `ours`: in lower case, what we are called as an author."""
    given = _text(row)
    if isinstance(given, str):
        return given
    name, text, moment = given
    who = row.data.get("author")
    if fault := name_fault("author", who):
        return fault
    said = clean(str(who)).strip()
    us = said.lower() in ours
    return Memory(
        id=str(name), text=text, time=_or_now(moment, zone), author=Person(said, said.rsplit(":", 1)[-1], is_bot=us),
        ours=us, talk=str(row.data.get("channel") or ""), importance=weigh(text),
    )  # fmt: skip


def asked(row: Row, zone: tzinfo) -> Asked | str:
    """A line as a question, or why it is none."""
    given = _text(row)
    if isinstance(given, str):
        return given
    name, text, moment = given
    return Asked(name, text, read_time(moment, zone) or 0.0, str(row.data.get("author") or ""))


def _text(row: Row) -> tuple[str | int, str, object] | str:
    if row.fault:
        return row.fault
    given, text, moment = row.data.get("id", row.number), row.data.get("text"), row.data.get("time")
    if isinstance(given, bool) or not isinstance(given, str | int) or not str(given).strip():
        return '"id" must be text or a whole number'
    if not isinstance(text, str):
        return '"text" is missing' if text is None else '"text" must be text'
    text = clean(text)
    if not text.strip() or len(text) > LONGEST:
        return f'"text" must have 1 to {LONGEST:,} characters'
    try:
        read_time(moment, UTC)
    except InputError as error:
        return str(error)
    return given, text, moment


def _or_now(moment: object, zone: tzinfo) -> float:
    found = read_time(moment, zone)
    return time.time() if found is None else found


def shown(memory: Memory, now: float, zone: tzinfo, name: str = "") -> str:
    """A memory on a line, for people: when, who, what."""
    who = name or "we" if memory.ours else memory.author.name or memory.author.id
    kind = "" if memory.kind == Kind.TURN else f" ({memory.kind})"
    return f"{dated(memory, now, zone)}, {who or 'nobody'}{kind}: {' '.join(memory.text.split())}"


def plain(memory: Memory) -> dict[str, Any]:
    """A memory as data for JSON."""
    data: dict[str, Any] = msgspec.to_builtins(memory)
    return {**data, "kind": memory.kind.value, "time": datetime.fromtimestamp(memory.time, UTC).isoformat()}
