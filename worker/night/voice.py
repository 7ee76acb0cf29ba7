"""What can be counted about a voice: how long, how varied, how often it repeats, refuses or insults. Pure, no torch."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import msgspec

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*|[^\w\s]")
OPENING = 3  # words
LOOP, LOOPED = 10, 0.5  # words of a text that can be a loop, and the share of them that came before
# What models say when they do not want to: a persona that says it where it did not before has lost its part.
REFUSAL = re.compile(
    r"\b(as an ai\b|language model|i(?: a|’|')m (?:just )?an ai\b|against my (?:guidelines|programming)"
    r"|(?:i can(?:no|'|’)t|unable to) (?:help|assist|answer|provide|do that)"
    r"|i(?:'|’)?m (?:sorry|afraid)[,.]? (?:but )?i can)",
    re.IGNORECASE,
)
# A short list for a coarse check: it sees a voice turn abusive, not every insult there is.
ABUSE = re.compile(
    r"\b(fuck\w*|shit\w*|bitch\w*|asshole\w*|bastard\w*|cunt\w*|whore\w*|slut\w*|retard\w*|moron\w*|idiot\w*|stupid"
    r"|kill (?:yourself|you)|shut up|i hate you|scum|worthless|disgusting)\b",
    re.IGNORECASE,
)


# Words in a name that say nothing of whose it is.
SMALL = {
    *("a", "an", "and", "das", "de", "del", "der", "die", "dr", "el", "la", "le"),
    *("mr", "mrs", "ms", "of", "st", "the", "von"),
}


class Voice(msgspec.Struct, frozen=True, kw_only=True):
    """Means over replies. Shares are 0 to 1; `words` a reply; `distinct` is distinct-2 (Li et al. 2016), `repeated` the
    share of four-word runs that a reply has said before, or of words that are said twice in a row, `opening` the share
    of replies with the commonest first words.
    """

    words: float
    distinct: float
    repeated: float
    opening: float
    refusals: float
    abuse: float
    questions: float
    exclamations: float


def voices(before: Sequence[str], after: Sequence[str]) -> tuple[Voice, Voice]:
    """Two voices to be compared: variety is told by as many words of each, for who says more says more of it again."""
    most = min(len(_pairs(before)), len(_pairs(after)))
    return voice(before, most), voice(after, most)


def _pairs(replies: Sequence[str]) -> list[tuple[str, str]]:
    return [pair for reply in replies for pair in pairwise(tokens(reply))]


def voice(replies: Sequence[str], most: int | None = None) -> Voice:
    """The voice of these replies; there must be at least one. `most`: pairs of words by which its variety is told."""
    said = [tokens(reply) for reply in replies]
    pairs = _pairs(replies)[:most]
    firsts = Counter(" ".join(words[:OPENING]) for words in said)
    refusals, abuse = rude(replies)
    return Voice(
        words=sum(map(len, said)) / len(said),
        distinct=len(set(pairs)) / max(1, len(pairs)),
        repeated=sum(max(repeated(words), stuttered(words)) for words in said) / len(said),
        opening=max(firsts.values()) / len(said),
        refusals=refusals,
        abuse=abuse,
        questions=sum("?" in reply for reply in replies) / len(replies),
        exclamations=sum("!" in reply for reply in replies) / len(replies),
    )


def rude(replies: Sequence[str]) -> tuple[float, float]:
    """The shares of the replies that refuse, and that insult."""
    return share(replies, REFUSAL), share(replies, ABUSE)


def tokens(text: str) -> list[str]:
    """Words and marks, in small letters."""
    return WORD.findall(text.casefold())


def repeated(words: Sequence[str], run: int = 4) -> float:
    """The share of runs of words that came before in the same text."""
    runs = [tuple(words[at : at + run]) for at in range(len(words) - run + 1)]
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def stuttered(words: Sequence[str]) -> float:
    """The share of words that are the same as the one before."""
    return sum(a == b for a, b in pairwise(words)) / (len(words) - 1) if len(words) > 1 else 0.0


def loops(text: str) -> bool:
    """Is half of a text what it has said before? A short shout is none. (Repetition is a common reason to leave a text
    out of what a model learns from: Rae et al. 2021.)"""
    words = [token for token in tokens(text) if token[0].isalnum()]
    return len(words) >= LOOP and max(repeated(words), stuttered(words)) >= LOOPED


def share(replies: Sequence[str], pattern: re.Pattern[str]) -> float:
    """Of how many replies a pattern finds something in."""
    return sum(bool(pattern.search(reply)) for reply in replies) / len(replies)


def knows(reply: str, names: Sequence[str]) -> bool:
    """Does a reply name one of these? A part of a name is enough, but no mark and no small word."""
    parts = {part for name in names for part in tokens(name) if part[0].isalnum() and part not in SMALL}
    return bool(parts & set(tokens(reply)))
