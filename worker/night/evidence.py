"""What later votes say of a LoRA by a model of people's taste that is learned in milliseconds (`core/taste.py`). Pure.

How much a LoRA leans to single replies is a weak witness: of a night's few hundred votes, most are lost in what every
reply gains and loses by chance. Two others are asked as well.

- *Is there anything to learn?* What earlier votes taught the head foretells later ones, or it does not. The head can be
  taught anew for every shuffle of the votes, so here luck is measured with all that follows from it.
- *Is it heard?* The learner of each fold and what serves now answer the same questions, and a head that knows only
  votes from which that learner has not learned says whose answers are liked more. (Off-policy evaluation by a reward
  model; "direct method", Dudík et al. 2011.)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.taste import MOST, Looks, Scales, likeness, noise

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

ROOM = 1 << 21  # numbers of the systems that are solved at a time


@dataclass(frozen=True)
class Earlier:
    """A reply that was only learned from, before the first fold."""

    text: str
    liked: bool
    weight: float


@dataclass(frozen=True)
class Spoken:
    """`earlier`: what was only learned from; `judged`: the texts of the rows that judge, in their order. `live` [n]:
    what serves now answers to some questions; `tried`, for each fold, what its learner does [n] (nobody, if empty)."""

    earlier: Sequence[Earlier] = ()
    judged: Sequence[str] = ()
    live: Sequence[str] = ()
    tried: Sequence[Sequence[str]] = ()


NOTHING = Spoken()


class Evidence:
    """All votes of a night: first the `earlier` ones, then those of the folds, whose numbers are `folds` [judged].
    `values` and `weights` are those of the earlier ones, which no draw changes.

    Draws of votes are [draws, votes]: `values` 1 or -1, `weights` how much each counts.
    """

    def __init__(self, spoken: Spoken, folds: Sequence[int]) -> None:
        texts = [*(one.text for one in spoken.earlier), *spoken.judged]
        seen = looks(texts)
        scales = Scales(seen)
        self.values = np.array([1.0 if one.liked else -1.0 for one in spoken.earlier])
        self.weights = np.array([one.weight for one in spoken.earlier])
        self.fold = np.array([-1] * len(spoken.earlier) + list(folds), int)
        self._rows, self._lengths = scales.rows(seen).astype(np.float64), scales.lengths(seen)
        self._heard = [
            (scales.rows(looks(texts)) - scales.rows(looks(spoken.live))).astype(np.float64) @ self._rows.T
            for texts in spoken.tried
        ]

    @property
    def questions(self) -> int:
        """To which the learners have answered."""
        return len(self._heard[0]) if self._heard else 0

    def foretold(self, values: Floats, weights: Floats) -> Floats:
        """[draws]: how well each fold's votes agree with a head that was taught by all earlier ones (a covariance,
        votes weighted)."""
        found = np.zeros(len(values))
        for fold in np.unique(self.fold[self.fold >= 0]):
            before, now = self._latest(self.fold < fold), np.flatnonzero(self.fold == fold)
            if not len(before):
                continue
            says = self._taught(values, weights, before) @ self._alike(before, now)
            counts, likes = weights[:, now], values[:, now]
            mean = (counts * likes).sum(1, keepdims=True) / np.maximum(counts.sum(1, keepdims=True), 1e-9)
            found += (counts * (likes - mean) * says).sum(1)
        return found

    def heard(self, values: Floats, weights: Floats, asked: Floats) -> Floats:
        """[draws]: by how much the learners' answers are liked more than those of what serves now, by the votes of
        their own fold and of later ones. `asked` [draws, questions]: how often each question counts."""
        found = np.zeros(len(values))
        shares = asked / np.maximum(asked.sum(1, keepdims=True), 1e-9)
        for fold, more in enumerate(self._heard):
            later = self._latest(self.fold >= fold)
            taught = self._taught(values, weights, later)
            found += (taught * (shares @ more[:, later])).sum(1)
        return found / max(len(self._heard), 1)

    def _latest(self, which: NDArray[np.bool_]) -> Places:
        return np.flatnonzero(which)[-MOST:]

    def _alike(self, before: Places, now: Places) -> Floats:
        """[before, now], length left out."""
        found: Floats = self._rows[before] @ self._rows[now].T
        return found

    def _taught(self, values: Floats, weights: Floats, places: Places) -> Floats:
        """[draws, places]: how much each of these votes says, once all others are known (`Head` solves the same)."""
        near, size = likeness(self._rows[places], self._lengths[places]), len(places)
        found = np.empty((len(values), size))
        for part in _parts(len(values), size * size):
            matrix = np.repeat(near[None], len(values[part]), 0)
            matrix[:, range(size), range(size)] += noise(weights[part][:, places])
            found[part] = np.linalg.solve(matrix, values[part][:, places, None])[..., 0]
        return found


def looks(texts: Sequence[str]) -> Looks:
    """As the head sees them, by words and manner alone: a night has no embedder."""
    return Looks(texts, np.zeros((len(texts), 0), np.float32))


def _parts(draws: int, size: int) -> Iterator[slice]:
    """So many draws in parts that fit into the memory."""
    most = max(1, ROOM // max(size, 1))
    for at in range(0, draws, most):
        yield slice(at, min(at + most, draws))
