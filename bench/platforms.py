"""Many rooms on three platforms at once: `python -m bench.platforms [--messages 20000] [--rooms 200] [--minutes M]`.

Servers of Discord, Telegram and Slack on this machine, a `limen run` for each, a worker that echoes. Somebody in every
room says one thing after the other, waits for each reply, and puts a thumb on every tenth. No reply may be lost, come
twice or come into another room; every thumb must be on record, on the reply it was given to; and no bot process may
grow by more than 2 % once it is warm. One that takes longer than a minute is late: the machine is too small for so many
rooms; one that has not come after ten is lost. With `--minutes` nothing more is said after so long.
"""

import argparse
import asyncio
import json
import logging
import math
import re
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections import Counter
from pathlib import Path

import psutil

from bench.adapters.memory import ended, platforms, started, tokens
from bench.adapters.ways import WAYS
from bench.adapters.weather import PATIENCE, Room, is_whole, rooms, word_of, worker
from bench.report import RedisForBench, say, versions
from bots.assemble import Parts, parts
from core import config
from core.feedback import standing
from core.store.ledger import message_key

MESSAGES, ROOMS = 20_000, 200
LIKED = 10  # of so many replies one
WARM_UP, SAMPLE = 0.3, 0.1  # shares of the messages: until memory must be flat, and over which it is measured
GROWTH = 2.0  # per cent
LATE, LOST = 60.0, 600.0  # seconds
# One without rules and greetings, who asks nobody for consent: nothing is said but replies.
CARD = "name: soak\ntitle: Soak\ndescription: You say what you hear.\n"
PLAIN = {"LIMEN_PERSONA": "soak", "LIMEN_CONSENT__ASK": "never"}
WORD = re.compile(r"tide[a-z]+[-\w]*?x\d+x")  # see `word_of`


class Tally:
    """What happened, by platform, and what the processes held meanwhile: (share of the messages, bytes)."""

    def __init__(self, messages: int) -> None:
        self.messages = messages
        none = {"said": 0, "late": 0, "lost": 0, "doubled": 0, "crossed": 0}
        self.counts: dict[str, Counter[str]] = {name: Counter(none) for name in WAYS}
        self.likes: list[tuple[Room, str]] = []
        self.rss: dict[str, list[tuple[float, int]]] = {name: [] for name in WAYS}

    @property
    def share(self) -> float:
        """Of all messages, what has been said."""
        return sum(counts["said"] for counts in self.counts.values()) / self.messages

    def growth(self, name: str) -> float:
        """Of a process since it was warm, in per cent."""
        whole = self.share or 1.0  # less than all of it, if time ran out
        return round((around(self.rss[name], whole) / around(self.rss[name], WARM_UP * whole) - 1) * 100, 2)


def around(rss: list[tuple[float, int]], share: float) -> float:
    """The median of what was held in the `SAMPLE` of the messages before `share`; what lies nearest if that is none."""
    near = [held for at, held in rss if share - SAMPLE <= at <= share]
    return statistics.median(near or [min(rss, key=lambda one: abs(one[0] - share))[1]])


def judge(shown: dict[str, str], word: str, room: Room) -> Counter[str]:
    """All that stands in a room, when it is empty but for the reply to `word`."""
    ours = [text for text in shown.values() if word in text]
    strangers = [text for text in shown.values() if word not in text]
    again = word_of(room, 0).removesuffix("0x")  # an older word of this room, answered once more
    return Counter(
        said=1,
        lost=not any(is_whole(text, word) for text in ours),
        doubled=max(0, len(ours) - 1) + sum(again in text for text in strangers),
        crossed=sum(again not in text and WORD.search(text) is not None for text in strangers),
    )


async def talk(room: Room, number: int, tally: Tally, patience: int, end: float) -> None:
    """So many things, one after the other, until the `end`. `patience`: replies until the first that is liked."""
    for at in range(1, number + 1):
        if time.monotonic() > end:
            return
        word, began = word_of(room, at), time.monotonic()
        room.say(word)
        while not any(is_whole(text, word) for text in room.shown().values()) and time.monotonic() < began + LOST:
            await asyncio.sleep(0.1)
        shown = room.shown()
        found = judge(shown, word, room)
        found["late"] = int(time.monotonic() > began + LATE)
        tally.counts[room.platform].update(found)
        if found["lost"] or found["doubled"] or found["crossed"]:
            say(f"{room.place}: to {word} it said {list(shown.values())}")
        if at % LIKED == patience % LIKED:
            for message in [message for message, text in shown.items() if is_whole(text, word)][:1]:
                room.like(message)
                tally.likes.append((room, message))
        room.forget()


