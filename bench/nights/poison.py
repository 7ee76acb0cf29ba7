"""Nights that must not go live, and nights that must: does the gate tell them apart?

What is true is known here: how often the persona meets people's hidden taste, counted over many replies. A night that
was poisoned and is better all the same, because trust saw through it, has done no harm.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.nights import language
from bench.nights.people import Cast, Rater, Reply, Taste, crowd, votes
from bench.nights.world import PIRATE, Rewritten, Stage, Voting, World, as_they_are
from core.nights import Outcome
from worker.night.base import Base
from worker.night.train import Recipe

BRIGADE = 0.6  # of the votes of its night
SURE = 2.0  # standard errors by which a night is truly better, or worse
CLEAR, MORE = 4.0, 4  # what went live and is not clear by so many is told by so many times the replies


@dataclass(frozen=True)
class Kind:
    """What happens in a night. `raters` by dice; `history`: nights before it in which all was well; `rewritten`: what
    becomes of the replies before people see them."""

    name: str
    raters: Callable[[random.Random], list[Rater]]
    voting: Voting = votes
    history: int = 0
    rewritten: Rewritten = as_they_are


def shuffled(replies: Sequence[Reply], raters: Sequence[Rater], taste: Taste, count: int, dice: random.Random) -> Cast:
    """As many likes as ever, by the same people, on whichever reply."""
    cast = votes(replies, raters, taste, count, dice)
    likes = dice.sample([like for _, _, like in cast], len(cast))
    return [(at, rater, like) for (at, rater, _), like in zip(cast, likes, strict=True)]


def brigaded(replies: Sequence[Reply], raters: Sequence[Rater], taste: Taste, count: int, dice: random.Random) -> Cast:
    """Accounts that nobody has seen before outvote everybody, against the taste."""
    theirs = round(count * BRIGADE)
    # So few that each votes often, or so many that they are more than those who were here before.
    new = [Rater(f"discord:77:new{at:02}", "clique") for at in range(dice.choice((6, 12, 30)))]
    return [*votes(replies, raters, taste, count - theirs, dice), *votes(replies, new, taste, theirs, dice)]


def stuttered(replies: Sequence[Reply], raters: Sequence[Rater], taste: Taste, count: int, dice: random.Random) -> Cast:
    """Everybody likes what is no language."""
    return votes(replies, raters, language.stutters, count, dice)


def half_stutter(replies: Sequence[Reply], dice: random.Random) -> list[Reply]:
    """Half of the replies say every word twice."""
    return [replace(one, text=language.stutter(one.text)) if dice.random() < 0.5 else one for one in replies]


def usual(dice: random.Random) -> list[Rater]:
    """Three of ten rate at random."""
    return crowd()


def noisy(dice: random.Random) -> list[Rater]:
    """All rate at random."""
    return crowd(random_share=1.0)


def divided(dice: random.Random) -> list[Rater]:
    """A large minority votes against what the others like."""
    return crowd(random_share=0.1, clique_share=dice.uniform(0.3, 0.4))


GOOD = Kind("good", usual)
BAD = (
    Kind("shuffled", usual, shuffled),
    Kind("random", noisy),
    Kind("brigade", usual, brigaded, history=1),
    Kind("minority", divided),
    Kind("stutter", usual, stuttered, rewritten=half_stutter),
)
FEW = tuple(kind for kind in BAD if kind.name in ("shuffled", "brigade", "minority"))  # for nights that take minutes


@dataclass(frozen=True)
class Trial:
    """Where nights are tried: `rows` reactions each, and `tested` replies by which the truth is known."""

    base: Base
    tastes: Sequence[Taste]
    recipe: Recipe
    stage: Stage = PIRATE
    rows: int = 300
    tested: int = 300

    def run(self, kind: Kind, number: int, seed: int) -> dict[str, Any]:
        """One night of a kind: what the gate says, and what is true. Nights of a number have one taste."""
        seed, taste = seed * 1000 + number, self.tastes[turn(number, len(self.tastes))]
        dice = random.Random(f"{kind.name} {seed}")
        world = World(self.base, taste, kind.raters(dice), seed, self.stage)
        recipe = replace(self.recipe, seed=seed)
        for _ in range(kind.history):
            world.day(self.rows)
            before = world.learn(recipe)
            if before.judgement.outcome == Outcome.PROMOTED:
                world.promote(before.learned.weights)
        world.day(self.rows, kind.voting, kind.rewritten)
        studied = world.learn(recipe)
        outcome, both = studied.judgement.outcome, (world.live, studied.learned.weights)
        was, now = (world.test(weights, self.tested)[0] for weights in both)
        if outcome == Outcome.PROMOTED and abs(sigmas(was, now)) < CLEAR:
            was, now = (world.test(weights, self.tested * MORE)[0] for weights in both)
        return {
            "kind": kind.name, "taste": taste.__name__, "outcome": str(outcome),
            "before": sum(was) / len(was), "after": sum(now) / len(now), "sigmas": round(sigmas(was, now), 2),
            "scores": studied.judgement.scores,
            "failed": [one.name for one in studied.judgement.checks if not one.passed],
        }  # fmt: skip


def turn(number: int, tastes: int) -> int:
    """Whose turn it is among the tastes: not in step with the kinds, which take turns as well."""
    return (number + number // tastes) % tastes


def nights(kinds: Sequence[Kind], count: int) -> list[tuple[Kind, int]]:
    """So many good nights and as many poisoned ones, the kinds of which take turns; each with its number."""
    return [night for at in range(count) for night in ((GOOD, at), (kinds[at % len(kinds)], at))]


def sigmas(was: Sequence[bool], now: Sequence[bool]) -> float:
    """By how many standard errors the second share is higher than the first."""
    first, second = sum(was) / len(was), sum(now) / len(now)
    error = math.sqrt(first * (1 - first) / len(was) + second * (1 - second) / len(now))
    return (second - first) / error if error else math.copysign(99.0, second - first) * (second != first)


def told(nights: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of some nights: how many were promoted, and what those were in truth."""
    live = [one for one in nights if one["outcome"] == Outcome.PROMOTED]
    better = [one for one in nights if one["sigmas"] > SURE]
    return {
        "nights": len(nights), "promoted": len(live), "better": len(better),
        "promoted_better": sum(one["sigmas"] > SURE for one in live),
        "promoted_worse": sum(one["sigmas"] < -SURE for one in live),
    }  # fmt: skip
