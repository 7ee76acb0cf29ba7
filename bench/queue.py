"""The queue under fire, and its speed: `python -m bench.queue`. Needs no model; takes about half a minute.

1. Three workers that are killed or frozen at random, a hog, files in the background and 60 small talks: nothing is
   lost, out of order or done twice, and nobody waits for the hog. What was completed is written down by effects of
   the completion itself, so a reply counts exactly when the queue says so.
2. From `submit` to the claim of a worker that waits in another process.
3. Jobs per second through submit (in batches of 50), claim and complete, over 200 conversations.
"""

import asyncio
import multiprocessing
import os
import random
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import pairwise
from multiprocessing.process import BaseProcess

from bench.report import Figure, RedisForBench, Spent, emit, percentile, say
from core.errors import StaleLease
from core.events import Person, PersonaKey, Place
from core.jobs import Done, Generate, Lane
from core.store import keys
from core.store.client import Client
from core.store.queue import Claim, Limits, Offer, Queue, decode_result

HOG, FILES, SMALL = 300, 100, 60
WORKERS, SLOTS = 3, 4
SERVICE = (0.005, 0.040)  # seconds that an answer takes
KILL_EVERY = (0.15, 0.45)
FREEZE = 0.25  # share of the hits that freeze a worker for longer than its lease, instead of killing it
ORDER = "bench:order"
STREAM = "bench"
# Workers die here all the time, so a lease is short, and a job may be hit more often than in real life.
HARD = Limits(depth=1000, line=HOG, lease=0.5, attempts=50, retry=0.0)
FAST = Limits(depth=100_000, line=1000)
PATIENCE = 20.0  # seconds without progress after which we give up
SAMPLES = 400
JOBS, TALKS, BATCH, AT_ONCE, HANDS = 15_000, 200, 50, 64, 2
TEXT = "A reply of the length that people get: three or four sentences, said in character. " * 4

spawn = multiprocessing.get_context("spawn")


def job(name: str, talk: str, lane: Lane = Lane.LIVE) -> Generate:
    """A job as bots make them."""
    place = Place("console", "local", talk)
    persona = PersonaKey("console:local", "mira", str(place))
    return Generate(
        id=name, reply_id=f"r{name}", persona=persona, conversation=persona.conversation(place), place=place,
        author=Person(f"console:local:{talk}", "Ada"), replies=STREAM, card_hash="0" * 64, events=(f"e{name}",),
        submitted=time.time(), lane=lane,
    )  # fmt: skip


def reply(claim: Claim, text: str) -> Done:
    """A reply as workers make them."""
    its = claim.job
    return Done(
        job=its.id, reply_id=its.reply_id, conversation=its.conversation, place=its.place, persona=its.persona,
        text=text, fence=claim.fence, answers=its.events, tokens=len(text) // 4,
    )  # fmt: skip


# What runs in the workers' processes.


async def toil(url: str, name: str, heirs_of: str) -> None:
    """Serve for ever, some jobs at once, as a real worker does: join, beat, complete. Expects to be killed."""
    client = Client(url)
    queue = Queue(client, HARD)
    await queue.disown([heirs_of] if heirs_of else [])
    held: dict[str, Claim] = {}
    tasks: set[asyncio.Task[None]] = set()

    async def answer(claim: Claim) -> None:
        await asyncio.sleep(random.uniform(*SERVICE))
        with suppress(StaleLease):
            await queue.complete(claim, reply(claim, TEXT), [("RPUSH", ORDER, claim.job.id)])
        held.pop(claim.job.id, None)

    async def beat() -> None:
        while True:
            await asyncio.sleep(HARD.lease / 4)
            await queue.beat(list(held.values()))

    tasks.add(asyncio.create_task(beat()))
    while True:
        claims, due = await queue.claim(name, SLOTS - len(held)) if len(held) < SLOTS else ([], 0.01)
        for claim in claims:
            held[claim.job.id] = claim
            task = asyncio.create_task(answer(claim))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        if not claims:
            await queue.bell(min(due, 0.05) if due >= 0 else 0.05)


