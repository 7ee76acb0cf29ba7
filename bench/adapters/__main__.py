"""What platforms cost a bot process: `python -m bench.adapters`, a minute; `--soak MINUTES`: replies in bad weather.

CPU per event from the raw payload, as its platform sends it, to the queue of a real Redis (coalesced, as
`bench.events`), beside the library's own dispatch of the same payload to a listener that does nothing; and memory of
`limen run` with one platform and with all three. Rounds are interleaved, medians are reported; nothing else than this
process's CPU time is counted. What follows the queue (a typing sign, a reply) is not part of it.
"""

import argparse
import asyncio
import json
import logging
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from bench.adapters.dispatch import EVENTS, measure
from bench.adapters.memory import resident
from bench.adapters.payloads import payloads
from bench.adapters.ways import WAYS
from bench.adapters.weather import soak
from bench.report import RedisForBench, say, versions
from bots.assemble import parts
from core import config

REPEATS = 5
LIBRARIES = ("discord.py", "python-telegram-bot", "slack-bolt")
ALL = "all"

Figures = dict[str, dict[str, float]]


def options(args: list[str] | None = None) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.adapters", description=__doc__)
    parser.add_argument("--repeats", type=int, default=REPEATS, help=f"rounds of {EVENTS} events of each kind")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="instead: replies in bad weather, for so long")
    given = parser.parse_args(args)
    if given.repeats < 1 or (given.soak is not None and given.soak <= 0):
        parser.error("there is nothing to measure in no time")
    return given


async def run(url: str, home: Path, repeats: int) -> Figures:
    """All figures, by platform; `all` is a process with the three of them."""
    settings = config.load({"LIMEN_HOME": str(home), "REDIS_URL": url, "LIMEN_QUEUE__MAX_DEPTH": "1000000"})
    given, found = payloads()._asdict(), Figures()
    async with parts(settings, url) as p:
        for name, way in WAYS.items():
            say(f"{name}: from the payload to the queue")
            found[name] = await measure(p, way, given[name], repeats)
            say(f"  {found[name]}")
        for name in (*WAYS, ALL):
            names = list(WAYS) if name == ALL else [name]
            found.setdefault(name, {})["rss_mb"] = await resident(p, names)
            say(f"{name}: `limen run` holds {found[name]['rss_mb']} MB")
    return found


def main() -> int:
    """The exit status: 1 if the soak lost a reply, or said one where nobody had asked for it."""
    given = options()
    logging.basicConfig(level=logging.ERROR)
    with RedisForBench() as redis, tempfile.TemporaryDirectory() as home:
        if given.soak is not None:
            told = asyncio.run(soak(redis.url, Path(home), given.soak * 60))
            print(json.dumps({**told, "minutes": given.soak, "versions": _versions()}), flush=True)
            return int(any(told[name]["lost"] or told[name]["crossed"] for name in WAYS))
        found = asyncio.run(run(redis.url, Path(home), given.repeats))
    about = {"events": EVENTS, "repeats": given.repeats, "recorded": payloads().recorded}
    load = round(os.getloadavg()[0], 1)
    print(json.dumps({**found, **about, "load": load, "versions": _versions()}), flush=True)
    return 0


def _versions() -> dict[str, str]:
    return {**versions(), **{name: version(name) for name in LIBRARIES}}


if __name__ == "__main__":
    sys.exit(main())
