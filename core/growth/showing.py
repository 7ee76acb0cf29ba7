"""What a text shows of its writer, cheaply: countable marks → how far each dial shows in it, -1 to 1. Pure.

Length, punctuation, emoji, and short lists of English words; no model. It cannot see irony, meaning, or who is meant
("you're not funny" counts as fun), and of a text that is not English it sees length and signs only. The Big Five are
guessed from marks of which each says little by itself: correlations of 0.1 to 0.2 between such marks and personality
are usual (F. Mairesse et al., "Using Linguistic Cues for the Automatic Recognition of Personality in Conversation and
Text", JAIR 30, 2007; J. Pennebaker and L. King, "Linguistic Styles", JPSP 77, 1999). So steps must be small.
"""

import math
import re
from collections.abc import Iterable

import msgspec

_WORDS = {
    "warm": """love loved lovely dear darling friend friends mate glad happy welcome sweet kind kindness hug hugs care
        heart hearts thank thanks gentle smile smiles proud comfort together beautiful wonderful aww bless hope""",
    "cold": """hate stupid idiot dumb shut boring annoying worst terrible awful useless ugly nonsense pathetic liar
        loser trash disgusting whatever nobody fool""",
    "polite": "please thanks thank sorry pardon kindly appreciate grateful excuse",
    "fun": """haha hahaha lol lmao hehe joke jokes joking funny silly pun ridiculous laugh laughs laughing laughter
        giggle chuckle prank tickle clown banana goofy rascal celebrate""",
    "bold": """never always must dare brave bold courage fearless certainly definitely absolutely obviously surely
        charge fight conquer adventure treasure forward unstoppable will storm win glory danger dangerous""",
    "hedge": "maybe perhaps might possibly guess probably somewhat seems seem unsure suppose could",
    "anxious": """afraid worry worried worries nervous scared fear anxious sad alone lonely tired cry crying upset
        panic stress stressed hurt lost trembling alas sigh""",
    "calm": "calm quiet peace peaceful easy relax slow slowly breathe rest steady fine still patience patient",
    "open": """imagine wonder wonders wondering dream dreams story stories idea ideas strange new discover explore art
        music poem magic magical star stars universe curious mystery beauty creative colour color secret invent""",
    "order": """first second third then next step steps list check plan exactly schedule order careful carefully
        finish prepare measure record log logs note notes rule rules line number percent minutes status""",
    "we": "we us our ours together everyone everybody crew team party",
    "you": "you your yours you're ye",
    "first": "i me my mine i'm i've i'd i'll myself",
    "slang": "gonna wanna gotta ya yeah yep nope dude bro hey ain't y'all cuz aye lol omg",
}
_SIGNS = {  # a few of these say as much as many
    "warm": re.compile("[\u2665\u2764\U0001f493-\U0001f49f\U0001f970\U0001f60d\U0001f917]"),
    "fun": re.compile("[\U0001f600-\U0001f606\U0001f609\U0001f61c\U0001f923\U0001f92a\U0001f639]"),
    "cold": re.compile("[\U0001f612\U0001f620\U0001f621\U0001f624\U0001f644\U0001f92c\U0001f595]"),
}
_MOST_SIGNS = 3
_OF: dict[str, tuple[str, ...]] = {}
for _mark, _list in _WORDS.items():
    for _word in _list.split():
        _OF[_word] = (*_OF.get(_word, ()), _mark)
_COMMON = """the a an and of to in is it that for on with as are was be this have at or not but i you my your we they he
    she what so do me if no can all will just there how about from"""
_ENGLISH = frozenset(_COMMON.split())
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_SHORTENED = re.compile(r"['’](?:s|m|re|ve|d|ll|t)\b", re.IGNORECASE)
_SHOUTED = re.compile(r"\b[A-Z]{3,}\b")
_STOP = re.compile(r"[.!?…]+")
LONGEST = 4000  # characters that are looked at
ENGLISH = 0.12  # of the words must be ones that we know


