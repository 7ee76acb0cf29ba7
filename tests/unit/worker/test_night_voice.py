"""worker/night/voice.py: what can be counted about a voice."""

import random

import pytest

from worker.night.voice import knows, loops, repeated, tokens, voice, voices

LETTERS = "abcdefghijklmnop"


def test_a_voice_is_counted_by_hand() -> None:
    """Words and marks, pairs of them, beginnings, questions and exclamations."""
    found = voice(["Aye, I do!", "Aye, I do?", "No way."])

    assert (13 / 3, pytest.approx(2 / 3)) == (found.words, found.opening)
    assert 7 / 10 == found.distinct  # the first two share “aye ,”, “, i” and “i do”
    assert (pytest.approx(1 / 3), pytest.approx(1 / 3), 0) == (found.questions, found.exclamations, found.repeated)


def test_a_reply_that_repeats_itself_is_seen() -> None:
    """By runs of four words; a short one has none."""
    assert 0 == repeated(tokens("one two three"))
    assert 0 == repeated(tokens("one two three four five six seven"))
    assert 0.5 == repeated(tokens("a b c d a b c d a b c"))


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("the the old old boat boat is is near near the the hill hill", True),
        ("I am a cat. I am a cat. I am a cat. I am a cat.", True),
        ("ha ha ha ha", False),
        ("😂" * 30, False),
        ("Row, row, row your boat, gently down the stream. Merrily, merrily, merrily, life is but a dream.", False),
        ("", False),
    ],
)
def test_a_text_that_says_itself_again_is_a_loop(text: str, is_one: bool) -> None:
    """A shout, a row of emoji and a refrain are none."""
    assert is_one == loops(text)


@pytest.mark.parametrize("silent", [[""], ["", ""], ["…"]])
def test_who_says_nothing_has_a_voice(silent: list[str]) -> None:
    """Of zeros, and no error."""
    found = voice(silent)

    assert (0, 1, 0) == (found.distinct, found.opening, found.refusals)


@pytest.mark.parametrize(
    ("said", "refuses", "abuses"),
    [
        ("As an AI language model, I have no parrot.", 1, 0),
        ("I'm sorry, but I can't help with that.", 1, 0),
        ("I cannot assist you, sailor.", 1, 0),
        ("I can't say that I like rum.", 0, 0),
        ("You are a stupid, worthless fool.", 0, 1),
        ("I hate you!", 0, 1),
        ("Will the storm kill your crew?", 0, 0),
        ("Aye, matey! The sea is kind today.", 0, 0),
    ],
)
def test_refusals_and_insults_are_told_from_talk(said: str, refuses: int, abuses: int) -> None:
    """As models refuse, and people insult."""
    found = voice([said])

    assert (refuses, abuses) == (found.refusals, found.abuse)


@pytest.mark.parametrize(
    ("reply", "names", "does"),
    [
        ("I am MIRA, at your service.", ["Captain Mira Flint"], True),
        ("Call me captain.", ["Captain Mira Flint"], True),
        ("I am miraculous.", ["Mira"], False),
        ("Hello. How are you?", ["Dr. Noa"], False),
        ("The sea, and a ship.", ["The Keeper of the Sands"], False),
        ("O'Neil, that is me", ["O'Neil"], True),
        ("我是小梅。", ["小梅"], False),  # words are not told apart there
        ("Hello", [], False),
    ],
)
def test_a_name_is_known_by_its_words(reply: str, names: list[str], does: bool) -> None:
    """Not by its marks, nor by words that any reply has."""
    assert does is knows(reply, names)


def test_words_said_twice_in_a_row_are_repetition() -> None:
    """A night of the benchmark taught that, and runs of four words did not see it."""
    assert voice(["the the sea sea is is wide wide"]).repeated > 0.5
    assert 0 == voice(["the sea is wide, the sea is deep"]).repeated


def test_who_says_more_is_not_less_varied_for_that() -> None:
    """A night was refused because its replies had grown longer: the more is said, the more comes again."""
    dice = random.Random(0)
    short, long = ([" ".join(dice.choice(LETTERS) for _ in range(size)) for _ in range(20)] for size in (10, 40))
    one, other = voices(short, long)

    assert voice(long).distinct < 0.6 * voice(short).distinct
    assert other.distinct == pytest.approx(one.distinct, rel=0.15)
    assert (10, 40) == (one.words, other.words)
