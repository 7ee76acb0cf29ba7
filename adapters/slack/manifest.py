"""What our app needs to be in Slack, in one place: its scopes and why, its events, and the manifest that asks for them.

A manifest makes the app in one step: api.slack.com/apps → Create New App → From a manifest.
"""

from typing import Any

SLASH = "/limen"
SCOPES = {
    "app_mentions:read": "to hear its name",
    "assistant:write": "to show that a reply is coming, where chat:write does not do for that",
    "channels:history": "to hear what is said in public channels that it is in",
    "channels:read": "to hear who joins them",
    "chat:write": "to speak",
    "commands": f"for {SLASH}",
    "files:read": "to see files that people send",
    "files:write": "to hand people what is kept of them",
    "groups:history": "to hear what is said in private channels that it is in",
    "groups:read": "to hear who joins them",
    "im:history": "to hear what people say to it alone",
    "im:write": "to write to somebody first",
    "mpim:history": "to hear what is said in group messages that it is in",
    "reactions:read": "to hear what people think of a reply: without it nothing is ever learned",
    "reactions:write": "to react with an emoji",
    "users:read": "to know names, and bots from people",
}
OPTIONAL = {"assistant:write"}  # all that it adds is a sign
EVENTS = (
    "app_home_opened",
    "app_mention",
    "member_joined_channel",
    "message.channels",
    "message.groups",
    "message.im",
    "message.mpim",
    "reaction_added",
    "reaction_removed",
    "user_change",
)


def manifest(name: str, about: str = "", url: str = "") -> dict[str, Any]:
    """The app as Slack wants it described. `url`: where Slack calls us; without one it is Socket Mode."""
    command = {
        "command": SLASH, "description": f"Talk about {name}", "usage_hint": "help | persona | forget | export …",
        "should_escape": True,
    }  # fmt: skip
    events: dict[str, Any] = {"bot_events": list(EVENTS)}
    interactivity: dict[str, Any] = {"is_enabled": True}
    if url:
        command["url"] = events["request_url"] = interactivity["request_url"] = url
    return {
        "display_information": {"name": name[:35], **({"description": about[:140]} if about else {})},
        "features": {
            "app_home": {
                "home_tab_enabled": True, "messages_tab_enabled": True, "messages_tab_read_only_enabled": False,
            },
            "bot_user": {"display_name": name[:80], "always_online": True},
            "slash_commands": [command],
        },
        "oauth_config": {"scopes": {"bot": list(SCOPES)}},
        "settings": {
            "event_subscriptions": events, "interactivity": interactivity, "org_deploy_enabled": False,
            "socket_mode_enabled": not url, "token_rotation_enabled": False,
        },
    }  # fmt: skip