# What each dial shows by: mark → weight. `length` is 0 for twenty words, 1 for eighty.
_DIALS: dict[str, dict[str, float]] = {
    "verbosity": {"length": 1.0},
    "warmth": {"warm": 0.8, "polite": 0.5, "we": 0.3, "exclaims": 0.5, "cold": -1.2},
    "humour": {"fun": 1.5, "exclaims": 0.6, "slang": 0.3},
    "playfulness": {"fun": 1.2, "exclaims": 0.8, "slang": 0.3, "asks": 0.2},
    "boldness": {"bold": 1.2, "exclaims": 0.7, "hedge": -1.0, "anxious": -0.5},
    "curiosity": {"asks": 1.0, "open": 0.5, "you": 0.1},
    "politeness": {"polite": 1.2, "cold": -1.0, "slang": -0.3},
    "formality": {"long": 0.4, "short": -0.3, "slang": -0.8, "exclaims": -0.4},
    "extraversion": {"exclaims": 1.2, "we": 0.5, "you": 0.15, "warm": 0.2, "length": 0.3},
    "agreeableness": {"warm": 0.6, "polite": 0.6, "calm": 0.2, "cold": -1.2},
    "conscientiousness": {"order": 1.0, "long": 0.15, "slang": -0.4, "exclaims": -0.4},
    "neuroticism": {"anxious": 1.2, "first": 0.15, "calm": -0.6},
    "openness": {"open": 1.0, "long": 0.2},
}
# The same by another name. Every other dial of a card (pride, danger, patience …) shows in nothing we can count.
_CALLED = {
    "humor": "humour", "friendliness": "warmth", "kindness": "warmth", "talkativeness": "verbosity",
    "confidence": "boldness", "courage": "boldness", "energy": "extraversion", "manners": "politeness",
}  # fmt: skip
# How often each mark comes in ordinary talk: the mean of people's lines, of another bot's, and of our cards' replies.
_USUAL = {
    "warm": 0.25, "cold": 0.01, "polite": 0.06, "fun": 0.05, "bold": 0.1, "hedge": 0.05, "anxious": 0.05,
    "calm": 0.03, "open": 0.15, "order": 0.05, "we": 0.04, "you": 1.0, "first": 1.0, "slang": 0.1, "short": 0.8,
    "long": 0.8, "exclaims": 0.08, "asks": 0.25,
}  # fmt: skip


class Marks(msgspec.Struct, frozen=True):
    """What was counted. `rates`: how often each mark comes in twenty words; `english`: whether its words can be read.

    `exclaims` and `asks`: the share of sentences that end so, 0 to 1.
    """

    words: int
    exclaims: float
    asks: float
    rates: dict[str, float]
    english: bool
    exclamations: int = 0
    questions: int = 0


def marks(text: str) -> Marks:
    """Count."""
    text = text[:LONGEST]
    words = [word.casefold().replace("’", "'") for word in _WORD.findall(text)]
    stops = _STOP.findall(text)
    loud, asking = sum("!" in stop for stop in stops), sum("?" in stop for stop in stops)
    per = USUAL_WORDS / max(len(words), LEAST_WORDS)
    return Marks(
        words=len(words),
        exclaims=loud / max(len(stops), 1),
        asks=asking / max(len(stops), 1),
        rates={mark: count * per for mark, count in _counts(text, words).items()},
        english=sum(word in _ENGLISH or word in _OF for word in words) >= ENGLISH * len(words),
        exclamations=loud,
        questions=asking,
    )


def shown(marks: Marks) -> dict[str, float]:
    """How far each dial shows, -1 to 1; 0 is ordinary talk. Only dials of which something can be seen."""
    if not marks.words:
        return {}
    length = math.log(marks.words / USUAL_WORDS) / math.log(4)
    seen = {**marks.rates, "exclaims": marks.exclaims, "asks": marks.asks, "length": length}
    if not marks.english:
        return {"verbosity": math.tanh(length)}
    return {
        dial: math.tanh(sum(weight * (seen[mark] - _USUAL.get(mark, 0.0)) for mark, weight in by.items()))
        for dial, by in _DIALS.items()
    }


def showing(text: str, dials: Iterable[str]) -> dict[str, float]:
    """What a text shows of these dials, by their names on the card."""
    found = shown(marks(text))
    return {dial: found[name] for dial in dials if (name := _CALLED.get(dial, dial)) in found}


def has_meaning(dial: str) -> bool:
    """Is this a dial that can be seen in what is said? Others move by `/tune` only."""
    return _CALLED.get(dial, dial) in _DIALS


def _counts(text: str, words: list[str]) -> dict[str, float]:
    counts = dict.fromkeys(_WORDS, 0.0)
    for word in words:
        for mark in _OF.get(word, ()):
            counts[mark] += 1
    for mark, signs in _SIGNS.items():
        counts[mark] += min(len(signs.findall(text)), _MOST_SIGNS)
    counts["short"] = float(len(_SHORTENED.findall(text)))
    counts["long"] = float(sum(len(word) > 7 for word in words))
    counts["shout"] = float(len(_SHOUTED.findall(text)))
    return counts


USUAL_WORDS, LEAST_WORDS = 20, 12
