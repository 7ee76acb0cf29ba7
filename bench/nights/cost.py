"""What a night costs a CPU, beside trl on the same rows, and what comes of each."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bench.nights import compare
from bench.nights.gain import Asked
from bench.nights.people import Cast, Rater, Reply, Taste, crowd
from bench.nights.people import likes as likes_it
from bench.nights.world import World
from bench.report import Spent, say
from worker.lora.files import Weights
from worker.night import identity
from worker.night.base import Base
from worker.night.cross import Rows, learn
from worker.night.exam import Examiner
from worker.night.gate import judge
from worker.night.practice import practise
from worker.night.study import judged, leans


def one_each(replies: Sequence[Reply], raters: Sequence[Rater], taste: Taste, count: int, dice: random.Random) -> Cast:
    """Every reply is rated once, so that there are as many rows as replies."""
    cast = [(at, dice.choice(raters)) for at in range(len(replies))]
    return [(at, rater, likes_it(rater, taste(replies[at].prompt, replies[at].text), dice)) for at, rater in cast]


def cost(base: Base, taste: Taste, asked: Asked) -> dict[str, Any]:
    """Seconds of CPU: our whole night, its training alone, and trl's training with each loss. null without trl."""
    world = World(base, taste, crowd(), asked.seed)
    world.day(asked.rows, one_each)
    parts = world.parts()
    recipe = replace(asked.recipe, seed=asked.seed)
    with Spent() as training:
        itself = identity.rows(base, world.stage.card, asked.seed)
        practice = practise(base, world.stage.card, parts.taught, recipe.practice, asked.seed)
        made = learn(base, parts, [recipe], "new", itself=itself, practice=practice)
    with Spent() as exam:
        held = judged(parts, made.leanings, leans(base, parts, [None] * len(parts.folds)))
        examiner = Examiner(base, world.stage.card, parts, None, asked.seed)
        judge(examiner.sit(made.weights, held, made.learners).measured)
    found: dict[str, Any] = {
        "rows": len(parts.taught), "longest": max(len(one.row.tokens) for one in Rows(base).of(parts.taught)),
        "steps": made.curve[-1].step, "training": round(training.cpu, 1), "exam": round(exam.cpu, 1),
        "base": sum(world.test(None, asked.tested)[0]) / asked.tested, "ours": _worth(world, made.weights, asked),
    }  # fmt: skip
    say(f"time: {found}")
    for loss in compare.LOSSES if compare.installed() else ():
        weights, seconds = compare.kto(base, Rows(base).of(parts.taught), recipe, loss)
        found[loss] = _worth(world, weights, asked) | {"training": round(seconds, 1)}
        say(f"time: {loss} {found[loss]}")
    return found


def _worth(world: World, weights: Weights, asked: Asked) -> dict[str, Any]:
    """To people's taste, and how well it tells on fresh replies of the base what is; both of this nobody has rated."""
    hits, _ = world.test(weights, asked.tested)
    _, fresh = world.test(None, asked.tested, turn=998)
    return {"after": sum(hits) / len(hits), "auc": world.tells(weights, fresh)}
