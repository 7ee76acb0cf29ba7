"""What one event costs a bot process in CPU: `python -m bench.events`.

Console-shaped messages of 1 kB go through intake (batches of up to 50, or 2 ms) and engine into the queue of a real
Redis. Beside it, the same messages in a channel where nobody called us: kept in history, no job. Microseconds of
this process's CPU time per event; the server's own are given too. Repeats are interleaved, medians are reported.
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from bench.report import RedisForBench, emit
from bots.assemble import Parts, parts
from core import config
from core.engine import Act
from core.events import Kind, Message, Person, Place
from core.intake import Intake

EVENTS = 4000
PEOPLE = 400
REPEATS = 5
TEXT = ("The tide is out and the gulls are loud down by the harbour today. " * 20)[:1024]


def message(number: int, kind: Kind) -> Message:
    """A message of 1 kB, by one of 400 people, each in a place of their own."""
    who = number % PEOPLE
    person = Person(f"console:local:{who}", f"Person {who}")
    place = Place("console", "local", f"room-{who}", kind=kind)
    return Message(id=f"m{number}", account="console:local", place=place, author=person, time=time.time(), text=TEXT)


async def server_cpu(p: Parts) -> float:
    """Seconds of CPU that the Redis server has used."""
    info = await p.client.do("INFO", "cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


async def measure(p: Parts, kind: Kind, expected: Act) -> tuple[float, float]:
    """Microseconds of CPU per event: (this process, the Redis server)."""
    await p.client.do("FLUSHALL")
    intake = Intake(p.engine(settle=False).handle)
    running = asyncio.create_task(intake.run())
    events = [message(number, kind) for number in range(EVENTS)]
    before, server_before = time.process_time(), await server_cpu(p)
    outcomes = await asyncio.gather(*(intake.put(event) for event in events))
    spent, server_spent = time.process_time() - before, await server_cpu(p) - server_before
    running.cancel()
    wrong = [outcome.act for outcome in outcomes if outcome.act not in (expected, Act.MERGED)]
    assert not wrong, f"{len(wrong)} events were not {expected}: {set(wrong)}"
    return spent / EVENTS * 1e6, server_spent / EVENTS * 1e6


async def run(url: str, home: Path) -> dict[str, float]:
    """All repeats, the two kinds by turns."""
    settings = config.load({"LIMEN_HOME": str(home), "REDIS_URL": url, "LIMEN_QUEUE__MAX_DEPTH": "1000000"})
    rows: dict[str, list[tuple[float, float]]] = {"answered": [], "ignored": []}
    async with parts(settings, url) as p:
        for _ in range(REPEATS + 1):
            rows["answered"].append(await measure(p, Kind.DM, Act.QUEUED))
            rows["ignored"].append(await measure(p, Kind.CHANNEL, Act.HEARD))

    def median(name: str, at: int) -> float:
        return round(statistics.median(row[at] for row in rows[name][1:]), 1)

    return {
        "cpu_us_per_event": median("answered", 0),
        "cpu_us_per_ignored_event": median("ignored", 0),
        "server_cpu_us_per_event": median("answered", 1),
        "server_cpu_us_per_ignored_event": median("ignored", 1),
        "events": EVENTS,
        "bytes_per_event": len(TEXT),
        "repeats": REPEATS,
    }


def main() -> None:
    """Against an embedded server of its own."""
    with RedisForBench() as redis, tempfile.TemporaryDirectory() as home:
        emit(asyncio.run(run(redis.url, Path(home))))


if __name__ == "__main__":
    main()
