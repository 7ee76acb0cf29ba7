"""Text → the terms by which it is found again: Porter stems of its words, without those that say nothing. Pure.

English words are stemmed (M. F. Porter, 1980; the `snowballstemmer` of its author's own project), others stay as they
are, and scripts that put no spaces between words are cut into pairs of characters, Chinese ones also into single
characters. Knows nothing of memories.
"""

import re
from functools import cache, lru_cache
from typing import Any

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\u0e00-\u0e7f]+")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")  # one of these may be a whole word
_STOP = """a about again all also am an and any are as at be because been before being but by can could did didn do does
    doesn doing don down for from further had has have having he her here hers him his how i if in into is isn it its
    just let ll me more most my no nor not now of off on once only or other our ours out over own re same she should
    so some such than that the their them then there these they this those to too under until up ve very was wasn we
    were what when where which while who whom why will with won would you your yours yes ok okay please tell told say
    said remember recall know mention mentioned talk talked ever hi hello hey thank thanks bye goodbye"""
STOP = frozenset(_STOP.split())


def words(text: str) -> list[str]:
    """Lower-case words in order, as they stand; a possessive `'s` and other tails behind an apostrophe are cut off."""
    return [re.split(r"['’]", word)[0] for word in _WORD.findall(text.lower())]


def terms(text: str) -> list[str]:
    """Terms in order, each as often as it stands there."""
    found: list[str] = []
    for word in words(text):
        if _UNSPACED.fullmatch(word):
            found += [word[at : at + 2] for at in range(max(len(word) - 1, 1))]
            found += [one for one in word if _HAN.match(one)] if len(word) > 1 else []
        elif word not in STOP:
            found.append(stem(word))
    return found


@lru_cache(50_000)
def stem(word: str) -> str:
    """The stem of a lower-case word."""
    return str(_stemmer().stemWord(word)) if word.isascii() and not word.isdigit() else word


@cache
def _stemmer() -> Any:
    import snowballstemmer  # type: ignore[import-untyped]  # only who searches pays for its import

    return snowballstemmer.stemmer("porter")
