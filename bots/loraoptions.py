"""What the subcommands of `limen lora` ask for in the same words, and how they act on a home's Redis."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from bots import loras, options, up
from bots.assemble import Parts, parts, settings
from bots.options import SCOPE, Decorator, account_option, completing, persona_option
from core.errors import LimenError
from core.events import PersonaKey
from core.jobs import BASE
from core.store.loras import CARD

T = TypeVar("T")


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
    """A part of all sessions, up to 1. What is no number, though click takes it for one, is refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The share, or a usage error that says what is allowed."""
        share = float(super().convert(value, param, ctx))
        if math.isnan(share):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return share


class Scope(options.Scope):
    """A scope, or `*` for the LoRA that all scopes of a card share."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The scope as it is, or a usage error that says what is wrong with it."""
        return CARD if value == CARD else super().convert(value, param, ctx)


def whose(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--persona`, `--scope` and `--account`: one persona, this terminal's if only its card is named."""
    scope = click.option(
        "--scope",
        type=Scope(),
        metavar="SCOPE",
        default=SCOPE,
        show_default=True,
        help="The scope in which it lives; * for what all scopes of the card share.",
    )
    named: list[Decorator] = [
        account_option(),
        scope,
        persona_option(required=True, help="The card of the persona."),
    ]
    for option in named:
        command = option(command)
    return command


def do(ctx: click.Context, act: Callable[[Parts], Awaitable[T]]) -> T:
    """Act on the Redis of this home, which is started if need be."""

    async def run() -> T:
        s = settings(ctx)
        async with parts(s, await up.ensure_redis(s)) as p:
            return await act(p)

    return asyncio.run(run())


async def key_of(p: Parts, persona: str, scope: str, account: str) -> PersonaKey:
    """The persona of that name. Raises UnknownPersona, unless it has LoRAs and its card was lost."""
    key = PersonaKey(account, persona.strip().lower(), scope)
    if key not in await p.loras.everyone():
        p.card(key.card)
    return key
