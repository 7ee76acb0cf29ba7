"""`limen persona`: check a card down to line and field, show one, begin a new one."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click

from bots import growing, shelving, template, trying
from bots.assemble import settings
from bots.files import writing
from bots.options import PersonaName
from bots.words import many
from bots.wrap import wrapped
from core import cards
from core.commands.tuning import about
from core.errors import InputError, UserError
from core.events import Line, Person
from core.prompt import Scene, compose
from personas import library, reading, shape
from personas.card import SCHEMA, Card, CardFaults, Slug

CHARACTERS_PER_TOKEN = 4


@click.group()
def command() -> None:
    """Check a persona's card, show one, or begin a new one."""


for _one in (growing.history, growing.diff, growing.rollback, trying.try_, shelving.knowledge):
    command.add_command(_one)


@command.command(epilog="Example: limen persona check mira ~/.limen/personas/*.yaml")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.pass_context
def check(ctx: click.Context, files: tuple[Path, ...]) -> None:
    """Name file, line and field of everything that is wrong with these cards, given by file or by name.

    The status is 1 if anything is. A sound card is summed up.
    """
    folders = library.folders(settings(ctx).home)
    results = [_named(file, folders) for file in files]
    for rows, _ in results:
        click.echo("\n".join(rows))
    ctx.exit(0 if all(sound for _, sound in results) else 1)


def _named(given: Path, folders: Sequence[Path]) -> tuple[list[str], bool]:
    """The card of that name, where there is no such file."""
    try:
        is_file = given.exists() or trying.is_path(str(given))
        return _checked(given if is_file else library.find(str(given), folders).path)
    except library.NoSuchCard as error:
        near, known = shape.near(error.name, error.known), ", ".join(error.known)
        return [wrapped(f"{given}: there is no card or file of that name{near}; there is: {known}", "  ")], False


def _checked(file: Path) -> tuple[list[str], bool]:
    if file.is_dir():
        return [f"{file}: is a folder; name the cards in it: {file / '*.yaml'}"], False
    try:
        card = reading.read(file, str(file), beside=file.parent)
    except CardFaults as error:
        return [str(fault) for fault in error.faults], False
    return [f"{file}: ok", *(wrapped(f"  {row}", "    ") for row in summary(card))], True


def summary(card: Card) -> list[str]:
    """A sound card in a few lines: who, how much of every prompt it takes, and what acts beside it."""
    hello = Line("1", Person("somebody"), "Hello", 0.0)
    prompt = compose(Scene(card=card, lines=(), new=(hello,)))
    texts = [part.text for part in prompt.system] + [said.text for said in prompt.examples]
    size, examples = sum(map(len, texts)), many(len(prompt.examples) // 2, "example")
    rows = [
        f"{card.name} · {card.title}{f' · {card.tagline}' if card.tagline else ''}",
        f"in every prompt: {size:,} characters, some {size // CHARACTERS_PER_TOKEN:,} tokens, with {examples}",
    ]
    has = _has(card)
    return [*rows, f"beside it: {', '.join(has)}"] if has else rows


def _has(card: Card) -> list[str]:
    """What acts when it is called for."""
    counts = {
        "rule": len(card.rules),
        "world detail": len(card.world.details),
        "channel scene": len(card.world.channels),
        "emotion": len(card.emotions),
        "knowledge file": len(card.knowledge.files),
    }
    return [many(number, word) for word, number in counts.items() if number]


@command.command(epilog="Example: limen persona show mira")
@click.argument("name", type=PersonaName())
@click.pass_context
def show(ctx: click.Context, name: str) -> None:
    """Show who a persona is, and where its card lies."""
    folders = library.folders(settings(ctx).home)
    card = cards.load(name, folders)
    entry = library.find(name, folders)
    greeting = f"\nGreets with: {card.greeting}" if card.greeting else ""
    for row in f"{about(card)}{greeting}\n\n{entry.path}".splitlines():
        click.echo(wrapped(row))


@command.command(epilog="Example: limen persona new ada")
@click.argument("name")
@click.pass_context
def new(ctx: click.Context, name: str) -> None:
    """Begin a card of your own, with a word on every part.

    It is written to the home's folder `personas`, and can be talked to at once.
    """
    folders = library.folders(settings(ctx).home)
    target = folders[0] / f"{name}.yaml"
    _refuse(name, folders, target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{target.parent} cannot be made: {error.strerror}", "choose another --home") from error
    with writing(str(target), 0o644) as file:
        file.write(template.card(name, str(target), str(SCHEMA)))
    click.echo(f"{target}\nMake it yours, then:  limen persona check {target}")
    click.echo(f"Talk to it:           limen chat --persona {name}")


def _refuse(name: str, folders: tuple[Path, ...], target: Path) -> None:
    """What is there already is not overwritten, and a shipped card not hidden by accident."""
    if faults := list(shape.problems(name, Slug)):
        raise InputError(f"no persona can be called so: {faults[0].message}", "such as ada, or old-tom")
    if target.exists():
        raise InputError(f"{target} is there already", "choose another name, or change that file")
    with suppress(library.NoSuchCard):
        there = library.find(name, folders).path
        raise InputError(f"there is a persona called {name!r} already", f"choose another name, or: cp {there} {target}")
