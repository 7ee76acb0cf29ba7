"""How to behave among people: whom we hear and where, when we rest, and what makes us stop. Pure.

Knows ids and settings; how often we may speak is in `core/group/quota.py`.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from itertools import groupby

import msgspec

from core.events import Addressed, Kind, Message, Person, Place
from core.settings import Attention

_WORD = re.compile(r"[\w'’]+")
_CALL = re.compile(r"(?<=\s)@\S+\s*$")  # adapters leave out a mention of us that comes first


def at_home(rules: Attention) -> Attention:
    """The same rules for the operator's own terminal: what is for groups does not concern it."""
    return msgspec.structs.replace(
        rules, ambient_per_hour=0, quiet_hours="", allow_places="", deny_places="", allow_people="", deny_people="",
        person_quota=0, channel_quota=0,
    )  # fmt: skip


# Whom we hear, and where.


def hears(place: Place, person: Person, rules: Attention) -> bool:
    """May we listen to this person in this place? Where a list allows some, all others are denied; a denial wins."""
    return _passes(place, rules.allow_places, rules.deny_places, within=True) and _passes(
        person.id, rules.allow_people, rules.deny_people
    )


def _passes(one: Place | str, allow: str, deny: str, within: bool = False) -> bool:
    if not (allow or deny):  # as nearly everywhere
        return True
    name = str(one)
    return not named(name, deny, within) and (not allow.strip() or named(name, allow, within))


def named(one: str, ids: str, within: bool = False) -> bool:
    """Is this id in the list? `*` stands for anything between two colons; `within`: or does it lie in one that is?"""
    return bool(ids) and _ids(ids, within).fullmatch(one) is not None


@lru_cache(maxsize=64)
def _ids(ids: str, within: bool) -> re.Pattern[str]:
    each = [re.escape(one).replace(r"\*", "[^:]*") for one in re.split(r"[\s,]+", ids) if one]
    inside = "(?::.*)?" if within else ""
    return re.compile(f"(?:{'|'.join(each)}){inside}" if each else "(?!)", re.DOTALL)


# When we rest.


def is_quiet(hours: str, now: float, zone: str) -> bool:
    """Do the quiet hours (`22:00-07:30` of that time zone; empty: there are none) hold at `now`, in seconds UTC?"""
    if not hours:
        return False
    begin, end = (_minute(time) for time in hours.split("-"))
    here = datetime.fromtimestamp(now, _zone(zone))
    minute = here.hour * 60 + here.minute
    return begin <= minute < end if begin < end else minute >= begin or minute < end


def rests(place: Place, rules: Attention) -> bool:
    """In quiet hours: is even what is meant for us left unanswered here?"""
    return rules.quiet_for == "everything" or (rules.quiet_for == "channels" and place.kind != Kind.DM)


def _minute(time: str) -> int:
    hour, minute = time.split(":")
    return int(hour) * 60 + int(minute)


@lru_cache(maxsize=8)
def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo  # only who sets a zone pays for its import

    return ZoneInfo(name)


# What makes us stop.


def says_stop(message: Message, names: Sequence[str], words: str) -> bool:
    """Is this a person who says one of these words (`stop, be quiet`) and nothing else, but for our name?"""
    wanted, folded = _phrases(words), message.text.casefold()
    if message.author.is_bot or len(folded) > 200 or not any(one.partition(" ")[0] in folded for one in wanted):
        return False  # most talk ends here
    text = _CALL.sub("", message.text) if message.addressed == Addressed.MENTION else message.text
    said = _plain(text)
    return said in wanted or any(_without(said, _plain(name)) in wanted for name in names)


@lru_cache(maxsize=8)
def _phrases(words: str) -> frozenset[str]:
    return frozenset(_plain(one) for one in words.split(",")) - {""}


def _plain(text: str) -> str:
    """Words alone, in small letters, each once in a row: `STOP!! stop` is `stop`."""
    return " ".join(word for word, _ in groupby(_WORD.findall(text.casefold())))


def _without(said: str, name: str) -> str:
    return said.removeprefix(f"{name} ") if said.startswith(f"{name} ") else said.removesuffix(f" {name}")
