"""The two ways in which Slack brings us events, over slack-bolt: a WebSocket that we open (Socket Mode), or its calls.

Both hand the body on as it came, and acknowledge it when it is taken: Slack brings again what is not. It wants to hear
within three seconds, so what takes longer than `LATEST` is acknowledged before. Knows no event.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from aiohttp import web
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.authorization import AuthorizeResult
from slack_bolt.middleware.async_middleware import AsyncMiddleware
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.request.payload_utils import is_block_actions, is_event, is_slash_command
from slack_bolt.response import BoltResponse
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from adapters.slack.view import Us
from adapters.slack.web import Web

LATEST = 2.0  # seconds after which everything is acknowledged

Hear = Callable[[dict[str, Any]], "asyncio.Future[bool] | None"]  # is it taken, once that is known; None: at once


def bolt(us: Us, base_url: str, hear: Hear, signing_secret: str = "") -> AsyncApp:
    """An app that hands every event, slash command and pressed button on.

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

    app.use(_Hand(hear))
    return app


def _is_heard(body: dict[str, Any]) -> bool:
    return bool(is_event(body) or is_slash_command(body) or is_block_actions(body))


class _Hand(AsyncMiddleware):
    """Takes what we hear as soon as bolt has found it genuine: its listeners would double what bolt costs an event."""

    def __init__(self, hear: Hear) -> None:
        self._hear = hear

    async def async_process(
        self, *, req: AsyncBoltRequest, resp: BoltResponse, next: Callable[[], Awaitable[BoltResponse]]
    ) -> BoltResponse | None:
        """An empty answer acknowledges."""
        if not _is_heard(req.body):
            return await next()
        return BoltResponse(status=200 if await _taken(self._hear(req.body)) else 503)


async def _taken(taken: "asyncio.Future[bool] | None") -> bool:
    """Is it, or is it late?"""
    if taken is None:
        return True
    timer = asyncio.get_running_loop().call_later(LATEST, _let_go, taken)
    try:
        return await taken
    finally:
        timer.cancel()


def _let_go(taken: "asyncio.Future[bool]") -> None:
    if not taken.done():
        taken.set_result(True)


class Line(AsyncSocketModeHandler):
    """Bolt's connection. What comes by it is genuine, so that it needs none of bolt's dispatch, its largest cost."""

    def __init__(self, app: AsyncApp, hear: Hear, app_token: str, **options: Any) -> None:
        super().__init__(app, app_token, **options)
        self._hear = hear

    async def handle(self, client: SocketModeClient, req: SocketModeRequest) -> None:  # type: ignore[override]
        """Hear it, and acknowledge if it is taken. (Others come meanwhile: the library gives each its own task.)"""
        if not _is_heard(req.payload):
            await super().handle(client, req)
            return
        if await _taken(self._hear(req.payload)):
            await client.send_socket_mode_response(SocketModeResponse(envelope_id=req.envelope_id))


@contextmanager
def _settings_are_ours() -> Iterator[None]:
    """bolt takes tokens from the environment by itself, and makes an OAuth server of some: not while this lasts."""
    theirs = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("SLACK_")}
    try:
        yield
    finally:
        os.environ.update(theirs)


@asynccontextmanager
async def socket(app: AsyncApp, hear: Hear, slack: Web, app_token: str, ping: float) -> AsyncIterator[None]:
    """Socket Mode, for as long as the block lasts; it reconnects by itself. Raises ConfigError for a bad token."""
    opened = await slack.call(slack.client.apps_connections_open, app_token=app_token)
    handler = Line(app, hear, app_token, web_client=slack.client, ping_interval=ping)
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
