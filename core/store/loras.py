"""Which LoRA each persona serves with: the live version, one on trial (canary), and those that were live before.

Holds names of versions only, and whose words are in them; their files are in the LoRA store (`worker/lora/store.py`).
Every change is one script.
"""

import hashlib
import re
import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from itertools import count, takewhile
from math import inf

import msgspec

from core.errors import LoraError
from core.events import PersonaKey
from core.jobs import BASE
from core.store import keys
from core.store.client import Client, Effect, Value

SCRIPT = files("core.store").joinpath("loras.lua").read_text()
FALLBACKS = 2  # earlier versions that may speak when a better one cannot be loaded
LONGEST_REASON = 1000
CARD = "*"  # the scope of the LoRA that all scopes of a card share (`night.pool`)
NIGHT, COMMAND, FORGOTTEN = "night", "command", "forgotten"  # why something went live; a pin holds against the first
LOST = ("trial: worse", "trial: over")  # how the reasons begin of what is in the history and was never live
NOTHING_LEFT = ("rollback", "removed", FORGOTTEN)  # why the base is live that nobody chose


class Past(msgspec.Struct, frozen=True):
    """A version went live, or lost its trial: when (seconds UTC) and why.

    `night`, `command`, `rollback`, `removed`, `forgotten`, or what reactions said (`trial: …`). `gone`: its files were
    deleted since, for nobody went back to it.
    """

    version: str
    time: float
    why: str
    gone: bool = False


class Serving(msgspec.Struct, frozen=True):
    """What a persona serves with. `canary`: on trial since `began`, in a `share` (0 to 1) of its sessions, if any.

    `before`: what a rollback goes back to, the latest first; a version that was rolled back is not among them.
    `history`: everything that went live, or lost its trial, newest first. `pinned`: no night changes what serves.
    `touched`: when somebody last changed it by hand, in seconds UTC.
    """

    live: str = BASE
    canary: str = ""
    share: float = 0.0
    before: tuple[str, ...] = ()
    history: tuple[Past, ...] = ()
    pinned: bool = False
    began: float = 0.0
    touched: float = 0.0

    @property
    def untaught(self) -> bool:
        """Is there nothing of its own, or no more? The base is live then, and nobody chose it: neither a trial nor the
        rollback of its only version does."""
        if self.live != BASE or self.pinned or self.before:  # over something, the base is live where it was chosen
            return False
        chosen = (past.why for past in self.history if past.version == BASE and not past.why.startswith(LOST))
        return next(chosen, "") in ("", *NOTHING_LEFT)

    def over(self, common: "Serving") -> "Serving":
        """What really serves, where all scopes of the card have something in `common`: that, if there is nothing of its
        own, and a trial of its own on top of it."""
        if not self.untaught:
            return self
        if not self.canary:
            return common
        return msgspec.structs.replace(common, canary=self.canary, share=self.share, began=self.began)


class Made(msgspec.Struct, frozen=True, omit_defaults=True):
    """What must be known of a version without its files: whose it is, on which base, and what it began with."""

    persona: str
    base_hash: str = ""
    parent: str = ""


class Stopped(msgspec.Struct, frozen=True):
    """Versions that serve no more, and the personas that served with one of them until now."""

    versions: tuple[str, ...] = ()
    personas: frozenset[PersonaKey] = frozenset()


class Due(msgspec.Struct, frozen=True):
    """A version that somebody asked to be forgotten by, since when (seconds UTC), and whose it is, where known."""

    version: str
    since: float
    persona: PersonaKey | None


class Fault(msgspec.Struct, frozen=True):
    """A version that a worker could not load, and why. `time`: when it said so last, `since`: first, in seconds UTC."""

    version: str
    reason: str
    time: float
    since: float = 0.0


_DAY = re.compile(r"-[0-9a-f]{8}/(\d{8})-\d+$")

_serving = msgspec.msgpack.Decoder(Serving).decode
_made = msgspec.msgpack.Decoder(Made).decode
_encode = msgspec.msgpack.Encoder().encode


def preferred(serving: Serving, lot: float) -> tuple[str, ...]:
    """Versions for one reply, the best first: canary if its lot (0 to 1) is below the share, live, then earlier good
    ones. The base, which comes last, is not named; nor is anything that was good before the base was.
    """
    tried = (serving.canary,) if serving.canary and lot < serving.share else ()
    wishes = dict.fromkeys((*tried, serving.live, *serving.before[:FALLBACKS]))
    return tuple(takewhile(lambda version: version != BASE, wishes))


