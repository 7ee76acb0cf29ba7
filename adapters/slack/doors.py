"""The two ways in which Slack brings us events, over slack-bolt: a WebSocket that we open (Socket Mode), or its calls.

Both acknowledge at once and hand the body on as it came. Knows no event.
"""

import logging
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from aiohttp import web
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.web.async_client import AsyncWebClient

from adapters.slack.view import Us
from adapters.slack.web import Web

Hear = Callable[[dict[str, Any]], None]
ANY = re.compile("")


def bolt(us: Us, base_url: str, hear: Hear, signing_secret: str = "") -> AsyncApp:
    """An app that hands every event and slash command on.

    It is told who we are: bolt would ask Slack when the first event comes, and the order of the others would be lost.
    Our own events pass, for `to_event` knows them better: by user, where the bot id is missing.
    """

    async def authorize(enterprise_id: str | None, team_id: str | None) -> AuthorizeResult:
        return AuthorizeResult(
            enterprise_id=enterprise_id, team_id=us.team, bot_user_id=us.user, bot_id=us.bot, bot_token="xoxb-"
        )  # the token of `Web` stays there: bolt sends nothing

    with _settings_are_ours():
        app = AsyncApp(
            client=AsyncWebClient(base_url=base_url), authorize=authorize, signing_secret=signing_secret,
            ignoring_self_events_enabled=False, attaching_conversation_kwargs_enabled=False,
            logger=logging.getLogger("limen.slack.bolt"),
        )  # fmt: skip

    @app.event(ANY)
    async def event(body: dict[str, Any]) -> None:
        hear(body)

    @app.command(ANY)
    async def command(ack: AsyncAck, body: dict[str, Any]) -> None:
        await ack()
        hear(body)

    return app


@contextmanager
def _settings_are_ours() -> Iterator[None]:
    """bolt takes tokens from the environment by itself, and makes an OAuth server of some: not while this lasts."""
    theirs = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("SLACK_")}
    try:
        yield
    finally:
        os.environ.update(theirs)


@asynccontextmanager
async def socket(app: AsyncApp, slack: Web, app_token: str, ping: float) -> AsyncIterator[None]:
    """Socket Mode, for as long as the block lasts; it reconnects by itself. Raises ConfigError for a bad token."""
    opened = await slack.call(slack.client.apps_connections_open, app_token=app_token)
    handler = AsyncSocketModeHandler(app, app_token, web_client=slack.client, ping_interval=ping)
    handler.client.wss_uri = opened["url"]
    try:
        await handler.connect_async()  # type: ignore[no-untyped-call]
        yield
    finally:
        await handler.close_async()  # type: ignore[no-untyped-call]


@asynccontextmanager
async def http(app: AsyncApp, host: str, port: int, path: str = "/slack/events") -> AsyncIterator[None]:
    """A web server that Slack calls; bolt checks the signature of each call, and its age."""
    runner = web.AppRunner(app.web_app(path=path), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()
