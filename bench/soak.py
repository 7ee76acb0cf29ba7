"""A worker for as long as one likes: `python -m bench.soak [--minutes 10]`. Needs no weights: the model is a small one.

Real Redis, engine, server and delivery in this process. Two dozen people talk to as many personas, take replies back,
and meanwhile LoRAs go live, on trial and back, one of them broken; memory for keys and values is short, and slots are
fewer than personas. Nothing may fail, and memory must not grow once everybody's history is as long as it gets.
"""

import argparse
import asyncio
import logging
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import torch

from bench.engine.shapes import talkative
from bench.engine.stand import RANK, write_loras
from bench.report import RedisForBench, emit, say
from bots.assemble import Parts, parts
from core.delivery import Delivery, Sending
from core.engine import Act
from core.engine import Engine as Bot
from core.events import Addressed, Message, Person, PersonaKey, Place
from core.jobs import Done, Failed
from core.settings import Attention, Lora, Settings, Worker
from core.settings import Queue as QueueSettings
from worker.compose import Composer
from worker.engine import Engine
from worker.lora.folders import WEIGHTS
from worker.lora.shape import of
from worker.lora.store import LoraStore
from worker.serve import Server
from worker.start import assemble

ACCOUNT = "discord:soak"
PEOPLE, SLOTS, VERSIONS, ROWS, KV_MB = 24, 8, 32, 8, 4
BROKEN = "broken"
STOPPED = 0.05  # share of the replies that are taken back while they are written
CHANGE = 0.4  # seconds between two changes of LoRAs
PATIENCE = 120.0  # seconds until a reply counts as failed
WARM_UP, SAMPLE = 0.3, 0.1  # shares of the time: until memory must be flat, and over which it is measured
WORDS = ("tide", "gull", "harbour", "lantern", "biscuit", "orchard", "thunder", "ribbon", "marble", "fennel", "walnut")
CARDS = 6
CARD = """\
name: soak{0}
title: Soak {0}
description: You are number {0} of those who are talked to for ever. You say whatever comes to your mind.
sampling: {{temperature: 1.0, max_tokens: 500}}
"""


@dataclass
class Tally:
    """What happened."""

    counts: Counter[str] = field(default_factory=Counter)
    rss: list[tuple[float, int]] = field(default_factory=list)  # (share of the time, bytes)
    trouble: list[str] = field(default_factory=list)


