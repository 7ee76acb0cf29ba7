"""Which votes a persona does not learn from: those cast while learning was paused, and those that were undone. Pure.

Taste is read from the ledger, where every vote stands; what people decided of learning stands in the history of the
personality. Here the two meet: spans of time, by the clock of whoever wrote the change.
"""

from collections.abc import Iterable, Sequence
from math import inf

from core.feedback import Fact
from core.growth.changes import AnyChange, Paused, Reset, Rolled

Span = tuple[float, float]  # seconds UTC, [from, to)


def spans(changes: Iterable[AnyChange]) -> list[Span]:
    """While it was paused; before a reset; what a rollback undid, which may be a reset. `changes` in their order."""
    paused, resets, undone = list[Span](), list[Span](), list[Span]()
    since, days = inf, dict[int, float]()  # when the pause began, and each day's first change
    for change in changes:
        days.setdefault(change.day, change.time)
        if isinstance(change, Paused):
            if not change.on and since < inf:
                paused.append((since, change.time))
            since = min(since, change.time) if change.on else inf
        elif isinstance(change, Reset):
            resets.append((-inf, change.time))
        elif isinstance(change, Rolled):
            begin = min((time for day, time in days.items() if day > change.to), default=change.time)
            resets = [span for span in resets if span[1] < begin]
            undone.append((begin, change.time))
    return [*paused, *([(since, inf)] if since < inf else []), *resets, *undone]


def counting(facts: Iterable[Fact], void: Sequence[Span]) -> tuple[Fact, ...]:
    """The facts without those that are not learned from. What is taken back is taken back at any time."""
    return tuple(
        fact for fact in facts if fact.removed or not any(begin <= fact.time < end for begin, end in void)
    )  # fmt: skip
