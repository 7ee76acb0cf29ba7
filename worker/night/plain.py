"""A night as plain text, for a terminal of any width. Pure; without colours, so that it can be piped and kept."""

import math
import textwrap
import unicodedata
from collections.abc import Iterator, Sequence

from core.jobs import BASE
from core.nights import Check, Count, Night, Point, Ratings, Rows, Sample, Shift, Tried
from core.text import clean, shorten
from worker.night import words

PEOPLE = 6  # named one by one
SAMPLES = 2
KINDS = 8  # of unknown emoji, and of reasons for a refusal
LONG = 400  # characters of a reply
LEAST = 40  # columns; on a narrower screen lines wrap
NAME = 26  # columns for a name
BLOCKS = "▁▂▃▄▅▆▇█"


def plain(night: Night, width: int = 80) -> str:
    """The page for a terminal that is `width` columns wide."""
    width = max(LEAST, width)
    sections = [
        _decision(night, width),
        _section("Ratings", _ratings(night.ratings)),
        _section("Who counted most", _people(night.ratings.people, width)),
        _section("Training", _training(night.curve, night.rows)),
        _section("What was tried", map(_try, night.tried)),
        _section("The gate", _gate(night.checks, width)),
        _section("The voice", map(_shift, night.voice)),
        _section("Before and after", (row for one in night.samples[:SAMPLES] for row in _sample(one, width))),
        _section("What was odd", (row for one in night.notes for row in _wrapped(one, width, "  · ", "    "))),
        _section("How it was made", _made(night)),
    ]
    rows = [row for section in sections for row in section]
    return "\n".join(part.rstrip() for row in rows for part in _fitted(row, width)) + "\n"


def _section(name: str, rows: Iterator[str]) -> list[str]:
    """A name with rows below; nothing where there are none."""
    inside = [f"  {row}" if not row.startswith("  ") else row for row in rows]
    return ["", name, *inside] if inside else []


def _decision(night: Night, width: int) -> list[str]:
    return [
        *_wrapped(f"{night.title} · {words.date(night.day)}", width),
        *_wrapped(words.place(night.persona), width),
        "",
        *_wrapped(f"{words.VERDICTS[night.outcome].upper()}. {words.verdict(night)}", width),
        *(row for reason in night.reasons for row in _wrapped(reason, width, "  · ", "    ")),
    ]


def _ratings(ratings: Ratings) -> Iterator[str]:
    people = f", by {words.many(ratings.voters, 'person')}" if ratings.voters else ""
    yield _row("reactions", f"{ratings.reactions:,} on {words.many(ratings.replies, 'reply')}{people}")
    judged = ratings.liked + ratings.disliked
    if judged:
        share = words.percent(ratings.liked / judged)
        yield _row("liked", f"{bar(ratings.liked / judged)} {ratings.liked:,} of {judged:,} ({share})")
    if ratings.needed or ratings.effective:
        labels = f"{words.number(ratings.effective)} of {words.number(ratings.needed)} needed"
        yield _row("labels", f"{bar(ratings.effective / ratings.needed if ratings.needed else math.nan)} {labels}")
    for name, counts in (("unknown emoji", ratings.unknown), ("not used", ratings.refused)):
        if counts:
            rows, others = words.ranked(counts, KINDS)
            kinds = [f"{key} {count:,}" for key, count in rows]
            yield _row(name, " · ".join([*kinds, f"others {sum(others):,}"] if others else kinds))


def _people(people: tuple[Count, ...], width: int) -> Iterator[str]:
    named, rest = words.weightiest(people, PEOPLE)
    for one in [*named, *([rest] if rest else [])]:
        name = one.user if one is rest else words.who(one.user)
        votes = f"{one.likes:,} of {one.votes:,} liked"
        yield f"{_name(name)} {words.percent(one.share):>6}  trust {words.trust(one)}  {votes}"
        for note in one.notes:
            yield from _wrapped(note, width, "    ", "    ")


