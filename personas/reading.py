"""Card files → Cards, or every fault in them with its line. Knows the shorthands and what must fit together."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Any

from personas import patterns, shape, yamlfile
from personas.card import BIG_FIVE, PROMPT_CHARACTERS, Card, CardFaults, Rule
from personas.conflicts import conflicts
from personas.shape import Problem
from personas.yamlfile import Fault, YamlError

BAND = 0.15


def read(source: Path | str, name: str = "") -> Card:
    """The card in a file, or in text under the name that its faults shall show. Raises CardFaults with all of them."""
    try:
        document = yamlfile.read(source, name)
    except YamlError as error:
        raise CardFaults([Fault(error.file, error.line, "", error.message)]) from error
    _write_out(document.data)
    card = yamlfile.check(document, Card)
    faults = [document.fault(*_pair(one)) for one in _misfits(card)] if isinstance(card, Card) else card
    if faults or not isinstance(card, Card):
        raise CardFaults(sorted(faults, key=lambda fault: fault.line))
    return card


def _pair(problem: Problem) -> tuple[shape.Where, str]:
    return problem.path, problem.message


def _write_out(data: dict[str, Any]) -> None:
    """Write the shorthands out: `warmth: 0.6` gets a band, `curious` becomes an emotion with that name."""
    traits, emotions = data.get("traits"), data.get("emotions")
    if isinstance(traits, dict):
        data["traits"] = {name: _trait(value) for name, value in traits.items()}
    if isinstance(emotions, list):
        data["emotions"] = [{"name": one} if isinstance(one, str) else one for one in emotions]


def _trait(given: object) -> object:
    trait: dict[str, Any] = given if isinstance(given, dict) else {"value": given}
    value: Any = trait.get("value")
    known = isinstance(value, int | float) and 0 <= value <= 1
    band = [max(0.0, round(value - BAND, 4)), min(1.0, round(value + BAND, 4))] if known else [0, 1]
    return {"band": band, **trait}


def _misfits(card: Card) -> Iterator[Problem]:
    """What is right by itself and wrong together."""
    yield from _traits(card)
    yield from conflicts(card)
    for number, rule in enumerate(card.rules):
        yield from _rule(card, rule, ("rules", number))
    for number, file in enumerate(card.knowledge.files):
        if PurePosixPath(file).is_absolute() or ".." in PurePosixPath(file).parts or "\\" in file or ":" in file:
            yield Problem(("knowledge", "files", number), f"{file!r} must be a path below the card's own folder")
    size = len(card.description) + _length(card.voice)
    if size > PROMPT_CHARACTERS:
        yield Problem(
            ("voice",),
            f"description and voice have {size:,} characters; at most {PROMPT_CHARACTERS:,} fit every prompt",
        )


def _length(voice: Any) -> int:
    return len(voice.style) + sum(len(example.user) + len(example.reply) for example in voice.examples)


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


def _rule(card: Card, rule: Rule, path: shape.Where) -> Iterator[Problem]:
    if not rule.act:
        yield Problem(path, "expected exactly one of say, steer, silent: true or react")
    when, here = rule.when, (*path, "when")
    if when == type(when)():
        yield Problem(here, f"expected at least one of {', '.join(when.__struct_fields__)}")
    if when.regex and (fault := patterns.fault(when.regex)):
        yield Problem((*here, "regex"), f"{shape.shown(when.regex)} {fault}")
    if re.search(r"[A-Za-z0-9]", rule.react) and not re.fullmatch(r"[a-z]+:\w+", rule.react):
        yield Problem((*path, "react"), f"{shape.shown(rule.react)} is no emoji; expected one, or platform:id")
    if when.time and when.time[:5] == when.time[6:]:
        yield Problem((*here, "time"), f"{when.time} begins and ends at the same minute")
    moods = [emotion.name for emotion in card.emotions]
    if when.mood and when.mood not in moods:
        yield Problem((*here, "mood"), f"{when.mood!r} is none of its emotions{shape.suggestion(when.mood, moods)}")
    dial = re.split(r"[ <>]", when.dial)[0]
    if dial and dial not in card.traits:
        yield Problem((*here, "dial"), f"{dial!r} is none of its traits{shape.suggestion(dial, card.traits)}")
