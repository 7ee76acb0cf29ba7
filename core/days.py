"""Days as people mean them: in the operator's time zone, and not over before 04:00. Pure.

A day is written as a number, 20260501, so that days can be compared and kept in a few bytes.
"""

import datetime as dt
from functools import lru_cache
from zoneinfo import ZoneInfo

NIGHT = dt.timedelta(hours=4)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


@lru_cache(maxsize=8)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def date_of(now: float, zone: str) -> dt.date:
    """The day that `now` (seconds UTC) belongs to."""
    return (dt.datetime.fromtimestamp(now, _zone(zone)) - NIGHT).date()


def number(date: dt.date) -> int:
    """20260501."""
    return date.year * 10_000 + date.month * 100 + date.day


def date(day: int) -> dt.date:
    """What `number` was given."""
    return dt.date(day // 10_000, day // 100 % 100, day % 100)


def day_of(now: float, zone: str) -> int:
    """The day that `now` belongs to, as a number."""
    return number(date_of(now, zone))


def read(text: str, now: float, zone: str) -> int:
    """`today`, `yesterday`, a weekday (the latest before today), `3` (days ago) or `2026-05-01`, as a number.

    Raises ValueError for anything else.
    """
    word, today = text.strip().casefold(), date_of(now, zone)
    if word in WEEKDAYS:
        back = (today.weekday() - WEEKDAYS.index(word)) % 7 or 7
    elif word in ("today", "yesterday"):
        back = int(word == "yesterday")
    elif word.isascii() and word.isdigit() and len(word) < 4:
        back = int(word)
    else:
        return number(dt.date.fromisoformat(word))
    return number(today - dt.timedelta(days=back))


def name(day: int, today: int) -> str:
    """A day as people call it: `today`, `yesterday`, `Tuesday`, or its date."""
    try:
        gone = (date(today) - date(day)).days
    except ValueError:  # a day of no calendar, from a clock that was out of its mind
        return str(day)
    if gone in (0, 1):
        return ("today", "yesterday")[gone]
    return WEEKDAYS[date(day).weekday()].capitalize() if 1 < gone < 7 else date(day).isoformat()
