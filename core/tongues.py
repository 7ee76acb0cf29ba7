"""Is a message in a language that a character does not speak? By its writing, and by a few common words. Pure.

Knows the writing of some forty languages, and the words of ten that share the Latin one. Of a few words, or a language
that it does not know, it says nothing.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

from personas import languages

LEAST = 3  # common words of another language that must fall, so many more than of those that are spoken
_WRITING = {
    "ru": "CYRILLIC", "uk": "CYRILLIC", "bg": "CYRILLIC", "sr": "CYRILLIC LATIN", "el": "GREEK", "he": "HEBREW",
    "yi": "HEBREW", "ar": "ARABIC", "fa": "ARABIC", "ur": "ARABIC", "hi": "DEVANAGARI", "mr": "DEVANAGARI",
    "ne": "DEVANAGARI", "bn": "BENGALI", "ta": "TAMIL", "te": "TELUGU", "th": "THAI", "lo": "LAO", "ka": "GEORGIAN",
    "hy": "ARMENIAN", "am": "ETHIOPIC", "km": "KHMER", "zh": "CJK", "ja": "CJK HIRAGANA KATAKANA", "ko": "HANGUL",
}  # fmt: skip
_COMMON = {
    "en": "the and you is are was what how do i it to of in that my not with this have for can your me",
    "de": "der die das und ich du ist nicht wie was ein eine mit zu den wir sie auf wo kann mein dein bist",
    "fr": "le la les et je tu est pas comment que une des avec pour dans vous nous mon ton qui suis où",
    "es": "el los las y yo tú es no cómo que una con para en por mi tu qué está dónde soy del",
    "it": "il gli e io tu è non come che una con per di sono mio tuo cosa dove della questo sei",
    "pt": "os as e eu você é não como que uma com para em por meu seu onde do da isso estou",
    "nl": "de het een en ik jij is niet hoe wat met voor van je mijn waar zijn dat ben op",
    "sv": "och jag du är inte hur vad en ett med för på min din var det att som",
    "pl": "i ja ty jest nie jak co to z w na się mój gdzie do czy mam jestem",
    "tr": "ve ben sen bir bu ne değil mi için ile var yok nerede çok",
}
_WORDS = {code: frozenset(words.split()) for code, words in _COMMON.items()}


def foreign(text: str, spoken: Sequence[str]) -> bool:
    """Is this in none of the languages that are `spoken`, such as `en` or `pt-BR`? Without any, nothing is foreign."""
    codes = {language.casefold().partition("-")[0] for language in spoken}
    letters = Counter(unicodedata.name(letter, "").partition(" ")[0] for letter in text if letter.isalpha())
    if not codes or letters.total() < LEAST:
        return False
    writing, count = letters.most_common(1)[0]
    if count > letters.total() * 0.6 and writing not in {name for code in codes for name in _written(code)}:
        return True
    return writing == "LATIN" and _sounds_foreign(text, codes)


def _written(code: str) -> list[str]:
    return _WRITING.get(code, "LATIN").split()


def _sounds_foreign(text: str, codes: set[str]) -> bool:
    """Do more common words of another language fall than of those that are spoken? One that is not known here may be
    what is spoken, so then nothing is."""
    if not codes & set(_WORDS):
        return False
    words = re.findall(r"[^\W\d_]+", text.casefold())
    hits = {code: sum(word in known for word in words) for code, known in _WORDS.items()}
    best = max(hits, key=hits.__getitem__)
    ours = max(hits[code] for code in codes if code in hits)
    return best not in codes and hits[best] >= max(LEAST, ours + 2) and hits[best] >= len(words) * 0.2


def names(spoken: Sequence[str]) -> str:
    """Languages as people call them: `English and French`."""
    called = [languages.name(language) for language in spoken]
    return " and ".join([", ".join(called[:-1]), called[-1]]) if len(called) > 1 else "".join(called)
