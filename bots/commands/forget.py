"""`limen forget`: erase a person, from one persona or everywhere."""

import asyncio
import sys

import click

from bots import nights, up
from bots.assemble import parts, settings
from bots.options import account_option, persona_option, scope_option
from bots.words import many, meant
from core.errors import InputError
from core.events import PersonaKey
from core.settings import Settings


@click.command(epilog="Example: limen forget --user console:local:me --yes")
@click.option("--user", required=True, metavar="ID", help="The person's id, such as console:local:me or discord:901.")
@persona_option(help="Only from this persona; say its --scope as well.")
@scope_option(help="The scope in which that persona lives.")
@account_option()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def command(ctx: click.Context, user: str, persona: str | None, scope: str | None, account: str, yes: bool) -> None:
    """Erase a person: messages, answers to them, ratings, waiting jobs and consent. It cannot be undone.

    LoRAs with their words or votes in them stop speaking at once, and are named; the next night trains without them.
    What a killed training left here to go on from is deleted.
    """
    if bool(persona) != bool(scope):
        raise click.UsageError("--persona and --scope name one persona together: say both, or neither.")
    s = settings(ctx)
    key = PersonaKey(account, persona.strip().lower(), scope) if persona and scope else None
    found = asyncio.run(_forget(s, user, key, yes))
    if found is None:
        click.echo("Nothing was erased.", err=True)
        ctx.exit(1)
    went, stopped, alike = found
    click.echo(f"Forgotten: {', '.join(f'{number:,} {name}' for name, number in went.items())}.")
    if alike:
        click.echo(f"There was nothing of {user!r}.{meant(alike)}", err=True)
    for version in stopped:
        click.echo(f"{version} speaks no more; the next night trains one without them.")


def _sure(user: str, persona: PersonaKey | None, kept: str) -> bool:
    where = f"from {persona.card} in {persona.scope}" if persona else "everywhere"
    try:
        return click.confirm(f"Erase {user} {where} ({kept})? It cannot be undone.", err=True)
    except click.Abort as error:
        if sys.stdin.isatty():
            raise
        raise InputError("nobody said yes, so nothing was erased", "add --yes") from error


async def _forget(
    settings: Settings, user: str, persona: PersonaKey | None, yes: bool
) -> tuple[dict[str, int], list[str], list[str]] | None:
    """What went, in numbers, the LoRAs that stopped, and, if nothing went, whose id may have been meant; None if it was
    not wanted after all. Raises UnknownPersona."""
    url = await up.ensure_redis(settings)
    async with parts(settings, url) as p:
        if persona and persona not in await p.ledger.personas():
            p.card(persona.card)  # a card that never spoke there has nothing; a misspelt one is told
        if not yes:
            there = await p.privacy.export(user)
            kept = f"kept of them: {many(len(there['replies']), 'reply')}, {many(len(there['ratings']), 'rating')}"
            if not _sure(user, persona, kept):
                return None
        stopped = await p.loras.of_person(user, persona)
        went = await p.privacy.forget(user, persona)
        await nights.clear_left(p)
        return went, stopped, [] if any(went.values()) else await p.privacy.alike(user)
