"""How many of a night's verdicts are right, with and without what replies have in common; people's tastes are known."""

import random
from collections.abc import Mapping
from statistics import mean
from typing import Any

from bench.nights.gain import Asked
from bench.nights.people import DAY, Rater, Reply, Taste, crowd, entries, votes
from bench.nights.world import PIRATE, World
from core import feedback
from core.feedback import Reading
from core.votes import polarity
from worker.night.base import Base
from worker.night.reading import read
from worker.night.sight import seen

TOWNS = 4  # that vote on the same replies
CROWDS = {
    "no coins": crowd(0.0), "30 % coins": crowd(), "30 % coins, 20 % clique": crowd(0.3, 0.2),
    "40 % clique": crowd(0.0, 0.4),
}  # fmt: skip


def verdicts(base: Base, tastes: Mapping[str, Taste], asked: Asked) -> dict[str, Any]:
    """By crowd and taste, means over towns: the share of verdicts that are right, by weight (`right`), the share of
    right ones among likes (`likes`), and both where trust comes from agreement alone (`agreed`, `agreed_likes`)."""
    world = World(base, next(iter(tastes.values())), crowd(), asked.seed)
    texts = [world.dice.choice(world.asked) for _ in range(asked.rows * 2 // 3)]
    replies = world.speak(texts, None, asked.seed * 1000)
    return {
        name: {taste: _mean(replies, raters, tastes[taste], asked) for taste in tastes}
        for name, raters in CROWDS.items()
    }


def _mean(replies: list[Reply], raters: list[Rater], taste: Taste, asked: Asked) -> dict[str, float]:
    towns = [_town(replies, raters, taste, asked.rows, random.Random(asked.seed + at)) for at in range(TOWNS)]
    return {key: round(mean(town[key] for town in towns), 3) for key in towns[0]}


def _town(
    replies: list[Reply], raters: list[Rater], taste: Taste, count: int, dice: random.Random
) -> dict[str, float]:  # fmt: skip
    ledger = entries(replies, votes(replies, raters, taste, count, dice), PIRATE.system, dice)
    told, table = seen(ledger), polarity.ours()
    true = {entry.record.id: taste(one.prompt, one.text) for entry, one in zip(ledger, replies, strict=True)}
    right, likes = _right(read(told, table, shared=True, now=DAY), true)
    agreed, agreed_likes = _right(feedback.read(told, table, shared=True, now=DAY), true)
    return {"right": right, "likes": likes, "agreed": agreed, "agreed_likes": agreed_likes}


def _right(reading: Reading, true: Mapping[str, bool]) -> tuple[float, float]:
    def share(kinds: tuple[bool, ...]) -> float:
        some = [one for one in reading.verdicts if one.liked in kinds]
        right = sum(one.weight for one in some if one.liked == true[one.reply])
        return right / max(sum(one.weight for one in some), 1e-9)

    return share((True, False)), share((True,))
