"""What in a card contradicts itself: rules that can never fire, and subjects that it both knows and does not. Pure.

Finds what follows from the words alone; that two texts mean the same, or that one pattern covers another, it does not
see.
"""

import re
from collections.abc import Collection, Iterator

from personas.card import Card, Trait, When
from personas.shape import Problem

_DIAL = re.compile(r"([a-z][a-z_]*) ?(<=|>=|<|>) ?([\d.]+)")


def conflicts(card: Card, partly: Collection[object] = ()) -> Iterator[Problem]:
    """Every contradiction, with where it stands. `partly`: the numbers of rules that have conditions which could not be
    read, so that nobody knows what they cover."""
    yield from _subjects(card)
    for number, rule in enumerate(card.rules):
        if fault := _impossible(rule.when, card):
            yield Problem(("rules", number, "when", "dial"), fault)
        elif number not in partly and (earlier := _covered(card, number, partly)) is not None:
            said = f"can never hold first: rules[{earlier}] holds whenever this does; put this one before it"
            yield Problem(("rules", number, "when"), said)


def _subjects(card: Card) -> Iterator[Problem]:
    """What it knows cannot be among what it does not know, or does not talk about."""
    known = {domain.strip().casefold() for domain in card.knowledge.domains}
    for path, lines in (
        (("knowledge", "unknowns"), card.knowledge.unknowns),
        (("limits", "topics"), card.limits.topics),
    ):
        for number, line in enumerate(lines):
            if line.strip().casefold() in known:
                yield Problem((*path, number), f"{line!r} is among knowledge.domains, too: which of the two holds?")


def _impossible(when: When, card: Card) -> str:
    """Why a mark can never be passed, given the trait's band; empty if it can."""
    found = _DIAL.fullmatch(when.dial)
    trait = card.traits.get(found[1]) if found else None
    if found is None or trait is None or _passes(trait, found[2], float(found[3]), some=True):
        return ""
    low, high = trait.band
    return f"{when.dial} can never hold: the band of {found[1]} goes from {low:g} to {high:g}"


def _passes(trait: Trait, sign: str, mark: float, some: bool) -> bool:
    """Is the mark passed by some value in the band? Not `some`: by every one."""
    low, high = trait.band
    value = (high if sign[0] == ">" else low) if some else (low if sign[0] == ">" else high)
    return {">": value > mark, ">=": value >= mark, "<": value < mark, "<=": value <= mark}[sign]


def _covered(card: Card, number: int, partly: Collection[object]) -> int | None:
    """The first earlier rule that holds whenever this one does."""
    when = card.rules[number].when
    earlier = (at for at in range(number) if at not in partly)
    return next((at for at in earlier if _covers(card.rules[at].when, when, card)), None)


def _covers(wide: When, narrow: When, card: Card) -> bool:
    """Does `wide` hold whenever `narrow` does? Each condition of `wide` must follow from one of `narrow`."""
    if wide == When():
        return False
    return (
        (not wide.keywords or (bool(narrow.keywords) and _words(narrow.keywords) <= _words(wide.keywords)))
        and (not wide.intent or (bool(narrow.intent) and _words(narrow.intent) <= _words(wide.intent)))
        and (not wide.regex or wide.regex == narrow.regex)
        and (not wide.time or (bool(narrow.time) and _minutes(narrow.time) <= _minutes(wide.time)))
        and (not wide.first_contact or narrow.first_contact)
        and (not wide.mood or wide.mood == narrow.mood)
        and (not wide.dial or _always(wide.dial, card) or _follows(wide.dial, narrow.dial))
    )


def _words(phrases: tuple[str, ...]) -> set[str]:
    return {" ".join(phrase.casefold().split()) for phrase in phrases}


def _minutes(span: str) -> set[int]:
    """The minutes of a day in HH:MM-HH:MM."""
    begin, end = (int(time[:2]) * 60 + int(time[3:]) for time in span.split("-"))
    return set(range(begin, end)) if begin < end else {*range(begin, 1440), *range(end)}


def _always(dial: str, card: Card) -> bool:
    """Does it hold wherever the trait stands in its band?"""
    found = _DIAL.fullmatch(dial)
    trait = card.traits.get(found[1]) if found else None
    return found is not None and trait is not None and _passes(trait, found[2], float(found[3]), some=False)


def _follows(wide: str, narrow: str) -> bool:
    """`warmth>0.5` follows from `warmth>0.7`."""
    one, other = _DIAL.fullmatch(wide), _DIAL.fullmatch(narrow)
    if one is None or other is None or one[1] != other[1] or one[2][0] != other[2][0]:
        return False
    mark, past = float(one[3]), float(other[3])
    if mark == past:
        return one[2] == other[2] or len(one[2]) == 2
    return past > mark if one[2][0] == ">" else past < mark
