"""`limen night`: let personas learn now, see what nights found, and when the next one comes."""

import asyncio
import logging
import os
import re
import signal
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click
import msgspec
from msgspec.structs import replace

from bots import nightpage, nights, up
from bots.assemble import Parts, parts, settings
from bots.files import writing
from bots.lorapage import place
from bots.loras import day
from bots.options import SCOPE, account_option, json_option, persona_option, scope_option, show_json
from bots.progress import Progress, progress
from bots.run import beside
from bots.words import many
from core.errors import InputError, LimenError, StaleLease
from core.events import PersonaKey
from core.nights import Night, Outcome
from core.settings import Settings
from core.store.nights import RUN

if TYPE_CHECKING:
    from worker.night.all import Terms

T = TypeVar("T")
log = logging.getLogger("limen.night")
DAY = re.compile(r"\d{4}-?\d{2}-?\d{2}")
MORE = "`limen night --now` begins one; `limen night --help` says more."


class Wish(NamedTuple):
    """What was asked of `limen night --now`. No persona: everybody who has something to learn."""

    persona: PersonaKey | None
    order: nights.Order


@click.group(invoke_without_command=True, epilog="Example: limen night --now --persona mira")
@click.option("--now", is_flag=True, help="Let everybody learn who has something to learn, or one persona.")
@persona_option(help="Only this one.")
@scope_option(default=SCOPE, show_default=True, help="The scope in which it lives.")
@account_option()
@click.option("--dry-run", is_flag=True, help="Train and judge, and keep nothing.")
@click.option("--sweep", is_flag=True, help="Try several settings on the same ratings, and keep the best.")
@click.option("--live", is_flag=True, help="What passes the gate goes live at once, without a trial (night.canary).")
@click.option("--seed", type=click.IntRange(0, 2**31 - 1), default=0, metavar="N", help="For the same night again.")
@click.option("--scheduled", is_flag=True, hidden=True)
@json_option
@click.pass_context
def command(
    ctx: click.Context, now: bool, persona: str | None, scope: str, account: str, dry_run: bool, sweep: bool,
    live: bool, seed: int, scheduled: bool, as_json: bool,
) -> None:  # fmt: skip
    """Let personas learn from how people reacted to them.

    A night collects the ratings, trains a LoRA, and lets it go live only if it is shown to be better. Nights come by
    themselves (night.at) while a worker runs. Without --now, this shows how it stands.
    """
    s = settings(ctx)
    flags = {"--persona": persona, "--dry-run": dry_run, "--sweep": sweep, "--live": live}
    asked = [name for name, given in flags.items() if given]
    if ctx.invoked_subcommand:
        if now or asked:
            raise click.UsageError(f"{(asked or ['--now'])[0]} belongs behind `{ctx.invoked_subcommand}`, or not here.")
        return
    if not now:
        if asked:
            raise click.UsageError(f"{asked[0]} goes with --now.")
        _show_status(s, as_json)
        if not as_json:
            click.echo(MORE)
        return
    key = PersonaKey(account, persona.strip().lower(), scope) if persona else None
    done = _begin(s, Wish(key, nights.Order(dry_run, sweep, live, scheduled, seed)))
    if as_json:
        show_json([msgspec.to_builtins(night) for night in done])
    failed = any(night.outcome == Outcome.FAILED for night in done)
    ctx.exit(1 if failed and not scheduled else 0)


# Making nights.