def _training(curve: Sequence[Point], rows: Rows) -> Iterator[str]:
    if rows.train:
        yield _row("examples", f"{rows.train:,} learned from; {rows.held:,} judged a LoRA made without them")
    lines = [
        ("loss", [point.loss for point in curve]),
        ("· held out", [point.held_loss for point in curve if point.held_loss is not None]),
        ("margin", [point.margin for point in curve]),
        ("· held out", [point.held_margin for point in curve if point.held_margin is not None]),
    ]
    for name, values in lines:
        if values:
            yield _row(name, f"{sparks(values)} {words.number(values[0])} → {words.number(values[-1])}")


def _try(one: Tried) -> str:
    held = f"{sparks(one.held)} {' → '.join(map(words.number, one.held))} held out" if one.held else one.why
    return _row(words.recipe(one), f"{held}{', taken' if one.taken else ''}")


def _gate(checks: Sequence[Check], width: int) -> Iterator[str]:
    for check in checks:
        state = "holds" if check.passed else "FAILS"
        yield f"{state}  {_name(check.name)} {words.measured(check):>9}   {shorten(clean(check.bound), 40)}"
        if check.why and not check.passed:
            yield from _wrapped(check.why, width, "         ", "         ")


def _shift(one: Shift) -> str:
    grown = words.change(one.before, one.after)
    ways = f"{words.number(one.before)} → {words.number(one.after)}"
    return f"{_name(one.name)} {ways}{f'  ({grown})' if grown else ''}"


def _sample(sample: Sample, width: int) -> Iterator[str]:
    yield from _wrapped(shorten(clean(sample.prompt), LONG), width, "  » ", "    ")
    yield from _wrapped(shorten(clean(sample.before), LONG) or "(silence)", width, "    before  ", " " * 12)
    yield from _wrapped(shorten(clean(sample.after), LONG) or "(silence)", width, "    after   ", " " * 12)


def _made(night: Night) -> Iterator[str]:
    yield _row("version", night.version or "none was made")
    yield _row("before", night.before or BASE)
    if night.base:
        yield _row("base", night.base)
    cpu = f", {words.number(night.cpu_seconds / 60)} core-minutes" if night.cpu_seconds else ""
    yield _row("began", f"{words.clock(night.began)}, took {words.span(night.ended - night.began)}{cpu}")
    yield _row("seed", str(night.seed))
    if night.settings:
        yield _row("settings", ", ".join(f"{name} {words.setting(value)}" for name, value in night.settings.items()))


def bar(part: float, cells: int = 20) -> str:
    """A bar; empty where there is no number."""
    full = round(cells * min(1.0, max(0.0, part))) if math.isfinite(part) else 0
    return "█" * full + "░" * (cells - full)


def sparks(values: Sequence[float], cells: int = 20) -> str:
    """A curve on one line. What is no number is a gap."""
    chosen = [values[at * len(values) // cells] for at in range(cells)] if len(values) > cells else list(values)
    sound = [value for value in chosen if math.isfinite(value)]
    low, high = min(sound, default=0.0), max(sound, default=0.0)
    reach = (high - low) or 1.0
    return "".join(BLOCKS[int((value - low) / reach * 7)] if math.isfinite(value) else " " for value in chosen)


def _row(name: str, text: str) -> str:
    return f"{name:<14} {clean(text)}".replace("\n", " ").replace("\t", " ")


def _name(text: str) -> str:
    """A name in a column of its own."""
    text = shorten(clean(text), NAME)
    return text + " " * max(0, NAME - sum(map(_columns, text)))


def _wrapped(text: str, width: int, first: str = "", other: str = "") -> list[str]:
    """`text` in lines; letters of East Asia are two columns wide, so half as many fit."""
    text = " ".join(clean(text).split())
    room = width if all(map(_columns, text)) and sum(map(_columns, text)) == len(text) else max(LEAST // 2, width // 2)
    return textwrap.wrap(text, room, initial_indent=first, subsequent_indent=other) or []


def _fitted(row: str, width: int) -> list[str]:
    """A row of a table, wrapped below its own beginning where it is too long."""
    if sum(map(_columns, row)) <= width:
        return [row]
    indent = " " * (len(row) - len(row.lstrip()) + 4)
    return textwrap.wrap(row, width, subsequent_indent=indent, drop_whitespace=True) or [row]


def _columns(letter: str) -> int:
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
