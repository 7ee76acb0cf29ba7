"""`limen run`: the bots of one or more platforms in this process, with a worker beside them if none lives."""

import asyncio
import importlib.util
import logging
import os
import signal
from collections.abc import Coroutine
from functools import partial
from typing import Any

import click

from bots import shelving, up
from bots.accounts import account, each_its_own, each_its_own_door, given
from bots.assemble import parts, settings
from bots.checkup import install
from bots.crew import Crew
from bots.options import BotName
from bots.platforms import join, require
from bots.run import beside
from bots.thrift import thrifty
from core import cards
from core.errors import ConfigError, MissingExtra
from core.settings import Settings
from personas import library

log = logging.getLogger("limen.run")


@click.command(epilog="Example: limen run telegram slack discord:orrin")
@click.argument("platforms", nargs=-1, type=BotName(), metavar="[discord] [telegram] [slack]")
@click.option("--no-worker", is_flag=True, help="Start no worker here: one runs elsewhere, or will.")
@click.pass_context
def command(ctx: click.Context, platforms: tuple[str, ...], no_worker: bool) -> None:
    """Let a persona live on Discord, Telegram and Slack. Without a name: every bot whose tokens are set.

    Tokens come from the environment, or from .env in this folder; `limen setup PLATFORM` writes that.
    `discord:orrin` is another bot on Discord beside the first, with tokens of its own (DISCORD_TOKEN_ORRIN).
    Starts Redis and a worker for this home if need be, as `limen chat` does.
    Ctrl-C ends it when what is being said is said; once more, and it ends at once.
    """
    s = settings(ctx)
    names = list(dict.fromkeys(platforms)) or _given()
    for name in names:
        require(name, os.environ)
    each_its_own(names, os.environ)
    each_its_own_door(names, s, os.environ)
    for persona in {account(name).settings(s).persona for name in names}:
        cards.load(persona, library.folders(s.home))  # a broken card is told before anything is started
    tell_log(s)
    thrifty()
    try:
        ctx.exit(asyncio.run(_run(s, names, no_worker)))
    except asyncio.CancelledError:
        ctx.exit(130)


def _given() -> list[str]:
    """The bots whose tokens are there."""
    if names := [str(one) for one in given(os.environ)]:
        return names
    raise ConfigError(
        "no platform is named, and no token of any is set",
        "limen setup telegram (or discord, or slack), then try again",
    )


def tell_log(settings: Settings) -> None:
    """Ours at the level that is set; of the libraries only what is grave, for they talk a lot."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("limen").setLevel(settings.log.level.upper())


async def _run(settings: Settings, names: list[str], no_worker: bool) -> int:
    works = not no_worker and _may_work(settings)
    told = asyncio.Event()
    _end_on(told, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    if works:
        await up.fetch_model(settings)
    url = await up.ensure_redis(settings)
    async with parts(settings, url) as p:
        await shelving.bring(p)
        crew = Crew(p, told)
        joins = {name: partial(join, name, settings, os.environ, p.client) for name in names}
        well = await beside(crew.run(joins), *_kept_up(settings, url, works))
    log.info("ended")
    return 0 if well else 1


def _may_work(settings: Settings) -> bool:
    """Is a worker ours to start? Beside a Redis of one's own only where its packages are: in no bot's image.

    Raises MissingExtra if nobody else could start one either.
    """
    package = "httpx2" if settings.model.engine == "openai" else "torch"
    if importlib.util.find_spec(package):
        return True
    if settings.redis_url:
        return False
    raise MissingExtra(
        "the worker's packages are not installed", f"{install('worker')} (or --no-worker, if one runs elsewhere)"
    )


def _kept_up(settings: Settings, url: str, works: bool) -> list[Coroutine[Any, Any, None]]:
    """What lives beside us for our sake is brought back whenever it dies."""
    if works:
        return [up.keep_up(settings, url, lambda trouble: log.error("%s", trouble))]
    return [] if settings.redis_url else [up.keep_redis(settings)]


def _end_on(told: asyncio.Event, *signals: signal.Signals) -> None:
    """The first signal lets everybody finish, the next one does not."""
    me = asyncio.current_task()
    assert me is not None

    def end() -> None:
        if told.is_set():
            me.cancel()
        else:
            log.info("ending when what is being said is said; once more, and it ends at once")
            told.set()

    for sign in signals:
        if signal.getsignal(sign) != signal.SIG_IGN:  # nohup wants a hang-up to be no reason
            asyncio.get_running_loop().add_signal_handler(sign, end)
