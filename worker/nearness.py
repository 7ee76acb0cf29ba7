"""How near texts are in meaning, on one scale for every embedder: 0 is as near as any two questions, 1 is the same.

Embedders differ in what they give two texts that have nothing in common: 0.1 or 0.8. So that a threshold means the same
for all, that is measured on `common.txt`, questions of all sorts, and taken off. Blocks: call it in a thread.
"""

import hashlib
import os
import re
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np

from worker.embed import Embedder, HashEmbedder, Vectors

KEPT = 4_096  # texts whose vectors are remembered: cards' phrases, mostly
LONGEST = 1_000  # characters of a text that are looked at
SENTENCES = 8  # of a message that are compared one by one


def common() -> list[str]:
    """Questions of all sorts, to which one knows the answer or not."""
    return files("worker").joinpath("common.txt").read_text(encoding="utf-8").splitlines()


def everyday() -> list[str]:
    """Questions to which everybody has something to say."""
    return files("worker").joinpath("everyday.txt").read_text(encoding="utf-8").splitlines()


class Heard(NamedTuple):
    """What somebody said: the whole, then sentence by sentence, and the vectors of that, [texts, width]."""

    texts: list[str]
    rows: Vectors

    def only(self, sentence: str) -> "Heard":
        """One of the sentences by itself; the whole, if it is none of them."""
        place = self.texts.index(sentence) if sentence in self.texts else 0
        return Heard([self.texts[place]], self.rows[place : place + 1])


class Nearness:
    """Of one embedder. `cache`: a folder for the vectors of our own questions, which take a few seconds to make."""

    def __init__(self, embedder: Embedder, cache: Path | None = None) -> None:
        self._embedder, self._cache = embedder, cache
        self._rows: OrderedDict[str, Vectors] = OrderedDict()
        self._lock = Lock()

    @property
    def id(self) -> str:
        """Of the embedder: vectors of another one cannot be compared."""
        return self._embedder.id

    @property
    def means(self) -> bool:
        """Does it know what texts mean, and not only how they are spelt?"""
        return not self._embedder.id.startswith(HashEmbedder.KIND)

    @property
    def width(self) -> int:
        """Numbers of a vector."""
        return self._embedder.width

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors that are kept elsewhere."""
        return self._embedder.embed(texts)

    def rows(self, texts: Sequence[str]) -> Vectors:
        """A unit vector for each text of a card, [texts, width]. What was asked for lately is not worked out again."""
        with self._lock:
            return self._remembered([text[:LONGEST] for text in texts])

    def _remembered(self, cut: Sequence[str]) -> Vectors:
        found = {text: self._rows[text] for text in cut if text in self._rows}
        if new := [text for text in dict.fromkeys(cut) if text not in found]:
            found |= dict(zip(new, self._embedder.embed(new), strict=True))
        for text in dict.fromkeys(cut):
            self._rows[text] = found[text]
            self._rows.move_to_end(text)
        while len(self._rows) > KEPT:
            self._rows.popitem(last=False)
        return np.stack([found[text] for text in cut]) if cut else np.zeros((0, self._embedder.width), np.float32)

    def heard(self, message: str) -> Heard:
        """A message with its vector, and one for each of its sentences if there are several. It is not remembered."""
        texts = _parts(message)
        return Heard(texts, self._embedder.embed(texts))

    def near(self, heard: Heard, phrases: Sequence[str]) -> dict[str, float]:
        """How near what was `heard`, or the nearest of its sentences, is to each phrase."""
        if not phrases:
            return {}
        cosines = heard.rows @ self.rows(phrases).T
        return dict(zip(phrases, map(float, self.lifted(cosines.max(axis=0))), strict=True))

    def lifted(self, cosines: Vectors) -> Vectors:
        """Cosines on our scale: 0 for what has nothing in common, 1 for the same."""
        scaled: Vectors = np.clip((cosines - self.floor) / (1 - self.floor), 0.0, 1.0)
        return scaled

    @cached_property
    def floor(self) -> float:
        """The mean cosine of two questions that have nothing to do with each other."""
        rows = self.background
        pairs = len(rows) * (len(rows) - 1)
        return float((rows @ rows.T).sum() - len(rows)) / pairs

    def everyday(self, heard: Heard) -> float:
        """How near what was `heard` is to something that everybody can talk about."""
        return float(self.lifted(heard.rows @ self._everyday.T).max())

    @cached_property
    def _everyday(self) -> Vectors:
        return self._ours(everyday())

    @cached_property
    def background(self) -> Vectors:
        """The vectors of `common()`."""
        return self._ours(common())

    def warm(self) -> None:
        """Make what every message is compared with, before the first one comes."""
        self.everyday(self.heard("hello"))

    def _ours(self, texts: Sequence[str]) -> Vectors:
        """Vectors of our own texts: from the cache, if they are there."""
        if self._cache is None:
            return self._embedder.embed(texts)
        mark = hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]
        file = self._cache / f"questions-{re.sub(r'[^A-Za-z0-9.-]', '_', self.id)}-{mark}.npy"
        with suppress(OSError, ValueError):  # not there yet, or broken: then it is made anew
            rows: Vectors = np.load(file)
            if rows.shape == (len(texts), self.width) and rows.dtype == np.float32:
                return rows
        rows = self._embedder.embed(texts)
        with suppress(OSError):  # a cache that cannot be written is none
            file.parent.mkdir(parents=True, exist_ok=True)
            part = file.with_name(f"{file.stem}-{os.getpid()}.part.npy")
            np.save(part, rows)
            part.replace(file)
        return rows


def _parts(message: str) -> list[str]:
    """A message, and each of its sentences if it has several."""
    parts = sentences(message[:LONGEST])
    return [message[:LONGEST], *(parts[-SENTENCES:] if len(parts) > 1 else [])]


def sentences(text: str) -> list[str]:
    """The sentences of a text, by their ends."""
    return [part.strip() for part in re.split(r"(?<=[.!?\n])\s+", text) if part.strip()]
