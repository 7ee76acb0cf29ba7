"""What a persona has become, when its room gets another id: `room.py` knows the way, this carries it there."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

import msgspec

from core.growth import changes
from core.store import keys
from core.store.client import Client, Effect
from core.store.swap import swap

_READS = (
    ("XRANGE", keys.SELF, "-", "+"),
    ("HGETALL", keys.SELF_AT),
    ("HGETALL", keys.SELF_DAYS),
    ("SMEMBERS", keys.FELT),
)


class Way(Protocol):
    """As much of `core.moving.Route` as this needs."""

    def talk(self, conversation: str) -> str: ...
    def answers(self, messages: Sequence[str]) -> tuple[str, ...]: ...


async def become(client: Client, way: Way, old: str, new: str) -> None:
    """The personality of `old` is that of `new`. What happened under the new id meanwhile happened later.

    Said again behind a crash, it goes on: who is known there is noted before, and unsaid after.
    """
    knew = [name for name in await client.scan(keys.SELVES("*")) if await client.do("SISMEMBER", name, old)]
    await client.do_all(("SADD", name, new) for name in knew)
    reads = [(verb, key(name), *more) for name in (old, new) for verb, key, *more in _READS]
    await swap(client, reads, _together(way, old, new))
    await client.do_all(("SREM", name, old) for name in knew)


def _together(way: Way, old: str, new: str) -> Callable[[list[Any]], list[Effect]]:
    """The writes that make one history of two: that of the new id behind the old one's snapshot, days are the old."""

    def decide(found: list[Any]) -> list[Effect]:
        (was, at, days, felt), (now, _, _, felt_new) = found[:4], found[4:]
        if not (was or at or felt):
            return []
        effects: list[Effect] = [("DEL", *(key(new) for _, key, *_ in _READS))]
        pairs = ((keys.SELF_AT, at), (keys.SELF_DAYS, days), (keys.FELT, felt))
        effects += [("RENAME", key(old), key(new)) for key, there in pairs if there]
        effects += [("XADD", keys.SELF(new), id, "b", _moved(way, fields[1])) for id, fields in was]
        effects += [("XADD", keys.SELF(new), "*", "b", fields[1]) for _, fields in now]
        effects += [("HINCRBY", keys.SELF_AT(new), "written", len(now))] if now else []
        effects += [("SADD", keys.FELT(new), *felt_new)] if felt_new else []
        return [*effects, ("DEL", keys.SELF(old))]

    return decide


def _moved(way: Way, body: bytes) -> bytes:
    """A change, with what it points at. One that cannot be read stays as it is."""
    with suppress(msgspec.MsgspecError):
        change = changes.decode(body)
        causes = change.causes if isinstance(change, changes.Rated) else way.answers(change.causes)
        there = {"where": way.talk(change.where)} if isinstance(change, changes.Talked) else {}
        return changes.encode(msgspec.structs.replace(change, causes=causes, **there))
    return body
