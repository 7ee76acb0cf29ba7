"""core/reflection/telling.py: what people say of themselves, told of them; nothing is made up."""

import pytest

from core.reflection.telling import plain, sentences, third, told

TOLD = [
    ("I live in Graz.", "Ann lives in Graz."),
    ("I'm a nurse and I work nights", "Ann is a nurse and they work nights."),
    ("I’ve got two cats!", "Ann has got two cats."),
    ("I don't eat meat.", "Ann doesn't eat meat."),
    ("I really enjoy painting", "Ann really enjoys painting."),
    ("I study law", "Ann studies law."),
    ("I watch birds and I was a cook", "Ann watches birds and they were a cook."),
    ("I went to Rome with my wife", "Ann went to Rome with their wife."),
    ("My dog is called Rex", "Ann’s dog is called Rex."),
    ("My wife and I live in Linz", "Ann’s wife and Ann live in Linz."),
    ("In my free time I paint", "In their free time Ann paints."),
    ("I'll move to Spain next year", "Ann will move to Spain next year."),
    ("Yesterday I read a book", "Yesterday Ann read a book."),
    ("I can't stand celery", "Ann can't stand celery."),
    ("I like jazz too", "Ann likes jazz."),
    ('I prefer books like "The Great Gatsby" by far', 'Ann prefers books like "The Great Gatsby" by far.'),
]
LEFT_ALONE = [
    ("Do I live in Graz?", "a question"),
    ("I love you and your garden", "said to the persona"),
    ("If I lived in Rome, I'd be happy", "only supposed"),
    ("I am, she said, a queen", "a quote, an act or no plain words"),
    ("*I bow down and I smile*", "a quote, an act or no plain words"),
    ("We live in Graz, and my wife is happy", "of several people"),
    ("The weather is fine today", "not of themselves"),
    ("I am.", "too short or too long"),
    (f"I like {'very ' * 60}much", "too short or too long"),
]


@pytest.mark.parametrize(("said", "expected"), TOLD)
def test_what_is_said_of_oneself_is_told_of_them(said: str, expected: str) -> None:
    """Verbs and pronouns turn, everything else stays."""
    assert "" == plain(said)
    assert expected == third(said, "Ann")


@pytest.mark.parametrize(("said", "why"), LEFT_ALONE)
def test_what_cannot_be_retold_is_left_alone(said: str, why: str) -> None:
    """With the reason."""
    assert why == plain(said)


def test_greetings_before_a_sentence_are_no_part_of_it() -> None:
    """Each sentence stands for itself."""
    text = "Hi Mira, I live in Graz. Well, I'm a cook!\nBy the way, my name is Ann."

    assert ["I live in Graz.", "I'm a cook!", "my name is Ann."] == sentences(text)
    assert ["Ann lives in Graz.", "Ann is a cook.", "Ann’s name is Ann."] == [text for _, text in told(text, "Ann")]


def test_a_name_that_ends_in_s_owns_with_an_apostrophe_alone() -> None:
    """James’ dog."""
    assert "James’ dog is old." == third("My dog is old", "James")
