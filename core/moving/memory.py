"""What a persona remembers, when its room gets another id: `room.py` knows the way, this carries it there.

Turns keep their ids in the new room's words, so that what is edited or deleted there is still found.
"""

from collections.abc import Iterator
from typing import Protocol

import msgspec

from core.events import Line, PersonaKey
from core.memory import Memory, turn_id
from core.store import keys
from core.store.client import Client
from core.store.memories import Memories, notes
from core.store.reflections import Reflections


class Way(Protocol):
    """As much of `core.moving.Route` as this needs."""

    def persona(self, persona: PersonaKey) -> PersonaKey: ...
    def talk(self, conversation: str) -> str: ...
    def message(self, message: str) -> str: ...
    def line(self, line: Line) -> Line: ...


async def remembering(client: Client, pattern: str) -> list[str]:
    """Names of the personas that have memories, or will have; `pattern` is one of names."""
    found: set[str] = set()
    for key in (keys.MEMORY_STATE, keys.MEMORY_FRESH):
        before, _, behind = key.pattern.partition("{}")
        found |= {name.removeprefix(before).removesuffix(behind) for name in await client.scan(key(pattern))}
    return sorted(found)


async def carry(client: Client, way: Way, old: PersonaKey) -> None:
    """All memories of `old` are those of the persona that it is from now on. Talk has moved already.

    Said again behind a crash, it goes on: what is there is written anew as it is, and the old goes last.
    """
    new, memories = way.persona(old), Memories(client)
    await _fresh(client, way, old)
    changes = await memories.since(old)
    ids = dict(_renamed(way, [change.memory for change in changes]))
    moved = [(_moved(way, change.memory, ids), change.vector) for change in changes]
    await memories.add(new, [memory for memory, _ in moved])
    numbers = {change.id: change.seq for change in await memories.since(new)}
    pairs = list(zip(changes, moved, strict=True))
    vectors = {(memory.id, numbers[memory.id]): vector for memory, vector in moved if vector and memory.id in numbers}
    await memories.keep_vectors(new, vectors)
    people = {person for change in changes for person in change.memory.everybody()}
    await client.do_all(("SREM", keys.REMEMBERED(person), str(old)) for person in sorted(people))
    reached = (await Reflections(client).reached(old)).seq
    behind = [numbers.get(memory.id, 0) for change, (memory, _) in pairs if change.seq <= reached]
    await Reflections(client).carry(old, new, max(behind, default=0), ids)
    await memories.erase(old)
    await client.do("DEL", keys.MEMORY_STATE(str(old)))


async def _fresh(client: Client, way: Way, old: PersonaKey) -> None:
    """What waits to be remembered waits under its new name; which of the two names it has, talk will tell."""
    for member in await client.do("SMEMBERS", keys.MEMORY_FRESH(str(old))):
        talk, _, line = member.decode().rpartition("\n")
        for name in (line, way.message(line)):
            await client.do_all(("SADD", *pair) for pair in notes(way.persona(old), way.talk(talk), name))


def _renamed(way: Way, memories: list[Memory]) -> Iterator[tuple[str, str]]:
    for memory in memories:
        if memory.line:
            yield memory.id, turn_id(way.talk(memory.talk), _line(way, memory))


def _line(way: Way, memory: Memory) -> str:
    if memory.ours or way.talk(memory.talk) == memory.talk:
        return memory.line
    return way.message(memory.line)


def _moved(way: Way, memory: Memory, ids: dict[str, str]) -> Memory:
    sources = tuple(ids.get(source, source) for source in memory.sources)
    if not memory.line:
        return msgspec.structs.replace(memory, sources=sources, superseded_by="")
    return msgspec.structs.replace(
        memory, id=ids[memory.id], talk=way.talk(memory.talk), line=_line(way, memory), sources=sources
    )
