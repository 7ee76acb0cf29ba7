"""Whose vote says how much: trust by agreement, and the bounds on what one person can do. Pure numbers.

Trust is what is left of agreement when chance is taken out: 1 always agrees with what a reply is worth, 0 tosses a
coin. Knows neither emoji nor habits; a vote comes as evidence, signed and already weighed.
"""

from collections.abc import Sequence
from itertools import accumulate, compress
from math import atanh, tanh
from operator import mul, sub
from typing import Protocol


class Foretell(Protocol):
    """What others say of replies like one (`foretold.py`)."""

    def knows(self, reply: int) -> bool: ...

    def __call__(self, users: Sequence[int], replies: Sequence[int], said: Sequence[float]) -> Sequence[float]: ...


MIDDLE = 0.6  # what an unknown person is trusted: right four times in five
PRIOR = 5.0  # as if after five votes of which four were right: Beta(4, 1)
SUREST = 0.9  # nobody's vote alone is surer than this
ROUNDS = 12
STILL = 0.005  # no more than this on average is no movement
# At first people are to outnumber people, not votes votes: else three busy liars would be the majority, and whoever
# has it keeps it.
LEVEL_ROUNDS = 4
LEVEL = 5
BOLDEST, CLEAREST = 1.5, 0.95  # what is foretold is made no bolder than that, and is never certain
CHANCE = 0.2  # below it, somebody agrees with others hardly more than a coin does
SHARE = 0.1
REGULAR = 0.25


def log_odds(trust: float) -> float:
    """What a full vote of such a person adds to the log-odds that a reply is liked."""
    return 2 * atanh(min(trust, SUREST))


def trusts(
    people: int, users: Sequence[int], replies: Sequence[int], evidence: Sequence[float], spreads: Sequence[float],
    foretell: Foretell | None = None,
) -> list[float]:  # fmt: skip
    """Everybody's trust: the mean of a Beta posterior over their agreement with others, weighted by *their* trust.

    Each vote is a user, a reply, its evidence (sign: liked or not; size: about 1), and its spread: the variance that
    such a vote has under its user's habit, so that a vote that could hardly have been otherwise proves nothing.
    Starts in the middle for all and repeats until it hardly moves: Dawid and Skene's model with one coin. With
    `foretell`, others are heard on replies that they did not vote on, too.
    """
    met = _contested(replies)
    kept = [one or foretell.knows(reply) for one, reply in zip(met, replies, strict=True)] if foretell else met
    users, replies, met = list(compress(users, kept)), list(compress(replies, kept)), list(compress(met, kept))
    evidence, spreads = list(compress(evidence, kept)), list(compress(spreads, kept))
    spoken = [at for at, reply in enumerate(replies) if foretell and foretell.knows(reply)]
    level = _levelled(people, users, evidence)
    trust = [MIDDLE] * people
    for number in range(ROUNDS):
        odds = [log_odds(one) for one in trust]
        said = list(map(mul, level if number < LEVEL_ROUNDS else evidence, map(odds.__getitem__, users)))
        others, compared = _others(replies, said), list(met)
        if foretell and spoken:
            told = foretell([users[at] for at in spoken], [replies[at] for at in spoken], [said[at] for at in spoken])
            bold = _boldness(
                told, [trust[users[at]] for at in spoken], [evidence[at] for at in spoken],
                [spreads[at] for at in spoken],
            )  # fmt: skip
            for at, one in zip(spoken, told, strict=True):
                others[at] += 2 * atanh(max(-CLEAREST, min(CLEAREST, bold * one)))
                compared[at] = met[at] or one != 0
        new = _posterior(people, users, evidence, spreads, [tanh(odds / 2) for odds in others], compared)
        moved = sum(map(abs, map(sub, trust, new)))
        # Half a step: two who distrust each other have nothing to go by, so both would be trusted again, and so on.
        trust = [(a + b) / 2 for a, b in zip(trust, new, strict=True)]
        if number >= LEVEL_ROUNDS and moved <= STILL * people:
            break
    return trust


