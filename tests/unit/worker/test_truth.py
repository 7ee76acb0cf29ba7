"""worker/truth.py: of several replies, those that say what the card says."""

from collections.abc import Sequence

import pytest

from worker.truth import Truth

SHIP = "Your ship is the Saucy Gannet."
DRINKS = ("You love ginger tea, storms and sea songs.",)
PARROT = "Your parrot is called Biscuit, and he steals biscuits."


@pytest.mark.parametrize(
    ("asked", "replies", "kept"),
    [
        ("What is your ship called?", ("The Black Pearl, matey!", "Aye, the Saucy Gannet!", "A ship."), [1]),
        ("What is your ship called?", ("Ask Biscuit!", "She's the Gannet.", "The Saucy Gannet, she is."), [2]),
        ("What is your ship called?", ("The Black Pearl!", "Who asks?"), [0, 1]),
        ("Is it the Saucy Gannet?", ("No ship at all.", "The Saucy Gannet, aye."), [0, 1]),
        ("", (), []),
    ],
)
def test_who_says_most_of_a_fact_is_kept(asked: str, replies: Sequence[str], kept: list[int]) -> None:
    """By one fact, not by scraps of several; what the question said, a reply only repeats; all, where none knows."""
    assert kept == Truth((SHIP, PARROT), asked).truest(replies)


def test_wordings_may_differ() -> None:
    """Two thirds of what the best one says is as good."""
    replies = ("Ginger tea and storms, and a sea song!", "Ginger tea by a storm at sea!", "Rum.", "Ginger.")

    assert [0, 1] == Truth(DRINKS, "What do you love?").truest(replies)


def test_where_nothing_was_asked_all_are_true() -> None:
    """Taste decides."""
    assert [0, 1] == Truth((), "What is your ship called?").truest(("The Gannet.", "The Pearl."))


COOK = ("Your best friend is Jory, the ship's cook.",)
HOME = ("Your home port is Tern Island.",)
WHO = ("You are Captain Mira Flint.",)
NAMES = ("Captain Mira Flint", "mira", "captain")


@pytest.mark.parametrize(
    ("facts", "asked", "replies", "kept"),
    [
        (COOK, "Who is your best friend?", ("The captain, the ship's cook.", "Why, Jory!"), [1]),
        (HOME, "Which port do you come from?", ("My home port is an island: Tahiti!", "Tern Island, matey."), [1]),
        (HOME, "Which port do you come from?", ("My home port is an island.", "I come from Tahiti."), [0]),
        (WHO, "Who are you?", ("The captain!", "Captain Mira, at your service!", "Mira Flint!"), [1, 2]),
    ],
)
def test_a_name_says_more_than_what_stands_around_it(
    facts: Sequence[str], asked: str, replies: Sequence[str], kept: list[int]
) -> None:
    """It is what was asked for; where nobody names it, the rest counts."""
    assert kept == Truth(facts, asked).truest(replies)


@pytest.mark.parametrize(
    ("reply", "is_false"),
    [
        ("My name is Dora! And this is Captain Mira's ship.", True),
        ("Aye, I'm Jax.", True),
        ("Aye, I’m Jax.", True),
        ("Don't call me Shirley.", False),
        ("I'm SO happy!", False),
        ("Aye, that I am, Ben!", False),
        ("Call me Captain, or Mira.", False),
        ("I'm Captain Mira Flint!", False),
        ("I am sure that I'm a pirate.", False),
        ("Dora is my guest, and my name is Mira.", False),
    ],
)
def test_who_says_to_be_somebody_else_is_not_true(reply: str, is_false: bool) -> None:
    """Even where the right name falls as well; unless all do."""
    truth, right = Truth(WHO, "", NAMES), "I'm Captain Mira Flint, and this is Captain Mira's ship."
    replies = (f"{reply} Captain Mira Flint!", right)

    assert is_false == truth.pretends(reply)
    assert ([1] if is_false else [0, 1]) == truth.truest(replies)
    assert [0] == truth.truest(replies[:1])
    assert is_false != truth.is_told(replies[:1])


def test_honesty_comes_before_how_much_is_told() -> None:
    """Somebody else who names the captain says more of her than she does."""
    replies = ("I'm Dora, cook of Captain Mira Flint.", "I'm Mira!", "A pirate.")

    assert [1] == Truth(WHO, "Who are you?", NAMES).truest(replies)


def test_what_it_is_is_no_name_where_nobody_asked_who_it_is() -> None:
    """ "I'm Scottish" answers what was asked; only a name that is called one is."""
    truth = Truth(("You were born in Scotland.",), "Where were you born?", NAMES)

    assert not truth.pretends("I'm Scottish, born in Scotland.")
    assert truth.pretends("My name is Dora, born in Scotland.")
    assert not Truth(("You sail.",), "What do you do?", NAMES).pretends("I'm Scottish, and I sail.")


@pytest.mark.parametrize(
    ("facts", "asked", "replies", "is_told"),
    [
        (COOK, "Who is your best friend?", ("The sea.", "Jory, of course!"), True),
        (COOK, "Who is your best friend?", ("The sea.", "My best friend is Tom."), False),
        (DRINKS, "What do you drink?", ("Ginger beer, I love it!",), True),
        (DRINKS, "What do you drink?", ("I love rum.",), False),
        ((SHIP,), "Is it the Saucy Gannet?", ("Aye!",), True),
        ((), "How are you?", ("Fine.",), True),
    ],
)
def test_some_of_what_was_asked_for_is_told_or_not(
    facts: Sequence[str], asked: str, replies: Sequence[str], is_told: bool
) -> None:
    """A word that falls by chance is not some; where nothing is asked for, nothing is missing."""
    assert is_told == Truth(facts, asked).is_told(replies)
