"""worker/embedding.py: one embedder for all, which nobody waits for."""

import threading
from collections.abc import Sequence

import numpy as np

from core.errors import ModelError
from worker.embed import HashEmbedder, Vectors
from worker.embedding import Embedding


class Counting(HashEmbedder):
    """Remembers what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked.append([*texts])
        return super().embed(texts)


async def test_nobody_waits_for_weights() -> None:
    """Until they are there, the answer is None."""
    may = threading.Event()

    def load() -> HashEmbedder:
        assert may.wait(10)
        return HashEmbedder()

    embedding = Embedding(load)
    before, told = await embedding.embed(["a cat"]), embedding.about()
    may.set()

    assert (None, {"embedder": "not loaded yet"}) == (before, told)
    assert await embedding.ready()
    found = await embedding.embed(["a cat"])
    assert found is not None
    assert (1, 256) == found.shape
    assert ("hash-256", {"embedder": "hash-256"}) == (embedding.id, embedding.about())


async def test_what_cannot_be_had_is_told_and_asked_for_again_later() -> None:
    """Not with every message."""
    tries: list[int] = []

    def load() -> HashEmbedder:
        tries.append(1)
        raise ModelError("no network", "find one")

    embedding = Embedding(load)

    assert not await embedding.ready()
    assert await embedding.embed(["a"]) is None
    assert not await embedding.ready()
    assert ([1], "", {"embedder": "no network"}) == (tries, embedding.id, embedding.about())


async def test_a_text_is_embedded_once_however_many_ask() -> None:
    """Rows come in the order of the texts, whatever is known of them."""
    counting = Counting()
    embedding = Embedding(lambda: counting)
    await embedding.ready()
    first = await embedding.embed(["a", "b", "a"])
    second = await embedding.embed(["c", "b"])
    nothing = await embedding.embed([])

    assert first is not None
    assert second is not None
    assert nothing is not None
    assert [["a", "b"], ["c"]] == counting.asked
    assert np.array_equal(first[0], first[2])
    assert np.array_equal(first[1], second[1])
    assert np.array_equal(HashEmbedder().embed(["c"])[0], second[0])
    assert (0, 256) == nothing.shape


async def test_no_more_texts_are_known_than_there_is_room_for() -> None:
    """Even within one call."""
    embedding = Embedding(HashEmbedder)
    await embedding.ready()

    found = await embedding.embed([str(n) for n in range(1000)])

    assert found is not None
    assert (1000, 512) == (len(found), len(embedding._known))
