"""Who allowed what: training on somebody's words and votes, and, a separate question, sharing what was learned.

A *basis* says why it is allowed. A no is kept as an empty one, so that nobody's statement can stand in for it later.
"""

import time
from collections.abc import Iterable
from enum import StrEnum

from core.store import keys
from core.store.client import Client

BATCH = 1000


class Purpose(StrEnum):
    """What is asked for. POOL: examples of several scopes of one card make one LoRA (`night.pool`)."""

    TRAIN = "train"
    POOL = "pool"


_FIELDS = {Purpose.TRAIN: ("basis", "wording", "time"), Purpose.POOL: ("pool", "pool_wording", "pool_time")}


class Consents:
    """Every method raises StoreError. `person` is a stable platform id."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def first(self, person: str, basis: str, wording: str, purpose: Purpose = Purpose.TRAIN) -> bool:
        """Record a basis where there is neither one nor a no. True if it was: then the wording must be shown."""
        if await self._client.do("HSETNX", keys.CONSENT(person), _FIELDS[purpose][0], basis):
            await self.say(person, basis, wording, purpose)
            return True
        return False

    async def may_ask(self, person: str) -> bool:
        """Not who was asked, and never who has said yes or no."""
        found = await self._client.do("HMGET", keys.CONSENT(person), _FIELDS[Purpose.TRAIN][0], "asked")
        return not any(field is not None for field in found)

    async def asked(self, person: str, wording: str) -> None:
        """They were, now and so."""
        await self._client.do("HSET", keys.CONSENT(person), "asked", int(time.time()), "asked_wording", wording)

    async def told(self, person: str) -> dict[str, str]:
        """All that is kept of it: `basis`, `wording`, `time` of either purpose, and when and how they were asked."""
        found = await self._client.do("HGETALL", keys.CONSENT(person))
        return {name.decode(): value.decode() for name, value in found.items()}

    async def say(self, person: str, basis: str, wording: str, purpose: Purpose = Purpose.TRAIN) -> None:
        """Record somebody's own word, whatever was there before. An empty basis is a no."""
        why, words, when = _FIELDS[purpose]
        pairs = (why, basis, words, wording, when, int(time.time()))
        await self._client.do("HSET", keys.CONSENT(person), *pairs)

    async def basis(self, person: str, purpose: Purpose = Purpose.TRAIN) -> str:
        """Why it is allowed; empty if it is not."""
        found = await self._client.do("HGET", keys.CONSENT(person), _FIELDS[purpose][0])
        return found.decode() if found else ""

    async def allowing(self, people: Iterable[str], pool: bool = False) -> set[str]:
        """Those of `people` whose words and votes may train; with `pool`, those who allowed both."""
        wanted = sorted(set(people))
        fields = [_FIELDS[Purpose.TRAIN][0], *([_FIELDS[Purpose.POOL][0]] if pool else [])]
        found = set()
        for at in range(0, len(wanted), BATCH):
            batch = wanted[at : at + BATCH]
            rows = await self._client.do_all([("HMGET", keys.CONSENT(p), *fields) for p in batch], atomic=False)
            found |= {person for person, row in zip(batch, rows, strict=True) if all(row)}
        return found
