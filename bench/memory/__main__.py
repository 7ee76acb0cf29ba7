"""How well a persona recalls what it was told, and how fast: `python -m bench.memory FILE`.

FILE has a scope on each line:
{"scope","turns":[{"id","author","time","text"}],"queries":[{"id","text","evidence":["id"]}]}
(`bench/memory/memorybank.py` makes such files). A query may have a "time" (else: a day after the last turn) and an
"author", who "I" is. Every scope becomes a persona in one real Redis; every query is asked through the recall that
serves replies, in its own scope and in another one.
`r_at_5` is the share of a query's evidence among the first five, on average; beside it vectors alone and BM25 alone.
`r_at_5_bm25_named`: BM25 that is told who speaks, as "Ann: …".
`leaks` counts hits that are of another scope. `p50_ms_*`: a search among so many memories, the query's vector made, by
the clock on the wall; `p50_cpu_ms_*`: what this process computed meanwhile.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import replace

from bench.memory.plain import Plain
from bench.report import RedisForBench, Spent, emit, say
from bots.files import Row
from bots.memories import turn
from bots.ratings import read_time
from core import config
from core.events import PersonaKey
from core.memory import Memory
from core.store.client import Client
from core.store.memories import Memories
from worker.embed import Knowing, load
from worker.embedding import Embedding
from worker.recall import Recall, pack

COUNT = 10
SIZES = (2_000, 10_000)
ASKED = 200  # timed searches
DRAWS = 2_000  # of the bootstrap
DAY = 86_400


class Query(msgspec.Struct, frozen=True):
    """A question with the ids that answer it."""

    text: str
    evidence: frozenset[str]
    time: float
    author: str


class World(msgspec.Struct, frozen=True):
    """A scope of the file, as a persona."""

    persona: PersonaKey
    turns: tuple[Memory, ...]
    queries: tuple[Query, ...]


def read(file: Path) -> list[World]:
    """The scopes of a file. Ends the run with the line that is wrong."""
    worlds = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        if line.strip():
            data = json.loads(line)
            worlds.append(_world(data, number, f"{file}:{number}"))
    return worlds


def _world(data: dict[str, Any], number: int, where: str) -> World:
    turns = [turn(Row(at, one), UTC) for at, one in enumerate(data["turns"], 1)]
    if bad := [one for one in turns if isinstance(one, str)]:
        sys.exit(f"{where}: a turn {bad[0]}")
    told = tuple(one for one in turns if isinstance(one, Memory))
    later = max((one.time for one in told), default=0.0) + DAY
    queries = tuple(_query(one, later) for one in data["queries"] if one["evidence"])
    known = {one.id for one in told}
    if gone := [name for query in queries for name in query.evidence if name not in known]:
        sys.exit(f"{where}: no turn has the id {gone[0]}, which is evidence")
    return World(PersonaKey("bench:1", "mira", f"bench:memory:channel:{number}"), told, queries)


def _query(data: dict[str, Any], later: float) -> Query:
    moment = read_time(data.get("time"), UTC) or later
    return Query(data["text"], frozenset(map(str, data["evidence"])), moment, data.get("author", ""))


async def measure(worlds: Sequence[World], url: str) -> dict[str, float | int | str]:
    """All figures."""
    client, settings = Client(url), config.load(os.environ)
    embedding = Embedding(lambda: Knowing(load(settings), 1_000_000))  # each text is embedded once
    if not await embedding.ready():
        sys.exit("there is no embedder, so nothing can be compared; `limen doctor` says more")
    recall = Recall(Memories(client), embedding)
    try:
        for world in worlds:
            await recall.memories.add(world.persona, world.turns)
            while await recall.tend(world.persona):
                pass
            say(f"{len(world.turns):,} turns of {world.persona.scope}")
        return {**await found(recall, worlds), **await fast(recall, worlds), "embedder": embedding.id}
    finally:
        await client.close()


async def found(recall: Recall, worlds: Sequence[World]) -> dict[str, float | int | str]:
    """What is found, by us and by either sign alone; and what is found in a scope where it does not belong."""
    ours, vector, bm25, named, leaks = [], [], [], [], 0
    for at, world in enumerate(worlds):
        other, plain = worlds[(at + 1) % len(worlds)], Plain([one.text for one in world.turns])
        named_plain = Plain([f"{one.author.name}: {one.text}" for one in world.turns])
        vectors = await _vectors(recall, [one.text for one in world.turns])
        for query in world.queries:
            asked = await _vectors(recall, [query.text])
            hits = await recall.search(world.persona, query.text, COUNT, query.author, now=query.time)
            leaks += foreign(hits, world) + foreign(await recall.search(other.persona, query.text, COUNT), other)
            ours.append([hit.memory.id for hit in hits])
            vector.append(_best(vectors @ asked[0], world))
            bm25.append(_best(plain.scores(query.text), world))
            named.append(_best(named_plain.scores(query.text), world))
    wanted = [query.evidence for world in worlds for query in world.queries]
    return {
        "queries": len(wanted), "scopes": len(worlds), "leaks": leaks,
        **_shares("", ours, wanted), **_shares("_vector", vector, wanted), **_shares("_bm25", bm25, wanted),
        "r_at_5_bm25_named": _shares("", named, wanted)["r_at_5"],
        **_ratios(ours, vector, bm25, wanted),
    }  # fmt: skip


def foreign(hits: Sequence[Any], world: World) -> int:
    """Hits that are not of this scope, by id and text."""
    own = {(one.id, one.text) for one in world.turns}
    return sum((hit.memory.id, hit.memory.text) not in own for hit in hits)


async def _vectors(recall: Recall, texts: Sequence[str]) -> Any:
    rows = await recall.embedding.embed(texts)
    assert rows is not None
    return rows


def _best(scores: Any, world: World) -> list[str]:
    return [world.turns[row].id for row in np.argsort(-scores, kind="stable")[:COUNT]]


def _share(found: Sequence[str], wanted: frozenset[str], count: int) -> float:
    return len(wanted.intersection(found[:count])) / len(wanted)


def _shares(name: str, found: Sequence[Sequence[str]], wanted: Sequence[frozenset[str]]) -> dict[str, float]:
    pairs = list(zip(found, wanted, strict=True))
    return {f"r_at_{k}{name}": round(statistics.fmean(_share(a, b, k) for a, b in pairs), 4) for k in (5, 10)}


def _ratios(
    ours: Sequence[Sequence[str]], vector: Sequence[Sequence[str]], bm25: Sequence[Sequence[str]],
    wanted: Sequence[frozenset[str]],
) -> dict[str, float | str]:  # fmt: skip
    """How much more we find at 5, with a 95 % interval from drawing the queries anew."""
    rows = np.array(
        [[_share(one, want, 5) for one in three] for *three, want in zip(ours, vector, bm25, wanted, strict=True)]
    )
    draws = np.random.default_rng(0).integers(0, len(rows), (DRAWS, len(rows)))
    means = rows[draws].mean(1)
    figures: dict[str, float | str] = {}
    for column, name in ((1, "vector"), (2, "bm25")):
        ratio = means[:, 0] / np.maximum(means[:, column], 1e-9)
        low, high = np.quantile(ratio, [0.025, 0.975])
        figures[f"over_{name}"] = round(float(rows[:, 0].mean() / max(rows[:, column].mean(), 1e-9)), 3)
        figures[f"over_{name}_95"] = f"{low:.3f} to {high:.3f}"
    return figures


async def fast(recall: Recall, worlds: Sequence[World]) -> dict[str, float]:
    """How long a search takes among many: the turns of all scopes, over and over, with vectors a little off."""
    figures = {}
    turns = [one for world in worlds for one in world.turns]
    queries = [query for world in worlds for query in world.queries]
    for size in SIZES:
        persona = PersonaKey("bench:1", "mira", f"bench:memory:channel:of-{size}")
        await _fill(recall, persona, turns, size)
        times, spent = [], []
        for at in range(ASKED + 5):
            query = queries[at % len(queries)]
            await recall.embedding.embed([query.text])  # known from now on: it is not what is timed
            with Spent() as took:
                await recall.search(persona, query.text, COUNT, query.author, now=query.time)
            times.append(took.wall * 1000)
            spent.append(took.cpu * 1000)
        figures[f"p50_ms_{size}"] = round(statistics.median(times[5:]), 2)
        figures[f"p50_cpu_ms_{size}"] = round(statistics.median(spent[5:]), 2)
        say(f"a search among {size:,}: {figures[f'p50_ms_{size}']} ms")
    return figures


async def _fill(recall: Recall, persona: PersonaKey, turns: Sequence[Memory], size: int) -> None:
    """So many memories with vectors, as a worker would have left them."""
    dice, texts = np.random.default_rng(1), [one.text for one in turns]
    known = np.concatenate([await _vectors(recall, texts[at : at + 256]) for at in range(0, len(texts), 256)])
    words = " ".join(texts).split()
    random.seed(1)
    many = [
        replace(
            turns[at % len(turns)], id=f"t{at}", text=f"{texts[at % len(texts)]} {' '.join(random.sample(words, 5))}"
        )
        for at in range(size)
    ]
    await recall.memories.add(persona, many)
    vectors = {}
    for change in await recall.memories.since(persona):
        row = np.asarray(known[int(change.id[1:]) % len(known)] + dice.normal(0, 0.02, known.shape[1]), np.float32)
        vectors[change.id, change.seq] = pack(row / np.linalg.norm(row), recall.embedding.id)
    await recall.memories.keep_vectors(persona, vectors)


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    worlds = read(parser.parse_args().file)
    if not any(world.queries for world in worlds):
        sys.exit("the file has no query with evidence")
    with RedisForBench() as redis:
        emit(asyncio.run(measure(worlds, redis.url)))


if __name__ == "__main__":
    main()
