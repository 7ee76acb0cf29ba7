"""Examples → folds: sessions that are judged by a LoRA which has learned only from what came before them.

The folds follow each other in time, so each is to its learner as tomorrow's talk is to tonight's LoRA. That also keeps
luck apart: a vote may sway those who judge later ones, and never one that judges itself or earlier ones. (With every
fold judged by all the others, votes by coin passed the gate's test for luck four times as often as it says.) Nor may a
vote that judges be worth more for being to the taste that it is to show: see `Split.judged_by`. Pure.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from worker.night.examples import Example

FOLDS = 3
FEWEST = 3  # sessions that judge: of one or two, every resampling is much the same, and seems sure
BEFORE = 0.4  # of the weight comes before the first fold, where nothing older is known


class Split(NamedTuple):
    """All rows, oldest first; those that judge, fold by fold; and what the learner of each fold learns from. `taught`:
    what the LoRA learns from that is to serve. `notes`: in plain words, what could not be as it should."""

    rows: list[Example]
    folds: list[list[Example]]
    before: list[list[Example]]
    notes: list[str]
    taught: list[Example]

    @property
    def known(self) -> frozenset[str]:
        """The replies that judge nothing."""
        return frozenset(one.reply for some in self.before[:1] for one in some)

    def judged_by(self, rows: Iterable[Example], learned: Collection[str] = ()) -> "Split":
        """The same, judged by these rows, whose reading foretells votes from those on `known` replies alone. `learned`:
        as for `split`.

        Trust that was earned by agreeing with what all others like makes the votes that agree weigh more, and so taste
        seem surer than it is: read so, votes by coin pass the test for luck eight times in a hundred, and not once.
        """
        return split(rows, self.known | frozenset(learned))._replace(taught=self.taught)


class _Group(NamedTuple):
    name: str
    rows: list[Example]
    weight: float
    end: float
    labels: frozenset[bool]


def split(rows: Iterable[Example], learned: Collection[str] = (), count: int = FOLDS) -> Split:
    """`learned`: the replies that the live version has learned from; only sessions without any of them can compare it
    with another. Every fold, and what comes before it, gets likes and dislikes; where there are not sessions enough
    for `count` folds there are fewer, or none, and then nothing is judged."""
    groups, known = _groups(rows), frozenset(learned)
    fresh = [group for group in groups if not any(row.reply in known for row in group.rows)]
    old = [group for group in groups if any(row.reply in known for row in group.rows)]
    for order, notes in ((fresh, []), (list(_mixed(fresh)), [_MIXED])):
        for folds in range(count, 0, -1):
            before, laid = _laid(old, order, folds)
            if sum(map(len, laid)) >= FEWEST and all(len(_labels(some)) == 2 for some in (*laid, *before)):
                return _split(groups, laid, before, notes)
    return _split(groups, [], [], [_why(groups, fresh)] if groups else [])


def _split(
    groups: Sequence[_Group], folds: Sequence[Sequence[_Group]], before: Sequence[Sequence[_Group]], notes: list[str]
) -> Split:
    rows = _rows(groups)
    return Split(rows, [_rows(fold) for fold in folds], [_rows(some) for some in before], notes, rows)


_MIXED = "likes and dislikes came at different times: they are judged mixed, not in order"


def _groups(rows: Iterable[Example]) -> list[_Group]:
    """Oldest first; then by name, so that the order in which rows come changes nothing."""
    found: dict[str, list[Example]] = {}
    for row in sorted(rows, key=lambda row: (row.time, row.reply)):
        found.setdefault(row.group, []).append(row)
    return sorted((_group(name, some) for name, some in found.items()), key=lambda group: (group.end, group.name))


def _group(name: str, rows: list[Example]) -> _Group:
    weight = sum(row.weight for row in rows)
    return _Group(name, rows, weight, rows[-1].time, frozenset(row.liked for row in rows))


def _mixed(groups: Sequence[_Group]) -> Iterator[_Group]:
    """With the same labels at even distances."""
    kinds: dict[tuple[bool, ...], list[_Group]] = {}
    for group in groups:
        kinds.setdefault(tuple(sorted(group.labels)), []).append(group)
    places = [((at + 0.5) / len(some), group) for some in kinds.values() for at, group in enumerate(some)]
    yield from (group for _, group in sorted(places, key=lambda place: (place[0], place[1].name)))


def _laid(old: Sequence[_Group], fresh: Sequence[_Group], count: int) -> tuple[list[list[_Group]], list[list[_Group]]]:
    """(what comes before each fold, the folds), of like weight each. Where nothing older is known, the first of the
    fresh ones are learned from only."""
    whole = sum(group.weight for group in fresh)
    head = 0.0 if old else BEFORE
    folds: list[list[_Group]] = [[] for _ in range(count)]
    first, sofar = list(old), 0.0
    for group in fresh:
        place = ((sofar + group.weight / 2) / whole - head) / (1 - head) if whole else 0.0
        (first if place < 0 else folds[min(count - 1, int(count * place))]).append(group)
        sofar += group.weight
    return [[*first, *(group for fold in folds[:at] for group in fold)] for at in range(count)], folds


def _labels(groups: Iterable[_Group]) -> frozenset[bool]:
    return frozenset(label for group in groups for label in group.labels)


def _rows(groups: Iterable[_Group]) -> list[Example]:
    return sorted((row for group in groups for row in group.rows), key=lambda row: (row.time, row.reply))


def _why(groups: Sequence[_Group], fresh: Sequence[_Group]) -> str:
    """Why nothing can be judged."""
    if not fresh:
        return "what serves now has learned from all of it: there is nothing yet to compare another by"
    since = "" if len(fresh) == len(groups) else " since then"
    labels = _labels(fresh)
    if len(labels) == 1:
        return f"only {'likes' if True in labels else 'dislikes'} came{since}: there is nothing to judge by"
    if len(fresh) == 1:
        return f"everything{since} was said in one session: there is nothing to judge by"
    for label, name in ((True, "likes"), (False, "dislikes")):
        if sum(label in group.labels for group in fresh) == 1:
            return f"all {name}{since} came in one session: there is nothing to judge by"
    return f"too few sessions{since}: there is nothing to judge by"
