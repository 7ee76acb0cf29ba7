"""worker/night/train.py: one LoRA from rated rows, on the tiny model."""

import io
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from core.nights import Point
from tests.fakes.loras import weights as random_weights
from tests.fakes.pupils import base, rated, row
from worker.lora.files import Weights
from worker.night import measure, train
from worker.night.base import Base
from worker.night.below import Shelf
from worker.night.rows import Row
from worker.night.train import (
    Diverged,
    Lesson,
    Look,
    Rated,
    Recipe,
    balanced,
    fingerprint,
    objective,
    parts,
    schedule,
    spread,
    spread_of,
    surely_worse,
)
from worker.night.tuning import Tuning

ROWS = rated(16)
HELD = rated(8, seed=1)
QUICK = Recipe(rate=3e-3, passes=4, fewest=0, batch=4, beta=0.1, anchor=0.5, kl=0.1, depth=1.0)
Made = tuple[Weights, tuple[Point, ...], list[Look]]


def learn(recipe: Recipe = QUICK, held: Sequence[Rated] = (), one: Base | None = None, **more: object) -> Made:
    return train.train(one or base(), ROWS, held, recipe, "v", **more)  # type: ignore[arg-type]


def same(first: Weights, second: Weights) -> bool:
    """Bit for bit."""
    return first.parts.keys() == second.parts.keys() and all(
        torch.equal(mine, theirs)
        for place in first.parts
        for mine, theirs in zip(first.parts[place], second.parts[place], strict=True)
    )


def gained(weights: Weights, rows: Sequence[Rated]) -> list[float]:
    """How much likelier each reply is than under the base, in nats."""
    one, asked = base(), [rated.row for rated in rows]
    return [a - b for a, b in zip(*(measure.totals(one, asked, some) for some in (weights, None)), strict=True)]


def test_what_was_liked_becomes_likelier_and_what_was_disliked_does_not() -> None:
    """On rows that it learned from, and on others of the same taste; the curve tells so."""
    weights, curve, looks = learn(replace(QUICK, passes=8), HELD)

    for rows in (ROWS, HELD):
        gains = gained(weights, rows)
        assert all(gain > 1 for gain, one in zip(gains, rows, strict=True) if one.liked)
        assert spread_of([(one.liked, gain) for gain, one in zip(gains, rows, strict=True)]) > 10
    assert sum(gain < 0 for gain, one in zip(gained(weights, ROWS), ROWS, strict=True) if not one.liked) >= 6
    assert 32 == curve[-1].step
    margins = [spread_of([(one.liked, gain) for one, gain in zip(HELD, look.gains, strict=True)]) for look in looks]
    assert QUICK.looks == len(looks)
    assert margins[-1] > max(10, margins[0])


def test_votes_turned_round_teach_the_opposite() -> None:
    """So it is the votes that it learns, and not the words."""
    turned = [replace(one, liked=not one.liked) for one in ROWS]
    weights, _, _ = train.train(base(), turned, (), QUICK, "v")

    assert spread_of([(one.liked, gain) for gain, one in zip(gained(weights, ROWS), ROWS, strict=True)]) < -3


def test_a_row_without_weight_teaches_nothing() -> None:
    """And whatever weighs more teaches more."""
    odd = Rated(row("unlike all others", "zzzz"), True, 0.0)
    heavy = [replace(odd, weight=weight) for weight in (0.0, 1.0, 5.0)]
    none, some, more = (gained(train.train(base(), [*ROWS, one], (), QUICK, "v")[0], [odd])[0] for one in heavy)

    assert none + 5 < some < more


def test_the_seed_decides_and_nothing_else() -> None:
    """Twice the same, bit for bit; another one is another LoRA."""
    first, second, third = (learn(replace(QUICK, passes=1, seed=seed)) for seed in (5, 5, 6))

    assert same(first[0], second[0])
    assert first[1] == second[1]
    assert not same(first[0], third[0])


def test_it_looks_at_what_is_held_out_and_learns_nothing_from_it() -> None:
    """The last look is at what is given back; with looks or without, the same weights come out."""
    weights, _, looks = learn(QUICK, HELD)
    blind, _, none = learn(QUICK)

    assert same(weights, blind)
    assert [] == none
    assert looks[-1].gains == pytest.approx(gained(weights, HELD), abs=1e-3)
    assert looks[-1].leanings == pytest.approx(measure.leaning(base(), [one.row for one in HELD], weights), abs=1e-3)


def test_it_ends_after_a_part_of_the_way() -> None:
    """As the whole way has it at that step: the rate falls towards the same end."""
    _, whole, _ = learn(QUICK)
    _, part, _ = learn(QUICK, upto=2 / 3)

    assert part == whole[: round(len(whole) * 2 / 3)]


def test_only_the_layers_that_learn_are_changed() -> None:
    """The upper ones; what a parent brings along from below them is kept and learned further."""
    half = replace(QUICK, depth=0.5)
    weights, _, _ = learn(half)
    parent = random_weights(base().shape, 4, ("q_proj",), 1)

    assert {1} == {layer for layer, _ in weights.parts}
    assert {0, 1} == {layer for layer, _ in learn(half, parent=parent)[0].parts}
    assert spread_of([(one.liked, gain) for gain, one in zip(gained(weights, ROWS), ROWS, strict=True)]) > 3


