"""`limen deadletters`: jobs that failed for good. List and show them, try them again, or drop them. Starts nothing."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import click
import msgspec

from bots import up
from bots.assemble import Parts, parts, settings
from bots.options import json_option, show_json
from bots.words import many, span
from core.errors import InputError, StoreUnreachable
from core.privacy import iso
from core.settings import Settings
from core.store.presence import FRESH
from core.store.queue import DeadLetter
from core.text import shorten

MOST = 1_000_000
AT_ONCE = 500


@click.group(epilog="Example: limen deadletters requeue --all")
def command() -> None:
    """Jobs that failed for good: list them, try them again."""


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Parts]:
    """Parts on the Redis that runs. Raises StoreUnreachable if none does: looking starts nothing."""
    url = await up.redis_url_if_running(settings)
    if not url:
        raise StoreUnreachable("Redis is not running, so there is nothing to look at", "`limen up` starts it")
    async with parts(settings, url) as p:
        yield p


def _do(ctx: click.Context, act: Callable[[Parts], Awaitable[int]]) -> None:
    async def run() -> int:
        async with running(settings(ctx)) as p:
            return await act(p)

    ctx.exit(asyncio.run(run()))


@command.command("list", epilog="Example: limen deadletters list --json")
@json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """List them, oldest first: id, when, who, why."""

    async def act(p: Parts) -> int:
        letters = await p.queue.dead(MOST)
        if as_json:
            show_json([plain(letter) for letter in letters])
        else:
            click.echo("\n".join(row for letter in letters for row in rows(letter)) or "There are no dead letters.")
        return 0

    _do(ctx, act)


@command.command(epilog="Example: limen deadletters show 0199f2c1a")
@click.argument("job", metavar="ID")
@click.pass_context
def show(ctx: click.Context, job: str) -> None:
    """Show all of one, as JSON."""

    async def act(p: Parts) -> int:
        letter = (await _letters(p, (job,)))[0]
        show_json({**plain(letter), "job": msgspec.to_builtins(letter.job)})
        return 0

    _do(ctx, act)


@command.command(epilog="Example: limen deadletters requeue --all")
@click.argument("jobs", metavar="[ID...]", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All there are.")
@click.pass_context
def requeue(ctx: click.Context, jobs: tuple[str, ...], every: bool) -> None:
    """Give them another set of attempts."""
    if every == bool(jobs):
        raise click.UsageError("Name the ids of dead letters, or say --all.")

    async def act(p: Parts) -> int:
        letters = await p.queue.dead(MOST) if every else await _letters(p, jobs)
        ids = [letter.job.id for letter in letters]
        done = sum([await p.queue.requeue(ids[at : at + AT_ONCE]) for at in range(0, len(ids), AT_ONCE)])
        alone = done and not any(float(about["seen"]) < FRESH for about in (await p.presence.workers()).values())
        note = " No worker is running; `limen up` starts one." if alone else ""
        click.echo(f"{many(done, 'job')} back in the queue.{note}")
        return 0

    _do(ctx, act)


@command.command(epilog="Example: limen deadletters drop 0199f2c1a")
@click.argument("job", metavar="ID")
@click.pass_context
def drop(ctx: click.Context, job: str) -> None:
    """Forget one for good."""

    async def act(p: Parts) -> int:
        await _letters(p, (job,))
        await p.queue.drop(job)
        click.echo(f"Dropped {job}.")
        return 0

    _do(ctx, act)


async def _letters(p: Parts, jobs: tuple[str, ...]) -> list[DeadLetter]:
    """These dead letters. Raises InputError naming what is none."""
    known = {letter.job.id: letter for letter in await p.queue.dead(MOST)}
    if missing := [job for job in jobs if job not in known]:
        raise InputError(f"no dead letter is called {', '.join(missing)}", "`limen deadletters list` shows the ids")
    return [known[job] for job in dict.fromkeys(jobs)]


def rows(letter: DeadLetter, now: float | None = None) -> list[str]:
    """One of them on two lines."""
    job, age = letter.job, span((time.time() if now is None else now) - letter.died)
    tries = many(letter.attempts, "attempt")
    return [
        f"{job.id}  {age} ago · {job.persona.card} for {job.author.id} · {job.lane} · {tries}",
        f"  {shorten(letter.reason, 76)}",
    ]


def plain(letter: DeadLetter) -> dict[str, Any]:
    """One of them as plain data."""
    job = letter.job
    return {
        "id": job.id,
        "died": iso(letter.died),
        "reason": letter.reason,
        "attempts": letter.attempts,
        "lane": str(job.lane),
        "persona": job.persona.card,
        "scope": job.persona.scope,
        "author": job.author.id,
        "conversation": job.conversation,
    }