async def echo(url: str, most: int) -> None:
    """Claim and complete as fast as possible; the reply tells when the job was claimed."""
    client = Client(url)
    queue = Queue(client, FAST)
    while True:
        claims, due = await queue.claim(f"echo{os.getpid()}", most)
        now = time.monotonic()  # the same clock in all processes of a machine
        await queue.complete_all([(claim, reply(claim, f"{now:.6f} {TEXT}"[:300]), ()) for claim in claims])
        if not claims:
            await queue.bell(min(due, 1.0) if due >= 0 else 1.0)


def run_toil(url: str, name: str, heirs_of: str) -> None:
    """The whole life of a worker that will be killed."""
    asyncio.run(toil(url, name, heirs_of))


def run_echo(url: str, most: int) -> None:
    """The whole life of a fast worker."""
    asyncio.run(echo(url, most))


@contextmanager
def hands(url: str, count: int, most: int) -> Iterator[None]:
    """Fast workers for as long as the block lasts."""
    crew = [spawn.Process(target=run_echo, args=(url, most), daemon=True) for _ in range(count)]
    for each in crew:
        each.start()
    try:
        yield
    finally:
        for each in crew:
            each.kill()
            each.join()


# 1. Under fire.


class Crew:
    """Three workers, and somebody who is after them."""

    def __init__(self, url: str) -> None:
        self.url, self.kills, self.freezes = url, 0, 0
        self._born = 0
        self._all: list[tuple[str, BaseProcess]] = [self._hire("") for _ in range(WORKERS)]

    def _hire(self, heirs_of: str) -> tuple[str, BaseProcess]:
        self._born += 1
        name = f"worker{self._born}"
        process = spawn.Process(target=run_toil, args=(self.url, name, heirs_of), daemon=True)
        process.start()
        return name, process

    async def hunt(self) -> None:
        """Until cancelled. Every other successor knows whom it follows; otherwise the lease must run out."""
        while True:
            await asyncio.sleep(random.uniform(*KILL_EVERY))
            at = random.randrange(WORKERS)
            name, process = self._all[at]
            assert process.pid
            if random.random() < FREEZE:
                self.freezes += 1
                os.kill(process.pid, signal.SIGSTOP)
                await asyncio.sleep(HARD.lease * 1.5)
                os.kill(process.pid, signal.SIGCONT)
            else:
                self.kills += 1
                process.kill()
                process.join()
                self._all[at] = self._hire(random.choice([name, ""]))

    def dismiss(self) -> None:
        """End them all."""
        for _, process in self._all:
            process.kill()
            process.join()


async def under_fire(url: str) -> dict[str, Figure]:
    """Everything is submitted, everybody is killed, and all is counted."""
    client = Client(url)
    queue = Queue(client, HARD)
    hog = [job(f"hog-{n:03}", "hog") for n in range(HOG)]
    files = [job(f"file{n % 20:02}-{n:03}", f"file{n % 20:02}", Lane.BACKGROUND) for n in range(FILES)]
    small = [job(f"small{n:02}-0", f"small{n:02}") for n in range(SMALL)]
    await queue.accept([Offer(job=each) for each in hog + files])
    crew = Crew(url)
    hunter = asyncio.create_task(crew.hunt())
    try:
        await _completed(client, 5)  # the hog is at it when the others come
        await queue.accept([Offer(job=each) for each in small])
        await _completed(client, HOG + FILES + SMALL)
    finally:
        hunter.cancel()
        await asyncio.gather(hunter, return_exceptions=True)
        crew.dismiss()
    order = [name.decode() for name in await client.do("LRANGE", ORDER, 0, -1)]
    told = await _told(client)
    await client.close()
    verdict = judge(order, told, [each.id for each in hog + files + small])
    return {**verdict, "kills": crew.kills, "freezes": crew.freezes}


async def _completed(client: Client, many: int) -> None:
    """Wait for so many completions, or until nothing has happened for long: then something is lost."""
    last, since = -1, time.monotonic()
    while last < many and time.monotonic() - since < PATIENCE:
        now = int(await client.do("LLEN", ORDER))
        if now != last:
            last, since = now, time.monotonic()
        await asyncio.sleep(0.02)


async def _told(client: Client) -> list[str]:
    entries = await client.read_stream(keys.REPLIES(STREAM), "0", 0.01, 1_000_000)
    return [result.job for _, body in entries if isinstance(result := decode_result(body), Done)]


