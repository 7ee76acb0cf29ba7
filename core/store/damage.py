"""What can be wrong with an append-only log on disk, found by reading it, and how to keep what stands before that.

Knows the files of a multi-part AOF; knows no server, no socket and no process. Values carry no checksum in this
format: a changed byte within one is invisible, here as for the server itself.
"""

import mmap
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

LOG = "appendonlydir"
MANIFEST = "appendonly.aof.manifest"
ORPHANED = "the AOF has no manifest"

_COUNT = re.compile(rb"\*([1-9]\d{0,8})\r\n")
_LENGTH = re.compile(rb"\$(\d{1,9})\r\n")
_CUT_OFF = re.compile(rb"[*$]?\d{0,9}\r?\Z")
_ANOTHER = re.compile(rb"\r\n\*\d{1,9}\r\n\$\d{1,9}\r\n")
_DATA = re.compile(r"appendonly\.aof\.(\d+)\.(base|incr)\.(?:rdb|aof)")
_BASE_UNREADABLE = re.compile(r"Internal error in RDB|Wrong RDB checksum|Short read or OOM|\.rdb: make a backup")
_BASE = re.compile(r"(appendonly\.aof\.\d+\.base\.rdb): make a backup")
_UNKNOWN = re.compile(r"[Uu]nknown command '(.*?)'", re.DOTALL)
_REFUSED = re.compile(r"reading the append only file ([^\s,]+), error: ([^\n]*)")


class Damage(msgspec.Struct, frozen=True):
    """Where a log stops making sense. `offset`: bytes of `file` that stand; `torn`: its last write is incomplete."""

    file: Path
    offset: int
    what: str
    torn: bool = False


def look(folder: Path, said: str = "") -> Damage | None:
    """The first damage of the log in `folder`. `said`: the server's words as it refused it, for what reading misses.

    Reads the whole log: tens of MB per second. Raises OSError.
    """
    log = folder / LOG
    names = _names(log / MANIFEST)
    if names is None:
        return Damage(log / MANIFEST, 0, "is missing or cannot be read") if _data_in(log) else None
    for name in names:
        found = _look_at(log / name, said)
        if found:
            return found if name == names[-1] else msgspec.structs.replace(found, torn=False)
    return _refused(log, names, said)


def orphaned(folder: Path) -> bool:
    """Data without a manifest: a server would take the folder for a new one, and write over what is there."""
    log = folder / LOG
    return not (log / MANIFEST).exists() and bool(_data_in(log))


def foreign(folder: Path, said: str) -> bool:
    """Whether the log is sound, but of a server that this one does not understand (Valkey 9's, read by Redis 7)."""
    if "Can't handle RDB format version" in said:
        return True
    base = _BASE.search(said)
    return base is not None and _start_of(folder / LOG / base[1]) in (b"VALKEY", b"REDIS0")


def cut(damage: Damage) -> None:
    """Make the log end where `damage` begins: later files go too, for they build on what is lost. Raises OSError."""
    log = damage.file.parent
    if damage.file.name == MANIFEST:
        _write_manifest(log, _rebuilt(log))
        return
    names = _names(log / MANIFEST) or []
    kept = names[: names.index(damage.file.name)]
    if damage.offset:
        with damage.file.open("r+b") as file:
            file.truncate(damage.offset)
        kept.append(damage.file.name)
    _write_manifest(log, kept)
    for name in names[len(kept) :]:
        (log / name).unlink(missing_ok=True)


def stands(data: bytes | mmap.mmap, refused: bytes = b"") -> tuple[int, str]:
    """How many bytes of a log are whole commands and transactions, and why no more: "" (all), "torn" or "bad".

    `refused`: the name of a command that no server knows; the log stands up to it.
    """
    good = before = at = 0
    whole = True
    try:
        for at, end, name in _commands(data):
            if refused and name.split(b"\0")[0] == refused:
                return good, "bad"
            whole = name.upper() == b"EXEC" or (whole and name.upper() != b"MULTI")
            before, good, at = good, end if whole else good, end
    except EOFError:
        return good, "bad" if _ANOTHER.search(data, at) else "torn"
    except ValueError:
        if data[at : at + 1] == b"$":  # an argument too many: the command before it is wrong already
            return before, "bad"
        return good, "torn" if not data[at:].strip(b"\0") else "bad"  # zeros: a file system after a power cut
    return good, "" if whole else "torn"


