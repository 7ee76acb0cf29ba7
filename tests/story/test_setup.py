"""`limen setup PLATFORM`: what a newcomer reads and types, and what stands in .env in the end."""

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("discord")
pytest.importorskip("telegram")
pytest.importorskip("slack_bolt")

from adapters.discord.checkup import invite
from adapters.slack.manifest import manifest
from bots import accounts
from tests.fakes import discord as discords
from tests.fakes import slack as slacks
from tests.fakes import telegram as telegrams
from tests.fakes.commands import Said, limen, meanwhile


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder without a .env, and an environment without a token; it stays as it was, whatever a .env adds."""
    monkeypatch.chdir(tmp_path)
    before = dict(os.environ)
    for name in {name for rows in accounts.NEEDS.values() for row in rows for name in row}:
        os.environ.pop(name, None)
    yield tmp_path
    os.environ.clear()
    os.environ.update(before)


async def setup(*args: str, stdin: str = "", **environ: str) -> Said:
    return await meanwhile("--home", "home", "setup", *args, stdin=stdin, **environ)


def written(folder: Path) -> list[str]:
    return (folder / ".env").read_text().splitlines()


async def test_a_bot_on_telegram(folder: Path):
    """Asked, checked, written for its owner alone; a wrong line of the clipboard and an old token are asked again."""
    (folder / ".env").write_text("# mine\nLIMEN_PERSONA=mira\n# TELEGRAM_TOKEN=\n")
    async with telegrams.telegram() as fake:
        typed = "\n".join(["https://t.me/MiraBot", "1:old", telegrams.TOKEN, ""])
        said = await setup("telegram", stdin=typed, LIMEN_TELEGRAM__BASE_URL=fake.url)

    assert 0 == said.status, said.err
    for words in ("/newbot", "That is none: such as 123456789:AAH…", "Once more", "@MiraBot", "/setprivacy"):
        assert words in said.out
    assert said.out.endswith("Start it:  limen run telegram\n")
    assert ["# mine", "LIMEN_PERSONA=mira", f"TELEGRAM_TOKEN={telegrams.TOKEN}"] == written(folder)
    assert 0o600 == stat.S_IMODE((folder / ".env").stat().st_mode)
    assert telegrams.TOKEN not in said.out + said.err


async def test_a_bot_on_discord(folder: Path):
    """The link that invites it is printed; an intent that is off is still to be done, and so the status says."""
    fake = await discords.Fake().start()
    try:
        where = {"LIMEN_DISCORD__API_BASE": fake.url}
        first = await setup("discord", stdin=f"{discords.TOKEN}\n", **where)
        fake.allows_content = False
        again = await setup("discord", "--no-input", **where)
    finally:
        await fake.stop()

    assert (0, [f"DISCORD_TOKEN={discords.TOKEN}"]) == (first.status, written(folder))
    assert f"  {invite(discords.ME)}\n" in first.out
    assert 1 == again.status
    assert "limen doctor discord" in again.out.splitlines()[-1]


async def test_a_bot_on_slack(folder: Path):
    """The manifest is there to be pasted; both tokens are asked for, and Enter keeps what is set."""
    async with slacks.slack() as fake:
        where = {"LIMEN_SLACK__BASE_URL": f"{fake.url}/api/"}
        typed = f"{slacks.APP_TOKEN}\n{slacks.BOT_TOKEN}\n{slacks.APP_TOKEN}\n"
        first = await setup("slack", "--name", "Mira", stdin=typed, **where)
        again = await setup("slack", stdin="\n\n", **where)

    assert (0, 0) == (first.status, again.status)
    begin = first.out.index("{\n")
    pasted, _ = json.JSONDecoder().raw_decode(first.out[begin:])
    assert "Mira" == pasted["features"]["bot_user"]["display_name"]
    assert "That is none: it begins with xoxb-." in first.out
    assert "/invite @Mira" in first.out
    assert [f"SLACK_BOT_TOKEN={slacks.BOT_TOKEN}", f"SLACK_APP_TOKEN={slacks.APP_TOKEN}"] == written(folder)


async def test_another_bot_beside_the_first(folder: Path):
    """Its token has its name, and the first one's stays; the doctor knows it by the same name."""
    (folder / ".env").write_text(f"TELEGRAM_TOKEN={telegrams.TOKEN}\n")
    async with telegrams.telegram() as fake:
        fake.token = other = "222222222:BB-secret"
        where = {"LIMEN_TELEGRAM__BASE_URL": fake.url}
        said = await setup("telegram:orrin", stdin=f"{other}\n", **where)
        well = await meanwhile("--home", "home", "doctor", "telegram:orrin", **where)
        fake.token = "333333333:CC"
        ill = await meanwhile("--home", "home", "doctor", "telegram:orrin", **where)
    none = await setup("discord:noa", "--no-input")
    wrong = await setup("discord:No")

    assert 0 == said.status, said.err
    assert said.out.endswith("Start it:  limen run telegram:orrin\n")
    assert [f"TELEGRAM_TOKEN={telegrams.TOKEN}", f"TELEGRAM_TOKEN_ORRIN={other}"] == written(folder)
    assert (0, True) == (well.status, "✓ Telegram (orrin)" in well.out), well.out
    assert "set TELEGRAM_TOKEN_ORRIN to what" in " ".join(ill.out.split())
    assert "DISCORD_TOKEN_NOA is not set" in none.err
    assert (2, True) == (wrong.status, "small letters" in wrong.err)


