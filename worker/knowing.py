"""Does a persona know about what it is asked? By meaning, by its era, by names, and by what its card says it does not.

A question is compared with all that the card tells (domains, skills, details of the world, its own lines) and with
questions that anybody might ask (`common.txt`): what is nearer to those is outside. The weights were fitted to
questions for our own cards (`python -m bench.personality.calibrate`), and each card moves its threshold by its own
lines. Blocks: call it in a thread. Knows no Redis and no prompt.
"""

import re
from collections import OrderedDict
from typing import NamedTuple

import msgspec
import numpy as np

from core import era
from personas import eras
from personas.card import Card
from worker.embed import Vectors
from worker.nearness import Heard, Nearness, sentences

KEPT = 64  # profiles of cards
FAR = 0.85  # of the common questions are taken for outside; the rest are what this card is about
THREE = 3


class Weights(NamedTuple):
    """What each sign weighs, in log odds of knowing."""

    nearest: float  # of what the card tells
    three: float  # the mean of the three nearest
    elsewhere: float  # the mean of the three nearest common questions of elsewhere
    personal: float  # it is about the one who is asked
    name: float  # a name falls that is not in the card
    bias: float


WEIGHTS = Weights(5.99, 7.86, -8.49, 1.58, -2.24, -0.33)
DENIED = 0.5  # how near a question must be to what the card says it does not know
EVERYDAY = 0.6  # and to a question of everyday life, to be one
SHIFT = 1.0  # log odds by which a card's own lines may move its threshold, at most
EVEN = 0.05  # so much better, in shares of both kinds, must another threshold be


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether it knows about what was asked. `score` is in log odds of knowing, 0 is the threshold; `why` for people.

    `asked`: it was a question at all. `near` is what of the card is nearest.
    """

    known: bool
    why: str
    asked: bool = True
    score: float = 0.0
    near: str = ""


class Signs(NamedTuple):
    """What is seen of a question, in the order of `Weights`."""

    nearest: float
    three: float
    elsewhere: float
    personal: float
    name: float

    def score(self, weights: Weights) -> float:
        """Log odds of knowing."""
        return sum(sign * weight for sign, weight in zip(self, weights, strict=False)) + weights.bias


class _Profile(NamedTuple):
    """A card as questions are compared with it. `far` marks the common questions that are outside of it."""

    texts: list[str]
    rows: Vectors
    far: Vectors
    words: frozenset[str]
    shift: float


class Knowing:
    """Of one embedder."""

    def __init__(self, nearness: Nearness, weights: Weights = WEIGHTS) -> None:
        self._nearness, self._weights = nearness, weights
        self._profiles: OrderedDict[str, _Profile] = OrderedDict()

    def look(self, card: Card, heard: Heard, passages: float = 0.0) -> Verdict:
        """The verdict on a message. `passages`: how near the nearest passage of its knowledge files is (0 to 1)."""
        question = asks(heard.texts[0])
        if not limited(card):
            return Verdict(known=True, why="the card sets no limits", asked=bool(question))
        if not question:
            return Verdict(known=True, why="nothing is asked that one could know", asked=False)
        if verdict := _past(card, question):
            return verdict
        asked = heard.only(question)
        if verdict := self._denied(card, asked, passages):
            return verdict
        if not card.knowledge.domains:
            return Verdict(known=True, why="the card names no domains, and this is none of its unknowns")
        if idle(question):
            return Verdict(known=True, why="it is about the talk itself", asked=False)
        if not self._nearness.means:
            return Verdict(known=True, why="the embedder compares spelling alone, so this cannot be told")
        if (common := self._nearness.everyday(asked)) >= EVERYDAY:
            return Verdict(known=True, why=f"{common:.2f} near what everybody has something to say to")
        return self._weigh(card, question, asked, passages)

    def warm(self, card: Card) -> None:
        """Make ready what questions to this card are compared with."""
        if card.knowledge.domains and self._nearness.means:
            self._profile(card)

    def signs(self, card: Card, question: str) -> Signs:
        """What is seen of a question."""
        return _signs(self._profile(card), self._nearness, question, self._nearness.heard(question).rows[0], 0.0)

    def _weigh(self, card: Card, question: str, asked: Heard, passages: float) -> Verdict:
        profile = self._profile(card)
        signs = _signs(profile, self._nearness, question, asked.rows[0], passages)
        score = signs.score(self._weights) + profile.shift
        near = profile.texts[int(np.argmax(profile.rows @ asked.rows[0]))]
        why = f"{signs.nearest:.2f} near what the card tells, {signs.elsewhere:.2f} near what others are asked"
        return Verdict(known=score >= 0, why=why, score=float(score), near=near)

    def _denied(self, card: Card, asked: Heard, passages: float) -> Verdict | None:
        """What the card says itself that it does not know, unless it says more of what it does."""
        unknowns = [gist(one) for one in card.knowledge.unknowns]
        if not unknowns:
            return None
        near = self._nearness.near(asked, unknowns)
        place = max(range(len(unknowns)), key=lambda at: near[unknowns[at]])
        found = near[unknowns[place]]
        known = max(passages, *self._nearness.near(asked, self._profile(card).texts).values())
        if found < DENIED or found < known:
            return None
        return Verdict(known=False, why=f"{found:.2f} near knowledge.unknowns[{place}]", score=known - found)

    def _profile(self, card: Card) -> _Profile:
        if card.hash not in self._profiles:
            self._profiles[card.hash] = _profile(card, self._nearness, self._weights)
            while len(self._profiles) > KEPT:
                self._profiles.popitem(last=False)
        return self._profiles[card.hash]


def limited(card: Card) -> bool:
    """Does the card say anything of what it knows and does not?"""
    knowledge = card.knowledge
    return bool(knowledge.domains or knowledge.unknowns or eras.year(knowledge.era) is not None)


def _past(card: Card, question: str) -> Verdict | None:
    """What had not been heard of in its time."""
    last = eras.year(card.knowledge.era)
    later = era.unheard(question, last) if last is not None else None
    if later is None:
        return None
    thing, came = later
    return Verdict(known=False, why=f"{thing!r} came in {came}, its era ends in {last}", score=-3.0)


# What of a message asks.

_OPENERS = (
    r"do you (?:happen to )?know(?: about| of| anything about)?|have you (?:ever )?heard (?:about|of)|"
    r"(?:can|could|would|will) you (?:please )?(?:tell|explain|teach|show|help|give)(?: to)?(?: me| us)?"
    r"(?: with| about)?|what do you (?:think|know) (?:about|of)|(?:please )?tell (?:me|us)(?: about)?|"
    r"i(?: would|'d)? (?:like|want) to know|i wonder|what(?:'s| is) your (?:opinion|view) (?:on|of|about)|"
    r"(?:please )?explain(?: to me)?|any idea|what about|how about"
)
_POLITE = r"(?:(?:hey|hi|hello|so|well|ok|okay|please|and|but|oh|hmm|say)[,! ]+|\w+, )*"
_OPENER = re.compile(rf"^{_POLITE}(?:{_OPENERS})\b", re.IGNORECASE)
_ASKING = re.compile(
    rf"^{_POLITE}(?:who|whom|whose|what|when|where|why|which|how|is|are|was|were|do|does|did|can|could|should|would|"
    r"will|has|have|define|describe|name|list|write|calculate|compute|solve|translate|recommend|suggest|compare)\b",
    re.IGNORECASE,
)
_YOU = re.compile(r"\b(?:you|your|yours|yourself|you're|you've|you'd|ya|thy|thee|thou)\b", re.IGNORECASE)
_OURS = re.compile(
    r"^(?:what|who|where|when|which|how)(?:'s| is| are| was| were) (?:the \w+ of )?(?:my|our)\b|"
    r"\b(?:did|have) (?:i|we)\b|\bremember\b|"
    r"\b(?:do|am|was|were) (?:i|we) (?:live|work|play|like|love|hate|study|own|prefer|come from|from|called)\b|"
    r"\bi (?:told|said|mentioned)\b|\b(?:am i|who i am|my name)\b",
    re.IGNORECASE,
)
_TOLD = re.compile(r"\b(?:did|has|have) \w+ (?:tell|told|say|said|mention|mentioned)\b", re.IGNORECASE)


def asks_back(text: str) -> bool:
    """Does a message ask for something that was told in the talk?"""
    asked = [sentence for sentence in sentences(text) if sentence.endswith("?")]
    return any(_OURS.search(sentence) or _TOLD.search(sentence) for sentence in asked)


def asks(text: str) -> str:
    """The sentence of a message that asks for something to be known, the last if there are several; empty if none. What
    somebody asks about themselves is for the memory."""
    for sentence in reversed(sentences(text)):
        if _OURS.search(sentence):
            continue
        if sentence.endswith("?") or _OPENER.match(sentence) or (_ASKING.match(sentence) and len(sentence.split()) > 2):
            return sentence
    return ""


_HERE = re.compile(
    r"^(?:is|are|was|were|did|does|do|has|have|will|would|shall|can|could|should|may|am|isn't|aren't|don't|doesn't) "
    r"(?:it|this|that|we|they|he|she|there|i|us)\b",
    re.IGNORECASE,
)
_WORDS = """
a about again all also am an and any anything are as at away back be because been before being but by can come
could did different do does doing done else even ever feel feeling few first for from get go going good great
had happen happened happens has have help her here hers him his how i idea if in into is it its just kind know
last later least let like long look make makes many matter may maybe me mean means might mind mine more most
much must my need never new next nice no not nothing now of off ok okay old on one only or other our out over
part place please problem question ready really right say see seem shall she should so some someone something
sort still such sure take talk tell than that the their them then there these they thing things think this those
thought thoughts time to today together tomorrow tonight too try up us use very want was way we well were what
what's when where which while who whose why will wish with without wonder word work would wrong yes yesterday
yet you your
"""
_SMALL = frozenset(_WORDS.split())


def idle(question: str) -> bool:
    """Does it ask about what is just being said or done, and not for something that one could know? "What happened
    next?", "Is it cold?"."""
    words = [word.casefold().removesuffix("'s") for word in re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)?", question)]
    return _HERE.match(question) is not None or all(word in _SMALL for word in words)