def _commands(data: bytes | mmap.mmap) -> Iterator[tuple[int, int, bytes]]:
    """Start, end and name of each. Raises EOFError where the last is cut off, ValueError where it is none."""
    at = 0
    while at < len(data):
        if data[at : at + 1] == b"#":  # an annotation takes a line
            at = _after_line(data, at)
            continue
        count, end = _number(_COUNT, data, at)
        name = b""
        for n in range(count):
            length, start = _number(_LENGTH, data, end)
            end = start + length + 2
            if end > len(data):
                raise EOFError
            if data[end - 2 : end] != b"\r\n":
                raise ValueError
            name = name if n else data[start : end - 2]
        yield at, end, name
        at = end


def _after_line(data: bytes | mmap.mmap, at: int) -> int:
    end = data.find(b"\n", at)
    if end < 0:
        raise EOFError
    return end + 1


def _number(pattern: re.Pattern[bytes], data: bytes | mmap.mmap, at: int) -> tuple[int, int]:
    found = pattern.match(data, at)
    if found:
        return int(found[1]), found.end()
    raise EOFError if _CUT_OFF.match(data, at) else ValueError


def _look_at(file: Path, said: str) -> Damage | None:
    if not file.is_file():
        return Damage(file, 0, "is missing or no file")
    if file.suffix == ".rdb":
        return Damage(file, 0, "fails its check") if _BASE_UNREADABLE.search(said) else None
    if not file.stat().st_size:
        return None
    unknown = _UNKNOWN.search(said)
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
        good, why = stands(data, unknown[1].encode("latin-1") if unknown else b"")
    what = "ends within a write" if why == "torn" else "holds something that is no command"
    return Damage(file, good, what, torn=why == "torn") if why else None


def _refused(log: Path, names: list[str], said: str) -> Damage | None:
    """Well formed, and yet no server takes it: we know the file, not the place."""
    found = _REFUSED.search(said)
    if found and found[1] in names:
        return Damage(log / found[1], 0, f"holds a command that is refused ({found[2].strip()})")
    return None


def _names(manifest: Path) -> list[str] | None:
    """Base first, then increments in order; None if there is no such file or it is not a manifest."""
    try:
        lines = manifest.read_text().splitlines()
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    fields = [line.split() for line in lines if line.strip()]
    if not fields or not all(len(f) >= 6 and f[0] == "file" and _DATA.fullmatch(f[1]) for f in fields):
        return None
    return [f[1] for kind in "bi" for f in fields if f[5] == kind]


def _write_manifest(log: Path, names: list[str]) -> None:
    if not names:
        (log / MANIFEST).unlink(missing_ok=True)
        return
    found = [m for m in map(_DATA.fullmatch, names) if m]
    new = log / f"temp-{MANIFEST}"
    new.write_text("".join(f"file {m[0]} seq {m[1]} type {m[2][0]}\n" for m in found))
    new.replace(log / MANIFEST)


def _data_in(log: Path) -> list[str]:
    return [p.name for p in log.iterdir() if _DATA.fullmatch(p.name)] if log.is_dir() else []


def _rebuilt(log: Path) -> list[str]:
    """The manifest as the names of the files tell it: the newest base, and what was written since."""
    found = sorted((m for m in map(_DATA.fullmatch, _data_in(log)) if m), key=lambda m: int(m[1]))
    bases = [m[0] for m in found if m[2] == "base"]
    increments = [m[0] for m in found if m[2] == "incr"]
    # Two bases: a rewrite was about to drop the older one, whose increments the newer base contains.
    return bases[-1:] + (increments[-1:] if len(bases) > 1 else increments)


def _start_of(file: Path) -> bytes:
    with file.open("rb") as opened:
        return opened.read(6)