def _begin(settings: Settings, wish: Wish) -> list[Night]:
    """Make the nights, behind everybody who talks. Raises LimenError."""
    from worker.night.child import capped, die_with_parent, last_in_line, threads

    if wish.order.scheduled:
        die_with_parent()
        last_in_line()
        logging.basicConfig(level=settings.log.level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    few = threads(settings.night.threads)
    settings = replace(settings, model=replace(settings.model, threads=few))
    for name, count in capped(few).items():
        os.environ.setdefault(name, count)  # read when torch is imported
    return asyncio.run(_ending_at_once(_make(settings, wish), wish.order.scheduled))


async def _ending_at_once(work: Coroutine[Any, Any, T], scheduled: bool) -> T:
    """The result of `work`. Interrupted, it gives back what it holds, and what still computes in threads is left: that
    knows of nothing, and may take hours.
    """
    from worker.night.child import compute_behind

    loop, told = asyncio.get_running_loop(), []
    compute_behind(loop)
    task = asyncio.ensure_future(work)

    def stop(sign: signal.Signals) -> None:
        told.append(sign)
        task.cancel()

    if threading.current_thread() is threading.main_thread():
        for sign in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sign, stop, sign)
    try:
        return await task
    except asyncio.CancelledError:
        if told:
            click.echo("Stopped. What was done is kept; the next night goes on behind it.", err=True)
            sys.stdout.flush()
            os._exit(128 + told[0])
        raise
    except StaleLease as error:  # somebody else may be at it by now
        if scheduled:
            log.error("%s", error)
            os._exit(1)
        raise


async def _make(settings: Settings, wish: Wish) -> list[Night]:
    url = await up.ensure_redis(settings)
    async with parts(settings, url) as p:
        return await beside(_nights(p, wish), up.keep_redis(settings))


async def _nights(p: Parts, wish: Wish) -> list[Night]:
    from worker.night.all import Terms

    today, keep = day(p.settings.timezone), not wish.order.dry_run
    await nights.clear_left(p)
    if wish.persona:
        return [await _single(p, wish.persona, wish.order, Terms(today, keep=keep))]
    terms = Terms(today, p.settings.night.budget_minutes * 60, keep)
    if wish.order.scheduled:  # under the lease of the worker that started us
        done = await _everyone(p, wish.order, terms)
        await nights.post(p, done)
        return done
    from worker.night.leases import taken, under

    lease = await taken(p.nights, RUN)
    if lease is None:
        raise LimenError(
            f"a nightly run is at work already: {await p.nights.holder(RUN)}",
            "`limen night status` shows it; --persona NAME trains one persona beside it",
        )
    return await under(lease, _everyone(p, wish.order, terms))


async def _single(p: Parts, persona: PersonaKey, order: nights.Order, terms: "Terms") -> Night:
    from worker.night.all import one

    p.card(persona.card)
    with progress("nights", 1) as shown:
        night = await one(p.nights, persona, nights.school(p, order, shown.step).learn, terms, _Told(shown))
    if night is None:
        holder = await p.nights.holder(str(persona))
        said = f"{place(persona)} learns already: {holder or 'another process'}"
        raise LimenError(said, "wait for its end: `limen night status`")
    return night


async def _everyone(p: Parts, order: nights.Order, terms: "Terms") -> list[Night]:
    from worker.night.all import everyone

    due = await nights.school(p, order, lambda *_: None).due()
    if not due:
        click.echo("Nobody has anything new to learn from: a night needs reactions to replies.", err=True)
    with progress("nights", len(due)) as shown:
        learn = nights.school(p, order, shown.step).learn
        done = await everyone(p.nights, due, learn, terms, _Told(shown))
    if terms.keep and (old := await nights.clear_old(p)):
        click.echo(
            f"{many(len(old), 'LoRA')} that no rollback goes back to, older than lora.keep_days: deleted.", err=True
        )
    if len(done) < len(due):
        said = f"{len(done):,} of {many(len(due), 'persona')}; the others are first the next night."
        click.echo(said, err=True)
    elif done:
        click.echo("`limen night report` shows what was found.", err=True)
    return done


class _Told:
    """Tells of each night, and moves the bar."""

    def __init__(self, shown: Progress) -> None:
        self._shown = shown

    def begins(self, persona: PersonaKey) -> None:
        self._shown.say(f"{place(persona)} …")

    def ended(self, night: Night) -> None:
        self._shown.say(nightpage.ended(night))
        self._shown.advance()

    def passed(self, persona: PersonaKey, why: str) -> None:
        self._shown.say(f"{place(persona)}: passed over, for {why}")
        self._shown.advance()


# Looking at nights.


