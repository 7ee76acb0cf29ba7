"""`limen generate`: answer a file of prompts as a persona; each line is a conversation of its own."""

import asyncio
import hashlib
import os
from collections.abc import Coroutine
from contextlib import aclosing
from typing import Any

import click
import msgspec

from bots import up
from bots.assemble import Parts, parts, settings
from bots.files import rows
from bots.generation import ANONYMOUS, Asker, Prompt, Take, read, written
from bots.options import SCOPE, account_option, persona_option, scope_option
from bots.partfile import PartFile
from bots.progress import progress
from bots.run import beside
from bots.words import many
from core import cards
from core.errors import InputError, LimenError
from core.events import PersonaKey
from core.settings import Settings
from core.store.presence import FRESH
from personas import library
from personas.card import Card


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be generated, and where to."""

    source: str
    out: str
    persona: PersonaKey
    card: Card
    takes: tuple[Take, ...]
    seed: int
    resume: bool


@click.command(epilog="Example: limen generate --persona mira --in prompts.jsonl --out replies.jsonl --n 4 --seed 1")
@persona_option(help="Who answers. Without it, the one that the settings name.")
@scope_option(default=SCOPE, show_default=True, help="With whom it comes alive: platform:workspace:kind:id.")
@account_option()
@click.option(
    "--in", "source", required=True, metavar="FILE", help='{"id","author","text"} a line; - is standard input.'
)
@click.option("--out", required=True, metavar="FILE", help="Where the replies go; - is standard output.")
@click.option("--n", type=click.IntRange(1, 10_000), default=1, show_default=True, help="Replies to each line.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed gives the same replies.")
@click.option("--author", default=ANONYMOUS, show_default=True, help="Who speaks in lines that name no author.")
@click.option("--resume", is_flag=True, help="Go on where a run of the same command was broken off.")
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Answer a file of prompts as a persona.

    Each line is a conversation of its own: it changes no memory, mood or history. Every reply is recorded, so that it
    can be rated (`limen feedback import`). The output has a line for each,
    {"id","reply_id","text","lora_version","persona_version"}, in the order of the input. Lines that cannot be used
    are named by number, the rest go on, and the status is 1.
    """
    s = settings(ctx)
    prompts, bad = _prompts(given["source"], given["author"], s.attention.max_message_chars)
    order = _order(s, given, prompts)
    missing = asyncio.run(_generate(s, order))
    ctx.exit(1 if bad or missing else 0)


def _order(settings: Settings, given: dict[str, Any], prompts: list[Prompt]) -> Order:
    card = cards.load(given["persona"] or settings.persona, library.folders(settings.home))
    source, out = given["source"], given["out"]
    if "-" not in (source, out) and os.path.realpath(source) == os.path.realpath(out):
        raise InputError("--in and --out are the same file", "name another file for the replies")
    return Order(
        source=source, out=out, persona=PersonaKey(given["account"], card.name, given["scope"]), card=card,
        takes=tuple(Take(prompt, k) for prompt in prompts for k in range(1, given["n"] + 1)),
        seed=given["seed"], resume=given["resume"],
    )  # fmt: skip


def _prompts(source: str, author: str, longest: int) -> tuple[list[Prompt], int]:
    """The lines that can be used, and how many cannot; those are named on standard error."""
    prompts, bad = [], 0
    for row in rows(source):
        prompt = read(row, author, longest)
        if isinstance(prompt, str):
            bad += 1
            click.echo(f"{source}:{row.number}: {prompt}", err=True)
        else:
            prompts.append(prompt)
    return prompts, bad


def _fingerprint(order: Order) -> dict[str, Any]:
    """What a run must have in common with the one that it goes on with."""
    prompts = dict.fromkeys(take.prompt for take in order.takes)
    told = msgspec.json.encode([msgspec.structs.astuple(prompt) for prompt in prompts])
    return {
        "persona": str(order.persona),
        "card": order.card.hash,
        "seed": order.seed,
        "prompts": hashlib.sha256(told).hexdigest(),
    }


async def _generate(settings: Settings, order: Order) -> int:
    """Have everything answered that is not yet. How many replies are missing at the end."""
    part = PartFile(order.out, _fingerprint(order))
    part.open(order.resume)
    try:
        todo = [take for take in order.takes if take.key not in part.done]
        if todo:
            await _ask(settings, order, part, todo)
        return _finish(order, part)
    finally:
        part.close()


async def _ask(settings: Settings, order: Order, part: PartFile, todo: list[Take]) -> None:
    url = await up.ensure_redis(settings)
    async with parts(settings, url) as p:
        if not await _anyone(p):
            await up.fetch_model(settings)
        try:
            await _while_kept_up(settings, url, _answers(p, order, part, todo))
        except (asyncio.CancelledError, LimenError):
            _say_how_to_go_on(order, part)
            raise


async def _anyone(p: Parts) -> bool:
    """Does a worker live, here or elsewhere?"""
    return any(float(about["seen"]) < FRESH for about in (await p.presence.workers()).values())


async def _while_kept_up(settings: Settings, url: str, work: Coroutine[Any, Any, None]) -> None:
    """Do the work while Redis and a worker are kept alive. Raises LimenError if the worker cannot start."""
    trouble: asyncio.Queue[str] = asyncio.Queue()

    async def give_up() -> None:
        raise LimenError(f"the worker cannot start: {await trouble.get()}")

    await beside(work, up.keep_up(settings, url, trouble.put_nowait), give_up())


async def _answers(p: Parts, order: Order, part: PartFile, todo: list[Take]) -> None:
    with progress("replies", len(order.takes), len(order.takes) - len(todo)) as shown:
        asker = Asker(p, order.persona, order.card, order.seed, shown.say)
        try:
            async with aclosing(asker.replies(todo)) as replies:
                async for take, answer in replies:
                    if isinstance(answer, str):
                        shown.say(f"{order.source}:{take.prompt.line}: reply {take.k} failed: {answer}")
                    else:
                        part.add(take.key, written(take, answer))
                    shown.advance()
        finally:
            await asker.close()


def _finish(order: Order, part: PartFile) -> int:
    """Write the output and say so. How many replies are missing."""
    there = part.finish([take.key for take in order.takes])
    missing = len(order.takes) - there
    click.echo(f"{many(there, 'reply')}{f' in {order.out}' if part.path else ''}", err=True)
    if missing:
        again = "; --resume tries them again" if part.path else ""
        click.echo(f"{missing} could not be made: `limen deadletters list` says why{again}", err=True)
    return missing


def _say_how_to_go_on(order: Order, part: PartFile) -> None:
    if part.path and part.done:
        there = f"{len(part.done):,} of {len(order.takes):,} replies are in {part.path}"
        click.echo(f"Broken off: {there}; the same command with --resume goes on.", err=True)
