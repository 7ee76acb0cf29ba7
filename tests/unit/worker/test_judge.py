"""worker/judge.py: what is not told in time."""

import logging
import time
from collections.abc import Sequence

import msgspec
import pytest

from personas.card import Card, Rule, When
from tests.fakes.spelling import Spelling
from worker.embed import Vectors
from worker.judge import Judge
from worker.nearness import Nearness

CARD = Card(
    name="mira", title="Captain Mira",
    description="Everybody fears the pirate. Your ship is the Saucy Gannet.\nYour home port is Tern Island. "
    "You hate porridge.",
)  # fmt: skip


class Slow(Spelling):
    """Takes a while for each text."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        time.sleep(0.1)
        return super().embed(texts)


async def test_what_is_not_told_in_time_is_a_line_in_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that is busy is no fault, so nobody is shown a traceback. Who would rather wait is told."""
    card = msgspec.structs.replace(CARD, rules=(Rule(when=When(keywords=("ahoy",)), say="Ahoy!"),))
    monkeypatch.setattr("worker.judge.LATE", 0.01)
    hurried, patient = (Judge(None, Nearness(Slow()), patient=waits) for waits in (False, True))
    now = hurried.now("Ahoy! Who are you?", {})
    late = await hurried.judge(card, now)

    assert (True, None) == (late.decision is not None, late.verdict)
    assert [(logging.WARNING, None)] == [(row.levelno, row.exc_info) for row in caplog.records]
    assert (await patient.judge(card, now)).verdict
