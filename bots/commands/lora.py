"""`limen lora`: which LoRA a persona speaks with. Bring one in, try it, make it live, go back, tidy up."""

import copy
import re
import sys
from pathlib import Path

import click
import msgspec

from bots import loranights, loras
from bots.assemble import Parts, settings
from bots.loraoptions import Share, Version, do, key_of, whose
from bots.lorapage import described, held, origin, page, place, used, uses
from bots.options import json_option, persona_option, show_json
from core import cards
from core.errors import InputError, LoraError
from core.events import PersonaKey
from core.jobs import BASE
from personas import library

NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,59}", re.ASCII)
FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group(epilog="Example: limen lora add ./my-lora --persona mira")
def command() -> None:
    """Which LoRA a persona speaks with: list, add, try, roll back.

    A worker that runs follows with its next reply.
    """


for _one in (loranights.diff, loranights.pin, loranights.trials):
    command.add_command(_one)


@command.command(epilog="Example: limen lora add ./my-lora --persona mira --canary 0.1")
@click.argument("folder", type=FOLDER)
@whose
@click.option("--name", metavar="NAME", help="What it is called after the day; without it, the next number.")
@click.option(
    "--canary",
    type=Share(0, 1, min_open=True),
    metavar="SHARE",
    help="Only try it, in such a share of the sessions.",
)
@click.option("--any-base", is_flag=True, help="It is for our base, whatever base it says it is for.")
@click.pass_context
def add(
    ctx: click.Context, folder: Path, persona: str, scope: str, account: str, name: str | None,
    canary: float | None, any_base: bool,
) -> None:  # fmt: skip
    """Bring a LoRA in, and make it live.

    FOLDER holds it as peft writes it. It is checked against the base model and copied into the store, where it never
    changes. The name that it gets there is printed.
    """
    if name is not None and not NAME.fullmatch(name):
        raise click.BadParameter("letters, digits, - _ and ., at most 60", param_hint="--name")

    s = settings(ctx)
    key = PersonaKey(account, cards.load(persona, library.folders(s.home)).name, scope)
    loras.check(s, folder, any_base)

    async def act(p: Parts) -> tuple[str, str]:
        version = await loras.keep(p, folder, key, name or "", any_base)
        return version, await _serve(p, key, version, canary)

    version, said = do(ctx, act)
    click.echo(version)
    click.echo(said, err=True)


async def _serve(p: Parts, key: PersonaKey, version: str, canary: float | None) -> str:
    """Make a version live, or try it. What follows, in words."""
    if canary is None:
        await p.loras.promote(key, version, "command")
        return f"{place(key)} speaks with it from the next reply on{await held(p.loras, key)}."
    await p.loras.canary(key, version, canary)
    return f"{canary:.0%} of the sessions of {place(key)} are held with it."


@command.command("list", epilog="Example: limen lora list --persona mira")
@persona_option(help="Only personas of this card.")
@json_option
@click.pass_context
def list_(ctx: click.Context, persona: str | None, as_json: bool) -> None:
    """List who speaks with which version.

    Since when and why; then versions that nobody uses, and what is wrong.
    """
    card = (persona or "").strip().lower()
    seen = do(ctx, lambda p: _seen(p, card))
    shown = {key: serving for key, serving in seen.everyone.items() if card in ("", key.card)}
    if not as_json:
        click.echo(page(msgspec.structs.replace(seen, everyone=shown), whole=not card))
        return
    show_json(
        {
            "personas": [loras.plain(key, serving, seen.common.get(key)) for key, serving in shown.items()],
            "unused": seen.unused,
            "missing": seen.missing,
            "to_be_rebuilt": seen.tainted,
            "faults": [msgspec.to_builtins(fault) for fault in seen.faults],
        }
    )


async def _seen(p: Parts, card: str) -> loras.Overview:
    """The overview. Raises UnknownPersona for a card that is none, unless a persona of it has LoRAs."""
    seen = await loras.overview(p)
    if card and all(key.card != card for key in seen.everyone):
        p.card(card)
    return seen


@command.command(epilog="Example: limen lora show mira-7f3a2c91/20261121-1")
@click.argument("version", type=Version())
@json_option
@click.pass_context
def show(ctx: click.Context, version: str, as_json: bool) -> None:
    """Show what a version is, where it comes from, and who uses it."""
    about, manifest = loras.about(settings(ctx), version), loras.manifest(settings(ctx), version)
    users = loras.users(do(ctx, lambda p: p.loras.everyone()), version)
    if as_json:
        plain = [{**msgspec.to_builtins(use.persona), "role": use.role} for use in users]
        show_json(
            {
                "version": version,
                **msgspec.to_builtins(about),
                "used_by": plain,
                "manifest": msgspec.to_builtins(manifest),
            }
        )
        return
    click.echo("\n".join([*described(version, about), *origin(manifest), *used(users)]))


