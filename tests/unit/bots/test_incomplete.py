"""A machine without the worker's packages: whoever needs them says what to install."""

import sys
from pathlib import Path

import pytest

from bots import up, working
from core import config
from core.errors import MissingExtra
from worker import fetch


def no_hub(*_: object) -> Path:
    raise ModuleNotFoundError("No module named 'huggingface_hub'")


async def test_a_model_that_cannot_be_fetched_for_want_of_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The error names the package, the hint the command."""
    monkeypatch.setattr(fetch, "obtain", no_hub)
    absent = {
        "LIMEN_MODEL__REF": "hf:nobody/nothing",
        "LIMEN_MODEL__FALLBACK": "",
        "LIMEN_WORKER__CACHE": str(tmp_path),
    }

    with pytest.raises(MissingExtra, match="huggingface_hub") as refused:
        await up.fetch_model(config.load(absent))

    assert "make install EXTRAS=worker" == refused.value.hint


def test_a_worker_that_cannot_load_for_want_of_a_package(monkeypatch: pytest.MonkeyPatch):
    """It does not die of a traceback that nobody reads."""
    monkeypatch.setitem(sys.modules, "worker.start", None)

    with pytest.raises(MissingExtra, match="the worker's packages are missing"):
        working.generator(config.load({"LIMEN_MODEL__REF": "hf:nobody/nothing"}))
