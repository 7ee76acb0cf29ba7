"""worker/night/cross.py: ratings judge LoRAs that have learned only from earlier ones."""

import math
import random
from dataclasses import replace
from pathlib import Path

import pytest
from msgspec.structs import replace as changed

from tests.fakes.loras import weights as random_weights
from tests.fakes.pupils import base, example
from worker.lora.files import Weights
from worker.lora.linears import layers
from worker.night import cross, train
from worker.night.cross import Crossed, Learned, Rows, crossed, learn
from worker.night.gate import Held, beats_chance
from worker.night.split import FOLDS, Split, split
from worker.night.train import Diverged, Look, Recipe

QUICK = Recipe(rate=3e-3, passes=4, fewest=0, batch=4, beta=0.1, anchor=0.5, kl=0.1, depth=1.0)
HALF = replace(QUICK, depth=0.5)
ROWS = [example(at, ("yes", "no", "aye", "nay")[at % 4], at % 2 == 0) for at in range(16)]


def parts(rows=ROWS) -> Split:  # type: ignore[no-untyped-def]
    found = split(rows)
    assert FOLDS == len(found.folds)
    return found


@pytest.fixture(scope="module")
def plain() -> Learned:
    """All parts learned with one recipe; nobody changes it."""
    return learn(base(), parts(), [QUICK], "v")


def test_a_fold_is_judged_by_one_who_has_seen_only_what_came_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """And all rows are learned from in the end. What a card's LoRA knows, from which all of this may have been learned,
    begins the last one alone."""
    seen: list[tuple[list[int], list[int], object]] = []
    real = train.train
    number = {row.row.tokens: at for at, row in enumerate(Rows(base()).of(ROWS))}

    def watched(one, rows, held, recipe, version, parent, *more, **others):  # type: ignore[no-untyped-def]
        seen.append(([number[row.row.tokens] for row in rows], [number[row.row.tokens] for row in held], parent))
        return real(one, rows, held, recipe, version, parent, *more, **others)

    monkeypatch.setattr(cross, "train", watched)
    parent = random_weights(base().shape, 4, ("q_proj",), 1)
    found = learn(base(), parts(), [QUICK], "v", parent)

    assert FOLDS + 1 == len(seen)
    for learned, held, began in seen[:-1]:
        assert max(learned) < min(held)
        assert began is None
    assert (list(range(16)), [], parent) == (sorted(seen[-1][0]), seen[-1][1], seen[-1][2])
    assert len(found.leanings) == sum(len(held) for _, held, _ in seen)


def test_what_serves_learns_from_another_reading_than_those_that_are_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same reply may be worth more to learn from than to judge by."""
    weights: list[set[float]] = []
    real = train.train

    def watched(one, rows, held, *more, **others):  # type: ignore[no-untyped-def]
        weights.append({row.weight for row in (*rows, *held)})
        return real(one, rows, held, *more, **others)

    monkeypatch.setattr(cross, "train", watched)
    learn(base(), parts().judged_by([changed(one, weight=0.5) for one in ROWS]), [QUICK], "v")

    assert [{0.5}] * FOLDS + [{1.0}] == weights


def test_votes_by_coin_pass_the_test_for_luck_as_seldom_as_it_says() -> None:
    """Whoever learned from them: a vote sways those who judge later ones, but none that judge it."""
    found = []
    for seed in range(150):
        dice = random.Random(seed)
        marks = [[dice.gauss(0, 1) for _ in range(10)] for _ in range(60)]
        rows = [example(at, "", dice.random() < 0.5) for at in range(60)]
        told = split(rows)
        held = []
        for number, (before, fold) in enumerate(zip(told.before, told.folds, strict=True)):
            taste = [sum((1 if one.liked else -1) * marks[int(one.reply[1:])][k] for one in before) for k in range(10)]
            for one in fold:
                score = sum(a * b for a, b in zip(taste, marks[int(one.reply[1:])], strict=True))
                held.append(Held(one.group, one.liked, 1.0, score, 0.0, number))
        found.append(beats_chance(held, dice, 100))

    for share in (0.8, 0.9):
        assert 1 - share == pytest.approx(sum(one >= share for one in found) / len(found), abs=0.07)


def test_what_it_leans_to_is_what_people_like(plain: Learned) -> None:
    """Though each was judged by another; votes by chance show nothing of the kind."""
    votes = [one.liked for fold in parts().folds for one in fold]
    liked, disliked = (
        [leans for leans, vote in zip(plain.leanings, votes, strict=True) if vote == kind] for kind in (True, False)
    )

    assert min(liked) > max(disliked)
    looked = [point for point in plain.curve if point.held_loss is not None]
    assert QUICK.looks == len(looked)
    assert looked[-1] is plain.curve[-1]
    assert (looked[-1].held_margin or 0) > 0


def test_it_stops_where_those_who_judge_became_surely_worse() -> None:
    """And goes on where they are only a little worse by luck."""
    best = [0.5] * 8
    lucky, worse = [0.9, 0.2, 0.8, 0.3, 0.7, 0.4, 0.6, 0.3], [0.6, 0.61, 0.59, 0.6, 0.62, 0.6, 0.58, 0.6]
    looks = [Look([], [])] * 3

    assert 2 == Crossed(QUICK, [], looks, [best, worse, lucky]).best
    assert 0 == Crossed(QUICK, [], looks, [best, worse, worse]).best
    assert 2 == Crossed(QUICK, [], looks, [worse, worse, best]).best


def test_a_short_way_is_taken_where_the_end_is_worse(plain: Learned, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that serves goes as far as the best look."""
    monkeypatch.setattr(Crossed, "best", 0)
    whole = QUICK.steps(16)
    found = learn(base(), parts(), [QUICK], "v")

    assert (round(whole / 3), whole) == (found.curve[-1].step, plain.curve[-1].step)
    early, late = found.learners, plain.learners
    assert FOLDS == len(early)
    assert all(size(one) < size(other) for one, other in zip(early, late, strict=True))  # nor do those that judge
    assert found.curve[-1].held_loss is not None