def test_the_manifest_alone_is_json():
    """For a script; with an address, Slack calls us there, and there is no Socket Mode."""
    told = json.loads(limen("setup", "slack", "--manifest", "--name", "Mira", "--url", "https://bot.example/").out)

    assert manifest("Mira", told["display_information"]["description"], "https://bot.example/slack/events") == told
    assert told["settings"]["socket_mode_enabled"] is False
    assert 2 == limen("setup", "slack", "--url", "http://bot.example").status


async def test_slack_by_http_asks_for_the_signing_secret(folder: Path):
    """Instead of an app-level token."""
    async with slacks.slack() as fake:
        where: dict[str, Any] = {"LIMEN_SLACK__BASE_URL": f"{fake.url}/api/"}
        typed = f"{slacks.BOT_TOKEN}\n{slacks.SECRET}\n"
        said = await setup("slack", "--url", "https://bot.example", stdin=typed, **where)

    assert 0 == said.status
    assert "Signing Secret" in said.out
    assert f"SLACK_SIGNING_SECRET={slacks.SECRET}" in written(folder)


async def test_without_input_it_says_what_is_missing(folder: Path):
    """Nothing is written, nothing is asked."""
    for platform in accounts.TITLES:
        said = await setup(platform, "--no-input")

        assert 1 == said.status
        assert "is not set" in said.err
    assert not (folder / ".env").exists()


async def test_a_token_that_is_no_good_is_not_written_by_a_script(folder: Path):
    """The platform's own reason is shown."""
    async with telegrams.telegram() as fake:
        said = await setup("telegram", "--no-input", TELEGRAM_TOKEN="1:old", LIMEN_TELEGRAM__BASE_URL=fake.url)

    assert 1 == said.status
    assert "does not know the bot's token" in said.out
    assert "nothing was written" in said.err
    assert not (folder / ".env").exists()


async def test_unchecked_tokens_are_written_as_they_are(folder: Path):
    """Into another file, if one is named; the platform is not asked."""
    nowhere = {"LIMEN_TELEGRAM__BASE_URL": "http://127.0.0.1:9"}
    said = await setup("telegram", "--no-input", "--no-check", "--env-file", "bot.env", TELEGRAM_TOKEN="1:a", **nowhere)

    assert 0 == said.status
    assert "TELEGRAM_TOKEN=1:a\n" == (folder / "bot.env").read_text()


async def test_what_is_exported_and_would_win_is_told(folder: Path):
    """The file alone would not change anything."""
    async with telegrams.telegram() as fake:
        typed = f"{telegrams.TOKEN}\n"
        said = await setup("telegram", stdin=typed, TELEGRAM_TOKEN="1:other", LIMEN_TELEGRAM__BASE_URL=fake.url)

    assert 0 == said.status
    assert "unset TELEGRAM_TOKEN" in said.err
    assert [f"TELEGRAM_TOKEN={telegrams.TOKEN}"] == written(folder)
