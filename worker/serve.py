"""The worker's day: claim → compose → generate in one batch → stream → complete. Knows no tensor; see `generator.py`.

The model steps in one thread beside the event loop; between two steps, jobs join, leave and are cancelled. A lost
lease, a lost Redis or a kill loses no job: what was not completed is somebody's again.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any

from core.errors import StaleLease, StoreError, StoreUnreachable
from core.jobs import Chunk, Done
from core.store import keys
from core.store.client import Client, patiently
from core.store.loras import Loras
from core.store.presence import Presence
from core.store.queue import Claim, Queue
from worker.asides import Asides
from worker.compose import Composer, finished, ruled, silent
from worker.ending import Ending, Running
from worker.feeling import Feelings
from worker.generator import Finished, Generator, Piece, Request
from worker.names import is_dead, worker_name
from worker.tasting import Tastes, whose

log = logging.getLogger("limen.worker")

FLUSH = 0.04  # seconds between two partial sends: 25 a second look fluent, and cost little
PATIENCE = 120.0
RETELL = keys.DAY / 4  # seconds until a fault that stands is told again


class Server:
    """Serves the queue with one generator. `run()` until `stop()`."""

    def __init__(
        self,
        client: Client,
        queue: Queue,
        composer: Composer,
        generator: Generator,
        most: int,
        about: dict[str, str | int | float],
        idle_seconds: float = 0.0,
        occupied: Callable[[], bool] = lambda: False,
        tastes: Tastes | None = None,
        feelings: Feelings | None = None,
    ) -> None:
        """`occupied`: something other than talk goes on here, so that it is no time to sleep. Without `tastes`, every
        reply is the first that comes; without `feelings`, nothing is felt beside it."""
        self._client, self._queue, self._composer, self._generator = client, queue, composer, generator
        self._most, self._about, self._idle_seconds, self._occupied = most, about, idle_seconds, occupied
        self._presence, self._loras = Presence(client), Loras(client)
        self._ending = Ending(tastes, feelings, self._add, generator.cancel)
        self._endings: set[asyncio.Task[None]] = set()
        self._faults: dict[str, tuple[str, float]] = {}  # LoRAs that we cannot load: why, and when we said so
        self._doubtful: set[str] = set()  # LoRAs that could not be loaded before we came
        self._proven: set[str] = set()  # of these, those that have spoken since
        self.name = worker_name()
        self._running: dict[str, Running] = {}
        self._claims: dict[str, Claim] = {}
        self._work = asyncio.Event()
        self.asides = Asides(generator, self._work.set)
        self._room = asyncio.Event()
        self._stopping = asyncio.Event()
        self._last_work = time.monotonic()
        self._rate = 0.0
        self.slept = False

    def stop(self) -> None:
        """Finish nothing more: give jobs back and return from `run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Serve until `stop`, or until nobody has needed us for `idle_seconds` (0: for ever)."""
        loops = (self._claim, self._step, self._flush, self._beat, self._hear_cancels, self._watch_idle)
        tasks = [asyncio.create_task(self._forever(loop), name=loop.__name__) for loop in loops]
        try:
            await patiently(self._inherit, PATIENCE)
            await self._stopping.wait()
        finally:
            tasks += self._endings
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._leave()

    async def _forever(self, loop: Any) -> None:
        """Run one loop for as long as we live, over every absence of Redis."""
        while True:
            try:
                await loop()
            except StoreUnreachable:
                await asyncio.sleep(0.2)
            except StoreError as error:
                log.error("%s: %s", loop.__name__, error)
                await asyncio.sleep(1.0)
            except Exception:  # a fault of ours must not leave a worker that only seems to work
                log.exception("%s", loop.__name__)
                await asyncio.sleep(1.0)

    async def _inherit(self) -> None:
        """Free at once what dead workers of this machine still hold. What could not be loaded then may be now."""
        self._doubtful = {fault.version for fault in await self._loras.faults()}
        gone = [name for name in await self._queue.holders() if is_dead(name)]
        if freed := await self._queue.disown(gone):
            log.warning("took %d jobs from workers that had died", freed)

    async def _leave(self) -> None:
        try:
            await self._queue.release(list(self._claims.values()))
            await self._presence.leave(self.name)
        except StoreError as error:  # the leases will run out by themselves
            log.warning("could not give jobs back: %s", error)

    async def _claim(self) -> None:
        while True:
            free = self._most - len(self._claims) - sum(max(0, one.left - 1) for one in self._running.values())
            if free <= 0:  # not at the bell: what it says is for workers that have room
                self._room.clear()
                await self._room.wait()
                continue
            claims, due = await self._queue.claim(self.name, free)
            for claim in claims:
                self._claims[claim.job.id] = claim
                self.asides.people(len(self._claims))
                await self._guard(claim, self._join(claim))
            if not claims:
                await self._queue.bell(min(due, 1.0) if due >= 0 else 1.0)
            self._last_work = time.monotonic() if self._claims else self._last_work

    async def _join(self, claim: Claim) -> None:
        """Put a claimed job into the batch."""
        ask = await self._composer.ask(claim)
        if ask is None:
            await self._complete(claim, silent(claim), [])
            return
        if done := ruled(ask):
            await self._complete(claim, done, self._composer.consequences(ask, done, ""))
            return
        running = await self._ending.begin(ask)
        if not self._is_ours(claim):
            return  # the lease was lost meanwhile
        self._running[ask.request.id] = running
        for request in running.requests:
            self._add(request)

    def _add(self, request: Request) -> None:
        self._generator.add(request)
        self._work.set()

    async def _guard(self, claim: Claim, act: Coroutine[Any, Any, None]) -> None:
        """The one place that catches wide: whatever goes wrong with a job, the job is not lost and others go on."""
        try:
            await act
        except StaleLease:
            log.warning("job %s was handed on before we were done", claim.job.id)
            self._let_go(claim)
        except StoreError as error:
            log.error("job %s: %s; its lease will run out", claim.job.id, error)
            self._let_go(claim)
        except Exception as error:
            log.exception("job %s failed", claim.job.id)
            await self._fail(claim, f"{type(error).__name__}: {error}")

    def _let_go(self, claim: Claim) -> None:
        """A job is no longer ours: there is room for another one. We may have claimed it anew meanwhile."""
        if self._is_ours(claim):
            del self._claims[claim.job.id]
            self.asides.people(len(self._claims))
        self._room.set()

    def _is_ours(self, claim: Claim) -> bool:
        now = self._claims.get(claim.job.id)
        return now is not None and now.fence == claim.fence

    async def _fail(self, claim: Claim, reason: str) -> None:
        self._let_go(claim)
        try:
            await self._queue.fail(claim, reason)
        except StoreError as error:
            log.error("job %s: %s; its lease will run out", claim.job.id, error)

    async def _step(self) -> None:
        while True:
            await self._work.wait()
            began = time.monotonic()
            events = await asyncio.to_thread(self._generator.step)
            for event in events:
                await self._take(event)
            self._measure(events, time.monotonic() - began)
            if not self._generator.active:
                self._work.clear()

    async def _take(self, event: Piece | Finished) -> None:
        if self._ending.hear(event):
            return
        running = self._running.get(whose(event.id))
        if running is None:
            self.asides.took(event)
            return
        if isinstance(event, Piece):
            running.hear(event)
            return
        running.ends[event.id] = event
        if running.ended and self._is_ours(running.ask.claim):
            for request in self._ending.again(running):
                self._add(request)
        if not running.ended:
            return
        end = self._guard(running.ask.claim, self._end(running))
        if self._ending.is_quick(running):
            await end
        else:  # to pick and to feel takes a moment, and others talk meanwhile
            self._endings.add(task := asyncio.create_task(end))
            task.add_done_callback(self._endings.discard)

    async def _end(self, running: Running) -> None:
        claim, done = running.ask.claim, None
        try:
            ask, end = await self._ending.picked(running)
            came_to_nothing = end.finish == "error" or (end.finish == "cancelled" and not end.text.strip())
            if self._is_ours(claim) and not came_to_nothing:
                done = await self._ending.beside(ask, finished(ask, end))
        finally:
            self._running.pop(running.ask.request.id, None)
        if not self._is_ours(claim):
            return  # the lease was lost meanwhile, or the job is gone
        if done is None:
            await self._fail(claim, end.error or "stopped")
            return
        self._proven |= {end.lora} & self._doubtful
        await self._complete(claim, done, self._composer.consequences(ask, done, str(self._about.get("model", ""))))

    async def _complete(self, claim: Claim, done: Done, effects: list[Any]) -> None:
        try:
            await patiently(lambda: self._queue.complete(claim, done, effects), PATIENCE)
        finally:
            self._let_go(claim)

    async def _flush(self) -> None:
        """Pass partial text on, a few times a second and not at every token."""
        while True:
            await asyncio.sleep(FLUSH)
            for running in [r for r in self._running.values() if len(r.text) > r.told]:
                await self._tell(running)

    async def _tell(self, running: Running) -> None:
        ask, text = running.ask, running.text
        first = running.told == 0
        chunk = Chunk(
            job=ask.job.id, reply_id=ask.job.reply_id, fence=ask.claim.fence, offset=running.told,
            text=text[running.told :], place=ask.job.place if first else None,
            answers=tuple(line.id for line in ask.new) if first else (),
        )  # fmt: skip
        self._obey(ask.claim, await self._queue.publish(ask.claim, chunk))
        running.told = len(text)

    def _obey(self, claim: Claim, word: str) -> None:
        """`cancel`: somebody wants it stopped. `stale`: it is another worker's now."""
        if word == "stale":
            self._let_go(claim)
        if word in ("stale", "cancel"):
            for running in [one for one in self._running.values() if one.ask.claim is claim]:
                self._cancel(running)

    def _cancel(self, running: Running) -> None:
        running.stopped = True
        for request in running.requests:
            self._generator.cancel(request.id)

    async def _beat(self) -> None:
        while True:
            await self._presence.beat(self.name, self._state())
            await self._tell_faults()
            claims = list(self._claims.values())  # also those that are still being composed, which may take long
            for claim, word in zip(claims, await self._queue.beat(claims) if claims else [], strict=True):
                self._obey(claim, word)
            await asyncio.sleep(min(3.0, self._queue.limits.lease / 4))

    async def _tell_faults(self) -> None:
        """LoRAs that could not be loaded are known to everybody, until they can. What stands is told again before it is
        forgotten, for as long as somebody is to speak with it."""
        faults, now = self._generator.faults(), time.monotonic()
        told = {version: self._faults[version] for version in faults.keys() & self._faults.keys()}
        new = {version for version, reason in faults.items() if version not in told or told[version][0] != reason}
        old = {version for version, (_, at) in told.items() if now - at > RETELL} - new
        for version in new | (old & await self._loras.wanted() if old else set()):
            await self._loras.faulty(version, faults[version])
        for version in (self._faults.keys() | self._proven) - faults.keys():
            await self._loras.mended(version)
            self._doubtful.discard(version)
            self._proven.discard(version)
        self._faults = {**told, **{version: (faults[version], now) for version in new | old}}

    def _state(self) -> dict[str, str | int | float]:
        """What `limen status` shows."""
        now: dict[str, str | int | float] = {
            "state": "ready",
            "jobs": len(self._claims),
            "tokens_per_s": round(self._rate, 1),
        }
        return {**self._about, **self._generator.about(), **now}

    async def _hear_cancels(self) -> None:
        async for job in self._client.listen(keys.CANCELS.pattern):
            for running in list(self._running.values()):
                if running.ask.job.id == job.decode():
                    self._cancel(running)

    async def _watch_idle(self) -> None:
        while self._idle_seconds:
            await asyncio.sleep(min(5.0, self._idle_seconds / 2))
            busy = self._claims or self._occupied() or await self._presence.anyone()
            self._last_work = time.monotonic() if busy else self._last_work
            if time.monotonic() - self._last_work > self._idle_seconds:
                log.info("nobody has talked for %.0f s: going to sleep", self._idle_seconds)
                self.slept = True
                self.stop()
        await asyncio.Event().wait()

    def _measure(self, events: list[Piece | Finished], seconds: float) -> None:
        made = sum(isinstance(event, Piece) for event in events)
        self._rate += 0.05 * (made / max(seconds, 1e-6) - self._rate)
