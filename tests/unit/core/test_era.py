"""core/era.py: how people write of times, and what cannot have been heard of in them."""

import pytest

from core.era import unheard, year


@pytest.mark.parametrize(
    ("era", "expected"),
    [
        ("A storybook age of sail, around 1720", 1720),
        ("The 1950s, on a northern coast", 1959),
        ("England in the 14th century", 1400),
        ("A fairy-tale middle age", 1450),
        ("Rome, 44 BC", -44),
        ("Victorian London", 1900),
        ("A small harbour town, some decades ago", 1985),
        ("Today", None),
        ("The year 2300", None),
        ("A space age of tomorrow", None),
        ("", None),
    ],
)
def test_a_time_is_read_as_people_write_it(era: str, expected: int | None):
    """A year, a decade, a century, or an age by its name; today and what lies ahead know everything."""
    assert expected == year(era)


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
