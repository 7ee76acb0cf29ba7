"""worker/recall.py: vectors as they are kept, and copies that are bounded."""

import asyncio

import numpy as np
import pytest

from core.events import Person, PersonaKey
from core.memory import Memory
from core.store.client import Client
from core.store.memories import Memories
from worker.embed import HashEmbedder
from worker.embedding import Embedding
from worker.recall import Recall, pack, unpack

ANN = Person("p:ann", "Ann")


def persona(number: int) -> PersonaKey:
    return PersonaKey("bench:1", "mira", f"bench:x:channel:{number}")


def test_a_vector_is_kept_in_a_byte_for_each_number() -> None:
    """And is as good as before."""
    rows = np.random.default_rng(0).normal(size=(50, 384)).astype(np.float32)
    for row in rows / np.linalg.norm(rows, axis=1, keepdims=True):
        again = unpack(pack(row, "a-1"), "a-1")
        assert again is not None
        assert 12 + 384 == len(pack(row, "a-1"))
        assert row @ again > 0.9999
        assert abs(1 - float(np.linalg.norm(again))) < 1e-5


@pytest.mark.parametrize(
    "body", [b"", b"x", b"x" * 12, pack(np.ones(4, np.float32) / 2, "b-1"), pack(np.zeros(4, np.float32), "a-1")]
)
def test_what_another_made_or_what_is_damaged_is_no_vector(body: bytes) -> None:
    """It is made anew."""
    assert unpack(body, "a-1") is None


async def test_no_more_is_held_ready_than_there_is_room_for(redis_url: str) -> None:
    """The least used go, and are read again when they are needed."""
    client, embedding = Client(redis_url), Embedding(HashEmbedder)
    assert await embedding.ready()
    recall = Recall(Memories(client), embedding, room=25)
    for number in range(4):
        rows = [Memory(id=str(n), text=f"thing {n} of {number}", time=1.0, author=ANN) for n in range(10)]
        await recall.memories.add(persona(number), rows)
        await recall.search(persona(number), "thing", 1)
    held = [len(one.index) for one in recall._held.values()]
    found = await recall.search(persona(0), "thing 3", 1)
    await client.close()

    assert [10, 10] == held
    assert "thing 3 of 0" == found[0].memory.text


async def test_many_write_and_read_at_once(redis_url: str) -> None:
    """Nothing is lost, and every change has a number of its own."""
    client, embedding = Client(redis_url), Embedding(HashEmbedder)
    assert await embedding.ready()
    memories, recall = Memories(client), Recall(Memories(client), embedding)

    async def write(number: int) -> None:
        for n in range(10):
            await memories.add(persona(1), [Memory(id=f"{number}/{n}", text=f"bees {n}", time=1.0, author=ANN)])
            await recall.search(persona(1), "bees", 5)

    await asyncio.gather(*(write(number) for number in range(8)))
    await asyncio.gather(*(recall.tend(persona(1)) for _ in range(8)))
    changes = await memories.since(persona(1))
    found = await recall.search(persona(1), "bees", 100)
    await client.close()

    assert [*range(1, 81)] == [change.seq for change in changes]
    assert 80 == len(found)
