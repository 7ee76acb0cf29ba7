"""What is liked in a persona's replies, learned from a few dozen votes in a millisecond. Pure; uses numpy, so a bot
process must not import it.

A Gaussian process over replies with a sum of kernels: what a reply is about (its vector), its words, its manner, and
its length. Votes are targets of 1 and -1, their noise by how much each counts: "least-squares classification",
Rasmussen and Williams 2006, sections 2.2 and 6.5. A sum of kernels is a sum of functions (Duvenaud et al. 2011), so the
part that is only about length can be left out again: replies are compared as if all were equally long.
"""

import re
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.feedback import Reading

Floats = NDArray[np.float32]

WORDS = 512  # places that words are hashed into
NOISE = 0.5  # variance of one full vote: people slip, and like a reply for reasons that nobody sees
LENGTH, CONSTANT = 0.1, 1.0  # prior variances of what length does, and of how often they like anything at all
MOST = 256  # replies that are learned from, the latest that somebody rated: it takes milliseconds, and taste may change
_SPREAD = 0.25  # the least deviation by which a sign of manner is measured: what nearly nobody does says little

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_SENTENCE = re.compile(r"[.!?…]+(?:\s|$)")
_EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf]")
_YOU = frozenset({"you", "your", "yours", "you're", "you'll", "you've", "you'd", "yourself", "ye", "yer", "u", "ur"})
_I = frozenset({"i", "me", "my", "mine", "i'm", "i've", "i'll", "i'd", "myself"})
_WE = frozenset({"we", "us", "our", "ours", "we're", "we've", "we'll", "let's"})


class Votes(NamedTuple):
    """What was thought of some replies, by their ids: `values` 1 or -1, `weights` as `Head` takes them."""

    replies: tuple[str, ...]
    values: tuple[float, ...]
    weights: tuple[float, ...]


def counted(reading: Reading) -> Votes:
    """A reading's verdicts as votes: what trust, habits and damping leave of them."""
    kept = [one for one in reading.verdicts if one.weight > 0]
    return Votes(
        tuple(one.reply for one in kept),
        tuple(1.0 if one.liked else -1.0 for one in kept),
        tuple(one.weight / reading.unit for one in kept),
    )


def words(text: str) -> list[str]:
    """In small letters, with their apostrophes."""
    return [word.replace("’", "'") for word in _WORD.findall(text.casefold())]


def manner(text: str) -> list[float]:
    """How something is said, whatever is said: signs from 0 to about 1, none of which grows with length alone."""
    said = words(text)
    known, stripped = set(said), text.strip()
    sentences = max(len(_SENTENCE.findall(stripped)), 1)
    return [
        float("!" in text),
        min(text.count("!") / sentences, 1.0),
        float("?" in text),
        float(stripped[-1:] == "?"),
        float(stripped[-1:] == "!"),
        float("..." in text or "…" in text),
        float("*" in text),
        float(any(mark in text for mark in '"“”„«»')),
        float("(" in text),
        float("\n" in stripped),
        float(any(letter.isdigit() for letter in text)),
        float(_EMOJI.search(text) is not None),
        float(not known.isdisjoint(_YOU)),
        float(not known.isdisjoint(_I)),
        float(not known.isdisjoint(_WE)),
        float(any(word.isupper() and len(word) > 2 for word in _WORD.findall(text))),
        float(stripped[:1].islower()),
        min(len(said) / sentences / 30, 1.5),
        min(sum(map(len, said)) / max(len(said), 1) / 6, 2.0),
    ]


MANNERS = len(manner(""))


