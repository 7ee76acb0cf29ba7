"""What a prompt tells a persona that is never to be said: labels, stage directions, and what it is, addressed to it.

A small model that is asked what it remembers answers "- today, Ann: …" in the form of its memories, or tells people to
"Speak as Mira, in one to three short sentences". Here is how such sentences begin, and with what they go on: facts and
quotations in them may be said, and so may anything else that begins alike. Pure: knows text and no tokens.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from core.prompt import Section

DIRECTIONS = frozenset({"voice", "manner", "mood", "bond", "steer", "limit", "group"})  # each sentence is one
CARD = frozenset({"who", "facts"})  # what it is: "You live by the sea", which it says of itself with another word
WORDS = 2  # of a direction may be said: "Name the"
TO_YOU = {"you": 3, "your": 4}  # so much that is said to people begins so: "Your cat is called"
_QUOTED = re.compile(r'\s*(?:"[^"\n]*"|“[^”\n]*”)')
_LINES = re.compile(r"\n")
_BREAKS = re.compile(r"(?<=[.!?])\s+|\n")
_ALSO = re.compile(r"(\w+,? (?:and|then)) (\w+)")  # "Welcome aboard to the crew and ask for your name!"
_AND_YOU = re.compile(r"(\w+,? and) (you)\b")
_YOU = re.compile(r"you\b|your\b", re.IGNORECASE)


class Opening(NamedTuple):
    """What something begins with, and what it goes on with, which is held back."""

    head: str
    then: str


def openings(sections: Sequence[Section], free: Sequence[str]) -> list[Opening]:
    """How what is told in these sections begins. What stands in `free` texts as well may be said."""
    heard = "\n".join(free).casefold()
    found = dict.fromkeys(one for section in sections for one in _openings(section))
    return [one for one in found if f"{one.head}{one.then}".casefold() not in heard]


def spelled(one: Opening) -> list[Opening]:
    """As a model may write it: at the beginning of a line, behind a sentence and within one."""
    first, rest = one.head[0], one.head[1:]
    heads = [f"{lead}{letter}{rest}" for lead in ("", " ") for letter in dict.fromkeys((first.upper(), first.lower()))]
    thens = dict.fromkeys((one.then, one.then.lower(), one.then.title()))  # "- Today", and a name in small letters
    return [Opening(head, then) for head in heads for then in thens]


def _openings(section: Section) -> Iterator[Opening]:
    if section.name.startswith(("detail-", "passage-")):  # of its world, and of its texts
        return
    text = _QUOTED.sub(' "', section.text)  # what is quoted is for saying
    also = _ALSO if section.name == "steer" else _AND_YOU if section.name in CARD else None
    yield from (Opening(before, f" {act}") for before, act in (also.findall(text) if also else ()))
    if section.name == "bond":  # ours, and nothing of it is for saying
        words = text.split()
        yield from (Opening(" ".join(words[at - 3 : at]), f" {words[at]}") for at in range(3, len(words)))
    parts = _BREAKS if section.name in (*DIRECTIONS, *CARD) else _LINES
    for part in parts.split(text):
        label, colon, rest = part.partition(":")
        if colon and section.name not in CARD:
            yield from _label(label)
        found = _opening(rest.strip(' "') or label) if parts is _BREAKS else None
        if found and (section.name in DIRECTIONS or _YOU.match(found.head)):
            yield found


def _label(label: str) -> Iterator[Opening]:
    """No colon follows it, and no list begins with it."""
    name = label.removeprefix("- ").strip()
    if name:
        yield Opening(name, ":")
    if name and label.startswith("- "):
        yield Opening("-", f" {name.split()[0]}")


def _opening(sentence: str) -> Opening | None:
    """None for a sentence so short that it is a turn of phrase."""
    words, you = sentence.split(), _YOU.match(sentence)
    most = TO_YOU[you[0].casefold()] if you else WORDS
    if len(words) > most:
        return Opening(" ".join(words[:most]), f" {words[most]}")
    whole = " ".join(words)
    return Opening(whole[:-1], whole[-1]) if len(words) == most and whole[-1] in ".!?" and whole[-2] != '"' else None
