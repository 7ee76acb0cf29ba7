"""Reflection as a part of a worker, and from the shell: `limen memory reflect` and `limen memory reflections`."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click
import msgspec

from bots import nights, up
from bots.assemble import Parts, parts, settings
from bots.options import json_option, show_json, whose
from bots.progress import progress
from bots.words import many
from bots.wrap import wrapped
from core.errors import UserError
from core.events import PersonaKey
from core.memory import Memory
from core.reflection.nouns import Output, Step
from core.settings import Settings
from core.store.reflections import Report
from core.text import shorten
from personas.card import Card

if TYPE_CHECKING:
    from worker.asides import Asides
    from worker.embedding import Embedding
    from worker.generator import Generator
    from worker.reflection.clock import Clock
    from worker.reflection.mind import Mind
    from worker.reflection.run import Done, Stores

LARGE = 1_000_000_000  # parameters from which on a model is trusted with notes (see docs/reflection.md)


def writes(settings: Settings, parameters: float) -> bool:
    """Is the model asked for facts and summaries?"""
    by = settings.reflection.by
    return by == "model" or (by == "auto" and (settings.model.engine == "openai" or parameters >= LARGE))


def stores(p: Parts) -> "Stores":
    """Where a persona's life is read from and written to."""
    from worker.reflection.run import Stores

    return Stores(p.reflections, p.memories, p.personas, p.growth, p.loras)


def clock(
    p: Parts, asides: "Asides", generator: "Generator", about: Mapping[str, Any], embedding: "Embedding"
) -> "Clock | None":
    """When this worker reflects; None where reflection is off. Raises ConfigError, MissingExtra."""
    if not p.settings.reflection.enabled:
        return None
    hours = nights.hours(p.settings)
    from worker.reflection.clock import Clock
    from worker.reflection.mind import Mind

    able = writes(p.settings, float(about.get("parameters", 0) or 0))
    mind = Mind(generator, asides.ask, embedding, asides.quiet, able)
    return Clock(stores(p), p.nights, mind, hours, p.settings.reflection.turns)


class Beside:
    """What a worker reflects with, beside its talk; the clock comes when there is a server to ask."""

    def __init__(self) -> None:
        self.clock: Clock | None = None

    @property
    def busy(self) -> bool:
        """Is it reflecting just now?"""
        return self.clock is not None and self.clock.busy

    async def keep_on(self) -> None:
        """Until cancelled."""
        await (self.clock.keep_on() if self.clock else asyncio.Event().wait())


# From the shell.


@click.command(epilog="Example: limen memory reflect --persona mira --dry-run")
@whose()
@click.option("--dry-run", is_flag=True, help="Only show what would be kept.")
@click.option(
    "--by",
    type=click.Choice(["rules", "model"]),
    help="Who finds facts: rules alone, or the model too, which is loaded here. Default: rules, or a server's model.",
)
@json_option
@click.pass_context
def reflect(ctx: click.Context, /, dry_run: bool, by: str | None, as_json: bool, **of: Any) -> None:
    """Let a persona reflect now on what was said since it last did, and show each step.

    A summary of each session, lasting facts, what people have become to it, and itself in its own words. Each is shown
    with the lines it was made of; what is dropped, with the reason. A worker does the same by itself
    (docs/reflection.md).
    """
    asyncio.run(_reflect(settings(ctx), by or "", dry_run, as_json, **of))


async def _reflect(
    s: Settings, by: str, dry: bool, as_json: bool, persona: str | None, scope: str, account: str
) -> None:  # fmt: skip
    if by:
        s = msgspec.structs.replace(s, reflection=msgspec.structs.replace(s.reflection, by=by))
    async with parts(s, await up.ensure_redis(s)) as p:
        key, card = await _found(p, persona, scope, account)
        mind = await _mind(s)
        waits = (await p.reflections.reached(key)).replies
        click.echo(f"{card.title} in {scope}: {many(waits, 'turn')} since it last reflected", err=True)
        done = await (_once(p, key, card, mind, dry) if dry else _leased(p, key, card, mind))
        turns = {turn.id: turn for turn in await p.memories.get(key, _sources(done.outputs))}
        if as_json:
            show_json({"persona": str(key), "turns": done.turns, "kept": not dry, "outputs": _plain(done.outputs)})
            return
        for row in shown(done.outputs, turns, s.timezone):
            click.echo(wrapped(row, "      "))
        click.echo(_sum(done, dry))


async def _found(p: Parts, persona: str | None, scope: str, account: str) -> tuple[PersonaKey, Card]:
    name = (persona or "").strip().lower()
    if not name:
        (name,) = await p.personas.chosen(account, [scope])
    card = p.card(name or p.settings.persona)
    return PersonaKey(account, card.name, scope), card


async def _mind(s: Settings) -> "Mind":
    """To think with in this process: an embedder, and a model if it is asked for. Raises ModelError, MissingExtra."""
    try:
        from worker.embed import load
        from worker.embedding import Embedding
        from worker.reflection.mind import Mind
        from worker.reflection.solo import asking, quiet
    except ImportError as error:
        raise up.incomplete(error) from error
    embedding = Embedding(lambda: load(s))
    if not await embedding.ready():
        click.echo("No embedder: rules alone count. `limen doctor` says more.", err=True)
    if not writes(s, 0):
        return Mind(None, asking(None), embedding, quiet)
    from bots import working

    generator, _ = await asyncio.to_thread(working.generator, s)
    return Mind(generator, asking(generator), embedding, quiet, writes=True)


