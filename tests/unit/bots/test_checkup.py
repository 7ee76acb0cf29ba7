"""What `limen doctor` sees, and the next step it gives."""

import importlib.util
import json
import os
import tomllib
from collections import namedtuple
from pathlib import Path
from typing import Any

import click
import pytest

from bots import checkup, machine
from bots.collisions import ROOT
from bots.commands import doctor
from bots.machine import Gpu, Torch
from core import config
from core.settings import Settings
from tests.fakes.commands import limen

Space = namedtuple("Space", "free")
CARD = Gpu("NVIDIA H200", 150_000_000_000)


def settings(home: Path, **environ: str) -> Settings:
    return config.load(environ, home=home)


def having(monkeypatch: pytest.MonkeyPatch, *missing: str) -> None:
    """All packages are there but these."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in missing else object())


def test_the_packages_are_those_of_the_extras():
    """What pyproject.toml installs is what doctor looks for."""
    names = {"discord.py": "discord", "python-telegram-bot": "telegram"}
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    bare = {
        extra: [line.split(">")[0].split("=")[0].split("<")[0] for line in lines] for extra, lines in extras.items()
    }

    assert {extra: set(modules) for extra, modules in checkup.EXTRAS.items()} == {
        extra: {names.get(one, one).replace("-", "_") for one in bare[extra]} for extra in checkup.EXTRAS
    }


def test_a_missing_extra_fails_where_it_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A platform's only with its token, the worker's only where no other machine can have one."""
    having(monkeypatch, "discord", "torch")

    def states(environ: dict[str, str], **given: str) -> list[tuple[str, str]]:
        rows = checkup.packages(settings(tmp_path, **given), environ)
        return [(row.state, row.step) for row in rows][:2]

    assert [("fail", "make install EXTRAS=telegram,slack,worker"), ("ok", "")] == states({})
    assert ("fail", "make install EXTRAS=telegram,slack,discord") == states({"DISCORD_TOKEN": "x"})[1]
    assert "warn" == states({}, REDIS_URL="redis://elsewhere")[0][0]


def test_an_old_python_fails():
    """With the way to a newer one."""
    assert ("fail", "ok") == (checkup.python((3, 10, 4)).state, checkup.python((3, 12, 0)).state)


