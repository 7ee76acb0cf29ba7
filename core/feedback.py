"""What people feel about replies, read from the ledger's facts. Pure: facts stay as they are, readings may improve.

For now it says which reactions stand; polarity, trust and weight are read from the same facts later.
"""

from collections.abc import Iterable

import msgspec


class Fact(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody put an emoji on a reply, or took it away. `time` in seconds UTC; `basis`: why we may keep it."""

    id: str
    user: str
    emoji: str
    time: float
    removed: bool = False
    is_bot: bool = False
    basis: str = ""


def standing(facts: Iterable[Fact]) -> list[Fact]:
    """The reactions that count now: added, and not taken away since. Those of bots never do.

    Facts may come late and out of order: their own time decides, and at the same time the later arrival.
    """
    last: dict[tuple[str, str], Fact] = {}
    for fact in sorted(facts, key=lambda fact: fact.time):
        last[fact.user, fact.emoji] = fact
    return [fact for fact in last.values() if not fact.removed and not fact.is_bot]