@pytest.mark.parametrize(("rows", "steps"), [(16, 50), (50, 50), (150, 57), (300, 75), (600, 75), (2000, 250)])
def test_the_night_does_not_grow_with_the_replay(rows: int, steps: int) -> None:
    """Three passes, or 600 visits, or one to each row; and few rows are visited as often as 133."""
    assert steps == Recipe().steps(rows)


class Killed(BaseException):
    """No error that anybody handles."""


def killed_at(step: int) -> Callable[[int, int], None]:
    def tell(done: int, steps: int) -> None:
        if done == step:
            raise Killed

    return tell


@pytest.mark.parametrize("step", [2, 7, 13])
def test_after_a_kill_it_goes_on_as_if_nothing_had_been(step: int, tmp_path: Path, monkeypatch) -> None:
    """From what was kept, to the same bits; the curve and the looks are whole. At the end nothing is learned again."""
    recipe, held = QUICK, HELD
    monkeypatch.setattr(train, "EVERY", 0.0)
    kept, told = tmp_path / "nights" / "v.pt", list[int]()
    weights, curve, looks = learn(recipe, held)
    with pytest.raises(Killed):
        learn(recipe, held, tell=killed_at(step), kept=kept)
    again, whole, seen = learn(recipe, held, tell=lambda done, _: told.append(done), kept=kept)

    assert step == told[0]  # the last that was kept is the one before
    assert same(weights, again)
    assert (curve, looks) == (whole, seen)
    told.clear()
    once_more, _, seen = learn(recipe, held, tell=lambda done, _: told.append(done), kept=kept)
    assert ([], looks) == (told, seen)
    assert same(weights, once_more)


@pytest.mark.parametrize(
    "change",
    [
        lambda: {"recipe": replace(QUICK, rate=1e-3)},
        lambda: {"rows": [*ROWS[:-1], replace(ROWS[-1], liked=not ROWS[-1].liked)]},
        lambda: {"rows": ROWS[:-1]},
        lambda: {"parent": random_weights(base().shape, 4, ("q_proj",), 1)},
        lambda: {"base": fine_tuned()},
    ],
    ids=["recipe", "vote", "rows", "parent", "base"],
)
def test_it_does_not_go_on_from_another_lesson(change, tmp_path: Path, monkeypatch) -> None:
    """Other rows, votes, settings, another beginning or other weights of the base begin anew; no file is left."""
    monkeypatch.setattr(train, "EVERY", 0.0)
    kept, told = tmp_path / "v.pt", list[int]()
    with pytest.raises(Killed):
        learn(tell=killed_at(5), kept=kept)
    given = {"base": base(), "rows": ROWS, "held": (), "recipe": QUICK, "version": "v", **change()}
    train.train(**given, tell=lambda done, _: told.append(done), kept=kept)

    assert 1 == told[0]


def fine_tuned() -> Base:
    one = base()
    one.loaded.model.model.norm.weight.data[3] += 1e-3
    return one


def test_a_file_that_is_broken_is_passed_over(tmp_path: Path, monkeypatch) -> None:
    """Empty, cut short, or something else: it costs the progress, and not the night."""
    monkeypatch.setattr(train, "EVERY", 0.0)
    kept = tmp_path / "v.pt"
    with pytest.raises(Killed):
        learn(tell=killed_at(5), kept=kept)
    whole, begun = kept.read_bytes(), list[int]()
    monkeypatch.setattr(train, "EVERY", 99.0)
    other = io.BytesIO()
    torch.save([1, 2], other)
    for content in (b"", b"no pickle", whole[: len(whole) // 2], other.getvalue(), whole):
        kept.write_bytes(content)
        with pytest.raises(Killed):
            learn(tell=lambda done, _: begun.append(done) or killed_at(done)(done, 0), kept=kept)  # type: ignore[func-returns-value]

    assert [1, 1, 1, 1, 5] == begun


def test_a_full_disk_costs_no_night(tmp_path: Path, monkeypatch, caplog) -> None:
    """It is said in the log, and nothing half written stays."""
    monkeypatch.setattr(train, "EVERY", 0.0)

    def full(state: object, file: Path) -> None:
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    learn(replace(QUICK, passes=1), kept=tmp_path / "v.pt")

    assert "No space left" in caplog.text
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("when", [1, 4])
def test_numbers_that_are_none_end_it(when: int, monkeypatch) -> None:
    """In a loss, and in the weights after the last step, of which no loss tells."""
    real, count = train.schedule, iter(range(1, 99))

    def broken(step: int, steps: int) -> float:
        return math.nan if next(count) == when else real(step, steps)

    monkeypatch.setattr(train, "schedule", broken)
    with pytest.raises(Diverged, match="step"):
        learn(replace(QUICK, passes=1))


def test_it_begins_with_the_parent() -> None:
    """Gains count from there, and what the parent knew stays."""
    parent, _, _ = learn(replace(QUICK, passes=6))
    child, curve, looks = learn(replace(QUICK, passes=1), HELD, parent=parent)
    fresh, _, _ = learn(replace(QUICK, passes=1))
    before, after, without = (sum(gained(one, ROWS[::2])) for one in (parent, child, fresh))

    assert abs(curve[0].margin) < 1e-3
    assert after > before - 1 > without
    now, then = (gained(one, HELD) for one in (child, parent))
    assert looks[-1].gains == pytest.approx([a - b for a, b in zip(now, then, strict=True)], abs=1e-3)


def test_a_long_batch_is_read_in_parts(monkeypatch) -> None:
    """To the same weights, but for rounding."""
    whole, curve, _ = learn(replace(QUICK, passes=1))
    monkeypatch.setattr(train, "TOKENS", 100)
    pieces, other, _ = learn(replace(QUICK, passes=1))

    assert [point.loss for point in curve] == pytest.approx([point.loss for point in other], abs=1e-4)
    assert gained(whole, ROWS) == pytest.approx(gained(pieces, ROWS), abs=0.05)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.5, 1.0])), max_size=12))
