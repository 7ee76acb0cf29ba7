"""`limen lora`: which LoRA a persona speaks with. Bring one in, try it, make it live, go back, tidy up."""

import asyncio
import math
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
from click.shell_completion import CompletionItem

from bots import loras, up
from bots.assemble import Parts, parts, settings
from bots.lorapage import described, page, place, used, uses
from bots.options import (
    SCOPE,
    Decorator,
    account_option,
    completing,
    json_option,
    persona_option,
    scope_option,
    show_json,
)
from core import cards
from core.errors import InputError, LimenError, LoraError
from core.events import PersonaKey
from core.jobs import BASE
from personas import library

T = TypeVar("T")
NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,59}", re.ASCII)
FOLDER = click.Path(path_type=Path, file_okay=False)


class Version(click.ParamType[str]):
    """A LoRA's name; the shell completes those of a local store. Whether there is one is asked later."""

    name = "version"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The versions there are; of a store elsewhere none, for it could let the shell wait."""
        s = completing(ctx)
        if not s or "://" in s.lora_store:
            return []
        try:
            there = [*loras.store(s).versions(), BASE]
        except LimenError:  # a shell that waits for its completion is no place to complain
            return []
        return [CompletionItem(version) for version in there if version.startswith(incomplete)]


class Share(click.FloatRange):
    """A part of all replies, up to 1. What is no number, though click takes it for one, is refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The share, or a usage error that says what is allowed."""
        share = float(super().convert(value, param, ctx))
        if math.isnan(share):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return share


def whose(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--persona`, `--scope` and `--account`: one persona, this terminal's if only its card is named."""
    options: list[Decorator] = [
        account_option(),
        scope_option(default=SCOPE, show_default=True, help="The scope in which it lives."),
        persona_option(required=True, help="The card of the persona."),
    ]
    for option in options:
        command = option(command)
    return command


def _do(ctx: click.Context, act: Callable[[Parts], Awaitable[T]]) -> T:
    """Act on the Redis of this home, which is started if need be."""

    async def run() -> T:
        s = settings(ctx)
        async with parts(s, await up.ensure_redis(s)) as p:
            return await act(p)

    return asyncio.run(run())


async def _key(p: Parts, persona: str, scope: str, account: str) -> PersonaKey:
    """The persona of that name. Raises UnknownPersona, unless it has LoRAs and its card was lost."""
    key = PersonaKey(account, persona.strip().lower(), scope)
    if key not in await p.loras.everyone():
        p.card(key.card)
    return key


@click.group(epilog="Example: limen lora add ./my-lora --persona mira")
def command() -> None:
    """Which LoRA a persona speaks with: list, add, try, roll back.

    A worker that runs follows with its next reply.
    """


@command.command(epilog="Example: limen lora add ./my-lora --persona mira --canary 0.1")
@click.argument("folder", type=FOLDER)
@whose
@click.option("--name", metavar="NAME", help="What it is called after the day; without it, the next number.")
@click.option(
    "--canary",
    type=Share(0, 1, min_open=True),
    metavar="SHARE",
    help="Only try it, with such a share of the replies.",
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

    version, said = _do(ctx, act)
    click.echo(version)
    click.echo(said, err=True)


async def _serve(p: Parts, key: PersonaKey, version: str, canary: float | None) -> str:
    """Make a version live, or try it. What follows, in words."""
    if canary is None:
        await p.loras.promote(key, version, "command")
        return f"{place(key)} speaks with it from the next reply on."
    await p.loras.canary(key, version, canary)
    return f"{canary:.0%} of the replies of {place(key)} are given with it."


@command.command("list", epilog="Example: limen lora list --persona mira")
@persona_option(help="Only personas of this card.")
@json_option
@click.pass_context
def list_(ctx: click.Context, persona: str | None, as_json: bool) -> None:
    """List who speaks with which version.

    Since when and why; then versions that nobody uses, and what is wrong.
    """
    card = (persona or "").strip().lower()
    seen = _do(ctx, lambda p: _seen(p, card))
    shown = {key: serving for key, serving in seen.everyone.items() if card in ("", key.card)}
    if not as_json:
        click.echo(page(msgspec.structs.replace(seen, everyone=shown), whole=not card))
        return
    show_json(
        {
            "personas": [loras.plain(key, serving) for key, serving in shown.items()],
            "unused": seen.unused,
            "missing": seen.missing,
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
    """Show what a version is, and who uses it."""
    about = loras.about(settings(ctx), version)
    users = loras.users(_do(ctx, lambda p: p.loras.everyone()), version)
    if as_json:
        plain = [{**msgspec.to_builtins(use.persona), "role": use.role} for use in users]
        show_json({"version": version, **msgspec.to_builtins(about), "used_by": plain})
        return
    click.echo("\n".join([*described(version, about), *used(users)]))


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


@command.command(epilog="Example: limen lora use mira-7f3a2c91/20261121-1 --persona mira --canary 0.1")
@click.argument("version", type=Version())
@whose
@click.option(
    "--canary",
    type=Share(0, 1),
    metavar="SHARE",
    help="Only try it, with such a share of the replies; 0 ends that.",
)
@click.pass_context
def use(ctx: click.Context, version: str, persona: str, scope: str, account: str, canary: float | None) -> None:
    """Make a version live for a persona, or try it.

    VERSION `base` is the model as it came. When a version goes live, a trial of another one ends.
    """

    async def act(p: Parts) -> str:
        key = await _key(p, persona, scope, account)
        if canary == 0:
            return await _end_trial(p, key, version)
        if version != BASE:
            loras.need(version, loras.store(p.settings).versions())
            loras.need_own(key, version)
        if canary is not None and (await p.loras.serving(key)).live == version:
            raise InputError(f"{version} is live: there is nothing to try", "name another version")
        return await _serve(p, key, version, canary)

    click.echo(_do(ctx, act))


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
    """Go back to the version before.

    In the end that is the base. What was live stays in the store, but is not gone back to. A trial ends.
    """

    async def act(p: Parts) -> str:
        key = await _key(p, persona, scope, account)
        was, now = await p.loras.serving(key), await p.loras.rollback(key)
        if not was.live == now == BASE:
            kept = "" if was.live == BASE else f"; {was.live} stays in the store"
            return f"{place(key)} speaks with {now} again{kept}."
        if was.canary:
            return f"The trial is over; {place(key)} speaks with the base."
        return f"{place(key)} speaks with the base, and there is nothing before it."

    click.echo(_do(ctx, act))


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
        store, users = loras.store(p.settings), loras.users(await p.loras.everyone(), version)
        if not users:
            loras.need(version, store.versions())
        elif not force:
            raise LoraError(
                f"{version} is in use: {'; '.join(uses(users))}", "`limen lora use` another one first, or say --force"
            )
        if not yes and not _sure(version):
            return False
        for user in users:
            await p.loras.withdraw(user.persona, version)
        store.remove(version)
        await p.loras.removed(version)
        return True

    gone = _do(ctx, act)
    click.echo(f"{version} is deleted." if gone else "Nothing was deleted.", err=not gone)
    ctx.exit(0 if gone else 1)


def _sure(version: str) -> bool:
    try:
        return click.confirm(f"Delete {version}? It cannot be undone.", err=True)
    except click.Abort as error:
        if sys.stdin.isatty():
            raise
        raise InputError("nobody said yes, so nothing was deleted", "add --yes") from error