class Mailbox:
    """An Outlet: whoever waits for a reply gets it."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[Done | Failed]] = {}

    def expect(self, reply: str) -> "asyncio.Future[Done | Failed]":
        """What will become of it."""
        return self._waiting.setdefault(reply, asyncio.get_running_loop().create_future())

    async def draft(self, text: str, attempt: int, sending: Sending) -> None:
        """Nobody looks on while it is written."""

    async def final(self, done: Done, sending: Sending) -> None:
        """The whole reply."""
        if await sending.begin(0) != "sent":
            await sending.sent(0, (done.reply_id,))
        self._arrived(done)

    async def failed(self, failed: Failed, sending: Sending) -> None:
        """There will be none."""
        self._arrived(failed)

    def _arrived(self, result: Done | Failed) -> None:
        future = self.expect(result.reply_id)
        del self._waiting[result.reply_id]
        if not future.done():
            future.set_result(result)


class Talker:
    """Somebody in a channel of their own, who says one thing after the other."""

    def __init__(self, number: int, p: Parts, bot: Bot, mailbox: Mailbox, tally: Tally) -> None:
        self.place = Place("discord", "soak", f"room{number}")
        self._person = Person(f"discord:soak:{number}", f"Person {number}")
        self._p, self._bot, self._mailbox, self._tally = p, bot, mailbox, tally
        self._dice, self._said = random.Random(number), 0

    def message(self) -> Message:
        """Some words."""
        self._said += 1
        text = " ".join(self._dice.choices(WORDS, k=self._dice.randint(1, 30)))
        return Message(id=f"{self.place}-{self._said}", account=ACCOUNT, place=self.place, author=self._person,
                       time=time.time(), text=text, addressed=Addressed.MENTION)  # fmt: skip

    async def talk(self, until: float) -> None:
        """Each reply is waited for."""
        while time.monotonic() < until:
            outcome = await self._bot.on_message(self.message())
            self._tally.counts["requests"] += 1
            if outcome.act != Act.QUEUED:
                self._fault(f"{outcome.act}: {outcome.note}")
                continue
            waiting = self._mailbox.expect(outcome.reply_id)
            if self._dice.random() < STOPPED:
                await asyncio.wait([waiting], timeout=self._dice.uniform(0, 0.5))
                await self._bot.stop(outcome.conversation)
            await self._take(waiting)

    async def _take(self, waiting: "asyncio.Future[Done | Failed]") -> None:
        try:
            result = await asyncio.wait_for(waiting, PATIENCE)
        except TimeoutError:
            self._fault(f"no reply within {PATIENCE:.0f} s")
            return
        if result.cancelled:
            self._tally.counts["stopped"] += 1
        elif isinstance(result, Failed):
            self._fault(result.reason)
        else:
            self._tally.counts["answered"] += 1
            self._tally.counts["tokens"] += result.tokens
            self._tally.counts["by_a_lora"] += result.lora_version != "base"
            live = (await self._p.loras.serving(result.persona)).live
            self._tally.counts["fallbacks"] += live == BROKEN != result.lora_version

    def _fault(self, reason: str) -> None:
        self._tally.counts["failed"] += 1
        self._tally.trouble = [*self._tally.trouble, reason][-5:]


class Night:
    """Changes what personas speak with, all the time."""

    def __init__(self, p: Parts, personas: list[PersonaKey], versions: list[str], tally: Tally) -> None:
        self._p, self._personas, self._versions, self._tally = p, personas, versions, tally
        self._dice = random.Random(1)

    async def run(self) -> None:
        """Until cancelled."""
        acts = {"promotions": 6, "canaries": 2, "rollbacks": 2, "withdrawn": 1}
        while True:
            await asyncio.sleep(CHANGE)
            act = self._dice.choices([*acts], [*acts.values()])[0]
            await self._change(act, self._dice.choice(self._personas))
            self._tally.counts[act] += 1

    async def _change(self, act: str, persona: PersonaKey) -> None:
        loras, version = self._p.loras, self._dice.choice([*self._versions, BROKEN, BROKEN])
        if act == "promotions":
            await loras.promote(persona, version, "night")
        elif act == "canaries":
            await loras.canary(persona, version, self._dice.random())
        elif act == "rollbacks":
            await loras.rollback(persona)
        else:
            await loras.withdraw(persona, BROKEN)


def generator(settings: Settings, store: LoraStore, folder: Path) -> tuple[Engine, list[str]]:
    """The engine over a small model, and the versions in the store; one more of them is cut short."""
    loaded = talkative()
    shape = of(loaded.model, (loaded.ref,), settings.lora.targets, RANK)
    versions = write_loras(folder, shape, VERSIONS)
    (broken,) = write_loras(folder / "more", shape, 1)
    file = folder / "more" / broken / WEIGHTS
    file.write_bytes(file.read_bytes()[:1000])
    for version in versions:
        store.add(version, folder / version)
    store.add(BROKEN, folder / "more" / broken)
    return assemble(loaded, settings, store.folder, (loaded.ref,)), versions


def write_cards(folder: Path) -> list[str]:
    """Cards of a few words, whose replies are long and of all lengths: so room runs short while they are written."""
    folder.mkdir(parents=True)
    for number in range(CARDS):
        (folder / f"soak{number}.yaml").write_text(CARD.format(number), encoding="utf-8")
    return [f"soak{number}" for number in range(CARDS)]


async def choose_cards(p: Parts, bot: Bot, talkers: list[Talker]) -> list[PersonaKey]:
    """A card for each, by turns; who they talk to."""
    cards, personas = write_cards(p.folders[0]), []
    for number, talker in enumerate(talkers):
        scope = (await bot.persona(talker.message())).scope
        await p.personas.choose(ACCOUNT, scope, cards[number % len(cards)])
        personas.append(await bot.persona(talker.message()))
    return personas


async def watch(tally: Tally, began: float, seconds: float, engine: Engine) -> None:
    """Memory, and a line now and then. Until cancelled."""
    process, told = psutil.Process(), 0
    while True:
        await asyncio.sleep(min(1.0, seconds * SAMPLE / 4))
        share = (time.monotonic() - began) / seconds
        tally.rss.append((share, int(process.memory_info().rss)))
        if share * 20 > told:
            told += 1
            about, rss = engine.about(), tally.rss[-1][1] / 1e6
            say(f"{share:4.0%}  {rss:.0f} MB  {dict(tally.counts)}  yields {about['yielded']}  {tally.trouble}")


async def soak(url: str, home: Path, seconds: float) -> Tally:
    """All of it; afterwards everybody has been answered."""
    settings = Settings(
        home=home, attention=Attention(settle_seconds=0, quick_seconds=0), queue=QueueSettings(lease_seconds=10),
        lora=Lora(slots=SLOTS, rank=RANK), worker=Worker(batch=ROWS, step_tokens=512, kv_mb=KV_MB),
    )  # fmt: skip
    engine, versions = generator(settings, LoraStore(settings.lora_store, home / "cache"), home / "made")
    tally, mailbox = Tally(), Mailbox()
    async with parts(settings, url) as p:
        bot = p.engine()
        composer = Composer(p.conversations, p.ledger, p.personas, p.loras, engine, p.growth)
        server = Server(p.client, p.queue, composer, engine, ROWS, {"model": "soak"})
        delivery = Delivery(p.client, p.ledger, mailbox, ACCOUNT)
        talkers = [Talker(number, p, bot, mailbox, tally) for number in range(PEOPLE)]
        personas = await choose_cards(p, bot, talkers)
        began = time.monotonic()
        serving = asyncio.create_task(server.run())
        beside = [
            asyncio.create_task(work)
            for work in (
                delivery.run(),
                Night(p, personas, versions, tally).run(),
                watch(tally, began, seconds, engine),
            )
        ]
        try:
            await asyncio.gather(*(talker.talk(began + seconds) for talker in talkers))
        finally:
            server.stop()
            await serving
            for task in beside:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        tally.counts["yields"] = int(engine.about()["yielded"])
        tally.counts["seconds"] = round(time.monotonic() - began)
    return tally


def around(tally: Tally, share: float) -> float:
    """Median of the memory in the `SAMPLE` of the time before `share`, in megabytes."""
    return statistics.median(rss for at, rss in tally.rss if share - SAMPLE <= at <= share) / 1e6


def main() -> int:
    """The exit status: 1 if a request failed, or memory grew by more than 2 %."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    minutes = parser.parse_args().minutes
    logging.basicConfig(level=logging.ERROR)
    torch.set_num_threads(1)
    with RedisForBench() as redis, tempfile.TemporaryDirectory(prefix="limen-soak-") as home:
        tally = asyncio.run(soak(redis.url, Path(home), minutes * 60))
    before, after = around(tally, WARM_UP), around(tally, 1.0)
    growth = round((after / before - 1) * 100, 2)
    names = ("requests", "answered", "stopped", "failed", "promotions", "canaries", "rollbacks", "yields", "fallbacks")
    emit(
        {
            **{name: tally.counts[name] for name in names},
            "by_a_lora": tally.counts["by_a_lora"],
            "tokens_per_s": round(tally.counts["tokens"] / tally.counts["seconds"], 1),
            "rss_warm_mb": round(before, 1),
            "rss_end_mb": round(after, 1),
            "growth_percent": growth,
            "minutes": minutes,
        }
    )
    return 1 if tally.counts["failed"] or growth > 2 else 0


if __name__ == "__main__":
    sys.exit(main())
