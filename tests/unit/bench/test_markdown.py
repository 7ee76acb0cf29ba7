"""bench/markdown: whatever a model writes, platforms take it. The bench tells it of 2,000 documents, this of some."""

import pytest

pytest.importorskip("discord")
pytest.importorskip("telegram")
pytest.importorskip("slack_bolt")

from bench.markdown import BAD, document, run
from tests.fakes import discord as discords
from tests.fakes import slack as slacks

SOME = 25


def test_nothing_is_refused_or_too_long_and_nobody_is_called() -> None:
    """On none of the platforms, whole or half written."""
    for name, tally in run(SOME).items():
        assert SOME == tally["documents"]
        assert {} == {what: tally[what] for what in BAD if tally[what]}, name


def test_without_us_it_would_be() -> None:
    """The documents hold what must not pass: many calls, and texts beyond every limit."""
    documents = [document(number) for number in range(SOME)]
    assert sum(bool(discords._MASS.search(text)) for text in documents) > SOME / 3
    assert sum(bool(slacks.pings({"text": text})) for text in documents) > SOME / 3
    assert max(map(len, documents)) > 20_000
    assert document(1) == document(1) != document(2)
