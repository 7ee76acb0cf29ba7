"""Which memories a question touches: words and meaning fused, who is asked about, when it was, and no two alike. Pure.

An `Index` holds one persona's memories as arrays and grows with them; `search` asks it. No model is asked, and
nothing here knows where memories are kept. Needs numpy: a bot process does not import it.
"""

import math
import re
from array import array
from collections import Counter
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from core.memory import Kind, Memory
from core.recall.question import Hit, Question, Row, Weights, spoken_by
from core.recall.terms import STOP, terms, words

Numbers = NDArray[np.float32]

_CAPITAL = re.compile(r"(?<=[\w,] )[A-Z]\w+")  # within a sentence: Will, and not "will"
K1, B = 1.2, 0.75  # of BM25 (Robertson et al. 1994), as in most implementations
OTHERS = 100
NEXT = 3600.0  # seconds within which two turns of a conversation belong together


class Index:
    """One persona's memories, ready to be searched. Not safe for several threads at once.

    A memory that goes leaves a dead row; when a quarter is dead, the index is to be made anew (`worn`).
    """

    def __init__(self, width: int = 0) -> None:
        self.width = width
        self.memories: list[Memory] = []
        self._rows: dict[str, int] = {}
        self._postings: dict[str, tuple[array[int], array[int]]] = {}
        self._lengths: array[int] = array("i")
        self._before: array[int] = array("i")
        self._after: array[int] = array("i")
        self._times: array[float] = array("d")
        self._weights: array[float] = array("f")
        self._alive: array[int] = array("b")
        self._vectors = np.zeros((0, width), np.float32)
        self._has: array[int] = array("b")
        self._last: dict[str, int] = {}
        self._speakers: dict[str, list[int]] = {}
        self._told: dict[str, list[int]] = {}
        self._names: dict[str, set[str]] = {}
        self._dead = 0

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def worn(self) -> bool:
        """Is it time to make it anew?"""
        return self._dead > 64 and self._dead * 4 > len(self.memories)

    @property
    def rows(self) -> int:
        """How much room it takes, in memories."""
        return len(self.memories)

    @property
    def lacks(self) -> bool:
        """Is there one without a vector?"""
        alive, has = np.frombuffer(self._alive, np.int8), np.frombuffer(self._has, np.int8)
        return bool(len(self.memories)) and bool(((alive == 1) & (has == 0)).any())

    def ids(self) -> set[str]:
        """Of all that are remembered."""
        return set(self._rows)

    def all(self) -> list[Memory]:
        """All that are remembered, also what is superseded."""
        return [self.memories[row] for row in self._rows.values()]

    def memory(self, name: str) -> Memory | None:
        """The memory of that id."""
        row = self._rows.get(name)
        return None if row is None else self.memories[row]

    def bare(self) -> list[Memory]:
        """Those without a vector, the newest first."""
        rows = [row for row in self._rows.values() if not self._has[row] and not self.memories[row].superseded_by]
        return [self.memories[row] for row in sorted(rows, key=lambda row: -self._times[row])]

    def put(self, memory: Memory, vector: Row | None = None) -> None:
        """Add a memory, or replace the one of its id."""
        self.remove(memory.id)
        row = len(self.memories)
        self._rows[memory.id] = row
        self.memories.append(memory)
        found = terms(memory.text)
        for term, count in Counter(found).items():
            rows, counts = self._postings.setdefault(term, (array("i"), array("i")))
            rows.append(row)
            counts.append(count)
        self._lengths.append(len(found))
        self._times.append(memory.time)
        self._weights.append(memory.importance)
        self._alive.append(not memory.superseded_by)
        self._join(memory, row)
        self._name(memory, row)
        self._has.append(0)
        if row >= len(self._vectors):
            more = np.zeros((row // 2 + 64, self.width), np.float32)
            self._vectors = np.concatenate([self._vectors, more])
        self.set_vector(memory.id, vector)

    def _join(self, memory: Memory, row: int) -> None:
        """To the turn before it in its conversation."""
        last = self._last.get(memory.talk, -1) if memory.kind == Kind.TURN else -1
        near = last >= 0 and abs(memory.time - self._times[last]) <= NEXT
        self._before.append(last if near else -1)
        self._after.append(-1)
        if near:
            self._after[last] = row
        if memory.kind == Kind.TURN:
            self._last[memory.talk] = row

    def _name(self, memory: Memory, row: int) -> None:
        """Who said it, or whom it is about, and what they are called."""
        who = "" if memory.ours else memory.author.id
        self._speakers.setdefault(who, []).append(row)
        if who:
            self._names.setdefault(who, set()).update(words(memory.author.name))
        elif self._before[row] >= 0:
            self._told.setdefault(self.memories[self._before[row]].author.id, []).append(row)
        for person in memory.people:
            self._speakers.setdefault(person, []).append(row)

    def set_vector(self, name: str, vector: Row | None) -> None:
        """The vector of a memory, once there is one. One of another width is none."""
        row = self._rows.get(name)
        if row is None or vector is None or len(vector) != self.width:
            return
        self._vectors[row] = vector
        self._has[row] = 1

    def remove(self, name: str) -> None:
        """A memory is gone."""
        row = self._rows.pop(name, None)
        if row is not None:
            self._alive[row] = 0
            self._dead += 1

    def search(self, question: Question, count: int, weights: Weights | None = None) -> list[Hit]:
        """The `count` memories that it touches most, best first; those that it does not touch at all are left out."""
        w = weights or Weights()
        if not self._rows or count < 1:
            return []
        lexical, semantic = self.by_words(question.text), self.by_meaning(question.vector)
        near = lexical if question.vector is None else w.words * lexical + (1 - w.words) * semantic
        score = self._shaded(self._beside(near, w.near), question, w)
        score[self._unwanted(question.skip)] = -1.0
        chosen = self._apart(score, count, w)
        return [
            Hit(self.memories[row], float(score[row]), float(lexical[row]), float(semantic[row]))
            for row in chosen
            if near[row] > 0.0 or score[row] > 0.1
        ]

    def by_words(self, text: str) -> Numbers:
        """BM25 of every row, as a share of what a text of middling length has in which every term stands once."""
        size = len(self.memories)
        score, most = np.zeros(size, np.float32), 0.0
        if not size:
            return score
        lengths = np.frombuffer(self._lengths, np.int32).astype(np.float32)
        alive = np.frombuffer(self._alive, np.int8)
        norm = K1 * (1 - B + B * lengths / max(float(lengths.mean()), 1.0))
        for term in dict.fromkeys(terms(text)):
            if posting := self._postings.get(term):
                rows = np.frombuffer(posting[0], np.int32)
                counts = np.frombuffer(posting[1], np.int32)
                rarity = self._rarity(int(alive[rows].sum()))
                score[rows] += rarity * counts * (K1 + 1) / (counts + norm[rows])
            else:
                rarity = self._rarity(0)
            most += rarity
        return score / np.float32(most or 1.0)

    def _rarity(self, known: int) -> float:
        """Of a term that so many memories hold. As if there were `OTHERS` more: a few say little of what is rare."""
        return math.log(1 + (len(self) + OTHERS - known + 0.5) / (known + 0.5))

    def by_meaning(self, vector: Row | None) -> Numbers:
        """Cosine of every row, where it is above 0; 0 for a row without a vector."""
        score = np.zeros(len(self.memories), np.float32)
        if vector is not None and len(vector) == self.width:
            # No `@`: BLAS would share this among threads, which costs ten times as much where others compute as well.
            score = np.maximum(np.vecdot(self._vectors[: len(score)], vector), np.float32(0.0))
        return score

    def _beside(self, score: Numbers, share: float) -> Numbers:
        """With a share of the better neighbour's score."""
        if not share:
            return score.copy()
        padded = np.append(score, np.float32(0.0))  # row -1 is nobody
        before, after = np.frombuffer(self._before, np.int32), np.frombuffer(self._after, np.int32)
        better: Numbers = np.maximum(padded[before], padded[after])
        return np.asarray((score + share * better) / (1 + share), np.float32)

    def _shaded(self, score: Numbers, question: Question, w: Weights) -> Numbers:
        """By who spoke, when, how lately and how much it weighs."""
        times = np.frombuffer(self._times, np.float64)
        days = np.maximum(question.now - times, 0.0) / 86_400
        score += np.float32(w.recent) * np.exp2(-days / w.half_life_days).astype(np.float32)
        score += np.float32(w.important) * score * (np.frombuffer(self._weights, np.float32) - 0.5)
        if question.span:
            inside = (times >= question.span[0]) & (times < question.span[1])
            score += np.float32(w.span) * inside.astype(np.float32)
        for person in self.meant(question.text, question.asker):
            score[np.array(self._speakers.get(person, []), np.int64)] += np.float32(w.speaker)
            score[np.array(self._told.get(person, []), np.int64)] += np.float32(w.spoken_to)
        return score

    def meant(self, text: str, asker: str = "") -> list[str]:
        """Whose words a question asks for: ids of people who are named in it, the asker's for "I", "" for us."""
        said = words(text)
        named = {word for word in said if word not in STOP} | {word.lower() for word in _CAPITAL.findall(text)}
        found = [person for person, names in self._names.items() if names & named]
        ours, theirs = spoken_by(said)
        found += [asker] if theirs and asker and not found else []
        return [*found, *([""] if ours else [])]

    def _unwanted(self, skip: Collection[str]) -> NDArray[np.bool_]:
        unwanted: NDArray[np.bool_] = np.frombuffer(self._alive, np.int8) == 0
        rows = [row for name in skip if (row := self._rows.get(name)) is not None]
        unwanted[rows] = True
        return unwanted

    def _apart(self, score: Numbers, count: int, w: Weights) -> list[int]:
        """The best that are not alike: maximal marginal relevance (Carbonell & Goldstein 1998)."""
        size = min(max(w.pool, count), len(score))
        pool = np.argpartition(-score, size - 1)[:size]
        pool = pool[score[pool] > -1.0]
        pool = pool[np.lexsort((pool, -score[pool]))]
        if not w.alike or not self.width:
            return [int(row) for row in pool[:count]]
        vectors = self._vectors[pool]
        likeness = np.einsum("ik,jk->ij", vectors, vectors)
        chosen, free = [], np.ones(len(pool), bool)
        nearest = np.zeros(len(pool), np.float32)
        for _ in range(min(count, len(pool))):
            best = int(np.argmax(np.where(free, score[pool] * (1 - w.alike * nearest), -np.inf)))
            chosen.append(int(pool[best]))
            free[best] = False
            nearest = np.maximum(nearest, likeness[best])
        return chosen
