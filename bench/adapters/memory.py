"""What a bot process holds: `limen run` as people start it, on servers of this machine, after a talk with each."""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import psutil

from adapters.telegram.payloads import KINDS
from bots.assemble import Parts
from bots.collisions import ROOT
from core.store import keys
from tests.fakes import discord as discords
from tests.fakes import slack as slacks
from tests.fakes import telegram as telegrams

TALK = 100  # messages that somebody says on each platform
PATIENCE = 60.0
Platforms = tuple[discords.Fake, telegrams.Fake, slacks.Fake]


@asynccontextmanager
async def platforms() -> AsyncIterator[Platforms]:
    """All three, for as long as the block lasts."""
    async with AsyncExitStack() as stack:
        telegram, slack = (
            await stack.enter_async_context(telegrams.telegram()),
            await stack.enter_async_context(slacks.slack()),
        )
        discord = await discords.Fake().start()
        stack.push_async_callback(discord.stop)
        yield discord, telegram, slack


def tokens(fakes: Platforms) -> dict[str, str]:
    """How a bot process finds them."""
    discord, telegram, slack = fakes
    return {
        "DISCORD_TOKEN": discords.TOKEN, "LIMEN_DISCORD__API_BASE": discord.url,
        "LIMEN_DISCORD__GATEWAY_URL": discord.gateway,
        "TELEGRAM_TOKEN": telegrams.TOKEN, "LIMEN_TELEGRAM__BASE_URL": telegram.url,
        "SLACK_BOT_TOKEN": slacks.BOT_TOKEN, "SLACK_APP_TOKEN": slacks.APP_TOKEN,
        "LIMEN_SLACK__BASE_URL": f"{slack.url}/api/",
    }  # fmt: skip


def environ_of(environ: Mapping[str, str]) -> dict[str, str]:
    """That of a child of ours, which this is added to."""
    return {**os.environ, **environ}


async def started(names: Sequence[str], environ: Mapping[str, str]) -> Process:
    """`limen run NAMES`, without a worker; it listens on each when this returns. What it says is in its home."""
    log = Path(environ["LIMEN_HOME"]) / "run.log"
    with log.open("wb") as said:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bots", "run", *names, "--no-worker", cwd=ROOT, env=environ_of(environ),
            stdin=DEVNULL, stderr=said,
        )  # fmt: skip
    async with asyncio.timeout(PATIENCE):
        while log.read_text("utf-8").count("listening as") < len(names):
            assert process.returncode is None, f"limen run ended: {log.read_text('utf-8')}"
            await asyncio.sleep(0.05)
    return process


async def ended(process: Process) -> None:
    """At once."""
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()


def here(p: Parts) -> dict[str, str]:
    """The Redis and the home of a bot process."""
    return {"REDIS_URL": p.settings.redis_url, "LIMEN_HOME": str(p.settings.home)}


async def resident(p: Parts, names: Sequence[str]) -> float:
    """Megabytes of a process of its own, on these platforms."""
    await p.client.do("FLUSHALL")
    async with platforms() as fakes:
        process = await started(names, {**tokens(fakes), **here(p)})
        try:
            await _talk(p, fakes, names)
            return round(int(psutil.Process(process.pid).memory_info().rss) / 1e6, 1)
        finally:
            await ended(process)


async def _talk(p: Parts, fakes: Platforms, names: Sequence[str]) -> None:
    """Most of it is only overheard, and one thumb is put on something. All that was said is kept when this returns."""
    discord, telegram, slack = fakes
    telegram.wants = set(KINDS)
    discord.react("1", "👍")
    telegram.react(1, "👍", chat=telegrams.GROUP)
    slack.react("C1", "1.000001", "UANN", "+1")
    for number in range(TALK):
        said, calls = f"Ahoy there, number {number}", number == 0
        if "discord" in names:
            discord.say(said, discords.DM if calls else discords.CHANNEL)
        if "telegram" in names:
            telegram.say(said, chat=telegrams.DM if calls else telegrams.GROUP)
        if "slack" in names:
            slack.say("DANN" if calls else "C1", "UANN", said)
    async with asyncio.timeout(PATIENCE):
        while len(await p.client.do("KEYS", keys.SEEN("*"))) < TALK * len(names):
            await asyncio.sleep(0.05)
