"""How processes live and die: whoever needs Redis or a worker brings it up, keeps it up, and leaves it behind.

Both are detached and outlive their starter; they stop by themselves when nobody has talked for a while, or with
`limen down`. A worker holds a lock on its home for as long as it lives: that, and not a pid, says that there is one.
"""

import asyncio
import fcntl
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from bots.assemble import parts
from bots.collisions import ROOT
from core.config import as_variables
from core.errors import LimenError, MissingExtra, ModelError, StoreError
from core.settings import Settings
from core.store import server

Tell = Callable[[str], None]
log = logging.getLogger("limen.worker")


async def ensure_redis(settings: Settings) -> str:
    """The URL of a Redis that answers: `REDIS_URL`, or the embedded one, started if need be. Raises StoreError."""
    return settings.redis_url or await asyncio.to_thread(server.ensure, settings.home)


async def redis_url_if_any(settings: Settings) -> str:
    """The same, but empty where this home has never had a Redis. Raises StoreError."""
    return await ensure_redis(settings) if settings.redis_url or server.known(settings.home) else ""


async def redis_url_if_running(settings: Settings) -> str:
    """The URL of the Redis of this home if it is up; starts nothing."""
    if settings.redis_url:
        return settings.redis_url
    info = await asyncio.to_thread(server.running, settings.home)
    return await asyncio.to_thread(server.ensure, settings.home) if info else ""


class Child:
    """A process that we started and that may outlive us."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._status: int | None = None

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._status = os.waitstatus_to_exitcode(status) if pid else None
        return self._status


async def ensure_worker(settings: Settings, url: str) -> Child | None:
    """Start a worker for this home unless one lives, here or (shared Redis) anywhere. The new process, or None."""
    if worker_pid(settings.home) or (settings.redis_url and await _served_elsewhere(settings, url)):
        return None
    return await asyncio.to_thread(start_worker, settings)


async def _served_elsewhere(settings: Settings, url: str) -> bool:
    async with parts(settings, url) as p:
        return any(float(about["seen"]) < 15 for about in (await p.presence.workers()).values())


def start_worker(settings: Settings) -> Child:
    """Start a worker, detached. If one lives already, the new one leaves quietly."""
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    trouble(settings.home).unlink(missing_ok=True)
    with log_file(settings.home).open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "bots", "--home", str(settings.home), "worker", "--background"],
            cwd=ROOT, env={**os.environ, **as_variables(settings)}, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    process.returncode = 0  # Popen would complain that it outlives us; `Child` asks for the real one
    return Child(process.pid)


async def keep_up(settings: Settings, url: str, tell: Tell = lambda _: None, pause: float = 1.0) -> None:
    """Bring Redis and the worker back whenever they die, until cancelled. `tell` hears what people should know.

    A worker that cannot start is tried again ever more rarely, and its reason is told once.
    """
    wait, next_try, told = pause, 0.0, ""
    child: Child | None = None
    while True:
        with suppress(StoreError):
            await ensure_redis(settings)
            status = child.poll() if child else None
            if status and status > 0:  # it gave up by itself; one that was killed (negative) just gets a successor
                wait = min(wait * 2, 30.0)
                next_try = time.monotonic() + wait
                told = _tell_trouble(settings.home, tell, told)
                child = None
            starting = child is not None and child.poll() is None
            if not starting and time.monotonic() >= next_try:
                child = await ensure_worker(settings, url)
        await asyncio.sleep(pause)


def _tell_trouble(home: Path, tell: Tell, told: str) -> str:
    written = trouble(home).read_text(encoding="utf-8") if trouble(home).exists() else ""
    reason = written or f"the worker stopped by itself\n  → its log says why: {log_file(home)}"
    if reason != told:
        tell(reason)
    return reason


async def fetch_model(settings: Settings) -> None:
    """Fetch the model, with a progress bar in this terminal, unless it is at hand or a server has it; so the embedder.

    Raises LimenError; not for the embedder, without which people can talk all the same.
    """
    from worker import fetch

    if settings.model.engine != "openai" and not fetch.at_hand(
        settings.model.ref, settings.model.fallback, settings.worker.cache
    ):
        try:
            await asyncio.to_thread(fetch.obtain, settings.model.ref, settings.model.fallback, settings.worker.cache)
        except ImportError as error:
            raise incomplete(error) from error
    if not fetch.embedder_at_hand(settings.embedder, settings.worker.cache):
        with suppress(ModelError, ImportError):  # the worker tries again, and tells what is missing
            await asyncio.to_thread(fetch.obtain_embedder, settings.embedder, settings.worker.cache)


def incomplete(error: ImportError) -> MissingExtra:
    """What to tell where a package is missing that the worker's extra brings."""
    return MissingExtra(f"the worker's packages are missing ({error})", "make install EXTRAS=worker")


async def down(settings: Settings, seconds: float = 20.0) -> list[str]:
    """Stop the workers and the embedded Redis of this home; a night ends with its worker. What stopped, in words."""
    stopped = []
    for lane, name in ((SERVES, "the worker"), (NIGHTS, "the worker of nights")):
        if pid := worker_pid(settings.home, lane):
            await _stop(settings.home, lane, pid, seconds)
            stopped.append(name)
    if not settings.redis_url and await asyncio.to_thread(server.stop, settings.home):
        stopped.append("Redis")
    return stopped


async def _stop(home: Path, lane: str, pid: int, seconds: float) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    await _until(lambda: worker_pid(home, lane) != pid, seconds)
    if worker_pid(home, lane) == pid:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def keep_redis(settings: Settings) -> None:
    """Bring the embedded Redis back whenever it dies, until cancelled."""
    while True:
        try:
            await ensure_redis(settings)
        except StoreError as error:
            log.error("%s", explain(error))
        await asyncio.sleep(1.0)


async def _until(holds: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        await asyncio.sleep(0.05)


# One worker of each lane per home: the lock is held for its whole life and let go by the kernel, however it dies.
SERVES, NIGHTS = "worker", "nights"


@contextmanager
def worker_lock(home: Path, lane: str = SERVES) -> Iterator[bool]:
    """Hold the lock that says "the worker of this home lives". False if another one does."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _lock_file(home, lane) as file:
        if not _lock(file, seconds=1.0):
            yield False
            return
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield True


def _lock(file: IO[str], seconds: float) -> bool:
    """Take the lock. Tried for a moment: whoever only looks whether there is a worker holds it for an instant."""
    end = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > end:
                return False
            time.sleep(0.02)


def worker_pid(home: Path, lane: str = SERVES) -> int:
    """The pid of the worker that lives for this home; 0 if none does."""
    if not (home / f"{lane}.lock").exists():
        return 0
    with _lock_file(home, lane) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            written = file.read().strip()
            return int(written) if written.isdigit() else -1
    return 0


def _lock_file(home: Path, lane: str) -> IO[str]:
    return (home / f"{lane}.lock").open("a+", encoding="ascii")


def log_file(home: Path) -> Path:
    """Where the worker of this home writes what happens."""
    return home / "worker.log"


def trouble(home: Path) -> Path:
    """Where a worker that cannot start says why."""
    return home / "worker.error"


def explain(error: LimenError) -> str:
    """An error on two lines: what happened, what to do."""
    return f"{error}\n  → {error.hint}" if error.hint else str(error)
