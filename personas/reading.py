"""Card files → Cards, or every fault in them with its line. Knows the shorthands and what must fit together.

Where a part of a card cannot be read, the parts that can are checked all the same: see `_readable`.
"""

import os.path
import re
from collections.abc import Collection, Iterator
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Any

from personas import eras, languages, patterns, shape, yamlfile
from personas.card import BIG_FIVE, PROMPT_CHARACTERS, Card, CardFaults, Rule, When
from personas.conflicts import conflicts
from personas.shape import Problem
from personas.yamlfile import Fault, YamlError

BAND = 0.15


def read(source: Path | str, name: str = "", beside: Path | None = None) -> Card:
    """The card in a file, or in text under the name that its faults shall show. `beside`: the folder in which the texts
    that it names must lie; without it, nobody looks. Raises CardFaults with all of them."""
    try:
        document = yamlfile.read(source, name)
    except YamlError as error:
        raise CardFaults([Fault(error.file, error.line, "", error.message)]) from error
    _write_out(document.data)
    problems = list(shape.problems(document.data, Card))
    card, unread = _readable(document.data), [problem.path for problem in problems]
    problems += (one for one in _written(document.data) if one.path not in unread and one.path[:1] not in unread)
    problems += _misfits(card, unread)
    if beside:
        problems += _missing(card, beside)
    if problems:
        faults = [document.fault(problem.path, problem.message) for problem in problems]
        raise CardFaults(sorted(faults, key=lambda fault: fault.line))
    return card


_NEEDED = {"name": "nobody", "title": "Nobody", "description": "Nobody."}


def _readable(data: dict[str, Any]) -> Card:
    """The card without the parts in which something is wrong. Rules keep their places, and what is sound in them."""
    left = {**_NEEDED, **deepcopy(data)}
    while faulty := [problem.path for problem in shape.problems(left, Card)]:
        for path in faulty:
            _leave_out(left, path[: 4 if path[0] == "rules" else 2])
        left = {**_NEEDED, **{key: _there(value) for key, value in left.items()}}
    card: Card = shape.convert(left, Card)
    return card


def _leave_out(card: dict[str, Any], path: shape.Where) -> None:
    *above, last = path
    whole: Any = card
    for part in above:
        whole = whole[part]
    if above == ["rules"]:
        whole[last] = {"when": {}}
    elif path[0] == "rules" and last == "when":
        whole[last] = {}
    elif isinstance(whole, list):
        whole[int(last)] = None
    else:
        whole.pop(last, None)


def _there(value: object) -> object:
    return [one for one in value if one is not None] if isinstance(value, list) else value


def _write_out(data: dict[str, Any]) -> None:
    """Write the shorthands out: `warmth: 0.6` gets a band, `curious` becomes an emotion with that name, and languages
    become codes."""
    traits, emotions, limits = data.get("traits"), data.get("emotions"), data.get("limits")
    if isinstance(traits, dict):
        data["traits"] = {name: _trait(value) for name, value in traits.items()}
    if isinstance(emotions, list):
        data["emotions"] = [{"name": one} if isinstance(one, str) else one for one in emotions]
    if isinstance(limits, dict) and isinstance(spoken := limits.get("languages"), list):
        limits["languages"] = [languages.code(one) or one if isinstance(one, str) else one for one in spoken]


def _trait(given: object) -> object:
    trait: dict[str, Any] = given if isinstance(given, dict) else {"value": given}
    value: Any = trait.get("value")
    known = isinstance(value, int | float) and 0 <= value <= 1
    band = [max(0.0, round(value - BAND, 4)), min(1.0, round(value + BAND, 4))] if known else [0, 1]
    return {"band": band, **trait}


