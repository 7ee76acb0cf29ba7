"""worker/embedding.py: one embedder for all, which nobody waits for."""

import threading

from core.errors import ModelError
from worker.embed import HashEmbedder
from worker.embedding import Embedding


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
