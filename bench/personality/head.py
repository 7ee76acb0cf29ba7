"""The preference head on real replies: thirty ratings of one taste, then pairs that it has not seen. Loads a model.

The replies are SmolLM2's, the five tastes those of `bench.nights`; one person rates thirty of them, and slips as people
there do. Held out are the replies to every other topic: of each pair of which one is to the taste and one is not, is
the right one preferred? Beside it: the same votes shuffled among the replies, and "the longer one is better". Twelve
more tastes are lists of words, which the head has no sign for.
"""

import os
import random
import re
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.nights import tastes as shipped
from bench.nights.people import Rater, Reply, Taste, entries, likes
from bench.personality.pool import replies
from bench.report import Spent, say
from core import config, feedback
from core.votes import polarity
from core.votes.taste import MOST, Head, Looks, counted
from worker.embed import load
from worker.night.sight import seen

TASTES: dict[str, Taste] = {
    one.__name__: one
    for one in (shipped.excited, shipped.curious, shipped.seafaring, shipped.close, shipped.salty)
}  # fmt: skip
OTHERS = {
    "animals": r"(parrot|bird|cat|dog|fish|whale)s?", "numbers": r"\d+|two|three|four|five|ten|hundred",
    "feelings": r"(love|hate|fear|afraid|happy|sad|joy|dream)\w*", "laughs": r"(laugh|haha|chuckle|joke|fun)\w*",
    "riches": r"(treasure|gold|rich|jewel|money|coin)\w*", "hedges": r"maybe|perhaps|probably|might|seems?|guess",
    "land": r"(city|town|house|home|land|island|mountain|tree|garden)\w*", "past": r"was|were|had|used to|once|ago",
    "denies": r"no|not|never|none|nothing|don't|can't|isn't", "absolute": r"always|never|every\w*|all|best|most",
    "family": r"mother|father|brother|sister|family|wife|son|daughter|mom|dad|child\w*|kids?",
    "casual": r"yeah|hey|well|oh|okay|eh|huh|wow|nah|aw|ha|haha|ugh",
}  # fmt: skip
POOL, RATED, DRAWS, GROUPS = 600, 30, 40, 20
Flags = NDArray[np.bool_]
Scores = NDArray[np.float64]


def measure(seed: int) -> dict[str, Any]:
    """`head_accuracy` is the mean over the tastes, `head_update_ms` the CPU time to take in a vote after thirty."""
    pool = replies(POOL)
    looks = Looks([one.text for one in pool], load(config.load(os.environ)).embed([one.text for one in pool]))
    topics = _topics(pool)
    found = {name: _taste(pool, looks, topics, taste, seed) for name, taste in TASTES.items()}
    for name, one in found.items():
        say(f"{name}: {_told(one)}")
    others = {name: _taste(pool, looks, topics, _of(words), seed, ("accuracy",)) for name, words in OTHERS.items()}
    say(f"others: {[(name, one['accuracy']) for name, one in others.items()]}")
    every = list(found.values())
    accuracy, error = _over(every, "accuracy")
    return {
        "head_accuracy": accuracy,
        "head_interval": [round(accuracy - 1.96 * error, 3), round(accuracy + 1.96 * error, 3)],
        "head_tastes": {name: _told(one) for name, one in found.items()},
        "head_shuffled": _over(every, "shuffled")[0],
        "head_longer": _over(every, "longer")[0],
        "head_others": round(statistics.mean(one["accuracy"] for one in others.values()), 3),
        "head_other_tastes": {name: one["accuracy"] for name, one in others.items()},
        "head_update_ms": _update(looks, RATED),
        "head_update_ms_full": _update(looks, MOST),
        "head_pool": POOL,
    }


def pairs(scores: Scores, liked: Flags) -> float:
    """The share of pairs of one liked and one that is not, in which the liked one has the higher score; ties: half."""
    above, below = scores[liked][:, None], scores[~liked][None]
    return float((above > below).mean() + 0.5 * (above == below).mean())


