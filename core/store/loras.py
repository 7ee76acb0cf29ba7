"""Which LoRA each persona serves with: the live version, one on trial (canary), and those that were live before.

Holds names of versions only; their files are in the LoRA store (`worker/lora/store.py`). Every change is one script.
"""

import hashlib
import time
from collections.abc import Collection
from importlib.resources import files
from itertools import count, takewhile

import msgspec

from core.events import PersonaKey
from core.jobs import BASE
from core.store import keys
from core.store.client import Client, Value

SCRIPT = files("core.store").joinpath("loras.lua").read_text()
FALLBACKS = 2  # earlier versions that may speak when a better one cannot be loaded
LONGEST_REASON = 1000


class Past(msgspec.Struct, frozen=True):
    """A version went live: when (seconds UTC) and why (`night`, `command`, `rollback`, `removed`)."""

    version: str
    time: float
    why: str


class Serving(msgspec.Struct, frozen=True):
    """What a persona serves with. `canary`: on trial for `share` (0 to 1) of its replies; empty: none is.

    `before`: what a rollback goes back to, the latest first; a version that was rolled back is not among them.
    `history`: everything that went live, newest first.
    """

    live: str = BASE
    canary: str = ""
    share: float = 0.0
    before: tuple[str, ...] = ()
    history: tuple[Past, ...] = ()


class Fault(msgspec.Struct, frozen=True):
    """A version that a worker could not load, and why. `time` in seconds UTC."""

    version: str
    reason: str
    time: float


_serving = msgspec.msgpack.Decoder(Serving).decode


def preferred(serving: Serving, reply_id: str) -> tuple[str, ...]:
    """Versions for one reply, the best first: canary if the reply falls into its share, live, then earlier good ones.

    The base, which comes last, is not named; nor is anything that was good before the base was. The same reply
    always gets the same.
    """
    tried = (serving.canary,) if serving.canary and _lot(reply_id) < serving.share else ()
    wishes = dict.fromkeys((*tried, serving.live, *serving.before[:FALLBACKS]))
    return tuple(takewhile(lambda version: version != BASE, wishes))


def _lot(reply_id: str) -> float:
    """A number in [0, 1) that is always the same for a reply."""
    return int.from_bytes(hashlib.sha256(reply_id.encode()).digest()[:6]) / 2**48


def family(persona: PersonaKey) -> str:
    """What the versions of one persona have before their `/`."""
    return f"{persona.card}-{hashlib.sha256(str(persona).encode()).hexdigest()[:8]}"


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

    async def everyone(self) -> dict[PersonaKey, Serving]:
        """All personas that have, or had, a LoRA, by name."""
        names = sorted(name.decode() for name in await self._client.do("SMEMBERS", keys.LORAS.pattern))
        bodies = await self._client.do_all([("GET", keys.LORA(name)) for name in names], atomic=False)
        return {PersonaKey.parse(name): _serving(body) for name, body in zip(names, bodies, strict=True) if body}

    async def promote(self, persona: PersonaKey, version: str, why: str) -> None:
        """From now on all replies are given with this version (`base` too is one). Ends a trial."""
        await self._run("promote", persona, version, why)

    async def canary(self, persona: PersonaKey, version: str, share: float) -> None:
        """Try a version with a share (0 to 1) of the replies; instead of another one, if there is one on trial."""
        assert 0 <= share <= 1, share
        await self._run("canary", persona, version, share)

    async def drop_canary(self, persona: PersonaKey) -> None:
        """End a trial."""
        await self._run("canary", persona, "", 0)

    async def rollback(self, persona: PersonaKey) -> str:
        """Back to the version before, in the end to the base; ends a trial. The version that is now live."""
        return await self._run("rollback", persona)

    async def withdraw(self, persona: PersonaKey, version: str) -> str:
        """This version serves no more, in no role. The version that is now live."""
        return await self._run("withdraw", persona, version)

    async def _run(self, op: str, persona: PersonaKey, *args: Value) -> str:
        name = str(persona)
        live = await self._client.script(SCRIPT, [keys.LORA(name), keys.LORAS.pattern], [op, name, time.time(), *args])
        return str(live.decode())

    async def faulty(self, version: str, reason: str) -> None:
        """A worker could not load this version. Known for a day, or until it is mended."""
        body = reason[:LONGEST_REASON].encode("utf-8", "replace")
        now, listed = time.time(), keys.LORA_FAULTS.pattern
        await self._client.do_all(
            [
                ("SET", keys.LORA_FAULT(version), body, "EX", keys.DAY),
                ("ZADD", listed, now, version),
                ("ZREMRANGEBYSCORE", listed, "-inf", now - keys.DAY),
            ]
        )

    async def mended(self, version: str) -> None:
        """This version could be loaded after all."""
        await self._client.do_all([("DEL", keys.LORA_FAULT(version)), ("ZREM", keys.LORA_FAULTS.pattern, version)])

    async def removed(self, version: str) -> None:
        """This version is gone from the store. Its name is not given again: a worker may still have it in memory."""
        now, listed = time.time(), keys.LORAS_GONE.pattern
        await self._client.do_all(
            [
                ("ZADD", listed, now, version),
                ("ZREMRANGEBYSCORE", listed, "-inf", now - keys.GONE_FOR),
                ("DEL", keys.LORA_FAULT(version)),
                ("ZREM", keys.LORA_FAULTS.pattern, version),
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
        asked = [(("GET", keys.LORA_FAULT(v)), ("ZSCORE", keys.LORA_FAULTS.pattern, v)) for v in versions]
        answers = await self._client.do_all([command for pair in asked for command in pair], atomic=False)
        found = zip(versions, answers[::2], answers[1::2], strict=True)
        return [Fault(version, body.decode(), float(at)) for version, body, at in found if body and at]
