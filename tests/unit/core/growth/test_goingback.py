"""core/growth/goingback.py: when a day is over, and what was spoken with then."""

import datetime as dt

import pytest

from core.growth.goingback import ends, spoke_with
from core.jobs import BASE
from core.store.loras import Past, Serving

PAST = (
    Past("m/5", 450.0, "trial: over: no answer"),
    Past("m/4", 400.0, "trial: worse: 1 of 9 liked"),
    Past("m/3", 300.0, "command"),
    Past("m/2", 200.0, "night"),
)


def test_a_day_is_over_at_four_in_the_morning() -> None:
    """Of the operator's own time zone."""
    assert dt.datetime(2026, 5, 2, 2, 0, tzinfo=dt.UTC).timestamp() == ends(20260501, "Europe/Vienna")


@pytest.mark.parametrize(("moment", "version"), [(100.0, BASE), (200.0, "m/2"), (350.0, "m/3"), (500.0, "m/3")])
def test_the_version_of_then_is_the_last_that_went_live(moment: float, version: str) -> None:
    """One that only lost its trial never did; before all of them, it was the base."""
    assert version == spoke_with(Serving(live="m/3", history=PAST), moment)