def rated(pool: Sequence[Reply], chosen: Sequence[int], liked: Flags, dice: random.Random) -> tuple[list[int], Any]:
    """One person's ratings of these replies, read as the product reads them: (which replies, votes)."""
    rater = Rater("discord:77:p00", "honest")
    cast = [(at, rater, likes(rater, bool(liked[number]), dice)) for at, number in enumerate(chosen)]
    told = entries([pool[number] for number in chosen], cast, "", dice)
    reading = feedback.read(seen(told, weak=False), polarity.ours(), shared=False, now=86_400.0)
    votes = counted(reading)
    places = {entry.record.id: number for entry, number in zip(told, chosen, strict=True)}
    return [places[reply] for reply in votes.replies], votes


def _of(words: str) -> Taste:
    pattern = re.compile(rf"\b({words})\b", re.IGNORECASE)
    return lambda prompt, reply: bool(pattern.search(reply))


def _taste(
    pool: Sequence[Reply], looks: Looks, topics: Sequence[str], taste: Taste, seed: int,
    modes: Sequence[str] = ("accuracy", "shuffled"),
) -> dict[str, Any]:  # fmt: skip
    liked = np.array([taste(one.prompt, one.text) for one in pool])
    marks = {
        mode: [_draw(pool, looks, topics, liked, seed * 1000 + number, mode) for number in range(DRAWS)]
        for mode in modes
    }
    means = {mode: round(statistics.mean(mark for mark, _ in some), 3) for mode, some in marks.items()}
    accuracies = [mark for mark, _ in marks["accuracy"]]
    return {
        "liked": round(float(liked.mean()), 3),
        **means,
        "middle_95": [round(float(np.percentile(accuracies, share)), 3) for share in (2.5, 97.5)],
        "longer": round(pairs(looks.length.astype(float), liked), 3),
        "jackknife": np.mean([left for _, left in marks["accuracy"]], axis=0),
        "draws": accuracies,
    }


def _draw(
    pool: Sequence[Reply], looks: Looks, topics: Sequence[str], liked: Flags, seed: int, mode: str
) -> tuple[float, Scores]:  # fmt: skip
    """One person's thirty: (accuracy on replies to topics that they did not rate, the same without each group)."""
    dice = random.Random(seed)
    names = sorted(set(topics))
    asked = set(dice.sample(names, len(names) // 2))
    mine = [at for at, topic in enumerate(topics) if topic in asked]
    others = np.array([at for at, topic in enumerate(topics) if topic not in asked])
    chosen, votes = rated(pool, dice.sample(mine, RATED), liked, dice)
    values = list(votes.values)
    if mode == "shuffled":
        dice.shuffle(values)
    scores = Head(looks.only(chosen), values, votes.weights).judge(looks.only(others.tolist())).mean
    group = {name: at % GROUPS for at, name in enumerate(names)}
    groups = np.array([group[topics[at]] for at in others])
    left = np.array([pairs(scores[groups != one], liked[others][groups != one]) for one in range(GROUPS)])
    return pairs(scores, liked[others]), left


def _topics(pool: Sequence[Reply]) -> list[str]:
    """What each is about: the question without its words, by the longest topic that stands in it."""
    from bench.nights.world import TOPICS

    return [max((topic for topic in TOPICS if topic in one.prompt), key=len) for one in pool]


def _over(found: Sequence[dict[str, Any]], key: str) -> tuple[float, float]:
    """(mean over the tastes, its standard error): by what other people would have rated, and by a jackknife that leaves
    out a twentieth of the topics."""
    mean = statistics.mean(one[key] for one in found)
    left = np.mean([one["jackknife"] for one in found], axis=0)
    topics = (GROUPS - 1) / GROUPS * ((left - left.mean()) ** 2).sum()
    people = np.var(np.mean([one["draws"] for one in found], axis=0), ddof=1) / DRAWS
    return round(mean, 3), float(np.sqrt(topics + people))


def _told(one: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in one.items() if key not in ("jackknife", "draws")}


def _update(looks: Looks, count: int) -> float:
    """Milliseconds of CPU from one more vote to a head that has judged four candidates; the median of twenty."""
    mine, four = looks.only(range(count)), looks.only(range(count, count + 4))
    values = [1.0 if at % 3 == 0 else -1.0 for at in range(count)]
    taken = []
    for _ in range(20):
        with Spent() as spent:
            Head(mine, values, [1.0] * count).judge(four).pick(1)
        taken.append(spent.cpu * 1000)
    return round(statistics.median(taken), 2)