async def _once(p: Parts, key: PersonaKey, card: Card, mind: "Mind", dry: bool) -> "Done":
    from worker.reflection.run import reflect as run

    return await run(stores(p), key, card, mind, dry)


async def _leased(p: Parts, key: PersonaKey, card: Card, mind: "Mind") -> "Done":
    """The only one at it. Raises UserError while another is."""
    from worker.night.leases import taken, under

    lease = await taken(p.nights, f"reflection {key}")
    if lease is None:
        raise UserError("a worker is reflecting on it just now", "wait a moment, or look with --dry-run")
    return await under(lease, _all(p, key, card, mind))


async def _all(p: Parts, key: PersonaKey, card: Card, mind: "Mind") -> "Done":
    """Slice by slice, with a bar where there are several."""
    done = await _once(p, key, card, mind, dry=False)
    if not done.more:
        return done
    with progress("turns", 0, done.turns) as shown:
        while done.more:
            next_ = await _once(p, key, card, mind, dry=False)
            done = msgspec.structs.replace(
                next_, outputs=(*done.outputs, *next_.outputs), turns=done.turns + next_.turns,
                kept=(*done.kept, *next_.kept),
            )  # fmt: skip
            shown.advance(next_.turns)
    return done


def _sources(outputs: Sequence[Output]) -> list[str]:
    return list(dict.fromkeys(name for one in outputs for name in one.sources))


def _plain(outputs: Sequence[Output]) -> list[dict[str, Any]]:
    return [{**msgspec.to_builtins(one), "kept": one.kept} for one in outputs]


def _sum(done: "Done", dry: bool) -> str:
    if not done.turns:
        return "Nothing was said since."
    kept = sum(one.kept for one in done.outputs)
    end = "Nothing was written: --dry-run." if dry else ""
    end += " There is more behind these; it comes next." if dry and done.more else ""
    return f"{many(done.turns, 'turn')}: {kept} kept, {len(done.outputs) - kept} dropped. {end}".rstrip()


def shown(outputs: Sequence[Output], turns: Mapping[str, Memory], zone: str) -> list[str]:
    """The steps for people: what was kept and dropped, and from which lines."""
    rows = list[str]()
    for step in Step:
        some = [one for one in outputs if one.step == step]
        rows += [f"{step.value.capitalize()}:"] if some else []
        for one in some:
            rows.append(f"  {'kept' if one.kept else 'dropped'}: {one.text}")
            rows += [f"      why: {one.why}"] if one.why else []
            rows += [f"      from {quoted(turns[name], zone)}" for name in one.sources if name in turns][:6]
    return rows


def quoted(turn: Memory, zone: str) -> str:
    """A turn as a source is shown: when, who, what."""
    when = datetime.fromtimestamp(turn.time, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")
    return f'{when} {"itself" if turn.ours else turn.author.name}: "{shorten(turn.text, 100)}"'


@click.command(epilog="Example: limen memory reflections --persona mira")
@whose()
@click.option("-n", "--last", type=click.IntRange(1, 20), default=5, show_default=True, help="So many of the latest.")
@json_option
@click.pass_context
def reflections(ctx: click.Context, /, last: int, as_json: bool, **of: Any) -> None:
    """Show what a persona's latest reflections kept and dropped, and why.

    Reports hold no text: what was kept is shown as it is remembered now, what was dropped by the line that it
    came from.
    """
    asyncio.run(_reports(settings(ctx), last, as_json, **of))


async def _reports(s: Settings, last: int, as_json: bool, persona: str | None, scope: str, account: str) -> None:
    async with parts(s, await up.ensure_redis(s)) as p:
        key, card = await _found(p, persona, scope, account)
        reports = (await p.reflections.reports(key))[:last]
        if as_json:
            show_json([msgspec.to_builtins(report) for report in reports])
            return
        names = {name for report in reports for one in report.noted for name in (one.id, *one.sources)} - {""}
        known = {memory.id: memory for memory in await p.memories.get(key, sorted(names))}
        for report in reports:
            for row in told(report, known, s.timezone):
                click.echo(wrapped(row, "      "))
        if not reports:
            click.echo(f"{card.title} has not reflected here yet.  Next:  limen memory reflect --dry-run")


def told(report: Report, known: Mapping[str, Memory], zone: str) -> list[str]:
    """A report for people."""
    when = datetime.fromtimestamp(report.time, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")
    rows = [f"{when}, {many(report.turns, 'turn')}:"]
    for one in report.noted:
        text = known[one.id].text if one.id in known else ""
        lines = [quoted(known[name], zone) for name in one.sources if name in known][:1]
        what = text or (f"from {lines[0]}" if lines else "from lines that are gone")
        rows.append(f"  {one.step.value}, {'dropped: ' + one.why if one.why else 'kept'}: {what}")
    return rows
