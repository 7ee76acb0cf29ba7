"""What the app needs to be in Slack."""

import pytest

pytest.importorskip("slack_bolt")

from adapters.slack.manifest import EVENTS, OPTIONAL, SCOPES, manifest

# What Slack asks for before it tells an event (docs.slack.dev/reference/events).
NEEDED = {
    "app_home_opened": None, "app_mention": "app_mentions:read", "member_joined_channel": "channels:read",
    "message.channels": "channels:history", "message.groups": "groups:history", "message.im": "im:history",
    "message.mpim": "mpim:history", "reaction_added": "reactions:read", "reaction_removed": "reactions:read",
    "user_change": "users:read",
}  # fmt: skip


def test_the_manifest_asks_for_all_that_its_events_need() -> None:
    """By Socket Mode unless there is an address."""
    asked = manifest("Mira", "A pirate.")
    events = asked["settings"]["event_subscriptions"]["bot_events"]

    assert list(EVENTS) == events == sorted(NEEDED)
    assert {NEEDED[event] for event in events} - {None} <= set(asked["oauth_config"]["scopes"]["bot"])
    assert asked["settings"]["socket_mode_enabled"]
    assert "request_url" not in asked["settings"]["event_subscriptions"]


def test_no_event_is_lost_for_want_of_what_is_optional() -> None:
    """Each is asked for all the same."""
    assert OPTIONAL < set(SCOPES)
    assert not OPTIONAL & set(NEEDED.values())


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
