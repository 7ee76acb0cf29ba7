"""Votes that count less for how they came: many at once, or from somebody who has just appeared. Pure numbers."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence

MINUTE = 60.0
DAY = 86_400.0
BURST = 5  # so many votes within a minute are still reading and judging
NEW = 0.5


def bursts(users: Sequence[int], times: Sequence[float], vouched: Sequence[bool]) -> tuple[list[float], dict[int, int]]:
    """What each vote counts, and the size of the biggest burst of everybody who had one.

    However many votes fall into a minute, together they count as five. Times of `vouched` votes come from a file: if
    they are one and the same, it gave none, and there was no burst.
    """
    votes: dict[int, list[int]] = {}
    for vote, user in enumerate(users):
        votes.setdefault(user, []).append(vote)
    factors, biggest = [1.0] * len(users), {}
    for user, mine in votes.items():
        if len(mine) <= BURST:
            continue
        moments = [times[vote] for vote in mine]
        ranked = sorted(set(moments) if all(vouched[vote] for vote in mine) else moments)
        crowds = [crowd(ranked, moment) for moment in moments]
        if max(crowds) > BURST:
            biggest[user] = max(crowds)
            for vote, size in zip(mine, crowds, strict=True):
                factors[vote] = min(1.0, BURST / size)
    return factors, biggest


def crowd(ranked: Sequence[float], time: float) -> int:
    """How many of these times, in order, are within the minute around this one."""
    return bisect_right(ranked, time + MINUTE / 2) - bisect_left(ranked, time - MINUTE / 2)


def newcomers(first: Mapping[int, float], now: float) -> set[int]:
    """People first heard of within a day, where most are known for longer. Where all are new, nobody is."""
    fresh = {user for user, time in first.items() if now - time < DAY}
    return fresh if 2 * len(fresh) < len(first) else set()
