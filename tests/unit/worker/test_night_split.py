"""worker/night/split.py: who is judged by whom."""

import random

import pytest
from msgspec.structs import replace

from core.store.ledger import Told
from worker.night.examples import Example
from worker.night.split import split


def row(name: str, group: str, liked: bool = True, weight: float = 1.0, time: float = 0.0) -> Example:
    return Example(
        reply=name, group=group, time=time, messages=(Told("user", group),), text=name, liked=liked, weight=weight
    )  # fmt: skip


def many(groups: int, each: int = 3, seed: int = 0) -> list[Example]:
    """Rows with a third of dislikes, in groups one after the other."""
    chance = random.Random(seed)
    return [
        row(f"{g}-{k}", f"g{g:03}", chance.random() > 0.3, chance.uniform(0.2, 1.0), 1000.0 * g + k + 1)
        for g in range(groups)
        for k in range(each)
    ]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("count", [2, 3])
def test_a_fold_comes_after_all_that_its_learner_has_seen(seed: int, count: int) -> None:
    """Whole sessions; two fifths are only learned from, the folds weigh about the same; all have likes and dislikes."""
    told = many(60, seed=seed)
    found = split(told, count=count)
    whole = sum(one.weight for one in told)

    assert ([], count, count) == (found.notes, len(found.folds), len(found.before))
    assert found.rows == sorted(told, key=lambda one: one.time)
    assert found.before[0] + [one for fold in found.folds for one in fold] == found.rows
    assert 0.4 == pytest.approx(sum(one.weight for one in found.before[0]) / whole, abs=0.05)
    for before, fold in zip(found.before, found.folds, strict=True):
        assert max(one.time for one in before) < min(one.time for one in fold)
        assert not {one.group for one in before} & {one.group for one in fold}
        assert {True, False} == {one.liked for one in before} == {one.liked for one in fold}
        assert 0.6 / count == pytest.approx(sum(one.weight for one in fold) / whole, abs=0.05)
    for earlier, later, fold in zip(found.before, found.before[1:], found.folds, strict=False):
        assert later == earlier + fold


def test_the_order_in_which_rows_come_changes_nothing() -> None:
    """Nor does anything else but the rows."""
    told = many(40)

    assert split(told) == split(told[::-1])


def test_what_the_live_version_learned_from_is_learned_from_and_not_judged() -> None:
    """Where there is anything newer."""
    told = many(40)
    known = {one.reply for one in told if one.time < 30_500.0}
    late = split(told, known)

    assert {one.reply for one in told} - known == {one.reply for fold in late.folds for one in fold}
    assert told == late.rows
    assert [one for one in told if one.reply in known] == late.before[0]
    assert {"g031"} == {one.group for one in told} - {
        one.group for fold in split(told, {*known, "31-2"}).folds for one in fold
    } - {one.group for one in told if one.reply in known}, "a session that was learned from in part is known"
    gone = split(told, {one.reply for one in told})
    assert ([], told) == (gone.folds, gone.rows)
    assert "has learned from all of it" in gone.notes[0]


@pytest.mark.parametrize(
    ("told", "note"),
    [
        ([row("a", "g"), row("b", "g", liked=False)],
         "everything was said in one session: there is nothing to judge by"),
        ([row(str(k), f"g{k}", time=k) for k in range(10)], "only likes came: there is nothing to judge by"),
        ([row(str(k), f"g{k}", liked=k != 9, time=k) for k in range(10)],
         "all dislikes came in one session: there is nothing to judge by"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_learned_from_and_the_note_says_why(told: list[Example], note: str) -> None:
    found = split(told)

    assert (told, [], note) == (found.rows, found.folds, found.notes[0])


def test_nothing_at_all_is_no_error() -> None:
    assert ([], [], [], [], []) == split([])


def test_what_is_lacking_is_lacking_since_the_last_night() -> None:
    """Of what is known already there may be plenty."""
    told = many(20)
    new = [row("x", "new", time=1e6), row("y", "new", liked=False, time=1e6 + 1)]
    said = split([*told, *new], {one.reply for one in told})
    more = [row(f"{liked}{at}", f"new{at}", liked, time=1e7 + at) for at in range(3) for liked in (True, False)]
    few, enough = (split([*told, *some], {one.reply for one in told}) for some in (more[:4], more))

    assert ["everything since then was said in one session: there is nothing to judge by"] == said.notes
    assert (0, 3) == (len(few.folds), len(enough.folds)), "three sessions are the fewest"
    assert ["too few sessions since then: there is nothing to judge by"] == few.notes


def test_where_likes_and_dislikes_came_at_different_times_they_are_mixed() -> None:
    """Else one learner would have seen likes alone; the note says that time is not kept."""
    found = split([row(str(k), f"g{k:02}", liked=k < 10, time=k) for k in range(20)])

    assert 3 == len(found.folds)
    assert "mixed" in found.notes[0]
    for fold in found.folds:
        assert (2, 2) == (sum(one.liked for one in fold), sum(not one.liked for one in fold))


def test_what_judges_is_read_by_who_knows_only_what_came_before() -> None:
    """Another reading of the folds changes what they are worth, not which they are; what is taught stays as it was."""
    told = many(40)
    first = split(told)
    doubted = [replace(one, weight=one.weight / 2) for one in told]
    found = first.judged_by(doubted)

    assert {one.reply for one in first.before[0]} == first.known == found.known
    assert {one.reply for fold in first.folds for one in fold} == {one.reply for fold in found.folds for one in fold}
    assert (first.rows, sorted(doubted, key=lambda one: one.time)) == (found.taught, found.rows)
    assert set(found.rows) >= {one for fold in (*found.before, *found.folds) for one in fold}
