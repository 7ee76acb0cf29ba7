"""worker/truth.py: of several replies, those that say what the card says."""

from collections.abc import Sequence

import pytest

from worker.truth import truest

SHIP = "Your ship is the Saucy Gannet."
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
    assert kept == truest((SHIP, PARROT), asked, replies)


def test_wordings_may_differ() -> None:
    """Two thirds of what the best one says is as good."""
    drinks = ("You love ginger tea, storms and sea songs.",)
    replies = ("Ginger tea and storms, and a sea song!", "Ginger tea by a storm at sea!", "Rum.", "Ginger.")

    assert [0, 1] == truest(drinks, "What do you love?", replies)


def test_where_nothing_was_asked_all_are_true() -> None:
    """Taste decides."""
    assert [0, 1] == truest((), "What is your ship called?", ("The Gannet.", "The Pearl."))