def _one_persona(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--persona`, `--scope` and `--account`: whose nights; without a name, everybody's."""
    options = [
        account_option(),
        scope_option(default=SCOPE, show_default=True, help="The scope in which it lives."),
        persona_option(help="Only the nights of this one."),
    ]
    for option in options:
        command = option(command)
    return command


def _ask(settings: Settings, ask: Callable[[Parts], Awaitable[T]]) -> T:
    """Ask the Redis of this home, which is started if need be."""

    async def run() -> T:
        async with parts(settings, await up.ensure_redis(settings)) as p:
            return await ask(p)

    return asyncio.run(run())


async def _kept(p: Parts, persona: str | None, scope: str, account: str, most: int = 1000) -> list[Night]:
    """The nights of one persona, or of all, newest first."""
    if not persona:
        return await p.nights.latest(most)
    key = PersonaKey(account, persona.strip().lower(), scope)
    found = await p.nights.of(key)
    if not found:
        p.card(key.card)
    return found[:most]


@command.command("list", epilog="Example: limen night list --persona mira")
@_one_persona
@click.option("-n", "most", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many.")
@json_option
@click.pass_context
def list_(ctx: click.Context, persona: str | None, scope: str, account: str, most: int, as_json: bool) -> None:
    """List the latest nights, and how each ended."""
    s = settings(ctx)
    found = _ask(s, lambda p: _kept(p, persona, scope, account, most))
    if as_json:
        show_json([msgspec.to_builtins(night) for night in found])
    elif found:
        click.echo(nightpage.table(found, s.timezone))
    else:
        click.echo("There was no night yet; `limen night --now` makes one.")


@command.command(epilog="Example: limen night report --persona mira --open")
@click.argument("day", required=False)
@_one_persona
@click.option("--open", "in_browser", is_flag=True, help="As a page, in a browser.")
@click.option("--html", metavar="FILE", help="As a page, into a file (`-`: standard output).")
@json_option
@click.pass_context
def report(
    ctx: click.Context, day: str | None, persona: str | None, scope: str, account: str, in_browser: bool,
    html: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Show what a night found: ratings, curves, samples, the gate and its decision.

    The latest one, or that of DAY (20261127, or a night's id as `limen night list --json` has it).
    """
    if in_browser + bool(html) + as_json > 1:
        raise click.UsageError("--open, --html and --json: only one of them.")
    found = _ask(settings(ctx), lambda p: _kept(p, persona, scope, account))
    night = _of_day(found, day or "")
    if as_json:
        show_json(msgspec.to_builtins(night))
        return
    from worker.night.report import page, plain

    if not html and not in_browser:
        click.echo(plain(night))
        return
    earlier = [one for one in found if one.persona == night.persona and one.began < night.began]
    _publish(page(night, earlier), html, in_browser)


def _of_day(found: Sequence[Night], day: str) -> Night:
    """The latest night, of that day or id if one is named. Raises InputError."""
    wanted = day.replace("-", "") if DAY.fullmatch(day) else day
    night = next((one for one in found if wanted in ("", one.day, one.id)), None)
    if night is None and found:
        days = ", ".join(list(dict.fromkeys(one.day for one in found))[:5])
        raise InputError(f"no night of {day!r} is kept; there are those of {days}", "`limen night list` shows them")
    if night is None:
        raise InputError("there was no night yet", "`limen night --now` makes one")
    return night


def _publish(page: str, html: str | None, in_browser: bool) -> None:
    """Write the page where it was asked for; for a browser, into a file that only we may read."""
    if html:
        with writing(html) as file:
            file.write(page)
        return
    descriptor, name = tempfile.mkstemp(prefix="limen-night-", suffix=".html")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(page)
    click.echo(name)
    if not webbrowser.open(Path(name).as_uri()):
        click.echo("No browser could be opened; the page is in that file.", err=True)


@command.command(epilog="Example: limen night status")
@json_option
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Show when the next night comes, how the last went, and who has something to learn.

    Nothing is started by it.
    """
    _show_status(settings(ctx), as_json)


def _show_status(settings: Settings, as_json: bool) -> None:
    standing = asyncio.run(_standing(settings))
    show_json(msgspec.to_builtins(standing)) if as_json else click.echo(nightpage.page(standing))


async def _standing(settings: Settings) -> nightpage.Standing:
    url = await up.redis_url_if_running(settings)
    if not url:
        return await nights.standing(settings, None)
    async with parts(settings, url) as p:
        return await nights.standing(settings, p)
