"""The bots that `limen run` knows: how the account of each is joined up and examined, and what it lacks.

A platform's adapter is imported when it is asked for: nobody needs the packages of a platform that is not used.
"""

import asyncio
import importlib.util
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from adapters.base import Adapter, Below
from bots.accounts import TITLES, Account, Environ, account, lacking
from bots.checkup import EXTRAS, Check, install
from core.commands.answers import below
from core.errors import ConfigError, LimenError, MissingExtra
from core.events import Place
from core.moving.room import Moving
from core.settings import Settings
from core.store.client import Client, patiently
from personas import library

log = logging.getLogger("limen.run")

PATIENCE = 20.0  # seconds that an examination waits for a platform


class Bot(NamedTuple):
    """One bot account. `stop`: hear no more, so that `listen` ends; `close`: finish what is being sent, and hang up.

    `persona`: the card that it plays where nobody has chosen one; empty: as everybody else.
    """

    adapter: Adapter
    stop: Callable[[], None]
    close: Callable[[], Awaitable[None]]
    persona: str = ""


async def join(name: str, settings: Settings, environ: Environ, client: Client) -> Bot:
    """A bot, signed in where that comes first. Raises ConfigError for a bad token."""
    one = account(name)
    mine = one.settings(settings)
    try:
        bot: Bot = await _JOINS[one.platform](mine, one.environ(environ), client)
    except ConfigError as error:
        error.hint = one.spelled(error.hint)
        raise
    return bot._replace(persona=mine.persona if one.name else "")


def require(name: str, environ: Environ) -> None:
    """Raises MissingExtra or ConfigError if a bot's packages or tokens are not there."""
    one = account(name)
    require_packages(one.platform)
    if missing := lacking(one, environ):
        raise ConfigError(f"{one.title} needs {' and '.join(missing)}, and finds none", token_step(one))


def require_packages(platform: str) -> None:
    """Raises MissingExtra if a platform's packages are not there."""
    if missing := lacking_packages(platform):
        said = f"{TITLES[platform]} needs packages that are not installed: {', '.join(missing)}"
        raise MissingExtra(said, install(platform))


def lacking_packages(platform: str) -> list[str]:
    """What its extra brings and is not there."""
    return [module for module in EXTRAS[platform] if importlib.util.find_spec(module) is None]


def token_step(one: Account) -> str:
    """What to do where a token is missing."""
    return f"limen setup {one} walks you through it (docs/{one.platform}.md)"


def _token(environ: Environ, name: str) -> str:
    return environ.get(name, "").strip()


# Joined up.


async def _discord(settings: Settings, environ: Environ, _client: Client) -> Bot:
    from adapters.discord.client import Discord

    folders, given = library.folders(settings.home), settings.discord
    adapter = Discord(
        _token(environ, "DISCORD_TOKEN"),
        api_base=given.api_base,
        gateway_url=given.gateway_url,
        shards=shards(given.shards),
        cards=lambda: library.names(folders),
        operator_roles=frozenset(re.findall(r"\d+", given.operator_roles)),
        hides=hides(settings),
        below=_below(settings),
    )
    try:
        await adapter.login()
        await _registered(adapter)
    except BaseException:
        await adapter.close()
        raise
    return Bot(adapter, adapter.stop, adapter.close)


def _below(settings: Settings) -> Below:
    return lambda done: below(done, settings.buttons)


def hides(settings: Settings) -> bool:
    """Is it Discord's rights alone that make an operator, and is a character shared at all? Then its menu can tell."""
    named = settings.discord.operator_roles.strip() or "discord:" in settings.operators
    return not named and settings.scope.discord != "user"


async def _registered(adapter: Any) -> None:
    """People can talk to a bot whose menu is old."""
    try:
        await adapter.register()
    except ConfigError:
        raise
    except LimenError as error:
        log.warning("Discord: the menu of commands could not be renewed: %s", error)


def shards(written: str) -> tuple[int, int, int] | None:
    """`0-3/8` as the first, the one behind the last, and how many there are in all. Raises ConfigError."""
    if not written:
        return None
    first, last, count = (int(number) for number in re.split("[-/]", written))
    if not first <= last < count:
        raise ConfigError(
            f"discord.shards: {written} names no shards", "0-3/8 are the first four of eight, 4-7/8 the others"
        )
    return first, last + 1, count


