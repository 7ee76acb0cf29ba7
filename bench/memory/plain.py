"""Plain BM25 over Porter stems, as a measure for recall: Robertson et al. 1994, k1 1.2, b 0.75, no more than that."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from core.recall.terms import terms

K1, B = 1.2, 0.75


class Plain:
    """An index of texts."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._counts = [Counter(terms(text)) for text in texts]
        self._lengths = np.array([max(count.total(), 1) for count in self._counts], np.float64)
        self._known = Counter(term for count in self._counts for term in count)

    def scores(self, query: str) -> NDArray[np.float64]:
        """Of every text, in order."""
        norm = K1 * (1 - B + B * self._lengths / self._lengths.mean())
        score = np.zeros(len(self._counts))
        for term in set(terms(query)) & self._known.keys():
            often = np.array([count[term] for count in self._counts], np.float64)
            rarity = math.log(1 + (len(self._counts) - self._known[term] + 0.5) / (self._known[term] + 0.5))
            score += rarity * often * (K1 + 1) / (often + norm)
        return score
