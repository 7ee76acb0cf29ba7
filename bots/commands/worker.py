"""`limen worker`: one worker, in the foreground (or, with --background, as `limen up` starts it)."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from bots import loras, nights, up
from bots.assemble import DAY, Parts, parts, settings
from bots.run import beside
from core.errors import LimenError, StoreError, UserError
from core.settings import Settings
from core.store import server as redis_server

if TYPE_CHECKING:
    from worker.embed import Embedder
    from worker.generator import Generator
    from worker.recall import Recall
    from worker.serve import Server
    from worker.tasting import Embed, Tastes

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
        loading = asyncio.create_task(_say_loading(p))
        try:
            generator, about = await asyncio.to_thread(_load, settings)
            embedder = await asyncio.to_thread(_embedder, settings)
        except LimenError:
            await p.presence.leave(worker_name())
            raise
        finally:
            loading.cancel()
        idle = settings.worker.idle_minutes * 60 if background else 0
        recall = _recall(p, embedder)
        server = _server(p, generator, embedder, about, idle, lambda: clock is not None and clock.busy, recall)
        for sign in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(sign, server.stop)
        await beside(server.run(), up.keep_redis(settings), recall.keep_on(), *([clock.run()] if clock else []))
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


def _load(settings: Settings) -> "tuple[Generator, dict[str, str | int | float]]":
    """The generator, and what `limen status` says of it. Raises ModelError, MissingExtra."""
    if settings.model.engine == "openai":
        return _remote(settings)
    if settings.model.ref.startswith("echo:"):
        return _echo(settings)
    try:
        from worker.start import generator
    except ImportError as error:
        raise up.incomplete(error) from error
    return generator(settings, loras.store(settings).folder)


def _remote(settings: Settings) -> "tuple[Generator, dict[str, str | int | float]]":
    """A server generates: nothing here needs torch."""
    try:
        from worker.lora.check import sound
        from worker.openai.start import generator
    except ImportError as error:
        raise up.incomplete(error) from error
    store = loras.store(settings)
    return generator(settings, os.environ, lambda version: sound(settings, store.folder(version)))


def _echo(settings: Settings) -> "tuple[Generator, dict[str, str | int | float]]":
    if os.environ.get("LIMEN_TESTING") != "1":
        raise UserError("echo: is for tests; people talk to a real model", "set model.ref to hf:…, pypi:… or a folder")
    from worker.echo import Echo

    _, _, pace = settings.model.ref.partition(":")  # echo:SECONDSxWORDS, such as echo:0.02x40
    delay, _, words = pace.partition("x")
    return Echo(float(delay or 0), int(words or 0)), {"model": settings.model.ref, "device": "none", "pid": os.getpid()}


def _embedder(settings: Settings) -> "Embedder | None":
    """Who tells what texts mean. People can talk without: then nothing is known by its meaning, and the log says so."""
    from worker.embed import HashEmbedder, load

    if settings.model.ref.startswith("echo:"):
        return HashEmbedder()
    try:
        return load(settings)
    except ImportError as error:
        log.warning("no embedder, so nothing is known by its meaning: %s", up.incomplete(error))
    except LimenError as error:
        log.warning("no embedder, so nothing is known by its meaning: %s (%s)", error, error.hint)
    return None


def _recall(p: Parts, embedder: "Embedder | None") -> "Recall":
    """What is remembered. An embedder that could not be had at the start is asked for again later."""
    from worker.embed import load
    from worker.embedding import Embedding
    from worker.recall import recall

    return recall(p.memories, Embedding(lambda: load(p.settings), embedder), p.settings)


def _server(
    p: Parts, generator: "Generator", embedder: "Embedder | None", about: dict[str, str | int | float], idle: float,
    occupied: Callable[[], bool], recall: "Recall",
) -> "Server":  # fmt: skip
    from worker.compose import Composer
    from worker.judge import Judge
    from worker.nearness import Nearness
    from worker.serve import Server

    nearness = Nearness(embedder) if embedder else None
    judge = Judge(p.conversations, nearness, p.settings.timezone)
    pool = p.settings.night.pool == "card"
    composer = Composer(p.conversations, p.ledger, p.personas, p.loras, generator, p.growth, pool, judge, recall)
    tastes = _tastes(p, recall.embedding.embed)
    return Server(p.client, p.queue, composer, generator, p.settings.worker.batch, about, idle, occupied, tastes)


def _tastes(p: Parts, embed: "Embed") -> "Tastes":
    """What people like. Raises ConfigError for a file of emoji that cannot be read."""
    from core import polarity
    from worker.tasting import Tastes

    s = p.settings
    meanings, half_life = polarity.load(s.night.polarity), s.retention.half_life_days * DAY
    count, most = s.taste.candidates, s.worker.batch
    return Tastes(p.ledger, p.privacy.consents, embed, meanings, count, most, half_life)