def personal(question: str) -> bool:
    """Is it about the one who is asked? "Do you know" and its like ask for something else."""
    return _YOU.search(_OPENER.sub("", question)) is not None


def named(question: str, words: frozenset[str]) -> bool:
    """Does a name fall, in the midst of the question, that is none of these words?"""
    names = re.findall(r"(?<=[\w,] )[A-Z][a-z][\w'’-]+", question)
    return any(name.casefold().removesuffix("'s").removesuffix("’s") not in words for name in names if len(name) > 2)


def gist(unknown: str) -> str:
    """What is not known, without the remark that follows: "Computers, which Finn sees to"."""
    return re.split(r", (?:as|which|so|though|since|because|that|who)\b", unknown)[0]


# A card as questions are compared with it.


def told(card: Card) -> list[str]:
    """All that a card tells of itself and its world, each once."""
    world, knowledge = card.world, card.knowledge
    details = [text for detail in world.details for text in (detail.text, *detail.about)]
    own = [example.user for example in card.voice.examples]
    lists = (*knowledge.domains, *card.skills, *card.goals, *details, *sentences(card.description), world.scene, *own)
    return list(dict.fromkeys(text for text in (*lists, card.title, card.tagline) if text.strip()))


def _profile(card: Card, nearness: Nearness, weights: Weights) -> _Profile:
    texts = told(card)
    rows, common = nearness.rows(texts), nearness.background
    own = _three(nearness.lifted(rows @ common.T).T)
    words = frozenset(re.findall(r"\w+", msgspec.json.encode(card).decode().casefold()))
    profile = _Profile(texts, rows, common[np.sort(np.argsort(own, kind="stable")[: int(FAR * len(own))])], words, 0.0)
    return profile._replace(shift=_shift(card, profile, nearness, weights))


