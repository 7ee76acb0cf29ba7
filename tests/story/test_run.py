"""`limen run` as people call it: a process of its own, real Redis, a worker that echoes, platforms on this machine."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("discord")
pytest.importorskip("telegram")
pytest.importorskip("slack_bolt")

from adapters.telegram.events import place_of
from adapters.telegram.payloads import Chat
from bots import up
from bots.assemble import Parts, parts
from bots.collisions import ROOT
from core import config
from core.events import Kind, Place
from core.feedback import standing
from core.store import server
from core.store.ledger import message_key
from tests.fakes import discord as discords
from tests.fakes import slack as slacks
from tests.fakes import telegram as telegrams
from tests.fakes.commands import meanwhile
from tests.fakes.slack import slack
from tests.fakes.telegram import telegram

TELEGRAM, SLACK = f"telegram:{telegrams.ME['id']}", f"slack:{slacks.TEAM}:{slacks.BOT_USER}"
DISCORD = f"discord:{discords.ME}"
ANN_ON_TELEGRAM = place_of(Chat(telegrams.DM["id"], "private"))
TOM_ON_DISCORD = Place("discord", "dm", discords.DM, kind=Kind.DM)
ANN_ON_SLACK = Place("slack", slacks.TEAM, "DANN", kind=Kind.DM)


class Run:
    """The process, and what it has said."""

    def __init__(self, process: Process) -> None:
        self.process, self.said = process, ""
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout
        async for line in self.process.stdout:
            self.said += line.decode()

    async def tell(self, sign: signal.Signals) -> int:
        """Its status, after this signal."""
        self.process.send_signal(sign)
        return await self.ended()

    async def ended(self) -> int:
        """Its status, once it has ended."""
        async with asyncio.timeout(30):
            await self._reading
            return await self.process.wait()


@asynccontextmanager
async def limen_run(environ: dict[str, str], home: Path, *args: str, folder: Path = ROOT) -> AsyncIterator[Run]:
    """`limen run ARGS`, called in a folder; killed if a test leaves it behind."""
    ours = {"LIMEN_TESTING": "1", "LIMEN_MODEL__REF": "echo:", "LIMEN_CONSENT__ASK": "never", "PYTHONPATH": str(ROOT)}
    environ = {**os.environ, **ours, **environ}
    environ.pop("REDIS_URL", None)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bots", "--home", str(home), "run", *args, cwd=folder, env=environ, stdout=PIPE,
        stderr=STDOUT,
    )  # fmt: skip
    try:
        yield Run(process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.fixture
async def down(home: Path) -> AsyncIterator[Path]:
    """A home whose worker is stopped at the end."""
    yield home
    await up.down(config.load({}, home=home))


@asynccontextmanager
async def inside(home: Path) -> AsyncIterator[Parts]:
    """What the Redis of a home has."""
    settings = config.load({}, home=home)
    async with parts(settings, await up.ensure_redis(settings)) as p:
        yield p


async def until(holds: Callable[[], Awaitable[Any]], seconds: float = 15.0) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := await holds()):
            await asyncio.sleep(0.01)
    return found


async def rated(p: Parts, account: str, place: Place, message: str) -> list[str]:
    """The emoji that stand for the reply which was sent as that message."""
    reply = await p.ledger.behind(message_key(account, place, message))
    entry = await p.ledger.get(reply) if reply else None
    return [fact.emoji for fact in standing(entry.facts)] if entry else []


def at_telegram(fake: telegrams.Fake) -> dict[str, str]:
    return {"TELEGRAM_TOKEN": telegrams.TOKEN, "LIMEN_TELEGRAM__BASE_URL": fake.url}


@asynccontextmanager
async def discord() -> AsyncIterator[discords.Fake]:
    fake = await discords.Fake().start()
    try:
        yield fake
    finally:
        await fake.stop()


def at_discord(fake: discords.Fake) -> dict[str, str]:
    there = {"LIMEN_DISCORD__API_BASE": fake.url, "LIMEN_DISCORD__GATEWAY_URL": fake.gateway}
    return {"DISCORD_TOKEN": discords.TOKEN, **there}


def at_slack(fake: slacks.Fake) -> dict[str, str]:
    return {
        "SLACK_BOT_TOKEN": slacks.BOT_TOKEN, "SLACK_APP_TOKEN": slacks.APP_TOKEN,
        "LIMEN_SLACK__BASE_URL": f"{fake.url}/api/",
    }  # fmt: skip


async def test_three_platforms_in_one_process(down: Path):
    """A message in, a reply out, a rating on record, on each; SIGTERM ends it, and it says only what it does."""
    async with telegram() as tg, slack() as sl, discord() as dc:
        given = at_telegram(tg) | at_slack(sl) | at_discord(dc)
        async with limen_run(given, down, "telegram", "slack", "discord") as run, inside(down) as p:
            tg.say("Ahoy there")
            await tg.wait(lambda: tg.shown() == ["I heard 1 lines. You said: Ahoy there"], 60)
            await sl.wait(lambda: sl.sockets)
            sl.say("DANN", "UANN", "Hello")
            await sl.wait(lambda: sl.shown("DANN") and "You said: Hello" in sl.shown("DANN")[-1])
            dc.say("Hi", discords.DM)
            await dc.wait(lambda: dc.shown(discords.DM) == ["I heard 1 lines. You said: Hi"])
            on_telegram, on_slack = tg.ours()[0]["message_id"], sl.replies("DANN")[0]["ts"]
            on_discord = dc.ours(discords.DM)[0]["id"]
            tg.react(on_telegram, "👍")
            sl.react("DANN", on_slack, "UANN", "-1")
            dc.react(on_discord, "🔥", discords.DM)

            assert ["👍"] == await until(lambda: rated(p, TELEGRAM, ANN_ON_TELEGRAM, str(on_telegram)))
            assert ["👎"] == await until(lambda: rated(p, SLACK, ANN_ON_SLACK, on_slack))
            assert ["🔥"] == await until(lambda: rated(p, DISCORD, TOM_ON_DISCORD, on_discord))
            assert 0 == await run.tell(signal.SIGTERM)

        assert "privacy" in [one["command"] for one in tg.commands]
        assert "privacy" in [one["name"] for one in dc.commands]
        for account in (f"Telegram: listening as {TELEGRAM}", f"Slack: listening as {SLACK}", f"as {DISCORD}"):
            assert account in run.said
        assert [] == [line for line in run.said.splitlines() if " INFO " not in line]
        assert [] == [token for name, token in given.items() if "TOKEN" in name and token in run.said]
        assert [] == tg.faults


async def test_two_bots_on_one_platform(down: Path):
    """In one process: each with a token, a card and people of its own; what one hears the other never does."""
    async with telegram() as first, telegram() as second:
        second.token, second.setup = "222222222:BB-secret", {"id": 222222222}
        own = f"{{persona: orrin, base_url: '{second.url}'}}"
        (down / "limen.yaml").write_text(f"telegram: {{accounts: {{orrin: {own}}}}}\n", encoding="utf-8")
        given = {**at_telegram(first), "TELEGRAM_TOKEN_ORRIN": second.token}
        async with limen_run(given, down) as run, inside(down) as p:
            for fake, word in ((first, "to the first"), (second, "to the second")):
                fake.say(word)
                await fake.wait(lambda f=fake, w=word: f.shown() == [f"I heard 1 lines. You said: {w}"], 60)
            personas = {str(persona) for persona in await p.ledger.personas()}
            assert 0 == await run.tell(signal.SIGTERM)

    assert {f"{TELEGRAM}|mira", "telegram:222222222|orrin"} == {one.rpartition("|")[0] for one in personas}
    assert f"Telegram: listening as {TELEGRAM}" in run.said
    assert "Telegram (orrin): listening as telegram:222222222" in run.said
    assert second.token not in run.said


async def test_a_reply_that_is_being_said_is_finished(down: Path):
    """Ctrl-C in the middle of one that grows: it is said to its end, and not again by the next process."""
    async with telegram() as tg:
        held = asyncio.Event()
        tg.trouble.append(telegrams.Trouble("sendMessage", hold=held))
        slowly = {"LIMEN_MODEL__REF": "echo:0.05x20"}
        async with limen_run(at_telegram(tg) | slowly, down, "telegram") as run:
            tg.say("Ahoy there")
            await tg.wait(lambda: tg.called("sendMessage"), 60)
            run.process.send_signal(signal.SIGINT)
            await until(lambda: _says(run, "is being said"))
            held.set()

            assert 0 == await run.ended()
        (said,) = tg.shown()
        assert said.startswith("I heard 1 lines. You said: Ahoy there")
        assert said.endswith("-19")

        async with limen_run(at_telegram(tg), down, "telegram") as run:
            tg.say("And now")
            await tg.wait(lambda: any("And now" in text for text in tg.shown()), 60)

            assert 2 == len(tg.shown())
            assert 0 == await run.tell(signal.SIGINT)


async def _says(run: Run, words: str) -> bool:
    return words in run.said


async def test_one_that_cannot_go_on_does_not_end_the_others(down: Path):
    """A token that is no good is named with the next step; who is well talks on; in the end the status tells."""
    async with telegram() as tg, slack() as sl:
        given = at_telegram(tg) | at_slack(sl) | {"SLACK_BOT_TOKEN": "xoxb-old"}
        async with limen_run(given, down, "slack", "telegram") as run:
            await until(lambda: _says(run, "invalid_auth"))
            tg.say("Still there?")
            await tg.wait(lambda: any("Still there?" in text for text in tg.shown()), 60)

            assert 1 == await run.tell(signal.SIGTERM)
        assert "→ Look at OAuth & Permissions" in run.said
        assert "Traceback" not in run.said


async def test_a_bot_that_is_killed_in_the_middle_loses_nothing(down: Path):
    """Slack has the message and nobody has noted it down: the next process finds it, and says the rest there."""
    async with slack() as sl:
        held = sl.hold("chat.postMessage")
        async with limen_run(at_slack(sl), down, "slack") as run:
            await sl.wait(lambda: sl.sockets, 60)
            sl.say("DANN", "UANN", "Hello")
            await sl.wait(lambda: sl.calls("chat.postMessage"), 60)
            assert -signal.SIGKILL == await run.tell(signal.SIGKILL)
        held.set()
        await sl.wait(lambda: sl.replies("DANN"))

        async with limen_run(at_slack(sl), down, "slack") as run:
            await sl.wait(lambda: "You said: Hello" in sl.shown("DANN")[-1] and sl.calls("chat.update"), 60)
            sl.say("DANN", "UANN", "Again")
            await sl.wait(lambda: any("You said: Again" in text for text in sl.shown("DANN")), 60)

            assert 2 == len(sl.replies("DANN"))
            assert 0 == await run.tell(signal.SIGTERM)


async def test_what_setup_wrote_is_what_runs(down: Path, tmp_path: Path):
    """In the folder of the .env, without a word more."""
    async with telegram() as tg:
        token = {"TELEGRAM_TOKEN": telegrams.TOKEN, "LIMEN_TELEGRAM__BASE_URL": tg.url}
        file = tmp_path / ".env"
        file.write_text(f"LIMEN_TELEGRAM__BASE_URL={tg.url}\nLIMEN_PERSONA=noa\n")
        setup = await meanwhile("--home", down, "setup", "telegram", "--no-input", "--env-file", file, **token)
        assert 0 == setup.status
        async with limen_run({}, down, "--no-worker", folder=tmp_path) as run:
            tg.say("/start")
            await tg.wait(lambda: any("(noa)" in text for text in tg.shown()), 60)

            assert 0 == await run.tell(signal.SIGTERM)


async def test_who_cannot_wait_gives_the_signal_twice(down: Path):
    """Telegram takes its time over a message, and will not be waited for."""
    async with telegram() as tg:
        tg.trouble.append(telegrams.Trouble("sendMessage", hold=asyncio.Event()))
        async with limen_run(at_telegram(tg), down, "telegram") as run:
            tg.say("Ahoy there")
            await tg.wait(lambda: tg.called("sendMessage"), 60)
            run.process.send_signal(signal.SIGINT)
            await until(lambda: _says(run, "is being said"))

            assert 130 == await run.tell(signal.SIGINT)
        assert "Traceback" not in run.said


async def test_a_redis_that_dies_is_brought_back(down: Path):
    """The bot talks on, and nobody has to say anything twice."""
    async with telegram() as tg, limen_run(at_telegram(tg), down, "telegram") as run:
        tg.say("Ahoy there")
        await tg.wait(lambda: tg.shown(), 60)
        info = await asyncio.to_thread(server.running, down)
        assert info
        os.kill(info.pid, signal.SIGKILL)
        tg.say("And now")
        await tg.wait(lambda: any("You said: And now" in text for text in tg.shown()), 60)

        assert 2 == len(tg.shown())
        assert 0 == await run.tell(signal.SIGTERM)


async def test_both_may_be_called_instead(down: Path, unused_tcp_port_factory: Callable[[], int]):
    """Telegram by its webhook and Slack by HTTP, at the ports of the settings; a wrong secret is not heard."""
    hook, http = unused_tcp_port_factory(), unused_tcp_port_factory()
    there = f"http://127.0.0.1:{http}/slack/events"
    async with telegram() as tg, slack() as sl:
        given = at_telegram(tg) | at_slack(sl)
        given |= {"SLACK_APP_TOKEN": "", "SLACK_SIGNING_SECRET": slacks.SECRET, "LIMEN_SLACK__HTTP_PORT": str(http)}
        given |= {"LIMEN_TELEGRAM__WEBHOOK_URL": f"http://127.0.0.1:{hook}/telegram"}
        given |= {"LIMEN_TELEGRAM__WEBHOOK_PORT": str(hook), "TELEGRAM_WEBHOOK_SECRET": "between-us"}
        async with limen_run(given, down, "telegram", "slack") as run:
            await tg.wait(lambda: tg.hook, 60)
            tg.say("Ahoy there")
            await tg.wait(lambda: tg.shown() == ["I heard 1 lines. You said: Ahoy there"], 60)
            await until(lambda: _verified(sl, there))
            event = {"type": "message", "channel": "DANN", "channel_type": "im", "user": "UANN", "text": "Hello",
                     "ts": sl.ts(), "event_ts": sl.ts()}  # fmt: skip
            assert 401 == await sl.call(there, event, secret="wrong")
            assert 200 == await sl.call(there, event)
            await sl.wait(lambda: sl.shown("DANN") and "You said: Hello" in sl.shown("DANN")[-1])

            assert "between-us" == tg.hook["secret_token"]
            assert 0 == await run.tell(signal.SIGTERM)
        assert [] == [line for line in run.said.splitlines() if " INFO " not in line]


async def _verified(fake: slacks.Fake, url: str) -> bool:
    try:
        return "3eZbrw1a" in await fake.verify(url)
    except OSError:  # nobody is there yet
        return False


async def test_a_port_that_is_taken_is_tried_again(down: Path):
    """Whoever has it is perhaps the process before us; it is no fault of ours, and needs no traceback."""
    async with telegram() as tg:
        port = tg.url.rpartition(":")[2]
        hook = {"LIMEN_TELEGRAM__WEBHOOK_URL": "https://bot.example", "LIMEN_TELEGRAM__WEBHOOK_PORT": port}
        async with limen_run(at_telegram(tg) | hook, down, "telegram", "--no-worker") as run:
            await until(lambda: _says(run, "again in 2 s"), 60)

            assert 0 == await run.tell(signal.SIGTERM)
        assert "address already in use" in run.said
        assert "Traceback" not in run.said
