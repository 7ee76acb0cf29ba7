"""How far a long command is, where there is no terminal to draw a bar in."""

import io
import sys

import pytest

from bots import progress
from bots.progress import paced


def test_pace_is_told_with_what_is_left():
    """So many done, how fast lately, and how long the rest takes; without a total, no rest."""
    assert "120 of 400 replies, 4.0 a second, 70 s to go" == paced("replies", 120, 400, 80, 20.0)
    assert "1,200 lines, 0.0 a second" == paced("lines", 1200, 0, 0, 0.0)


def test_a_log_gets_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Not for each step, and what must be read at once."""
    now = iter([0.0, 1.0, 20.0, 20.0, 21.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))

    with progress.progress("replies", 10, 2) as shown:
        shown.advance()
        shown.advance()
        shown.say("line 7 is bad")
        shown.advance()

    assert "4 of 10 replies, 0.1 a second, 60 s to go\nline 7 is bad\n" == capsys.readouterr().err


def test_how_far_one_of_them_is_goes_into_the_log_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Now and then; the next thing begins anew."""
    now = iter([0.0, 100.0, 105.0, 120.0, 200.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))

    with progress.progress("nights", 2) as shown:
        for at in (1, 2, 5):
            shown.step("training", at, 10)
        shown.step("judging", 1, 4)

    told = capsys.readouterr().err.splitlines()
    assert ["1 of 10 steps of training", "5 of 10 steps of training"] == [line.partition(",")[0] for line in told[:2]]
    assert told[1].endswith("0.2 a second, 20 s to go")
    assert "1 of 4 steps of judging" in told[2]


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch):
    """With what is said above it."""
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")

    with progress.progress("replies", 3, 1) as shown:
        shown.say("line 7 is [bad]")
        shown.step("training", 3, 7)
        shown.advance(2)

    assert "training" in screen.getvalue()
    assert "3/7" in screen.getvalue()
    assert "line 7 is [bad]" in screen.getvalue()
    assert "3/3" in screen.getvalue()
