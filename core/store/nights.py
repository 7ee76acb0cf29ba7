"""What nights found, who still waits for one, and who is at it: results, the run's last success, leases.

A lease is held under a token that names its holder; whoever is silent for too long loses it to another. Knows nothing
of training.
"""

import hashlib
import re
import time
from collections.abc import Iterable, Sequence

import msgspec

from core.events import PersonaKey, quote
from core.jobs import Done
from core.nights import Night, Ratings
from core.store import keys
from core.store.client import Client, Effect
from core.store.ledger import FORGOTTEN
from core.store.loras import common

LEASE = 60.0  # seconds without a sign of life, after which somebody else may begin
MOST = 60  # nights that are kept of a persona
RUN = "run"  # the lease on the nightly run as a whole

_encode = msgspec.msgpack.Encoder().encode
_night = msgspec.msgpack.Decoder(Night).decode

# Only the holder may lengthen or end a lease: another may have it by now.
_RENEW = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('PEXPIRE', KEYS[1], ARGV[2]) or 0"
_END = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0"


class Last(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a nightly run ended. `began` and `ended` in seconds UTC; `trouble`: why it did not get to its end."""

    began: float
    ended: float
    nights: int = 0
    failed: int = 0
    left: int = 0
    trouble: str = ""


class Lease:
    """The right to be the only one at something. Held until `end`, or until it was not renewed for `seconds`."""

    def __init__(self, client: Client, name: str, holder: str, seconds: float) -> None:
        self._client, self._key, self.holder, self.seconds = client, keys.NIGHT_LEASE(name), holder, seconds

    async def renew(self) -> bool:
        """Keep it for as long again. False: it is not ours any more."""
        return bool(await self._client.script(_RENEW, [self._key], [self.holder, round(self.seconds * 1000)]))

    async def end(self) -> None:
        """Let the next one begin at once. One that is not ours stays."""
        await self._client.script(_END, [self._key], [self.holder])


class Nights:
    """Every method raises StoreError."""

    def __init__(self, client: Client) -> None:
        self._client = client

    # Results.

    async def keep(self, night: Night) -> None:
        """Keep a night, without whoever was forgotten since it began; the oldest of its persona beyond `MOST` go."""
        persona, night = str(night.persona), await self._with_nobody_gone(night)
        of, name = keys.NIGHTS_OF(persona), keys.NIGHT(quote(night.id))
        await self._client.do_all(
            [
                ("SET", name, _encode(night), "EX", keys.NIGHT_FOR),
                ("ZADD", of, night.began, night.id),
                ("EXPIRE", of, keys.NIGHT_FOR),
                ("ZADD", keys.NIGHTS.pattern, night.began, night.id),
                ("ZREMRANGEBYSCORE", keys.NIGHTS.pattern, "-inf", time.time() - keys.NIGHT_FOR),
                *(("ZADD", keys.COUNTED_IN(one.user), night.began, night.id) for one in night.ratings.people),
                *(("EXPIRE", keys.COUNTED_IN(one.user), keys.NIGHT_FOR) for one in night.ratings.people),
            ]
        )
        await self._drop([id.decode() for id in await self._client.do("ZRANGE", of, 0, -MOST - 1)], of)

    async def _with_nobody_gone(self, night: Night) -> Night:
        gone = set(await self._client.do("ZRANGE", keys.NIGHT_GONE.pattern, night.began, "+inf", "BYSCORE"))
        for user in [one.user for one in night.ratings.people]:
            if gone & {_mark(user), _mark(f"{user}|{night.persona}")}:
                night = without(night, user)
        return msgspec.structs.replace(night, samples=()) if _mark(str(night.persona)) in gone else night

    async def _drop(self, ids: Sequence[str], of: str) -> None:
        if ids:
            names = [keys.NIGHT(quote(id)) for id in ids]
            await self._client.do_all([("DEL", *names), ("ZREM", of, *ids), ("ZREM", keys.NIGHTS.pattern, *ids)])

    async def get(self, id: str) -> Night | None:
        """A night by its id, or None when it is not kept."""
        return next(iter(await self._read([id])), None)

    async def of(self, persona: PersonaKey, most: int = MOST) -> list[Night]:
        """The nights of a persona, newest first."""
        return await self._range(keys.NIGHTS_OF(str(persona)), most)

    async def latest(self, most: int = 20) -> list[Night]:
        """The nights of all personas, newest first."""
        return await self._range(keys.NIGHTS.pattern, most)

    async def count(self) -> int:
        """How many are kept, of all personas."""
        return int(await self._client.do("ZCARD", keys.NIGHTS.pattern))

    async def _range(self, key: str, most: int) -> list[Night]:
        return await self._read([id.decode() for id in await self._client.do("ZRANGE", key, 0, most - 1, "REV")])

    async def _read(self, ids: Sequence[str]) -> list[Night]:
        bodies = await self._client.do_all([("GET", keys.NIGHT(quote(id))) for id in ids], atomic=False)
        return [_night(body) for body in bodies if body]

    # The nightly run as a whole.

    async def ran(self, last: Last) -> None:
        """A run has ended; without trouble, it is the last success too."""
        success: list[Effect] = [] if last.trouble else [("HSET", keys.NIGHT_RUN.pattern, "success", last.began)]
        await self._client.do_all([("HSET", keys.NIGHT_RUN.pattern, "last", _encode(last)), *success])

    async def last(self) -> Last | None:
        """How the last run ended; None before the first."""
        body = await self._client.do("HGET", keys.NIGHT_RUN.pattern, "last")
        return msgspec.msgpack.decode(body, type=Last) if body else None

    async def last_success(self) -> float:
        """When the last run that got to its end began, in seconds UTC; 0 before the first."""
        return float(await self._client.do("HGET", keys.NIGHT_RUN.pattern, "success") or 0)

    async def count_from(self, now: float) -> None:
        """Where there was no run yet: there is nothing to catch up with from before `now`."""
        await self._client.do("HSETNX", keys.NIGHT_RUN.pattern, "success", now)

    async def count_again_from(self, now: float) -> None:
        """The last success was in a future that did not come, for the clock was put back: it counts as one of `now`."""
        await self._client.do("HSET", keys.NIGHT_RUN.pattern, "success", now)

    async def leave(self, personas: Iterable[PersonaKey]) -> None:
        """These are first the next night, in this order."""
        rest = [str(persona) for persona in personas]
        key = keys.NIGHTS_LEFT.pattern
        await self._client.do_all([("DEL", key), *([("RPUSH", key, *rest)] if rest else [])])

    async def begin(self, persona: PersonaKey) -> None:
        """It is this one's turn: they are not left any more, whatever comes."""
        await self._client.do("LREM", keys.NIGHTS_LEFT.pattern, 1, str(persona))

    async def at_work(self, persona: PersonaKey) -> None:
        """Their night begins. Until `end`, it counts as cut off."""
        await self._client.do("HINCRBY", keys.NIGHTS_CUT.pattern, str(persona), 1)

    async def end(self, persona: PersonaKey) -> None:
        """Their night came to an end, whichever."""
        await self._client.do("HDEL", keys.NIGHTS_CUT.pattern, str(persona))

    async def excuse(self, persona: PersonaKey) -> None:
        """That their night was cut off once more does not count; that it has not ended does."""
        await self._client.do("HINCRBY", keys.NIGHTS_CUT.pattern, str(persona), -1)

    async def cut_off(self) -> dict[PersonaKey, int]:
        """Whose last night began and never ended, and how many times in a row."""
        found = await self._client.do("HGETALL", keys.NIGHTS_CUT.pattern)
        pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
        return {PersonaKey.parse(name.decode()): int(count) for name, count in pairs}

    async def left(self) -> list[PersonaKey]:
        """Who was left for the next night."""
        names = await self._client.do("LRANGE", keys.NIGHTS_LEFT.pattern, 0, -1)
        return [PersonaKey.parse(name.decode()) for name in names]

    async def tell(self, note: Done) -> None:
        """Put a note with the replies of its bot account: whoever carries those brings it. Kept for a day."""
        stream = keys.REPLIES(note.persona.account)
        entry = ("XADD", stream, "*", "b", _encode(note))
        await self._client.do_all([entry, ("EXPIRE", stream, keys.STREAM_FOR)])

    # Leases.

    async def lease(self, name: str, holder: str, seconds: float = LEASE) -> Lease | None:
        """Take the lease on a persona (its key as text) or on `RUN`; None while somebody else has it."""
        taken = ("SET", keys.NIGHT_LEASE(name), holder, "NX", "PX", round(seconds * 1000))
        return Lease(self._client, name, holder, seconds) if await self._client.do(*taken) else None

    async def holder(self, name: str) -> str:
        """Who has a lease; empty if nobody does."""
        found = await self._client.do("GET", keys.NIGHT_LEASE(name))
        return found.decode() if found else ""

    async def disown(self, name: str, holder: str) -> None:
        """End the lease of somebody who is known to be dead."""
        await Lease(self._client, name, holder, LEASE).end()

    # Whose data it is.

    async def about(self, person: str) -> list[Night]:
        """The nights that counted somebody's votes, newest first."""
        return await self._range(keys.COUNTED_IN(person), 100_000)

    async def forgot(self, personas: Sequence[PersonaKey]) -> set[PersonaKey]:
        """Those by which somebody was forgotten within the last days (`keys.FORGOT_FOR`)."""
        if not personas:
            return set()
        found = await self._client.do("ZMSCORE", keys.NIGHT_GONE.pattern, *(_mark(str(one)) for one in personas))
        return {one for one, score in zip(personas, found, strict=True) if score is not None}

    async def forget(self, person: str, personas: Iterable[PersonaKey], everywhere: bool) -> int:
        """Take somebody out of what nights found: their part, their id wherever it is named, and the samples, which
        may quote them. Of `personas`, those they talked with, and of what these learn together with others of their
        card; `everywhere`: of all that counted them. How many nights.
        """
        ours = {key for one in personas for key in (one, common(one))}
        now, marked = time.time(), keys.NIGHT_GONE.pattern
        marks = [_mark(mark) for persona in ours for mark in (str(persona), f"{person}|{persona}")]
        marks += [_mark(person)] if everywhere else []
        pairs = [word for mark in marks for word in (now, mark)]
        effects: list[Effect] = [("ZADD", marked, *pairs)] if pairs else []
        await self._client.do_all([*effects, ("ZREMRANGEBYSCORE", marked, "-inf", now - keys.FORGOT_FOR)])
        told = {night.id: night for persona in ours for night in await self.of(persona)}
        counted = {night.id: night for night in await self.about(person) if everywhere or night.persona in ours}
        for night in (told | counted).values():
            clean = _encode(without(night, person))
            await self._client.do("SET", keys.NIGHT(quote(night.id)), clean, "XX", "KEEPTTL")
        if everywhere:
            await self._client.do("DEL", keys.COUNTED_IN(person))
        elif counted:
            await self._client.do("ZREM", keys.COUNTED_IN(person), *counted)
        return len(told | counted)


def without(night: Night, person: str) -> Night:
    """A night with nothing left of somebody: not their part, not their id, not the samples."""
    people = tuple(one for one in night.ratings.people if one.user != person)
    heard = max(0, night.ratings.heard - (len(night.ratings.people) - len(people)))
    ratings: Ratings = msgspec.structs.replace(night.ratings, people=people, heard=heard)
    checks = tuple(msgspec.structs.replace(check, why=_unnamed(check.why, person)) for check in night.checks)
    return msgspec.structs.replace(
        night, ratings=ratings, checks=checks, samples=(),
        reasons=tuple(_unnamed(text, person) for text in night.reasons),
        notes=tuple(_unnamed(text, person) for text in night.notes),
    )  # fmt: skip


def _mark(name: str) -> bytes:
    """Enough to know again who was forgotten while a night was going on, and not who that was."""
    return hashlib.sha256(name.encode()).hexdigest()[:24].encode()


def _unnamed(text: str, person: str) -> str:
    """A text that names somebody no more; an id that only begins like theirs is another's."""
    return re.sub(rf"(?<!\w){re.escape(person)}(?!\w)", FORGOTTEN, text)
