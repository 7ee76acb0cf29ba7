"""`limen doctor`: what is missing, and the exact next step. Looks, and starts nothing."""

import asyncio
import os
import shutil
import textwrap
from collections.abc import Iterator

import click
import msgspec

from bots import checkup, servercheck
from bots.assemble import settings
from bots.checkup import Check
from bots.options import json_option, show_json
from core.errors import ConfigError
from core.settings import Settings

MARKS = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}


@click.command(epilog="Example: limen doctor")
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Say what is missing, and the exact next step.

    The status is 1 if something is that limen cannot work without.
    """
    first = [checkup.python(), checkup.names()]
    try:
        s = settings(ctx)
        found = [*first, Check("settings", "ok", "valid"), *asyncio.run(examine(s))]
    except ConfigError as error:
        found = [*first, checkup.refused("settings", error)]
    well = all(check.state != "fail" for check in found)
    if as_json:
        show_json({"ok": well, "checks": [msgspec.to_builtins(check) for check in found]})
    else:
        click.echo("\n".join(row for check in found for row in rows(check)))
    ctx.exit(0 if well else 1)


async def examine(settings: Settings) -> list[Check]:
    """Everything that needs settings to be looked at."""
    served = settings.model.engine == "openai"
    return [
        *checkup.packages(settings, os.environ),
        checkup.home(settings.home),
        await checkup.redis(settings),
        *(await servercheck.generating(settings, os.environ) if served else [checkup.model(settings)]),
        checkup.gpu(settings),
        *checkup.persona_cards(settings),
        *await checkup.worker(settings),
        *await checkup.loras(settings),
        *await checkup.night(settings),
    ]


def rows(check: Check) -> Iterator[str]:
    """A check on as many lines as it needs."""
    mark, colour = MARKS[check.state]
    width = min(shutil.get_terminal_size().columns, 100)
    lead = f"{mark} {check.name:<17} "
    for line in check.said.splitlines() or [""]:
        lines = textwrap.wrap(lead + line, width, subsequent_indent=" " * 20, break_on_hyphens=False)
        yield from _coloured(lines, mark, colour)
        lead = " " * 20
    if check.step:
        yield from textwrap.wrap(f"{' ' * 20}→ {check.step}", width, subsequent_indent=" " * 22, break_on_hyphens=False)


def _coloured(lines: list[str], mark: str, colour: str) -> list[str]:
    return [click.style(mark, fg=colour) + line[1:] if line.startswith(mark) else line for line in lines]
