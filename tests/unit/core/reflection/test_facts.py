"""core/reflection/facts.py: what lasts, what it is about, and what is only of the moment."""

import pytest

from core.memory import slot
from core.reflection.facts import about, lasting
from core.reflection.telling import third

LASTS = [
    ("I live in Graz.", "home"), ("I'm a mechanical engineer.", "work"), ("I'm George.", "name"),
    ("I am allergic to nuts.", "health"), ("I'm 34 years old.", "age"), ("My birthday is on May 2nd.", "birthday"),
    ("My sister lives in Linz.", "people"), ("I have two cats.", "animals"), ("I love jazz.", "taste"),
    ("I don't like celery.", "taste"), ("My favorite food is sushi.", "favourite"), ("I play the banjo.", "skill"),
    ("I want to move to Spain.", "plan"), ("I'm afraid of spiders.", "fear"), ("I got married last year.", "status"),
    ("I go to the gym regularly.", "habit"), ("I quit smoking.", "turn"),
]  # fmt: skip
PASSES = [
    "I think so.", "I love it.", "I feel a bit down today.", "I'll try that.", "I like this one.",
    "I want to thank them.",

    "I am tired.", "I love the food.", "I enjoy them a lot.", "I have a question.", "I am going to bed now.",
]  # fmt: skip


@pytest.mark.parametrize(("said", "sort"), LASTS)
def test_what_lasts_is_found_by_its_words(said: str, sort: str) -> None:
    """Names, homes, trades, people, tastes and the like."""
    found = lasting(said)

    assert found is not None
    assert sort == found.name


@pytest.mark.parametrize("said", PASSES)
def test_talk_of_the_moment_does_not_last(said: str) -> None:
    """Nor does what points at something outside of the sentence."""
    assert lasting(said) is None


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("I live in Graz.", "home"),
        ("I moved to Linz.", "home"),
        ("My sister lives in Linz.", "sister/home"),
        ("My dog is called Rex.", "dog/name"),
        ("My other dog is called Max.", ""),
        ("I'm a nurse.", "work"),
        ("I have two cats.", ""),
        ("My favorite is jazz.", ""),
        ("My favorite food is sushi.", "favourite:food"),
        ("I play the banjo.", ""),
    ],
)
def test_the_slot_says_whose_fact_it_is(said: str, expected: str) -> None:
    """A sister's move leaves one's own home alone."""
    assert expected == about(said, lasting(said), slot(third(said, "Ann")))
