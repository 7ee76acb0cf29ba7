"""core/era.py: what cannot have been heard of in a time."""

import pytest

from core.era import unheard


@pytest.mark.parametrize(
    ("question", "last", "thing"),
    [
        ("How do I charge my iPhone?", 1959, "iphone"),
        ("What's wi-fi?", 1959, "wi-fi"),
        ("Who won in 2018?", 1720, "2018"),
        ("Have you seen the Internet?", 1720, "internet"),
        ("Is there a telephone on board?", 1720, "telephone"),
        ("Is there a telephone in the office?", 1959, ""),
        ("How do I dry a carpet?", 1720, ""),
        ("Is it true that the price is 20 coins?", 1720, ""),
        ("What did you do in 1718?", 1720, ""),
    ],
)
def test_what_came_later_is_found(question: str, last: int, thing: str):
    """As a word of its own, not within others; a year by itself."""
    found = unheard(question, last)

    assert thing == (found[0] if found else "")
