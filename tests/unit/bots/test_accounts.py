"""bots/accounts: another bot on a platform has a name, secrets and settings of its own."""

from pathlib import Path

import pytest

from bots import accounts, platforms
from bots.accounts import Account, account
from core import config
from core.errors import ConfigError, InputError


def test_a_bot_is_written_as_its_platform_and_its_name():
    """The first of a platform needs none."""
    assert (Account("discord"), "discord", "Discord") == (
        account("discord"),
        str(account("discord")),
        Account("discord").title,
    )
    other = account("slack:orrin")
    assert ("slack:orrin", "Slack (orrin)", "SLACK_APP_TOKEN_ORRIN") == (
        str(other),
        other.title,
        other.variable("SLACK_APP_TOKEN"),
    )
    for wrong in ("irc", "", "discord:", "discord:Orrin", "discord:a-b", "discord:a:b"):
        with pytest.raises(InputError):
            account(wrong)


def test_it_sees_its_own_secrets_and_none_of_the_others():
    """Under the plain names, so that whoever joins it need not know."""
    environ = {"SLACK_BOT_TOKEN": "x1", "SLACK_APP_TOKEN": "a1", "SLACK_BOT_TOKEN_TWO": "x2", "HOME": "/h"}
    seen = account("slack:two").environ(environ)
    assert ("x2", "", "/h") == (seen["SLACK_BOT_TOKEN"], seen["SLACK_APP_TOKEN"], seen["HOME"])
    assert ["SLACK_APP_TOKEN_TWO or SLACK_SIGNING_SECRET_TWO"] == accounts.lacking(account("slack:two"), environ)
    assert [] == accounts.lacking(account("slack"), environ)


def test_without_a_name_every_bot_runs_whose_secrets_are_there():
    """Platform by platform, the first one first."""
    environ = {
        "TELEGRAM_TOKEN_B": "2:b", "DISCORD_TOKEN": "a.b.c", "DISCORD_TOKEN_NOA": "d.e.f", "DISCORD_TOKEN_": "x",
        "SLACK_BOT_TOKEN": "xoxb", "DISCORD_TOKEN_ORRIN": " ",
    }  # fmt: skip
    assert ["discord", "discord:noa", "telegram:b"] == [str(one) for one in accounts.given(environ)]


def test_what_is_its_own_stands_in_the_file(tmp_path: Path):
    """Whatever is not said of it is as the first bot's."""
    (tmp_path / "limen.yaml").write_text(
        "persona: mira\n"
        "telegram:\n"
        "  base_url: http://all.example\n"
        "  webhook_port: 9000\n"
        "  accounts:\n"
        "    orrin: {persona: orrin, webhook_url: https://b.example/orrin, webhook_port: 9001}\n",
        encoding="utf-8",
    )
    settings = config.load({}, home=tmp_path)
    own = account("telegram:orrin").settings(settings)
    assert ("orrin", "http://all.example", 9001) == (own.persona, own.telegram.base_url, own.telegram.webhook_port)
    assert "https://b.example/orrin" == own.telegram.webhook_url
    assert settings == account("telegram").settings(settings) == account("telegram:other").settings(settings)


