"""`limen doctor PLATFORM`: what is wrong with a bot's set-up is named, by the platform's own word, with its switch."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("discord")
pytest.importorskip("telegram")
pytest.importorskip("slack_bolt")

from bots import accounts, platforms
from tests.fakes import discord as discords
from tests.fakes import slack as slacks
from tests.fakes import telegram as telegrams
from tests.fakes.commands import Said, meanwhile


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No .env of the clone's counts, nor any token of ours."""
    monkeypatch.chdir(tmp_path)
    for name in {name for rows in accounts.NEEDS.values() for row in rows for name in row}:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def telegram() -> AsyncIterator[telegrams.Fake]:
    async with telegrams.telegram() as fake:
        yield fake


@pytest.fixture
async def slack() -> AsyncIterator[slacks.Fake]:
    async with slacks.slack() as fake:
        yield fake


@pytest.fixture
async def discord() -> AsyncIterator[discords.Fake]:
    fake = await discords.Fake().start()
    yield fake
    await fake.stop()


def given(fake: Any, **changes: str) -> dict[str, str]:
    """Tokens and addresses for a platform on this machine."""
    match fake:
        case telegrams.Fake():
            there = {"TELEGRAM_TOKEN": telegrams.TOKEN, "LIMEN_TELEGRAM__BASE_URL": fake.url}
        case slacks.Fake():
            tokens = {"SLACK_BOT_TOKEN": slacks.BOT_TOKEN, "SLACK_APP_TOKEN": slacks.APP_TOKEN}
            there = {**tokens, "LIMEN_SLACK__BASE_URL": f"{fake.url}/api/"}
        case _:
            there = {"DISCORD_TOKEN": discords.TOKEN, "LIMEN_DISCORD__API_BASE": fake.url}
    return {**there, **changes}


async def doctor(tmp_path: Path, *names: str, **environ: str) -> Said:
    return await meanwhile("--home", tmp_path / "home", "doctor", *names, **environ)


async def rows(tmp_path: Path, name: str, **environ: str) -> list[tuple[str, str, str]]:
    """(state, said, step) of each row of that platform."""
    said = await doctor(tmp_path, name, "--json", **environ)
    checks = json.loads(said.out)["checks"]
    assert said.status == int(any(one["state"] == "fail" for one in checks))
    return [(one["state"], one["said"], one["step"]) for one in checks if one["name"] == accounts.TITLES[name]]


async def test_bots_that_are_set_up_well(
    tmp_path: Path, telegram: telegrams.Fake, slack: slacks.Fake, discord: discords.Fake
):
    """All three at once; whose tokens they are is said, and nothing is started."""
    environ = given(telegram) | given(slack) | given(discord)
    said = await doctor(tmp_path, "telegram", "slack", "discord", **environ)

    assert (0, "") == (said.status, said.err), said.out
    assert "✗" not in said.out
    for words in ("the token is that of @MiraBot", "the token is that of @", "logged in as limen", "by Socket Mode"):
        assert words in said.out
    assert not (tmp_path / "home").exists()
    assert [] == [token for name, token in environ.items() if "TOKEN" in name and token in said.out]


@pytest.mark.parametrize("name", accounts.TITLES)
async def test_without_a_token_the_way_to_one_is_told(name: str, tmp_path: Path):
    """Nothing is asked of the platform."""
    said = await doctor(tmp_path, name)

    assert 1 == said.status
    assert "is not set" in said.out
    assert f"→ limen setup {name}" in said.out


async def test_a_token_that_is_no_good(
    tmp_path: Path, telegram: telegrams.Fake, slack: slacks.Fake, discord: discords.Fake
):
    """Is named with the page where there is another."""
    (_, bad) = await rows(tmp_path, "telegram", **given(telegram, TELEGRAM_TOKEN="1:wrong"))
    assert "fail" == bad[0]
    assert "@BotFather" in bad[2]

    (_, bad) = await rows(tmp_path, "slack", **given(slack, SLACK_BOT_TOKEN="xoxb-old"))
    assert ("fail", "Slack does not accept the token: invalid_auth") == bad[:2]
    assert "OAuth & Permissions" in bad[2]

    (_, bad) = await rows(tmp_path, "discord", **given(discord, DISCORD_TOKEN="a.b.c"))
    assert "fail" == bad[0]
    assert "Reset Token" in bad[2]


async def test_what_is_missing_is_named_with_its_switch(
    tmp_path: Path, telegram: telegrams.Fake, slack: slacks.Fake, discord: discords.Fake
):
    """An intent, a scope, an app-level token, the privacy mode."""
    discord.allows_content = False
    found = await rows(tmp_path, "discord", **given(discord))
    assert ["Message Content Intent" in step for state, _, step in found if state == "fail"] == [True]

    found = await rows(tmp_path, "telegram", **given(telegram))
    assert [step for state, _, step in found if state == "warn" and "/setprivacy" in step]

    found = await rows(tmp_path, "slack", **given(slack, SLACK_APP_TOKEN="xapp-old"))
    assert [step for state, said, step in found if state == "fail" and "app-level token" in said]
    slack.scopes.discard("reactions:read")
    found = await rows(tmp_path, "slack", **given(slack))
    ((said, step),) = [(said, step) for state, said, step in found if state == "fail"]
    assert "the scope reactions:read is missing" in said
    assert "Bot Token Scopes" in step


async def test_an_app_that_shows_no_sign_works_all_the_same(tmp_path: Path, slack: slacks.Fake):
    """The scope for it is named, and the status is 0."""
    slack.scopes.discard("assistant:write")
    found = await rows(tmp_path, "slack", **given(slack))

    ((said, step),) = [(said, step) for state, said, step in found if state != "ok"]
    assert said.startswith("the scope assistant:write is missing, to show that a reply is coming")
    assert "Bot Token Scopes" in step
    assert "fail" not in [state for state, _, _ in found]


async def test_slack_by_http_is_told_where_it_must_lead(tmp_path: Path, slack: slacks.Fake):
    """A signing secret cannot be tried out; the address can be named."""
    environ = given(slack, SLACK_APP_TOKEN="", SLACK_SIGNING_SECRET="x", LIMEN_SLACK__HTTP_PORT="3999")
    found = await rows(tmp_path, "slack", **environ)

    assert ("ok", "http://127.0.0.1:3999/slack/events") == (found[-1][0], found[-1][1].split()[-1])


async def test_a_platform_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Nobody waits for ever."""
    monkeypatch.setattr(platforms, "PATIENCE", 0.3)
    nobody = {"LIMEN_SLACK__BASE_URL": "http://127.0.0.1:9/api/", "LIMEN_DISCORD__API_BASE": "http://127.0.0.1:9"}
    tokens = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "DISCORD_TOKEN": discords.TOKEN}
    for name in ("slack", "discord"):
        found = await rows(tmp_path, name, **nobody, **tokens)

        assert ("fail", "it does not answer within 0.3 s") == found[-1][:2]
    found = await rows(tmp_path, "telegram", TELEGRAM_TOKEN="1:a", LIMEN_TELEGRAM__BASE_URL="http://127.0.0.1:9")
    assert "fail" == found[-1][0]
    assert "does not answer" in found[-1][1]