class Looks:
    """Replies as the head sees them, a row each. `vectors` [n, width] are theirs, of unit length."""

    def __init__(self, texts: Sequence[str], vectors: Floats) -> None:
        self.vectors = vectors
        self.words = np.zeros((len(texts), WORDS), np.float32)
        for row, text in zip(self.words, texts, strict=True):
            row[[zlib.crc32(word.encode()) % WORDS for word in set(words(text))]] = 1.0
        self.manner = np.array([manner(text) for text in texts], np.float32).reshape(len(texts), MANNERS)
        self.length = np.log1p(np.array([len(text) for text in texts], np.float32))

    def __len__(self) -> int:
        return len(self.length)

    def only(self, rows: Sequence[int]) -> "Looks":
        """Some of them, in this order."""
        return Looks._of(*(part[list(rows)] for part in self._parts))

    @staticmethod
    def joined(looks: Sequence["Looks"]) -> "Looks":
        """All of them, one below the other; at least one."""
        return Looks._of(*(np.concatenate(parts) for parts in zip(*(one._parts for one in looks), strict=True)))

    @property
    def _parts(self) -> tuple[Floats, ...]:
        return self.vectors, self.words, self.manner, self.length

    @classmethod
    def _of(cls, vectors: Floats, words: Floats, manner: Floats, length: Floats) -> "Looks":
        made = cls.__new__(cls)
        made.vectors, made.words, made.manner, made.length = vectors, words, manner, length
        return made


class Belief:
    """What the head thinks of some replies: `mean` [n] of how well each is liked, -1 to 1 or about, and `spread`
    [n, n], the covariance of its doubts."""

    def __init__(self, mean: NDArray[np.float64], spread: NDArray[np.float64]) -> None:
        self.mean, self.spread = mean, spread

    def pick(self, seed: int) -> int:
        """Thompson sampling (1933): each is picked as often as it may be the best, so that doubts get tried."""
        dice = np.random.default_rng(seed)
        scale = np.linalg.cholesky(self.spread + 1e-6 * np.eye(len(self.mean)))
        return int(np.argmax(self.mean + scale @ dice.standard_normal(len(self.mean))))


class Head:
    """One persona's taste. `values` [n] from -1 to 1 say how each of `looks` was liked, `weights` [n] how much that
    counts: 1 is the vote of one person who is believed."""

    def __init__(self, looks: Looks, values: Sequence[float], weights: Sequence[float]) -> None:
        self._scales = Scales(looks)
        self._rows = self._scales.rows(looks)
        near = likeness(self._rows, self._scales.lengths(looks))
        self._matrix = near.astype(np.float64) + np.diag(noise(np.asarray(weights, np.float64)))
        self._values = np.asarray(values, np.float64)

    def judge(self, looks: Looks) -> Belief:
        """How well each would be liked if all had the same length."""
        rows = self._scales.rows(looks)
        near = (rows @ self._rows.T).astype(np.float64)
        solved = np.linalg.solve(self._matrix, np.column_stack([self._values, near.T]))
        spread = (rows @ rows.T).astype(np.float64) - near @ solved[:, 1:]
        return Belief(near @ solved[:, 0], (spread + spread.T) / 2)


def likeness(rows: NDArray[Any], lengths: NDArray[Any]) -> NDArray[Any]:
    """[n, n]: how alike two replies are in all that may be liked, length too; of `rows` and `lengths` by `Scales`."""
    found: NDArray[Any] = rows @ rows.T + LENGTH * np.outer(lengths, lengths) + CONSTANT
    return found


def noise(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The variance of votes that count so much, of any shape."""
    return NOISE / np.maximum(weights, 1e-3)


class Scales:
    """What is usual among some replies: only what differs among them can be liked or not."""

    def __init__(self, looks: Looks) -> None:
        self._middle = looks.vectors.mean(0)
        around = looks.vectors - self._middle
        self._radius = max(float(np.sqrt((around**2).sum(1).mean())), 0.5)
        self._rarity = np.log1p((len(looks) + 1) / (looks.words.sum(0) + 0.5))
        self._usual = looks.manner.mean(0)
        self._spread = np.maximum(looks.manner.std(0), _SPREAD)
        self._long, self._longer = float(looks.length.mean()), max(float(looks.length.std()), 0.2)

    def rows(self, looks: Looks) -> Floats:
        """[n, width + WORDS + MANNERS]: the dot product of two is the sum of their kernels, but for length."""
        spoken = looks.words * self._rarity
        norms = np.maximum(np.linalg.norm(spoken, axis=1, keepdims=True), 1e-6)
        manner = (looks.manner - self._usual) / self._spread / np.sqrt(MANNERS)
        return np.hstack([(looks.vectors - self._middle) / self._radius, spoken / norms, manner]).astype(np.float32)

    def lengths(self, looks: Looks) -> Floats:
        """[n]: how much longer each is than usual, in deviations of the logarithm."""
        return ((looks.length - self._long) / self._longer).astype(np.float32)
