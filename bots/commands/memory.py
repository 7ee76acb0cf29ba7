"""`limen memory`: what a persona remembers of its scope: add, search, list, delete."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from itertools import islice
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from bots import memories, reflecting, up
from bots.assemble import Parts, parts, settings
from bots.files import line, rows, writing
from bots.memories import Asked
from bots.options import json_option, show_json, whose
from bots.progress import progress
from bots.words import many
from core import cards
from core.commands.remembering import find
from core.engine import new_id
from core.errors import InputError
from core.events import Person, PersonaKey
from core.memory import Kind, Memory, note
from core.recall.when import span
from core.settings import Settings
from personas import library

if TYPE_CHECKING:
    from worker.recall import Recall

AT_ONCE = 500  # lines
WHO = "Who remembers. Without it, the one that the settings name."
VECTORS = 64  # made between two looks at how far it is


@click.group()
def command() -> None:
    """See and change what a persona remembers. Memories belong to a scope; nothing crosses from one to another."""


for _one in (reflecting.reflect, reflecting.reflections):
    command.add_command(_one)


def _key(s: Settings, persona: str | None, scope: str, account: str) -> tuple[PersonaKey, str]:
    """The persona, and its title. Raises UnknownPersona."""
    card = cards.load(persona or s.persona, library.folders(s.home))
    return PersonaKey(account, card.name, scope), card.title


@asynccontextmanager
async def recalling(s: Settings) -> AsyncIterator[tuple[Parts, "Recall"]]:
    """The parts, and recall with an embedder of this process; where there is none, by words alone."""
    try:
        from worker.embed import load
        from worker.embedding import Embedding
        from worker.recall import recall
    except ImportError as error:
        raise up.incomplete(error) from error
    url = await up.ensure_redis(s)
    async with parts(s, url) as p:
        embedding = Embedding(lambda: load(s))
        if not await embedding.ready():
            click.echo("No embedder: words alone count. `limen doctor` says more.", err=True)
        yield p, recall(p.memories, embedding, s)


async def _vectors(recall: "Recall", persona: PersonaKey) -> None:
    """Make those that are missing, with a bar."""
    if not recall.embedding.id:
        return
    left = await recall.tend(persona, VECTORS)
    with progress("vectors", left) as shown:
        while left:
            now = await recall.tend(persona, VECTORS)
            shown.advance(max(left - now, 0))
            left = now


@command.command(epilog='Example: limen memory add "Ann is allergic to nuts" --person discord:1234')
@click.argument("text", default="")
@click.option(
    "--in", "source", metavar="FILE", help='Turns, {"id","author","time","text"} a line; - is standard input.'
)
@click.option(
    "--person", default="console:local:me", show_default=True, help="Whose words TEXT is, or whom it is about."
)
@whose(WHO)
@click.pass_context
def add(
    ctx: click.Context, text: str, source: str | None, person: str, persona: str | None, scope: str, account: str
) -> None:
    """Let a persona remember TEXT, or the turns of a file.

    An id that it has already is replaced, so that a file may be added twice. An author called assistant, bot, ai or
    you, or by the card's name, is the persona itself. Lines that cannot be used are named by number, the rest go on,
    and the status is 1.
    """
    s = settings(ctx)
    key, title = _key(s, persona, scope, account)
    if bool(text.strip()) == bool(source):
        raise InputError("say what is to be remembered", "limen memory add TEXT, or limen memory add --in FILE")
    names = memories.OURS | {key.card, title.lower(), account.lower()}
    bad = asyncio.run(_add(s, key, text.strip(), source, person, frozenset(names)))
    ctx.exit(1 if bad else 0)


async def _add(s: Settings, key: PersonaKey, text: str, source: str | None, person: str, ours: frozenset[str]) -> int:
    async with recalling(s) as (p, recall):
        if not source:
            who = Person(person, person.rsplit(":", 1)[-1])
            await p.memories.add(key, [note(f"note/{new_id()}", text, who, time.time())])
            await _vectors(recall, key)
            click.echo(f"{key.card} remembers it.")
            return 0
        kept, bad = await _add_file(p, key, source, ZoneInfo(s.timezone), ours)
        await _vectors(recall, key)
        told = f", {many(bad, 'line')} could not be used" if bad else ""
        click.echo(f"{many(kept, 'turn')} new or changed; {key.card} remembers {await p.memories.count(key):,}{told}.")
        return bad


async def _add_file(
    p: Parts, key: PersonaKey, source: str, zone: ZoneInfo, ours: frozenset[str]
) -> tuple[int, int]:  # fmt: skip
    """(new or changed, those that cannot be used)."""
    kept, bad = 0, 0
    with progress("turns", 0) as shown:
        lines = rows(source)
        while some := list(islice(lines, AT_ONCE)):
            found: list[Memory] = []
            for row in some:
                memory = memories.turn(row, zone, ours)
                if isinstance(memory, str):
                    bad += 1
                    shown.say(f"{source}:{row.number}: {memory}")
                else:
                    found.append(memory)
            kept += await p.memories.add(key, found)
            shown.advance(len(some))
    return kept, bad


@command.command(epilog="Example: limen memory search --in queries.jsonl -k 10 --out hits.jsonl")
@click.argument("words", nargs=-1)
@click.option("--in", "source", metavar="FILE", help='Questions, {"id","text"} a line; - is standard input.')
@click.option("-k", "count", type=click.IntRange(1, 1000), default=10, show_default=True, help="Memories for each.")
@click.option("--out", default="-", show_default=True, metavar="FILE", help='Where {"id","hits"} go.')
@json_option
@whose(WHO)
@click.pass_context
def search(
    ctx: click.Context, words: tuple[str, ...], source: str | None, count: int, out: str, as_json: bool,
    persona: str | None, scope: str, account: str,
) -> None:  # fmt: skip
    """Which memories WORDS touch, or each question of a file: best first.

    For a file each line of the output is {"id","hits"}, with ids of memories, in the order of the input. A question
    may have a "time", from which "yesterday" is counted, and an "author", who "I" is in it.
    """
    s = settings(ctx)
    key, title = _key(s, persona, scope, account)
    text = " ".join(words).strip()
    if bool(text) == bool(source):
        raise InputError("say what to search for", "limen memory search WORDS, or limen memory search --in FILE")
    if source:
        ctx.exit(1 if asyncio.run(_search_file(s, key, source, count, out)) else 0)
    hits = asyncio.run(_search(s, key, text, count))
    if as_json:
        show_json([{**memories.plain(memory), "score": round(score, 4)} for memory, score in hits])
        return
    _show(s, [memory for memory, _ in hits], title, "Nothing that it remembers touches that.")


async def _search(s: Settings, key: PersonaKey, text: str, count: int) -> list[tuple[Memory, float]]:
    """Nothing where no memory has a word of it, none is near it, and it names no time."""
    from core.recall.question import near

    async with recalling(s) as (p, recall):
        await _vectors(recall, key)
        hits = await recall.search(key, text, count)
        touched = any(map(near, hits)) or span(text, time.time(), ZoneInfo(s.timezone)) is not None
        if touched or find(await p.memories.every(key), text, 1):
            return [(hit.memory, hit.score) for hit in hits]
        return []


async def _search_file(s: Settings, key: PersonaKey, source: str, count: int, out: str) -> int:
    """How many lines could not be used."""
    zone, bad = ZoneInfo(s.timezone), 0
    async with recalling(s) as (_, recall):
        await _vectors(recall, key)
        with progress("questions", 0) as shown, writing(out) as file:
            for row in rows(source):
                question = memories.asked(row, zone)
                if isinstance(question, str):
                    bad += 1
                    shown.say(f"{source}:{row.number}: {question}")
                    continue
                file.write(line({"id": question.id, "hits": await _hits(recall, key, question, count)}))
                shown.advance()
    return bad


async def _hits(recall: "Recall", key: PersonaKey, question: Asked, count: int) -> list[str]:
    found = await recall.search(key, question.text, count, question.author, now=question.time or None)
    return [hit.memory.id for hit in found]


@command.command("list", epilog="Example: limen memory list --kind fact --persona mira")
@click.option("--kind", type=click.Choice([kind.value for kind in Kind]), help="Only these.")
@click.option("--person", default="", help="Only what somebody said, or what is about them.")
@click.option(
    "-n", "count", type=click.IntRange(1, 1_000_000), default=50, show_default=True, help="The latest so many."
)
@json_option
@whose(WHO)
@click.pass_context
def list_(
    ctx: click.Context, kind: str | None, person: str, count: int, as_json: bool, persona: str | None, scope: str,
    account: str,
) -> None:  # fmt: skip
    """What a persona remembers, the latest last. Ids are what `delete` takes (--json shows all there is)."""
    s = settings(ctx)
    key, title = _key(s, persona, scope, account)
    every = asyncio.run(_every(s, key))
    found = [one for one in every if kind in (None, one.kind) and (not person or one.concerns(person))][-count:]
    if as_json:
        show_json([memories.plain(memory) for memory in found])
        return
    _show(s, found, title, "It remembers nothing." if not every else "Nothing of that.", ids=True)


async def _every(s: Settings, key: PersonaKey) -> list[Memory]:
    url = await up.ensure_redis(s)
    async with parts(s, url) as p:
        await p.memories.take_in(key)
        return await p.memories.every(key)


def _show(s: Settings, found: Iterable[Memory], title: str, nothing: str, ids: bool = False) -> None:
    zone, now = ZoneInfo(s.timezone), time.time()
    told = [f"{f'[{one.id}] ' if ids else ''}{_told(one, now, zone, title)}" for one in found]
    click.echo("\n".join(told) or nothing)


def _told(memory: Memory, now: float, zone: ZoneInfo, title: str) -> str:
    over = " (superseded)" if memory.superseded_by else ""
    return memories.shown(memory, now, zone, title) + over


@command.command(epilog="Example: limen memory delete console:local:me/17")
@click.argument("ids", nargs=-1, metavar="ID...")
@click.option("--all", "everything", is_flag=True, help="All that it remembers.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@whose(WHO)
@click.pass_context
def delete(
    ctx: click.Context, ids: tuple[str, ...], everything: bool, yes: bool, persona: str | None, scope: str, account: str
) -> None:  # fmt: skip
    """Take memories from a persona, by their ids (`limen memory list`). What was said goes from the talk as well."""
    s = settings(ctx)
    key, _ = _key(s, persona, scope, account)
    if bool(ids) == everything:
        raise InputError("say which", "limen memory delete ID, or --all")
    if everything and not yes:
        click.confirm(f"Delete all that {key.card} remembers in {scope}?", abort=True, err=True)
    went, unknown = asyncio.run(_delete(s, key, ids))
    click.echo(f"{many(went, 'memory')} deleted.")
    for name in unknown:
        click.echo(f"{name} is not remembered.", err=True)
    ctx.exit(1 if unknown else 0)


async def _delete(s: Settings, key: PersonaKey, ids: tuple[str, ...]) -> tuple[int, list[str]]:
    url = await up.ensure_redis(s)
    async with parts(s, url) as p:
        await p.memories.take_in(key)
        there = [one for one in await p.memories.every(key) if not ids or one.id in ids]
        for memory in there:
            if memory.line:
                await p.conversations.delete(memory.talk, memory.line)
        known = {memory.id for memory in there}
        went = await p.memories.delete(key, sorted(known))
        await p.engine().unsaying.untell(key, known)
        return went, [name for name in ids if name not in known]
