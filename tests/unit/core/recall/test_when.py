"""core/recall/when.py: what time a question speaks of."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from core.recall.when import span

NOW = datetime(2026, 11, 27, 18, tzinfo=UTC).timestamp()  # a Friday


def shown(text: str) -> str:
    """The span as `day..day`, or nothing."""
    found = span(text, NOW)
    if found is None:
        return ""
    first, until = (datetime.fromtimestamp(seconds, UTC) for seconds in found)
    assert (0, 4) == (first.hour, until.hour)
    return f"{first:%Y-%m-%d}..{until:%Y-%m-%d}"


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("What did Ann say yesterday?", "2026-11-26..2026-11-27"),
        ("last night", "2026-11-26..2026-11-27"),
        ("the day before yesterday", "2026-11-25..2026-11-26"),
        ("This morning I", "2026-11-27..2026-11-28"),
        ("two days ago", "2026-11-25..2026-11-26"),
        ("a few days ago", "2026-11-23..2026-11-26"),
        ("three weeks ago", "2026-11-03..2026-11-10"),
        ("a couple of weeks ago", "2026-11-10..2026-11-17"),
        ("last week", "2026-11-16..2026-11-23"),
        ("last weekend", "2026-11-21..2026-11-23"),
        ("last month", "2026-10-01..2026-11-01"),
        ("last year", "2025-01-01..2026-01-01"),
        ("this week", "2026-11-23..2026-11-28"),
        ("on Monday", "2026-11-23..2026-11-24"),
        ("last Friday", "2026-11-20..2026-11-21"),
        ("On May 2nd, I went", "2026-05-02..2026-05-03"),
        ("the 3rd of May 2024", "2024-05-03..2024-05-04"),
        ("on Dec. 5", "2025-12-05..2025-12-06"),
        ("in April", "2026-04-01..2026-05-01"),
        ("in December", "2025-12-01..2026-01-01"),
        ("on 2026-05-03", "2026-05-03..2026-05-04"),
        ("yesterday, not last month", "2026-11-26..2026-11-27"),
        ("10000 days ago", ""),
        ("May I ask? It may be that 31 February", ""),
        ("on 2026-13-40", ""),
        ("in April 9999", ""),
        ("nothing of the kind", ""),
    ],
)
def test_a_question_s_time_is_understood(text: str, days: str) -> None:
    """Until four in the morning after, for nights are long; what is no time is none."""
    assert days == shown(text)


def test_days_are_those_of_the_zone() -> None:
    """At ten in the evening UTC it is tomorrow in Tokyo."""
    late = datetime(2026, 11, 27, 22, tzinfo=UTC).timestamp()
    found = span("yesterday", late, ZoneInfo("Asia/Tokyo"))

    assert found
    assert datetime(2026, 11, 26, 15, tzinfo=UTC).timestamp() == found[0]


@pytest.mark.parametrize("now", [1e20, -1e20, float("inf"), float("nan")])
def test_a_clock_that_is_wrong_means_no_time(now: float) -> None:
    """And breaks nothing."""
    assert span("yesterday", now) is None
