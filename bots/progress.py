"""How far a long command is, on standard error: a bar in a terminal, elsewhere a line now and then."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import click

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

EVERY = 15.0  # seconds between lines


class Progress(Protocol):
    """What a command tells of its progress."""

    def advance(self, by: int = 1) -> None:
        """So much more is done."""

    def say(self, text: str) -> None:
        """Something people should read, without harm to the bar."""

    def step(self, what: str, at: int, of: int) -> None:
        """How far one of them is in itself (`training`, 12 of 40). From any thread."""


@contextmanager
def progress(what: str, total: int, done: int = 0) -> Iterator[Progress]:
    """Show `what` (`replies`) growing from `done` to `total` (0: not known) for as long as the block lasts."""
    if not sys.stderr.isatty():
        yield _Lines(what, total, done)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(None), MofNCompleteColumn())
    bar = Bar(*columns, TimeElapsedColumn(), TextColumn("· left"), TimeRemainingColumn(), console=Console(stderr=True))
    with bar:
        yield _Bar(bar, bar.add_task(what, total=total or None, completed=done))


class _Bar:
    """rich's bar."""

    def __init__(self, bar: "Bar", task: "TaskID") -> None:
        self._bar, self._task = bar, task
        self._steps: dict[str, TaskID] = {}

    def advance(self, by: int = 1) -> None:
        self._bar.advance(self._task, by)

    def say(self, text: str) -> None:
        self._bar.console.print(text, markup=False, highlight=False)

    def step(self, what: str, at: int, of: int) -> None:
        if what not in self._steps:
            self._end_steps()
            self._steps[what] = self._bar.add_task(what, total=of)
        self._bar.update(self._steps[what], completed=at, total=of)
        if at >= of:
            self._end_steps()

    def _end_steps(self) -> None:
        for task in self._steps.values():
            self._bar.remove_task(task)
        self._steps.clear()


class _Lines:
    """A line every so often, for logs."""

    def __init__(self, what: str, total: int, done: int) -> None:
        self._what, self._total, self._first, self._done = what, total, done, done
        self._began = self._told = time.monotonic()
        self._step, self._step_began = "", 0.0

    def advance(self, by: int = 1) -> None:
        self._done += by
        if time.monotonic() - self._told > EVERY:
            self._told = time.monotonic()
            lately, seconds = self._done - self._first, self._told - self._began
            click.echo(paced(self._what, self._done, self._total, lately, seconds), err=True)

    def say(self, text: str) -> None:
        click.echo(text, err=True)

    def step(self, what: str, at: int, of: int) -> None:
        now = time.monotonic()
        if what != self._step or at <= 1:
            self._step, self._step_began = what, now
        if now - self._told > EVERY:
            self._told = now
            click.echo(paced(f"steps of {what}", at, of, at, now - self._step_began), err=True)


def paced(what: str, done: int, total: int, lately: int, seconds: float) -> str:
    """`120 of 400 replies, 3.2 a second, 88 s to go`: `lately` of them in `seconds`."""
    rate = lately / seconds if seconds > 0 else 0.0
    left = f", {(total - done) / rate:,.0f} s to go" if total and rate else ""
    return f"{done:,}{f' of {total:,}' if total else ''} {what}, {rate:.1f} a second{left}"
