"""Nights in rows, for people with 80 columns: the last ones, and how it stands. Pure, but for the clock."""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import click
import msgspec

from bots.lorapage import place
from bots.words import many, span
from core.nights import Night, Outcome
from core.store.nights import Last
from core.text import shorten

COLOURS = {Outcome.PROMOTED: "green", Outcome.TRIAL: "green", Outcome.REJECTED: "yellow", Outcome.FAILED: "red"}
SHOWN = 8  # of those who have something to learn from
WIDTH = 78


class Standing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How it stands with nights. Times in seconds UTC; `at_work`: which process runs them; `off`: why none come."""

    enabled: bool
    at: str
    timezone: str
    off: str = ""
    next: float = 0.0
    missed: bool = False
    at_work: str = ""
    trainers: int = 0
    last: Last | None = None
    last_success: float = 0.0
    fresh: tuple[tuple[str, int], ...] = ()  # who got reactions since they last learned, and how many
    left: tuple[str, ...] = ()
    kept: int = 0
    failures: int = 0  # among the latest


def line(night: Night, zone: str) -> Iterator[str]:
    """A night on two lines: when, who, how it ended, and why."""
    when = datetime.fromtimestamp(night.began, ZoneInfo(zone))
    outcome = click.style(f"{night.outcome:<10}", fg=COLOURS.get(night.outcome))
    why = next(iter((*night.reasons, *night.notes)), "")
    yield f"{when:%Y-%m-%d %H:%M}  {outcome}  {shorten(place(night.persona), 44)}"
    told = " · ".join(part for part in (span(night.ended - night.began), night.version, why) if part)
    yield f"{'':18}{shorten(told, WIDTH - 18)}"


def ended(night: Night) -> str:
    """A night that has just ended, in a line."""
    why = next(iter((*night.reasons, *night.notes)), "")
    version = f" → {night.version}" if night.version else ""
    return f"{place(night.persona)}: {night.outcome}{version}{f' ({why})' if why else ''}"


def page(seen: Standing) -> str:
    """How it stands."""
    rows = [("next", _next(seen)), *_work(seen), *_last(seen), *_fresh(seen)]
    if seen.left:
        rows.append(("left", f"{many(len(seen.left), 'persona')} from the last run, first the next time"))
    rows.append(("kept", f"{many(seen.kept, 'night')}; `limen night list`, `limen night report`"))
    return "\n".join(f"{click.style(f'{name:<9}', bold=True)} {text}".rstrip() for name, text in rows)


def _next(seen: Standing) -> str:
    if seen.off:
        return f"none by itself: {seen.off}"
    if seen.missed:
        return f"as soon as a worker runs: one was missed (night.at {seen.at}, {seen.timezone})"
    when = datetime.fromtimestamp(seen.next, ZoneInfo(seen.timezone))
    return f"{when:%A %d %B, %H:%M} ({seen.timezone}), in {span(seen.next - time.time())}"


def _work(seen: Standing) -> Iterator[tuple[str, str]]:
    if seen.at_work:
        yield "now", f"at work: {seen.at_work}"
    if seen.trainers:
        yield "lane", f"{many(seen.trainers, 'worker')} for nights alone"


def _last(seen: Standing) -> Iterator[tuple[str, str]]:
    last = seen.last
    if last is None:
        yield "last", "none yet"
        return
    ago = f"{span(time.time() - last.began)} ago"
    if last.trouble:
        yield "last", f"{ago}, broke off: {shorten(last.trouble, WIDTH)}"
        if seen.last_success:
            yield "", f"the last that got to its end began {span(time.time() - seen.last_success)} ago"
        return
    failed = f", {last.failed:,} failed" if last.failed else ""
    yield "last", f"{ago}, {many(last.nights, 'night')} in {span(last.ended - last.began)}{failed}"


def _fresh(seen: Standing) -> Iterator[tuple[str, str]]:
    if not seen.fresh:
        yield "due", "nobody has anything new to learn from"
    for number, (name, count) in enumerate(seen.fresh[:SHOWN]):
        yield "due" if number == 0 else "", shorten(f"{name} · {many(count, 'new reaction')}", WIDTH - 10)
    if len(seen.fresh) > SHOWN:
        yield "", f"and {many(len(seen.fresh) - SHOWN, 'persona')} more"


def summary(seen: dict[str, Any]) -> list[str]:
    """What `limen status` says of nights, on one or two lines."""
    standing = msgspec.convert(seen, Standing)
    rows = [_next(standing)]
    rows += [text for _, text in _work(standing)]
    rows += [text for _, text in _last(standing)][:1] if standing.last else []
    return rows


def table(nights: Sequence[Night], zone: str) -> str:
    """Several nights, newest first."""
    return "\n".join(row for night in nights for row in line(night, zone))
