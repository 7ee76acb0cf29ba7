"""What every persona remembers: turns as they were said, facts and episodes, with their vectors. Imports no numpy.

A line of talk that is heard or said is noted by its id (`heard`, `noted`), and becomes a memory when a worker or
whoever searches takes it in. What is deleted is gone from both. Knows nothing of how memories are searched.
"""

from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

import msgspec

from core.events import PersonaKey
from core.memory import Memory, turn_id
from core.store import keys
from core.store.client import Client, Effect
from core.store.memorybody import read, reworded, row
from core.store.reflections import silenced

SCRIPT = "#!lua flags=allow-oom\n" + files("core.store").joinpath("memories.lua").read_text()
BATCH = 500  # lines taken in, or memories read, in one round trip
BIN_FOR = keys.DAY

_encode = msgspec.msgpack.Encoder().encode


class State(msgspec.Struct, frozen=True):
    """How far a persona's memory has come: the number of the latest change, and how many memories have gone."""

    seq: int = 0
    gone: int = 0


class Change(msgspec.Struct, frozen=True):
    """A memory as it is since the change of number `seq`; `vector` as `keep_vectors` was given it, or empty."""

    id: str
    seq: int
    memory: Memory
    vector: bytes = b""


class Memories:
    """Every method raises StoreError."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def _run(self, persona: PersonaKey, op: str, *args: str | bytes | int | float) -> Any:
        return await self._client.script(SCRIPT, [], [op, _encode(_keys(persona)), *args])

    # Writing.

    async def take_in(self, persona: PersonaKey) -> State:
        """Make memories of all that was said since. How far the persona's memory has come."""
        while True:
            left, seq, gone = await self._run(persona, "take", BATCH)
            if not left:
                return State(int(seq), int(gone))

    async def waiting(self) -> list[PersonaKey]:
        """Personas to whom something was said that is not taken in yet."""
        found = await self._client.do("SMEMBERS", keys.MEMORY_WAITS.pattern)
        return [PersonaKey.parse(name.decode()) for name in sorted(found)]

    async def add(self, persona: PersonaKey, memories: Iterable[Memory]) -> int:
        """Keep these; one of the same id is replaced. How many are new or changed.

        A fact with a `slot` supersedes the one that held it; if that is of a later time, it is superseded itself.
        """
        every, kept = list(memories), 0
        for at in range(0, len(every), BATCH):
            rows = [word for memory in every[at : at + BATCH] for word in row(memory)]
            kept += await self._run(persona, "put", *rows)
        return kept

    async def derive(self, persona: PersonaKey, memories: Iterable[Memory], seqs: Mapping[str, int]) -> list[str]:
        """Keep what was made of turns that were read as of `seqs` (id → number of its change), as `add` does. Ids of
        those that are not kept, because a turn of theirs has changed or gone meanwhile."""
        rows: list[str | bytes | float] = []
        for memory in memories:
            seen = [word for source in memory.sources for word in (source, seqs.get(source, -1))]
            rows += [*row(memory), _encode(seen)]
        if not rows:
            return []
        return [name.decode() for name in await self._run(persona, "made", *rows)]

    async def edit(self, persona: PersonaKey, talk: str, line: str, text: str) -> bool:
        """Something said reads differently, and what was made of it goes. False if it is not remembered (yet)."""
        name = turn_id(talk, line)
        while True:
            body = await self._client.do("HGET", keys.MEMORIES(str(persona)), name)
            if body is None or not (changed := reworded(body, text)):
                return False
            if await self._run(persona, "change", name, body, changed):
                await silenced(self._client, persona, name)
                return True

    async def unsay(self, persona: PersonaKey, talk: str, line: str) -> bool:
        """Something said is gone, remembered or about to be, and what was made of it goes too. False if it was not
        remembered."""
        gone = bool(await self._run(persona, "unsay", talk, line, turn_id(talk, line)))
        if gone:
            await silenced(self._client, persona, turn_id(talk, line))
        return gone

    async def bin(self, persona: PersonaKey, person: str, name: str) -> bool:
        """A memory goes, with what was made of it; for a day whoever let it go may have it back (`unbin`). False if it
        is not remembered."""
        await silenced(self._client, persona, name)
        return bool(await self._run(persona, "bin", name, person, BIN_FOR))

    async def unbin(self, persona: PersonaKey, person: str) -> Memory | None:
        """What somebody let go last is remembered again; None if there is nothing of theirs."""
        found = await self._run(persona, "unbin", person)
        return read(found[0].decode(), found[1], _talk(persona, found[0].decode())) if found else None

    async def drop(self, persona: PersonaKey, ids: Sequence[str]) -> int:
        """These are not remembered any more. How many there were."""
        return int(await self._run(persona, "drop", *ids)) if ids else 0

    async def delete(self, persona: PersonaKey, ids: Sequence[str]) -> int:
        """The same because somebody wants it: what was made of them goes, too. How many of them there were."""
        went = int(await self._run(persona, "delete", *ids)) if ids else 0
        for name in ids:
            await silenced(self._client, persona, name)
        return went

    async def keep_vectors(self, persona: PersonaKey, vectors: Mapping[tuple[str, int], bytes]) -> None:
        """Vectors by id and number of the change as which the memory was read; of what changed since, none is kept."""
        rows = [word for (name, seq), vector in vectors.items() for word in (name, seq, vector)]
        for at in range(0, len(rows), 3 * BATCH):
            await self._run(persona, "vectors", *rows[at : at + 3 * BATCH])

    async def erase(self, persona: PersonaKey) -> None:
        """Everything that a persona remembers."""
        about = _keys(persona)
        names = [about[name] for name in ("all", "order", "vectors", "slots", "over", "fresh", "bin")]
        effects: list[Effect] = [("DEL", *names), ("SREM", about["waiting"], about["persona"])]
        await self._client.do_all([*effects, ("HINCRBY", about["state"], "gone", 1)])

    # Reading.

    async def state(self, persona: PersonaKey) -> State:
        """How far it has come: for whoever holds a copy."""
        seq, gone = await self._client.do("HMGET", keys.MEMORY_STATE(str(persona)), "seq", "gone")
        return State(int(seq or 0), int(gone or 0))

    async def ids(self, persona: PersonaKey) -> list[str]:
        """Of all memories, in the order of their latest change."""
        return [name.decode() for name in await self._client.do("ZRANGE", keys.MEMORY_ORDER(str(persona)), 0, -1)]

    async def since(self, persona: PersonaKey, seq: int = 0, most: int = -1) -> list[Change]:
        """What has changed after the change `seq`, in order; the first `most` (-1: all)."""
        newer = (f"({seq}", "+inf", "BYSCORE", "LIMIT", 0, most, "WITHSCORES")
        rows = await self._client.do("ZRANGE", keys.MEMORY_ORDER(str(persona)), *newer)
        pairs = _pairs(rows)
        over = await self._over(persona) if pairs else {}
        found: list[Change] = []
        for at in range(0, len(pairs), BATCH):
            found += await self._read(persona, pairs[at : at + BATCH], over)
        return found

    async def get(self, persona: PersonaKey, ids: Sequence[str]) -> list[Memory]:
        """Those of these that are remembered."""
        over = await self._over(persona) if ids else {}
        return [change.memory for change in await self._read(persona, [(name, 0) for name in ids], over)]

    async def every(self, persona: PersonaKey) -> list[Memory]:
        """All, oldest first."""
        return sorted((change.memory for change in await self.since(persona)), key=lambda memory: memory.time)

    async def count(self, persona: PersonaKey) -> int:
        """How many there are."""
        return int(await self._client.do("HLEN", keys.MEMORIES(str(persona))))

    async def _over(self, persona: PersonaKey) -> dict[str, str]:
        flat = _flat(await self._client.do("HGETALL", keys.MEMORY_OVER(str(persona))))
        return {old.decode(): new.decode() for old, new in flat}

    async def _read(
        self, persona: PersonaKey, pairs: Sequence[tuple[str, int]], over: Mapping[str, str]
    ) -> list[Change]:  # fmt: skip
        if not pairs:
            return []
        names = [name for name, _ in pairs]
        bodies, vectors = await self._client.do_all(
            [("HMGET", key(str(persona)), *names) for key in (keys.MEMORIES, keys.MEMORY_VECTORS)], atomic=True
        )
        talks = {name: _talk(persona, name) for name in names}
        return [
            Change(name, seq, found, vector or b"")
            for (name, seq), body, vector in zip(pairs, bodies, vectors, strict=True)
            if body is not None and (found := read(name, body, talks[name], over.get(name, "")))
        ]

    # People.

    async def of_person(self, person: str) -> list[PersonaKey]:
        """The personas that remember somebody's words, or something of them."""
        found = await self._client.do("SMEMBERS", keys.REMEMBERED(person))
        return [PersonaKey.parse(name.decode()) for name in sorted(found)]

    async def about(self, person: str, persona: PersonaKey) -> list[Memory]:
        """What somebody said, what was answered, and what was made of it alone."""
        await self.take_in(persona)
        every = await self.every(persona)
        theirs = {memory.id for memory in every if memory.concerns(person)}
        return [
            memory
            for memory in every
            if (memory.id in theirs and set(memory.everybody()) <= {person})
            or (memory.ours and theirs & set(memory.sources))
        ]

    async def forget(self, person: str, persona: PersonaKey) -> int:
        """Everything with somebody's words in it goes, and all that was made of it. How many that were."""
        await self.take_in(persona)
        gone: set[str] = set()
        every = await self.every(persona)
        while more := {m.id for m in every if m.id not in gone and (m.concerns(person) or gone & set(m.sources))}:
            gone |= more
        went = await self.drop(persona, sorted(gone))
        name = str(persona)
        await self._client.do_all([("DEL", keys.MEMORY_BIN(name)), ("SREM", keys.REMEMBERED(person), name)])
        return went


