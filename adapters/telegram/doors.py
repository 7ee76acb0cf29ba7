"""The two ways in which Telegram brings us updates: we ask for them (long polling), or it calls us (a webhook).

Both give one update after another, in order. One is done with when the next is asked for: only then is it confirmed,
so that what a crash interrupted comes again.
"""

import asyncio
import hmac
import json
import logging
import secrets
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from adapters.telegram.wire import Contested, Flooded, Refused, Unreachable, Wire
from core.errors import ConfigError, LimenError

if TYPE_CHECKING:
    from aiohttp import web

log = logging.getLogger("limen.telegram")

POLL = 30  # seconds that a request for updates may wait for one
FIRST_RETRY, LAST_RETRY, CONTESTED = 0.5, 30.0, 5.0
DONE = 1024  # updates that are known to be done with, should Telegram bring them again

Raw = dict[str, Any]


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """Telegram calls `url`, which leads to `host` and `port` here. Several processes of one bot share a `secret`."""

    url: str
    host: str = "127.0.0.1"
    port: int = 8443
    secret: str = ""


class Door(Protocol):
    """A way in."""

    def updates(self) -> AsyncGenerator[Raw, None]:
        """One after another, until we are to stop."""


class Retry:
    """Waits between tries, longer each time; not at all any more once we are to `stop`."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop, self._seconds = stop, FIRST_RETRY

    async def after(self, error: LimenError) -> None:
        """There was trouble."""
        seconds = error.seconds if isinstance(error, Flooded) else self._seconds
        if isinstance(error, Contested):
            seconds = max(seconds, CONTESTED)
            error.hint = "only one process may poll for a bot, and none while a webhook is set"
        log.warning("%s %s (again in %g s)", error, error.hint, seconds)
        self._seconds = min(self._seconds * 2, LAST_RETRY)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    def reset(self) -> None:
        """All is well again."""
        self._seconds = FIRST_RETRY


class Polling:
    """We ask, and wait up to `seconds` for an answer."""

    def __init__(self, wire: Wire, stop: asyncio.Event, seconds: int = POLL) -> None:
        self._wire, self._stop, self._seconds = wire, stop, seconds
        self._retry = Retry(stop)
        self._offset = 0

    async def updates(self) -> AsyncGenerator[Raw, None]:
        """One after another, until we are to stop."""
        try:
            await self._wire.unhook()
        except (Flooded, Unreachable, Refused, ConfigError) as error:
            log.warning("no webhook could be taken away: %s", error)  # if there is one, polling will say so
        try:
            while not self._stop.is_set():
                for update in await self._next():
                    yield update
                    self._offset = max(self._offset, update["update_id"] + 1)
                    if self._stop.is_set():
                        return
        finally:
            with suppress(LimenError):
                await self._wire.updates(self._offset, limit=1)

    async def _next(self) -> list[Raw]:
        """The next few; none when we are to stop, or after a pause if there was trouble."""
        poll = asyncio.create_task(self._wire.updates(self._offset, self._seconds))
        stop = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({poll, stop}, return_when=asyncio.FIRST_COMPLETED)
            updates = poll.result() if poll.done() else []
        except (Flooded, Unreachable, Refused, Contested) as error:
            await self._retry.after(error)
            return []
        finally:
            poll.cancel()
            stop.cancel()
        good = [update for update in updates if isinstance(update, dict) and isinstance(update.get("update_id"), int)]
        if len(good) < len(updates):
            await self._retry.after(Refused("some updates have no number"))
        else:
            self._retry.reset()
        return good


class Webhook:
    """Telegram calls, and hears that we have it when we are done with it; one call at a time, for the order's sake.

    The hook stays when we stop: what happens meanwhile waits at Telegram.
    """

    def __init__(self, wire: Wire, stop: asyncio.Event, hook: Hook) -> None:
        self._wire, self._stop, self._hook = wire, stop, hook
        self._secret = hook.secret or secrets.token_urlsafe(32)
        self._retry = Retry(stop)
        self._brought: asyncio.Queue[Raw] = asyncio.Queue()
        self._open: dict[int, asyncio.Future[bool]] = {}
        self._done: OrderedDict[int, None] = OrderedDict()

    async def updates(self) -> AsyncGenerator[Raw, None]:
        """One after another, until we are to stop."""
        async with self._serving():
            await self._hooked()
            while update := await self._next():
                yield update
                self._settle(update["update_id"], True)

    async def _hooked(self) -> None:
        while not self._stop.is_set():
            try:
                await self._wire.hook(self._hook.url, self._secret)
                return
            except (Flooded, Unreachable) as error:
                await self._retry.after(error)
            except Refused as error:
                hint = "an https address that leads here, on port 443, 80, 88 or 8443"
                raise ConfigError(f"Telegram does not take {self._hook.url} as a webhook: {error}", hint) from error

    async def _next(self) -> Raw | None:
        """None when we are to stop."""
        brought = asyncio.create_task(self._brought.get())
        stop = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({brought, stop}, return_when=asyncio.FIRST_COMPLETED)
            return brought.result() if brought.done() and not self._stop.is_set() else None
        finally:
            brought.cancel()
            stop.cancel()

    def _settle(self, update: int, done: bool) -> None:
        if done:
            self._done[update] = None
            if len(self._done) > DONE:
                self._done.popitem(last=False)
        future = self._open.pop(update, None)
        if future and not future.done():
            future.set_result(done)

    @asynccontextmanager
    async def _serving(self) -> AsyncIterator[None]:
        from aiohttp import web  # only who is called needs a web server

        app = web.Application()
        app.router.add_post("/{anywhere:.*}", self._called)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._hook.host, self._hook.port).start()
            yield
        finally:
            for update in list(self._open):
                self._settle(update, False)
            await runner.cleanup()

    async def _called(self, request: "web.Request") -> "web.Response":
        from aiohttp import web

        said = request.headers.get("X-Telegram-Bot-Api-Secret-Token", "")
        if not hmac.compare_digest(said.encode(), self._secret.encode()):
            return web.Response(status=401)
        try:
            update = json.loads(await request.read())
            number = int(update["update_id"])
        except (ValueError, TypeError, KeyError):
            return web.Response(status=400)
        return web.Response(status=200 if await self._taken(number, update) else 503)

    async def _taken(self, number: int, update: Raw) -> bool:
        """Wait until it is done with. One that Telegram brings again meanwhile is the same one."""
        if number in self._done:
            return True
        if self._stop.is_set():
            return False
        if number not in self._open:
            self._open[number] = asyncio.get_running_loop().create_future()
            self._brought.put_nowait(update)
        return await asyncio.shield(self._open[number])
