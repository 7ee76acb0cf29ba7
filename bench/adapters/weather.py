"""Replies in bad weather: people talk to `limen run` on three platforms of this machine, while too many calls are
refused (429, ten times), sockets drop, and the bot process is killed just as it sends.

Everybody waits for the reply to what they said. A reply that never comes whole is lost; one that stands there twice is
doubled. Nobody speaks while the process is dead: Discord would tell nobody of it.
"""

import asyncio
import random
import re
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from bench.adapters.memory import Platforms, ended, environ_of, here, platforms, started, tokens
from bench.adapters.ways import WAYS
from bots.assemble import Parts, parts
from bots.collisions import ROOT
from core import config
from core.events import Kind, Place
from core.store import keys
from tests.fakes import discord as discords
from tests.fakes import slack as slacks
from tests.fakes import telegram as telegrams

ROOMS = 4  # on each platform
WORDS = 6
MODEL = f"echo:0.02x{WORDS}"
GUST = (2.0, 5.0)  # seconds between two troubles
TIMES = 10
PATIENCE = 60.0  # seconds until a reply counts as lost
WHOLE = re.compile(rf"-{WORDS - 1}\Z")  # how the last word of the echo ends


class Room(msgspec.Struct, frozen=True, eq=False):
    """A place where somebody talks to the bot `account`. `say` gives a message's id; `shown` is what the bot has said,
    by id; `like` puts a thumb on that; `forget`: the platform keeps nothing of what was said here until now."""

    account: str
    place: Place
    say: Callable[[str], str]
    shown: Callable[[], dict[str, str]]
    like: Callable[[str], None]
    forget: Callable[[], None]

    @property
    def platform(self) -> str:
        """Its name."""
        return self.place.platform


def rooms(fakes: Platforms, each: int = ROOMS) -> list[Room]:
    """Some on each platform, which know them from now on."""
    discord, telegram, slack = fakes
    return [
        room
        for number in range(each)
        for room in (_on_discord(discord, number), _on_telegram(telegram, number), _on_slack(slack, number))
    ]


def _on_discord(fake: discords.Fake, number: int) -> Room:
    channel = str(9_500 + number)
    fake.channels[channel] = {**fake.channels[discords.CHANNEL], "id": channel}

    def forget() -> None:
        fake.messages.pop(channel, None)

    return Room(
        account=f"discord:{discords.ME}",
        place=Place("discord", discords.GUILD, channel),
        say=lambda text: fake.say(f"<@{discords.ME}> {text}", channel),
        shown=lambda: {one["id"]: one["content"] for one in fake.ours(channel)},
        like=lambda message: fake.react(message, "👍", channel),
        forget=forget,
    )


def _on_telegram(fake: telegrams.Fake, number: int) -> Room:
    user = 50 + number
    who = {**telegrams.ANN, "id": user, "username": f"ann{user}"}
    chat = fake.chats[user] = {**telegrams.DM, "id": user, "username": f"ann{user}"}

    def forget() -> None:
        for key in [key for key in fake.messages if key[0] == user]:
            del fake.messages[key]

    return Room(
        account=f"telegram:{telegrams.ME['id']}",
        place=Place("telegram", "dm", str(user), kind=Kind.DM),
        say=lambda text: str(fake.say(text, who, chat)),
        shown=lambda: {str(one["message_id"]): one["text"] for one in fake.ours(chat)},
        like=lambda message: fake.react(int(message), "👍", who=who, chat=chat),
        forget=forget,
    )


def _on_slack(fake: slacks.Fake, number: int) -> Room:
    user = fake.person(f"UANN{number}", f"Ann {number}")
    channel = fake.dm(user)

    def forget() -> None:
        for key in [key for key in fake.messages if key[0] == channel]:
            del fake.messages[key]

    return Room(
        account=f"slack:{slacks.TEAM}:{slacks.BOT_USER}",
        place=Place("slack", slacks.TEAM, channel, kind=Kind.DM),
        say=lambda text: fake.say(channel, user, text),
        shown=lambda: {one["ts"]: slacks.said(one) for one in fake.replies(channel)},
        like=lambda message: fake.react(channel, message, user, "+1"),
        forget=forget,
    )


def word_of(room: Room, number: int) -> str:
    """What nobody else says anywhere."""
    return f"tide{room.platform}{room.place.channel}x{number}x"


def is_whole(text: str, word: str) -> bool:
    """Is it the reply to this word, from the first token to the last?"""
    return word in text and WHOLE.search(text) is not None


def count(said: Mapping[str, Room], shown: Mapping[Room, Collection[str]]) -> dict[str, Counter[str]]:
    """By platform: how many words were said, and of how many the reply is `lost`, `doubled`, or `crossed` into a room
    where nobody had asked for it."""
    found: dict[str, Counter[str]] = {}
    for word, room in said.items():
        tally = found.setdefault(room.platform, Counter(said=0, lost=0, doubled=0, crossed=0))
        replies = [text for text in shown.get(room, ()) if word in text]
        tally["said"] += 1
        tally["lost"] += not any(is_whole(text, word) for text in replies)
        tally["doubled"] += len(replies) > 1
        tally["crossed"] += any(word in text for other, texts in shown.items() if other != room for text in texts)
    return found


