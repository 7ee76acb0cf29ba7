"""personas/eras.py: how people write of times."""

import pytest

from personas.eras import names_a_time, year


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
    ("era", "expected"),
    [
        ("Around 1720", True),
        ("The year 2300", True),
        ("Rome, 44 BC", True),
        ("The age of sail", True),
        ("Today, with a telephone on the wall", True),
        ("The present day", True),
        ("In our own time", True),
        ("foo bar", False),
        ("The knowledge of a snowman", False),
        ("12", False),
    ],
)
def test_a_text_that_names_no_time_is_told_from_today(era: str, expected: bool):
    """Neither is in the past, but only one says when it is; words that lie within others do not count."""
    assert expected == names_a_time(era)