@pytest.mark.parametrize(("free", "state"), [(5e9, "ok"), (1e9, "warn"), (5e7, "fail")])
def test_a_disk_that_is_nearly_full_is_told(free: float, state: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Before it is full."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: Space(free))

    assert state == checkup.home(tmp_path).state


def test_a_home_that_cannot_be_one_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A file in its place, or a folder that may not be written; one that is not there yet is well."""
    (tmp_path / "file").write_text("")

    assert "is not a folder" in checkup.home(tmp_path / "file" / "home").said
    assert "(will be made)" in checkup.home(tmp_path / "new" / "home").said
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert ("fail", True) == (checkup.home(tmp_path).state, "may not be written" in checkup.home(tmp_path).said)


@pytest.mark.parametrize(
    ("cards", "torch", "device", "state", "step"),
    [
        ([], Torch("2.13.0+cpu"), "auto", "ok", ""),
        ([CARD], Torch("2.13.0", "12.8"), "auto", "ok", ""),
        ([CARD], Torch("2.13.0+cpu"), "auto", "warn", "make install TORCH=cuda"),
        ([], Torch("2.13.0", "12.8"), "cuda", "fail", "set model.device to auto"),
        ([CARD], Torch("2.13.0+cpu"), "cuda:1", "fail", "set model.device to auto"),
        ([CARD], None, "auto", "ok", ""),
    ],
)
def test_card_and_torch_must_fit(
    cards: list[Gpu], torch: Torch | None, device: str, state: str, step: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    """A card that torch cannot use is a pity; a device that is not there is a fault."""
    monkeypatch.setattr(machine, "gpus", lambda: cards)
    monkeypatch.setattr(machine, "torch", lambda: torch)

    check = checkup.gpu(settings(tmp_path, LIMEN_MODEL__DEVICE=device))

    assert (state, step) == (check.state, check.step)


def test_a_broken_card_warns_and_a_persona_that_is_not_there_fails(tmp_path: Path):
    """Each with the exact next step."""
    (tmp_path / "personas").mkdir()
    (tmp_path / "personas" / "odd.yaml").write_text("name: odd\n")

    rows = list(checkup.persona_cards(settings(tmp_path, LIMEN_PERSONA="mirra")))

    assert [("fail", True), ("warn", True)] == [
        (rows[0].state, "did you mean mira?" in rows[0].said),
        (rows[1].state, f"limen persona check {tmp_path}/personas/odd.yaml" == rows[1].step),
    ]


def test_a_model_that_must_be_fetched_warns_and_a_folder_without_one_fails(tmp_path: Path):
    """The step fetches it."""
    cache = {"LIMEN_WORKER__CACHE": str(tmp_path / "cache"), "LIMEN_MODEL__FALLBACK": ""}

    away = checkup.model(settings(tmp_path, LIMEN_MODEL__REF="hf:nobody/nothing", **cache))
    folder = checkup.model(settings(tmp_path, LIMEN_MODEL__REF=str(tmp_path), **cache))

    assert ("warn", "limen models fetch") == (away.state, away.step)
    assert ("fail", True) == (folder.state, "is not a folder with a model" in folder.said)


def test_an_embedder_that_must_be_fetched_warns_and_one_that_is_none_fails(tmp_path: Path):
    """`hash` needs nothing."""
    cache = {"LIMEN_WORKER__CACHE": str(tmp_path / "cache")}
    states = [
        checkup.embedder(settings(tmp_path, LIMEN_EMBEDDER=ref, **cache)).state
        for ref in ("hash", "hf:nobody/nothing", str(tmp_path))
    ]

    assert ["ok", "warn", "fail"] == states


async def test_a_redis_that_is_not_there_fails_without_its_password(tmp_path: Path):
    """And the worker is not judged for it."""
    s = settings(tmp_path, REDIS_URL="redis://me:hunter2@127.0.0.1:1")

    check, rows = await checkup.redis(s), await checkup.worker(s)

    assert ("fail", False) == (check.state, "hunter2" in check.said)
    assert ["warn"] == [row.state for row in rows]


async def test_a_worker_that_could_not_start_is_told_with_its_reason(tmp_path: Path):
    """As it wrote it down itself."""
    (tmp_path / "worker.error").write_text("the hub knows no such model\n  → check the name")

    (check,) = await checkup.worker(settings(tmp_path))

    assert ("fail", "could not start: the hub knows no such model", "check the name") == (
        check.state, check.said, check.step
    )  # fmt: skip


async def test_an_old_redis_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """7.0 is the least."""

    async def old(*_: Any) -> dict[str, str]:
        return {"redis_version": "6.2.1"}

    monkeypatch.setattr("core.store.client.Client.do", old)

    check = await checkup.redis(settings(tmp_path, REDIS_URL="redis://elsewhere"))

    assert ("fail", "use Redis 7.0 or newer") == (check.state, check.step)


def test_doctor_fails_if_anything_does(tmp_path: Path):
    """The status is for scripts; a wrong setting is a row like any other."""
    said = limen("doctor", "--json", LIMEN_HOME=str(tmp_path), LIMEN_PERSONNA="x")

    found = json.loads(said.out)
    assert (1, False) == (said.status, found["ok"])
    assert ["fail"] == [check["state"] for check in found["checks"] if check["name"] == "settings"]


def test_a_long_row_is_wrapped(monkeypatch: pytest.MonkeyPatch):
    """80 columns are enough, and the next step has its arrow."""
    monkeypatch.setenv("COLUMNS", "80")

    check = checkup.Check("model", "warn", "word " * 40, "limen models fetch")
    lines = [click.unstyle(line) for line in doctor.rows(check)]

    assert ("! model", True) == (lines[0][:7], max(map(len, lines)) <= 80)
    assert f"{' ' * 20}→ limen models fetch" == lines[-1]
