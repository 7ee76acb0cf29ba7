"""LoRAs in words and rows, for people with 80 columns. Pure, but for the clock that says how long ago."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from bots.loras import Overview, Use
from bots.options import ACCOUNT
from bots.words import many, size, span
from core.events import PersonaKey
from core.nights import Manifest
from core.store.loras import Fault, Loras, Past, Serving
from core.text import shorten

if TYPE_CHECKING:
    from worker.lora.check import About

ROLES = {
    "live": "speaks with it",
    "canary": "tries it",
    "before": "goes back to it at a rollback",
    "history": "spoke with it once",
}
SHOWN = 8  # of a history


def place(persona: PersonaKey) -> str:
    """A persona as a sentence names it."""
    other = f" of {persona.account}" if persona.account != ACCOUNT else ""
    return f"{persona.card} in {persona.scope}{other}"


def page(seen: Overview, whole: bool = True) -> str:
    """Everybody with their versions; if `whole`, also those that nobody uses, and what is wrong."""
    rows = [row for key, serving in seen.everyone.items() for row in _persona(key, serving, seen.common.get(key))]
    if not rows:
        nobody = "No persona" if whole else "No persona of this card"
        rows = [f"{nobody} has a LoRA yet; `limen lora add FOLDER --persona NAME` brings one in."]
    if whole:
        rows += _listed("In the store, and nobody's", seen.unused)
        rows += _listed("Not in the store, though they should serve", seen.missing)
        rows += _listed("Speak no more: somebody asked to be forgotten; the next night makes others", seen.tainted)
        rows += _listed("Could not be loaded", fault_rows(seen.faults))
    return "\n".join(rows)


def _persona(key: PersonaKey, serving: Serving, common: Serving | None) -> Iterator[str]:
    """`common`: what it speaks with, if that is the card's."""
    yield click.style(place(key), bold=True)
    yield _row("live", f"the card's, {common.live}" if common else serving.live)
    tried = common or serving
    if tried.canary:
        since = f" for {span(time.time() - tried.began)}" if tried.began else ""
        whose = "" if serving.canary else "the card's, "
        yield _row("on trial", f"{whose}{tried.canary}, {tried.share:.0%} of the sessions{since}")
    if serving.pinned:
        yield _row("pinned", "no night changes it; `limen lora pin --off` lets them")
    for number, past in enumerate(serving.history[:SHOWN]):
        yield _row("history" if number == 0 else "", _past(past))
    if len(serving.history) > SHOWN:
        yield _row("", f"and {len(serving.history) - SHOWN} more; --json shows all")


def _past(past: Past) -> str:
    return f"{past.version} · {span(time.time() - past.time)} ago · {past.why}{' · deleted since' if past.gone else ''}"


def _row(name: str, text: str) -> str:
    return f"  {name:<9} {text}"


def _listed(title: str, rows: Sequence[str]) -> list[str]:
    return ["", click.style(title, bold=True), *(f"  {row}" for row in rows)] if rows else []


def fault_rows(faults: Sequence[Fault], width: int = 76) -> list[str]:
    """Versions that could not be loaded, with the reason below each."""
    texts = [
        (f"{one.version} · {span(time.time() - one.time)} ago", f"  {shorten(one.reason, width)}") for one in faults
    ]
    return [row for pair in texts for row in pair]


def described(name: str, about: "About") -> list[str]:
    """What a LoRA is."""
    made = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(about.made))
    return [
        click.style(name, bold=True),
        _row("rank", f"{about.rank}"),
        _row("changes", f"{', '.join(about.targets)} in {many(about.layers, 'layer')}"),
        _row("base", about.base or "(it does not say)"),
        _row("size", size(about.size)),
        _row("written", made),
    ]


def origin(manifest: Manifest | None) -> list[str]:
    """Where a LoRA comes from, as far as it says so."""
    if manifest is None:
        return [_row("manifest", "none: no night made it")]
    weights = manifest.base_hash[:12] or "unknown"
    rows = [
        ("night", f"{manifest.night} · {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime(manifest.made))}"),
        ("learned", f"from {many(len(manifest.rows), 'reply')}, of {len(manifest.people):,} people"),
        ("on", f"{manifest.base}, weights {weights}"),
        *([("began", f"with {manifest.parent}")] if manifest.parent else []),
        ("code", f"{manifest.code or 'unknown'}, seed {manifest.seed}"),
        *_pairs("settings", manifest.settings),
        *_pairs("scores", manifest.scores),
    ]
    return [_row(name, text) for name, text in rows]


def _pairs(title: str, values: Mapping[str, float | int | str]) -> list[tuple[str, str]]:
    """Named values, a few on each row."""
    told = [f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in values.items()]
    rows = [" · ".join(told[at : at + 4]) for at in range(0, len(told), 4)]
    return [(title if number == 0 else "", row) for number, row in enumerate(rows)]


async def held(loras: Loras, persona: PersonaKey) -> str:
    """The end of a sentence, where a persona is pinned."""
    return ", and stays pinned" if (await loras.serving(persona)).pinned else ""


def used(users: Sequence[Use]) -> list[str]:
    """Who has a version, and as what."""
    rows = uses(users) or ["nobody"]
    return [_row("used by" if number == 0 else "", row) for number, row in enumerate(rows)]


def uses(users: Sequence[Use]) -> list[str]:
    """The same as sentences."""
    return [f"{place(use.persona)} {ROLES[use.role]}" for use in users]
