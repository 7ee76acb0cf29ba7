"""What was said in each conversation: lines in order, capped, with a start that moves on as history is compacted.

A reply lies right behind what it answered, even when others spoke meanwhile. Knows nothing of prompts.
"""

from collections.abc import Sequence

import msgspec

from core.events import Line, Message, PersonaKey, Place
from core.files import edited
from core.store import keys
from core.store.client import Client, Effect
from core.store.memories import notes
from core.store.queue import Heard

IDLE = 1800.0  # seconds without a reply that end a session

ABOUT = ("start", "summary", "people", "session", "spoke")

_encode = msgspec.msgpack.Encoder().encode
_line = msgspec.msgpack.Decoder(Line).decode


class Talk(msgspec.Struct, frozen=True):
    """A conversation as far as the next prompt needs it. `scores` are the lines' positions in the order.

    `summary` stands for what was compacted away, and `people` are the ids of those who said it. `session` is the
    number of the latest one, in which we last spoke at `spoke` (seconds UTC; 0: never).
    """

    lines: tuple[Line, ...] = ()
    scores: tuple[float, ...] = ()
    summary: str = ""
    people: tuple[str, ...] = ()
    session: int = 0
    spoke: float = 0.0

    def session_at(self, now: float) -> int:
        """The number of the session that something said at `now` belongs to."""
        return self.session + (self.spoke > 0 and now - self.spoke > IDLE)


def heard(persona: PersonaKey, place: Place, message: Message, text: str) -> Heard:
    """A message as a line for the queue's `accept` to keep; notes who spoke where, for `forget` and `export`, and that
    it is to be remembered."""
    talk = persona.conversation(place)
    line = Line(message.id, message.author, text, message.time)
    remember = (word for pair in notes(persona, talk, message.id) for word in pair)
    index = (keys.TALKS(str(persona)), talk, keys.SPOKE_IN(message.author.id), talk, *remember)
    return Heard(conversation=talk, id=message.id, body=_encode(line), index=index)


class Conversations:
    """Histories, by conversation id. Every method raises StoreError."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def talk(self, conversation: str, most: int = 1000) -> Talk:
        """The last `most` lines since the start that compaction left, oldest first, and the summary of the rest."""
        about = await self._client.do("HMGET", keys.TALK(conversation), *ABOUT)
        start, summary, people, session, spoke = (body.decode() if body else "" for body in about)
        newest_first = ("+inf", start or "-inf", "BYSCORE", "REV", "LIMIT", 0, most, "WITHSCORES")
        rows = await self._client.do("ZRANGE", keys.ORDER(conversation), *newest_first)
        pairs = sorted(_pairs(rows), key=lambda pair: pair[1])
        found = await self._lines(conversation, [line_id for line_id, _ in pairs])
        kept = [(line, score) for line, (_, score) in zip(found, pairs, strict=True) if line]
        return Talk(
            tuple(line for line, _ in kept), tuple(score for _, score in kept), summary, tuple(people.splitlines()),
            int(session or 0), float(spoke or 0),
        )  # fmt: skip

    async def last(self, conversation: str, most: int) -> list[Line]:
        """The last `most` lines, compacted or not, oldest first."""
        for _ in range(3):
            ids = await self._client.do("ZRANGE", keys.ORDER(conversation), -most, -1)
            lines = await self._lines(conversation, ids)
            if all(lines):
                break  # else one was replaced between the two, by a reply that was given again
        return [line for line in lines if line]

    async def reminded(self, conversation: str) -> list[str]:
        """Ids of the memories that our last reply was given, what mattered most first."""
        found = await self._client.do("HGET", keys.TALK(conversation), "recalled")
        return found.decode().splitlines() if found else []

    async def count(self, conversation: str) -> int:
        """How many lines are kept."""
        return int(await self._client.do("ZCARD", keys.ORDER(conversation)))

    async def _lines(self, conversation: str, ids: Sequence[bytes]) -> list[Line | None]:
        if not ids:
            return []
        bodies = await self._client.do("HMGET", keys.LINES(conversation), *ids)
        return [_line(body) if body else None for body in bodies]

    async def edit(self, conversation: str, message: str, text: str) -> bool:
        """A line reads differently now; files that came with it stay. False if it is not (or no longer) kept."""
        (line,) = await self._lines(conversation, [message.encode()])
        if line is None:
            return False
        changed = msgspec.structs.replace(line, text=edited(text, line.text))
        await self._client.do("HSET", keys.LINES(conversation), message, _encode(changed))
        return True

    async def delete(self, conversation: str, message: str) -> bool:
        """A line is gone. False if it was not kept."""
        gone, _ = await self._client.do_all(
            [("ZREM", keys.ORDER(conversation), message), ("HDEL", keys.LINES(conversation), message)]
        )
        return bool(gone)

    async def erase(self, persona: PersonaKey, conversation: str) -> None:
        """Everything of one conversation."""
        names = [key(conversation) for key in (keys.ORDER, keys.LINES, keys.SEQUENCE, keys.TALK)]
        await self._client.do_all([("DEL", *names), ("SREM", keys.TALKS(str(persona)), conversation)])

    async def of_person(self, person: str, persona: PersonaKey | None = None) -> list[str]:
        """Ids of the conversations in which somebody spoke: all, or those of one persona."""
        sets = [keys.SPOKE_IN(person), *([keys.TALKS(str(persona))] if persona else [])]
        return sorted(talk.decode() for talk in await self._client.do("SINTER", *sets))


def said(conversation: str, reply: Line, after: float, instead_of: Sequence[str] = ()) -> list[Effect]:
    """The writes that put our reply behind position `after`, in the place of earlier ones if it was regenerated."""
    order, lines = keys.ORDER(conversation), keys.LINES(conversation)
    effects: list[Effect] = [("ZREM", order, *instead_of), ("HDEL", lines, *instead_of)] if instead_of else []
    return [*effects, ("ZADD", order, after + 0.5, reply.id), ("HSET", lines, reply.id, _encode(reply))]


def compacted(conversation: str, start: float, summary: str, people: Sequence[str]) -> list[Effect]:
    """The writes that let history begin at position `start`, with a summary of what `people` said before."""
    return [("HSET", keys.TALK(conversation), "start", start, "summary", summary, "people", "\n".join(people))]


def spoken(conversation: str, session: int, now: float) -> list[Effect]:
    """The writes that note that we spoke now, in this session."""
    return [("HSET", keys.TALK(conversation), "session", session, "spoke", now)]


def recalling(conversation: str, memories: Sequence[str]) -> list[Effect]:
    """The writes that note what our last reply was reminded of."""
    return [("HSET", keys.TALK(conversation), "recalled", "\n".join(memories))]


def _pairs(rows: Sequence[object]) -> list[tuple[bytes, float]]:
    flat = [item for row in rows for item in (row if isinstance(row, list) else [row])]
    return [(flat[i], float(flat[i + 1])) for i in range(0, len(flat), 2)]  # type: ignore[misc, arg-type]
