"""The Redis of one home: started when it is needed, found again by everyone who comes later, ended on request.

Knows the folder `home/redis` (ours alone), its start lock and where its socket is; `spawn.py` knows the process,
`probe.py` the socket, `damage.py` the files. Never TCP. All calls block: from a coroutine, `asyncio.to_thread`.
"""

import hashlib
import os
import shutil
import stat
import time
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from urllib.parse import quote

import msgspec
import redis.exceptions as rx

from core.errors import StoreError, StoreUnreachable
from core.store import damage, spawn
from core.store.damage import Damage
from core.store.probe import Info, ask, listens, probe
from core.store.spawn import find_binary
from core.store.trouble import explained, full, refusal

__all__ = ["Info", "Salvage", "ensure", "find_binary", "known", "running", "set_aside", "stop"]

LONGEST_SOCKET = 100  # bytes; the kernel takes 107 on Linux, 103 on macOS
SHORT = Path("/tmp")  # not `$TMPDIR`: that differs between shells, and all must come to the same socket


class Salvage(msgspec.Struct, frozen=True):
    """What `set_aside` did: the untouched `copy` (None: there was no damage), where it cut, how many `keys` remain."""

    copy: Path | None
    cuts: tuple[Damage, ...]
    keys: int


def ensure(home: Path, binary: Path | None = None, timeout: float = 120.0) -> str:
    """The `unix://` URL of a live server for `home`, which is started (`binary`, else `find_binary()`) if need be.

    However many call at once, one server starts. Raises StoreDamaged, StoreFull, StoreUnreachable.
    """
    folder = _folder(home)
    with explained(folder):
        where = _socket(folder)
        found = probe(where, folder)
        if not found or found.loading:
            _prepare(folder, where)
            end = time.monotonic() + timeout
            with _alone(folder, timeout):
                _start(folder, where, binary, end)
    return f"unix://{quote(str(where))}"


def known(home: Path) -> bool:
    """Has `home` ever had a server?"""
    return _folder(home).is_dir()


def running(home: Path) -> Info | None:
    """The server of `home`, if it lives. Raises StoreUnreachable if something else answers there."""
    folder = _folder(home)
    with explained(folder):
        return probe(_socket(folder), folder) if folder.is_dir() else None


def stop(home: Path, timeout: float = 20.0) -> bool:
    """End the server of `home` and wait until it is gone; False if there was none.

    Raises StoreUnreachable if it is still there after `timeout` seconds, or is not ours; StoreFull, and lets it live,
    while a full disk keeps it from writing what it acknowledged last.
    """
    folder = _folder(home)
    if not folder.is_dir():
        return False
    with explained(folder), _alone(folder, timeout):
        found = probe(_socket(folder), folder)
        if not found and not spawn.alive(folder):
            return False
        if found and found.unwritten:
            raise full(folder, "its server's last writes are only in memory", "free some space, then end it")
        _end(folder, found, timeout)
    return True


def set_aside(home: Path, binary: Path | None = None, timeout: float = 120.0) -> Salvage:
    """Copy a damaged log to `home/redis/aside-<UTC>`, keep what stands before the damage, and start the server on it.

    Raises StoreError if a server runs or there is no log, and what `ensure` raises.
    """
    folder = _folder(home)
    with explained(folder):
        where = _socket(folder)
        _prepare(folder, where)
        with _alone(folder, timeout):
            if probe(where, folder) or spawn.alive(folder) or not (folder / damage.LOG).is_dir():
                raise StoreError(f"nothing in {folder} is damaged", "go on as usual: there is nothing to set aside")
            return _salvage(folder, where, binary or find_binary(), time.monotonic() + timeout)


def _salvage(folder: Path, where: Path, binary: Path, end: float) -> Salvage:
    copy = folder / time.strftime("aside-%Y%m%dT%H%M%SZ", time.gmtime())
    shutil.copytree(folder / damage.LOG, copy / damage.LOG)
    cuts: list[Damage] = []
    while said := _attempt(folder, where, binary, end):
        found = _damage(folder, said)
        if not found or found in cuts:  # cutting does not help: only a person can
            raise refusal(folder, said, None)
        damage.cut(found)
        cuts.append(found)
    if not cuts:
        shutil.rmtree(copy)
    info = probe(where, folder)
    return Salvage(copy if cuts else None, tuple(cuts), info.keys if info else 0)


def _folder(home: Path) -> Path:
    """The real path: whoever comes by a symlink must come to the same server."""
    return Path(os.path.realpath(home)) / "redis"


