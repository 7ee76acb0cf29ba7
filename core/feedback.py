"""What people feel about replies, read from the ledger's facts. Pure: facts stay as they are, readings may improve.

What a vote is worth depends on who cast it: a person's trust is how often they agree with others.
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


class Seen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A reply as a reading needs it: its id, when it was said (seconds UTC), to whom, how many characters it has, and
    every fact about it. `workspace` finds a server's own emoji; `weak` are signals that are no emoji (`regenerated`,
    `stopped`, `thanked`), each with the person behind it."""

    reply: str
    time: float
    length: int
    facts: tuple[Fact, ...]
    platform: str = ""
    workspace: str = ""
    weak: tuple[tuple[str, str], ...] = ()


class Vote(msgspec.Struct, frozen=True):
    """What one person thinks of one reply, -1 to 1, and how much that counts after all damping (0 to 1)."""

    user: str
    value: float
    weight: float


class Verdict(msgspec.Struct, frozen=True):
    """What is read of a reply: `liked` or not, and how much that is worth (`weight`, 0 to 1)."""

    reply: str
    liked: bool
    weight: float
    votes: tuple[Vote, ...] = ()


class Voter(msgspec.Struct, frozen=True, omit_defaults=True):
    """One person in a reading. `trust` 0 to 1; `share` of all weight; `notes` in words (`a burst`, `new here`)."""

    user: str
    votes: int
    likes: int
    trust: float
    share: float
    notes: tuple[str, ...] = ()


class Reading(msgspec.Struct, frozen=True, omit_defaults=True):
    """All replies that somebody thought something of. `effective`: labels that the verdicts are worth together;
    `unknown` emoji with their counts; `notes` name what was odd (`only likes`, `one person`), in plain words."""

    verdicts: tuple[Verdict, ...]
    voters: tuple[Voter, ...]
    effective: float
    unknown: dict[str, int] = {}
    notes: tuple[str, ...] = ()


def standing(facts: Iterable[Fact]) -> list[Fact]:
    """The reactions that count now: added, and not taken away since. Those of bots never do.

    Facts may come late and out of order: their own time decides, and at the same time the later arrival.
    """
    last: dict[tuple[str, str], Fact] = {}
    for fact in sorted(facts, key=lambda fact: fact.time):
        last[fact.user, fact.emoji] = fact
    return [fact for fact in last.values() if not fact.removed and not fact.is_bot]
