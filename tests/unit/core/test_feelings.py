"""core/feelings.py: what is usual is taken off, a mood pulls, and mostly nothing is done."""

import pytest

from core.changes import STILL
from core.feelings import PADS, SURE, chances, likeliest, pulls, rises, usual

NAMES = ("cheerful", "cross", "floofy")


def test_a_common_word_does_not_win_by_being_common() -> None:
    """What a word weighs after any reply says nothing of this one."""
    after = chances([-2.0, -9.0, -8.0], [-2.0, -12.0, -8.0], [0, 0, 0])

    assert 1 == likeliest(after)[0]
    assert sum(after) == pytest.approx(1.0)
    assert after[1] > SURE


def test_where_nothing_is_unusual_nothing_is_sure() -> None:
    """All are as likely as ever."""
    assert [1 / 3] * 3 == pytest.approx(chances([-5, -1, -9], [-5, -1, -9], [0, 0, 0]))


def test_a_mood_pulls_towards_what_is_felt_in_it() -> None:
    """A bad mood makes the same reply sound crosser; a word that nobody knows is left alone; so is all in no mood."""
    bad, none = pulls(NAMES, (-1.0, 0.5, 0.3)), pulls(NAMES, STILL)

    assert bad[1] > 0 > bad[0]
    assert (0.0, [0.0] * 3) == (bad[2], none)


def test_every_known_feeling_lies_in_the_space() -> None:
    """And each word is listed once."""
    assert all(-1 <= value <= 1 for pad in PADS.values() for value in pad)
    assert len(PADS) > 80


def test_an_action_is_done_only_if_the_reply_calls_for_it() -> None:
    """Else none."""
    usually = usual([[-10.0, -20.0], [-12.0, -18.0]])

    assert [-11.0, -19.0] == usually
    assert 1 == rises([-11.0, -12.0], usually)
    assert rises([-10.5, -18.0], usually) is None


def test_huge_numbers_are_no_trouble() -> None:
    """Long actions have tiny chances."""
    assert [1.0, 0.0] == pytest.approx(chances([-10.0, -9e5], [-9e5, -10.0], [0, 0]))
