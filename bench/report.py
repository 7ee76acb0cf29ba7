"""What every benchmark shares: a server as users get it, progress on stderr, and one JSON object last on stdout.

Knows nothing of what is measured.
"""

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import TracebackType

from core.store import server

Figure = str | int | float | bool


class RedisForBench:
    """An embedded server in a home of its own, with the durability that users get; `url` while the block lasts."""

    def __enter__(self) -> "RedisForBench":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server ends with us
        self._home = tempfile.TemporaryDirectory(prefix="limen-bench-")
        self.url = server.ensure(Path(self._home.name))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        server.stop(Path(self._home.name))
        self._home.cleanup()


class Spent:
    """Time between two points, in seconds: `cpu` of this process with all its threads, and `wall`."""

    def __enter__(self) -> "Spent":
        self._cpu, self._wall = time.process_time(), time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cpu, self.wall = time.process_time() - self._cpu, time.perf_counter() - self._wall


def versions() -> dict[str, str]:
    """What was measured with: Python, redis-py, the embedded server, and the number of cores."""
    said = subprocess.run([server.find_binary(), "--version"], capture_output=True, text=True, check=True).stdout
    name, _, number = said.split()[:3]
    return {
        "python": platform.python_version(),
        "redis-py": version("redis"),
        "server": f"{name} {number.removeprefix('v=')}",
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
    }


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of the values do not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def emit(figures: Mapping[str, Figure]) -> None:
    """Print the figures and what they were measured with, as one JSON object."""
    print(json.dumps({**figures, "versions": versions()}), flush=True)
