"""Text for a terminal: made harmless, broken into lines, *actions* told from words. Pure; knows no colours.

What is shown while a reply still grows must never change afterwards: only lines that are settled leave `settle`.
"""

import re
from collections.abc import Callable, Iterator

from core.text import clean

_BREAKS = re.compile("[\u2028\u2029\u0085]")
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")  # they would reorder what stands beside them
_WORDS = re.compile(r"(\n)|([^\S\n]*)([^\s]+)|([^\S\n]+)")
_ACTION = re.compile(r"(?<![\w*])\*(?=[^\s*])|(?<=[^\s*])\*(?![\w*])")
Width = Callable[[str], int]


def harmless(text: str) -> str:
    """Text that moves no cursor, changes no colour and reorders nothing, whoever wrote it."""
    return clean(_TURNS.sub("", _BREAKS.sub("\n", text))).expandtabs(4)


def one_line(text: str) -> str:
    """A name: harmless, and on one line."""
    return " ".join(harmless(text).split())


def settle(text: str, columns: int, width: Width = len) -> tuple[list[str], str]:
    """(lines that will not change however the text goes on, the rest of it). A line that ends its paragraph keeps \\n.

    `columns` is the room there is, `width` says how much of it a string takes.
    """
    lines: list[str] = []
    line, start = "", 0
    for match in _WORDS.finditer(text):
        newline, space, word, _ = match.groups()
        if newline:
            lines.append(line + "\n")
            line, start = "", match.end()
        elif word and width(line + space + word) > columns:
            if line.strip():
                lines.append(line)
                start = match.start(3)
            *full, line = list(_cut(word, columns, width))
            lines += full
            start = match.end() - len(line) if full else start
        else:
            line += match.group()
    return lines, text[start:]


def _cut(word: str, columns: int, width: Width) -> Iterator[str]:
    """A word that is longer than a line, in pieces; the last one may grow."""
    piece = ""
    for character in word:
        if piece and width(piece + character) > columns:
            yield piece
            piece = ""
        piece += character
    yield piece


def wrap(text: str, columns: int, width: Width = len) -> list[str]:
    """Text that is whole, as lines."""
    lines, rest = settle(text.rstrip(), columns, width)
    return [*lines, rest]


def actions(line: str, inside: bool = False) -> tuple[list[tuple[bool, str]], bool]:
    """A line in parts, each with whether it is an action (`*waves*`, asterisks and all); and whether one goes on."""
    parts: list[tuple[bool, str]] = []
    at = 0
    for mark in _ACTION.finditer(line):
        opens = line[mark.end() : mark.end() + 1].strip() not in ("", "*") and not inside
        if opens or inside:
            end = mark.start() if opens else mark.end()
            parts.append((inside, line[at:end]))
            at, inside = end, opens
    parts.append((inside, line[at:]))
    return [part for part in parts if part[1]], inside and not line.endswith("\n")
