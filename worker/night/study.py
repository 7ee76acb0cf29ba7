"""Examples → a LoRA, put to the test and judged: all of a night that needs the model, and nothing else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.nights import Point
from personas.card import Card
from worker.lora.files import Weights
from worker.night.base import Base
from worker.night.exam import Exam, examine
from worker.night.examples import Example
from worker.night.gate import Judgement, judge
from worker.night.measure import row
from worker.night.split import Split
from worker.night.train import Diverged, Rated, Recipe, Tell, train

NEW = "new"  # what a LoRA is called until it has a name in the store
RATES, ANCHORS = (5e-4, 1e-3, 2e-3), (0.1, 0.3)


@dataclass(frozen=True)
class Learned:
    """What a training made."""

    weights: Weights
    curve: tuple[Point, ...]
    recipe: Recipe
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Studied:
    """A LoRA, what was measured of it, and what the gate says."""

    learned: Learned
    exam: Exam
    judgement: Judgement


Telling = Callable[[str, int, int], None]  # what, steps done, steps in all


def study(
    base: Base, card: Card, parts: Split, recipes: Sequence[Recipe], live: Weights | None,
    parent: Weights | None = None, *, tell: Telling = lambda what, done, steps: None, kept: Path | None = None,
) -> Studied:  # fmt: skip
    """Learn, examine beside `live` (None: the base serves), judge. Begins with `parent`, else with the base.

    Raises Diverged.
    """
    learned = learn(base, parts, recipes, parent, tell, kept)
    exam = examine(base, card, parts.held, learned.weights, live, recipes[0].seed, _telling(tell, "exam"))
    return Studied(learned, exam, judge(exam.measured))


def grid(usual: Recipe) -> list[Recipe]:
    """A small grid around the usual settings."""
    return [replace(usual, rate=rate, anchor=anchor) for rate in RATES for anchor in ANCHORS]


def learn(
    base: Base, parts: Split, recipes: Sequence[Recipe], parent: Weights | None, tell: Telling, kept: Path | None
) -> Learned:
    """The best of the recipes, by the rows that say when to stop. Raises Diverged if none of them came to an end."""
    rows, stop = (rated(base, some) for some in (parts.train, parts.stop))
    made: list[Learned] = []
    notes: list[str] = []
    for at, recipe in enumerate(recipes):
        what = f"training {at + 1} of {len(recipes)}" if len(recipes) > 1 else "training"
        try:
            weights, curve = train(base, rows, stop, recipe, NEW, parent, _telling(tell, what), kept)
            made.append(Learned(weights, curve, recipe))
            notes.append(_tried(recipe, f"held-back loss {_held_loss(made[-1]):.4f}"))
        except Diverged as error:
            if at == len(recipes) - 1 and not made:
                raise
            notes.append(_tried(recipe, str(error)))
        if kept:
            kept.unlink(missing_ok=True)
    best = min(made, key=_held_loss)
    return replace(best, notes=tuple(notes)) if len(recipes) > 1 else best


def _telling(tell: Telling, what: str) -> Tell:
    return lambda done, steps: tell(what, done, steps)


def rated(base: Base, rows: Sequence[Example]) -> list[Rated]:
    """Examples in tokens."""
    return [Rated(row(base, one), one.liked, one.weight) for one in rows]


def _held_loss(made: Learned) -> float:
    """The lowest loss of the rows that say when to stop; without any, the last of those that were learned."""
    looks = [point.held_loss for point in made.curve if point.held_loss is not None]
    return min(looks) if looks else made.curve[-1].loss


def _tried(one: Recipe, said: str) -> str:
    return f"Tried rate {one.rate:g}, anchor {one.anchor:g}: {said}."
