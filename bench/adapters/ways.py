"""Three ways for a payload: through the platform's library to a listener that does nothing; as far as it brings it to
us; and all the way to the queue.

No socket in between: payloads are put in where the library would put what it has read from one.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any

import msgspec
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient
from telegram import Update
from telegram.ext import Application, MessageHandler, filters
from telegram.request import HTTPXRequest

from adapters.base import Adapter
from adapters.discord.api import _Ears, _Http
from adapters.discord.client import Discord
from adapters.discord.library import discord
from adapters.slack import doors
from adapters.slack.client import Listening, Slack
from adapters.slack.view import Us
from adapters.telegram.client import Telegram
from adapters.telegram.doors import Polling
from adapters.telegram.wire import Wire
from bench.adapters.payloads import people, rooms
from bots.run import converse
from core.commands.desk import Answer, Desk
from core.delivery import Sending
from core.engine import Act, Outcome
from core.errors import LimenError
from core.events import AnyEvent, Attachment, Command, Person, Place
from core.files import File
from core.intake import Intake
from core.jobs import Done, Failed
from tests.fakes import discord as discords
from tests.fakes import slack as slacks
from tests.fakes import telegram as telegrams

BURST = 50  # payloads that lie ready when somebody looks
REMEMBERED = 10_000  # events, so that they can be told again
PATIENCE = 60.0
Feed = Callable[[Sequence[str]], Awaitable[None]]


class Count:
    """Of what is still to come."""

    def __init__(self) -> None:
        self._left, self._all = 0, asyncio.Event()

    def expect(self, number: int) -> None:
        """So many."""
        self._left = number
        self._all.clear()

    def one(self, *_: object) -> None:
        """Has come."""
        self._left -= 1
        if self._left == 0:
            self._all.set()

    async def all(self) -> None:
        """Have come."""
        await asyncio.wait_for(self._all.wait(), PATIENCE)


class Ways(msgspec.Struct):
    """Those of one platform; `came` counts at the end of the first two."""

    library: Feed
    shared: Feed
    ours: Feed
    came: Count


class Hearing:
    """An adapter that counts what has become of the events of another, which `bots/run.py` carries to the queue.
    `one_by_one`: the next is told when the last one is done with, so that none are taken together."""

    def __init__(self, adapter: Adapter, intake: Intake, desk: Desk) -> None:
        self.came, self.acts, self.one_by_one = Count(), list[Act](), False
        self.account, self.limits = adapter.account, adapter.limits
        self._adapter, self._intake, self._desk = adapter, intake, desk
        self._done = asyncio.Event()
        self._last: deque[AnyEvent] = deque(maxlen=REMEMBERED)

    async def run(self) -> None:
        """Until cancelled."""
        await converse(self, self._intake, self._desk)

    async def again(self, payloads: Sequence[str]) -> None:
        """The events that these payloads became, as if no platform had told them."""
        await asyncio.gather(*(self._intake.put(event) for event in list(self._last)[-len(payloads) :]))
        for _ in payloads:
            self.came.one()

    async def listen(self) -> AsyncGenerator[AnyEvent, None]:
        """Whatever happens there."""
        async with aclosing(self._adapter.listen()) as events:
            async for event in events:
                self._last.append(event)
                self._done.clear()
                yield event
                if self.one_by_one:
                    await self._done.wait()

    def done(self, event: AnyEvent) -> None:
        """Count it."""
        self._adapter.done(event)
        self._done.set()
        self.came.one()

    async def told(self, event: AnyEvent, outcome: Outcome) -> None:
        """A typing sign, or whatever else is shown, is not measured here."""
        self.acts.append(outcome.act)

    async def refused(self, event: AnyEvent, error: LimenError) -> None:
        """Then nothing is measured."""
        raise error

    async def answered(self, command: Command, answer: Answer) -> None:
        """Nobody gives commands."""

    async def ranked(self, command: Command) -> Command:
        """As the other does it."""
        return await self._adapter.ranked(command)

    async def fetch(self, attachment: Attachment, most: int) -> bytes:
        """As the other does it."""
        return await self._adapter.fetch(attachment, most)

    async def hand(self, place: Place, file: File, note: str, answers: str = "") -> str:
        """As the other does it."""
        return await self._adapter.hand(place, file, note, answers)

    async def ask(self, done: Done, person: Person, question: Answer) -> None:
        """Nobody is asked."""

    async def draft(self, text: str, attempt: int, sending: Sending) -> None:
        """Nobody replies."""

    async def final(self, done: Done, sending: Sending) -> None:
        """Nobody replies."""

    async def failed(self, failed: Failed, sending: Sending) -> None:
        """Nobody replies."""


Way = Callable[[Intake, Desk], AbstractAsyncContextManager[tuple[Ways, Hearing]]]


@asynccontextmanager
async def _running(*works: Any) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.01)


# Discord: what the gateway's socket has read.


class _Plain(discord.Client):
    """A bot as everybody writes them."""

    def __init__(self, http: _Http, count: Count) -> None:
        self._ours = http
        intents = discord.Intents.default()
        intents.message_content = True
        super().__init__(intents=intents)
        self._count = count

    async def on_message(self, message: discord.Message) -> None:
        """Nothing more."""
        self._count.one()

    def _get_state(self, **options: Any) -> Any:
        self.http = self._ours
        return super()._get_state(**options)


def _gateway(client: discord.Client) -> Feed:
    async def feed(payloads: Sequence[str]) -> None:
        for number, payload in enumerate(payloads, 1):
            await client.ws.received_message(payload)
            if number % BURST == 0:
                await asyncio.sleep(0)

    return feed


@asynccontextmanager
async def on_discord(intake: Intake, desk: Desk) -> AsyncIterator[tuple[Ways, Hearing]]:
    """discord.py's client with `on_message`; the client that only tells us dispatches; our adapter."""
    fake = await discords.Fake().start()
    fake.channels |= {room: {**fake.channels[discords.CHANNEL], "id": room} for room in rooms()}
    loop, count = asyncio.get_running_loop(), Count()
    plain = _Plain(_Http(loop, fake.url, fake.gateway), count)
    ears = _Ears(_Http(loop, fake.url, fake.gateway), count.one)
    adapter = Discord(discords.TOKEN, api_base=fake.url, gateway_url=fake.gateway)
    hearing = Hearing(adapter, intake, desk)
    clients = (plain, ears)
    for client in clients:
        await client.login(discords.TOKEN)
    await adapter.login()
    try:
        async with _running(*(client.connect() for client in clients), hearing.run()):
            for waited in (*clients, adapter._api.client):
                await waited.wait_until_ready()
            yield Ways(_gateway(plain), _gateway(ears), _gateway(adapter._api.client), count), hearing
    finally:
        for client in clients:
            await client.close()
            await client._ours.end()
        await adapter.close()
        await fake.stop()


