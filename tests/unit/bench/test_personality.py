"""bench/personality: what is not run is null, and a part that is not there is named."""

import json

import pytest

from bench.personality import __main__ as bench


def test_what_was_not_run_is_null(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Every figure is named all the same, with what it was measured with."""
    monkeypatch.setattr("bench.personality.replay.EVENTS", 2000)

    status = bench.main(["--parts", "replay"])

    found = json.loads(capsys.readouterr().out)
    assert (0, None) == (status, found["told_apart"])
    assert 0 < found["replay_s"] < 60
    assert set(bench.FIGURES) <= set(found)
    assert "python" in found["versions"]


def test_an_unknown_part_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """With those that there are."""
    assert 2 == bench.main(["--parts", "reply"])
    assert "replay" in capsys.readouterr().err
