"""Is a LoRA on trial better than the one beside it, or worse? Decided from votes while they come in. Pure.

People look whenever they like and stop when they have seen enough, so the test must hold at any time: it is a bet. Each
vote on the version on trial is paired with the next on the live one, in the order in which they were cast. Whoever bets
on the one that is better loses nothing but luck if it is not: the stake then grows twentyfold with a probability of
1/20 at most, however long one plays (Ville's inequality). Stakes are spread over several sizes of bet, so that big
differences are seen soon and small ones in the end.

Sources: J. Ville, *Étude critique de la notion de collectif* (1939); S. Shekhar and A. Ramdas, "Nonparametric
two-sample testing by betting", IEEE Transactions on Information Theory 70 (2024); I. Waudby-Smith and A. Ramdas,
"Estimating means of bounded random variables by betting", JRSS B 86 (2024).
"""

import math
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum

import msgspec

ALPHA = 0.05  # how often a version that is not worse is found to be worse, at most; the same for better
HINT = 3.0  # of evidence that something speaks against it, though not enough to decide
BETS = (0.05, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8)  # parts of the stake that are bet on each pair


class Ballot(msgspec.Struct, frozen=True, kw_only=True):
    """One person's vote on one reply, cast at `time`. `weight`: their trust, 0 to 1.

    `sitting`: who voted in which session. Votes of one sitting share its mood, and n of them count as √n.
    """

    tried: bool
    liked: bool
    weight: float
    time: float
    sitting: str = ""


class Side(msgspec.Struct, frozen=True):
    """What was voted on one of the two versions, people's trust left out."""

    votes: int = 0
    likes: int = 0

    def __str__(self) -> str:
        return f"{self.likes:,} of {self.votes:,} liked"


class Evidence(msgspec.Struct, frozen=True):
    """What has become of a stake of 1 on the version on trial being `better`, and of one on it being `worse`."""

    tried: Side = Side()
    live: Side = Side()
    better: float = 1.0
    worse: float = 1.0


class Finding(StrEnum):
    """What a trial says so far."""

    BETTER = "better"
    WORSE = "worse"
    GO_ON = "go on"


class Decision(msgspec.Struct, frozen=True):
    """What follows for the version on trial, and why, in words."""

    finding: Finding
    why: str


def weigh(ballots: Iterable[Ballot]) -> Evidence:
    """The evidence in these votes, in any order."""
    cast = sorted((one for one in ballots if one.weight > 0), key=lambda one: one.time)
    tried, live = ([one for one in cast if one.tried is side] for side in (True, False))
    sizes = Counter((one.tried, one.sitting) for one in cast if one.sitting)
    pairs = [
        min(_weight(one, sizes), _weight(other, sizes)) * (one.liked - other.liked)
        for one, other in zip(tried, live, strict=False)
    ]
    return Evidence(_side(tried), _side(live), _stake(pairs), _stake([-pair for pair in pairs]))


def decide(evidence: Evidence, days: float, most: float) -> Decision:
    """What to do after so many `days` of a trial that ends after `most` in favour of what nothing speaks against."""
    votes = f"{evidence.tried}; of the live one's {evidence.live}"
    if evidence.worse >= 1 / ALPHA:
        return Decision(Finding.WORSE, f"worse: {votes}")
    if evidence.better >= 1 / ALPHA:
        return Decision(Finding.BETTER, f"better: {votes}")
    if days < most:
        return Decision(Finding.GO_ON, f"not decided yet: {votes}")
    if evidence.worse >= HINT:
        return Decision(Finding.GO_ON, f"something speaks against it, not enough to be sure: {votes}")
    return Decision(Finding.BETTER, f"nothing spoke against it in {most:g} days: {votes}")


def _weight(one: Ballot, sizes: Counter[tuple[bool, str]]) -> float:
    return min(one.weight, 1.0) / math.sqrt(sizes[one.tried, one.sitting] or 1)


def _side(ballots: list[Ballot]) -> Side:
    return Side(len(ballots), sum(one.liked for one in ballots))


def _stake(gains: list[float]) -> float:
    """What a stake of 1 has become, one part of it bet each of the ways. Gains are -1 to 1."""
    counts = Counter(gains).items()
    logs = [sum(count * math.log1p(bet * gain) for gain, count in counts) for bet in BETS]
    return sum(math.exp(min(log, 700.0)) for log in logs) / len(BETS)  # e^710 is more than a float holds