def size(weights: Weights) -> float:
    """How far it is from the base."""
    return sum(float((b @ a).norm()) for a, b in weights.parts.values())


def test_the_recipe_that_judges_best_is_taken(plain: Learned) -> None:
    """And what was tried is told; one that leaves all numbers behind is passed over."""
    recipes = [replace(QUICK, rate=1e-5), QUICK, replace(QUICK, rate=1e30)]
    found = learn(base(), parts(), recipes, "v")

    assert QUICK == found.recipe
    assert all(map(math.isfinite, found.leanings))
    assert [one.rate for one in recipes] == [one.rate for one in found.tried]
    assert [False, True, False] == [one.taken for one in found.tried]
    assert [QUICK.looks, QUICK.looks, 0] == [len(one.held) for one in found.tried]
    assert "nan" in found.tried[2].why or "no number" in found.tried[2].why
    assert () == plain.tried
    with pytest.raises(Diverged):
        learn(base(), parts(), recipes[2:], "v")


def test_nothing_to_judge_by_is_learned_from_all_the_same() -> None:
    """One session: there are no folds, and nothing leans."""
    rows = [example(at, "yes" if at % 2 else "no", at % 2 == 0, group="one") for at in range(8)]
    found = learn(base(), split(rows), [QUICK], "v")

    assert () == found.leanings
    assert found.weights.parts
    assert QUICK.steps(8) == found.curve[-1].step


def test_what_one_learner_found_out_of_a_row_the_next_need_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the same end, the lower layers read each row once in a night, and not once for each learner."""

    def counted() -> tuple[int, tuple[float, ...]]:
        one, read = base(), list[int]()
        hook = layers(one.loaded.model)[0].register_forward_pre_hook(lambda _, args: read.append(args[0].shape[1]))
        found = learn(one, parts(), [HALF], "v").leanings
        hook.remove()
        return sum(read), found

    together, leans = counted()
    monkeypatch.setattr(cross, "train", lambda *given, shelf=None, **more: train.train(*given[:9], **more))
    alone, expected = counted()

    assert leans == pytest.approx(expected, abs=1e-3)
    assert together < 0.6 * alone


class Killed(BaseException):
    """No error that anybody handles."""


def test_after_a_kill_no_fold_is_learned_again(tmp_path: Path, plain: Learned) -> None:
    """What was complete is read back; the night comes to the same end."""
    checks = sum(QUICK.steps(len(before)) for before in parts().before)
    whole = checks + QUICK.steps(len(ROWS))
    told: list[tuple[str, int, int]] = []

    def killed(what: str, done: int, of: int) -> None:
        if done == checks + 2:
            raise Killed

    with pytest.raises(Killed):
        learn(base(), parts(), [QUICK], "v", tell=killed, kept=tmp_path)
    again = learn(base(), parts(), [QUICK], "v", tell=lambda *given: told.append(given), kept=tmp_path)

    assert [("training", at, whole) for at in range(checks + 1, whole + 1)] == told
    assert plain.leanings == again.leanings
    assert plain.curve == again.curve


def test_rows_without_weight_cost_nothing() -> None:
    """They are judged, and count for nothing."""
    rows = [*ROWS, changed(example(16, "hm", True), weight=0.0)]
    found = crossed(Rows(base()), split(rows), QUICK)
    judged = [one.reply for fold in split(rows).folds for one in fold]

    assert len(judged) == len(found.looks[0].gains) == len(found.costs[0])
    assert 0.0 == found.costs[0][judged.index("r16")]
