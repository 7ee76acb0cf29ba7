"""What this machine has: memory, NVIDIA cards, and which torch is installed, found without importing it."""

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

import msgspec


class Gpu(msgspec.Struct, frozen=True):
    """An NVIDIA card. `memory` in bytes."""

    name: str
    memory: int


class Torch(msgspec.Struct, frozen=True):
    """The torch that is installed. `cuda` is the version it was built for; empty: it knows no NVIDIA card."""

    version: str
    cuda: str = ""


def memory() -> int:
    """Bytes of memory that could be had now; where the system does not say, all there is."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB$", Path("/proc/meminfo").read_text("ascii"), re.MULTILINE)
    except OSError:
        found = None
    return int(found[1]) * 1024 if found else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def gpus() -> list[Gpu]:
    """The NVIDIA cards whose driver answers."""
    tool = shutil.which("nvidia-smi")
    if not tool:
        return []
    query = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):  # a driver without a card, or none that works
        return []
    return [Gpu(name.strip(), int(mib) * 1024**2) for name, _, mib in _fields(answer)]


def _fields(answer: str) -> list[tuple[str, str, str]]:
    rows = [line.rpartition(",") for line in answer.splitlines()]
    return [row for row in rows if row[2].strip().isdigit()]


def torch() -> Torch | None:
    """Which torch is installed, read from its version file; None if there is none."""
    spec = importlib.util.find_spec("torch")
    if spec is None or not spec.origin:
        return None
    try:
        text = Path(spec.origin).with_name("version.py").read_text("utf-8")
    except OSError:
        return Torch("of an unknown version")
    return Torch(_quoted("__version__", text) or "of an unknown version", _quoted("cuda", text))


def _quoted(name: str, text: str) -> str:
    """The text that a line of Python gives to `name`."""
    found = re.search(rf"^{name}\b[^=\n]*=\s*['\"]([^'\"]+)['\"]", text, re.MULTILINE)
    return found[1] if found else ""
