"""`python -m bench.personality.calibrate`: the weights of `worker/knowing.py`, from questions to the cards we ship.

Prints them, with the balanced accuracy on each card by weights that were fitted to the other cards. The questions of
`bench.personality.knowledge` are not looked at.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.personality.knowledge import balanced
from core import config
from core.era import unheard
from personas import library
from personas.card import Card
from personas.eras import year
from worker.embed import load
from worker.knowing import Knowing, Weights
from worker.nearness import Nearness

FILE = Path(__file__).parent / "calibration.jsonl"
STEPS, RATE, CALM = 3_000, 0.5, 0.02  # of the descent; how much large weights cost
Floats = NDArray[np.float64]


class Row(NamedTuple):
    """A question to a card, and whether it is inside of what that knows."""

    card: Card
    question: str
    inside: bool


def rows() -> list[Row]:
    """All questions."""
    found = []
    for line in FILE.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        card = library.load(row["card"], [library.SHIPPED])
        found += [Row(card, question, True) for question in row["in"]]
        found += [Row(card, question, False) for question in row["out"]]
    return found


def fit(signs: Floats, inside: Floats) -> Weights:
    """Logistic regression by gradient descent, on signs of mean 0 and deviation 1; the weights are for signs as they
    are. `signs` [rows, 5], `inside` [rows] of 0 and 1."""
    mean, deviation = signs.mean(0), signs.std(0) + 1e-6
    scaled = np.column_stack([(signs - mean) / deviation, np.ones(len(signs))])
    weights = np.zeros(scaled.shape[1])
    for _ in range(STEPS):
        missed = 1 / (1 + np.exp(-scaled @ weights)) - inside
        weights -= RATE * (scaled.T @ missed / len(inside) + CALM * np.append(weights[:-1], 0))
    each = weights[:-1] / deviation
    return Weights._make([*map(float, each), float(weights[-1] - each @ mean)])


def judged(asked: Sequence[Row], nearness: Nearness, weights: Weights) -> float:
    """The balanced accuracy by these weights."""
    knowing = Knowing(nearness, weights)
    known = [knowing.look(row.card, nearness.heard(row.question)).known for row in asked]
    kept = [verdict for row, verdict in zip(asked, known, strict=True) if row.inside]
    found = [not verdict for row, verdict in zip(asked, known, strict=True) if not row.inside]
    return balanced(kept, found)


def main() -> None:
    """Fit, judge, print."""
    nearness = Nearness(load(config.load(os.environ)))
    asked, knowing = rows(), Knowing(nearness)
    timely = [row for row in asked if (last := year(row.card.knowledge.era)) is None or not unheard(row.question, last)]
    signs = np.array([knowing.signs(row.card, row.question) for row in timely])
    inside = np.array([row.inside for row in timely], float)
    names = np.array([row.card.name for row in timely])
    by_card = {}
    for name in dict.fromkeys(names.tolist()):
        weights = fit(signs[names != name], inside[names != name])
        by_card[name] = round(judged([row for row in asked if row.card.name == name], nearness, weights), 3)
    whole = {name: round(value, 2) for name, value in fit(signs, inside)._asdict().items()}
    mean = round(sum(by_card.values()) / len(by_card), 3)
    print(json.dumps({"weights": whole, "left_out": by_card, "left_out_mean": mean, "embedder": nearness.id}))


if __name__ == "__main__":
    main()
