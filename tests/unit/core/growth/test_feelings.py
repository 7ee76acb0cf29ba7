"""core/growth/feelings.py: what is usual is taken off, a mood pulls, and mostly nothing is done."""

import pytest

from core.growth.changes import STILL
from core.growth.feelings import PADS, SURE, action, chances, likeliest, pulls, usual

NAMES = ("cheerful", "cross", "floofy")


def test_what_rose_most_is_felt() -> None:
    """A word that is common after any reply has not risen."""
    after = chances([0.0, 3.0, 0.0], [0, 0, 0])

    assert 1 == likeliest(after)[0]
    assert sum(after) == pytest.approx(1.0)
    assert after[1] > SURE


def test_where_nothing_is_unusual_nothing_is_sure() -> None:
    """All are as likely as ever."""
    assert [1 / 3] * 3 == pytest.approx(chances([0, 0, 0], [0, 0, 0]))


def test_a_mood_pulls_towards_what_is_felt_in_it() -> None:
    """A bad mood makes the same reply sound crosser; a word that nobody knows is left alone; so is all in no mood."""
    bad, none = pulls(NAMES, (-1.0, 0.5, 0.3)), pulls(NAMES, STILL)

    assert bad[1] > 0 > bad[0]
    assert (0.0, [0.0] * 3) == (bad[2], none)


def test_every_known_feeling_lies_in_the_space() -> None:
    """And each word is listed once."""
    assert all(-1 <= value <= 1 for pad in PADS.values() for value in pad)
    assert len(PADS) > 80


def test_usual_is_the_mean() -> None:
    """Of each choice."""
    assert [-11.0, -19.0] == usual([[-10.0, -20.0], [-12.0, -18.0]])


@pytest.mark.parametrize(("above", "near", "done"), [
    ([0.1, 2.0], [0.1, 0.2], 1), ([0.1, 0.9], [0.1, 0.2], None), ([0.1, 2.0], [0.3, 0.2], None),
    ([0.1, 2.0], None, None), ([0.1, 4.0], None, 1), (None, [0.1, 0.2], None), (None, [0.1, 0.4], 1),
    (None, None, None),
])  # fmt: skip
def test_an_action_is_done_only_if_the_reply_calls_for_it(
    above: list[float] | None, near: list[float] | None, done: int | None
) -> None:
    """By likelihood and by meaning; where one of the two cannot be asked, by far more of the other."""
    assert done == action(above, near)


def test_huge_numbers_are_no_trouble() -> None:
    """Long actions have tiny chances."""
    assert [1.0, 0.0] == pytest.approx(chances([9e5, -9e5], [0, 0]))
