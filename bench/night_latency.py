"""How long people wait while a night runs, beside how long they wait otherwise: `python -m bench.night_latency`.

A real worker, the real model and real Redis; two people talk, each waiting for every reply. The night is its heaviest
part, training on 300 rows, in a process with the threads and the niceness that nights have. Between two replies it is
stopped or goes on, by turns: so whatever else the machine does falls on both times alike.
"""

import argparse
import asyncio
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
from msgspec.structs import replace

from bench.report import RedisForBench, emit, percentile, say
from bench.soak import Mailbox
from bots import up
from bots.assemble import Parts, parts
from bots.collisions import ROOT
from core import config
from core.delivery import Delivery
from core.engine import Act
from core.errors import LimenError
from core.events import Addressed, Message, Person, Place
from core.jobs import Done
from core.settings import Settings
from worker.night.child import Child, capped, die_with_parent, last_in_line, threads

ACCOUNT = "discord:bench"
PEOPLE, ROWS = 2, 300
GOAL = 2.5
WORDS = ("tide", "gull", "harbour", "lantern", "biscuit", "orchard", "thunder", "ribbon", "marble", "fennel", "walnut")
CARD = """\
name: bench
title: Bench
description: You are a sailor who answers at length, with one story after the other.
sampling: {temperature: 1.0, max_tokens: 60}
"""


def learn() -> None:
    """The child: train until ended."""
    die_with_parent()
    last_in_line()
    few = threads(0)
    from worker.model import load
    from worker.night.base import prepare
    from worker.night.rows import Row
    from worker.night.train import Rated, Recipe, train

    settings = config.load(os.environ)
    loaded = load(replace(settings, model=replace(settings.model, threads=few)))
    base = prepare(loaded, (loaded.ref,), settings.lora.targets, settings.lora.rank)
    dice = random.Random(0)
    rated = [Rated(Row(_tokens(dice, 80, loaded.tokenizer), _tokens(dice, 40, loaded.tokenizer)), dice.random() < 0.3)
             for _ in range(ROWS)]  # fmt: skip
    print("learning", flush=True)
    while True:
        train(base, rated, rated[:32], Recipe(), "bench/1")


def _tokens(dice: random.Random, count: int, tokenizer: "object") -> tuple[int, ...]:
    ids: list[int] = tokenizer.encode(" ".join(dice.choices(WORDS, k=count)))  # type: ignore[attr-defined]
    return tuple(ids[:count])


@asynccontextmanager
async def night(settings: Settings) -> AsyncIterator[psutil.Process]:
    """Training beside us, for as long as the block lasts."""
    log = settings.home / "night.log"
    log.unlink(missing_ok=True)
    environ = {**os.environ, **config.as_variables(settings), **capped(threads(0))}
    child = await Child.start([sys.executable, "-m", "bench.night_latency", "--learn"], ROOT, environ, log)
    try:
        while not log.exists() or b"learning" not in log.read_bytes():
            await asyncio.sleep(0.1)
            if child.ended:
                raise LimenError(await child.trouble())
        yield psutil.Process(child.pid)
    finally:
        await child.end()


class Talk:
    """People who talk, one thing after the other, and how long they waited: to the end of each reply."""

    def __init__(self, p: Parts) -> None:
        self._engine, self._mailbox = p.engine(settle=False), Mailbox()
        self._dice, self._said = random.Random(1), 0
        self.delivery = Delivery(p.client, p.ledger, self._mailbox, ACCOUNT)

    async def turns(self, count: int) -> list[float]:
        """So many replies to each, in seconds per 60 tokens' reply."""
        waited = await asyncio.gather(*(self._person(number, count) for number in range(PEOPLE)))
        return [seconds for one in waited for seconds in one]

    async def _person(self, number: int, count: int) -> list[float]:
        waited = []
        for _ in range(count):
            self._said += 1
            place = Place("discord", "bench", f"room{number}-{self._said}")  # a new room: prompts of one length
            message = Message(
                id=f"m{self._said}", account=ACCOUNT, place=place, author=Person(f"discord:bench:{number}"),
                time=time.time(), text=" ".join(self._dice.choices(WORDS, k=12)), addressed=Addressed.MENTION,
            )  # fmt: skip
            began = time.perf_counter()
            outcome = await self._engine.on_message(message)
            assert outcome.act == Act.QUEUED, outcome
            result = await self._mailbox.expect(outcome.reply_id)
            assert isinstance(result, Done), result
            waited.append((time.perf_counter() - began) * 60 / max(result.tokens, 1))
        return waited


async def measure(settings: Settings, url: str, turns: int) -> dict[str, float | int]:
    """A turn without the night, a turn with it."""
    waits: dict[bool, list[float]] = {False: [], True: []}
    computed = lasted = 0.0
    await asyncio.to_thread(up.start_worker, settings)
    async with parts(settings, url) as p, night(settings) as process:
        talk = Talk(p)
        carried = asyncio.create_task(talk.delivery.run())
        await talk.turns(3)  # warm
        for number in range(2 * turns):
            dark = number % 2 == 1
            process.send_signal(signal.SIGCONT if dark else signal.SIGSTOP)
            began, before = time.perf_counter(), process.cpu_times().user
            waits[dark] += await talk.turns(1)
            computed += process.cpu_times().user - before
            lasted += (time.perf_counter() - began) * dark
            if number % 10 == 9:
                seen = [percentile(waits[dark], 0.95) for dark in waits]
                say(f"{number + 1} of {2 * turns} turns: p95 {seen[0]:.2f} s idle, {seen[1]:.2f} s at night")
        process.send_signal(signal.SIGCONT)
        carried.cancel()
    idle, busy = waits[False], waits[True]
    return {
        "p95_idle_s": round(percentile(idle, 0.95), 3),
        "p95_night_s": round(percentile(busy, 0.95), 3),
        "median_idle_s": round(percentile(idle, 0.5), 3),
        "median_night_s": round(percentile(busy, 0.5), 3),
        "p95_ratio": round(percentile(busy, 0.95) / percentile(idle, 0.95), 2),
        "goal_p95_ratio": GOAL,
        "replies": len(idle) + len(busy),
        "night_cores": round(computed / lasted, 2),  # what people leave to it
        "threads_of_the_night": threads(0),
    }


def main() -> None:
    """Until everybody has had their turns."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--turns", type=int, default=40, help="replies to each of two people, idle and at night")
    asked.add_argument("--learn", action="store_true", help=argparse.SUPPRESS)
    given = asked.parse_args()
    if given.learn:
        learn()
    with RedisForBench() as redis, tempfile.TemporaryDirectory() as home:
        cards = Path(home) / "personas"
        cards.mkdir()
        (cards / "bench.yaml").write_text(CARD, encoding="utf-8")
        wanted = {"LIMEN_PERSONA": "bench", "LIMEN_NIGHT__ENABLED": "false", "REDIS_URL": redis.url}
        settings = config.load({**os.environ, **wanted}, home=Path(home))
        try:
            figures = asyncio.run(measure(settings, redis.url, given.turns))
        finally:
            asyncio.run(up.down(settings))
    emit(figures)


if __name__ == "__main__":
    main()