def _signs(profile: _Profile, nearness: Nearness, question: str, heard: Vectors, passages: float) -> Signs:
    near = nearness.lifted(profile.rows @ heard)
    elsewhere = float(_three(nearness.lifted(profile.far @ heard)[None])[0])
    nearest, three = max(float(near.max()), passages), max(float(_three(near[None])[0]), passages)
    return Signs(nearest, three, elsewhere, float(personal(question)), float(named(question, profile.words)))


def _three(rows: Vectors) -> Vectors:
    """The mean of the three highest of each row; of fewer, if there are no more."""
    found: Vectors = np.sort(rows, axis=1)[:, -THREE:].mean(axis=1)
    return found


def _shift(card: Card, profile: _Profile, nearness: Nearness, weights: Weights) -> float:
    """How this card's own lines move the threshold: its domains and details, each asked about as if it stood nowhere
    else, are to be known, and questions of elsewhere not. To where the two kinds part as well as they can, if they do
    not where it is; within bounds."""
    inside = [_own(profile, nearness, f"What do you know about {text}?", text, weights) for text in _subjects(card)]
    outside = [_foreign(profile, nearness, at, weights) for at in range(0, len(profile.far), 4)]
    if len(inside) < THREE or not outside:
        return 0.0
    marks = np.linspace(-2.0, 2.0, 41)
    wrong = np.array([np.mean(np.array(inside) < mark) + np.mean(np.array(outside) >= mark) for mark in marks])
    good = marks[wrong <= wrong.min() + EVEN]
    return float(np.clip(-good[np.abs(good).argmin()], -SHIFT, SHIFT))


def _subjects(card: Card) -> list[str]:
    return [*card.knowledge.domains, *(detail.about[0] for detail in card.world.details)]


def _own(profile: _Profile, nearness: Nearness, question: str, text: str, weights: Weights) -> float:
    """The score of a question about one of its own subjects, as if that were not among what it tells."""
    keep = [at for at, other in enumerate(profile.texts) if other != text]
    left = profile._replace(rows=profile.rows[keep])
    return _signs(left, nearness, question, nearness.rows([question])[0], 0.0)._replace(personal=0.0).score(weights)


def _foreign(profile: _Profile, nearness: Nearness, place: int, weights: Weights) -> float:
    """The score of one of the questions of elsewhere, as if it were not among them."""
    left = profile._replace(far=np.delete(profile.far, place, axis=0))
    return _signs(left, nearness, "", profile.far[place], 0.0).score(weights)
