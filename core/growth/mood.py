"""Moods: where a character's rests, and what a mood is called. Pure.

A mood is pleasure, arousal and dominance, each -1 to 1 (A. Mehrabian and J. Russell, 1974). Where it rests follows from
the Big Five by the regression of A. Mehrabian, "Analysis of the Big-five personality factors in terms of the PAD
temperament model", Australian Journal of Psychology 48 (1996); he measured emotional stability, the opposite of our
neuroticism. The names of the eight octants are his.
"""

import math
from collections.abc import Mapping, Sequence

from core.growth.changes import Pad
from core.growth.feelings import PADS
from core.personality import State, faded

PLAIN = 0.12  # a mood is not worth a word while every dimension is so near to where it rests
FELT, THAT_WAY = 0.2, 0.6  # how far a mood has moved, and how near an emotion lies to that, for it to be felt
MUCH = 0.3  # more pleased than usual, which is worth a word even if it is the same mood
_NAMES = {
    (True, True, True): "exuberant", (True, True, False): "dependent", (True, False, True): "relaxed",
    (True, False, False): "docile", (False, True, True): "hostile", (False, True, False): "anxious",
    (False, False, True): "disdainful", (False, False, False): "bored",
}  # fmt: skip
_WORDS = {  # what a small model understands by it
    "exuberant": "cheerful and full of energy", "dependent": "glad, and a little excited",
    "relaxed": "content and at ease", "docile": "calm and mild", "hostile": "annoyed", "anxious": "uneasy",
    "disdainful": "cool and a little distant", "bored": "flat and a little sad",
}  # fmt: skip


def rest(traits: Mapping[str, float]) -> Pad:
    """Where the mood of somebody with these traits (0 to 1) rests. A trait that is not given is average."""
    o, c, e, a, n = (
        2 * traits.get(name, 0.5) - 1
        for name in ("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism")
    )
    return (
        0.21 * e + 0.59 * a - 0.19 * n,
        0.15 * o + 0.30 * a + 0.57 * n,
        0.25 * o + 0.17 * c + 0.60 * e - 0.32 * a,
    )  # fmt: skip


def mood(state: State, now: float) -> Pad:
    """The mood at `now` (seconds UTC)."""
    (rp, ra, rd), (p, a, d) = rest(state.traits), faded(state, now)
    return (_within(rp + p), _within(ra + a), _within(rd + d))


def octant(pad: Pad) -> str:
    """Mehrabian's name for it, such as `relaxed`."""
    pleasure, arousal, dominance = pad
    return _NAMES[pleasure >= 0, arousal >= 0, dominance >= 0]


def called(state: State, now: float) -> str:
    """The mood for people who look: `as usual` near where it rests, `even` near the middle, else its octant."""
    present = mood(state, now)
    if math.hypot(*faded(state, now)) < FELT:
        return "as usual"
    return octant(present) if math.hypot(*present) >= FELT else "even"


def words(state: State, now: float) -> str:
    """The mood in plain words, such as `annoyed`; empty while it is much as it always is."""
    moved, usual, present = faded(state, now), octant(rest(state.traits)), octant(mood(state, now))
    if present != usual and max(map(abs, moved)) >= PLAIN:
        return _WORDS[present]
    return f"{_WORDS[present]}, more than usual" if present == usual and moved[0] >= MUCH else ""


def felt(names: Sequence[str], state: State, now: float) -> str:
    """Which of a card's emotions it feels: the one that lies in the direction in which its mood has moved; empty while
    it has hardly moved, or where no emotion of it lies that way."""
    moved = faded(state, now)
    if math.hypot(*moved) < FELT:
        return ""
    near = {name: _likeness(moved, PADS[name.casefold()]) for name in names if name.casefold() in PADS}
    best = max(near, key=lambda name: near[name], default="")
    return best if best and near[best] >= THAT_WAY else ""


def _likeness(one: Pad, other: Pad) -> float:
    """The cosine of the angle between two moods."""
    return sum(a * b for a, b in zip(one, other, strict=True)) / (math.hypot(*one) * math.hypot(*other))


def _within(value: float) -> float:
    return min(max(value, -1.0), 1.0)