async def _telegram(settings: Settings, environ: Environ, client: Client) -> Bot:
    from adapters.telegram.client import Telegram
    from adapters.telegram.doors import Hook

    given, hook = settings.telegram, None
    if given.webhook_url:
        secret = _token(environ, "TELEGRAM_WEBHOOK_SECRET")
        hook = Hook(url=given.webhook_url, host=given.webhook_host, port=given.webhook_port, secret=secret)
    moving = Moving(client)

    async def move(old: Place, new: Place) -> None:
        await patiently(lambda: moving.begin(adapter.account, old, new), PATIENCE)
        await moving.tried(adapter.account)

    adapter = Telegram(_token(environ, "TELEGRAM_TOKEN"), given.base_url, hook=hook, move=move, below=_below(settings))
    behind = asyncio.create_task(moving.keep_on(adapter.account))

    async def close() -> None:
        behind.cancel()
        await asyncio.gather(behind, return_exceptions=True)
        await adapter.close()

    return Bot(adapter, adapter.stop, close)


async def _slack(settings: Settings, environ: Environ, _client: Client) -> Bot:
    from adapters.slack.client import Listening, Slack

    given = settings.slack
    listening = Listening(
        app_token=_token(environ, "SLACK_APP_TOKEN"),
        signing_secret=_token(environ, "SLACK_SIGNING_SECRET"),
        host=given.http_host,
        port=given.http_port,
    )
    adapter = await Slack.sign_in(_token(environ, "SLACK_BOT_TOKEN"), listening, given.base_url, below=_below(settings))
    return Bot(adapter, adapter.close, adapter.leave)


_JOINS: dict[str, Callable[[Settings, Environ, Client], Awaitable[Bot]]] = {
    "discord": _discord,
    "telegram": _telegram,
    "slack": _slack,
}


# Examined.


async def examine(name: str, settings: Settings, environ: Environ) -> list[Check]:
    """What `limen doctor NAME` says of a bot. The first row is of the packages, the second of the tokens."""
    one = account(name)
    if missing := lacking_packages(one.platform):
        return [Check(one.title, "fail", f"packages are missing: {', '.join(missing)}", install(one.platform))]
    rows = [Check(one.title, "ok", "its packages are installed")]
    if missing := lacking(one, environ):
        return [*rows, Check(one.title, "fail", f"{' and '.join(missing)} is not set", token_step(one))]
    return [*rows, *await signed(name, settings, environ)]


async def signed(name: str, settings: Settings, environ: Environ) -> list[Check]:
    """What the platform itself says of our tokens; the first row tells whether the bot's own is good."""
    one = account(name)
    try:
        async with asyncio.timeout(PATIENCE):
            rows = await _EXAMINES[one.platform](one.settings(settings), one.environ(environ))
    except TimeoutError:
        step = f"check the network, and the addresses of `{one.platform}` in the settings if any are set"
        return [Check(one.title, "fail", f"it does not answer within {PATIENCE:g} s", step)]
    except LimenError as error:
        return [Check(one.title, "fail", one.spelled(str(error)), one.spelled(error.hint))]
    return [Check(one.title, row.state, one.spelled(row.said), one.spelled(row.step)) for row in rows]


async def _examine_discord(settings: Settings, environ: Environ) -> list[Check]:
    from adapters.discord.checkup import examine

    given = settings.discord
    found = await examine(_token(environ, "DISCORD_TOKEN"), given.api_base, given.gateway_url)
    return [Check("Discord", one.state, one.said, one.step) for one in found]


async def _examine_telegram(settings: Settings, environ: Environ) -> list[Check]:
    from adapters.telegram.checkup import examine

    given = settings.telegram
    found = await examine(_token(environ, "TELEGRAM_TOKEN"), given.base_url, hooked=bool(given.webhook_url))
    return [Check("Telegram", one.state, one.said, one.step) for one in found]


async def _examine_slack(settings: Settings, environ: Environ) -> list[Check]:
    from adapters.slack.checkup import examine

    app_token = _token(environ, "SLACK_APP_TOKEN")
    found = await examine(_token(environ, "SLACK_BOT_TOKEN"), settings.slack.base_url, app_token)
    rows = [Check("Slack", one.state, one.said, one.step) for one in found]
    return rows if app_token else [*rows, _by_http(settings)]


def _by_http(settings: Settings) -> Check:
    """Whether Slack's calls reach us, only its own page can say."""
    here = f"http://{settings.slack.http_host}:{settings.slack.http_port}/slack/events"
    return Check("Slack", "ok", f"events come by HTTP: your Request URL has to lead to {here}")


_EXAMINES: dict[str, Callable[[Settings, Environ], Awaitable[list[Check]]]] = {
    "discord": _examine_discord,
    "telegram": _examine_telegram,
    "slack": _examine_slack,
}
