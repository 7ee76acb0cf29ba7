"""The settings of bots on platforms: their addresses, how they are reached, and more than one of them on a platform.

Knows no secret: tokens come from the environment alone.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from core.part import Part

_URL = {"allowed": "an http:// or https:// address, or nothing for the platform's own"}
_SOCKET = {"allowed": "a ws:// or wss:// address, or nothing for the platform's own"}
_HOST = {"allowed": "a host name or an address of this machine"}
_SAME = {"allowed": "the same; nothing: as the first bot's"}
_HOOK = {"allowed": "the same, or polling: we ask for updates; nothing: as the first bot's"}
_WEB = r"^$|^https?://\S+$"
POLLING = "polling"  # instead of an address, where none would be the first bot's
_MORE = "More bots here, by a name of your choice. Each has tokens of its own, under that name (see above)."
_PERSONA = "The card that this one plays where nobody has chosen one; empty: `persona`."
Url = Annotated[str, Meta(pattern=_WEB, extra=_URL)]
Socket = Annotated[str, Meta(pattern=r"^$|^wss?://\S+$", extra=_SOCKET)]
Name = Annotated[
    str, Meta(pattern=r"^[a-z][a-z0-9_]{0,29}$", extra={"allowed": "small letters, digits and _ after a letter"})
]
Persona = Annotated[str, Meta(max_length=40, description=_PERSONA)]
Again = Annotated[str, Meta(pattern=_WEB, description="As above, for this one.", extra=_SAME)]
AgainPort = Annotated[int, Meta(ge=0, le=65535, description="As above, for this one.", extra=_SAME)]
Shards = Annotated[
    str,
    Meta(
        pattern=r"^$|^\d{1,5}-\d{1,5}/\d{1,5}$",
        description="Which shards this process has, if several share the servers; empty: all that Discord advises.",
        extra={"allowed": "FIRST-LAST/COUNT, such as 0-3/8, or nothing"},
    ),
]


class DiscordAccount(Part, frozen=True):
    """What is its own of another bot on Discord."""

    persona: Persona = ""
    api_base: Again = ""
    gateway_url: Annotated[
        str, Meta(pattern=r"^$|^wss?://\S+$", description="As above, for this one.", extra=_SAME)
    ] = ""
    shards: Shards = ""


class TelegramAccount(Part, frozen=True):
    """What is its own of another bot on Telegram: its webhook is at an address and a port of its own."""

    persona: Persona = ""
    base_url: Again = ""
    webhook_url: Annotated[
        str, Meta(pattern=rf"{_WEB}|^{POLLING}$", description="As above, for this one.", extra=_HOOK)
    ] = ""
    webhook_port: AgainPort = 0


class SlackAccount(Part, frozen=True):
    """What is its own of another bot on Slack, or of the same app in another workspace."""

    persona: Persona = ""
    base_url: Again = ""
    http_port: AgainPort = 0


class Discord(Part, frozen=True):
    """Discord's addresses. Its token is `DISCORD_TOKEN` in the environment."""

    api_base: Annotated[Url, Meta(description="Another REST address, such as a test server's.")] = ""
    gateway_url: Annotated[Socket, Meta(description="Another gateway.")] = ""
    operator_roles: Annotated[
        str,
        Meta(
            pattern=r"^[\d\s,]*$",
            description="Roles that make an operator, beside the rights Manage Server and Administrator.",
            extra={"allowed": "ids of roles, with spaces between, or nothing"},
        ),
    ] = ""
    shards: Shards = ""
    accounts: Annotated[dict[Name, DiscordAccount], Meta(description=_MORE)] = msgspec.field(default_factory=dict)


class Telegram(Part, frozen=True):
    """Telegram's address, and how it reaches us. Its token is `TELEGRAM_TOKEN` in the environment."""

    base_url: Annotated[Url, Meta(description="Another Bot API address, such as a local server's.")] = ""
    webhook_url: Annotated[
        str,
        Meta(
            pattern=_WEB,
            description="Telegram calls this address, which leads to the next two; empty: we ask it for updates. "
            "Processes that share it share `TELEGRAM_WEBHOOK_SECRET` in the environment.",
            extra={"allowed": "an https:// address, or nothing"},
        ),
    ] = ""
    webhook_host: Annotated[str, Meta(pattern=r"^\S+$", description="Where we listen then.", extra=_HOST)] = "127.0.0.1"
    webhook_port: Annotated[int, Meta(ge=1, le=65535, description="The port of that.")] = 8443
    accounts: Annotated[dict[Name, TelegramAccount], Meta(description=_MORE)] = msgspec.field(default_factory=dict)


class Slack(Part, frozen=True):
    """Slack's address, and how it reaches us. `SLACK_BOT_TOKEN` and `SLACK_APP_TOKEN` come from the environment."""

    base_url: Annotated[Url, Meta(description="Another Web API address, such as a test server's.")] = ""
    http_host: Annotated[
        str,
        Meta(
            pattern=r"^\S+$",
            description="Where we listen if Slack is to call us by HTTP: with `SLACK_SIGNING_SECRET` in the "
            "environment and no `SLACK_APP_TOKEN`.",
            extra=_HOST,
        ),
    ] = "127.0.0.1"
    http_port: Annotated[int, Meta(ge=1, le=65535, description="The port of that.")] = 3000
    accounts: Annotated[dict[Name, SlackAccount], Meta(description=_MORE)] = msgspec.field(default_factory=dict)
