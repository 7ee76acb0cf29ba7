"""Numbers as people read them."""

import pytest

from bots.words import many, size, span


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_949_000, "1.9 MB"), (152e9, "152 GB"), (3e15, "3000.0 TB")],
)
def test_sizes_have_a_unit(count: float, said: str):
    """In steps of a thousand, with one figure behind the point where that tells something."""
    assert said == size(count)


@pytest.mark.parametrize(
    ("seconds", "said"), [(-1, "0 s"), (59.9, "59 s"), (60, "1 min"), (7500, "2 h 5 min"), (90_000, "1 d 1 h")]
)
def test_spans_have_two_units_at_most(seconds: float, said: str):
    """The finer one only while it matters."""
    assert said == span(seconds)


def test_one_is_one_and_two_are_many():
    """Plurals, thousands apart."""
    assert ["1 reply", "2 replies", "1,200 jobs", "0 dead letters"] == [
        many(1, "reply"), many(2, "reply"), many(1200, "job"), many(0, "dead letter")
    ]  # fmt: skip
