"""`limen persona knowledge`: texts that a character may look things up in. They lie in Redis, so every worker has them.

Those that a card names itself (`knowledge.files`) are brought there whenever bots start.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from bots import up
from bots.assemble import Parts, parts, settings
from bots.options import PersonaName, json_option, show_json
from bots.words import many
from core import cards
from core.errors import InputError, StoreError
from core.settings import Settings
from core.store.knowledge import LONGEST, MOST, File, Knowledge, read
from core.text import clean
from personas import library
from personas.library import Entry

T = TypeVar("T")
log = logging.getLogger("limen.run")

ENDINGS = (".txt", ".md")
NAME = 80  # characters of a file's name


@click.group()
def knowledge() -> None:
    """Texts that a character may look things up in: add, list, remove. `/sources` in a chat shows what it drew on."""


@knowledge.command(epilog="Example: limen persona knowledge add mira tides.md")
@click.argument("persona", type=PersonaName())
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.pass_context
def add(ctx: click.Context, persona: str, files: tuple[Path, ...]) -> None:
    """Let a character look things up in these texts, from its next reply on.

    They end in .txt or .md and have at most 200,000 characters each. A file of the same name is replaced.
    """
    texts = [_text(file) for file in files]

    async def act(shelf: Knowledge, card: str) -> None:
        _fits(await shelf.files(card), texts)
        for text in texts:
            await shelf.add(card, text)
            click.echo(f"{text.name}: {many(len(text.passages), 'passage')}, {text.characters:,} characters")
        click.echo(f"{card} may draw on it once a worker has read it; in a chat, /sources shows when it does.")

    _do(ctx, persona, act)


@knowledge.command("list", epilog="Example: limen persona knowledge list mira --json")
@click.argument("persona", type=PersonaName())
@json_option
@click.pass_context
def list_(ctx: click.Context, persona: str, as_json: bool) -> None:
    """List the texts that a character may look things up in."""

    async def act(shelf: Knowledge, card: str) -> list[File]:
        return await shelf.files(card)

    files = _do(ctx, persona, act)
    if as_json:
        show_json([_plain(file) for file in files])
        return
    for file in files:
        added = datetime.fromtimestamp(file.added, UTC).strftime("%Y-%m-%d")
        whose = "  of the card" if file.of_card else ""
        click.echo(
            f"{file.name}  {many(len(file.passages), 'passage')}, {file.characters:,} characters, {added}{whose}"
        )
    if not files:
        click.echo(f"{persona} has no texts. `limen persona knowledge add {persona} FILE` gives it one.")


@knowledge.command(epilog="Example: limen persona knowledge remove mira tides.md")
@click.argument("persona", type=PersonaName())
@click.argument("file")
@click.pass_context
def remove(ctx: click.Context, persona: str, file: str) -> None:
    """Take a text away, by the name that `list` shows.

    One that the card names itself goes when its `knowledge.files` no longer names it.
    """
    named = cards.load(persona, library.folders(settings(ctx).home)).knowledge.files
    if file in {Path(name).name for name in named}:
        raise InputError(
            f"the card of {persona} names {file} itself, so it would come back",
            "take it out of `knowledge.files` in the card; at the next start it is gone",
        )

    async def act(shelf: Knowledge, card: str) -> tuple[bool, list[File]]:
        return await shelf.remove(card, file), await shelf.files(card)

    gone, left = _do(ctx, persona, act)
    if not gone:
        raise InputError(f"{persona} has no text called {file!r}", f"there is: {_names(left) or 'none'}")
    click.echo(f"{file} is gone. What was said with it stays said.")


def _do(ctx: click.Context, persona: str, act: Callable[[Knowledge, str], Awaitable[T]]) -> T:
    """Act on the shelf of a card there is. Raises UnknownPersona."""
    s = settings(ctx)
    card = cards.load(persona, library.folders(s.home)).name

    async def run() -> T:
        async with parts(s, await up.ensure_redis(s)) as p:
            return await act(Knowledge(p.client), card)

    return asyncio.run(run())


def _names(files: list[File]) -> str:
    return ", ".join(file.name for file in files)


def _plain(file: File) -> dict[str, Any]:
    return {
        "name": file.name,
        "passages": len(file.passages),
        "characters": file.characters,
        "added": datetime.fromtimestamp(file.added, UTC).isoformat(timespec="seconds"),
        "of_card": file.of_card,
    }


def _text(path: Path) -> File:
    """A file, read. Raises InputError for what is no text of that size."""
    if path.suffix.lower() not in ENDINGS:
        raise InputError(f"{path} does not end in {' or '.join(ENDINGS)}", "save it as plain text or Markdown")
    if len(path.name) > NAME or not path.name.isprintable():
        raise InputError(f"{path} has a name that is too long or odd", f"give it one of at most {NAME} characters")
    try:
        with path.open("rb") as file:
            raw = file.read(4 * LONGEST + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", "check its name, and who may read it") from error
    try:
        text = clean(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        if len(raw) <= 4 * LONGEST:
            raise InputError(f"{path} is not UTF-8 text", "save it as UTF-8") from error
        text = "x" * (LONGEST + 1)  # cut in the midst of a letter: it is too long, whatever it says
    if b"\0" in raw:
        raise InputError(f"{path} holds NUL bytes, so it is no text", "save it as plain text or Markdown")
    if len(text) > LONGEST:
        raise InputError(f"{path} has more than {LONGEST:,} characters", "split it, or leave out what matters less")
    found = read(path.name, text, time.time())
    if not found.passages:
        raise InputError(f"there is nothing in {path}", "name a file with text in it")
    return found


def _fits(there: list[File], new: list[File]) -> None:
    """Raises InputError when there would be too much on the shelf."""
    names = {file.name for file in new}
    size = sum(file.characters for file in [*new, *(file for file in there if file.name not in names)])
    if size > MOST:
        said = f"that would be {size:,} characters in all, and a character may have {MOST:,}"
        raise InputError(said, f"remove one first; there is: {_names(there)}")


async def bring(p: Parts) -> None:
    """The texts that cards name themselves, on their shelves as they are now; those that they no longer name, gone.

    What cannot be read is said in the log: the character talks without it. Raises StoreError.
    """
    shelf = Knowledge(p.client)
    for entry in await asyncio.to_thread(library.entries, p.folders):
        if entry.card is None:
            continue
        there = {file.name: file for file in await shelf.files(entry.card.name)}
        named = _named(entry)
        for file in named:
            if file.name not in there or there[file.name].hash != file.hash:
                await shelf.add(entry.card.name, file)
        for gone in {name for name, file in there.items() if file.of_card} - {file.name for file in named}:
            await shelf.remove(entry.card.name, gone)


class Foreseen:
    """What a talk that begins now could look things up in, as the worker's shelf asks for it. Keeps nothing."""

    def __init__(self, files: list[File], made: Mapping[str, bytes]) -> None:
        self._files, self._made = files, made

    async def version(self, card: str) -> int:
        return 0

    async def files(self, card: str) -> list[File]:
        return self._files

    async def vectors(self, card: str, embedder: str) -> dict[str, bytes]:
        return dict(self._made)

    async def keep(self, card: str, embedder: str, made: Mapping[str, bytes], gone: Sequence[str]) -> None:
        pass


async def foresee(settings: Settings, entry: Entry, embedder: str) -> Foreseen:
    """The texts that a card names, as they are now, and those that were brought by hand, with the vectors that there
    are. Where Redis was never started, or is out of reach, nothing was brought."""
    assert entry.card
    named = await asyncio.to_thread(_named, entry)
    there: list[File] = []
    made: dict[str, bytes] = {}
    try:
        if url := await up.redis_url_if_any(settings):
            async with parts(settings, url) as p:
                there = await Knowledge(p.client).files(entry.card.name)
                made = await Knowledge(p.client).vectors(entry.card.name, embedder)
    except StoreError as error:
        log.warning("texts that were brought by hand are not seen: %s", error)
    names = {file.name for file in named}
    return Foreseen([*named, *(file for file in there if not file.of_card and file.name not in names)], made)


def _named(entry: Entry) -> list[File]:
    assert entry.card
    found = []
    for name in entry.card.knowledge.files:
        try:
            found.append(msgspec.structs.replace(_text(entry.path.parent / name), of_card=True))
        except InputError as error:
            log.warning("the card of %s: %s; %s", entry.card.name, error, error.hint)
    return found
