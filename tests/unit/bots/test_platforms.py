"""What a platform must be given, and what is said where it is not there."""

import importlib.util
import re
from pathlib import Path

import pytest

from bots import accounts, checkup, envfile, platforms
from bots.__main__ import COMMANDS
from bots.collisions import ROOT
from bots.commands import run
from core import config
from core.config import settings_by_variable
from core.errors import ConfigError, MissingExtra
from tests.fakes.commands import limen

NOTHING = {name: None for rows in accounts.NEEDS.values() for row in rows for name in row}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No .env of the clone's counts."""
    monkeypatch.chdir(tmp_path)
    for name in NOTHING:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("platform", "given", "missing"),
    [
        ("discord", {}, "Discord needs DISCORD_TOKEN, and finds none"),
        ("telegram", {"TELEGRAM_TOKEN": "  "}, "Telegram needs TELEGRAM_TOKEN, and finds none"),
        ("slack", {}, "Slack needs SLACK_BOT_TOKEN and SLACK_APP_TOKEN or SLACK_SIGNING_SECRET, and finds none"),
        ("slack", {"SLACK_BOT_TOKEN": "x"}, "Slack needs SLACK_APP_TOKEN or SLACK_SIGNING_SECRET, and finds none"),
    ],
)
def test_a_missing_token_is_named_with_the_next_step(
    platform: str, given: dict[str, str], missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """By the command that asks for it; nothing is started, and there is no traceback."""
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    said = limen("--home", tmp_path / "home", "run", platform)

    assert 1 == said.status
    assert f"limen: {missing}\n  → limen setup {platform} walks you through it (docs/{platform}.md)\n" == said.err
    assert not (tmp_path / "home").exists()


def test_a_missing_package_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Without losing the extras that are there."""
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "telegram" else real(name))
    monkeypatch.setattr(checkup, "EXTRAS", {"worker": (), "telegram": ("telegram",)})
    said = limen("--home", tmp_path / "home", "run", "telegram", TELEGRAM_TOKEN="1:a")

    assert 1 == said.status
    assert "Telegram needs packages that are not installed: telegram" in said.err
    assert "→ make install EXTRAS=worker,telegram" in said.err
    with pytest.raises(MissingExtra):
        platforms.require("telegram", {"TELEGRAM_TOKEN": "1:a"})


def test_a_worker_that_could_not_be_started_is_missed_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Before anybody writes to the bot; beside a Redis of one's own, workers are elsewhere."""
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else real(name))
    said = limen("--home", tmp_path / "home", "run", "telegram", TELEGRAM_TOKEN="1:a", REDIS_URL=None)

    assert 1 == said.status
    assert "limen: the worker's packages are not installed" in said.err
    assert "--no-worker" in said.err
    elsewhere = config.load({"REDIS_URL": "redis://elsewhere"}, home=tmp_path)
    assert not run._may_work(elsewhere)


def test_a_platform_that_is_not_named_is_run_if_its_tokens_are_there(tmp_path: Path):
    """And if there are none at all, the first step is told."""
    said = limen("--home", tmp_path / "home", "run")

    assert (1, "limen: no platform is named, and no token of any is set") == (said.status, said.err.splitlines()[0])
    assert "limen setup telegram" in said.err


def test_bots_that_would_be_called_at_one_door_do_not_start(tmp_path: Path):
    """Else each would take away the other's webhook, or its port."""
    given = {"TELEGRAM_TOKEN": "1:a", "TELEGRAM_TOKEN_B": "2:b", "LIMEN_TELEGRAM__WEBHOOK_URL": "https://b.example"}
    said = limen("--home", tmp_path / "home", "run", "telegram", "telegram:b", **given)

    assert 1 == said.status
    assert "limen: telegram and telegram:b would both be called at https://b.example" in said.err
    assert "telegram.accounts.b.webhook_url" in said.err


def test_an_unknown_platform_is_refused(tmp_path: Path):
    """Those that there are are named."""
    said = limen("--home", tmp_path / "home", "run", "irc")

    assert 2 == said.status
    assert "'discord', 'telegram', 'slack'" in said.err


def test_shards_are_the_first_and_the_last_of_all():
    """As people write them."""
    assert None is platforms.shards("")
    assert (0, 4, 8) == platforms.shards("0-3/8")
    assert (7, 8, 8) == platforms.shards("7-7/8")
    for wrong in ("3-0/8", "0-8/8"):
        with pytest.raises(ConfigError, match="names no shards"):
            platforms.shards(wrong)


def test_every_platform_has_its_page_and_its_extra():
    """What hints point to is there."""
    assert list(accounts.TITLES) == list(accounts.NEEDS)
    for name in accounts.TITLES:
        assert name in checkup.EXTRAS
        assert (ROOT / "docs" / f"{name}.md").is_file()


def test_the_pages_name_commands_and_settings_that_there_are():
    """What a newcomer copies from them works."""
    for page in [*accounts.TITLES, "add-a-platform"]:
        text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
        for name in re.findall(r"(?<![/\w])limen ([a-z]+)\b(?=[ `])", text):
            assert name in COMMANDS, f"{page}: limen {name}"
        for variable in re.findall(r"\bLIMEN_[A-Z_]+\b", text):
            assert variable in settings_by_variable(), f"{page}: {variable}"
        for path in re.findall(r"`((?:scope|attention|discord|telegram|slack)\.[a-z_]+)[`:]", text):
            assert f"LIMEN_{path.replace('.', '__').upper()}" in settings_by_variable(), f"{page}: {path}"
        for link in re.findall(r"\]\(([a-z-]+\.md)\)", text):
            assert (ROOT / "docs" / link).is_file()


def test_every_row_of_the_example_file_is_read():
    """A line of .env.example that is filled in is taken, but for those that are Compose's own."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    filled = re.sub(r"^# ([A-Z_]+=)(.*)$", r"\g<1>x\2", text, flags=re.MULTILINE)
    proposed = {name for name in re.findall(r"^# ([A-Z_]+)=", text, flags=re.MULTILINE) if "COMPOSE" not in name}

    assert proposed == set(envfile.parse(filled))
    assert set(NOTHING) < proposed
