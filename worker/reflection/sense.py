"""What an embedder says of sentences: how much they are like lasting facts, how warm they are, which say the same.

Each is measured against a few sentences of our own, and scaled by how far the embedder tells those apart, so that the
thresholds hold for any of them. One that cannot tell them apart (the hash of spellings) is not asked. Pure numpy.
"""

from collections.abc import Sequence

import numpy as np

from core.reflection import facts, vetting
from worker.embed import Vectors

NEAREST = 3  # of our sentences that are looked at
LEAST = 0.1  # of cosine, by which the two sorts of ours must lie apart
TONE = 0.8  # from which on a line is warm or cold: half of that is said by chance
SAME = 0.9

LIKELY = (*facts.LASTING, *facts.PASSING)
TONES = (*facts.WARM, *facts.COLD)


def likely(rows: Vectors, ours: Vectors) -> list[float] | None:
    """For each row: 1 where it is as much like lasting facts as those are like each other, 0 the same for talk of the
    moment. `ours`: the vectors of `LIKELY`. None if this embedder cannot tell."""
    return _scaled(rows, ours, len(facts.LASTING))


def tones(rows: Vectors, ours: Vectors) -> list[float] | None:
    """For each row, -1 (cold) to 1 (warm), 0 where it is neither. `ours`: the vectors of `TONES`."""
    found = _scaled(rows, ours, len(facts.WARM))
    if found is None:
        return None
    centred = [2 * value - 1 for value in found]
    return [float(np.clip(value, -1, 1)) if abs(value) >= TONE else 0.0 for value in centred]


def _scaled(rows: Vectors, ours: Vectors, count: int) -> list[float] | None:
    one, other = ours[:count], ours[count:]
    high, low = _own(one, other), -_own(other, one)
    if high - low < LEAST:
        return None
    return [float(value) for value in (_margin(rows, one, other) - low) / (high - low)]


def _margin(rows: Vectors, one: Vectors, other: Vectors) -> Vectors:
    margin: Vectors = _top(rows @ one.T) - _top(rows @ other.T)
    return margin


def _own(one: Vectors, other: Vectors) -> float:
    """The mean margin of sentences of ours themselves, none of them compared with itself."""
    alone = one @ one.T - 2 * np.eye(len(one), dtype=np.float32)
    return float((_top(alone) - _top(one @ other.T)).mean())


def _top(likeness: Vectors) -> Vectors:
    top: Vectors = np.sort(likeness, axis=1)[:, -NEAREST:].mean(axis=1)
    return top


def central(rows: Vectors) -> list[float]:
    """How near each is to what all of them are about, 0 to 1."""
    if not len(rows):
        return []
    middle = rows.mean(axis=0)
    length = float(np.linalg.norm(middle)) or 1.0
    return [float(max(value, 0.0)) for value in rows @ middle / length]


def alike(texts: Sequence[str], rows: Vectors, known: Sequence[str], known_rows: Vectors) -> list[bool]:
    """For each text: does a known one say the same? Not if a name, a number or a no differs."""
    if not len(known):
        return [False] * len(texts)
    near = rows @ known_rows.T >= SAME
    return [
        any(near[at, to] and _same(text, other) for to, other in enumerate(known) if near[at, to])
        for at, text in enumerate(texts)
    ]


def _same(one: str, other: str) -> bool:
    return vetting.marked(one) == vetting.marked(other) and vetting.denies(one) == vetting.denies(other)


def stacked(rows: Sequence[Vectors], like: Vectors) -> Vectors:
    """Rows as one array, also if there are none; `like` is one of them or as wide."""
    return np.stack(rows) if rows else np.zeros((0, len(like)), np.float32)
