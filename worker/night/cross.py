"""Every rating that can be judges a LoRA that has learned only from earlier ones; the one that serves learns from all.

A learner for each fold learns from what came before it and is measured on it (forward chaining; prequential, Dawid
1984). What they show holds for the recipe, which then learns from everything; when to stop is chosen by the same looks.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from core.nights import Point, Tried
from worker.lora.files import Weights
from worker.night.base import Base
from worker.night.below import Shelf
from worker.night.examples import Example
from worker.night.measure import row
from worker.night.practice import NONE, Practice
from worker.night.rows import Row
from worker.night.split import Split
from worker.night.train import Diverged, Look, Rated, Recipe, Tell, cost, spread_of, surely_worse, train

Telling = Callable[[str, int, int], None]  # what, steps done, steps in all


@dataclass(frozen=True)
class Crossed:
    """What the learners of all folds show of a recipe: by look what they say of each reply of the folds, in their
    order, and what it costs; and what they have become. `best`: the look after which to stop."""

    recipe: Recipe
    liked: list[bool]
    looks: list[Look]
    costs: list[list[float]]
    learners: list[Weights] = field(default_factory=list)

    @property
    def best(self) -> int:
        """The last one that is not surely worse than the best: a few noisy rows are soon a little worse by luck."""
        if not self.costs:
            return 0
        lowest = min(self.costs, key=sum)
        return max(at for at, costs in enumerate(self.costs) if costs is lowest or not surely_worse(costs, lowest))

    @property
    def held(self) -> tuple[float, ...]:
        """What a row costs, by look."""
        return tuple(sum(costs) / len(costs) for costs in self.costs if costs)

    @property
    def loss(self) -> float:
        """What a row costs after the best look."""
        return sum(self.costs[self.best]) / len(self.costs[self.best]) if self.costs else float("nan")


@dataclass(frozen=True)
class Learned:
    """What a training made. `leanings`: to the replies of the folds, by LoRAs that have not learned from them, which
    are `learners`, fold by fold. `tried`: all recipes, where there were several."""

    weights: Weights
    curve: tuple[Point, ...]
    recipe: Recipe
    leanings: tuple[float, ...] = ()
    tried: tuple[Tried, ...] = ()
    notes: tuple[str, ...] = ()
    learners: tuple[Weights, ...] = ()
    strength: float = 1.0

    def at(self, strength: float, why: str) -> "Learned":
        """The same nearer to what it began with, which must be the base, and so those by which it is judged; `why` it
        is not taken as it is. How much those lean must be measured anew."""
        note = f"It is taken at {strength:.0%} of its strength. At full strength: {why}"
        return dataclasses.replace(
            self, weights=_at(self.weights, strength), learners=tuple(_at(one, strength) for one in self.learners),
            leanings=(), strength=strength, notes=(*self.notes, note),
        )  # fmt: skip


def learn(
    base: Base, parts: Split, recipes: Sequence[Recipe], name: str, parent: Weights | None = None,
    tell: Telling = lambda what, done, steps: None, kept: Path | None = None, itself: Sequence[Row] = (),
    practice: Practice = NONE,
) -> Learned:  # fmt: skip
    """A LoRA from all rows with the best of the recipes, by what the folds say of it, and what they say.

    `kept`: a folder from which it goes on if it was ended in the middle. `itself`: who it says it is, which no learner
    may change; `practice`: what is learned besides the rows. Raises Diverged if no recipe came to an end.
    """
    best: Crossed | None = None
    tried: list[Tried] = []
    rows = Rows(base, itself, practice.no_surer(parts.before[-1]) if parts.before else practice)
    lessons = [len(rows.lessons(some)) for some in (*parts.before, parts.taught)]
    way = Way(
        tell, sum(recipe.steps(count) for recipe in recipes for count in lessons[:-1]) + recipes[0].steps(lessons[-1])
    )
    for at, recipe in enumerate(recipes):
        try:
            one = crossed(rows, parts, recipe, way, kept)
            tried.append(Tried(recipe.rate, recipe.anchor, one.held))
            best = min(filter(None, (best, one)), key=lambda one: one.loss)  # the learners of the others may go
        except Diverged as error:
            if at == len(recipes) - 1 and best is None:
                raise
            tried.append(Tried(recipe.rate, recipe.anchor, why=str(error)))
            for left in kept.glob(f"{_stem(recipe)}-*") if kept else ():
                left.unlink(missing_ok=True)
    assert best, "there is a recipe, at least"
    upto = (best.best + 1) / len(best.costs) if best.costs else 1.0
    file = kept / "whole.pt" if kept else None
    last = way.part(best.recipe.steps(lessons[-1]))
    weights, curve, _ = train(
        base, rows.lessons(parts.taught), (), best.recipe, name, parent, last, file, upto, rows.shelf, rows.itself
    )
    learners = best.learners if upto == 1.0 else _shorter(rows, parts, best.recipe, upto, kept)
    found = tuple(best.looks[best.best].leanings) if best.looks else ()
    chosen = [replace(one, taken=recipe is best.recipe) for one, recipe in zip(tried, recipes, strict=True)]
    shown = tuple(chosen) if len(recipes) > 1 else ()
    return Learned(weights, _with_looks(curve, best), best.recipe, found, shown, learners=tuple(learners))


def _at(weights: Weights, strength: float) -> Weights:
    return dataclasses.replace(weights, parts={place: (a, b * strength) for place, (a, b) in weights.parts.items()})


def crossed(rows: "Rows", parts: Split, recipe: Recipe, way: "Way | None" = None, kept: Path | None = None) -> Crossed:
    """Each fold judges one who has seen only what came before it. All begin with the base: a card's LoRA may have
    learned from the fold. Raises Diverged."""
    looks = [Look([], []) for _ in range(recipe.looks if parts.folds else 0)]
    costs: list[list[float]] = [[] for _ in looks]
    learners: list[Weights] = []
    for number, fold in enumerate(parts.folds):
        before, held = rows.lessons(parts.before[number]), rows.of(fold)
        said = way.part(recipe.steps(len(before))) if way else _silent
        file = kept / f"{_stem(recipe)}-{number}.pt" if kept else None
        name = f"fold-{number}"
        learner, _, found = train(rows.base, before, held, recipe, name, None, said, file, 1.0, rows.shelf, rows.itself)
        learners.append(learner)
        for look, costing, seen in zip(looks, costs, found, strict=True):
            if not all(map(math.isfinite, (*seen.gains, *seen.leanings))):
                raise Diverged("what it makes of replies is no number")
            look.gains.extend(seen.gains)
            look.leanings.extend(seen.leanings)
            costing += cost(held, seen.gains, recipe)
    return Crossed(recipe, [one.liked for fold in parts.folds for one in fold], looks, costs, learners)


def _shorter(rows: "Rows", parts: Split, recipe: Recipe, upto: float, kept: Path | None) -> list[Weights]:
    """The learners of the folds as they were after the part `upto` of their way: how far the one that serves goes."""
    files = [kept / f"{_stem(recipe)}-{number}-short.pt" if kept else None for number in range(len(parts.folds))]
    return [
        train(
            rows.base,
            rows.lessons(before),
            (),
            recipe,
            f"fold-{number}",
            None,
            _silent,
            file,
            upto,
            rows.shelf,
            rows.itself,
        )[0]
        for number, (before, file) in enumerate(zip(parts.before, files, strict=True))
    ]


@dataclass(eq=False)
class Rows:
    """The examples of a night in tokens, the same for all its learners, with what was found out of them. `itself`: what
    the persona says of who it is; `practice`: answers that are learned from as well."""

    base: Base
    itself: Sequence[Row] = ()
    practice: Practice = NONE
    shelf: Shelf = field(default_factory=Shelf)
    _known: dict[str, Row] = field(default_factory=dict, init=False)

    def of(self, examples: Sequence[Example]) -> list[Rated]:
        """In the order given."""
        for one in examples:
            if one.reply not in self._known:
                self._known[one.reply] = row(self.base, one)
        return [Rated(self._known[one.reply], one.liked, one.weight) for one in examples]

    def lessons(self, examples: Sequence[Example]) -> list[Rated]:
        """All that is learned by who learns from these."""
        return [*self.of(examples), *self.practice.rated(examples)]


def _stem(recipe: Recipe) -> str:
    """What the files of its learners are called by: the recipes of a grid differ in no more."""
    return f"{recipe.rate:g}-{recipe.anchor:g}"


def _with_looks(curve: Sequence[Point], seen: Crossed) -> tuple[Point, ...]:
    """The curve, with what the folds said at the same parts of the way."""
    points = list(curve)
    for number, (look, costs) in enumerate(zip(seen.looks, seen.costs, strict=True)):
        at = round(len(points) * (number + 1) / (seen.best + 1)) - 1
        if costs and 0 <= at < len(points):
            margin = spread_of(list(zip(seen.liked, look.gains, strict=True)))
            points[at] = replace(points[at], held_loss=sum(costs) / len(costs), held_margin=margin)
    return tuple(points)


class Way:
    """How far all trainings of a night are, as one count of `steps`."""

    def __init__(self, tell: Telling, steps: int) -> None:
        self._tell, self._steps, self._before = tell, steps, 0

    def part(self, steps: int) -> Tell:
        """For the next training, which has so many."""
        before, self._before = self._before, self._before + steps
        return lambda done, _: self._tell("training", before + done, self._steps)


def _silent(done: int, steps: int) -> None:
    """Nobody listens."""
