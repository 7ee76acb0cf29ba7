"""Which of a card's feelings a reply shows, and what is done beside it: from likelihoods to a choice. Pure.

A likelihood alone says how common a word is. So what each has after replies in which nothing of it is felt is taken
off first: contextual calibration (Zhao et al. 2021), with the card's own example lines for a context.
"""

import math
from collections.abc import Mapping, Sequence

from core.growth.changes import Pad

PULL = 1.0  # what a mood that moved by one adds to the log-chance of a feeling that lies that way
SURE = 0.6  # a feeling is shown when its chance is at least this; else it stays inside
RISEN = 1.0  # nats by which the likeliest action must rise above what is usual
ALONE = 3.0  # the same, where nearness in meaning cannot be asked as well
CLOSE = 0.3  # the least cosine, where likelihoods cannot be asked
REST = 2  # replies without any action after one with

# Pleasure, arousal and dominance of feelings, -1 to 1: rough values of our own in the space of J. Russell and
# A. Mehrabian, "Evidence for a three-factor theory of emotions" (1977). A word that is not here is pulled by no mood.
PADS: Mapping[str, Pad] = {
    word: pad
    for words, pad in (
        ("happy glad joyful cheerful merry delighted", (0.8, 0.5, 0.4)),
        ("excited elated thrilled enthusiastic eager", (0.7, 0.8, 0.4)),
        ("pleased content satisfied", (0.7, 0.1, 0.3)),
        ("amused playful cheeky silly", (0.6, 0.4, 0.3)),
        ("hearty friendly warm kind", (0.7, 0.3, 0.3)),
        ("tender loving touched affectionate grateful moved", (0.7, 0.1, -0.2)),
        ("proud triumphant smug", (0.6, 0.3, 0.7)),
        ("bold brave daring confident determined", (0.4, 0.6, 0.7)),
        ("calm relaxed peaceful cosy cozy patient nominal serene", (0.6, -0.5, 0.2)),
        ("curious interested wondering", (0.3, 0.5, 0.0)),
        ("amazed surprised astonished awed", (0.4, 0.8, -0.2)),
        ("dramatic", (0.1, 0.8, 0.4)),
        ("sly mischievous", (0.4, 0.3, 0.5)),
        ("solemn serious stern strict", (-0.1, -0.2, 0.4)),
        ("alert vigilant", (0.0, 0.7, 0.3)),
        ("hungry", (-0.3, 0.4, 0.0)),
        ("sleepy tired weary", (0.1, -0.7, -0.3)),
        ("bored", (-0.6, -0.6, -0.3)),
        ("sad unhappy melancholy gloomy down", (-0.7, -0.3, -0.4)),
        ("wistful nostalgic homesick longing", (-0.2, -0.2, -0.3)),
        ("lonely", (-0.7, -0.3, -0.5)),
        ("worried anxious nervous uneasy", (-0.5, 0.6, -0.4)),
        ("afraid scared frightened", (-0.7, 0.7, -0.5)),
        ("suspicious wary distrustful", (-0.4, 0.4, 0.2)),
        ("angry cross furious annoyed irritated grumpy", (-0.6, 0.6, 0.3)),
        ("disgusted contemptuous", (-0.6, 0.3, 0.3)),
        ("embarrassed ashamed shy guilty", (-0.5, 0.2, -0.6)),
        ("hurt disappointed jealous", (-0.6, 0.2, -0.3)),
        ("confused puzzled", (-0.3, 0.4, -0.3)),
    )
    for word in words.split()
}  # fmt: skip


def pulls(names: Sequence[str], moved: Pad) -> list[float]:
    """What a mood that `moved` off its rest point adds to each feeling's log-chance."""
    return [
        PULL * sum(a * b for a, b in zip(moved, PADS.get(name.casefold(), (0, 0, 0)), strict=True)) for name in names
    ]


def usual(rows: Sequence[Sequence[float]]) -> list[float]:
    """The mean score of each choice over replies that show nothing in particular; at least one."""
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def chances(above: Sequence[float], prior: Sequence[float]) -> list[float]:
    """The chance of each choice, from how far the log of its likelihood is `above` the usual, and what speaks for it
    beforehand."""
    logs = [one + pull for one, pull in zip(above, prior, strict=True)]
    most = max(logs)
    shares = [math.exp(log - most) for log in logs]
    return [share / sum(shares) for share in shares]


def likeliest(shares: Sequence[float]) -> tuple[int, float]:
    """Which one, and its chance."""
    at = max(range(len(shares)), key=shares.__getitem__)
    return at, shares[at]


def action(above: Sequence[float] | None, near: Sequence[float] | None) -> int | None:
    """Which action a reply calls for; None: nothing is done. It must be likelier than `above` what is usual and the
    nearest in meaning: each alone finds an action for every reply. One of the two may be missing."""
    if above is None:
        at, most = likeliest(near) if near else (0, 0.0)
        return at if most >= CLOSE else None
    at, most = likeliest(above)
    if near is None:
        return at if most >= ALONE else None
    return at if most >= RISEN and likeliest(near)[0] == at else None
