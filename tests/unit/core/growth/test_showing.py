"""core/growth/showing.py: what can be counted in a text, and what each dial makes of it."""

import pytest

from core.growth.showing import has_meaning, marks, showing, shown
from personas import library, reading
from personas.card import BIG_FIVE

PLAIN = "The bus to the station leaves at nine and it takes about half an hour to get there from here."


@pytest.mark.parametrize(
    ("dial", "text"),
    [
        ("warmth", "Thank you, dear friend, I am so glad that you are here! Big hugs."),
        ("humour", "Haha, that is a silly joke! You made me laugh so much."),
        ("boldness", "We will charge forward and win! Never fear, I dare the storm!"),
        ("verbosity", " ".join([PLAIN] * 4)),
        ("conscientiousness", "First check the list, then follow each step of the plan exactly, in order."),
        ("neuroticism", "I am so afraid and worried, I am nervous and alone and I cry."),
        ("openness", "Imagine a strange new story, a dream of music and stars, and the mystery of art."),
        ("extraversion", "We must all meet, everybody! Our party is for you! Come with us!"),
        ("agreeableness", "Please, you are so kind, thank you. I am sorry, dear."),
        ("curiosity", "What is it? How does it work? Why is it so? I wonder."),
        ("politeness", "Please excuse me, and thank you kindly, I appreciate it."),
        ("playfulness", "Haha, tickle the clown! Silly, goofy prank!"),
        ("formality", "Considerable improvements notwithstanding, the committee recommends postponement."),
    ],
)
def test_every_dial_with_a_meaning_shows_in_something(dial: str, text: str) -> None:
    """Far more than in a plain sentence."""
    assert has_meaning(dial)
    assert shown(marks(text))[dial] > 0.3 > shown(marks(PLAIN)).get(dial, 0.0)


def test_rude_and_terse_show_below_ordinary() -> None:
    """Dials go both ways."""
    found = shown(marks("Shut up, you stupid idiot."))

    assert found["warmth"] < -0.3
    assert found["agreeableness"] < -0.3
    assert found["verbosity"] < -0.3


def test_a_card_may_call_it_by_another_name() -> None:
    """The American spelling and friendliness; what nobody can count is not there."""
    text = "Haha, what a joke, dear friend! Thank you!"
    found = showing(text, ("humor", "friendliness", "pride"))

    assert {"humor", "friendliness"} == set(found)
    assert found["humor"] == shown(marks(text))["humour"]


@pytest.mark.parametrize("text", ["", "🙂", "?!", "…"])
def test_where_there_are_no_words_nothing_shows(text: str) -> None:
    """Emoji alone say something of a mood, nothing of a nature."""
    assert {} == shown(marks(text))


def test_of_another_language_only_the_length_is_seen() -> None:
    """Better nothing than a guess by English words."""
    assert {"verbosity"} == set(shown(marks("Heute war ein schöner Tag, und wir sind lange am Wasser gesessen.")))


def test_a_novel_takes_no_longer_than_its_beginning() -> None:
    """Only so many characters are looked at."""
    assert marks("word " * 100_000).words <= 1000


def test_shipped_cards_have_the_big_five_and_dials_we_know() -> None:
    """Each card has at most one dial that moves by hand alone."""
    for entry in library.entries((library.SHIPPED,)):
        card = reading.read(entry.path, entry.name)
        assert set(BIG_FIVE) <= set(card.traits)
        assert sum(not has_meaning(dial) for dial in card.traits) <= 1
