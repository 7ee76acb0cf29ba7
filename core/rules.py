"""A card's rules: when something holds, say, steer, be silent or react. The first that holds decides. Pure.

Takes what is known of a message and answers; who is similar to whom (`near`) is for the worker's embedder to say, and
what the answer leads to for `worker/compose.py`.
"""

import logging
import re
from collections.abc import Mapping, Sequence

import msgspec

from core.text import falls
from personas import patterns
from personas.card import Rule, When

log = logging.getLogger("limen.rules")

INTENT = 0.45  # how near a message must be to a phrase to mean the same; see `python -m bench.personality`
_DIAL = re.compile(r"([a-z][a-z_]*) ?(<=|>=|<|>) ?([\d.]+)")


class Now(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a message when it is to be answered.

    `clock` is HH:MM in the bot's time zone. `near`: how near the message is to each phrase that some rule names, 0 (as
    near as any two sentences) to 1 (the same); empty where nobody could say. `mood` is one of the card's emotions.
    """

    text: str
    clock: str = "12:00"
    first_contact: bool = False
    mood: str = ""
    dials: Mapping[str, float] = {}
    near: Mapping[str, float] = {}


class Condition(msgspec.Struct, frozen=True):
    """One condition of a rule: whether it holds, and what there was instead, for people."""

    name: str
    holds: bool
    why: str


class Decision(msgspec.Struct, frozen=True):
    """The first rule that holds, and its place among the card's."""

    number: int
    rule: Rule

    @property
    def name(self) -> str:
        """As `limen persona check` names it, too."""
        return f"rules[{self.number}]"


def decide(rules: Sequence[Rule], now: Now) -> Decision | None:
    """The first rule that holds; None if none does."""
    return next((Decision(number, rule) for number, rule in enumerate(rules) if holds(rule.when, now)), None)


def holds(when: When, now: Now) -> bool:
    """Do all conditions hold?"""
    return all(condition.holds for condition in conditions(when, now))


def conditions(when: When, now: Now) -> list[Condition]:
    """Each condition that a rule has. One without any never holds."""
    given = [test(when, now) for test in _TESTS]
    return [condition for condition in given if condition] or [Condition("nothing", False, "it has no condition")]


def phrases(rules: Sequence[Rule]) -> list[str]:
    """Every phrase that some rule compares messages with, each once."""
    return list(dict.fromkeys(phrase for rule in rules for phrase in rule.when.intent))


def _keywords(when: When, now: Now) -> Condition | None:
    if not when.keywords:
        return None
    word = falls(when.keywords, now.text)
    return Condition("keywords", bool(word), f"{word!r} falls" if word else f"none of {len(when.keywords)} falls")


def _regex(when: When, now: Now) -> Condition | None:
    if not when.regex:
        return None
    try:
        found = patterns.found(when.regex, now.text)
    except patterns.TooSlow:
        log.warning(
            "the rule with the regex %r takes too long on a message of %d characters", when.regex, len(now.text)
        )
        return Condition("regex", False, f"takes longer than {patterns.LIMIT * 1000:.0f} ms on this message")
    return Condition("regex", found, "is found" if found else "is not found")


def _intent(when: When, now: Now) -> Condition | None:
    if not when.intent:
        return None
    if not now.near:
        return Condition("intent", False, "nothing here can tell what a message means")
    best = max(when.intent, key=lambda phrase: now.near.get(phrase, 0.0))
    near = now.near.get(best, 0.0)
    return Condition("intent", near >= INTENT, f"{near:.2f} near {best!r} (from {INTENT:.2f} on it is the same)")


def _time(when: When, now: Now) -> Condition | None:
    if not when.time:
        return None
    begin, _, end = when.time.partition("-")
    inside = begin <= now.clock < end if begin < end else now.clock >= begin or now.clock < end
    return Condition("time", inside, f"it is {now.clock}")


def _first_contact(when: When, now: Now) -> Condition | None:
    if not when.first_contact:
        return None
    return Condition(
        "first_contact", now.first_contact, "they are new" if now.first_contact else "they have met before"
    )


def _mood(when: When, now: Now) -> Condition | None:
    if not when.mood:
        return None
    return Condition(
        "mood", when.mood == now.mood, f"it feels {now.mood}" if now.mood else "it feels nothing in particular"
    )


def _dial(when: When, now: Now) -> Condition | None:
    if not when.dial:
        return None
    found = _DIAL.fullmatch(when.dial)
    assert found, "the card's own check lets no other in"
    name, sign, mark = found[1], found[2], float(found[3])
    value = now.dials.get(name)
    if value is None:
        return Condition("dial", False, f"it has no {name}")
    past = {"<": value < mark, "<=": value <= mark, ">": value > mark, ">=": value >= mark}[sign]
    return Condition("dial", past, f"{name} is {value:.2f}")


_TESTS = (_time, _first_contact, _mood, _dial, _keywords, _regex, _intent)  # what costs least comes first
