"""`limen worker`: one worker, in the foreground (or, with --background, as `limen up` starts it)."""

import asyncio
import logging
import os
import signal
from contextlib import suppress

import click

from bots import nights, up, working
from bots.assemble import Parts, parts, settings
from bots.run import beside
from core.errors import LimenError, StoreError, UserError
from core.settings import Settings
from core.store import server as redis_server

log = logging.getLogger("limen.worker")


@click.command()
@click.option("--background", is_flag=True, help="Stop after worker.idle_minutes without anybody talking.")
@click.option("--nights", "only_nights", is_flag=True, help="Run only nights, and leave replies to other workers.")
@click.pass_context
def command(ctx: click.Context, background: bool, only_nights: bool) -> None:
    """Run a worker: it claims jobs, generates replies and streams them back. Ctrl-C gives its jobs back and ends it.

    At night (night.at) it trains in a process of its own, unless a worker with --nights lives somewhere.
    """
    s = settings(ctx)
    logging.basicConfig(level=s.log.level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    with up.worker_lock(s.home, up.NIGHTS if only_nights else up.SERVES) as mine:
        if not mine:
            click.echo(f"A worker{' of nights' if only_nights else ''} lives for this home already.")
            return
        if only_nights:
            asyncio.run(_nights(s))
            return
        try:
            asyncio.run(_work(s, background))
        except LimenError as error:
            up.trouble(s.home).write_text(up.explain(error), encoding="utf-8")
            raise


async def _work(settings: Settings, background: bool) -> None:
    from worker.names import worker_name

    url = await up.ensure_redis(settings)
    async with parts(settings, url) as p:
        clock = await nights.clock(p)
        if clock is None:  # else it looks at once, and every ten minutes
            await nights.clear_left(p)
        loading = asyncio.create_task(_say_loading(p))
        try:
            generator, about = await asyncio.to_thread(working.generator, settings)
            embedder = await asyncio.to_thread(working.embedder, settings)
        except LimenError:
            await p.presence.leave(worker_name())
            raise
        finally:
            loading.cancel()
        idle = settings.worker.idle_minutes * 60 if background else 0
        server, others = working.serving(
            p, generator, embedder, about, idle, lambda: clock is not None and clock.busy
        )  # fmt: skip
        for sign in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(sign, server.stop)
        await beside(
            server.run(), up.keep_redis(settings), *(other() for other in others), *([clock.run()] if clock else [])
        )  # fmt: skip
    if server.slept and not settings.redis_url:
        await asyncio.to_thread(redis_server.stop, settings.home)


async def _say_loading(p: Parts) -> None:
    """People see that a worker is on its way."""
    from worker.names import worker_name

    while True:
        with suppress(StoreError):
            await p.presence.beat(worker_name(), {"state": "loading", "model": _model(p.settings), "pid": os.getpid()})
        await asyncio.sleep(1.0)


def _model(settings: Settings) -> str:
    """What is on its way, as far as the settings say."""
    return f"openai:{settings.openai.model}" if settings.model.engine == "openai" else settings.model.ref


async def _nights(settings: Settings) -> None:
    """Hold the clock and serve nobody, until told to end."""
    url = await up.ensure_redis(settings)
    async with parts(settings, url) as p:
        clock = await nights.clock(p, alone=True)
        if clock is None:
            raise UserError(f"{nights.off(settings)}: there is nothing for a worker of nights to do", "turn it on")
        told = asyncio.Event()
        for sign in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(sign, told.set)
        try:
            await beside(told.wait(), nights.seen(p, clock), clock.run(), up.keep_redis(settings))
        finally:
            await nights.leave(p)
