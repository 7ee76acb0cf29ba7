"""What several commands ask for in the same words: a persona by name, a scope, a bot account, JSON for machines."""

import json
import os
from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem

from bots import accounts
from core import config
from core.errors import LimenError
from core.settings import Settings
from personas import library

ACCOUNT = "console:local"
SCOPE = "console:local:user:me"


class PersonaName(click.ParamType[str]):
    """A card's name; the shell completes it. Whether there is one of that name is asked later (`Parts.card`)."""

    name = "name"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names there are."""
        return [
            CompletionItem(entry.name, help=entry.card.tagline if entry.card else "broken")
            for entry in _entries(ctx)
            if entry.name.startswith(incomplete.lower())
        ]


def _entries(ctx: click.Context) -> list[library.Entry]:
    settings = completing(ctx)
    return library.entries(library.folders(settings.home)) if settings else []


def completing(ctx: click.Context) -> Settings | None:
    """The settings, for a shell that waits for its completion: that is no place to complain, so None if they fail."""
    given = ctx.find_root().params
    try:
        return config.load(os.environ, config=given.get("config"), home=given.get("home"))
    except LimenError:
        return None


class BotName(click.ParamType[str]):
    """`discord`, or `discord:orrin` for another bot there."""

    name = "bot"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name as it is, or a usage error that says what is wrong with it."""
        try:
            return str(accounts.account(value))
        except LimenError as error:
            self.fail(f"{error}. {error.hint}" if error.hint else f"{error}", param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The platforms, and whose secrets are there."""
        known = dict.fromkeys([*accounts.TITLES, *map(str, accounts.given(os.environ))])
        return [CompletionItem(name) for name in known if name.startswith(incomplete.lower())]


class Scope(click.ParamType[str]):
    """`platform:workspace:kind:id`."""

    name = "scope"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The scope as it is, or a usage error that says what is wrong with it."""
        if fault := scope_fault(value):
            self.fail(f"{value!r} {fault}", param, ctx)
        return str(value)


class Account(click.ParamType[str]):
    """`platform:id`."""

    name = "account"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The account as it is, or a usage error that says what is wrong with it."""
        if fault := account_fault(value):
            self.fail(f"{value!r} {fault}", param, ctx)
        return str(value)


def scope_fault(scope: object) -> str:
    """Why this is no scope; empty if it is one."""
    if not _is_id(scope, 4):
        return f"is not a scope: expected platform:workspace:kind:id, such as {SCOPE} or discord:77:channel:901"
    return ""


def account_fault(account: object) -> str:
    """Why this is no bot account; empty if it is one."""
    return "" if _is_id(account, 2) else f"is not a bot account: expected platform:id, such as {ACCOUNT}"


def _is_id(text: object, parts: int) -> bool:
    """So many parts between colons, none of them empty, and nothing in them that has a meaning in our keys."""
    if not isinstance(text, str) or len(text) > 400 or not text.isprintable():
        return False
    found = text.split(":")
    return len(found) == parts and all(found) and not any(c in text for c in "|/ ")


Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def persona_option(**more: Any) -> Decorator:
    """`--persona NAME`."""
    return click.option("--persona", type=PersonaName(), metavar="NAME", **more)


def scope_option(**more: Any) -> Decorator:
    """`--scope SCOPE`."""
    return click.option("--scope", type=Scope(), metavar="SCOPE", **more)


def account_option(**more: Any) -> Decorator:
    """`--account ACCOUNT`: the terminal's, unless another is named."""
    text = {"default": ACCOUNT, "show_default": True, "help": "The bot account that the persona belongs to."}
    return click.option("--account", type=Account(), metavar="ACCOUNT", **{**text, **more})


def whose(persona: str = "Its card; without it, the one that plays in that scope.") -> Decorator:
    """`--persona`, `--scope` and `--account`: this terminal's, unless another is named. `persona`: its help."""

    def given(command: Callable[..., Any]) -> Callable[..., Any]:
        scope = scope_option(default=SCOPE, show_default=True, help="The scope in which it lives.")
        for option in (account_option(), scope, persona_option(help=persona)):
            command = option(command)
        return command

    return given


json_option = click.option("--json", "as_json", is_flag=True, help="For machines: JSON on standard output.")


def show_json(data: Any) -> None:
    """Data for machines, letters as they are."""
    click.echo(json.dumps(data, ensure_ascii=False, indent=2))
