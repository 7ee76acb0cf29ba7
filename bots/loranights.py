"""What nights and trials add to `limen lora`: how two versions differ, what reactions say of a trial, and pins."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click
import msgspec

from bots import loras, up
from bots.assemble import Parts, settings
from bots.loraoptions import Version, do, key_of, whose
from bots.lorapage import place
from bots.options import json_option, persona_option, show_json
from bots.words import span
from core.errors import InputError
from core.jobs import BASE
from core.nights import Manifest
from core.privacy import iso
from core.settings import Settings
from core.votes.trial import Finding

if TYPE_CHECKING:
    from worker.lora.compare import Change
    from worker.night.trials import Trial


@click.command(epilog="Example: limen lora diff mira-7f3a2c91/20261121-1 mira-7f3a2c91/20261122-1")
@click.argument("first", type=Version())
@click.argument("second", type=Version())
@json_option
@click.pass_context
def diff(ctx: click.Context, first: str, second: str, as_json: bool) -> None:
    """Show how two versions differ.

    In what they learned from, with which settings and scores, and how far their weights are from each other: 100 % is
    as far as from FIRST to the base.
    """
    s = settings(ctx)
    told = [loras.manifest(s, version) for version in (first, second)]
    changes, facts = _changes(s, first, second), _facts(*told)
    if as_json:
        weights = [{**msgspec.to_builtins(one), "relative": one.relative} for one in changes]
        show_json(
            {
                "first": first,
                "second": second,
                "manifests": msgspec.to_builtins(told),
                "differ": facts,
                "weights": weights,
            }
        )
        return
    rows = [*_fact_rows(facts, told), "", *_weight_rows(changes)]
    click.echo("\n".join([click.style(f"{first} → {second}", bold=True), *rows]))


def _changes(settings: Settings, first: str, second: str) -> "list[Change]":
    kept = loras.store(settings)
    try:
        from worker.lora.compare import changes
    except ImportError as error:
        raise up.incomplete(error) from error
    return changes(kept.folder(first), kept.folder(second))


def _facts(first: Manifest | None, second: Manifest | None) -> dict[str, Any]:
    """What differs between two manifests, as plain data; nothing, where one of them is missing."""
    if first is None or second is None:
        return {}
    plain = {
        name: [getattr(first, name), getattr(second, name)]
        for name in ("base", "base_hash", "parent", "seed", "code", "night")
        if getattr(first, name) != getattr(second, name)
    }
    return {
        "rows": _sets(first.rows, second.rows),
        "people": _sets(first.people, second.people),
        "settings": _values(first.settings, second.settings),
        "scores": _values(first.scores, second.scores),
        **plain,
    }


def _sets(first: Iterable[str], second: Iterable[str]) -> dict[str, list[str]]:
    ours, theirs = set(first), set(second)
    return {"first": sorted(ours - theirs), "both": sorted(ours & theirs), "second": sorted(theirs - ours)}


def _values(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, list[Any]]:
    names = sorted({*first, *second})
    return {name: [first.get(name), second.get(name)] for name in names if first.get(name) != second.get(name)}


def _fact_rows(facts: Mapping[str, Any], told: list[Manifest | None]) -> Iterator[str]:
    if not facts:
        missing = " and ".join(name for name, one in zip(("first", "second"), told, strict=True) if one is None)
        yield f"  No night made the {missing}: it has no manifest to compare."
        return
    for name in ("rows", "people"):
        one = {side: len(ids) for side, ids in facts[name].items()}
        yield f"  {name:<9} {one['both']:,} in both · {one['first']:,} only before · {one['second']:,} only after"
    for name in ("settings", "scores"):
        for value, (before, after) in facts[name].items():
            yield f"  {name:<9} {value} {_shown(before)} → {_shown(after)}"
    for name in ("base", "base_hash", "parent", "seed", "code"):
        if name in facts:
            yield f"  {name:<9} {' → '.join(str(value)[:40] or 'none' for value in facts[name])}"


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "none" if value is None else str(value)


def _weight_rows(changes: "list[Change]") -> Iterator[str]:
    yield f"  {'layers':<8} {'linears':<10} {'first':>8} {'second':>8} {'distance':>9}"
    for one in changes:
        yield f"  {one.layers:<8} {one.linears:<10} {one.first:>8.3g} {one.second:>8.3g} {one.relative:>9.0%}"


@click.command(epilog="Example: limen lora pin mira-7f3a2c91/20261121-1 --persona mira")
@click.argument("version", type=Version(), required=False)
@whose
@click.option("--off", is_flag=True, help="Nights may change it again.")
@click.pass_context
def pin(ctx: click.Context, version: str | None, persona: str, scope: str, account: str, off: bool) -> None:
    """Make a version live, and keep nights from changing it.

    VERSION `base` is the model as it came. A trial ends. `promote` and `rollback` by hand keep the pin; --off, and a
    version that has to go, end it.
    """
    if off == bool(version):
        raise click.UsageError("Name a VERSION to pin, or say --off.")

    async def act(p: Parts) -> str:
        key = await key_of(p, persona, scope, account)
        if not version:
            if not (was := await p.loras.serving(key)).pinned:
                raise InputError(f"{place(key)} is not pinned", "`limen lora list` shows what is")
            await p.loras.unpin(key)
            return f"{place(key)} speaks with {was.live}, and nights may change that."
        if version != BASE:
            loras.need(version, loras.store(p.settings).versions())
            loras.need_own(key, version, await p.loras.origin(version))
        await p.loras.pin(key, version)
        return f"{place(key)} speaks with {version}, and no night changes that."

    click.echo(do(ctx, act))


@click.command(epilog="Example: limen lora trials --judge")
@persona_option(help="Only personas of this card.")
@click.option("--judge", is_flag=True, help="Carry out now what a worker would within minutes.")
@json_option
@click.pass_context
def trials(ctx: click.Context, persona: str | None, judge: bool, as_json: bool) -> None:
    """Show the LoRAs on trial, and what reactions say of them.

    Evidence of 20 decides, for or against; with none against it and a few votes on both, a LoRA goes live after
    `night.trial_days`.
    """
    found = do(ctx, lambda p: _judged(p, (persona or "").strip().lower(), judge))
    if as_json:
        show_json([_plain(one) for one in found])
        return
    rows = [row for one in found for row in _trial_rows(one, judge)]
    click.echo("\n".join(rows) if rows else "No LoRA is on trial.")


async def _judged(p: Parts, card: str, judge: bool) -> "list[Trial]":
    try:
        from worker.night.trials import judge_trials
    except ImportError as error:
        raise up.incomplete(error) from error
    if card and all(key.card != card for key in await p.loras.everyone()):
        p.card(card)
    only = [key for key in await p.loras.everyone() if card in ("", key.card)]
    return await judge_trials(p.loras, p.ledger, p.settings.night, time.time(), only=only, apply=judge)


def _plain(one: "Trial") -> dict[str, Any]:
    return {**msgspec.to_builtins(one), "began": iso(one.began)}


def _trial_rows(one: "Trial", judge: bool) -> Iterator[str]:
    evidence, decided = one.evidence, one.decision.finding != Finding.GO_ON
    yield click.style(place(one.persona), bold=True)
    yield f"  on trial  {one.version} · for {span(time.time() - one.began)}"
    yield f"  liked     {evidence.tried.likes:,} of {evidence.tried.votes:,}"
    past = "" if evidence.beside is evidence.live else f" · before {evidence.before}"
    yield f"  live      {one.against} · liked {evidence.live.likes:,} of {evidence.live.votes:,}{past}"
    yield f"  evidence  better {evidence.better:.3g} · worse {evidence.worse:.3g}"
    yield f"  finding   {one.decision.why}"
    if decided:
        yield f"  {place(one.persona)} speaks with {one.live}." if judge else "  a worker, or --judge, carries it out"
