"""What the app needs to be in Slack, and what is said when something of it is missing."""

from collections.abc import AsyncIterator

import pytest

pytest.importorskip("slack_bolt")

from adapters.slack.manifest import EVENTS, SCOPES, faults, manifest
from adapters.slack.web import Web
from tests.fakes.slack import APP_TOKEN, BOT_TOKEN, Fake, slack

# What Slack asks for before it tells an event (docs.slack.dev/reference/events).
NEEDED = {
    "app_home_opened": None, "app_mention": "app_mentions:read", "member_joined_channel": "channels:read",
    "message.channels": "channels:history", "message.groups": "groups:history", "message.im": "im:history",
    "message.mpim": "mpim:history", "reaction_added": "reactions:read", "reaction_removed": "reactions:read",
    "user_change": "users:read",
}  # fmt: skip


@pytest.fixture
async def fake() -> AsyncIterator[Fake]:
    """A workspace."""
    async with slack() as it:
        yield it


@pytest.fixture
async def web(fake: Fake) -> AsyncIterator[Web]:
    """Its API, as the bot sees it."""
    it = Web(BOT_TOKEN, f"{fake.url}/api/")
    yield it
    await it.close()


def test_the_manifest_asks_for_all_that_its_events_need() -> None:
    """By Socket Mode unless there is an address."""
    asked = manifest("Mira", "A pirate.")
    events = asked["settings"]["event_subscriptions"]["bot_events"]

    assert list(EVENTS) == events == sorted(NEEDED)
    assert {NEEDED[event] for event in events} - {None} <= set(asked["oauth_config"]["scopes"]["bot"])
    assert asked["settings"]["socket_mode_enabled"]
    assert "request_url" not in asked["settings"]["event_subscriptions"]


def test_over_http_slack_is_told_where_to_call() -> None:
    """Events and the command alike."""
    asked = manifest("Mira", url="https://bot.example/slack/events")

    assert "https://bot.example/slack/events" == asked["settings"]["event_subscriptions"]["request_url"]
    assert "https://bot.example/slack/events" == asked["features"]["slash_commands"][0]["url"]
    assert not asked["settings"]["socket_mode_enabled"]


def test_names_are_as_long_as_slack_lets_them_be() -> None:
    """35 for the app, 140 for its description."""
    asked = manifest("M" * 99, "a" * 999)

    assert (35, 140) == tuple(len(asked["display_information"][field]) for field in ("name", "description"))


async def test_all_is_well(web: Web) -> None:
    """Nothing to say."""
    assert [] == await faults(web, APP_TOKEN)


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_missing_scope_is_named(web: Web, fake: Fake, scope: str) -> None:
    """With the page where it is added."""
    fake.scopes.remove(scope)
    (fault,) = await faults(web, APP_TOKEN)

    assert scope in fault
    assert "OAuth & Permissions" in fault


async def test_bad_tokens_are_named(web: Web, fake: Fake) -> None:
    """Each of them."""
    (fault,) = await faults(web, "xapp-wrong")
    assert "app-level token" in fault
    fake.fail("apps.connections.open", "missing_args")
    (fault,) = await faults(web, APP_TOKEN)
    assert "Socket Mode" in fault
    fake.fail("auth.test", "token_revoked")
    (fault,) = await faults(web)
    assert "revoked" in fault
    fake.lose("auth.test")
    (fault,) = await faults(web)
    assert "cannot be reached" in fault
