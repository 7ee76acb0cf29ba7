"""Night after night: does a persona become what its people like, and stay a persona that can speak?"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.nights.people import Reply, Taste, crowd
from bench.nights.world import World
from bench.report import say
from core.nights import Outcome
from worker.night import measure
from worker.night.base import Base
from worker.night.train import Recipe
from worker.night.voice import voice

TESTED = 200  # replies to unseen prompts, by which a persona is measured
RESAMPLES = 2000
USUAL = Recipe()


@dataclass(frozen=True)
class Asked:
    """How much: reactions a night, nights, seed, how it is learned, and replies to measure with."""

    rows: int = 300
    nights: int = 3
    seed: int = 0
    recipe: Recipe = USUAL
    tested: int = TESTED


def gain(base: Base, name: str, taste: Taste, asked: Asked, keep: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """One taste over all nights. `keep` is called with what is known after each."""
    world = World(base, taste, crowd(), asked.seed)
    hits, said = world.test(None, asked.tested)
    before = sum(hits) / len(hits)
    was = voice([one.text for one in said])
    found: dict[str, Any] = {"base": before, "nights": [], "after": before, "first": 0.0}
    say(f"{name}: {before:.0%} of the replies are to people's taste")
    for night in range(asked.nights):
        world.day(asked.rows)
        found["nights"].append(one(world, replace(asked, seed=asked.seed + night), said, was.distinct))
        last = found["nights"][-1]
        found |= {"after": last["after"], "gain": last["gain"], "interval": last["interval"]}
        found["first"] = found["nights"][0]["gain"]
        say(f"  night {night + 1}: {last}")
        keep(found)
    return found


def one(world: World, asked: Asked, said: Sequence[Reply], distinct: float) -> dict[str, Any]:
    """A night: learn, pass the gate or not, and measure what serves then. `said`: what the base answers in the test."""
    before = sum(world.taste(one.prompt, one.text) for one in said) / len(said)
    came = world.collected()
    found: dict[str, Any] = {"labels": round(came.effective, 1), "examples": len(came.examples)}
    studied = world.learn(replace(asked.recipe, seed=asked.seed))
    found["outcome"] = str(studied.judgement.outcome)
    found["scores"] = studied.judgement.scores
    if studied.judgement.outcome == Outcome.PROMOTED:
        world.promote(studied.learned.weights)
    else:
        found["reasons"] = studied.judgement.reasons
    hits, replies = world.test(world.live, asked.tested)
    now, after = voice([one.text for one in replies]), sum(hits) / len(hits)
    found |= {
        "after": after, "gain": closed(before, after), "interval": interval(before, hits),
        "auc": studied.judgement.scores.get("preference AUC"), "auc_unseen": world.tells(studied.learned.weights, said),
        "variety": round(now.distinct / distinct, 3),
        "opening": round(now.opening, 3), "words": round(now.words, 1),
        "perplexity": round(ratio(world), 4),
    }  # fmt: skip
    return found


def ratio(world: World) -> float:
    """Neutral perplexity of what serves, over the base's."""
    if world.live is None:
        return 1.0
    return measure.plain_text(world.base, world.live) / measure.plain_text(world.base, None)


def closed(before: float, after: float) -> float:
    """The share of the headroom that was closed."""
    return round((after - before) / (1 - before), 3) if before < 1 else 0.0


def interval(before: float, hits: list[bool]) -> tuple[float, float]:
    """95 % of the gain, by resampling the replies."""
    dice = random.Random(0)
    gains = sorted(closed(before, sum(dice.choices(hits, k=len(hits))) / len(hits)) for _ in range(RESAMPLES))
    return gains[int(0.025 * RESAMPLES)], gains[int(0.975 * RESAMPLES)]
