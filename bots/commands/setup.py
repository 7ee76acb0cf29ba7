"""`limen setup PLATFORM`: from nothing to a bot whose tokens are known to be good, and stand in .env."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from bots import envfile, steps
from bots.accounts import Account, account
from bots.assemble import settings
from bots.platforms import lacking_packages, require_packages
from bots.walk import Given, Walk
from core import cards
from core.errors import LimenError
from personas import library
from personas.card import Card

BOT = "limen.bot"


class _Bots(click.Group):
    """`limen setup discord`, and `limen setup discord:orrin` for another bot there."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The platform's command, told which bot it is for."""
        if ":" in args[0]:
            try:
                ctx.meta[BOT] = one = account(args[0])
            except LimenError as error:
                raise click.UsageError(f"{error}. {error.hint}".removesuffix(" "), ctx) from error
            args = [one.platform, *args[1:]]
        return super().resolve_command(ctx, args)


@click.group(cls=_Bots)
def command() -> None:
    """Make a bot on Discord, Telegram or Slack: what to click, its tokens checked and written into .env.

    What you type is not shown. Whatever else is in .env stays as it is.
    `limen setup discord:orrin` makes another bot there, beside the first; choose the name yourself.
    In scripts, --no-input takes the tokens from the environment.
    The status is 1 if something is still to be done.
    """


def _bot(ctx: click.Context, platform: str) -> Account:
    """The one that is being made."""
    one: Account = ctx.meta.get(BOT) or Account(platform)
    return one


def _walking(act: Callable[..., None]) -> Callable[..., None]:
    """The options that all three have."""
    for option in (
        click.option("--no-check", is_flag=True, help="Do not ask the platform whether the tokens are good."),
        click.option("--no-input", is_flag=True, help="Ask nothing: take the tokens from the environment."),
        click.option(
            "--env-file",
            type=click.Path(path_type=Path, dir_okay=False),
            default=envfile.FILE,
            show_default=True,
            help="Where to write them; limen reads the one in its current folder.",
        ),
    ):
        act = option(act)
    return act


@command.command("discord", epilog="Example: limen setup discord")
@_walking
@click.pass_context
def discord(ctx: click.Context, no_check: bool, no_input: bool, env_file: Path) -> None:
    """A bot on Discord: token, intents, invitation."""
    walk = Walk(settings(ctx), _bot(ctx, "discord"), env_file, no_input, no_check)
    ctx.exit(walk.go(steps.discord(), [steps.DISCORD_TOKEN], _invitation))


def _invitation(given: Given) -> str:
    if lacking_packages("discord"):
        return ""
    from adapters.discord.checkup import invite
    from adapters.discord.client import account_of

    application = account_of(given["DISCORD_TOKEN"]).partition(":")[2]
    return steps.invited(invite(application)) if application else ""


@command.command("telegram", epilog="Example: limen setup telegram")
@_walking
@click.pass_context
def telegram(ctx: click.Context, no_check: bool, no_input: bool, env_file: Path) -> None:
    """A bot on Telegram: its token, and groups."""
    walk = Walk(settings(ctx), _bot(ctx, "telegram"), env_file, no_input, no_check)
    ctx.exit(walk.go(steps.telegram(), [steps.TELEGRAM_TOKEN], lambda _: steps.in_groups()))


@command.command("slack", epilog="Example: limen setup slack --name Mira")
@click.option("--name", metavar="NAME", help="What the app is called (default: as the persona is).")
@click.option(
    "--url",
    metavar="URL",
    callback=lambda ctx, param, url: _address(url) if url else "",
    help="Slack is to call us at this https address (default: Socket Mode).",
)
@click.option("--manifest", "only_manifest", is_flag=True, help="Print the app's manifest as JSON, and no more.")
@_walking
@click.pass_context
def slack(
    ctx: click.Context,
    name: str | None,
    url: str,
    only_manifest: bool,
    no_check: bool,
    no_input: bool,
    env_file: Path,
) -> None:
    """A bot on Slack: manifest, tokens, channels."""
    require_packages("slack")
    one = _bot(ctx, "slack")
    s = one.settings(settings(ctx))
    card = cards.load(s.persona, library.folders(s.home))
    described = _manifest(name or card.title, card, url)
    if only_manifest:
        click.echo(json.dumps(described, ensure_ascii=False, indent=2))
        return
    second = steps.SLACK_SIGNING_SECRET if url else steps.SLACK_APP_TOKEN
    walk = Walk(s, one, env_file, no_input, no_check)
    told = steps.in_channels(described["features"]["bot_user"]["display_name"])
    ctx.exit(walk.go(steps.slack(described, bool(url)), [steps.SLACK_BOT_TOKEN, second], lambda _: told))


def _address(url: str) -> str:
    """Where Slack calls, with the path at which we listen."""
    if not url.startswith("https://"):
        raise click.BadParameter(f"{url!r} is not an https:// address")
    return f"{url.rstrip('/').removesuffix('/slack/events')}/slack/events"


def _manifest(name: str, card: Card, url: str) -> dict[str, Any]:
    from adapters.slack.manifest import manifest

    return manifest(name, card.tagline, url)
