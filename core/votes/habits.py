"""What a person's votes are like anyway: how often they like, and how much more so if a reply is long. Pure numbers.

Who likes everything says little with one more like, and who likes whatever is long says nothing about a long reply.
So each person has a model of their habit, p(like | log length), and a vote counts by how surprising it is under it:
a like 2(1-p), a dislike 2p. A balanced person's votes count 1 on average, and summed over anybody's votes neither
likes nor long replies are ahead any more.

One vote is no habit. Everybody begins with ten imaginary votes: half likes, half dislikes, and of long replies as
many liked as all people together would like. Only length is taken from all: a single like counts as one.
"""

from collections.abc import Sequence
from math import exp, log1p, sqrt
from typing import NamedTuple

IMAGINARY = 10.0
STEPS = 20
# Lengths are told apart in quarters of a standard deviation, up to 2.5 of them: people with the same votes then share
# one model, and most people have voted once.
GRAIN = 4
FARTHEST = 10

Tally = tuple[tuple[int, float, float], ...]
"""For each length: where it is, in grains from the mean, and how much was liked and disliked there."""


class Habit(NamedTuple):
    """Log-odds of a like: at a middling length, and what a standard deviation of log length adds."""

    base: float
    slope: float

    def likes(self, place: int) -> float:
        """How probable a like is for a reply of this length."""
        return 1 / (1 + exp(-max(-30.0, min(30.0, self.base + self.slope * place / GRAIN))))

    def surprise(self, place: int, liked: bool) -> float:
        """What a vote counts, 0 to 2: on average 1 for who likes as often as not."""
        return 2 * (1 - self.likes(place)) if liked else 2 * self.likes(place)


def places(lengths: Sequence[int]) -> list[int]:
    """Where the length of each vote's reply stands among all, in grains from their mean, by logarithm."""
    logs = [log1p(length) for length in lengths]
    mean = sum(logs) / max(1, len(logs))
    spread = sqrt(sum((one - mean) ** 2 for one in logs) / max(1, len(logs)))
    if spread < 1e-9:
        return [0] * len(logs)
    return [max(-FARTHEST, min(FARTHEST, round((one - mean) / spread * GRAIN))) for one in logs]


def habits(people: int, users: Sequence[int], values: Sequence[float], where: Sequence[int]) -> list[Habit]:
    """Everybody's habit. Each vote is a user (0 to `people`), a value (above 0: liked) and the place of its length."""
    tallies = _tallies(people, users, values, where)
    slope = _everybodys_slope(tallies)
    fitted = {tally: fit(tally, slope) for tally in set(tallies)}
    return [fitted[tally] for tally in tallies]


def fit(tally: Tally, slope: float) -> Habit:
    """The most probable habit after these votes and the imaginary ones, which know only the `slope` of all."""
    expected = Habit(0.0, slope).likes(GRAIN)
    half = IMAGINARY / 2
    points = [(place / GRAIN, liked, liked + disliked) for place, liked, disliked in tally]
    points += [(1.0, half * expected, half), (-1.0, half * (1 - expected), half)]
    base = 0.0
    for _ in range(STEPS):  # Newton's; it is concave, and the imaginary votes keep it so
        d_base, d_slope = _step(points, base, slope)
        base, slope = base + d_base, slope + d_slope
        if abs(d_base) + abs(d_slope) < 0.01:  # the next step would be its square
            break
    return Habit(base, slope)


def _step(points: Sequence[tuple[float, float, float]], base: float, slope: float) -> tuple[float, float]:
    up = tilt = bend = twist = lean = 0.0
    for x, liked, votes in points:
        p = 1 / (1 + exp(-max(-30.0, min(30.0, base + slope * x))))
        miss, curve = liked - votes * p, votes * p * (1 - p) + 1e-9
        up, tilt = up + miss, tilt + miss * x
        bend, twist, lean = bend + curve, twist + curve * x, lean + curve * x * x
    det = bend * lean - twist * twist
    return _short((lean * up - twist * tilt) / det), _short((bend * tilt - twist * up) / det)


def _short(step: float) -> float:
    """Far from the optimum Newton's steps are wild."""
    return max(-1.0, min(1.0, step))


def _tallies(people: int, users: Sequence[int], values: Sequence[float], where: Sequence[int]) -> list[Tally]:
    width = 2 * FARTHEST + 1
    sums: dict[int, list[float]] = {}
    for user, value, place in zip(users, values, where, strict=True):
        cell = sums.setdefault(user * width + place + FARTHEST, [0.0, 0.0])
        cell[value < 0] += round(abs(value), 2)  # what is said with half a voice is half a habit
    tallies: list[list[tuple[int, float, float]]] = [[] for _ in range(people)]
    for key in sorted(sums):
        user, place = divmod(key, width)
        liked, disliked = sums[key]
        tallies[user].append((place - FARTHEST, liked, disliked))
    return [tuple(tally) for tally in tallies]


def _everybodys_slope(tallies: Sequence[Tally]) -> float:
    """How much people prefer long replies, where nobody speaks for more than ten votes."""
    sums: dict[int, list[float]] = {}
    for tally in tallies:
        part = IMAGINARY / (IMAGINARY + sum(liked + disliked for _, liked, disliked in tally))
        for place, liked, disliked in tally:
            cell = sums.setdefault(place, [0.0, 0.0])
            cell[0] += part * liked
            cell[1] += part * disliked
    return fit(tuple((place, liked, disliked) for place, (liked, disliked) in sorted(sums.items())), 0.0).slope
