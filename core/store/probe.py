"""Who answers at a unix socket: our server for this folder, nobody, or somebody else. Starts and ends nothing."""

import os
import socket
import stat
import time
from pathlib import Path
from typing import Any

import msgspec
import redis
import redis.exceptions as rx
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.errors import StoreUnreachable

ANSWER = 5.0  # seconds in which a living server says something


class Info(msgspec.Struct, frozen=True):
    """A live server. `since` in seconds UTC, `memory` in bytes; `loading`: it is still reading its log.

    `unwritten`: its disk is full, and the writes it acknowledged at that moment are not on it yet.
    """

    pid: int
    version: str
    socket: Path
    since: float
    memory: int
    keys: int
    loading: bool = False
    unwritten: bool = False


def probe(where: Path, folder: Path) -> Info | None:
    """The server of `folder`, if it listens at `where`. Raises StoreUnreachable for anyone else, OSError."""
    if not listens(where):
        return None
    try:
        facts, config = _facts(where)
        told, theirs = _told(where, facts), os.fsdecode(config[1])
    except (rx.RedisError, OSError, ValueError, LookupError, TypeError, AttributeError) as e:
        if not listens(where):  # it was just going
            return None
        raise StoreUnreachable(
            f"what listens at {where} does not answer as a Redis of ours ({type(e).__name__}: {e})",
            f"see with `lsof {where}` what it is and end it, or choose another place with --home",
        ) from e
    if not os.path.isdir(theirs) or not os.path.samefile(theirs, folder):
        raise StoreUnreachable(
            f"the Redis at {where} (process {told.pid}) serves {theirs or 'a folder that is gone'}, not {folder}",
            f"end it (`kill {told.pid}`), or choose another place with --home",
        )
    return told


def listens(where: Path) -> bool:
    """Whether somebody accepts connections at the socket `where`. Raises StoreUnreachable (no socket), OSError."""
    try:
        if not stat.S_ISSOCK(where.lstat().st_mode):
            raise StoreUnreachable(f"{where} is in the way: it is not a socket", "move it away, then try again")
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(ANSWER)
            line.connect(str(where))
    except (FileNotFoundError, ConnectionRefusedError):  # refused: left behind; the next server replaces it
        return False
    return True


def ask(where: Path, *commands: tuple[str, ...]) -> list[Any]:
    """What the Redis at `where` answers, in one round trip of a connection of its own. Raises redis-py's errors."""
    client = redis.Redis(
        unix_socket_path=str(where), socket_timeout=ANSWER, retry=Retry(NoBackoff(), 0), protocol=2, driver_info=None
    )
    with client, client.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command)  # type: ignore[no-untyped-call]
        return pipe.execute()


def _facts(where: Path) -> list[Any]:
    questions = ("INFO",), ("CONFIG", "GET", "dir")
    try:
        return ask(where, *questions)
    except rx.ConnectionError:  # killed just now, and another may have come up already
        return ask(where, *questions)


def _told(where: Path, facts: dict[str, Any]) -> Info:
    name = "valkey" if "valkey_version" in facts else "redis"
    return Info(
        pid=int(facts["process_id"]),
        version=f"{name} {facts[f'{name}_version']}",
        socket=where,
        since=time.time() - int(facts["uptime_in_seconds"]),
        memory=int(facts["used_memory"]),
        keys=int(facts.get("db0", {}).get("keys", 0)),
        loading=bool(facts["loading"]),
        unwritten=facts["aof_last_write_status"] != "ok",
    )