class Weather:
    """The bot process, and what befalls it."""

    def __init__(self, p: Parts, fakes: Platforms) -> None:
        self._p, self._fakes, self._dice = p, fakes, random.Random(1)
        self._process: Process | None = None
        self.speaking = asyncio.Lock()  # held while a word is on its way into Redis, and while the bot is dead
        self.befell: Counter[str] = Counter()

    async def fair(self) -> None:
        """A bot process, whom everybody can reach."""
        self._process = await started(list(WAYS), {**tokens(self._fakes), **here(self._p)})
        discord, _, slack = self._fakes
        await discord.wait(lambda: any(session.out for session in discord.sessions.values()))
        await slack.wait(lambda: slack.sockets)

    async def foul(self, until: float) -> None:
        """One trouble after the other."""
        troubles = {"flood": self._flood, "drop": self._drop, "kill": self._kill}
        while (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(left, self._dice.uniform(*GUST)))
            name = self._dice.choice([*troubles])
            await troubles[name]()
            self.befell[name] += 1

    async def end(self) -> None:
        """No bot any more."""
        if self._process:
            await ended(self._process)

    async def _flood(self) -> None:
        """Ten calls on each; more only when those are over, for who goes on calling is to slow down."""
        discord, telegram, slack = self._fakes
        if not any(trouble.times for trouble in discord.troubles):
            for method in ("POST", "PATCH"):
                discord.fail(method, r"/messages", 429, times=TIMES, retry_after=0.05)
        if not any(trouble.method == "sendMessage" for trouble in telegram.trouble):
            no = telegrams.No(429, "Too Many Requests: retry after 1", retry_after=1)
            telegram.trouble.extend(telegrams.Trouble("sendMessage", no) for _ in range(TIMES))
        slack.limit("chat.postMessage", TIMES)
        slack.limit("chat.update", TIMES)

    async def _drop(self) -> None:
        discord, telegram, slack = self._fakes
        discord.drop()
        slack.drop()
        telegram.trouble.append(telegrams.Trouble("getUpdates", done=True))  # the answer gets lost

    async def _kill(self) -> None:
        """Between a message that a platform takes, and the note of it."""
        async with self.speaking:
            before = self._sent()
            deadline = time.monotonic() + GUST[0]
            while self._sent() == before and time.monotonic() < deadline:
                await asyncio.sleep(0.001)
            await self.end()
            await self.fair()

    def _sent(self) -> int:
        discord, telegram, slack = self._fakes
        return (
            len(discord.made("POST", r"/messages$"))
            + len(telegram.called("sendMessage"))
            + len(slack.calls("chat.postMessage"))
        )


class Talker:
    """Somebody in a room, who waits for each reply."""

    def __init__(self, p: Parts, room: Room, weather: Weather, said: dict[str, Room]) -> None:
        self._p, self._room, self._weather, self._said = p, room, weather, said
        self._dice = random.Random(str(room.place))

    async def talk(self, until: float) -> None:
        """For so long."""
        number = 0
        while time.monotonic() < until:
            number += 1
            word = word_of(self._room, number)
            async with self._weather.speaking:
                self._said[word] = self._room
                await self._heard(self._room.say(word))
            await self._answered(word)
            await asyncio.sleep(self._dice.uniform(0.2, 1.0))

    async def _heard(self, message: str) -> None:
        """Discord does not tell again what a process had not kept when it died: nobody is killed before."""
        if self._room.platform != "discord":
            return
        async with asyncio.timeout(PATIENCE):
            while not await self._p.client.do("KEYS", keys.SEEN(f"*{message}*")):
                await asyncio.sleep(0.02)

    async def _answered(self, word: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if any(is_whole(text, word) for text in self._room.shown().values()):
                return
            await asyncio.sleep(0.05)


@asynccontextmanager
async def worker(p: Parts) -> AsyncIterator[None]:
    """One that echoes, in a process of its own."""
    environ = {**here(p), "LIMEN_TESTING": "1", "LIMEN_MODEL__REF": MODEL}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bots", "worker", cwd=ROOT, env=environ_of(environ), stdin=DEVNULL, stderr=DEVNULL
    )
    try:
        yield
    finally:
        await ended(process)


async def soak(url: str, home: Path, seconds: float) -> dict[str, dict[str, int]]:
    """How often what befell them, and what they got; 0 lost is what we want."""
    settings = config.load({"LIMEN_HOME": str(home), "REDIS_URL": url})
    async with parts(settings, url) as p, platforms() as fakes, worker(p):
        weather, said, places = Weather(p, fakes), dict[str, Room](), rooms(fakes)
        try:
            await weather.fair()
            until = time.monotonic() + seconds
            talks = (Talker(p, room, weather, said).talk(until) for room in places)
            await asyncio.gather(weather.foul(until), *talks)
            found = count(said, {room: room.shown().values() for room in places})
        finally:
            await weather.end()
    return {"weather": dict(weather.befell), **{name: dict(tally) for name, tally in found.items()}}
