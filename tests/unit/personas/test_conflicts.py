"""personas/conflicts.py: what in a card cannot be, with where it stands."""

import pytest

from personas import reading
from personas.card import CardFaults

HEAD = """name: odd
title: Odd
description: You are odd.
traits:
  warmth: {value: 0.5, band: [0.3, 0.8]}
emotions: [merry]
"""


def faults(body: str) -> list[str]:
    try:
        reading.read(HEAD + body, "odd.yaml")
    except CardFaults as error:
        return [str(fault) for fault in error.faults]
    return []


def rules(*whens: str) -> str:
    return "rules:\n" + "".join(f"  - when: {{{when}}}\n    say: yes\n" for when in whens)


@pytest.mark.parametrize(
    "whens",
    [
        ("keywords: [a, b]", "keywords: [B]"),
        ("keywords: [a]", "keywords: [a], time: 10:00-11:00"),
        ("time: 08:00-20:00", "time: 10:00-11:00"),
        ("time: 22:00-06:00", "time: 23:00-01:00, mood: merry"),
        ("regex: hi", "regex: hi, first_contact: true"),
        ("dial: warmth>0.5", "dial: warmth>0.7"),
        ("dial: warmth>=0.5", "dial: warmth>0.5"),
        ("dial: warmth>0.2", "keywords: [anything]"),
        ("intent: [good night, bye]", "intent: [bye]"),
    ],
)
def test_a_rule_behind_one_that_covers_it_is_named(whens: tuple[str, str]):
    """It could never be the first that holds."""
    assert [
        "odd.yaml:10: rules[1].when: can never hold first: rules[0] holds whenever this does; put this one before it"
    ] == (faults(rules(*whens)))


@pytest.mark.parametrize(
    "whens",
    [
        ("keywords: [a]", "keywords: [a, b]"),
        ("keywords: [a], time: 10:00-11:00", "keywords: [a]"),
        ("time: 10:00-11:00", "time: 10:30-11:30"),
        ("dial: warmth>0.7", "dial: warmth>0.5"),
        ("dial: warmth>0.5", "dial: warmth>=0.5"),
        ("dial: warmth>0.5", "dial: warmth<0.4"),
        ("first_contact: true", "keywords: [a]"),
    ],
)
def test_a_rule_that_can_hold_first_is_left_alone(whens: tuple[str, str]):
    """The narrow one before the wide one is how rules are meant."""
    assert [] == faults(rules(*whens))


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (
            rules("dial: warmth>0.8"),
            "odd.yaml:8: rules[0].when.dial: warmth>0.8 can never hold: the band of",
        ),
        (
            "knowledge: {domains: [Bees], unknowns: [bees]}\n",
            "knowledge.unknowns[0]: 'bees' is among",
        ),
        ("knowledge: {domains: [Bees]}\nlimits: {topics: [bees]}\n", "limits.topics[0]: 'bees' is among"),
        (rules("regex: '(a+)+$'"), "rules[0].when.regex: '(a+)+$' takes too long on some messages"),
        (rules("regex: '(a'"), "rules[0].when.regex: '(a' is not a regular expression"),
        ("rules:\n  - when: {keywords: [a]}\n    react: thumbs up\n", "rules[0].react: 'thumbs up' is no emoji"),
        ("rules:\n  - when: {keywords: [a]}\n    say: a\n    react: 👍\n", "rules[0]: expected exactly one of say"),
        (rules("mood: sad"), "rules[0].when.mood: 'sad' is none of its emotions"),
        (rules("dial: cheek>0.5"), "rules[0].when.dial: 'cheek' is none of its traits"),
    ],
)
def test_what_cannot_be_is_named_with_line_and_field(body: str, fault: str):
    """One fault, and it is the right one."""
    (found,) = faults(body)

    assert fault in found


def test_an_emoji_of_a_platform_s_own_is_one():
    """Named by platform and id."""
    assert [] == faults("rules:\n  - when: {keywords: [a]}\n    react: discord:123\n")