async def watch(tally: Tally, bots: dict[str, Process]) -> None:
    """Memory, and a line now and then. Until cancelled."""
    processes, told = {name: psutil.Process(bot.pid) for name, bot in bots.items()}, 0
    while True:
        for name, process in processes.items():
            tally.rss[name].append((tally.share, int(process.memory_info().rss)))
        if tally.share * 20 > told:
            told += 1
            held = {name: round(rss[-1][1] / 1e6, 1) for name, rss in tally.rss.items()}
            say(f"{tally.share:4.0%}  {held} MB  { {name: dict(counts) for name, counts in tally.counts.items()} }")
        await asyncio.sleep(0.5)


async def forgotten_likes(p: Parts, tally: Tally) -> int:
    """Thumbs that are not on record a while after they were given."""
    missing, deadline = list(tally.likes), time.monotonic() + PATIENCE
    while missing and time.monotonic() < deadline:
        missing = [like for like in missing if not await _is_recorded(p, *like)]
        await asyncio.sleep(0.1)
    return len(missing)


async def _is_recorded(p: Parts, room: Room, message: str) -> bool:
    reply = await p.ledger.behind(message_key(room.account, room.place, message))
    entry = await p.ledger.get(reply) if reply else None
    return entry is not None and ["👍"] == [fact.emoji for fact in standing(entry.facts)]


async def soak(url: str, home: Path, messages: int, number: int, seconds: float) -> tuple[Tally, int]:
    """All of it; and how many thumbs got lost."""
    settings = config.load({"LIMEN_HOME": str(home), "REDIS_URL": url})
    tally, bots = Tally(messages), dict[str, Process]()
    async with parts(settings, url) as p, platforms() as fakes, worker(p):
        places = rooms(fakes, -(-number // len(WAYS)))[:number]
        try:
            for name in WAYS:
                (home / name / "personas").mkdir(parents=True)
                (home / name / "personas" / "soak.yaml").write_text(CARD, encoding="utf-8")
                environ = {**tokens(fakes), **PLAIN, "REDIS_URL": url, "LIMEN_HOME": str(home / name)}
                bots[name] = await started([name], environ)
            await fakes[0].wait(lambda: any(session.out for session in fakes[0].sessions.values()))
            watching = asyncio.create_task(watch(tally, bots))
            shares = [messages // number + (at < messages % number) for at in range(number)]
            talks = zip(places, shares, strict=True)
            end = time.monotonic() + seconds
            await asyncio.gather(*(talk(room, share, tally, at, end) for at, (room, share) in enumerate(talks)))
            forgotten = await forgotten_likes(p, tally)
            watching.cancel()
        finally:
            for bot in bots.values():
                await ended(bot)
    return tally, forgotten


def main() -> int:
    """The exit status: 1 if anything was lost, doubled or crossed, or a process grew."""
    parser = argparse.ArgumentParser(prog="python -m bench.platforms", description=__doc__)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--rooms", type=int, default=ROOMS)
    parser.add_argument("--minutes", type=float, default=math.inf, help="say nothing more after so long")
    given = parser.parse_args()
    if not 3 <= given.rooms <= given.messages:
        parser.error("there must be a room on each platform, and something said in all of them")
    logging.basicConfig(level=logging.ERROR)
    began = time.monotonic()
    with RedisForBench() as redis, tempfile.TemporaryDirectory(prefix="limen-platforms-") as home:
        tally, forgotten = asyncio.run(soak(redis.url, Path(home), given.messages, given.rooms, given.minutes * 60))
    total = sum(tally.counts.values(), Counter[str]())
    growth = {name: tally.growth(name) for name in WAYS}
    figures = {
        **{name: total[name] for name in ("said", "late", "lost", "doubled", "crossed")},
        "liked": len(tally.likes),
        "likes_lost": forgotten,
        "growth_percent": growth,
        "rss_mb": {name: round(around(tally.rss[name], tally.share) / 1e6, 1) for name in WAYS},
        "seconds": round(time.monotonic() - began),
        "rooms": given.rooms,
    }
    print(json.dumps({**figures, "versions": versions()}), flush=True)
    bad = total["lost"] + total["doubled"] + total["crossed"] + forgotten
    return int(bad > 0 or max(growth.values()) > GROWTH)


if __name__ == "__main__":
    sys.exit(main())
