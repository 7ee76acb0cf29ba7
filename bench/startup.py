"""How soon a bot process is ready, and how much it holds: `python -m bench.startup`.

Measured in a fresh interpreter: from its start until settings are read, cards are loaded, Redis has answered and the
engine could take an event. It must not import torch.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.report import RedisForBench, emit
from bots.collisions import ROOT

RUNS = 5
CHILD = """
import time
began = time.clock_gettime(time.CLOCK_BOOTTIME)
import asyncio, json, os, sys
from bots.assemble import parts
from core import config
from core.delivery import Delivery
from core.intake import Intake
import adapters.console

async def ready():
    settings = config.load(os.environ)
    async with parts(settings, settings.redis_url) as p:
        engine = p.engine()
        p.desk(engine)
        await p.client.do("PING")
        Intake(engine.handle)
        p.card(settings.persona)

asyncio.run(ready())
started = int(open("/proc/self/stat").read().rsplit(")", 1)[1].split()[19]) / os.sysconf("SC_CLK_TCK")
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
print(json.dumps({
    "ready_s": time.clock_gettime(time.CLOCK_BOOTTIME) - started,
    "cpu_s": time.process_time(),
    "rss_mb": int(status["VmHWM"].split()[0]) / 1024,
    "imports_torch": "torch" in sys.modules or "transformers" in sys.modules,
}))
"""


def measure(url: str, home: Path) -> dict[str, float]:
    """One start in a fresh process."""
    environ = {**os.environ, "REDIS_URL": url, "LIMEN_HOME": str(home)}
    answer = subprocess.run(
        [sys.executable, "-c", CHILD], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    result: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Five starts, after one that warms the disk cache."""
    with RedisForBench() as redis, tempfile.TemporaryDirectory() as home:
        runs = [measure(redis.url, Path(home)) for _ in range(RUNS + 1)][1:]
    emit(
        {
            "ready_s": round(statistics.median(run["ready_s"] for run in runs), 3),
            "ready_s_worst": round(max(run["ready_s"] for run in runs), 3),
            "cpu_s": round(statistics.median(run["cpu_s"] for run in runs), 3),
            "rss_mb": round(max(run["rss_mb"] for run in runs), 1),
            "imports_torch": any(run["imports_torch"] for run in runs),
            "runs": RUNS,
        }
    )


if __name__ == "__main__":
    main()
