"""Small pictures for a night's page: inline SVG, coloured by the page's style sheet. Pure, no torch, no I/O.

What is older or was before is grey and hollow; what is new is filled, in the one accent colour.
"""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from core.nights import Outcome
from worker.night.words import number

WIDE, HIGH = 380, 210  # of a line chart, in the SVG's own units
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 12, 40  # room for the axes
POINTS = 300  # a longer curve is thinned out to so many

# The threshold, and where the disc is: risen, half risen, or below it.
_LINE = '<line x1="0" y1="14" x2="24" y2="14"/>'
_MARKS = {
    Outcome.PROMOTED: '<circle class="full" cx="12" cy="7" r="5"/>',
    Outcome.TRIAL: '<path class="full" d="M6 14a6 6 0 0 1 12 0z"/>',
    Outcome.UNDECIDED: '<path class="ring" d="M6 14a6 6 0 0 1 12 0"/>',
    Outcome.REJECTED: '<circle class="ring" cx="12" cy="19" r="3.5"/>',
    Outcome.WAITING: '<circle class="dot" cx="12" cy="14" r="2.4"/>',
    Outcome.NOT_ENOUGH: '<circle class="dot" cx="12" cy="19" r="1.6"/>',
    Outcome.PINNED: '<circle class="ring" cx="12" cy="7" r="5"/><circle class="dot" cx="12" cy="7" r="1.6"/>',
    Outcome.FAILED: '<path class="ring" d="m9 16.5 6 6m0-6-6 6"/>',
    Outcome.DRY_RUN: '<circle class="ring dashed" cx="12" cy="7" r="5"/>',
}


class Series(NamedTuple):
    """A line of a chart. Points that are no numbers leave a gap."""

    name: str
    points: Sequence[tuple[float, float]]
    kind: str = "new"  # in the accent colour; "old": grey and dotted


def emblem(outcome: Outcome) -> str:
    """A night's outcome as a sign. The words stand beside it, so it is not read out."""
    return (
        f'<svg class="emblem" viewBox="0 0 24 24" aria-hidden="true" focusable="false">{_LINE}{_MARKS[outcome]}</svg>'
    )


def lines(title: str, across: str, series: Sequence[Series]) -> str:
    """A chart of curves over a common axis; empty if there is nothing to draw."""
    sound = [(x, y) for one in series for x, y in one.points if math.isfinite(x) and math.isfinite(y)]
    if not sound:
        return ""
    xs, ys = ticks([x for x, _ in sound], 5, least=1), ticks([y for _, y in sound], 5)
    place = _Place(xs[0], xs[-1], ys[0], ys[-1])
    drawn = "".join(_curve(one, place) for one in series)
    alt = escape(f"{title}. {' '.join(_told(one) for one in series if one.points)}")
    return (
        f'<svg class="chart" viewBox="0 0 {WIDE} {HIGH}" role="img" aria-label="{alt}">'
        f"{_grid(xs, ys, place)}{drawn}"
        f'<text class="axis" x="{WIDE - RIGHT}" y="{HIGH - 4}" text-anchor="end">{escape(across)}</text></svg>'
    )


def shift(before: float, after: float) -> str:
    """From where to where, on a scale that begins at nothing; empty if one of them is no number."""
    if not (math.isfinite(before) and math.isfinite(after)):
        return ""
    low, high = min(0.0, before, after), max(0.0, before, after)
    old, new = (8 + 144 * (value - low) / ((high - low) or 1) for value in (before, after))
    return (
        '<svg class="shift" viewBox="0 0 160 20" preserveAspectRatio="xMinYMid" aria-hidden="true" focusable="false">'
        '<line class="rail" x1="8" y1="10" x2="152" y2="10"/>'
        f'<line class="way" x1="{old:.1f}" y1="10" x2="{new:.1f}" y2="10"/>'
        f'<circle class="old" cx="{old:.1f}" cy="10" r="4.5"/><circle class="new" cx="{new:.1f}" cy="10" r="5"/></svg>'
    )


def ticks(values: Sequence[float], most: int, least: float = 0.0) -> list[float]:
    """Round figures from below the least to above the greatest of `values`, some `most` of them, no nearer to each
    other than `least`."""
    low, high = min(values), max(values)
    if low == high:
        low, high = low - 0.5, high + 0.5
    rough = max((high - low) / most, least)
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= rough * 0.999)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(step * at, 10) for at in range(first, last + 1)]


class _Place(NamedTuple):
    """From figures to places in the picture."""

    left: float
    right: float
    low: float
    high: float

    def x(self, value: float) -> float:
        return LEFT + (WIDE - LEFT - RIGHT) * (value - self.left) / (self.right - self.left)

    def y(self, value: float) -> float:
        return TOP + (HIGH - TOP - BOTTOM) * (self.high - value) / (self.high - self.low)


def _grid(xs: Sequence[float], ys: Sequence[float], place: _Place) -> str:
    rows = "".join(
        f'<line class="{"zero" if y == 0 else "grid"}" x1="{LEFT}" y1="{place.y(y):.1f}" x2="{WIDE - RIGHT}"'
        f' y2="{place.y(y):.1f}"/><text x="{LEFT - 8}" y="{place.y(y) + 4:.1f}" text-anchor="end">{number(y)}</text>'
        for y in ys
    )
    columns = "".join(
        f'<text x="{place.x(x):.1f}" y="{HIGH - BOTTOM + 18}" text-anchor="middle">{number(x)}</text>' for x in xs
    )
    return rows + columns


def _curve(one: Series, place: _Place) -> str:
    points = one.points[:: max(1, math.ceil(len(one.points) / POINTS))]
    if one.points and points[-1] != one.points[-1]:
        points = [*points, one.points[-1]]
    runs: list[list[str]] = [[]]
    for x, y in points:
        if math.isfinite(x) and math.isfinite(y):
            runs[-1].append(f"{place.x(x):.1f},{place.y(y):.1f}")
        elif runs[-1]:
            runs.append([])
    return "".join(_run(run, one.kind) for run in runs if run)


def _run(run: list[str], kind: str) -> str:
    if len(run) > 1:
        return f'<polyline class="{kind}" points="{" ".join(run)}"/>'
    x, y = run[0].split(",")
    return f'<circle class="{kind}" cx="{x}" cy="{y}" r="3.5"/>'


def _told(one: Series) -> str:
    values = [y for _, y in one.points if math.isfinite(y)]
    if not values:
        return f"{one.name}: no numbers."
    return f"{one.name}: from {number(values[0])} to {number(values[-1])}."
