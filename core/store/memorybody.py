"""A memory as bytes in Redis: what was said lies as the line of talk that it was, anything else behind the letter M.

`core/store/memories.lua` tells them apart by that letter. Knows no key.
"""

import logging

import msgspec

from core.events import Line
from core.memory import Kind, Memory, turn, weigh

log = logging.getLogger("limen.store")
_encode = msgspec.msgpack.Encoder().encode
_line = msgspec.msgpack.Decoder(Line).decode
_memory = msgspec.msgpack.Decoder(Memory).decode
_MADE = b"M"


def read(name: str, body: bytes, talk: str = "", superseded_by: str = "") -> Memory | None:
    """A memory as it lies in Redis; None if it is damaged. `talk` is the conversation, if it is a line of one."""
    try:
        if body[:1] != _MADE:
            return turn(talk, _line(body))
        memory = _memory(body[1:])
    except msgspec.DecodeError:
        log.warning("the memory %s is damaged and left out", name)
        return None
    return msgspec.structs.replace(memory, superseded_by=superseded_by) if superseded_by else memory


def row(memory: Memory) -> tuple[str | bytes | float, ...]:
    """What `put` of memories.lua wants of a memory: id, body, slot, time and people."""
    slot = f"{memory.author.id}|{memory.slot}" if memory.slot and memory.kind in (Kind.FACT, Kind.NOTE) else ""
    people = dict.fromkeys(memory.everybody())
    return (
        memory.id,
        _MADE + _encode(msgspec.structs.replace(memory, superseded_by="")),
        slot,
        memory.time,
        _encode([*people]),
    )


def reworded(body: bytes, text: str) -> bytes:
    """A turn with another text; empty if the body is damaged."""
    try:
        if body[:1] != _MADE:
            return _encode(msgspec.structs.replace(_line(body), text=text))
        return _MADE + _encode(msgspec.structs.replace(_memory(body[1:]), text=text, importance=weigh(text)))
    except msgspec.DecodeError:
        return b""