def drawn(key: str) -> float:
    """A lot in [0, 1) that is always the same for a key: a reply, or a session of one of many conversations."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6]) / 2**48


def alternating(number: int) -> float:
    """The lot of the n-th session where there is a single conversation: 0, ½, ¼, ¾, ⅛, … (van der Corput).

    With a share of one half every second session is below it, with one quarter every fourth: chance could give a
    single person the same side for a week.
    """
    return int(f"{number:b}"[::-1], 2) / (1 << number.bit_length())


def family(persona: PersonaKey) -> str:
    """What the versions of one persona have before their `/`."""
    return f"{persona.card}-{hashlib.sha256(str(persona).encode()).hexdigest()[:8]}"


def common(persona: PersonaKey) -> PersonaKey:
    """Whose LoRA all scopes of a card share."""
    return msgspec.structs.replace(persona, scope=CARD)


def made_by(version: str) -> float:
    """By when a version was made, in seconds UTC, as its name says; infinity where that says nothing."""
    found = _DAY.search(version)
    try:
        day = datetime.strptime(found[1] if found else "", "%Y%m%d").replace(tzinfo=UTC)
        return (day + timedelta(days=2)).timestamp()  # wherever it was
    except (ValueError, OverflowError):
        return inf


def fresh(persona: PersonaKey, day: str, taken: Collection[str]) -> str:
    """A name for a new version, made on `day` (`20261121`), that is none of those `taken`."""
    names = (f"{family(persona)}/{day}-{number}" for number in count(1))
    return next(name for name in names if name not in taken)


class Loras:
    """Every method raises StoreError."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def serving(self, persona: PersonaKey) -> Serving:
        """What a persona serves with now."""
        body = await self._client.do("GET", keys.LORA(str(persona)))
        return _serving(body) if body else Serving()

    async def spoken(self, persona: PersonaKey, pool: bool) -> Serving:
        """What it really speaks with: with `pool`, the card's common one where there is nothing of its own."""
        own = await self.serving(persona)
        if not pool or persona.scope == CARD or not own.untaught:
            return own
        return own.over(await self.serving(common(persona)))

    async def everyone(self) -> dict[PersonaKey, Serving]:
        """All personas that have, or had, a LoRA, by name."""
        names = sorted(name.decode() for name in await self._client.do("SMEMBERS", keys.LORAS.pattern))
        bodies = await self._client.do_all([("GET", keys.LORA(name)) for name in names], atomic=False)
        return {PersonaKey.parse(name): _serving(body) for name, body in zip(names, bodies, strict=True) if body}

    async def wanted(self) -> set[str]:
        """The versions that somebody speaks with, or tries."""
        return {version for one in (await self.everyone()).values() for version in (one.live, one.canary)} - {BASE, ""}

    async def promote(self, persona: PersonaKey, version: str, why: str, over: Serving | None = None) -> None:
        """From now on all replies are given with this version (`base` too is one). Ends a trial.

        Raises LoraError for a tainted version; for a pinned persona where `why` is `night`; if something else than
        in `over` is live or on trial by now. A pin holds the new one.
        """
        await self._run("promote", persona, version, why, *_expected(over))

    async def canary(
        self, persona: PersonaKey, version: str, share: float, why: str = COMMAND, over: Serving | None = None
    ) -> None:
        """Try a version with a share (0 to 1) of the sessions; instead of another one, if there is one on trial.

        Raises LoraError as `promote` does.
        """
        assert 0 <= share <= 1, share
        await self._run("canary", persona, version, share, why, *_expected(over))

    async def drop_canary(self, persona: PersonaKey) -> None:
        """End a trial."""
        await self._run("canary", persona, "", 0, "")

    async def settle(self, persona: PersonaKey, version: str, won: bool, why: str) -> str:
        """The trial of this version is decided, if it is still on. The version that is now live."""
        return await self._run("settle", persona, version, int(won), why)

    async def pin(self, persona: PersonaKey, version: str) -> None:
        """This version is live, and no night puts another in its place; what people do by hand keeps the pin.

        Raises LoraError for a tainted version.
        """
        assert version
        await self._run("pin", persona, version)

    async def unpin(self, persona: PersonaKey) -> None:
        """Nights may change it again."""
        await self._run("pin", persona, "")

    async def rollback(self, persona: PersonaKey) -> str:
        """The old voice, at once: ends a trial, and if none is on, goes back to the version before, in the end to the
        base. The version that is now live."""
        return await self._run("rollback", persona)

    async def withdraw(self, persona: PersonaKey, *versions: str, why: str = "removed") -> str:
        """These versions serve no more, in no role. The version that is now live. A pin on it ends."""
        return await self._run("withdraw", persona, why, *versions)

    async def let_go(self, persona: PersonaKey, version: str, days: int) -> bool:
        """From now on this version of a night cannot be promoted, tried or pinned: its files may be deleted.

        False if it is live, on trial, or what a rollback goes back to; if it was made, or began to be live, or lost its
        trial, within so many days; or if anything was changed by hand within them.
        """
        args = ("let_go", str(persona), time.time(), version, made_by(version), days * keys.DAY)
        _, refused = await self._client.script(SCRIPT, _names(persona), args)
        return bool(refused != b"used")

    async def _run(self, op: str, persona: PersonaKey, *args: Value) -> str:
        live, refused = await self._client.script(SCRIPT, _names(persona), [op, str(persona), time.time(), *args])
        if refused == b"pinned":
            said = f"{persona.card} in {persona.scope} is pinned to {live.decode()}"
            raise LoraError(said, "`limen lora pin --off` lets nights change it")
        if refused == b"tainted":
            said = f"{args[0]!s} holds what somebody asked to be forgotten, and serves no more"
            raise LoraError(said, "the next night trains one without it")
        if refused == b"gone":
            said = f"the files of {args[0]!s} were deleted"
            raise LoraError(said, "`limen lora list` shows the versions that are there")
        if refused == b"changed":
            said = f"what serves was changed meanwhile ({live.decode()} is live now), so {args[0]!s} stays in the store"
            raise LoraError(said, f"`limen lora promote {args[0]!s}` makes it live after all")
        return str(live.decode())

    async def made(self, version: str, about: Made, people: Collection[str]) -> None:
        """A version was put into the store: on what base, and who can ask to be forgotten by it."""
        effects: list[Effect] = [("HSET", keys.LORAS_MADE.pattern, version, _encode(about))]
        await self._client.do_all([*effects, *(("SADD", keys.LORAS_OF(person), version) for person in people)])

    async def origin(self, version: str) -> Made | None:
        """What is known of a version that came with a manifest."""
        body = await self._client.do("HGET", keys.LORAS_MADE.pattern, version)
        return _made(body) if body else None

    async def origins(self) -> dict[str, Made]:
        """The same of all versions that did."""
        fields = await self._client.do("HGETALL", keys.LORAS_MADE.pattern)
        pairs = fields.items() if isinstance(fields, dict) else zip(fields[::2], fields[1::2], strict=True)
        return {name.decode(): _made(body) for name, body in pairs}

    async def of_person(self, person: str, persona: PersonaKey | None = None) -> list[str]:
        """Versions with somebody's words or votes in them: all, or those that one persona's share in them concerns.

        Those are its own, the card's, and whatever began with one of these.
        """
        versions = sorted(name.decode() for name in await self._client.do("SMEMBERS", keys.LORAS_OF(person)))
        if persona is None:
            return versions
        origins = {version: await self.origin(version) for version in versions}
        parents = {version: origin.parent if origin else "" for version, origin in origins.items()}
        ours = (persona, common(persona))
        whose = {version: origin.persona if origin else "" for version, origin in origins.items()}
        names, families = {str(one) for one in ours}, {family(one) for one in ours}
        # A version keeps its name when its persona moves, so its origin knows better; not every one has an origin.
        own = {v for v in versions if whose[v] in names or (not whose[v] and v.rpartition("/")[0] in families)}
        return _grown(own, parents)

    async def taint(self, person: str, persona: PersonaKey | None = None) -> Stopped:
        """Whatever has somebody's words or votes in it serves no more, anywhere, and waits to be rebuilt without them.

        May be said again.
        """
        versions = await self.of_person(person, persona)
        if not versions:
            return Stopped()
        now, listed = time.time(), keys.TAINTED.pattern
        await self._client.do("ZADD", listed, "NX", *(word for version in versions for word in (now, version)))
        served = set()
        for key, serving in (await self.everyone()).items():
            if {serving.live, serving.canary, *serving.before} & {*versions}:
                await self.withdraw(key, *versions, why=FORGOTTEN)
                served.add(key)
        return Stopped(tuple(versions), frozenset(served))

    async def release(self, person: str, versions: Sequence[str]) -> None:
        """Somebody is no longer named as one whose words are in these."""
        if versions:
            await self._client.do("SREM", keys.LORAS_OF(person), *versions)

    async def clean(self, versions: Sequence[str]) -> tuple[str, ...]:
        """These without the tainted ones."""
        if not versions:
            return ()
        scores = await self._client.do("ZMSCORE", keys.TAINTED.pattern, *versions)
        return tuple(version for version, score in zip(versions, scores, strict=True) if score is None)

    async def rebuild_due(self) -> list[Due]:
        """Tainted versions whose files are still there, the longest waiting first."""
        rows = await self._client.do("ZRANGE", keys.TAINTED.pattern, 0, -1)
        scores = await self._client.do("ZMSCORE", keys.TAINTED.pattern, *rows) if rows else []
        pairs = [(row.decode(), float(score)) for row, score in zip(rows, scores, strict=True) if score is not None]
        origins = [await self.origin(version) for version, _ in pairs]
        return [
            Due(version, since, PersonaKey.parse(origin.persona) if origin else None)
            for (version, since), origin in zip(pairs, origins, strict=True)
        ]

    async def faulty(self, version: str, reason: str) -> None:
        """A worker could not load this version. Known for a day, or until it is mended; to be said again meanwhile."""
        body = reason[:LONGEST_REASON].encode("utf-8", "replace")
        now, listed, since = time.time(), keys.LORA_FAULTS.pattern, keys.LORA_FAULTY.pattern
        await self._client.do_all(
            [
                ("ZREMRANGEBYSCORE", listed, "-inf", now - keys.DAY),
                ("ZINTERSTORE", since, 2, since, listed, "WEIGHTS", 1, 0),  # what is listed no more begins anew
                ("SET", keys.LORA_FAULT(version), body, "EX", keys.DAY),
                ("ZADD", listed, now, version),
                ("ZADD", since, "NX", now, version),
            ]
        )

    async def mended(self, version: str) -> None:
        """This version could be loaded after all."""
        await self._client.do_all(_mended(version))

    async def removed(self, version: str, people: Collection[str] = ()) -> None:
        """This version is gone from the store. Its name is not given again: a worker may still have it in memory.

        `people`: those whom its manifest named.
        """
        now, listed = time.time(), keys.LORAS_GONE.pattern
        await self._client.do_all(
            [
                ("ZADD", listed, now, version),
                ("ZREMRANGEBYSCORE", listed, "-inf", now - keys.GONE_FOR),
                *_mended(version),
                ("ZREM", keys.TAINTED.pattern, version),
                ("HDEL", keys.LORAS_MADE.pattern, version),
                *(("SREM", keys.LORAS_OF(person), version) for person in people),
            ]
        )

    async def gone(self) -> set[str]:
        """Versions removed lately. (Names begin with a day, so that older ones cannot come back.)"""
        return {row.decode() for row in await self._client.do("ZRANGE", keys.LORAS_GONE.pattern, 0, -1)}

    async def faults(self) -> list[Fault]:
        """Versions that could not be loaded lately, the latest first."""
        since = time.time() - keys.DAY
        rows = await self._client.do("ZRANGE", keys.LORA_FAULTS.pattern, since, "+inf", "BYSCORE")
        versions = [row.decode() for row in reversed(rows)]
        scores = (keys.LORA_FAULTS.pattern, keys.LORA_FAULTY.pattern)
        asked = [(("GET", keys.LORA_FAULT(v)), *(("ZSCORE", name, v) for name in scores)) for v in versions]
        answers = await self._client.do_all([command for three in asked for command in three], atomic=False)
        found = zip(versions, answers[::3], answers[1::3], answers[2::3], strict=True)
        return [Fault(v, body.decode(), float(at), float(since or at)) for v, body, at, since in found if body and at]


def _names(persona: PersonaKey) -> list[str]:
    return [keys.LORA(str(persona)), keys.LORAS.pattern, keys.TAINTED.pattern, keys.LORAS_GONE.pattern]


def _expected(over: Serving | None) -> tuple[str, ...]:
    return (over.live, over.canary) if over else ()


def _mended(version: str) -> list[Effect]:
    listed = (keys.LORA_FAULTS.pattern, keys.LORA_FAULTY.pattern)
    return [("DEL", keys.LORA_FAULT(version)), *(("ZREM", name, version) for name in listed)]


def _grown(versions: set[str], parents: dict[str, str]) -> list[str]:
    """These, and all that began with one of them."""
    found = set(versions)
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found)
