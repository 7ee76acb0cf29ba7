"""`limen doctor`: what is missing, and the exact next step; of a platform, too. Looks, and starts nothing."""

import asyncio
import os
import shutil
import textwrap
from collections.abc import Iterator, Sequence

import click
import msgspec

from bots import checkup, platforms, servercheck
from bots.assemble import settings
from bots.checkup import Check
from bots.options import BotName, json_option, show_json
from core.errors import ConfigError
from core.settings import Settings

MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}


@click.command(epilog="Example: limen doctor telegram")
@click.argument("names", nargs=-1, type=BotName(), metavar="[discord] [telegram] [slack]")
@json_option
@click.pass_context
def command(ctx: click.Context, names: tuple[str, ...], as_json: bool) -> None:
    """Say what is missing, and the exact next step.

    With the name of a platform: is our bot set up there as it should be? The platform itself is asked, with the tokens
    of the environment; a bot that is running is not disturbed. `discord:orrin` is another bot there.
    The status is 1 if something is missing that limen cannot work without.
    """
    first = [] if names else [checkup.python(), checkup.names()]
    try:
        s = settings(ctx)
        found = [*first, Check("settings", "ok", "valid"), *asyncio.run(_there(s, names) if names else examine(s))]
    except ConfigError as error:
        found = [*first, checkup.refused("settings", error)]
    well = all(check.state != "fail" for check in found)
    if as_json:
        show_json({"ok": well, "checks": [msgspec.to_builtins(check) for check in found]})
    else:
        click.echo("\n".join(row for check in found for row in rows(check)))
    ctx.exit(0 if well else 1)


async def _there(settings: Settings, names: Sequence[str]) -> list[Check]:
    """How our bots are set up on these platforms."""
    rows = await asyncio.gather(*(platforms.examine(name, settings, os.environ) for name in dict.fromkeys(names)))
    return [check for found in rows for check in found]


async def examine(settings: Settings) -> list[Check]:
    """Everything that needs settings to be looked at."""
    served = settings.model.engine == "openai"
    return [
        *checkup.packages(settings, os.environ),
        checkup.home(settings.home),
        await checkup.redis(settings),
        *(await servercheck.generating(settings, os.environ) if served else [checkup.model(settings)]),
        checkup.embedder(settings),
        checkup.gpu(settings),
        *checkup.persona_cards(settings),
        *await checkup.worker(settings),
        *await checkup.loras(settings),
        *await checkup.night(settings),
    ]


def rows(check: Check) -> Iterator[str]:
    """A check on as many lines as it needs."""
    mark, colour = MARKS[check.state]
    lead = f"{mark} {check.name:<17} "
    for line in check.said.splitlines() or [""]:
        yield from _coloured(_wrapped(lead + line, 20), mark, colour)
        lead = " " * 20
    if check.step:
        yield from _wrapped(f"{' ' * 20}→ {check.step}", 22)


def _wrapped(text: str, indent: int) -> list[str]:
    """In the width of the terminal. An address stays whole, so that it can be copied."""
    width = min(shutil.get_terminal_size().columns, 100)
    return textwrap.wrap(text, width, subsequent_indent=" " * indent, break_on_hyphens=False, break_long_words=False)


def _coloured(lines: list[str], mark: str, colour: str) -> list[str]:
    return [click.style(mark, fg=colour) + line[1:] if line.startswith(mark) else line for line in lines]
