"""What a clique costs: a fifth of the people vote against the taste of all others."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bench.nights import compare
from bench.nights.gain import Asked, closed
from bench.nights.people import Taste, crowd
from bench.nights.world import World
from worker.lora.files import Weights
from worker.night.base import Base
from worker.night.cross import Rows

CLIQUE = 0.2
RUNS = {"clean": 0.0, "clique": CLIQUE}


def ours(base: Base, taste: Taste, asked: Asked, clique: float) -> dict[str, Any]:
    """One night as we learn it. Whether the gate would let it in is said beside: what is compared is the learning."""
    world = _day(base, taste, asked, clique)
    studied = world.learn(replace(asked.recipe, seed=asked.seed))
    return _result(world, studied.learned.weights, asked) | {"outcome": str(studied.judgement.outcome)}


def plain(base: Base, taste: Taste, asked: Asked, clique: float) -> dict[str, Any]:
    """The same votes, as net thumbs, learned by trl's `KTOTrainer`."""
    world = _day(base, taste, asked, clique)
    weights, _ = compare.kto(base, Rows(base).of(compare.net_thumbs(world)), replace(asked.recipe, seed=asked.seed))
    return _result(world, weights, asked)


def _day(base: Base, taste: Taste, asked: Asked, clique: float) -> World:
    world = World(base, taste, crowd(clique_share=clique), asked.seed)
    world.day(asked.rows)
    return world


def _result(world: World, weights: Weights, asked: Asked) -> dict[str, Any]:
    before, after = (sum(world.test(one, asked.tested)[0]) / asked.tested for one in (None, weights))
    return {"base": before, "after": after, "gain": closed(before, after)}


def runs(base: Callable[[], Base], taste: Taste, asked: Asked) -> dict[str, Callable[[], dict[str, Any]]]:
    """All there is to run, by name; trl's only where it is installed."""
    found = {f"clique/{name}": _later(ours, base, taste, asked, share) for name, share in RUNS.items()}
    if compare.installed():
        found |= {f"clique/kto-{name}": _later(plain, base, taste, asked, share) for name, share in RUNS.items()}
    return found


Learning = Callable[[Base, Taste, Asked, float], dict[str, Any]]


def _later(
    learning: Learning, base: Callable[[], Base], taste: Taste, asked: Asked, share: float
) -> Callable[[], dict[str, Any]]:
    return lambda: learning(base(), taste, asked, share)


def cost(clean: dict[str, Any] | None, clique: dict[str, Any] | None) -> float | None:
    """The share of the clean gain that the clique takes away; None where there was no gain to take."""
    if not clean or not clique or clean["gain"] <= 0:
        return None
    left: float = clique["gain"] / clean["gain"]
    return round(1 - left, 3)