# Telegram: what `getUpdates` has answered.


class _Given(HTTPXRequest):
    """Answers for Telegram when it is asked for updates."""

    def __init__(self) -> None:
        super().__init__()
        self._answers: asyncio.Queue[bytes] = asyncio.Queue()
        self.closed = False

    async def feed(self, payloads: Sequence[str]) -> None:
        """Updates, as many at once as Telegram gives."""
        for at in range(0, len(payloads), 100):
            self._answers.put_nowait(f'{{"ok":true,"result":[{",".join(payloads[at : at + 100])}]}}'.encode())

    def close(self) -> None:
        """Nothing happens any more."""
        self.closed = True
        self._answers.put_nowait(_NOTHING)

    async def do_request(self, url: str, *args: Any, **more: Any) -> tuple[int, bytes]:
        if not url.endswith("/getUpdates"):
            return await super().do_request(url, *args, **more)
        return 200, _NOTHING if self.closed else await self._answers.get()


_NOTHING = b'{"ok":true,"result":[]}'


def _asking(wire: Wire) -> _Given:
    """From now on its updates come from us."""
    given = _Given()
    wire._bot._request = (given, wire._calls)
    return given


@asynccontextmanager
async def on_telegram(intake: Intake, desk: Desk) -> AsyncIterator[tuple[Ways, Hearing]]:
    """python-telegram-bot's application with a handler of messages; updates as they come; our adapter."""
    async with telegrams.telegram() as fake:
        count, stop = Count(), asyncio.Event()
        adapter, wire = Telegram(telegrams.TOKEN, fake.url), Wire(telegrams.TOKEN, fake.url)
        hearing, to_us, bare, given = Hearing(adapter, intake, desk), _asking(adapter._wire), _asking(wire), _Given()

        async def raw() -> None:
            async for _ in Polling(wire, stop).updates():
                count.one()

        app = _application(fake.url, given, count)
        await app.initialize()
        await app.start()
        assert app.updater
        await app.updater.start_polling(allowed_updates=Update.ALL_TYPES)
        try:
            async with _running(raw(), hearing.run()):
                try:
                    yield Ways(given.feed, bare.feed, to_us.feed, count), hearing
                finally:
                    for one in (given, bare, to_us):
                        one.close()
        finally:
            await app.updater.stop()
            await app.stop()
            await app.shutdown()
            await wire.close()
            await adapter.close()


