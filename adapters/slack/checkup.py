"""Is our app set up in Slack as it should be? What is not, with the page and the switch. Looks, and changes nothing.

Slack tells an app its scopes and not its events: those the manifest sets.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from adapters.slack.manifest import OPTIONAL, SCOPES
from adapters.slack.web import Refused, Unsure, Web
from core.errors import ConfigError

_APP = "api.slack.com/apps → your app"
_SCOPE = f"add it: {_APP} → OAuth & Permissions → Bot Token Scopes; then install the app again"
_TOKEN = f"{_APP} → Basic Information → App-Level Tokens: make one with connections:write"
_SOCKET = f"switch it on: {_APP} → Socket Mode. {_TOKEN}"


class Finding(NamedTuple):
    """One row. `fail`: the bot cannot work like this; `warn`: something will not. `step`: what to do."""

    state: Literal["ok", "warn", "fail"]
    said: str
    step: str = ""


async def examine(token: str, base_url: str = "", app_token: str = "") -> list[Finding]:
    """Everything that can be seen with these tokens. Raises ConfigError if the bot's own is no good."""
    web = Web(token, base_url)
    try:
        us = await web.who()
        found = [Finding("ok", f"the token is that of @{us.name} in the workspace {us.team}")]
        found += await _scopes(web)
        return found + (await _socket(web, app_token) if app_token else [])
    finally:
        await web.close()


async def _scopes(web: Web) -> list[Finding]:
    try:
        return list(lacking(await web.granted()))
    except Unsure as error:
        return [Finding("fail", str(error))]


def lacking(granted: set[str]) -> Iterator[Finding]:
    """The scopes that are missing. Pure."""
    for scope, why in SCOPES.items():
        if scope not in granted:
            yield Finding("warn" if scope in OPTIONAL else "fail", f"the scope {scope} is missing, {why}", _SCOPE)


async def _socket(web: Web, app_token: str) -> list[Finding]:
    try:
        await web.call(web.client.apps_connections_open, patient=False, app_token=app_token)
    except ConfigError as error:
        return [Finding("fail", f"the app-level token: {error}", _TOKEN)]
    except Refused as error:
        return [Finding("fail", f"Socket Mode: {error}", _SOCKET)]
    except Unsure as error:
        return [Finding("fail", str(error))]
    return [Finding("ok", "events come by Socket Mode")]
