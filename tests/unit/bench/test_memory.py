"""bench/memory: the file is read as it says, and its figures are what they are called."""

import json
import os
from pathlib import Path

import pytest

from bench.memory.__main__ import found, read
from bench.memory.memorybank import DIALOGUES, PROBES, of, room, scopes
from bench.memory.plain import Plain
from core.store.client import Client
from core.store.memories import Memories
from worker.embed import HashEmbedder
from worker.embedding import Embedding
from worker.recall import Recall

DATA = Path(os.environ.get("MEMORYBANK", "nowhere"))  # the folder of its dialogues and probing questions


def scope(name: str, *texts: str) -> dict[str, object]:
    turns = [{"id": f"{at}", "author": "Ann", "time": 1000.0 + at, "text": text} for at, text in enumerate(texts)]
    return {"scope": name, "turns": turns, "queries": [{"id": "q", "text": "Who keeps bees?", "evidence": ["1"]}]}


async def test_what_is_found_is_counted_and_nothing_leaks(tmp_path: Path, redis_url: str) -> None:
    """Each scope is asked, and another one as well."""
    file = tmp_path / "scopes.jsonl"
    rows = [scope("a", "Good tea", "I keep bees", "A boat"), scope("b", "My goats", "Three bees of mine", "A house")]
    file.write_text("\n".join(json.dumps(row) for row in rows))
    embedding = Embedding(HashEmbedder)
    assert await embedding.ready()
    client = Client(redis_url)
    recall, worlds = Recall(Memories(client), embedding), read(file)
    for world in worlds:
        await recall.memories.add(world.persona, world.turns)
    figures = await found(recall, worlds)
    await client.close()

    assert (2, 2, 0) == (figures["queries"], figures["scopes"], figures["leaks"])
    assert 1.0 == figures["r_at_5"] == figures["r_at_5_bm25"] == figures["r_at_10_vector"]


def test_evidence_that_is_no_turn_ends_the_run(tmp_path: Path) -> None:
    """With the line of the file."""
    file = tmp_path / "scopes.jsonl"
    file.write_text(json.dumps({**scope("a", "x"), "queries": [{"id": "q", "text": "y", "evidence": ["9"]}]}))

    with pytest.raises(SystemExit, match=r"scopes\.jsonl:1: no turn has the id 9"):
        read(file)


def test_plain_bm25_prefers_rare_words_and_short_texts() -> None:
    """As Robertson has it."""
    scores = Plain(["tea and bees", "tea", "tea with much else in it besides", ""]).scores("Bees with tea")

    assert [0, 1, 2, 3] == sorted(range(4), key=lambda at: -scores[at])
    assert 0 == scores[3]


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ("How do I make my tea?", "How does Ann make Ann's tea?"),
        ("What am I like?", "What is Ann like?"),
        ("I don't like it, do I?", "Ann doesn't like it, does Ann?"),
    ],
)
def test_a_question_of_one_s_own_is_asked_by_others(mine: str, theirs: str) -> None:
    """By name."""
    assert theirs == of("Ann", mine)


@pytest.mark.skipif(not (DATA / DIALOGUES).exists(), reason="MEMORYBANK names no folder of its dialogues")
def test_every_label_names_a_turn_that_is_there() -> None:
    """Fifteen people in two halves, and all of them in one room."""
    every = list(scopes(DATA))
    halves = [list(scopes(DATA, half)) for half in ("dev", "test")]
    together = room(every)
    known = {turn["id"] for turn in together["turns"]}

    assert (DATA / PROBES).exists()
    assert (15, [8, 7]) == (len(every), [len(half) for half in halves])
    assert [121, 105] == [sum(len(one["queries"]) for one in half) for half in halves]
    assert all(set(query["evidence"]) <= known for query in together["queries"])
