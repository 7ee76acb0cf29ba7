"""How far reflection has come with each persona, who is due, and reports of what was kept and dropped.

A report holds no text: the steps, why something was dropped, and the ids of the lines, which stand or fall with those.
Knows nothing of how anything is made.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from core.events import PersonaKey
from core.growth.changes import Reflected
from core.reflection.nouns import Output, Step
from core.store import keys
from core.store.client import Client, Effect
from core.store.personalities import Personalities, appended
from core.store.swap import swap

MOST = 20  # reports

_encode = msgspec.msgpack.Encoder().encode


class Noted(msgspec.Struct, frozen=True, omit_defaults=True):
    """One output without its text. `id`: of the memory it became, if it did."""

    step: Step
    sources: tuple[str, ...] = ()
    why: str = ""
    by: str = "rules"
    id: str = ""


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of reflecting on `turns` turns at `time` (seconds UTC)."""

    time: float
    turns: int
    noted: tuple[Noted, ...] = ()


class Reached(msgspec.Struct, frozen=True, omit_defaults=True):
    """`seq`: the last change of its memory that was reflected on. `since`: when the first turn behind it was (0: there
    is none). `card`: the hash of the card it last spoke with. `replies`: how many it has given since."""

    seq: int = 0
    since: float = 0.0
    card: str = ""
    replies: int = 0


_turns = msgspec.msgpack.Decoder(tuple[str, ...]).decode
_report = msgspec.msgpack.Decoder(Report).decode


class Reflections:
    """Every method raises StoreError."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def due(self, turns: int) -> list[PersonaKey]:
        """Those who have had so many turns since they were last reflected on, who had most first."""
        names = await self._client.do("ZRANGE", keys.REFLECT_DUE.pattern, "+inf", turns, "BYSCORE", "REV")
        return [PersonaKey.parse(name.decode()) for name in names]

    async def reached(self, persona: PersonaKey) -> Reached:
        """How far it has come."""
        name = str(persona)
        (seq, since, card), replies = await self._client.do_all(
            [("HMGET", keys.REFLECTED(name), "seq", "since", "card"), ("ZSCORE", keys.REFLECT_DUE.pattern, name)]
        )
        return Reached(int(seq or 0), float(since or 0), card.decode() if card else "", int(float(replies or 0)))

    async def advance(
        self, persona: PersonaKey, was: Reached, seq: int, report: Report | None, sources: Sequence[tuple[str, int]],
        more: Callable[[frozenset[str]], Sequence[Effect]], words: Sequence[str], now: float,
    ) -> bool:  # fmt: skip
        """It has come as far as `seq`: note that, with the writes that `more` gives, as one. False, and nothing is
        written, if somebody else has come that far meanwhile.

        `sources`: (turn, number of its change) of what `more` rests on; it is told which of these are gone or changed.
        `words`: the turns that its new words about itself are made of, if there are new ones.
        """
        name, done = str(persona), False
        order = keys.MEMORY_ORDER(name)
        reads: list[Effect] = [("HGET", keys.REFLECTED(name), "seq"), ("ZSCORE", keys.REFLECT_DUE.pattern, name)]
        reads += [("ZSCORE", order, source) for source, _ in sources]

        def decide(found: list[bytes | None]) -> list[Effect]:
            nonlocal done
            done = int(found[0] or 0) == was.seq
            if not done:
                return []
            pairs = zip(sources, found[2:], strict=True)
            stale = frozenset(source for (source, seq_), score in pairs if score is None or int(float(score)) != seq_)
            effects: list[Effect] = [("HSET", keys.REFLECTED(name), "seq", seq, "time", now)]
            effects += [("ZINCRBY", keys.REFLECT_DUE.pattern, -was.replies, name)] if was.replies else []
            effects.append(("ZREMRANGEBYSCORE", keys.REFLECT_DUE.pattern, "-inf", 0))
            later = float(found[1] or 0) > was.replies
            since: Effect = ("HSET", keys.REFLECTED(name), "since", now)
            effects.append(since if later else ("HDEL", keys.REFLECTED(name), "since"))
            if words and not stale & set(words):
                effects.append(("HSET", keys.REFLECTED(name), "words", _encode(tuple(words))))
            if report:
                listed = keys.REFLECTIONS(name)
                effects += [("LPUSH", listed, _encode(report)), ("LTRIM", listed, 0, MOST - 1)]
            return [*effects, *more(stale)]

        await swap(self._client, reads, decide)
        return done

    async def reports(self, persona: PersonaKey) -> list[Report]:
        """What was made of what, newest first."""
        return [_report(body) for body in await self._client.do("LRANGE", keys.REFLECTIONS(str(persona)), 0, -1)]

    async def forget(self, persona: PersonaKey) -> None:
        """No report of it is left."""
        await self._client.do("DEL", keys.REFLECTIONS(str(persona)))

    async def carry(self, old: PersonaKey, new: PersonaKey, seq: int, turns: Mapping[str, str]) -> None:
        """`new` has come as far as `seq`, which is as far as `old` had; `turns`: what each is called from now on.

        Reports stay behind: they name what was, and the memories that came of it say the same.
        """
        was, names = await self.reached(old), (str(old), str(new))
        if not await self._client.do("EXISTS", keys.REFLECTED(names[0])):
            return  # it has moved already
        about = ["seq", seq, "card", was.card, *(("since", was.since) if was.since else ())]
        if words := await self._client.do("HGET", keys.REFLECTED(names[0]), "words"):
            about += ["words", _encode([turns.get(turn, turn) for turn in _turns(words)])]
        effects: list[Effect] = [("HSET", keys.REFLECTED(names[1]), *about)]
        effects += [("ZINCRBY", keys.REFLECT_DUE.pattern, was.replies, names[1])] if was.replies else []
        gone = (keys.REFLECTED(names[0]), keys.REFLECTIONS(names[0]))
        await self._client.do_all([*effects, ("ZREM", keys.REFLECT_DUE.pattern, names[0]), ("DEL", *gone)])


async def silenced(client: Client, persona: PersonaKey, turn: str) -> None:
    """A turn reads differently or is gone: what it made of itself with it, it does not say any more."""
    about = keys.REFLECTED(str(persona))
    words = await client.do("HGET", about, "words")
    if not words or turn not in _turns(words):
        return
    day = (await Personalities(client).read(persona)).state.day
    change = Reflected(id=f"unsaid:{turn}", time=time.time(), day=day, silent=True)
    await client.do_all([*appended(persona, [change]), ("HDEL", about, "words")])


def turned(persona: PersonaKey, card: str, now: float) -> list[Effect]:
    """The writes that note a reply, given with the card of this hash: with some more of them, it is time to reflect."""
    name = str(persona)
    about = keys.REFLECTED(name)
    return [
        ("ZINCRBY", keys.REFLECT_DUE.pattern, 1, name),
        ("HSETNX", about, "since", now),
        ("HSET", about, "card", card),
    ]


def noted(made: Output, id: str = "") -> Noted:
    """An output as a report keeps it: why it was dropped, without the words that were dropped."""
    return Noted(made.step, made.sources, re.sub(r"[:'].*", "", made.why, flags=re.DOTALL).strip(), made.by, id)
