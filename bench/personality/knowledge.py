"""Does a persona know what it does not know? Four cards, each with 40 questions inside and 40 outside of it.

Cards and questions were written for this, and not looked at when the weights were fitted: that was done on questions to
the cards that we ship (`python -m bench.personality.calibrate`). Loads the embedder, and no language model.
"""

import json
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from core import config
from personas import reading
from personas.card import Card
from worker.embed import load
from worker.knowing import Knowing
from worker.nearness import Nearness

HERE = Path(__file__).parent / "knowing"
RESAMPLES = 2_000


class Asked(NamedTuple):
    """A card with its questions: those inside of what it knows, and those outside."""

    card: Card
    inside: list[str]
    outside: list[str]


def questions() -> list[Asked]:
    """All cards, with their questions."""
    rows = [json.loads(line) for line in (HERE / "questions.jsonl").read_text(encoding="utf-8").splitlines()]
    return [Asked(reading.read(HERE / f"{row['card']}.yaml"), row["in"], row["out"]) for row in rows]


def measure(seed: int) -> dict[str, Any]:
    """Balanced accuracy: of questions inside that are taken for such, and of those outside; the mean of both."""
    nearness = Nearness(load(config.load(os.environ)))
    knowing = Knowing(nearness)
    by_card: dict[str, dict[str, float]] = {}
    kept: list[bool] = []
    found: list[bool] = []
    for card, inside, outside in questions():
        kept_here = [knowing.look(card, nearness.heard(question)).known for question in inside]
        found_here = [not knowing.look(card, nearness.heard(question)).known for question in outside]
        low, high = interval(kept_here, found_here, seed)
        by_card[card.name] = {"accuracy": round(balanced(kept_here, found_here), 3), "low": low, "high": high}
        kept, found = kept + kept_here, found + found_here
    return {
        "knowledge_accuracy": round(balanced(kept, found), 3),
        "knowledge_interval": interval(kept, found, seed),
        "knowledge_inside_kept": round(sum(kept) / len(kept), 3),
        "knowledge_outside_found": round(sum(found) / len(found), 3),
        "knowledge_by_card": by_card,
        "embedder": nearness.id,
    }


def balanced(kept: Sequence[bool], found: Sequence[bool]) -> float:
    """The mean of two shares."""
    return (sum(kept) / len(kept) + sum(found) / len(found)) / 2


def interval(kept: Sequence[bool], found: Sequence[bool], seed: int) -> list[float]:
    """Where 95 of 100 of such samples would lie, by resampling the questions of each kind."""
    dice = random.Random(seed)
    drawn = sorted(
        balanced(dice.choices(kept, k=len(kept)), dice.choices(found, k=len(found))) for _ in range(RESAMPLES)
    )
    return [round(drawn[int(share * RESAMPLES)], 3) for share in (0.025, 0.975)]
