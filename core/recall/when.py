"""Words such as "yesterday", "three weeks ago" or "on May 2nd" → the span of time they mean. Pure; knows no memory.

English only: for other languages, time plays no part in what is recalled.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, tzinfo

Span = tuple[float, float]  # from and until, in seconds UTC

LATE = timedelta(hours=4)  # who speaks of yesterday means last night, too
_MONTHS = (
    "january", "february", "march", "april", "may", "june",
    "july", "august", "september", "october", "november", "december",
)  # fmt: skip
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_COUNTED = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {word: at for at, word in enumerate(_COUNTED)}
_NUMBERS |= {"a": 1, "an": 1, "couple of": 2, "a couple of": 2, "few": 3, "a few": 3}
_MONTH = rf"(?P<month>{'|'.join(f'{name[:3]}(?:{name[3:]})?' for name in _MONTHS)}|sept)\.?"
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?\b"
_YEAR = r"(?:,?\s+(?P<year>\d{4}))?"
_COUNT = rf"(?P<count>\d{{1,3}}|{'|'.join(sorted(_NUMBERS, key=len, reverse=True))})"


def span(text: str, now: float, zone: tzinfo = UTC) -> Span | None:
    """What time a question speaks of, seen from `now` (seconds UTC); None if of none. The first named counts."""
    try:
        today = datetime.fromtimestamp(now, zone).date()
    except (ValueError, OverflowError, OSError):  # a clock that shows no day of ours
        return None
    found = []
    for pattern, meaning in _MEANINGS:
        for match in pattern.finditer(text.lower()):
            days = meaning(match, today)
            if days:
                found.append((match.start(), -match.end(), days))
    if not found:
        return None
    first, last = min(found)[2]
    return _at(first, zone), _at(last + timedelta(days=1), zone) + LATE.total_seconds()


def _at(day: date, zone: tzinfo) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()


Days = tuple[date, date]  # the first and the last


def _ago(match: re.Match[str], today: date) -> Days | None:
    word = " ".join(match["count"].split())
    count = int(word) if word.isdigit() else _NUMBERS[word]
    unit = {"day": 1, "week": 7, "month": 30, "year": 365}[match["unit"]]
    loose = unit // 2 if unit > 1 else (1 if not word.isdigit() and count == 3 else 0)  # "a few" is not three
    middle = count * unit
    return _back(today, middle + loose), _back(today, max(middle - loose, 1))


def _back(today: date, days: int) -> date:
    return today - timedelta(days=min(days, 36_500))


def _last(match: re.Match[str], today: date) -> Days | None:
    monday, unit = today - timedelta(days=today.weekday()), match["unit"]
    if unit == "week":
        return monday - timedelta(days=7), monday - timedelta(days=1)
    if unit == "weekend":
        return monday - timedelta(days=2), monday - timedelta(days=1)
    if unit == "month":
        end = today.replace(day=1) - timedelta(days=1)
        return end.replace(day=1), end
    return date(today.year - 1, 1, 1), date(today.year - 1, 12, 31)


def _this(match: re.Match[str], today: date) -> Days | None:
    first = {
        "week": today - timedelta(days=today.weekday()),
        "month": today.replace(day=1),
        "year": today.replace(month=1, day=1),
    }
    return first[match["unit"]], today


def _weekday(match: re.Match[str], today: date) -> Days | None:
    back = (today.weekday() - _DAYS.index(match["name"]) - 1) % 7 + 1
    return (today - timedelta(days=back),) * 2


def _month_day(match: re.Match[str], today: date) -> Days | None:
    month = next(at for at, name in enumerate(_MONTHS, 1) if name.startswith(match["month"][:3]))
    year = match.groupdict().get("year")
    try:
        day = date(int(year) if year else today.year, month, int(match["day"]))
        if not year and day > today:
            day = day.replace(year=today.year - 1)
    except ValueError:  # the 31st of February
        return None
    return day, day


def _month(match: re.Match[str], today: date) -> Days | None:
    month = next(at for at, name in enumerate(_MONTHS, 1) if name.startswith(match["month"][:3]))
    year = int(match["year"]) if match["year"] else today.year - (month > today.month)
    if not 1 <= year <= 9998:
        return None
    first = date(year, month, 1)
    return first, (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def _iso(match: re.Match[str], today: date) -> Days | None:
    try:
        day = date(int(match["year"]), int(match["month"]), int(match["day"]))
    except ValueError:
        return None
    return day, day


def _exactly(first: int, last: int | None = None) -> Callable[[re.Match[str], date], Days | None]:
    """So many days back."""
    return lambda _, today: (_back(today, first), _back(today, first if last is None else last))


_MEANINGS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], date], Days | None]], ...] = tuple(
    (re.compile(pattern), meaning)
    for pattern, meaning in (
        (r"\bday before yesterday\b", _exactly(2)),
        (r"\byesterday\b|\blast (?:night|evening)\b", _exactly(1)),
        (r"\btoday\b|\bthis (?:morning|afternoon|evening)\b|\btonight\b|\bearlier today\b", _exactly(0)),
        (r"\bthe other day\b", _exactly(5, 1)),
        (rf"\b{_COUNT}\s+(?P<unit>day|week|month|year)s?\s+ago\b", _ago),
        (r"\blast (?P<unit>week(?:end)?|month|year)\b", _last),
        (r"\bthis (?P<unit>week|month|year)\b", _this),
        (rf"\b(?:on|last|this|since)\s+(?P<name>{'|'.join(_DAYS)})\b", _weekday),
        (rf"\b{_MONTH}\s+{_DAY}{_YEAR}", _month_day),
        (rf"\b{_DAY}\s+(?:of\s+)?{_MONTH}\b{_YEAR}", _month_day),
        (rf"\b(?:in|during|since)\s+{_MONTH}\b(?!\s+\d{{1,2}}\b){_YEAR}", _month),
        (r"\b(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})\b", _iso),
    )
)
