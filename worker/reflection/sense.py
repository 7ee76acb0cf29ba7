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
SAME, TOUCHED = 0.88, 0.25  # of `share`: from there on two texts say the same, or one touches the other

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


def sound(ours: Vectors) -> bool:
    """Does this embedder tell meanings apart at all? `ours`: the vectors of `LIKELY`."""
    one, other = ours[: len(facts.LASTING)], ours[len(facts.LASTING) :]
    return _own(one, other) + _own(other, one) >= LEAST


def share(rows: Vectors, others: Vectors, ours: Vectors) -> Vectors:
    """How much of its meaning each row shares with each other, [rows, others]: 0 is what two sentences share that have
    nothing to do with each other, as those of `LIKELY` (`ours`) do, and 1 is all."""
    count = len(facts.LASTING)
    common = float((ours[:count] @ ours[count:].T).mean())
    shared: Vectors = (rows @ others.T - common) / max(1.0 - common, 1e-6)
    return shared


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


def alike(text: str, row: Vectors, known: Sequence[tuple[str, Vectors]], ours: Vectors) -> bool:
    """Does a known one, of which each has a text and its row, say the same? Not if a name, a number or a no differs."""
    if not known:
        return False
    shared = share(row[None], np.stack([other for _, other in known]), ours)[0]
    return any(_same(text, other) for (other, _), value in zip(known, shared, strict=True) if value >= SAME)


def _same(one: str, other: str) -> bool:
    return vetting.marked(one) == vetting.marked(other) and vetting.denies(one) == vetting.denies(other)
