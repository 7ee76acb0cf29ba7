"""What a memory is, how much it weighs, which new fact takes the place of an old one, and what fades. Pure, no numpy.

Scoring for recall is `core/recall/finding.py`; `core/store/memories.py` keeps them. Nothing here asks a model.
"""

import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum

import msgspec

from core.events import Line, Person, unquote

FADE_DAYS = 60.0  # after so long, a turn of middling importance weighs half as much when room is short


class Kind(StrEnum):
    """TURN: said, word for word. FACT and EPISODE: made of turns by reflection. NOTE: somebody asked for it."""

    TURN = "turn"
    FACT = "fact"
    EPISODE = "episode"
    NOTE = "note"


class Memory(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing remembered in a scope. `author` said it; of a fact or an episode: whom it is about. `time` in UTC.

    `talk` and `line` are the conversation and the message that a turn was. `people`: ids of everybody else who is in
    it. `sources`: ids of the memories that it was made of; of a turn of ours: those that it answers. `slot`: what a
    fact is about, such as `home`; a newer fact of the same person and slot supersedes it. `importance` from 0 to 1.
    """

    id: str
    text: str
    time: float
    author: Person
    kind: Kind = Kind.TURN
    ours: bool = False
    talk: str = ""
    line: str = ""
    people: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    slot: str = ""
    importance: float = 0.5
    superseded_by: str = ""

    def everybody(self) -> tuple[str, ...]:
        """Ids of all whose words these are or whom it is about. (Ours are nobody's.)"""
        return (*((self.author.id,) if self.author.id and not self.ours else ()), *self.people)

    def concerns(self, person: str) -> bool:
        """Are these somebody's words, or is it about them?"""
        return person in self.everybody()


def turn_id(talk: str, line: str) -> str:
    """What the memory of a line is called: unique in the persona, for message ids count anew in every channel."""
    return f"{talk.split('|', 2)[-1]}/{line}"


def channel_of(turn: str) -> str:
    """Platform, workspace and channel of a turn, by its id."""
    return ":".join(turn.partition("/")[0].split(":")[:3])


def turn(talk: str, line: Line) -> Memory:
    """The memory of something said in a conversation."""
    return Memory(
        id=turn_id(talk, line.id), text=line.text, time=line.time, author=line.author, ours=line.ours, talk=talk,
        line=line.id, sources=tuple(turn_id(talk, one) for one in line.answers), importance=weigh(line.text),
    )  # fmt: skip


def place_of(memory: Memory) -> str:
    """The channel in which it was said, for people; empty if in none."""
    parts = memory.talk.split("|", 2)[-1].split(":") if memory.talk else []
    return unquote(parts[2]) if len(parts) > 2 else ""


def dated(memory: Memory, now: float, zone: tzinfo = UTC) -> str:
    """When it was, as people say it: `today`, `yesterday`, `3 May`, `3 May 2024`; `once` if its clock was wrong."""
    try:
        day, today = (datetime.fromtimestamp(seconds, zone).date() for seconds in (memory.time, now))
    except (ValueError, OverflowError, OSError):  # before the year 1, or after 9999
        return "once"
    if day in (today, today - timedelta(days=1)):
        return "today" if day == today else "yesterday"
    return f"{day.day} {day:%B}" + (f" {day.year}" if day.year != today.year else "")


_OF_SELF = re.compile(r"\b(?:i|i'm|i’m|my|mine|we|our)\b", re.IGNORECASE)
_TELLING = re.compile(
    r"\b(?:name|born|birthday|live|work|job|married|wife|husband|son|daughter|mother|father|sister|brother|dog|cat|"
    r"love|hate|favou?rite|allergic|afraid|moved|promise|never|always|dream|plan|want|secret|remember)\w*\b",
    re.IGNORECASE,
)


def weigh(text: str) -> float:
    """How much a turn is worth keeping, from 0 to 1, by its look: telling of oneself weighs, small talk does not."""
    size = min(len(text), 240) / 240
    told = bool(_OF_SELF.search(text)) + min(len(_TELLING.findall(text)), 2)
    names = bool(re.search(r"(?<=[a-z,] )[A-Z][a-z]+|\d", text))
    return round(min(1.0, 0.1 + 0.3 * size + 0.15 * told + 0.15 * names), 3)


# Facts: which say something of the same thing, so that the newer one holds.

_SLOTS = tuple(
    (re.compile(pattern, re.IGNORECASE), slot)
    for pattern, slot in (
        (r"\b(?:name is|am called|is called|call me)\b", "name"),
        (r"\b(?:lives?|living|moved|resides?) (?:in|at|to|near|with)\b|\bhome is\b", "home"),
        (r"\b(?:works?|working) (?:as|at|for|in)\b|\bjob is\b|\bam employed\b", "work"),
        (r"\b(?:am|is|turned|turns) \d{1,3}(?: years old)?\b(?!\d|:)", "age"),
        (r"\bbirthday\b|\bborn (?:on|in)\b", "birthday"),
        (r"\b(?:am|is) (?:married|single|divorced|engaged|widowed)\b", "status"),
        (r"\bfavou?rite (?P<what>\w+)", "favourite"),
        (
            r"\b(?:likes?|loves?|hates?|dislikes?|enjoys?|detests?) (?P<what>[\w ]{2,40})",
            "liking",
        ),
        (r"\bspeaks? (?P<what>\w+)", "speaks"),
        (r"\ballergic to (?P<what>\w+)", "allergy"),
    )
)


def slot(text: str) -> str:
    """What a fact is about, as far as its words tell; empty if they do not. Two of one slot cannot both hold."""
    for pattern, name in _SLOTS:
        if match := pattern.search(text):
            what = (match.groupdict().get("what") or "").lower().split()
            return f"{name}:{' '.join(what)}" if what else name
    return ""


def note(name: str, text: str, who: Person, time: float) -> Memory:
    """What somebody wants to be remembered for good. If it tells of themselves, it supersedes what did before."""
    about = slot(text) if _FIRST_PERSON.match(text) else ""
    return Memory(id=name, text=text, time=time, author=who, kind=Kind.NOTE, slot=about, importance=1.0)


_FIRST_PERSON = re.compile(r"(?:i|i['’]m|my|call me)\b", re.IGNORECASE)


def later(one: Memory, other: Memory) -> bool:
    """Does the first take the other's place? What was known later holds; of the same moment, the one that came last."""
    return one.time >= other.time


# Fading: what goes when there is no more room.


def strength(memory: Memory, now: float) -> float:
    """How well it is kept: importance, fading with age. Facts and notes fade slower; what is superseded goes first."""
    slower = {Kind.TURN: 1.0, Kind.EPISODE: 3.0, Kind.FACT: 6.0, Kind.NOTE: 1000.0}[memory.kind]
    age = max(now - memory.time, 0.0) / 86_400
    own = (0.4 if memory.ours else 1.0) * (0.1 if memory.superseded_by else 1.0)
    return own * (0.2 + memory.importance) * math.pow(0.5, age / (FADE_DAYS * slower))


def faded(memories: Iterable[Memory], most: int, now: float) -> list[str]:
    """Ids of those that must go so that a tenth of the room is free again; none while there is room."""
    every = list(memories)
    if len(every) <= most:
        return []
    every.sort(key=lambda memory: strength(memory, now))
    return [memory.id for memory in every[: len(every) - most * 9 // 10]]