def _levelled(people: int, users: Sequence[int], evidence: Sequence[float]) -> list[float]:
    """The evidence with nobody saying more than five votes would."""
    counts = [0] * people
    for user in users:
        counts[user] += 1
    return [one * min(1.0, LEVEL / counts[user]) for user, one in zip(users, evidence, strict=True)]


def _contested(replies: Sequence[int]) -> list[bool]:
    """Which votes are on replies that somebody else voted on: the rest say nothing of agreement."""
    counts = [0] * (max(replies, default=-1) + 1)
    for reply in replies:
        counts[reply] += 1
    return [counts[reply] > 1 for reply in replies]


def _others(replies: Sequence[int], said: Sequence[float]) -> list[float]:
    """For each vote, what the others say of its reply, as log-odds."""
    sums = [0.0] * (max(replies, default=-1) + 1)
    for reply, one in zip(replies, said, strict=True):
        sums[reply] += one
    return list(map(sub, map(sums.__getitem__, replies), said))


def _boldness(
    foretold: Sequence[float], trust: Sequence[float], evidence: Sequence[float], spreads: Sequence[float]
) -> float:
    """By how much to scale what is foretold, so that it is as bold as it has been right: the regression of votes on it,
    in which those who are trusted weigh more. Where nothing can be foretold, 0."""
    right = sum(t * t * one * told for t, one, told in zip(trust, evidence, foretold, strict=True))
    most = sum(t**3 * spread * told * told for t, spread, told in zip(trust, spreads, foretold, strict=True))
    return max(0.0, min(BOLDEST, right / most)) if most > 0 else 0.0


def _posterior(
    people: int, users: Sequence[int], evidence: Sequence[float], spreads: Sequence[float], others: Sequence[float],
    compared: Sequence[bool],
) -> list[float]:  # fmt: skip
    """Agreement is the regression of a person's votes on what others say, less what others say of any reply: where
    everybody likes everything, one more like agrees with all and proves nothing. Votes of which nobody else says
    anything are not `compared`."""
    votes = [*compress(zip(users, evidence, spreads, others, strict=True), compared)]
    spread_in_all = sum(spread for _, _, spread, _ in votes)
    chance = sum(spread * other for _, _, spread, other in votes) / (spread_in_all or 1.0)
    agreed, weight = [MIDDLE * PRIOR] * people, [PRIOR] * people
    for user, one, spread, other in votes:
        other -= chance
        agreed[user] += one * other
        weight[user] += spread * other * other
    return [max(0.0, min(1.0, a / c)) for a, c in zip(agreed, weight, strict=True)]


def fair_share(weights: Sequence[float], trust: Sequence[float]) -> float:
    """The most of all weight that one person may have: a tenth, or 1/n where fewer than ten take part.

    Who has less than a quarter of the median's weight is heard but not counted in n, nor is who tosses coins: else
    one vote of a passer-by would take nine tenths of their say from four people who vote each day.
    """
    heard = sorted(weight for weight, one in zip(weights, trust, strict=True) if weight > 0 and one >= CHANCE)
    if not heard:
        return 1.0
    median = heard[(len(heard) - 1) // 2]
    return max(SHARE, 1 / sum(weight >= REGULAR * median for weight in heard))


def capped(weights: Sequence[float], share: float) -> list[float]:
    """The weights, the largest lowered until none is more than `share` of what is then their sum."""
    ranked = sorted(weights)
    below = list(accumulate(ranked))
    for above, weight in enumerate(reversed(ranked)):
        free = 1 - share * above
        # With `above` people at the level, it is share / free of what all others have together.
        if free <= 1e-9:
            return [min(one, ranked[-above]) for one in weights]
        level = share * below[-1 - above] / free
        if weight <= level * (1 + 1e-9):
            return [min(one, level) for one in weights]
    return [min(one, ranked[0]) for one in weights] if ranked else []
