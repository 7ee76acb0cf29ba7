"""`limen up`: Redis and a worker for this home, ready before it returns."""

import asyncio
import time

import click

from bots import up
from bots.assemble import parts, settings
from core.errors import LimenError
from core.settings import Settings
from core.store import server


@click.command()
@click.option("--set-aside", is_flag=True, help="Move a damaged Redis file aside, keep what can be read, then start.")
@click.option("--wait/--no-wait", default=True, help="Return when the model is loaded (default), or at once.")
@click.pass_context
def command(ctx: click.Context, set_aside: bool, wait: bool) -> None:
    """Start Redis and a worker for this home.

    They stop by themselves after 15 minutes without anybody talking (worker.idle_minutes), or with `limen down`.
    """
    asyncio.run(_up(settings(ctx), set_aside, wait))


async def _up(settings: Settings, set_aside: bool, wait: bool) -> None:
    if set_aside:
        salvage = await asyncio.to_thread(server.set_aside, settings.home)
        click.echo(f"The damaged files are kept in {salvage.copy}; {salvage.keys} keys could be read.")
    url = await up.ensure_redis(settings)
    await up.fetch_model(settings)
    child = await up.ensure_worker(settings, url)
    if child is None:
        click.echo("Redis and a worker are up already.")
    elif wait:
        began = time.monotonic()
        await _ready(settings, url, child.poll)
        click.echo(f"Redis and a worker are up ({time.monotonic() - began:.1f} s). Talk with `limen chat`.")
    else:
        click.echo("Redis is up, the worker is loading its model. Talk with `limen chat`.")


async def _ready(settings: Settings, url: str, poll: object) -> None:
    """Wait until the worker says that it is ready. Raises LimenError with its reason if it cannot start."""
    assert callable(poll)
    async with parts(settings, url) as p:
        while True:
            workers = (await p.presence.workers()).values()
            if any(about.get("state") == "ready" and float(about["seen"]) < 10 for about in workers):
                return
            if poll() is not None:
                file = up.trouble(settings.home)
                reason = file.read_text(encoding="utf-8") if file.exists() else f"see {up.log_file(settings.home)}"
                raise LimenError(f"the worker could not start: {reason}")
            await asyncio.sleep(0.1)
