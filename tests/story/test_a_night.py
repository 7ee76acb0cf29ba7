"""The loop that all of this is for, through the commands that people type: replies, thumbs, a night, other replies;
then back to how it was, and what a rater takes along who asks to be forgotten.

The model is trained here in seconds (`tests/fakes/school.py`); with the real weights a LoRA is promoted by hand.
"""

import json
import os
from pathlib import Path

import pytest

from core.config import load as read_settings
from tests.fakes import school
from tests.fakes.commands import Said, jsonl, limen, loaded
from tests.fakes.pupils import PLAIN
from worker import model
from worker.lora.check import base_names
from worker.lora.files import write
from worker.night.base import prepare
from worker.night.rows import Row
from worker.night.train import Rated, Recipe, train

PEOPLE = 12
CARD = """
name: ann
title: Ann
tagline: Says yes or no
description: You are Ann.
sampling: {temperature: 1.0, max_tokens: 40, repetition_penalty: 1.0}
"""
SETTINGS = {
    "MODEL__THREADS": "1", "MODEL__DTYPE": "float32", "LORA__TARGETS": "all", "NIGHT__ENABLED": "false",
    "NIGHT__RATE": "0.004", "NIGHT__BETA": "0.1", "NIGHT__ANCHOR": "0.1", "NIGHT__KL": "2.5", "NIGHT__PASSES": "4",
    "NIGHT__DEPTH": "1",
}  # fmt: skip


@pytest.fixture
def ann(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A home with a card of its own and a model that anybody could have brought."""
    (home / "personas").mkdir()
    (home / "personas" / "ann.yaml").write_text(CARD, "utf-8")
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("LIMEN_HOME", str(home))
    monkeypatch.setenv("LIMEN_MODEL__REF", str(school.folder(tmp_path / "model")))
    for name, value in SETTINGS.items():
        monkeypatch.setenv(f"LIMEN_{name}", value)
    yield home
    limen("down")


def well(said: Said) -> Said:
    assert 0 == said.status, said.err
    return said


def replies(home: Path, name: str, count: int) -> list[dict[str, str]]:
    """`limen generate`: what Ann says to so many questions, which are the same for one name."""
    rows = [{"id": f"{name}{at}", "author": f"u{at % PEOPLE}", "text": f"what of {name}{at}?"} for at in range(count)]
    source, out = jsonl(home / f"{name}.jsonl", *rows), home / f"{name}-said.jsonl"
    well(limen("generate", "--persona", "ann", "--in", source, "--out", out, "--seed", "7"))
    return loaded(out)


def share(said: list[dict[str, str]]) -> float:
    """How much of it people like."""
    return sum(school.likes(row["text"]) for row in said) / len(said)


def texts(said: list[dict[str, str]]) -> list[str]:
    return [row["text"] for row in said]


def test_thumbs_become_another_voice_and_it_can_be_taken_back(ann: Path) -> None:
    """Nobody has asked afterwards what was asked before; the old voice is the old one word for word."""
    before = replies(ann, "b", 40)
    votes = [
        {"reply_id": row["reply_id"], "user": f"u{at % PEOPLE}", "emoji": "👍" if school.likes(row["text"]) else "👎"}
        for at, row in enumerate(replies(ann, "a", 180))
    ]
    well(limen("feedback", "import", jsonl(ann / "votes.jsonl", *votes)))
    (night,) = json.loads(well(limen("night", "--now", "--live", "--json")).out)
    after = replies(ann, "b", 40)

    assert "promoted" == night["outcome"], night["reasons"]
    assert share(after) >= share(before) + 0.2
    assert {"base"} == {row["lora_version"] for row in before}
    assert {night["version"]} == {row["lora_version"] for row in after}

    page = ann / "night.html"
    well(limen("night", "report", "--html", page))
    assert "Ann" in page.read_text("utf-8")
    assert "promoted" in well(limen("night", "list")).out
    assert night["version"] in well(limen("lora", "list")).out
    assert "speaks with it" in well(limen("lora", "show", night["version"])).out

    well(limen("lora", "rollback", "--persona", "ann"))
    assert texts(before) == texts(replies(ann, "b", 40))

    well(limen("lora", "promote", night["version"], "--persona", "ann"))
    assert texts(after) == texts(replies(ann, "b", 40))
    gone = well(limen("forget", "--user", "u3", "--yes"))
    assert night["version"] in gone.out + gone.err
    assert {"base"} == {row["lora_version"] for row in replies(ann, "b", 40)}
    again = limen("lora", "promote", night["version"], "--persona", "ann")
    assert 0 != again.status


@pytest.mark.real
def test_the_real_model_learns_and_speaks_with_what_it_learned(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three steps are no taste yet, but a whole LoRA: it is brought in, made live by hand, spoken with, and taken
    back."""
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("LIMEN_HOME", str(home))
    monkeypatch.setenv("LIMEN_NIGHT__ENABLED", "false")
    settings = read_settings(os.environ)
    base = prepare(model.load(settings), base_names(settings), "attention", 8, PLAIN)
    codes = [tuple(base.loaded.tokenizer.encode(text)) for text in ("Do you like rain?", " Aye, matey!", " No.")]
    rows = [Rated(Row(codes[0], codes[1]), True), Rated(Row(codes[0], codes[2]), False)]
    weights, curve, _ = train(base, rows, (), Recipe(rate=1e-3, passes=3, fewest=0, batch=2), "v")
    write(home / "lora", weights, base_names(settings)[0])

    version = well(limen("lora", "add", home / "lora", "--persona", "mira", "--canary", "0.1")).out.split()[-1]
    well(limen("lora", "promote", version, "--persona", "mira"))
    source = jsonl(home / "asked.jsonl", {"id": "1", "author": "ben", "text": "Do you like rain?"})
    said = []
    for out in (home / "with.jsonl", home / "without.jsonl"):
        well(limen("generate", "--persona", "mira", "--in", source, "--out", out))
        said += loaded(out)
        limen("lora", "rollback", "--persona", "mira")
    limen("down")

    assert curve[-1].margin > 0
    assert [version, "base"] == [row["lora_version"] for row in said]
    assert all(row["text"].strip() for row in said)
