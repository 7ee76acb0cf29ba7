"""The `limen` command in this process, and a worker with the echo model beside it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from click.testing import CliRunner

from bots.__main__ import run
from bots.assemble import Parts, parts
from core import config
from tests.fakes.jobs import until
from worker.compose import Composer
from worker.echo import Echo
from worker.serve import Server


class Said(NamedTuple):
    """What a command answered."""

    status: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


def limen(*args: object, stdin: str | bytes = "", **environ: str) -> Said:
    """`limen ARGS`, with nothing swallowed but what it prints."""
    with CliRunner(env=environ).isolation(input=stdin) as (out, err, _):
        status = run([str(arg) for arg in args])
        return Said(status, out.getvalue().decode(), err.getvalue().decode())


async def meanwhile(*args: object, stdin: str | bytes = "", **environ: str) -> Said:
    """The same in a thread, while this loop goes on serving."""
    return await asyncio.to_thread(lambda: limen(*args, stdin=stdin, **environ))


@asynccontextmanager
async def opened(url: str, home: Path) -> AsyncIterator[Parts]:
    """Parts on a Redis, with default settings."""
    async with parts(config.load({"REDIS_URL": url}, home=home), url) as p:
        yield p


@asynccontextmanager
async def working(p: Parts, echo: Echo | None = None) -> AsyncIterator[Server]:
    """A worker that has been heard of, for as long as the block lasts."""
    generator = echo or Echo()
    composer = Composer(p.conversations, p.ledger, p.personas, p.loras, generator, p.growth)
    server = Server(p.client, p.queue, composer, generator, 8, {"model": "echo:", "device": "none"})
    task = asyncio.create_task(server.run())
    await until(lambda: _found(p.presence.workers()))
    try:
        yield server
    finally:
        server.stop()
        await task


async def _found(asked: Awaitable[object]) -> bool:
    return bool(await asked)


def jsonl(file: Path, *rows: dict[str, Any] | str) -> Path:
    """A file of JSON lines; a text is written as it is."""
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    file.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return file


def loaded(file: Path) -> list[dict[str, Any]]:
    """The whole rows of a file of JSON lines; none if there is no file."""
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
