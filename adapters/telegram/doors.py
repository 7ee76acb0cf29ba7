"""The two ways in which Telegram brings us updates: we ask for them (long polling), or it calls us (a webhook).

Both give one update after another, in order. Each is confirmed when it is said to be done with, and not before, so
that what a crash interrupted comes again.
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

from adapters.telegram.trouble import Contested, Flooded, Refused, Unreachable
from adapters.telegram.wire import Wire
from core.errors import ConfigError, LimenError

if TYPE_CHECKING:
    from aiohttp import web

log = logging.getLogger("limen.telegram")

POLL = 30  # seconds that a request for updates may wait for one
FIRST_RETRY, LAST_RETRY, CONTESTED = 0.5, 30.0, 5.0
OTHERS = 0.3  # seconds until we ask again for what comes behind an update that takes long
FAREWELL = 3.0  # seconds that Telegram has to hear what is done with, when we go
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

    def done(self, number: int) -> None:
        """The update of that number need not come again."""

    async def close(self) -> None:
        """Tell Telegram the last of what is done with."""


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
    """We ask, and wait up to `seconds` for an answer.

    Telegram takes whatever is older than what we ask for as confirmed. So while one update takes long, what comes
    behind it comes again and again, and at most 100 are on their way.
    """

    def __init__(self, wire: Wire, stop: asyncio.Event, seconds: int = POLL) -> None:
        self._wire, self._stop, self._seconds = wire, stop, seconds
        self._retry = Retry(stop)
        self._behind = 0  # the number behind all that came
        self._came: dict[int, bool] = {}  # not confirmed yet; is it done with?
        self._open = 0  # of these, how many are not
        self._all_done = asyncio.Event()

    async def updates(self) -> AsyncGenerator[Raw, None]:
        """One after another, until we are to stop."""
        try:
            await self._wire.unhook()
        except (Flooded, Unreachable, Refused, ConfigError) as error:
            log.warning("no webhook could be taken away: %s", error)  # if there is one, polling will say so
        while not self._stop.is_set():
            for update in await self._next():
                if self._stop.is_set():
                    return
                yield update

    def done(self, number: int) -> None:
        """It is confirmed with the next question, if all before it are done with, too."""
        self._came[number] = True
        self._open -= 1
        if not self._open:
            self._all_done.set()

    async def close(self) -> None:
        """Telegram does not bring again what is done with."""
        if self._behind:
            with suppress(LimenError, TimeoutError):
                async with asyncio.timeout(FAREWELL):
                    await self._wire.updates(self._offset, limit=1)
            self._behind = 0

    @property
    def _offset(self) -> int:
        return min((number for number, done in self._came.items() if not done), default=self._behind)

    async def _next(self) -> list[Raw]:
        """The next few; none when we are to stop, or after a pause if there was trouble."""
        if self._open:
            with suppress(TimeoutError):
                async with asyncio.timeout(OTHERS):
                    await self._all_done.wait()
        if not self._open:
            self._came.clear()  # not before: what Telegram answers to an older question is in it
        poll = asyncio.create_task(self._wire.updates(self._offset, 0 if self._open else self._seconds))
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
        return self._news(good)

    def _news(self, updates: list[Raw]) -> list[Raw]:
        """Of these, what is not on its way."""
        news = [update for update in updates if update["update_id"] not in self._came]
        if news:
            self._behind = news[-1]["update_id"] + 1
            self._came |= dict.fromkeys((update["update_id"] for update in news), False)
            self._open += len(news)
            self._all_done.clear()
        return news


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

    def done(self, number: int) -> None:
        """Telegram hears so."""
        self._settle(number, True)

    async def close(self) -> None:
        """It has heard everything."""

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
