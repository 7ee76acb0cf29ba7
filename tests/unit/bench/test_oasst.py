"""bench/oasst.py: ratings against ranks."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench.oasst import FILE, agreement


def said(name: str, rank: int | None, text: str, thumbs: dict[str, int] | None = None, *replies: Any) -> dict[str, Any]:
    role = "prompter" if rank is None else "assistant"
    return {"message_id": name, "rank": rank, "text": text, "role": role, "emojis": thumbs, "replies": list(replies)}


def test_a_rating_agrees_where_the_better_liked_is_the_better_ranked(tmp_path: Path) -> None:
    """Both ways, at any depth; a tie says nothing; an emoji that is no thumb is passed over."""
    right = said("a", None, "?", None, said("b", 0, "x", {"+1": 2}), said("c", 1, "y" * 9, {"-1": 1, "_skip_reply": 3}))
    wrong = said("d", 1, "z", {"+1": 5}, right)
    file = tmp_path / "threads.jsonl"
    file.write_text(json.dumps(said("e", None, "!", None, wrong, said("f", 0, "zz"), said("g", 2, "z"))), "utf-8")

    found = agreement(file)

    assert (1, 4) == (found["threads"], found["pairs"])
    assert (2 / 3, 3) == (pytest.approx(found["net_thumbs"], abs=1e-3), found["net_thumbs_pairs"])
    assert (0.5, 2) == (found["net_thumbs_sure"], found["net_thumbs_sure_pairs"])
    assert (2 / 3, 3) == (pytest.approx(found["rating_length_ignored"], abs=1e-3), found["rating_length_ignored_pairs"])
    assert found["rating_low"] <= found["rating"] <= found["rating_high"]


@pytest.mark.skipif(not FILE.exists(), reason="the threads of OpenAssistant are not here")
def test_on_real_threads_thumbs_say_something() -> None:
    """Better than a coin, worse than the length: no vote there has a name."""
    found = agreement(FILE)

    assert 400 < found["pairs"]
    assert 0.5 < found["rating_length_ignored_low"] < found["longer_wins"]
    assert 0.5 < found["rating"] < found["longer_wins"]