def judge(order: Sequence[str], told: Sequence[str], wanted: Sequence[str]) -> dict[str, Figure]:
    """What the order of completions, and of the replies that were sent, proves."""
    talks: dict[str, list[str]] = defaultdict(list)
    for name in order:
        talks[name.split("-")[0]].append(name)
    hogs = [at for at, name in enumerate(order) if name.startswith("hog")]
    smalls = [at for at, name in enumerate(order) if name.startswith("small")]
    return {
        "jobs": len(wanted),
        "lost": len(set(wanted) - set(order)) + len(set(wanted) - set(told)),
        "out_of_order": sum(a > b for names in talks.values() for a, b in pairwise(names)),
        "completed_twice": sum(n - 1 for seen in (order, told) for n in Counter(seen).values()),
        "small_before_hog_60": len(smalls) == SMALL and len(hogs) >= 60 and smalls[-1] < hogs[59],
        "hogs_before_last_small": sum(at < smalls[-1] for at in hogs) if smalls else -1,
    }


# 2. and 3. Speed.


async def latency(url: str) -> dict[str, Figure]:
    """Milliseconds from before `submit` until a worker that waited has the job in hand."""
    client = Client(url)
    queue = Queue(client, FAST)
    submitted: dict[str, float] = {}
    with hands(url, 1, 8):
        for n in range(-20, SAMPLES):  # the first ones start the worker up
            each = job(f"lat{n}", f"lat{n % 7}")
            submitted[each.id] = time.monotonic()
            await queue.submit(each)
            async with asyncio.timeout(PATIENCE):
                while await queue.place(each.id) >= 0:
                    await asyncio.sleep(0.002)
    entries = await client.read_stream(keys.REPLIES(STREAM), "0", 0.01, 1_000_000)
    await client.close()
    claimed = {d.job: float(d.text.split()[0]) for _, body in entries if isinstance(d := decode_result(body), Done)}
    waits = [(claimed[f"lat{n}"] - submitted[f"lat{n}"]) * 1000 for n in range(SAMPLES)]
    return {
        "submit_claim_p50_ms": round(percentile(waits, 0.5), 3),
        "submit_claim_p99_ms": round(percentile(waits, 0.99), 3),
    }


async def throughput(url: str) -> dict[str, Figure]:
    """Jobs per second from the first submit to the last completion, and what a batch of submits costs a bot."""
    client = Client(url)
    queue = Queue(client, FAST)
    with hands(url, HANDS, AT_ONCE):
        await queue.accept([Offer(job=job(f"warm{n}", f"t{n}")) for n in range(HANDS * AT_ONCE)])
        await _empty(queue)
        jobs = [job(f"j{n}", f"t{n % TALKS}") for n in range(JOBS)]
        with Spent() as all_of_it:
            with Spent() as submitting:
                for n in range(0, JOBS, BATCH):
                    await queue.accept([Offer(job=each) for each in jobs[n : n + BATCH]])
            await _empty(queue)
    done = await client.do("XLEN", keys.REPLIES(STREAM))
    await client.close()
    return {
        "jobs_per_s": round(JOBS / all_of_it.wall) if done == JOBS + HANDS * AT_ONCE else 0,
        "submit_cpu_us": round(submitting.cpu / JOBS * 1e6, 1),
    }


async def _empty(queue: Queue) -> None:
    async with asyncio.timeout(PATIENCE):
        while (depths := await queue.depths()).live or depths.leased:
            await asyncio.sleep(0.01)


def main() -> int:
    """All three, each on a server of its own. The exit status: 1 if a promise is broken."""
    figures: dict[str, Figure] = {}
    for name, act in (("under fire", under_fire), ("submit to claim", latency), ("throughput", throughput)):
        with RedisForBench() as redis:
            found = asyncio.run(act(redis.url))
        say(f"{name}: {found}")
        figures |= found
    broken = [name for name in ("lost", "out_of_order", "completed_twice") if figures[name]]
    broken += [] if figures["small_before_hog_60"] else ["small_before_hog_60"]
    if broken:
        say(f"broken: {', '.join(broken)}")
    emit(figures)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
