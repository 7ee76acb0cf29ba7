"""Is Discord set up for us? One finding for each thing that must be so, with the page and the switch where it is not.

Looks, and changes nothing: no session is begun, so a bot that is running goes on.
"""

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from adapters.discord.api import Api, Refused
from core.errors import ConfigError

_PORTAL = "https://discord.com/developers/applications"
_CONTENT = 1 << 18 | 1 << 19  # the intent of a bot in many servers, and in few
_ADMINISTRATOR = 1 << 3
RIGHTS = {
    "View Channels": 1 << 10,
    "Send Messages": 1 << 11,
    "Send Messages in Threads": 1 << 38,
    "Read Message History": 1 << 16,
    "Add Reactions": 1 << 6,
    "Attach Files": 1 << 15,
}


class Finding(msgspec.Struct, frozen=True):
    """`fail`: nothing works like this; `warn`: something does not. `step`: what to do about it."""

    name: str
    state: Literal["ok", "warn", "fail"]
    said: str
    step: str = ""


def invite(application: str) -> str:
    """The address under which somebody lets the bot into a server, with the rights that it needs and no others."""
    rights = sum(RIGHTS.values())
    return f"https://discord.com/oauth2/authorize?client_id={application}&scope=bot+applications.commands&permissions={rights}"


async def examine(token: str, api_base: str = "", gateway_url: str = "") -> list[Finding]:
    """Everything that can be seen with this token. Waits for a Discord that is away."""
    api = Api(token, lambda _: None, api_base, gateway_url)
    try:
        user = await api.open()
        app = await api.call("GET", "/oauth2/applications/@me")
        guilds = await api.call("GET", "/users/@me/guilds")
    except ConfigError as error:
        return [Finding("token", "fail", str(error), error.hint)]
    except Refused as error:
        return [Finding("token", "fail", str(error))]
    finally:
        await api.close()
    return [Finding("token", "ok", f"logged in as {user.name}"), *_app(app), *_servers(app["id"], guilds)]


def _app(app: dict[str, Any]) -> Iterator[Finding]:
    if app.get("flags", 0) & _CONTENT:
        yield Finding("message content", "ok", "we may read what people write")
    else:
        step = f"{_PORTAL}/{app['id']}/bot → Privileged Gateway Intents → Message Content Intent"
        yield Finding("message content", "fail", "we may not read what people write", step)
    if app.get("interactions_endpoint_url"):
        step = f"{_PORTAL}/{app['id']}/information → Interactions Endpoint URL: leave it empty"
        yield Finding("commands", "warn", "slash commands go to another address", step)


def _servers(application: str, guilds: list[dict[str, Any]]) -> Iterator[Finding]:
    if not guilds:
        yield Finding("servers", "warn", "it is in no server yet", f"open {invite(application)}")
    for guild in guilds:
        missing = _missing(int(guild.get("permissions") or 0))
        said = (
            f"{guild['name']}: it may not {', '.join(missing)}"
            if missing
            else f"{guild['name']}: it may do all it needs"
        )
        step = f"{guild['name']} → Server Settings → Roles, or open {invite(application)}" if missing else ""
        yield Finding("servers", "warn" if missing else "ok", said, step)


def _missing(permissions: int) -> list[str]:
    if permissions & _ADMINISTRATOR:
        return []
    return [name for name, right in RIGHTS.items() if not permissions & right]