def _talk(persona: PersonaKey, name: str) -> str:
    """The conversation of a turn, by its id."""
    return persona.conversation(name.partition("/")[0])


def noted(persona: PersonaKey, talk: str, line: str) -> list[Effect]:
    """The writes that let a line of ours be remembered."""
    (fresh, member), (waiting, name) = notes(persona, talk, line)
    return [("SADD", fresh, member), ("SADD", waiting, name)]


def notes(persona: PersonaKey, talk: str, line: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """(set, member) pairs that let a line be remembered."""
    name = str(persona)
    return (keys.MEMORY_FRESH(name), f"{talk}\n{line}"), (keys.MEMORY_WAITS.pattern, name)


def unsaid(persona: PersonaKey, talk: str, lines: Sequence[str]) -> list[Effect]:
    """The writes by which lines are neither remembered nor will be."""
    if not lines:
        return []
    name, ids = str(persona), [turn_id(talk, line) for line in lines]
    return [
        ("SREM", keys.MEMORY_FRESH(name), *(f"{talk}\n{line}" for line in lines)),
        ("HDEL", keys.MEMORIES(name), *ids),
        ("ZREM", keys.MEMORY_ORDER(name), *ids),
        ("HDEL", keys.MEMORY_VECTORS(name), *ids),
        ("HINCRBY", keys.MEMORY_STATE(name), "gone", 1),
    ]


def _keys(persona: PersonaKey) -> dict[str, str]:
    name = str(persona)
    return {
        "persona": name,
        "all": keys.MEMORIES(name),
        "order": keys.MEMORY_ORDER(name),
        "vectors": keys.MEMORY_VECTORS(name),
        "slots": keys.MEMORY_SLOTS(name),
        "over": keys.MEMORY_OVER(name),
        "state": keys.MEMORY_STATE(name),
        "fresh": keys.MEMORY_FRESH(name),
        "bin": keys.MEMORY_BIN(name),
        "waiting": keys.MEMORY_WAITS.pattern,
        "of": keys.REMEMBERED.pattern,
        "lines": keys.LINES.pattern,
    }


def _pairs(rows: Sequence[Any]) -> list[tuple[str, int]]:
    flat = [item for row in rows for item in (row if isinstance(row, list) else [row])]
    return [(flat[at].decode(), int(float(flat[at + 1]))) for at in range(0, len(flat), 2)]


def _flat(fields: Any) -> list[tuple[bytes, bytes]]:
    return list(fields.items() if isinstance(fields, dict) else zip(fields[::2], fields[1::2], strict=True))