@command.command(epilog="Example: limen lora check ./my-lora")
@click.argument("folder", type=FOLDER)
@click.option("--any-base", is_flag=True, help="Whatever base it says it is for.")
@json_option
@click.pass_context
def check(ctx: click.Context, folder: Path, any_base: bool, as_json: bool) -> None:
    """Say whether a LoRA fits the base model.

    FOLDER holds it as peft writes it. If it does not fit, the status is 1.
    """
    about = loras.check(settings(ctx), folder, any_base)
    if as_json:
        show_json({"folder": str(folder), **msgspec.to_builtins(about)})
        return
    click.echo("\n".join([*described(str(folder), about), "It fits."]))


@command.command(epilog="Example: limen lora promote mira-7f3a2c91/20261121-1 --persona mira --canary 0.1")
@click.argument("version", type=Version())
@whose
@click.option(
    "--canary",
    type=Share(0, 1),
    metavar="SHARE",
    help="Only try it, in such a share of the sessions; 0 ends that.",
)
@click.pass_context
def promote(ctx: click.Context, version: str, persona: str, scope: str, account: str, canary: float | None) -> None:
    """Make a version live for a persona, or try it.

    VERSION `base` is the model as it came. When a version goes live, a trial of another one ends.
    """

    async def act(p: Parts) -> str:
        key = await key_of(p, persona, scope, account)
        if canary == 0:
            return await _end_trial(p, key, version)
        if version != BASE:
            loras.need(version, loras.store(p.settings).versions())
            loras.need_own(key, version, await p.loras.origin(version))
        if canary is not None and (await p.loras.serving(key)).live == version:
            raise InputError(f"{version} is live: there is nothing to try", "name another version")
        return await _serve(p, key, version, canary)

    click.echo(do(ctx, act))


_use = copy.copy(promote)  # what it was called before there were trials
_use.hidden = True
command.add_command(_use, "use")


def _voice(version: str) -> str:
    return "the base" if version == BASE else version


async def _end_trial(p: Parts, key: PersonaKey, version: str) -> str:
    serving = await p.loras.serving(key)
    if serving.canary != version:
        raise InputError(f"{version} is not on trial for {place(key)}", "`limen lora list` shows what is")
    await p.loras.drop_canary(key)
    return f"The trial is over; {place(key)} speaks with {serving.live}."


@command.command(epilog="Example: limen lora rollback --persona mira")
@whose
@click.pass_context
def rollback(ctx: click.Context, persona: str, scope: str, account: str) -> None:
    """Go back to the old voice, at once.

    While a LoRA is on trial, only the trial ends. Else it goes back to the version before, in the end to the base (or
    its card's LoRA, with `night.pool`). What was live stays in the store, but is not gone back to.
    """

    async def act(p: Parts) -> str:
        key = await key_of(p, persona, scope, account)
        was, now = await p.loras.serving(key), await p.loras.rollback(key)
        voice = _voice((await p.loras.spoken(key, p.settings.night.pool == "card")).live)
        if was.canary:
            further = "" if now == BASE and not was.before else " Another rollback goes further back."
            return f"The trial of {was.canary} is over; {place(key)} speaks with {voice} alone.{further}"
        if not was.live == now == BASE:
            kept = "" if was.live == BASE else f"; {was.live} stays in the store"
            return f"{place(key)} speaks with {voice} again{kept}{await held(p.loras, key)}."
        return f"{place(key)} speaks with {voice}, and there is nothing before it."

    click.echo(do(ctx, act))


@command.command(epilog="Example: limen lora remove mira-7f3a2c91/20261121-1 --yes")
@click.argument("version", type=Version())
@click.option("--force", is_flag=True, help="Even if a persona has it; the version before then serves.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def remove(ctx: click.Context, version: str, force: bool, yes: bool) -> None:
    """Delete a version from the store.

    It cannot be undone. One that a persona has, now or in its history, is kept unless you say --force.
    """

    async def act(p: Parts) -> bool:
        users = loras.users(await p.loras.everyone(), version)
        if not users:
            loras.need(version, loras.store(p.settings).versions())
        elif not force:
            raise LoraError(
                f"{version} is in use: {'; '.join(uses(users))}",
                "`limen lora promote` another one first, or say --force",
            )
        if not yes and not _sure(version):
            return False
        for user in users:
            await p.loras.withdraw(user.persona, version)
        await loras.remove(p, version)
        return True

    gone = do(ctx, act)
    click.echo(f"{version} is deleted." if gone else "Nothing was deleted.", err=not gone)
    ctx.exit(0 if gone else 1)


def _sure(version: str) -> bool:
    try:
        return click.confirm(f"Delete {version}? It cannot be undone.", err=True)
    except click.Abort as error:
        if sys.stdin.isatty():
            raise
        raise InputError("nobody said yes, so nothing was deleted", "add --yes") from error
