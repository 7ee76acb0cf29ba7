"""`limen persona history`, `diff` and `rollback`: what a persona has become, why, and back to an earlier day."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import click
import msgspec

from bots import up
from bots.assemble import Parts, parts, settings
from bots.options import json_option, show_json, whose
from bots.words import many
from bots.wrap import wrapped
from core import days
from core.events import PersonaKey
from core.growth import goingback, reasons, telling
from core.growth.changes import AnyChange
from core.growth.reasons import Account, Reasons
from personas.card import Card

T = TypeVar("T")
WEEK = "7"  # days ago
OPERATOR = "operator"  # who it is that acts by the shell


class Day(click.ParamType[str]):
    """A day as people name it. Which it is depends on the time zone of the settings."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text, if it names a day, or a usage error that says what is a day."""
        try:
            days.read(str(value), time.time(), "UTC")
        except ValueError:
            self.fail(f"{value!r} is no day: say today, yesterday, tuesday, 3 (days ago) or 2026-05-01", param, ctx)
        return str(value)


class _Asked(msgspec.Struct, frozen=True):
    """Whom somebody asked about, and the parts to answer with."""

    p: Parts
    key: PersonaKey
    card: Card

    @property
    def reasons(self) -> Reasons:
        return Reasons(self.p.growth, self.p.ledger, self.p.conversations)

    def day(self, text: str) -> int:
        return days.read(text, time.time(), self.p.settings.timezone)

    def shown(self, day: int) -> str:
        return days.name(day, self.p.growth.now().day)


def _do(ctx: click.Context, options: dict[str, Any], act: Callable[[_Asked], Awaitable[T]]) -> T:
    """Act on a persona of this home's Redis, which is started if need be."""

    async def run() -> T:
        s = settings(ctx)
        async with parts(s, await up.ensure_redis(s)) as p:
            account, scope = options["account"], options["scope"]
            name = (options["persona"] or "").strip().lower()
            if not name:
                (name,) = await p.personas.chosen(account, [scope])
            card = p.card(name or s.persona)
            return await act(_Asked(p, PersonaKey(account, card.name, scope), card))

    return asyncio.run(run())


@click.command(epilog="Example: limen persona history --persona mira --since yesterday")
@whose()
@click.option(
    "--since", type=Day(), metavar="DAY", default=WEEK, show_default="7 days ago",
    help="Only what happened on that day or later.",
)  # fmt: skip
@click.option("-n", "--last", type=click.IntRange(1, 20_000), default=50, show_default=True, help="At most so many.")
@json_option
@click.pass_context
def history(ctx: click.Context, /, since: str, last: int, as_json: bool, **options: Any) -> None:
    """What has changed a persona: by how much, and because of what.

    The latest come last. DAY is today, yesterday, tuesday, a number of days ago or 2026-05-01.
    """

    async def act(asked: _Asked) -> tuple[Account, str, str]:
        day = asked.day(since)
        found = await asked.reasons.since(asked.key, asked.card, reasons.before(day))
        return found, asked.p.settings.timezone, asked.shown(day)

    found, zone, first = _do(ctx, options, act)
    entries = [*zip(found.entries, found.moved, strict=True)][-last:]
    if as_json:
        show_json([{"stream": one.id, **msgspec.to_builtins(one.change), "moved": by} for one, by in entries])
        return
    quote, who = telling.quoting(found.texts), telling.names(found.changes, found.now)
    for entry, moved in entries:
        row = f"{_moment(entry.change, zone)}  {telling.told(entry.change, moved, who, quote)}"
        click.echo(wrapped(row, " " * 18))
    if not entries:
        click.echo(f"Nothing has changed it since {first}. It grows with who talks to it; `limen chat` is a beginning.")
    elif (more := len(found.entries) - len(entries)) or since == WEEK:
        left = f"; {many(more, 'earlier change')} left out, -n shows more" if more else ""
        click.echo(f"Since {first}, --since DAY goes further back{left}.", err=True)


def _moment(change: AnyChange, zone: str) -> str:
    try:
        return datetime.fromtimestamp(change.time, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, OSError, ValueError):  # of a clock that was out of its mind
        return f"{change.time:.0f} s"


@click.command(epilog="Example: limen persona diff yesterday today --persona mira")
@click.argument("first", type=Day(), metavar="DAY")
@click.argument("second", type=Day(), metavar="DAY")
@whose()
@json_option
@click.pass_context
def diff(ctx: click.Context, /, first: str, second: str, as_json: bool, **options: Any) -> None:
    """How a persona differs between the ends of two days, and why.

    Today is as it is now. Before its first day it is as it was born.
    """

    async def act(asked: _Asked) -> None:
        begin, end = sorted((asked.day(first), asked.day(second)))
        found = await asked.reasons.since(asked.key, asked.card, begin, until=end)
        moves = telling.moves(found.before, found.now, found.changes, telling.quoting(found.texts))
        if as_json:
            show_json({"from": begin, "to": end, "moves": msgspec.to_builtins(moves)})
            return
        rows = _difference(found, moves, asked, end)
        click.echo("\n".join(rows) or "Nothing differs.")

    _do(ctx, options, act)


def _difference(found: Account, moves: list[telling.Move], asked: _Asked, until: int) -> list[str]:
    width = max((len(move.dial) for move in moves), default=0)
    rows = []
    for move in moves:
        by = f"{move.now - move.before:+.2f}, card {move.card:.2f}"
        rows.append(wrapped(f"{move.dial:<{width}}  {move.before:.2f} → {move.now:.2f}  ({by})"))
        causes = telling.weighty(move)[0]
        rows += [wrapped(f"{'':{width}}  {cause.by:+.2f}  {cause.text}", " " * (width + 9)) for cause in causes]
    now = asked.p.growth.now().time
    rows += map(wrapped, telling.people(found.before, found.now, found.before.last or now, found.now.last or now))
    count = many(len(found.entries), "change")
    end = "now" if until >= asked.p.growth.now().day else f"the end of {asked.shown(until)}"
    return [*rows, f"{count} between the end of {asked.shown(found.since)} and {end}."] if rows else []


@click.command(epilog="Example: limen persona rollback yesterday --persona mira")
@click.argument("day", type=Day())
@whose()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def rollback(ctx: click.Context, /, day: str, yes: bool, **options: Any) -> None:
    """Make a persona as it was at the end of a day: what it has become, and the LoRA it spoke with.

    Memories stay. It is a note in the history like any other: nothing is lost, and it can be gone back on.
    """

    async def act(asked: _Asked) -> str:
        to = asked.day(day)
        if not yes:
            click.confirm(
                f"{asked.card.title} in {asked.key.scope} becomes as it was at the end of {asked.shown(to)}. Go on?",
                abort=True,
            )
        p = asked.p
        back = await goingback.go_back(
            p.growth, p.loras, asked.key, asked.card, OPERATOR, to, p.settings.timezone
        )  # fmt: skip
        return goingback.told(back, asked.shown(to))

    click.echo(_do(ctx, options, act))
