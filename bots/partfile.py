"""`OUT.part`: the replies of a run as they come, so that one that is broken off can go on where it was.

Its first line says which run it is of; a torn last line, as a kill leaves it, counts for nothing.
"""

import errno
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from bots.files import line, unwritable, writing
from core.errors import InputError

Key = tuple[int, int]  # line of the input, which of its replies


class PartFile:
    """The part file beside `out`. Where that is `-`, a pipe or a device, there is none, and no going on either."""

    def __init__(self, out: str, run: dict[str, Any]) -> None:
        self._out, self._run = out, run
        self.path = None if out == "-" or _special(Path(out)) else Path(f"{out}.part")
        self.done: dict[Key, dict[str, Any]] = {}
        self._file: IO[str] | None = None

    def open(self, resume: bool) -> None:
        """Begin, or (`resume`, if there is one) go on. Raises InputError: it is of another run, or in the way."""
        if self.path is None:
            return
        if Path(self._out).is_dir():
            raise unwritable(self._out, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
        try:
            mode = "r+" if resume and self.path.exists() else "x+"
            self._file = self.path.open(mode, encoding="utf-8", errors="replace", newline="\n")
            os.fchmod(self._file.fileno(), 0o600)
        except FileExistsError as error:
            hint = "the same command with --resume goes on; to begin anew, delete it"
            raise InputError(f"{self.path} is there: a run was broken off", hint) from error
        except OSError as error:
            raise unwritable(self.path, error) from error
        try:
            self._recall()
        except InputError:
            self._file.close()
            self._file = None  # it is not ours to tidy up
            raise

    def _recall(self) -> None:
        """Take in what was done before, and stand behind its last whole line."""
        assert self._file
        rows, end = _whole(self._file)
        self._file.seek(0)
        if rows[:1] != [self._run] and not line(self._run).startswith(self._file.read()):
            raise InputError(
                f"{self.path} is of another run: persona, card, seed or prompts differ", "delete it to begin anew"
            )
        self._file.seek(end)
        self._file.truncate()
        if not rows:
            self._write(self._run)
        self.done = {(row.pop("line"), row.pop("k")): row for row in rows[1:]}

    def add(self, key: Key, row: dict[str, Any]) -> None:
        """Keep a reply: it outlives us from here on. Raises InputError if the disk is full."""
        self.done[key] = row
        if self._file:
            try:
                self._write({"line": key[0], "k": key[1], **row})
            except OSError as error:
                raise unwritable(f"{self.path}", error) from error

    def _write(self, row: dict[str, Any]) -> None:
        assert self._file
        self._file.write(line(row))
        self._file.flush()

    def finish(self, wanted: list[Key]) -> int:
        """Write the output whole, in its order; the part file stays if something is missing. How many were written."""
        there = [key for key in wanted if key in self.done]
        with writing(self._out) as file:
            file.writelines(line(self.done[key]) for key in there)
        if self.path and len(there) == len(wanted):
            self.path.unlink()
        return len(there)

    def close(self) -> None:
        """Let go of the file; one that holds no reply is not worth keeping."""
        if self._file and self.path:
            with suppress(OSError):  # a full disk, which was told when it was met
                self._file.close()
            if not self.done:
                self.path.unlink(missing_ok=True)


def _special(out: Path) -> bool:
    return out.exists() and not out.is_file() and not out.is_dir()


def _whole(file: IO[str]) -> tuple[list[dict[str, Any]], int]:
    """The rows of the file, and where the last whole one ends."""
    rows, end = [], 0
    while (text := file.readline()).endswith("\n"):
        try:
            rows.append(json.loads(text))
        except ValueError:
            break
        end = file.tell()
    return rows, end
