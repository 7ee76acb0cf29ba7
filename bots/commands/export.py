"""`limen export`: all that is kept of a person, as JSON."""

import asyncio
import json
from typing import Any

import click

from bots import up
from bots.assemble import parts, settings
from bots.files import writing
from core.settings import Settings

PARTS = ("consent", "conversations", "replies", "ratings", "reactions_waiting_for_their_reply", "nights", "jobs")


@click.command(epilog="Example: limen export --user console:local:me --out me.json")
@click.option("--user", required=True, metavar="ID", help="The person's id, such as console:local:me or discord:901.")
@click.option("--out", default="-", metavar="FILE", help="Where it goes; without it, standard output.")
@click.pass_context
def command(ctx: click.Context, user: str, out: str) -> None:
    """Give all that is kept of a person, as JSON.

    Their messages and the answers to them, replies with their words in the prompt, ratings, consent and waiting jobs.
    """
    data = asyncio.run(_export(settings(ctx), user))
    with writing(out) as file:
        file.write(json.dumps(data, ensure_ascii=False, indent=2) + "\n")
    if not any(data[part] for part in PARTS):
        click.echo(f"Nothing is kept of {user!r}.", err=True)
    elif out != "-":
        click.echo(f"{len(data['replies']):,} replies and {len(data['ratings']):,} ratings, in {out}", err=True)


async def _export(settings: Settings, user: str) -> dict[str, Any]:
    url = await up.ensure_redis(settings)
    async with parts(settings, url) as p:
        return await p.privacy.export(user)
