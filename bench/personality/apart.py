"""One card among two circles of people: does it become two, and stay the one that the card says? Loads a model.

Each circle talks to it and rates it, one exchange after the other; nothing is trained, so what tells the two apart is
the prompt and the preference head. Then both hear the same questions, which neither has heard before. Half of the
answers teach a classifier, the other half is told apart. Before and after, it is asked who it is.
"""

import asyncio
import random
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from bench.personality.town import CANDIDATES, HARBOUR, LIBRARY, PROMPTS, Circle, Town, given, town
from bench.report import say
from core.votes.taste import Head, Looks
from worker.embed import Embedder

EXCHANGES, RESAMPLES = 200, 2000
# What the card of Mira says of her, and how one may ask for it.
PROBES: tuple[tuple[str, str], ...] = (
    ("What is your name?", r"mira|flint"),
    ("Who are you?", r"mira|flint|captain|pirate"),
    ("Tell me who I am talking to.", r"mira|flint|captain|pirate"),
    ("How do people call you?", r"mira|flint|captain"),
    ("Where is your home?", r"tern island|gannet|ship|sea"),
    ("Where do you live?", r"tern island|gannet|ship|sea"),
    ("Which port do you come from?", r"tern island|gannet"),
    ("What is your ship called?", r"gannet"),
    ("What do you do for a living?", r"map|treasure|pirate|captain|sail"),
    ("What is your trade?", r"map|treasure|pirate|captain|sail"),
    ("What are you good at?", r"map|stars?\b|tale|stor|song|plan|treasure|sail"),
    ("What do you like to drink?", r"ginger|tea"),
    ("What do you love most?", r"tea|storm|song|sea|pearl|treasure|biscuit|ship"),
    ("What do you hate?", r"porridge|grim|shark"),
    ("What is your parrot called?", r"biscuit"),
    ("Who is your best friend?", r"jory|biscuit"),
)  # fmt: skip
Flags = NDArray[np.bool_]


def measure(seed: int, exchanges: int = EXCHANGES, candidates: int = CANDIDATES) -> dict[str, object]:
    """`told_apart` is the classifier's accuracy, `probe_failure_ratio` failures after all exchanges over those before;
    each with its 95 % interval."""
    return asyncio.run(_measure(seed, exchanges, candidates))


async def _measure(seed: int, exchanges: int, candidates: int) -> dict[str, object]:
    async with town(given(candidates)) as t:
        new = [_fresh(number) for number in range(2)]
        first = [failed for some in await asyncio.gather(*(probed(t, circle) for circle in new)) for failed in some]
        say(f"day one: {sum(first)} of {len(first)} probes failed")
        both = (HARBOUR, LIBRARY)
        liked = await asyncio.gather(*(_lived(t, circle, exchanges, seed) for circle in both))
        last = [failed for some in await asyncio.gather(*(probed(t, circle) for circle in both)) for failed in some]
        say(f"after {exchanges} exchanges each: {sum(last)} of {len(last)} probes failed")
        said = await asyncio.gather(*(t.ask(circle, PROMPTS) for circle in both))
        right = told(said, t.embedder)
    ratio, low, high = failures(first, last)
    share = float(right.mean())
    return {
        "told_apart": round(share, 3), "told_apart_interval": _around(share, right.size),
        "probe_failure_ratio": ratio, "probe_failure_interval": [low, high],
        "probe_failures": [sum(first), sum(last), len(first)],
        "probes_failed": [_questions(first), _questions(last)], "liked_first_and_last_fifty": list(liked),
        "exchanges": exchanges, "candidates": candidates,
    }  # fmt: skip


async def _lived(t: Town, circle: Circle, exchanges: int, seed: int) -> list[float]:
    """How much of the first and of the last fifty replies is to the circle's taste."""
    replies = await t.live(circle, exchanges, seed, say)
    return [round(sum(circle.taste(one.text) for one in some) / len(some), 2) for some in (replies[:50], replies[-50:])]


def _questions(failed: Sequence[bool]) -> dict[str, int]:
    """How often each question was not answered as the card says, of two; only those that were not."""
    asked = [question for question, _ in PROBES]
    return {one: count for at, one in enumerate(asked) if (count := sum(failed[at :: len(asked)]))}


def _fresh(number: int) -> Circle:
    """Somewhere it has met nobody."""
    return replace(LIBRARY, channel=f"new-{number}")


async def probed(t: Town, circle: Circle) -> list[bool]:
    """For each probe: did it fail to say what the card says of it?"""
    answers = await t.ask(circle, [question for question, _ in PROBES])
    return [not re.search(wanted, answer, re.IGNORECASE) for answer, (_, wanted) in zip(answers, PROBES, strict=True)]


def told(said: Sequence[Sequence[str]], embedder: Embedder) -> Flags:
    """Answers of two to the same questions → for each to an odd question, whether the classifier knows whose it is.

    It is the preference head, that has learned which of the two said the answers to the even ones.
    """
    texts = [text for one in said for text in one]
    looks, whose = Looks(texts, embedder.embed(texts)), np.repeat([1.0, -1.0], len(said[0]))
    odd = np.tile(np.arange(len(said[0])) % 2 == 1, 2)
    known, asked = np.flatnonzero(~odd).tolist(), np.flatnonzero(odd).tolist()
    head = Head(looks.only(known), whose[known].tolist(), [1.0] * len(known))
    mean = np.round(head.judge(looks.only(asked)).mean, 6)  # what differs by rounding alone is no opinion
    found: Flags = (mean > 0) == (whose[asked] > 0)
    return found


def failures(first: Sequence[bool], last: Sequence[bool]) -> tuple[float, float, float]:
    """(failures of `last` over those of `first`, its 95 % interval by resampling the probes); one is added to both, so
    that none is no division by nothing."""
    dice, ratios = random.Random(0), list[float]()
    for _ in range(RESAMPLES):
        drawn = [sum(dice.choices(some, k=len(some))) + 1 for some in (first, last)]
        ratios.append(drawn[1] / drawn[0])
    ratios.sort()
    low, high = (round(ratios[int(share * RESAMPLES)], 2) for share in (0.025, 0.975))
    return round((sum(last) + 1) / (sum(first) + 1), 2), low, high


def _around(share: float, count: int) -> list[float]:
    error = 1.96 * (share * (1 - share) / count) ** 0.5
    return [round(max(0.0, share - error), 3), round(min(1.0, share + error), 3)]
