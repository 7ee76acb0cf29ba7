"""Sparse scopes: twenty channels of one card with fifteen ratings each, which is too few for any of them."""

import statistics
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from bench.nights.gain import Asked, closed
from bench.nights.people import Taste, crowd
from bench.nights.world import World
from bench.report import say
from core.settings import Settings
from worker.lora.files import Weights
from worker.night.base import Base
from worker.night.examples import Collected
from worker.night.pooling import together
from worker.night.split import Split, split
from worker.night.study import Studied, study

SCOPES, RATINGS, PEOPLE = 20, 15, 4  # of each scope: ratings, and people who gave them
EACH = 1000  # replies that a scope may have, so that no two bear one number
TRIED = 3  # scopes that are trained alone although they have too little


def pool(base: Base, taste: Taste, asked: Asked, scopes: int = SCOPES) -> dict[str, Any]:
    """The like-rate with no night at all, with each scope by itself, and with what all of them taught the card."""
    worlds = [_scope(base, taste, asked, number) for number in range(scopes)]
    labels, found = [world.collected().effective for world in worlds], gathered(worlds)
    say(f"pool: {len(found.examples)} examples, {found.effective:.0f} labels, {statistics.mean(labels):.1f} in a scope")
    least = Settings().night.least
    before = _rate(worlds[0], None, asked)
    parts = split(found.examples)
    studied = _learn(base, worlds[0], parts.judged_by(gathered(worlds, parts.known).examples), asked)
    forced = [_rate(worlds[0], _alone(base, world, asked), asked) for world in worlds[:TRIED]]
    after = _rate(worlds[0], studied.learned.weights, asked)
    return {
        "scopes": scopes, "ratings": RATINGS, "labels": round(found.effective, 1), "base": before,
        "enough_alone": sum(one >= least for one in labels), "enough_pooled": found.effective >= least,
        "alone_anyway": [closed(before, one) for one in forced], "after": after,
        "outcome": str(studied.judgement.outcome), "gain": closed(before, after), "scores": studied.judgement.scores,
    }  # fmt: skip


def _scope(base: Base, taste: Taste, asked: Asked, number: int) -> World:
    """A scope with its own people and its own talk; all ask about the same things, and not those of the test."""
    raters = crowd(size=PEOPLE, named=f"{number}-")
    world = World(base, taste, raters, asked.seed * 1000 + number, first=number * EACH)
    world.asked, world.unseen = world.stage.prompts(asked.seed)
    world.day(RATINGS)
    return world


def gathered(worlds: list[World], known: Collection[str] | None = None) -> Collected:
    """What all scopes found, each read by its own people, as the product puts it together."""
    return together([world.collected(known) for world in worlds])


def _learn(base: Base, world: World, parts: Split, asked: Asked) -> Studied:
    recipe = replace(asked.recipe, seed=asked.seed)
    return study(base, world.stage.card, parts, [recipe], None)


def _alone(base: Base, world: World, asked: Asked) -> Weights:
    return _learn(base, world, world.parts(), asked).learned.weights


def _rate(world: World, weights: Weights | None, asked: Asked) -> float:
    return sum(world.test(weights, asked.tested)[0]) / asked.tested
