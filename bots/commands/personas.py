"""`limen personas`: the characters there are, name first; a broken card of one's own with what is wrong."""

import shutil
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import click

from bots.assemble import settings
from bots.options import json_option, show_json
from core import cards
from core.text import shorten
from personas import library
from personas.library import Entry


@click.command(epilog="Example: limen personas | cut -d' ' -f1")
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List the characters there are, name first.

    Your own cards lie in the home's folder `personas`, and stand before shipped ones of the same name.
    `limen persona new NAME` begins one.
    """
    home = settings(ctx).home
    entries = cards.available(library.folders(home))
    if as_json:
        show_json([plain(entry) for entry in entries])
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    for row in rows(entries, width):
        click.echo(row)


def rows(entries: Sequence[Entry], width: int = 0) -> Iterator[str]:
    """A line for each card. `width` in characters; 0: as long as it gets."""
    longest = max((len(entry.name) for entry in entries), default=0)
    for entry in entries:
        name, text = f"{entry.name:<{longest}}", _text(entry)
        if width:
            name, text = click.style(name, bold=True), shorten(text, max(20, width - longest - 2))
        yield f"{name}  {text}"


def _text(entry: Entry) -> str:
    if entry.card:
        return f"{entry.card.title} · {entry.card.tagline}" if entry.card.tagline else entry.card.title
    more = f" (and {len(entry.faults) - 1} more)" if len(entry.faults) > 1 else ""
    return f"(broken) {entry.faults[0]}{more}"


def plain(entry: Entry) -> dict[str, Any]:
    """A card of the list as plain data."""
    return {
        "name": entry.name,
        "title": entry.card.title if entry.card else "",
        "tagline": entry.card.tagline if entry.card else "",
        "hash": entry.card.hash if entry.card else "",
        "path": str(entry.path),
        "shipped": entry.path.parent == library.SHIPPED,
        "faults": [{"line": one.line, "field": one.field, "message": one.message} for one in entry.faults],
    }