def _application(url: str, given: _Given, count: Count) -> "Application[Any, Any, Any, Any, Any, Any]":
    async def on_message(update: Update, context: Any) -> None:
        count.one()

    app = Application.builder().token(telegrams.TOKEN).base_url(f"{url}/bot").get_updates_request(given).build()
    app.add_handler(MessageHandler(filters.TEXT, on_message))
    return app


# Slack: what the socket of Socket Mode has read.


class _Line:
    """A connection that is none: what is acknowledged is passed over."""

    def __init__(self, handler: AsyncSocketModeHandler) -> None:
        self._handler = handler
        self._handler.client.send_message = self._sent  # type: ignore[method-assign]

    async def _sent(self, message: str) -> None:
        """To nobody."""

    async def feed(self, payloads: Sequence[str]) -> None:
        """Envelopes."""
        for number, payload in enumerate(payloads, 1):
            await self._handler.client.enqueue_message(payload)
            if number % BURST == 0:
                await asyncio.sleep(0)

    async def close(self) -> None:
        """No more."""
        await self._handler.close_async()  # type: ignore[no-untyped-call]


def _our_line(us: Us, api: str, hear: doors.Hear) -> _Line:
    return _Line(doors.Line(doors.bolt(us, api, hear), hear, slacks.APP_TOKEN))


class _Indoors(Slack):
    """Our adapter, with a line of ours for its door."""

    line: _Line

    @asynccontextmanager
    async def _door(self) -> AsyncIterator[None]:
        self.line = _our_line(self.us, self._base_url, self._hear)
        try:
            yield
        finally:
            await self.line.close()


@asynccontextmanager
async def on_slack(intake: Intake, desk: Desk) -> AsyncIterator[tuple[Ways, Hearing]]:
    """Bolt's app with a listener of messages; the one that hands every body on; our adapter."""
    async with slacks.slack() as fake:
        for user in people():
            fake.person(user, user.title())
        count, api = Count(), f"{fake.url}/api/"
        us = Us(slacks.TEAM, slacks.BOT_USER, slacks.BOT_ID, "mira")
        plain = AsyncApp(client=AsyncWebClient(slacks.BOT_TOKEN, api))
        plain.event("message")(_message(count))
        library, bare = _Line(AsyncSocketModeHandler(plain, slacks.APP_TOKEN)), _our_line(us, api, count.one)
        adapter = _Indoors(us, slacks.BOT_TOKEN, Listening(app_token=slacks.APP_TOKEN), api)
        hearing = Hearing(adapter, intake, desk)
        try:
            async with _running(hearing.run()):
                await _until(lambda: hasattr(adapter, "line"))
                yield Ways(library.feed, bare.feed, adapter.line.feed, count), hearing
        finally:
            for line in (library, bare):
                await line.close()
            await adapter.leave()


def _message(count: Count) -> Callable[..., Awaitable[None]]:
    async def message(event: dict[str, Any]) -> None:
        count.one()

    return message


WAYS: dict[str, Way] = {"discord": on_discord, "telegram": on_telegram, "slack": on_slack}