def _socket(folder: Path) -> Path:
    """In the folder; where its path is too long for the kernel, in a private folder of `SHORT`."""
    near = folder / "redis.sock"
    if len(os.fsencode(near)) <= LONGEST_SOCKET:
        return near
    return SHORT / f"limen-{os.geteuid()}" / f"{hashlib.sha256(os.fsencode(folder)).hexdigest()[:20]}.sock"


def _prepare(folder: Path, where: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    if where.parent == folder:
        return
    with suppress(FileExistsError):
        where.parent.mkdir(mode=0o700)
    found = where.parent.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise StoreUnreachable(
            f"{where.parent} is not a folder of yours alone", "remove it, or choose a home with a shorter path"
        )


def _alone(folder: Path, seconds: float) -> AbstractContextManager[int]:
    return spawn.locked(folder / "lock", seconds, f"another process is busy with the server of {folder}")


def _start(folder: Path, where: Path, binary: Path | None, end: float) -> None:
    """Leave a ready server behind. We hold the start lock, so a server that lives is an orphan: adopt it."""
    if _arrive(folder, where, min(end, time.monotonic() + 1.0)) and _ready(folder, where, end):
        return
    if spawn.alive(folder):  # its socket was taken away: nobody can come to it any more
        _end(folder, None, 10.0)
    binary = binary or find_binary()
    for _ in range(3):
        said = _attempt(folder, where, binary, end)
        if not said:
            return
        found = _damage(folder, said)
        if found and not found.torn:
            break
        if found:
            damage.cut(found)
        # else: once more, for it may have been killed as it started
    raise refusal(folder, said, found)


def _attempt(folder: Path, where: Path, binary: Path, end: float) -> str:
    """Start a server and wait until it is ready: "", or else what it said before it ended."""
    if damage.orphaned(folder):
        return damage.ORPHANED
    log = folder / spawn.LOG_FILE
    before = log.stat().st_size if log.exists() else 0
    spawn.spawn(binary, folder, where)
    if _ready(folder, where, end):
        return ""
    said = log.read_bytes()[before:].decode("latin-1")
    if not said:  # not even that: a full disk would explain it, and says so
        log.write_bytes(bytes(4096))
        log.write_bytes(b"")
    return said or "it said nothing"


def _damage(folder: Path, said: str) -> Damage | None:
    """What is wrong with the log, if that is why the server refused; reading it all takes long."""
    concerned = "append only" in said or "AOF" in said or "RDB" in said
    return damage.look(folder, said) if concerned and not damage.foreign(folder, said) else None


def _ready(folder: Path, where: Path, end: float) -> bool:
    """Wait until the server has loaded its log. False if it ends. Raises StoreUnreachable if it lives on, unready."""
    while found := _arrive(folder, where, end):
        if not found.loading:
            return True
        if time.monotonic() > end:
            raise StoreUnreachable(f"the server of {folder} is still reading its log", "wait, then try again")
        time.sleep(spawn.PAUSE)
    if spawn.alive(folder):
        raise StoreUnreachable(f"the server of {folder} started and does not answer", f"read {folder / spawn.LOG_FILE}")
    return False


def _arrive(folder: Path, where: Path, end: float) -> Info | None:
    """Wait until the server that lives on `folder` answers. None if it ends, or does not answer until `end`."""
    while True:
        lives = spawn.alive(folder)  # asked first: one that comes up in between answers
        found = probe(where, folder)
        if found or not lives or time.monotonic() > end:
            return found
        time.sleep(spawn.PAUSE)


def _end(folder: Path, found: Info | None, seconds: float) -> None:
    """First politely, then by SIGTERM; both write and sync the log. Never by SIGKILL."""
    if found:
        with suppress(rx.RedisError, OSError):  # it hangs up instead of answering
            ask(found.socket, ("SHUTDOWN", "NOSAVE"))
        if _gone(folder, found, seconds / 2):
            return
    pids = spawn.terminate(folder)
    if not _gone(folder, found, seconds / 2):
        who = ", ".join(map(str, pids)) or (str(found.pid) if found else "unknown")
        raise StoreUnreachable(f"the server of {folder} does not end (process {who})", "end it, then try again")


def _gone(folder: Path, found: Info | None, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while spawn.alive(folder) or (found and listens(found.socket)):
        if time.monotonic() > end:
            return False
        time.sleep(spawn.PAUSE)
    return True
