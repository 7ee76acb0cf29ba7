"""Small, pure things about text that every room needs: making it safe to keep, and short enough to show."""

import re
from collections.abc import Iterable

_ENDS = re.compile("\r\n|[\r\v\f\x1c-\x1e\x85\u2028\u2029]")


def clean(text: str) -> str:
    """Text that can be kept and shown: no NUL, U+FFFD for lone surrogates, no control characters but \\n and \\t.

    Every sign that ends a line is a \\n, so that nobody begins a line in secret.
    """
    if text.isascii() and text.isprintable():
        return text
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    text = _ENDS.sub("\n", text)
    return "".join(c for c in text if c in "\n\t" or (ord(c) >= 32 and not 0x7F <= ord(c) < 0xA0))


def shorten(text: str, most: int) -> str:
    """`text` on one line of at most `most` characters, with an ellipsis where something was left out."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def falls(words: Iterable[str], text: str) -> str:
    """The first of these words or phrases that stands in the text as such, case ignored; empty if none does.

    In scripts that put no spaces between words, anywhere in it.
    """
    heard = " ".join(text.casefold().split()).replace("’", "'")
    for word in words:
        sought = re.escape(" ".join(word.casefold().split()).replace("’", "'"))
        if sought and re.search(sought if _unspaced(word) else rf"(?<!\w){sought}(?!\w)", heard):
            return word
    return ""


def _unspaced(word: str) -> bool:
    """Is it written in kana, Chinese characters, Thai, Lao or Khmer?"""
    return any("\u0e00" <= c <= "\u0eff" or "\u1780" <= c <= "\u17ff" or "\u3040" <= c <= "\u9fff" for c in word)
