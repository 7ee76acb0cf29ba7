"""What votes on other replies say of a reply, so that people can be trusted where nobody else voted on the same ones.

Most replies get one vote, and trust by agreement needs two. But who likes what has a question mark in it, as all others
do, agrees with them without ever having met them on a reply. So the model of taste in `taste.py` is taught by what some
people said and foretells what others would say; who is foretold is believed (learning from crowds: Raykar et al. 2010).
Pure; uses numpy, so a bot process must not import it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.votes.taste import Looks, Scales, likeness, noise
from core.votes.trust import MIDDLE

MOST = 500  # replies that are worth it, the latest: the time grows with the third power
PARTS = 10  # of the people: each part is foretold by all others, so nobody agrees with themselves
FEWEST = 4  # replies that teach; fewer say nothing of others


class Foretold:
    """Of some of a persona's replies, which `looks` shows, a row each; `places`: where each stands among all of them.
    What is to judge fairly must not be among the some."""

    def __init__(self, looks: Looks, places: Sequence[int]) -> None:
        self._row = np.full(max(places, default=-1) + 1, -1)
        self._row[list(places)] = np.arange(len(places))
        scales = Scales(looks) if places else None
        near = likeness(scales.rows(looks), scales.lengths(looks)) if scales else np.zeros((0, 0))
        self._near = near.astype(np.float64)

    def knows(self, reply: int) -> bool:
        """Is this one of the some?"""
        return reply < len(self._row) and bool(self._row[reply] >= 0)

    def __call__(self, users: Sequence[int], replies: Sequence[int], said: Sequence[float]) -> list[float]:
        """For each vote on a reply that it knows (its user, its reply, and what it adds to the log-odds that the reply
        is liked): what the votes of other people on other replies say of it, about -1 to 1; 0 where nothing can be
        said."""
        found, odds = np.zeros(len(users)), np.asarray(said, float)
        part, row = np.asarray(users, int) % PARTS, self._row[np.asarray(replies, int)]
        for number in range(PARTS):
            theirs, others = part == number, part != number
            if theirs.any():
                found[theirs] = self._told(row[others], odds[others])[row[theirs]]
        spoken: list[float] = found.tolist()
        return spoken

    def _told(self, rows: NDArray[np.intp], said: NDArray[np.float64]) -> NDArray[np.float64]:
        """What these votes say of every reply, without those on the reply itself (leave-one-out in closed form:
        Rasmussen and Williams 2006, section 5.4.2)."""
        odds = np.bincount(rows, said, len(self._near))
        teaching = np.flatnonzero(odds)
        if len(teaching) < FEWEST:
            return np.zeros(len(self._near))
        liked, sure = np.sign(odds[teaching]), np.abs(np.tanh(odds[teaching] / 2))
        inverse = np.linalg.inv(self._near[np.ix_(teaching, teaching)] + np.diag(noise(sure / MIDDLE)))
        weights = inverse @ liked
        found: NDArray[np.float64] = self._near[:, teaching] @ weights
        found[teaching] = liked - weights / np.diag(inverse)
        return found
