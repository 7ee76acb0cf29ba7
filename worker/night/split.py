"""Examples → those to learn from, those that say when to stop, and those held out for the gate. Pure.

What is held out is later than what is learned from, as tomorrow's talk is; and whole sessions are, so that no reply is
judged by another that stands in the same talk.
"""

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from worker.night.examples import Example

ROUND = 1e-9
# A gate that has seen 40 votes, three of ten of them random, cannot tell good nights from luck: of 16 first nights of
# bench.nights' small model it was sure (0.998) of 5 with a fifth held out and of 10 with a third; with LoRAs on all
# linears of 10 with a third and of 12 with a half. So where rows are few more are held out, though less is learned:
# true gains were .55 with a third and .43 with a half.
ENOUGH, LEAST, MOST = 100, 0.2, 0.35
LARGEST = 0.6  # of the weight, that may be taken to get both labels


class Split(NamedTuple):
    """Three parts that share no group, each oldest first. `notes`: in plain words, what could not be as it should."""

    train: list[Example]
    stop: list[Example]
    held: list[Example]
    notes: list[str]


class _Group(NamedTuple):
    name: str
    rows: list[Example]
    weight: float
    end: float
    begin: float
    labels: frozenset[bool]


def split(
    rows: Iterable[Example], held: float | None = None, stop: float = 0.1, since: float = 0.0, seed: int = 0
) -> Split:  # fmt: skip
    """`held`: the share of the weight that the latest groups hold out, by default what the gate needs; `stop`: the
    share of the rest that random groups (by `seed`) give. `since`: the live version has learned from what is older
    (seconds UTC), so only what came later is held out, where there is any. Every part gets likes and dislikes, as far
    as there are groups enough."""
    groups = _groups(rows)
    count = sum(len(group.rows) for group in groups)
    held = min(MOST, max(LEAST, ENOUGH / max(count, 1))) if held is None else held
    order = sorted(groups, key=lambda group: (group.end, group.name), reverse=True)
    fresh = [group for group in order if group.begin > since]
    for_gate = _take(groups, fresh or order, held)
    rest = _without(groups, for_gate)
    shuffled = random.Random(seed).sample(rest, len(rest))
    for_stop = _take(rest, shuffled, stop)
    train = _without(rest, for_stop)
    notes = [*_notes(groups, train, for_gate), *_age_notes(rest, for_gate, bool(fresh))]
    return Split(_rows(train), _rows(for_stop), _rows(for_gate), notes)


def _groups(rows: Iterable[Example]) -> list[_Group]:
    """By name, so that the order in which rows come changes nothing."""
    found: dict[str, list[Example]] = {}
    for row in sorted(rows, key=lambda row: (row.time, row.reply)):
        found.setdefault(row.group, []).append(row)
    return [_group(name, found[name]) for name in sorted(found)]


def _without(groups: Iterable[_Group], gone: Iterable[_Group]) -> list[_Group]:
    names = {group.name for group in gone}
    return [group for group in groups if group.name not in names]


def _group(name: str, rows: list[Example]) -> _Group:
    weight = sum(row.weight for row in rows)
    return _Group(name, rows, weight, rows[-1].time, rows[0].time, frozenset(row.liked for row in rows))


def _take(groups: Sequence[_Group], order: Sequence[_Group], share: float) -> list[_Group]:
    """Groups in this order until they weigh `share` of all and have both labels. What is left keeps its labels; a
    group that is far too large is passed over, unless there is nothing else."""
    whole = sum(group.weight for group in groups)
    for most in (min(2 * share, LARGEST) * whole, MOST * whole):
        taken: list[_Group] = []
        weight, left = 0.0, Counter(label for group in groups for label in group.labels)
        for group in order:
            lacking = weight < share * whole - ROUND or group.labels - _labels(taken)
            spared = all(left[label] > 1 for label in group.labels)
            if lacking and spared and weight + group.weight <= most + ROUND:
                taken.append(group)
                weight += group.weight
                left.subtract(group.labels)
        if taken or not share:
            return taken
    return []


def _labels(groups: Iterable[_Group]) -> frozenset[bool]:
    return frozenset(label for group in groups for label in group.labels)


def _rows(groups: Iterable[_Group]) -> list[Example]:
    return sorted((row for group in groups for row in group.rows), key=lambda row: (row.time, row.reply))


def _notes(groups: Sequence[_Group], train: Sequence[_Group], held: Sequence[_Group]) -> list[str]:
    """What is missing."""
    labels = _labels(groups)
    if len(labels) == 1:
        return [f"only {'likes' if True in labels else 'dislikes'}", *([] if held else [_NOTHING])]
    if len(groups) == 1:
        return ["everything was said in one session: nothing can be held out"]
    if not held:
        return [_NOTHING] if groups else []
    missing = labels - _labels(held)
    return [f"no {'likes' if True in missing else 'dislikes'} could be held out"] if missing else []


_NOTHING = "too few sessions: nothing can be held out"


def _age_notes(rest: Sequence[_Group], held: Sequence[_Group], fresh: bool) -> list[str]:
    """Where what is held out is not the latest there is."""
    if not held:
        return []
    notes = [] if fresh else ["nothing new since the last night: what is held out has been learned from"]
    latest = max(group.end for group in held)
    if any(group.end > latest for group in rest):
        notes.append("the latest sessions are too few or too large to hold out: earlier ones are")
    return notes
