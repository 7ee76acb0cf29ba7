"""The same room on each platform, with the bots of `limen run` in it: one tale can be told on all three.

Ann and Bob are in a room and each in a DM with the bot; what they do and see has the same names everywhere.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, NamedTuple, Protocol

import msgspec

from adapters.base import Adapter
from bots.assemble import Parts, parts
from bots.crew import Crew
from bots.platforms import Bot
from core.settings import Attention, Consent, Scope, Settings
from worker.compose import Composer
from worker.echo import Echo
from worker.serve import Server

ANN, BOB = "ann", "bob"
PLATFORMS = ("discord", "slack", "telegram")


class Sent(NamedTuple):
    """A file that somebody sends. `size`: what the platform says of it, where that is not true."""

    name: str
    content: bytes
    media_type: str = "text/plain"
    size: int = -1

    @property
    def told(self) -> int:
        """Its length, as the platform says."""
        return self.size if self.size >= 0 else len(self.content)


class Stage(Protocol):
    """A platform with people on it. `dm`: in private with the bot, else in the room. Ids of messages are its own."""

    fake: Any
    people: dict[str, str]  # name → person id
    account: str

    def bot(self, settings: Settings) -> Bot:
        """The bot account of one process."""

    def say(self, text: str, who: str = ANN, dm: bool = False, **more: Any) -> str:
        """Somebody says something; in the room they call the bot."""

    def send(self, text: str, *files: Sent, who: str = ANN, dm: bool = False) -> str:
        """Somebody says something with a file (on Telegram one, elsewhere several)."""

    def command(self, text: str, who: str = ANN, dm: bool = False) -> None:
        """Somebody gives a command, such as `switch orrin`."""

    def press(self, label: str, who: str = ANN, dm: bool = False) -> None:
        """Somebody presses the newest button of that label that they see."""

    def labels(self, who: str = ANN, dm: bool = False) -> list[str]:
        """Every button that somebody sees."""

    def react(self, message: str, emoji: str, who: str = ANN, removed: bool = False) -> None:
        """Somebody puts an emoji on a message of the room, whosever it is, or takes it away."""

    def rival(self, text: str) -> str:
        """Another bot says something in the room."""

    def ours(self) -> list[str]:
        """The ids of what the bot has said in the room."""

    def unsay(self, message: str) -> None:
        """A moderator deletes a message of the room."""

    def close_room(self) -> None:
        """The room is deleted."""

    def hush(self) -> None:
        """The bot may not speak in the room any more."""

    def rename(self, who: str, name: str) -> None:
        """They are called so from now on."""

    def promote(self, who: str) -> None:
        """They run the place from now on."""

    def room(self, dm: bool = False) -> list[str]:
        """What everybody there reads of the bot."""

    def alone(self, who: str = ANN) -> list[str]:
        """What one person alone was told, wherever."""

    def listens(self) -> bool:
        """Will the bot hear what is said now?"""

    def given(self) -> dict[str, bytes]:
        """The files that the bot has given, by name."""

    async def wait(self, holds: Callable[[], Any]) -> Any:
        """Until it holds."""


@asynccontextmanager
async def stage(platform: str) -> AsyncIterator[Stage]:
    """A platform of our own, for as long as the block lasts. Nothing that it was asked or told was ill-formed."""
    from tests.fakes.stages import AtDiscord, AtSlack, AtTelegram

    async with AsyncExitStack() as stack:
        if platform == "discord":
            from tests.fakes.discord import Fake

            fake = await Fake().start()
            stack.push_async_callback(fake.stop)
            yield AtDiscord(fake)
        elif platform == "telegram":
            from tests.fakes.telegram import telegram

            told = await stack.enter_async_context(telegram())
            yield AtTelegram(told)
            assert told.faults == []
        else:
            from tests.fakes.slack import slack

            workspace = await stack.enter_async_context(slack())
            yield AtSlack(workspace)
            assert workspace.pinged == []


class Troupe:
    """The bots of one process, with a worker that echoes."""

    def __init__(self, on: Stage, p: Parts, adapter: Adapter) -> None:
        self.on, self.p, self.adapter = on, p, adapter

    async def talks(self) -> list[str]:
        """The ids of every conversation."""
        found = await self.p.client.scan("limen:talk:*:order")
        return [name.removeprefix("limen:talk:").removesuffix(":order") for name in found]


def shared(**changes: Any) -> Settings:
    """A room shares one character on every platform; nobody waits for a second message, and nobody is asked."""
    scope = Scope(discord="channel", telegram="channel", slack="channel")
    quick = Settings(attention=Attention(settle_seconds=0, quick_seconds=0), scope=scope, consent=Consent(ask="never"))
    return msgspec.structs.replace(quick, **changes)


@asynccontextmanager
async def playing(
    on: Stage, redis_url: str, settings: Settings | None = None, echo: Echo | None = None
) -> AsyncIterator[Troupe]:
    """`limen run` on that stage, for as long as the block lasts; it ends as a signal ends it."""
    settings, told = settings or shared(), asyncio.Event()
    async with parts(settings, redis_url) as p:
        model = echo or Echo()
        composer = Composer(p.conversations, p.ledger, p.personas, p.loras, model, p.growth, False)
        server = Server(p.client, p.queue, composer, model, 4, {"model": "echo"})
        bot = on.bot(settings)

        async def joined() -> Bot:
            return bot

        platform = bot.adapter.account.partition(":")[0]
        crew = asyncio.create_task(Crew(p, told).run({platform: joined}))
        serving = asyncio.create_task(server.run())
        try:
            await on.wait(on.listens)
            yield Troupe(on, p, bot.adapter)
        finally:
            told.set()
            with suppress(asyncio.CancelledError):
                await asyncio.wait_for(crew, 30)
            server.stop()
            await serving
