"""`limen down`: stop what `limen up` or `limen chat` started for this home. Nothing that was said is lost."""

import asyncio

import click

from bots import up
from bots.assemble import settings


@click.command()
@click.pass_context
def command(ctx: click.Context) -> None:
    """Stop the worker and the embedded Redis of this home. What was said is kept."""
    stopped = asyncio.run(up.down(settings(ctx)))
    click.echo(f"Stopped {' and '.join(stopped)}." if stopped else "Nothing was running.")
