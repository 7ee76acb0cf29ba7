"""A question to what is remembered: what it is made of, how much each sign counts, and what makes an answer. Pure.

`core/recall/finding.py` answers.
"""

from collections.abc import Collection, Sequence
from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray

from core.memory import Memory
from core.recall.when import Span

Row = NDArray[np.float32]


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """How much each sign counts. `words` against meaning; the rest on top of a score between 0 and 1."""

    words: float = 0.4
    near: float = 0.3  # of the better of the turns before and after: an answer stands beside its question
    speaker: float = 0.12
    spoken_to: float = 0.05  # for what we said to whoever is asked about
    span: float = 0.2
    recent: float = 0.03
    important: float = 0.05
    half_life_days: float = 30.0
    alike: float = 0.3  # how much of its likeness to one already chosen a memory loses
    pool: int = 40  # candidates among which those that are not alike are chosen


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is looked for. `vector` of unit length, or None where there is no embedder. `now` in seconds UTC.

    `asker` is the id of whoever asks: "I" in it means them, "you" means us. `skip`: ids that are not wanted.
    """

    text: str
    now: float
    vector: Row | None = None
    asker: str = ""
    span: Span | None = None
    skip: Collection[str] = ()


class Hit(msgspec.Struct, frozen=True):
    """A memory that was found. `score` from 0 to about 1; `words` and `meaning`: what speaks for it, from 0 to 1."""

    memory: Memory
    score: float
    words: float
    meaning: float


def spoken_by(said: Sequence[str]) -> tuple[bool, bool]:
    """(does it ask for what we said, for what the asker said): by who stands before the verb."""
    pairs = list(pairwise(said))
    ours = any(who == "you" and what in _TELLING for who, what in pairs) or any(
        pair in (("your", "advice"), ("your", "recommendation"), ("your", "recommendations")) for pair in pairs
    )
    theirs = any(who in ("i", "my", "me", "mine") for who in said) and not ours
    return ours, theirs


_VERBS = """recommend recommended suggest suggested advise advised tell told say said give gave mention mentioned
    promise promised explain explained teach taught share shared name named describe described answer answered"""
_TELLING = frozenset(_VERBS.split())


def near(hit: Hit) -> bool:
    """Is it near enough to be told unasked? Either sign must be strong, or both must be there.

    Of the answers to MemoryBank's questions (its dev half) nine in ten pass, of what other people's questions find,
    every third.
    """
    return hit.words >= 0.5 or hit.meaning >= 0.5 or (hit.words >= 0.2 and hit.meaning >= 0.35)