def test_a_secret_in_the_file_is_sent_where_it_belongs(tmp_path: Path):
    """And is not repeated; a name that could not be a variable is refused."""
    (tmp_path / "limen.yaml").write_text("discord: {accounts: {orrin: {token: a.b.c}, No: {}}}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as refused:
        config.load({}, home=tmp_path)
    assert "set DISCORD_TOKEN_ORRIN in the environment" in str(refused.value)
    assert "a.b.c" not in str(refused.value)
    assert "small letters" in str(refused.value)


def test_two_bots_are_not_one():
    """The same token under two names is a slip: both would take each other's events."""
    with pytest.raises(ConfigError, match="DISCORD_TOKEN_B is the same as DISCORD_TOKEN"):
        accounts.each_its_own(["discord", "discord:b"], {"DISCORD_TOKEN": "x", "DISCORD_TOKEN_B": "x"})
    accounts.each_its_own(["discord", "discord:b"], {"DISCORD_TOKEN": "x", "DISCORD_TOKEN_B": "y"})


@pytest.mark.parametrize(
    ("settings", "said", "step"),
    [
        ("webhook_url: https://b.example/", "https://b.example",
         "set telegram.accounts.b.webhook_url in limen.yaml to another, or to polling"),
        ("webhook_url: https://b.example, accounts: {b: {webhook_url: https://b.example/b}}", "127.0.0.1:8443",
         "set telegram.accounts.b.webhook_port in limen.yaml to another"),
    ],
)  # fmt: skip
def test_two_bots_are_not_called_at_one_door(settings: str, said: str, step: str, tmp_path: Path):
    """What another one does not say is as the first bot's, and here it cannot be: the setting is named."""
    (tmp_path / "limen.yaml").write_text(f"telegram: {{{settings}}}\n", encoding="utf-8")
    read = config.load({}, home=tmp_path)
    for names in (["telegram", "telegram:b"], ["telegram:b", "telegram"]):
        with pytest.raises(ConfigError, match=f"would both be called at {said}$") as refused:
            accounts.each_its_own_door(names, read, {})
        assert step == refused.value.hint
    accounts.each_its_own_door(["telegram:b"], read, {})


def test_who_has_a_door_of_its_own_or_needs_none_may_run(tmp_path: Path):
    """Slack's by HTTP, too; whoever asks is called by nobody."""
    here, slacks = ["telegram", "telegram:b", "slack", "slack:b"], {"SLACK_APP_TOKEN": "xapp"}
    accounts.each_its_own_door(here, config.load({}, home=tmp_path), slacks)
    with pytest.raises(ConfigError, match=r"slack and slack:b would both be called at 127\.0\.0\.1:3000"):
        accounts.each_its_own_door(here, config.load({}, home=tmp_path), {})
    (tmp_path / "limen.yaml").write_text(
        "telegram:\n  webhook_url: https://b.example\n"
        "  accounts: {b: {webhook_url: https://b.example/b, webhook_port: 8444}}\n"
        "slack: {accounts: {b: {http_port: 3001}}}\n",
        encoding="utf-8",
    )
    accounts.each_its_own_door(here, config.load({}, home=tmp_path), {})


@pytest.mark.parametrize(
    ("names", "hosts", "step"),
    [
        (["telegram", "slack"], ("127.0.0.1", "127.0.0.1"), "telegram.webhook_port"),
        (["slack", "telegram"], ("127.0.0.1", "127.0.0.1"), "slack.http_port"),
        (["telegram", "slack:b"], ("0.0.0.0", "127.0.0.1"), "slack.accounts.b.http_port"),
        (["slack:b", "telegram"], ("127.0.0.1", "0.0.0.0"), "slack.accounts.b.http_port"),
        (["telegram", "slack"], ("localhost", "127.0.0.1"), "telegram.webhook_port"),
    ],
)
def test_a_port_is_one_door_whoever_listens(names: list[str], hosts: tuple[str, str], step: str, tmp_path: Path):
    """On whichever platform, and by every address of this machine; the setting that is named is there."""
    (tmp_path / "limen.yaml").write_text(
        f"telegram: {{webhook_url: https://b.example, webhook_host: {hosts[0]}, webhook_port: 3000}}\n"
        f"slack: {{http_host: {hosts[1]}, http_port: 3000, accounts: {{b: {{persona: mira}}}}}}\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError, match=r":3000$") as refused:
        accounts.each_its_own_door(names, config.load({}, home=tmp_path), {})
    assert f"set {step} in limen.yaml to another" == refused.value.hint


def test_two_hosts_of_one_port_are_two_doors(tmp_path: Path):
    """A machine may have several; the same one twice is one."""
    refused = []
    for host in ("10.0.0.1", "127.0.0.1"):
        (tmp_path / "limen.yaml").write_text(
            f"telegram: {{webhook_url: https://b.example, webhook_host: {host}, webhook_port: 3000}}\n",
            encoding="utf-8",
        )
        try:
            accounts.each_its_own_door(["telegram", "slack"], config.load({}, home=tmp_path), {})
        except ConfigError:
            refused.append(host)
    assert ["127.0.0.1"] == refused


def test_a_bot_may_ask_beside_one_that_is_called(tmp_path: Path):
    """`polling` is no webhook at all, where nothing would be the first bot's."""
    (tmp_path / "limen.yaml").write_text(
        "telegram: {webhook_url: https://b.example, accounts: {b: {webhook_url: polling}}}\n", encoding="utf-8"
    )
    read = config.load({}, home=tmp_path)
    accounts.each_its_own_door(["telegram", "telegram:b"], read, {})
    hooks = [account(name).settings(read).telegram.webhook_url for name in ("telegram", "telegram:b")]
    assert ["https://b.example", ""] == hooks


def test_what_is_said_of_it_names_its_variables():
    """A hint that names the first bot's would mislead."""
    hint = "set DISCORD_TOKEN, not DISCORD_TOKENS"
    assert "set DISCORD_TOKEN_B, not DISCORD_TOKENS" == account("discord:b").spelled(hint)
    assert hint == account("discord").spelled(hint)
    assert "limen setup discord:b" in platforms.token_step(account("discord:b"))


@pytest.mark.parametrize(
    ("variable", "ours"),
    [("DISCORD_TOKEN", True), ("DISCORD_TOKEN_B", True), ("SLACK_SIGNING_SECRET_A_2", True), ("DISCORD_TOKENS", False),
     ("MY_DISCORD_TOKEN", False), ("DISCORD_TOKEN_", False)],
)  # fmt: skip
def test_a_secret_is_known_by_its_name(variable: str, ours: bool):
    """So that .env may hold it."""
    assert ours == accounts.is_secret(variable)
