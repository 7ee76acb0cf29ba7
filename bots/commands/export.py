"""`limen export`: all that is kept of a person, as JSON."""

import asyncio
import json
from typing import Any

import click

from bots import up
from bots.assemble import parts, settings
from bots.files import writing
from bots.words import many, meant
from core.privacy import is_any_kept
from core.settings import Settings


@click.command(epilog="Example: limen export --user console:local:me --out me.json")
@click.option("--user", required=True, metavar="ID", help="The person's id, such as console:local:me or discord:901.")
@click.option("--out", default="-", metavar="FILE", help="Where it goes; without it, standard output.")
@click.pass_context
def command(ctx: click.Context, user: str, out: str) -> None:
    """Give all that is kept of a person, as JSON.

    Their messages and the answers to them, what is remembered of them, replies with their words in the prompt, ratings,
    what they are to each persona, consent and waiting jobs.
    """
    data, alike = asyncio.run(_export(settings(ctx), user))
    with writing(out) as file:
        file.write(json.dumps(data, ensure_ascii=False, indent=2) + "\n")
    if not is_any_kept(data):
        click.echo(f"Nothing is kept of {user!r}.{meant(alike)}", err=True)
    elif out != "-":
        there = [many(len(data["replies"]), "reply"), many(len(data["ratings"]), "rating")]
        there.append(many(sum(map(len, data["memories"].values())), "memory"))
        click.echo(f"{', '.join(there)}, in {out}", err=True)


async def _export(settings: Settings, user: str) -> tuple[dict[str, Any], list[str]]:
    """All of it; and whose id may have been meant, if there is nothing."""
    url = await up.ensure_redis(settings)
    async with parts(settings, url) as p:
        data = await p.privacy.export(user)
        return data, [] if is_any_kept(data) else await p.privacy.alike(user)
