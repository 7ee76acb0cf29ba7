"""What later votes say of a LoRA by a model of people's taste learned in milliseconds (`core/votes/taste.py`). Pure.

How much a LoRA leans to single replies is a weak witness: of a night's few hundred votes, most are lost in what every
reply gains and loses by chance. Two others are asked as well.

- *Is there anything to learn?* What earlier votes taught the head foretells later ones, or it does not.
- *Is it heard?* The learner of each fold and what serves now answer the same questions, and a head that knows only
  votes from which that learner has not learned says whose answers are liked more. (Off-policy evaluation by a reward
  model; "direct method", Dudík et al. 2011.)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.votes.taste import MOST, Looks, Scales, likeness, noise

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

ROOM = 1 << 21  # numbers of the systems that are solved at a time


@dataclass(frozen=True)
class Vote:
    """A reply, and what people thought of it. `fold`: whose learner it judges; -1: it was only learned from."""

    text: str
    liked: bool
    weight: float
    fold: int = -1


@dataclass(frozen=True)
class Spoken:
    """`votes`: all of a night, those that judge last and in the order of the gate's rows. `live` [n]: what serves now
    answers to some questions; `tried`, for each fold, what its learner does [n] (nobody, if empty)."""

    votes: Sequence[Vote] = ()
    live: Sequence[str] = ()
    tried: Sequence[Sequence[str]] = ()


NOTHING = Spoken()


class Evidence:
    """Of one night."""

    def __init__(self, spoken: Spoken) -> None:
        votes = spoken.votes
        seen = looks([one.text for one in votes])
        scales = Scales(seen)
        self._rows, self._lengths = scales.rows(seen).astype(np.float64), scales.lengths(seen)
        self._fold = np.array([one.fold for one in votes], int)
        self._values = np.array([1.0 if one.liked else -1.0 for one in votes])
        weights = np.array([one.weight for one in votes])
        self._weights = weights / (weights.mean() or 1.0)  # the head takes a usual vote for 1
        self._heard = [
            (scales.rows(looks(texts)) - scales.rows(looks(spoken.live))).astype(np.float64) @ self._rows.T
            for texts in spoken.tried
        ]

    @property
    def questions(self) -> int:
        """To which the learners have answered."""
        return len(self._heard[0]) if self._heard else 0

    def foretold(self) -> list[float]:
        """For each vote that judges: how well a head that was taught by all earlier ones says that it is liked. As a
        lean, it knows nothing of the votes of its fold, so these may be shuffled."""
        found = np.zeros(len(self._fold))
        for fold in np.unique(self._fold[self._fold >= 0]):
            before, now = self._latest(self._fold < fold), np.flatnonzero(self._fold == fold)
            if len(before):
                found[now] = self._taught(self._weights[None], before)[0] @ (self._rows[before] @ self._rows[now].T)
        judging: list[float] = found[self._fold >= 0].tolist()
        return judging

    def heard(self, times: Floats, asked: Floats) -> Floats:
        """[draws]: by how much the learners' answers are liked more than those of what serves now, by the votes of
        their own fold and of later ones. How often counts each vote that judges, `times` [draws, judging], and each
        question, `asked` [draws, questions]?"""
        weights = np.tile(self._weights, (len(times), 1))
        weights[:, self._fold >= 0] *= times
        found = np.zeros(len(times))
        shares = asked / np.maximum(asked.sum(1, keepdims=True), 1e-9)
        for fold, more in enumerate(self._heard):
            later = self._latest(self._fold >= fold)
            found += (self._taught(weights, later) * (shares @ more[:, later])).sum(1)
        return found / max(len(self._heard), 1)

    def _latest(self, which: NDArray[np.bool_]) -> Places:
        return np.flatnonzero(which)[-MOST:]

    def _taught(self, weights: Floats, places: Places) -> Floats:
        """[draws, places]: how much each of these votes says, once all others are known, where they count `weights`
        [draws, votes] (`Head` solves the same)."""
        near, size = likeness(self._rows[places], self._lengths[places]), len(places)
        found, values = np.empty((len(weights), size)), self._values[places, None]
        for part in _parts(len(weights), size * size):
            matrix = np.repeat(near[None], len(weights[part]), 0)
            matrix[:, range(size), range(size)] += noise(weights[part][:, places])
            found[part] = np.linalg.solve(matrix, np.broadcast_to(values, (len(matrix), size, 1)))[..., 0]
        return found


def looks(texts: Sequence[str]) -> Looks:
    """As the head sees them, by words and manner alone: a night has no embedder."""
    return Looks(texts, np.zeros((len(texts), 0), np.float32))


def _parts(draws: int, size: int) -> Iterator[slice]:
    """So many draws in parts that fit into the memory."""
    most = max(1, ROOM // max(size, 1))
    for at in range(0, draws, most):
        yield slice(at, min(at + most, draws))