def _written(data: dict[str, Any]) -> Iterator[Problem]:
    """What is seen where it stands in the file: what is said twice, emoji that are none, an empty line."""
    feelings, consent = _listed(data.get("emotions")), data.get("consent")
    for number, one in enumerate(feelings):
        emoji = one.get("emoji") if isinstance(one, dict) else None
        if isinstance(emoji, str) and not _is_emoji(emoji):
            yield Problem(("emotions", number, "emoji"), _no_emoji(emoji))
    yield from _twice("emotions", [one.get("name") if isinstance(one, dict) else None for one in feelings])
    yield from _twice("names", _listed(data.get("names")))
    if isinstance(consent, str) and not consent.strip():
        yield Problem(("consent",), "is empty; expected text of 1 to 300 characters, or no such line")


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _twice(part: str, names: list[Any]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for number, name in enumerate(names):
        if isinstance(name, str) and number != (at := first.setdefault(" ".join(name.casefold().split()), number)):
            yield Problem((part, number), f"{shape.shown(name)} is there already, as {part}[{at}]; expected each once")


_PICTURES = re.compile("[0-9#*]\ufe0f?\u20e3|\u2139")  # keycaps, and the i of information: emoji made of letters


def _is_emoji(text: str) -> bool:
    """Is it one, or none at all, or somebody's own as platform:id?"""
    bare = _PICTURES.sub("\u20e3", text)
    sign = re.search("[©®\u2000-\U0010ffff]", bare) and not re.search(r"[^\W_]", bare)
    return not text or bool(sign) or re.fullmatch(r"[a-z]+:\w+", text) is not None


def _no_emoji(text: str) -> str:
    return f"{shape.shown(text)} is no emoji; expected one, such as 👍, or platform:id"


def _misfits(card: Card, unread: Collection[shape.Where]) -> Iterator[Problem]:
    """What is right by itself and wrong together. Says nothing that might only seem so for what is `unread`."""
    yield from _traits(card)
    yield from conflicts(card, {part for path in unread if _of_when(path) for part in path[1:2]})
    for number, rule in enumerate(card.rules):
        yield from _rule(rule, ("rules", number), [path for path in unread if path[:2] == ("rules", number)])
        yield from _names(card, rule.when, ("rules", number, "when"), unread)
    if (era := card.knowledge.era) and not eras.names_a_time(era):
        yield Problem(("knowledge", "era"), f"{shape.shown(era)} names no time; expected {eras.FORMS}")
    for number, file in enumerate(card.knowledge.files):
        if not _below(file):
            yield Problem(("knowledge", "files", number), f"{file!r} must be a path below the card's own folder")
    yield from _languages(card)
    size = len(card.description) + _length(card.voice)
    if size > PROMPT_CHARACTERS:
        yield Problem(
            ("voice",),
            f"description and voice have {size:,} characters; at most {PROMPT_CHARACTERS:,} fit every prompt",
        )


def _length(voice: Any) -> int:
    return len(voice.style) + sum(len(example.user) + len(example.reply) for example in voice.examples)


def _languages(card: Card) -> Iterator[Problem]:
    """Nobody could tell whether a message is in a language that is not known here."""
    for number, one in enumerate(card.limits.languages):
        if not languages.code(one):
            meant = shape.near(one, languages.NAMES.values())
            said = f"{one!r} is not a known language; expected a name or a code, such as English or en{meant}"
            yield Problem(("limits", "languages", number), said)


def _traits(card: Card) -> Iterator[Problem]:
    for name, trait in card.traits.items():
        low, high = trait.band
        near = get_close_matches(name, BIG_FIVE, 1, 0.85)
        if near and name not in BIG_FIVE:
            yield Problem(("traits", name), f"is not a trait (did you mean {near[0]}?)")
        if low > high:
            yield Problem(("traits", name, "band"), f"goes from {low:g} down to {high:g}; expected [low, high]")
        elif not low <= trait.value <= high:
            yield Problem(("traits", name, "value"), f"{trait.value:g} is outside its band, {low:g} to {high:g}")


def _rule(rule: Rule, path: shape.Where, unread: Collection[shape.Where]) -> Iterator[Problem]:
    """`unread`: what of this rule."""
    if not rule.act and all(map(_of_when, unread)) and path not in unread:
        yield Problem(path, "expected exactly one of say, steer, silent: true or react")
    when, here = rule.when, (*path, "when")
    if when == When() and not any(map(_of_when, unread)):
        yield Problem(here, f"expected at least one of {', '.join(when.__struct_fields__)}")
    if when.regex and (fault := patterns.fault(when.regex)):
        yield Problem((*here, "regex"), f"{shape.shown(when.regex)} {fault}")
    if not _is_emoji(rule.react):
        yield Problem((*path, "react"), _no_emoji(rule.react))
    if when.time and when.time[:5] == when.time[6:]:
        yield Problem((*here, "time"), f"{when.time} begins and ends at the same minute")


def _of_when(path: shape.Where) -> bool:
    """Is this a rule's `when` (misspelt, perhaps), something in it, or a rule that is none at all?"""
    return path[0] == "rules" and all(shape.closest(part, Rule.__struct_fields__) == "when" for part in path[2:3])


_FIELDS = Card.__struct_fields__


def _names(card: Card, when: When, here: shape.Where, unread: Collection[shape.Where]) -> Iterator[Problem]:
    """Emotions and traits that the card has not; those of which not all can be read may be there."""
    doubtful = {shape.closest(path[0], _FIELDS) for path in unread if len(path) == 1 or path[0] == "emotions"}
    traits = [*card.traits, *(str(path[1]) for path in unread if path[0] == "traits" and len(path) > 1)]
    moods = [emotion.name for emotion in card.emotions]
    if when.mood and when.mood not in moods and "emotions" not in doubtful:
        yield Problem((*here, "mood"), f"{when.mood!r} is none of its emotions{shape.suggestion(when.mood, moods)}")
    dial = re.split(r"[ <>]", when.dial)[0]
    if dial and dial not in traits and "traits" not in doubtful:
        yield Problem((*here, "dial"), f"{dial!r} is none of its traits{shape.suggestion(dial, traits)}")


def _below(file: str) -> bool:
    path = PurePosixPath(file)
    return not (path.is_absolute() or ".." in path.parts or "\\" in file or ":" in file)


def _missing(card: Card, folder: Path) -> Iterator[Problem]:
    """Texts that it names and that are not there."""
    for number, file in enumerate(card.knowledge.files):
        if _below(file) and not os.path.isfile(folder / file):  # unlike Path's, this takes names that are too long
            yield Problem(("knowledge", "files", number), f"there is no {file} beside the card")
