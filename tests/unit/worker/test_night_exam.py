"""worker/night/exam.py: which of two answers people would like more, by what they have rated."""

import pytest

from core.nights import Shift
from worker.night.exam import preferred
from worker.night.examples import Example

KIND, DRY = "How good to see you, my friend!", "The tide is at six."


def row(text: str, liked: bool) -> Example:
    """A rated reply."""
    return Example(reply=text, group="g", time=1.0, messages=(), text=text, liked=liked, weight=0.9)


ROWS = [row(f"{text} {more}", text == KIND) for more in ("Well.", "Aye.", "Now.", "So.") for text in (KIND, DRY)]


def test_what_is_more_like_the_liked_ones_is_preferred() -> None:
    """Of each prompt's two answers; the same answer twice is a draw."""
    (shift,) = preferred(ROWS, [DRY, DRY, KIND, DRY], [KIND, KIND, DRY, DRY])

    assert (pytest.approx(0.375), pytest.approx(0.625)) == (shift.before, shift.after)
    assert isinstance(shift, Shift)


def test_without_votes_or_answers_there_is_nothing_to_say() -> None:
    """No line in the report."""
    assert () == preferred([], [DRY], [KIND]) == preferred(ROWS, [], [])