def test_liked_and_disliked_weigh_the_same(votes: list[tuple[bool, float]]) -> None:
    """In sum, and a row one on average; rows that weigh nothing go on weighing nothing."""
    rows = balanced([Rated(row("a", "b"), liked, weight) for liked, weight in votes])
    sums = {kind: sum(one.weight for one in rows if one.liked == kind) for kind in (True, False)}

    assert [weight > 0 for _, weight in votes] == [one.weight > 0 for one in rows]
    assert sum(weight > 0 for _, weight in votes) == pytest.approx(sum(sums.values()))
    if all(sums.values()):
        assert sums[True] == pytest.approx(sums[False])


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(0, 99))
def test_a_pass_takes_each_row_once_and_mixes_them(liked: list[bool], seed: int) -> None:
    """The likes in the first half of it are half of them, give or take one."""
    order = spread(liked, random.Random(seed))
    half = len(order) // 2

    assert list(range(len(liked))) == sorted(order)
    assert abs(sum(liked[at] for at in order[:half]) - sum(liked) * half / len(liked)) <= 1.5


@given(st.lists(st.integers(1, 50), max_size=30), st.integers(1, 120))
def test_parts_have_their_bound(lengths: list[int], most: int) -> None:
    """Each row once, rows of like length together, and never more tokens than fit, but for one row alone."""
    rows = [Row((1,), (2,) * length) for length in lengths]
    found = parts(rows, most)
    sizes = [[len(rows[at].tokens) for at in part] for part in found]

    assert list(range(len(rows))) == sorted(at for part in found for at in part)
    assert all(sum(part) <= most or len(part) == 1 for part in sizes)
    assert [size for part in sizes for size in part] == sorted(len(one.tokens) for one in rows)


def test_the_rate_rises_and_falls() -> None:
    """Never above what was asked for, never below nothing; the shortest lesson has one, too."""
    rates = [schedule(step, 40) for step in range(40)]
    top = rates.index(max(rates))

    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert 0 < min(rates) < 0.01 < 0.9 < max(rates) <= 1
    assert schedule(0, 1) > 0


def test_what_a_row_costs() -> None:
    """Less the further it has gone where it should; a liked one is learned for itself, by its length."""
    rows = [Rated(row("a", "bcde"), True), Rated(row("a", "bcde"), False), Rated(row("a", "bcde"), True, 0.5)]
    recipe = Recipe(beta=0.5, anchor=0.1)

    def cost(gain: float) -> Tensor:
        return objective(rows, torch.full((3,), gain), torch.full((3,), -8.0), recipe)

    liked = 1 - 1 / (1 + math.exp(-0.5 * 3)) + 0.1 * 8 / 4
    disliked = 1 - 1 / (1 + math.exp(0.5 * 3))
    assert cost(3.0).tolist() == pytest.approx([liked, disliked, liked / 2])
    assert cost(0.0)[:2].tolist() == pytest.approx([0.7, 0.5])


def test_a_lesson_is_known_by_what_it_is_made_of() -> None:
    """What rows weigh fades by the minute, and does not make it another."""

    def print_of(rows: Sequence[Rated]) -> str:
        one = base()
        tuning = Tuning(one.shape, 1, "cpu", 0)
        with one.learning(tuning):
            return fingerprint(Lesson(one, tuning, rows, (), QUICK, Shelf()))

    assert print_of(ROWS) == print_of([replace(one, weight=0.9) for one in ROWS])
    assert print_of(ROWS) != print_of(ROWS[1:])


def test_a_little_worse_by_luck_is_not_surely_worse() -> None:
    """Rows that were held back are few and noisy: only what is beyond their standard error counts."""
    then = [0.5] * 8

    assert not surely_worse([0.9, 0.2, 0.8, 0.3, 0.7, 0.4, 0.6, 0.3], then)
    assert not surely_worse([0.4] * 8, then)
    assert surely_worse([0.6, 0.61, 0.59, 0.6, 0.62, 0.6, 0.58, 0.6], then)
    assert not surely_worse([0.9], [0.5])
