"""The process that a night runs in: last in line for the CPU, with a cap on its threads, and gone when its parent is.

The parent keeps one end of a pipe that is the child's standard input. However the parent dies, the kernel closes it,
and the child, which listens, ends itself: nobody trains for hours whom nobody waits for.
"""

import asyncio
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

GRACE = 5.0  # seconds to give leases back
LAST = 2000  # bytes of the log in which a reason is looked for
CAPS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


class Child:
    """A night's process, with a process group of its own. Its log is the reason where it fails."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process, self._log = process, log
        self.pid = process.pid

    @classmethod
    async def start(cls, argv: Sequence[str], folder: Path, environ: Mapping[str, str], log: Path) -> "Child":
        """Start it in `folder`; what it says goes into `log`. Raises OSError."""
        log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with log.open("ab") as file:
            process = await asyncio.create_subprocess_exec(
                *argv, cwd=folder, env=environ, start_new_session=True,
                stdin=asyncio.subprocess.PIPE, stdout=file, stderr=file,
            )  # fmt: skip
        return cls(process, log)

    @property
    def ended(self) -> bool:
        """Is it gone?"""
        return self._process.returncode is not None

    async def trouble(self) -> str:
        """Wait for its end. What went wrong, in words; empty if nothing did."""
        status = await self._process.wait()
        if status == 0:
            return ""
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        said = "" if status < 0 else f" ({_last_line(self._log)})"
        return f"its process {how}{said}; {self._log} says more"

    async def end(self) -> None:
        """End it, with everything that it started; by force if it does not listen."""
        try:
            self._send(signal.SIGTERM)
            async with asyncio.timeout(GRACE):
                await self._process.wait()
        except TimeoutError:
            self._send(signal.SIGKILL)
            await self._process.wait()
        finally:
            self._send(signal.SIGKILL)

    def _send(self, sign: signal.Signals) -> None:
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, sign)


def _last_line(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LAST))
            lines = file.read().decode("utf-8", "replace").split("\n")
    except OSError:
        return "its log cannot be read"
    told = (line.strip() for line in reversed(lines) if line.strip())
    return next((line for line in told if not line.startswith("→")), "it said nothing")  # the reason, not the advice


def threads(wanted: int) -> int:
    """How many threads training may have; 0: half of the cores that are ours, for people come first."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return wanted or max(1, cores // 2)


def capped(count: int) -> dict[str, str]:
    """The variables that keep libraries of numbers to so many threads; they are read when torch is imported."""
    return dict.fromkeys(CAPS, str(count))


def last_in_line() -> None:
    """Let everybody else go first: this thread and those that it starts on Linux, elsewhere the process."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, 19)


def compute_behind(loop: asyncio.AbstractEventLoop) -> None:
    """What this loop computes in threads goes last: talk, in this process and in others, goes first."""
    loop.set_default_executor(ThreadPoolExecutor(4, "night", initializer=last_in_line))


def die_with_parent() -> None:
    """In the child: end, with everything that we started, as soon as nobody holds the other end of our input."""
    threading.Thread(target=_watch, daemon=True, name="parent").start()


def _watch() -> None:
    while sys.stdin.buffer.read(1024):
        pass
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
