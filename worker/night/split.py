"""Examples → folds: sessions that one learner leaves out, so that each reply is judged by somebody who never saw it.

Whole sessions are left out, so that no reply is judged by another that stands in the same talk. The folds follow each
other in time: the last one is later than all that its learner has seen, as tomorrow's talk is. Pure.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from worker.night.examples import Example

# With a fifth of 150 rated replies held out, and three of ten votes random, the gate could not tell good nights from
# luck. With folds all of them are judged, for one training more.
FOLDS = 3


class Split(NamedTuple):
    """All rows, oldest first, and those that each learner leaves out, the latest last. `notes`: in plain words, what
    could not be as it should. `later`: whether the folds follow each other in time."""

    rows: list[Example]
    folds: list[list[Example]]
    notes: list[str]
    later: bool = True

    def without(self, fold: int) -> list[Example]:
        """What the learner of a fold learns from."""
        gone = {one.reply for one in self.folds[fold]}
        return [one for one in self.rows if one.reply not in gone]


class _Group(NamedTuple):
    name: str
    rows: list[Example]
    weight: float
    end: float
    labels: frozenset[bool]


def split(rows: Iterable[Example], learned: Collection[str] = (), count: int = FOLDS) -> Split:
    """`learned`: the replies that the live version has learned from; only sessions without any of them can compare it
    with another. Every fold, and what is left without it, gets likes and dislikes; where there are not groups enough
    for that there are no folds, and nothing is judged."""
    groups = _groups(rows)
    known = frozenset(learned)
    fresh = [group for group in groups if not any(row.reply in known for row in group.rows)]
    for folds, later in ((_in_time(fresh, count), True), (_mixed(fresh, count), False)):
        if _can_judge(folds, groups):
            notes = [] if later else ["likes and dislikes came at different times: they are judged mixed, not in order"]
            return Split(_rows(groups), [_rows(fold) for fold in folds], notes, later)
    return Split(_rows(groups), [], [_why(groups, fresh)] if groups else [])


def _groups(rows: Iterable[Example]) -> list[_Group]:
    """Oldest first; then by name, so that the order in which rows come changes nothing."""
    found: dict[str, list[Example]] = {}
    for row in sorted(rows, key=lambda row: (row.time, row.reply)):
        found.setdefault(row.group, []).append(row)
    return sorted((_group(name, some) for name, some in found.items()), key=lambda group: (group.end, group.name))


def _group(name: str, rows: list[Example]) -> _Group:
    weight = sum(row.weight for row in rows)
    return _Group(name, rows, weight, rows[-1].time, frozenset(row.liked for row in rows))


def _in_time(groups: Sequence[_Group], count: int) -> list[list[_Group]]:
    """One after the other, of like weight."""
    folds: list[list[_Group]] = [[] for _ in range(count)]
    whole, sofar = sum(group.weight for group in groups), 0.0
    for group in groups:
        middle = sofar + group.weight / 2
        folds[min(count - 1, int(count * middle / whole)) if whole else 0].append(group)
        sofar += group.weight
    return folds


def _mixed(groups: Sequence[_Group], count: int) -> list[list[_Group]]:
    """By turns, those with the same labels one after the other."""
    order = sorted(groups, key=lambda group: sorted(group.labels))
    return [list(order[at::count]) for at in range(count)]


def _can_judge(folds: Sequence[Sequence[_Group]], groups: Sequence[_Group]) -> bool:
    """Are there likes and dislikes in each fold, and in what is left without it?"""
    for fold in folds:
        names = {group.name for group in fold}
        if any(len(_labels(some)) < 2 for some in (fold, [group for group in groups if group.name not in names])):
            return False
    return bool(folds)


def _labels(groups: Iterable[_Group]) -> frozenset[bool]:
    return frozenset(label for group in groups for label in group.labels)


def _rows(groups: Iterable[_Group]) -> list[Example]:
    return sorted((row for group in groups for row in group.rows), key=lambda row: (row.time, row.reply))


def _why(groups: Sequence[_Group], fresh: Sequence[_Group]) -> str:
    """Why nothing can be judged."""
    if not fresh:
        return "what serves now has learned from all of it: there is nothing yet to compare another by"
    labels = _labels(fresh)
    if len(labels) == 1:
        since = "" if len(fresh) == len(groups) else " since the last night"
        return f"only {'likes' if True in labels else 'dislikes'} came{since}: there is nothing to judge by"
    if len(fresh) == 1:
        return "everything was said in one session: there is nothing to judge by"
    for label, name in ((True, "likes"), (False, "dislikes")):
        if sum(label in group.labels for group in fresh) == 1:
            return f"all {name} came in one session: there is nothing to judge by"
    return "too few sessions: there is nothing to judge by"
