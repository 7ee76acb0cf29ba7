"""bench/personality: what is not run is null, and a part that is not there is named."""

import json

import numpy as np
import pytest

from bench.personality import __main__ as bench
from bench.personality.apart import failures, told
from bench.personality.speaker import nearest
from worker.embed import HashEmbedder


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


def test_the_nearest_centroid_says_who_speaks() -> None:
    """Learned from every other answer, tried on the rest; one who answers as another does is taken for the other."""
    alone, other = np.eye(4, dtype=np.float32)[:2]
    vectors = np.stack([np.tile(alone, (4, 1)), np.tile(other, (4, 1))])
    vectors[1, 3] = alone

    assert [[True, True], [True, False]] == nearest(vectors).tolist()


def test_two_are_told_apart_by_what_they_said_to_other_questions() -> None:
    """Where one exclaims and the other does not; two who say the same are told apart by chance."""
    lively, calm = [f"Arr, a good day number {n}!" for n in range(20)], [f"It is day number {n}." for n in range(20)]

    assert told([lively, calm], HashEmbedder()).all()
    assert 0.5 == told([calm, calm], HashEmbedder()).mean()


def test_failures_are_compared_with_those_of_day_one() -> None:
    """One is added to both; the interval comes of resampling."""
    ratio, low, high = failures([True, False] * 16, [True, False, False, False] * 8)

    assert 0.53 == ratio
    assert low < ratio < high < 1.1
    assert (1.0, 1.0, 1.0) == failures([False] * 4, [False] * 4)
