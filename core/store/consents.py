"""Who allowed what: training on somebody's words and votes, and, a separate question, sharing what was learned.

A *basis* says why it is allowed. A no is kept as an empty one, so that nobody's statement can stand in for it later. Of
a no that is forgotten a mark stays, without a name, so that it does not become the operator's yes.

Who may be asked is claimed before, by one of however many processes, and noted after: that they were.
"""

import hashlib
import secrets
import time
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from core.scopes import is_guest
from core.store import keys
from core.store.client import Client

OPERATOR = "operator"  # the basis where the operator's own statement stands in
BATCH = 1000
CLAIMED = 180  # seconds that a claim holds, should whoever has it die
REST = 6 * 3600  # seconds between two hints that everybody in a room reads

# KEYS: their consent, and who speaks for themselves alone. ARGV: their mark, and what is recorded, the basis first.
_FIRST = """
if redis.call('SISMEMBER', KEYS[2], ARGV[1]) == 1 then return 0 end
if redis.call('HSETNX', KEYS[1], ARGV[2], ARGV[3]) == 0 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
return 1
"""
# KEYS: as above, and who is just being asked. ARGV: their mark, and the fields of each basis.
_FORGET = """
for _, said in ipairs(redis.call('HMGET', KEYS[1], unpack(ARGV, 2))) do
  if said == '' then redis.call('SADD', KEYS[2], ARGV[1]) end
end
redis.call('DEL', KEYS[1], KEYS[3])
"""
# KEYS: their consent, who is just being asked, and the room that reads it, if one does. ARGV: whose claim it is, for
# how long, and whether they are a guest.
_CLAIM = """
local known = redis.call('HMGET', KEYS[1], 'basis', 'asked')
local said = known[1] and not (known[1] == 'operator' and ARGV[3] == 'guest')
if said or known[2] or redis.call('EXISTS', unpack(KEYS, 2)) > 0 then return 0 end
for at = 2, #KEYS do redis.call('SET', KEYS[at], ARGV[1], 'EX', ARGV[2]) end
return 1
"""
_ASKED = """
if KEYS[3] and redis.call('GET', KEYS[3]) == ARGV[1] then redis.call('EXPIRE', KEYS[3], ARGV[2]) end
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return end
redis.call('HSET', KEYS[1], 'asked', ARGV[3], 'asked_wording', ARGV[4])
redis.call('DEL', KEYS[2])
"""
_GIVE_BACK = """
for at = 2, #KEYS do
  if redis.call('GET', KEYS[at]) == ARGV[1] then redis.call('DEL', KEYS[at]) end
end
"""


class Purpose(StrEnum):
    """What is asked for. POOL: examples of several scopes of one card make one LoRA (`night.pool`)."""

    TRAIN = "train"
    POOL = "pool"


_FIELDS = {Purpose.TRAIN: ("basis", "wording", "time"), Purpose.POOL: ("pool", "pool_wording", "pool_time")}


class Claim(NamedTuple):
    """The right to ask somebody. `room`: where others read it, too."""

    person: str
    room: str
    token: str

    @property
    def names(self) -> list[str]:
        """What it is about."""
        return [keys.CONSENT(self.person), keys.ASKING(self.person), *([keys.HINTED(self.room)] if self.room else [])]


class Consents:
    """Every method raises StoreError. `person` is a stable platform id."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def first(self, person: str, basis: str, wording: str, purpose: Purpose = Purpose.TRAIN) -> bool:
        """Record a basis where there is neither one nor a no, and it may stand in. True if it was: show the wording."""
        if _is_void(person, basis):
            return False
        names = [keys.CONSENT(person), keys.OWN_WORD.pattern]
        return bool(await self._client.script(_FIRST, names, [_mark(person), *_row(basis, wording, purpose)]))

    async def speaks_alone(self, person: str) -> bool:
        """Did somebody say no before they were forgotten, and nothing since? Then nobody's statement stands in."""
        return bool(await self._client.do("SISMEMBER", keys.OWN_WORD.pattern, _mark(person)))

    async def forget(self, person: str) -> None:
        """All of it; of a no the mark stays that it was one."""
        names = [keys.CONSENT(person), keys.OWN_WORD.pattern, keys.ASKING(person)]
        await self._client.script(_FORGET, names, [_mark(person), *(why for why, *_ in _FIELDS.values())])

    async def claim(self, person: str, room: str = "") -> Claim | None:
        """Who may be asked now: not who was asked or is being asked, never who has said yes or no, and nobody in a room
        that has read it lately."""
        claim, who = Claim(person, room, secrets.token_hex(8)), "guest" if is_guest(person) else ""
        return claim if await self._client.script(_CLAIM, claim.names, [claim.token, CLAIMED, who]) else None

    async def asked(self, claim: Claim, wording: str) -> None:
        """They were, now and so. Of who was forgotten meanwhile nothing is kept."""
        await self._client.script(_ASKED, claim.names, [claim.token, REST, int(time.time()), wording])

    async def give_back(self, claim: Claim) -> None:
        """They were not: another may ask them."""
        await self._client.script(_GIVE_BACK, claim.names, [claim.token])

    async def told(self, person: str) -> dict[str, str]:
        """All that is kept of it: `basis`, `wording`, `time` of either purpose, and when and how they were asked."""
        kept = await self._client.do("HGETALL", keys.CONSENT(person))
        told = {name.decode(): value.decode() for name, value in kept.items()}
        void = {name for row in _FIELDS.values() if _is_void(person, told.get(row[0])) for name in row}
        return {name: value for name, value in told.items() if name not in void}

    async def say(self, person: str, basis: str, wording: str, purpose: Purpose = Purpose.TRAIN) -> None:
        """Record somebody's own word, whatever was there before. An empty basis is a no."""
        said = ("HSET", keys.CONSENT(person), *_row(basis, wording, purpose))
        await self._client.do_all([said, ("SREM", keys.OWN_WORD.pattern, _mark(person))])

    async def basis(self, person: str, purpose: Purpose = Purpose.TRAIN) -> str:
        """Why it is allowed; empty if it is not."""
        found = await self._client.do("HGET", keys.CONSENT(person), _FIELDS[purpose][0])
        basis: str = found.decode() if found else ""
        return "" if _is_void(person, basis) else basis

    async def allowing(self, people: Iterable[str], pool: bool = False) -> set[str]:
        """Those of `people` whose words and votes may train; with `pool`, those who allowed both."""
        wanted = sorted(set(people))
        fields = [_FIELDS[Purpose.TRAIN][0], *([_FIELDS[Purpose.POOL][0]] if pool else [])]
        found = set()
        for at in range(0, len(wanted), BATCH):
            batch = wanted[at : at + BATCH]
            rows = await self._client.do_all([("HMGET", keys.CONSENT(p), *fields) for p in batch], atomic=False)
            found |= {
                person
                for person, row in zip(batch, rows, strict=True)
                if all(basis and not _is_void(person, basis.decode()) for basis in row)
            }
        return found


def _row(basis: str, wording: str, purpose: Purpose) -> tuple[str, str, str, str, str, int]:
    why, words, when = _FIELDS[purpose]
    return why, basis, words, wording, when, int(time.time())


def _is_void(person: str, basis: str | None) -> bool:
    """Is it the operator's statement on a guest at their terminal, from before guests were asked? It is not theirs."""
    return basis == OPERATOR and is_guest(person)


def _mark(person: str) -> str:
    """Of whom nothing is to be kept, not even an id."""
    return hashlib.sha256(person.encode()).hexdigest()[:24]
