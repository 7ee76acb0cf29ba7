"""`limen feedback`: bring ratings in from a file, and take the ledger out."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from datetime import tzinfo
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from bots import ratings, trl, up
from bots.assemble import Parts, parts, settings
from bots.files import count, line, rows, writing
from bots.options import persona_option, scope_option
from bots.progress import Progress, progress
from bots.ratings import Rating
from bots.words import many
from core import cards, feedback, privacy
from core.errors import InputError, LimenError, UnknownPersona
from core.events import PersonaKey
from core.feedback import Reading, Seen
from core.settings import Settings
from core.store.consents import Purpose
from core.store.ledger import Entry
from core.votes import polarity
from personas import library

if TYPE_CHECKING:
    from worker.night.examples import Collected

SHAPES = ("ledger", "trl-unpaired", "trl-pairs")
SUMS = ("recorded", "seen before", "unknown reply", "bad")


@click.group()
def command() -> None:
    """Bring ratings in from a file, take the ledger out."""


@command.command("import", epilog="Example: limen feedback import ratings.jsonl")
@click.argument("file")
@click.option("--pool", is_flag=True, help="You answer for training the same character elsewhere on it, too.")
@click.pass_context
def import_(ctx: click.Context, file: str, pool: bool) -> None:
    """Bring ratings in from FILE (- is standard input), one on each line.

    Of a reply that we gave: {"reply_id","user","emoji","removed","time"}, the last two if need be. Of one that was
    given elsewhere: {"persona","scope","messages":[{"role","content"}],"reply","user","emoji"}. Importing a file
    twice changes nothing. Lines that cannot be used are named by number, the rest go on, and the status is 1.
    """
    sums = asyncio.run(_import(settings(ctx), file, pool))
    click.echo(" · ".join(f"{name} {sums[name]:,}" for name in SUMS), err=True)
    ctx.exit(1 if sums["bad"] or sums["unknown reply"] else 0)


async def _import(settings: Settings, file: str, pool: bool) -> "Counter[str]":
    total = count(file)
    url = await up.ensure_redis(settings)
    async with parts(settings, url) as p:
        with progress("lines", total) as shown:
            return await Importer(p, file, shown, pool).run(ZoneInfo(settings.timezone))


class Importer:
    """Takes ratings in, and says on whose word. `pool`: the operator answers for pooling as well."""

    def __init__(self, parts: Parts, file: str, shown: Progress, pool: bool = False) -> None:
        self._parts, self._file, self._shown = parts, file, shown
        self._words = {Purpose.TRAIN: privacy.FILES} | ({Purpose.POOL: privacy.POOLED} if pool else {})
        self._known: set[str] = set()
        self._cards = {entry.name for entry in cards.available(parts.folders)}
        self._told: set[Purpose] = set()

    async def run(self, zone: tzinfo) -> "Counter[str]":
        """Every line of the file. How many became what."""
        sums: Counter[str] = Counter()
        for row in rows(self._file):
            try:
                what = await self._take(ratings.read(row, time.time(), zone))
            except (InputError, UnknownPersona) as error:
                self._say(row.number, str(error))
                what = "bad"
            if what == "unknown reply":
                self._say(row.number, f"no reply {row.data['reply_id']!r} is kept")
            sums[what] += 1
            self._shown.advance()
        return sums

    def _say(self, number: int, text: str) -> None:
        self._shown.say(f"{self._file}:{number}: {text}")

    async def _take(self, rating: Rating) -> str:
        ledger, record = self._parts.ledger, rating.record
        if record:
            self._check_card(record.persona)
            if await ledger.get(record.id) is None:
                await ledger.keep(record, rating.messages)
        what = await ledger.rate(rating.reply_id, rating.fact)
        if what == "gone":
            return "unknown reply"
        for person in sorted(rating.people - self._known):
            await self._consent(person)
        return "seen before" if what == "seen" else "recorded"

    def _check_card(self, persona: PersonaKey) -> None:
        """Raises UnknownPersona, with what was perhaps meant."""
        if persona.card not in self._cards:
            cards.load(persona.card, self._parts.folders)

    async def _consent(self, person: str) -> None:
        for purpose, wording in self._words.items():
            first = await self._parts.privacy.consent(person, ratings.BASIS, wording, purpose)
            if first and purpose not in self._told:
                self._shown.say(wording)
                self._told.add(purpose)
        self._known.add(person)


@command.command(epilog="Example: limen feedback export ledger.jsonl --persona mira --since 2026-05-01")
@click.argument("file")
@persona_option(help="Only replies of this persona.")
@scope_option(help="Only replies in this scope.")
@click.option("--since", metavar="DATE", help="Only replies since then: 2026-05-01, or with a time.")
@click.option(
    "--format", "shape", type=click.Choice(SHAPES), default="ledger", show_default=True, help="What a line is."
)
@click.pass_context
def export(
    ctx: click.Context, file: str, persona: str | None, scope: str | None, since: str | None, shape: str
) -> None:
    """Take the ledger out to FILE (- is standard output), a reply on each line.

    {"reply_id","persona","scope","lora_version","messages","reply","reactions":[{"user","emoji","removed","time"}]},
    and how the reply came about. A reaction that was taken back is there twice: added, and removed.

    As trl-unpaired or trl-pairs, the rows that a night would train on now, as trl takes them: from people who allowed
    it, whole, without secrets and contact data, with what each is worth.
    """
    s = settings(ctx)
    begin = _since(since, s.timezone) if since else 0.0
    name = (persona or "").strip().lower()
    if shape != "ledger":
        _say_rows(asyncio.run(_export_rows(s, file, name, scope or "", begin, shape == "trl-pairs")), file)
        return
    total, rated = asyncio.run(_export(s, file, name, scope or "", begin))
    click.echo(f"{many(total, 'reply')}, {rated:,} of them rated{'' if file == '-' else f', in {file}'}", err=True)


def _since(given: str, zone: str) -> float:
    try:
        return ratings.read_time(given, ZoneInfo(zone)) or 0.0
    except LimenError as error:
        raise click.BadParameter(f"{given!r} is not a date such as 2026-05-01", param_hint="--since") from error


async def _export(settings: Settings, file: str, persona: str, scope: str, since: float) -> tuple[int, int]:
    """How many replies were written, and how many of them are rated."""
    url = await up.ensure_redis(settings)
    async with parts(settings, url) as p:
        wanted = await _wanted(p, persona, scope)
        total = rated = 0
        with writing(file) as out, progress("replies", 0) as shown:
            async for entry in p.ledger.everything(wanted):
                if entry.record.time >= since:
                    out.write(_line(entry))
                    total, rated = total + 1, rated + bool(entry.facts)
                    shown.advance()
    return total, rated


async def _export_rows(
    settings: Settings, file: str, persona: str, scope: str, begin: float, pairs: bool
) -> "tuple[int, Counter[str]]":  # fmt: skip
    """Write training rows; each scope is read by itself. How many there were, and how many replies were refused why."""
    from worker.night import examples

    url = await up.ensure_redis(settings)
    total, refused = 0, Counter[str]()
    async with parts(settings, url) as p:
        wanted = await _wanted(p, persona, scope)
        with writing(file) as out, progress("rows", 0) as shown:
            for key in wanted:
                found = await _collected(p, key)
                refused.update(found.refused)
                rows = [row for row in found.examples if row.time >= begin]
                for told in map(trl.paired, examples.pairs(rows)) if pairs else map(trl.unpaired, rows):
                    out.write(line(told))
                    total += 1
                    shown.advance()
    return total, refused


async def _collected(p: Parts, persona: PersonaKey) -> "Collected":
    """What the next night of a persona would learn from, but that trust comes from agreement on the same reply alone: a
    bot has no numpy."""
    from worker.night import examples, sight

    settings, now, table = p.settings, time.time(), polarity.load(p.settings.night.polarity)
    weak = settings.night.weak_signals

    def read(seen: Sequence[Seen]) -> Reading:
        return feedback.read(seen, table, shared=sight.shared(persona, seen), now=now, weak=weak)

    return await examples.collect(
        p.ledger, p.privacy.consents, persona, read, now=now, half_life_days=settings.retention.half_life_days,
        weak=weak > 0,
    )  # fmt: skip


def _say_rows(found: "tuple[int, Counter[str]]", file: str) -> None:
    total, refused = found
    why = ", ".join(f"{reason} {number:,}" for reason, number in refused.most_common())
    click.echo(f"{many(total, 'row')}{'' if file == '-' else f' in {file}'}{why and f'; refused: {why}'}", err=True)


def _line(entry: Entry) -> str:
    return line(privacy.reply(entry))


async def _wanted(p: Parts, persona: str, scope: str) -> list[PersonaKey]:
    """The personas that spoke, as far as they are asked for. Raises UnknownPersona for a name that nobody ever had."""
    spoke = await p.ledger.personas()
    if persona not in ("", *(key.card for key in spoke), *library.names(p.folders)):
        p.card(persona)
    return [key for key in spoke if persona in ("", key.card) and scope in ("", key.scope)]
