"""Is a LoRA on trial better than the one beside it, or worse? Decided from votes while they come in. Pure.

People look whenever they like and stop when they have seen enough, so the test must hold at any time: it is a bet. Each
vote on the version on trial is paired with the next on the live one, in the order in which they were cast. Whoever bets
on the one that is better loses nothing but luck if it is not: the stake then grows twentyfold with a probability of
1/20 at most, however long one plays (Ville's inequality). Stakes are spread over several sizes of bet, so that big
differences are seen soon and small ones in the end.

Where hardly anybody votes on the live one, votes without a partner are bet against how it was liked before the trial.
That is known only so well, so the bet is on more than it may have been, or on less. Once enough vote on the live one
only pairs count: that is a second bet, so where both were made, luck decides in 1/10 at most.

Sources: J. Ville, *Étude critique de la notion de collectif* (1939); S. Shekhar and A. Ramdas, "Nonparametric
two-sample testing by betting", IEEE Transactions on Information Theory 70 (2024); I. Waudby-Smith and A. Ramdas,
"Estimating means of bounded random variables by betting", JRSS B 86 (2024).
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

ALPHA = 0.05  # how often a version that is not worse is found to be worse, at most; the same for better
HINT = 3.0  # of evidence that something speaks against it, though not enough to decide
LEAST = 5  # votes on each of the two, without which time decides nothing
PLAINLY = 1.3  # standard errors between two like-rates, so that one is plainly lower: 1 in 10 by luck
LONGEST = 5  # times the days of a trial, after which it ends whatever is known
SURE = 1.645  # standard errors: a like-rate from before is higher than so many below with 95 %
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
    """What has become of a stake of 1 on the version on trial being `better`, and of one on it being `worse`.

    `before`: what was voted on the live one before the trial; it stands in where too few vote on it now. `gap`: by how
    many standard errors the version on trial is liked less.
    """

    tried: Side = Side()
    live: Side = Side()
    better: float = 1.0
    worse: float = 1.0
    before: Side = Side()
    gap: float = 0.0

    @property
    def beside(self) -> Side:
        """What the version on trial is compared with."""
        return self.before if self.live.votes < LEAST <= self.before.votes else self.live


class Finding(StrEnum):
    """What a trial says so far."""

    BETTER = "better"
    WORSE = "worse"
    GO_ON = "go on"
    OVER = "over"  # it ends without an answer, and the live one stays


class Decision(msgspec.Struct, frozen=True):
    """What follows for the version on trial, and why, in words."""

    finding: Finding
    why: str


def weigh(ballots: Iterable[Ballot], before: Iterable[Ballot] = ()) -> Evidence:
    """The evidence in these votes, in any order. `before`: those on the live version from before the trial."""
    cast = sorted((one for one in ballots if one.weight > 0), key=lambda one: one.time)
    tried, live = (_weighed(one for one in cast if one.tried is side) for side in (True, False))
    known = _weighed(one for one in before if one.weight > 0)
    better = [min(size, other) * (liked - its) for (liked, size), (its, other) in zip(tried, live, strict=False)]
    worse = [-gain for gain in better]
    if len(live) < LEAST <= len(known):
        low, high = _bounds(known)
        alone = tried[len(live) :]
        better += [size * (liked - high) for liked, size in alone]
        worse += [size * (low - liked) for liked, size in alone]
    gap = _gap(tried, live if len(live) >= LEAST else known)
    return Evidence(_side(tried), _side(live), _stake(better), _stake(worse), _side(known), gap)


def decide(evidence: Evidence, days: float, most: float, alone: bool = False) -> Decision:
    """What to do after so many `days` of a trial that ends after `most` in favour of what nothing speaks against.

    `alone`: the version on trial has all sessions, so nobody votes on the live one meanwhile.
    """
    tried, beside = evidence.tried, evidence.beside
    votes = f"{tried}; of the live one's {beside}{'' if beside is evidence.live else ' before'}"
    if evidence.worse >= 1 / ALPHA:
        return Decision(Finding.WORSE, f"worse: {votes}")
    if evidence.better >= 1 / ALPHA:
        return Decision(Finding.BETTER, f"better: {votes}")
    if days < most:
        return Decision(Finding.GO_ON, f"not decided yet: {votes}")
    if alone and beside.votes < LEAST <= tried.votes and 2 * tried.likes < tried.votes:
        return Decision(Finding.WORSE, f"worse: most did not like it, and it had all sessions: {tried}")
    if not (doubt := _doubt(evidence, alone)):
        return Decision(Finding.BETTER, f"nothing spoke against it in {most:g} days: {votes}")
    if days >= LONGEST * most:
        return Decision(Finding.OVER, f"over: no answer in {LONGEST * most:g} days ({doubt}): {votes}")
    return Decision(Finding.GO_ON, f"{doubt}: {votes}")


def _doubt(evidence: Evidence, alone: bool) -> str:
    """Why time alone must not let it go live; empty if it may."""
    if evidence.tried.votes < LEAST:
        return f"fewer than {LEAST} votes on it"
    if evidence.beside.votes < LEAST and not alone:
        return f"fewer than {LEAST} votes on the live one, to compare it with"
    if evidence.worse >= HINT or evidence.gap >= PLAINLY:
        return "something speaks against it, not enough to be sure"
    return ""


def _weighed(ballots: Iterable[Ballot]) -> list[tuple[bool, float]]:
    """(liked, what it counts) of the votes on one version, in their order."""
    cast = list(ballots)
    sizes = Counter(one.sitting for one in cast if one.sitting)
    return [(one.liked, min(one.weight, 1.0) / math.sqrt(sizes[one.sitting] or 1)) for one in cast]


def _side(votes: Sequence[tuple[bool, float]]) -> Side:
    return Side(len(votes), sum(liked for liked, _ in votes))


def _bounds(votes: Sequence[tuple[bool, float]]) -> tuple[float, float]:
    """Between what the like-rate lies behind these votes: Wilson's interval, of which each end holds with 95 %."""
    count, likes = sum(size for _, size in votes), sum(size for liked, size in votes if liked)
    rate, square = likes / count, SURE**2 / count
    middle = (rate + square / 2) / (1 + square)
    reach = math.sqrt(rate * (1 - rate) * square + square**2 / 4) / (1 + square)
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _gap(tried: Sequence[tuple[bool, float]], live: Sequence[tuple[bool, float]]) -> float:
    """By how many standard errors the first are liked less: Agresti and Caffo's, with one like and dislike more."""
    rates, error = [], 0.0
    for votes in (tried, live):
        count = sum(size for _, size in votes) + 2
        rate = (sum(size for liked, size in votes if liked) + 1) / count
        rates.append(rate)
        error += rate * (1 - rate) / count
    return (rates[1] - rates[0]) / math.sqrt(error)


def _stake(gains: list[float]) -> float:
    """What a stake of 1 has become, one part of it bet each of the ways. Gains are -1 to 1."""
    counts = Counter(gains).items()
    logs = [sum(count * math.log1p(bet * gain) for gain, count in counts) for bet in BETS]
    return sum(math.exp(min(log, 700.0)) for log in logs) / len(BETS)  # e^710 is more than a float holds
