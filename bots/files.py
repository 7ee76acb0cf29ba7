"""Files that people hand us and get: JSON lines read with their numbers, and writing that is whole or not at all.

Knows nothing of what the lines mean. `-` stands for the terminal's own input and output.
"""

import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TextIO

import msgspec

from core.errors import InputError

LONGEST = 4_000_000  # bytes of one line


class Row(msgspec.Struct, frozen=True):
    """One line of a JSON lines file. `data` is its object; where it has none, `fault` says why."""

    number: int
    data: dict[str, Any] = {}
    fault: str = ""


def rows(name: str) -> Iterator[Row]:
    """The lines of a file (`-`: standard input), from 1; empty ones are passed over. Raises InputError."""
    with _reading(name) as file:
        for number, raw in enumerate(_lines(file), 1):
            if raw.strip():
                yield _row(number, raw)


def count(name: str) -> int:
    """How many lines a file has; 0 where that cannot be known before reading (standard input)."""
    if name == "-":
        return 0
    with _reading(name) as file:
        return sum(1 for _ in _lines(file))


def _row(number: int, raw: bytes) -> Row:
    if len(raw) > LONGEST:
        return Row(number, fault=f"is longer than {LONGEST // 1_000_000} MB")
    try:
        data = json.loads(raw.decode("utf-8-sig"), parse_constant=_refuse)
    except UnicodeDecodeError:
        return Row(number, fault="is not UTF-8 text")
    except json.JSONDecodeError as error:
        return Row(number, fault=f"is not JSON: {error.msg}, column {error.colno}")
    except (ValueError, RecursionError) as error:
        return Row(number, fault=f"is not JSON that can be read: {error}")
    if not isinstance(data, dict):
        return Row(number, fault="is not a JSON object: expected {…}")
    return Row(number, data)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """Lines without their ends; of one that is too long, no more than tells that it is."""
    while raw := file.readline(LONGEST + 2):
        rest = raw
        while rest and not rest.endswith(b"\n") and len(rest) > LONGEST:
            rest = file.readline(LONGEST + 2)
        yield raw.rstrip(b"\r\n")


@contextmanager
def _reading(name: str) -> Iterator[IO[bytes]]:
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        with Path(name).open("rb") as file:
            yield file
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror or error}", "check the path") from error


def line(data: dict[str, Any]) -> str:
    """An object as one JSON line, emoji and letters as they are."""
    return json.dumps(data, ensure_ascii=False, separators=(", ", ": ")) + "\n"


@contextmanager
def writing(name: str, mode: int = 0o600) -> Iterator[TextIO]:
    """A new file that takes its place when the block ends, and is nowhere to be seen if it fails. `-`: standard output.

    Raises InputError if it cannot be written.
    """
    if name == "-":
        out = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="\n")
        try:
            yield out
            out.flush()
        finally:
            out.detach()
        return
    target = Path(os.path.realpath(name))
    try:
        if target.exists() and not target.is_file():  # a pipe or a device stays what it is; a folder is refused
            with target.open("w", encoding="utf-8", newline="\n") as file:
                yield file
        else:
            with _beside(target, mode) as file:
                yield file
    except OSError as error:
        raise unwritable(name, error) from error


@contextmanager
def _beside(target: Path, mode: int) -> Iterator[TextIO]:
    descriptor, part = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with open(descriptor, "w", encoding="utf-8", newline="\n") as file:
            yield file
            file.flush()
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        Path(part).replace(target)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(part).unlink()
        raise


def unwritable(name: str | Path, error: OSError) -> InputError:
    """Why a file cannot be written, for people."""
    return InputError(f"{name} cannot be written: {error.strerror or error}", "free some space, or name another file")


def disk_use(folder: Path) -> int:
    """Bytes of all files below a folder; what cannot be read counts nothing."""
    total = 0
    for here, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(here, name)).st_size
    return total


def nearest(folder: Path) -> Path:
    """The folder itself, or the nearest above it that is there."""
    return next(one for one in (folder, *folder.parents) if os.path.exists(one))
