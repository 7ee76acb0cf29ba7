"""`limen status`: Redis, queue, workers and memory of this home at a glance. Looks, and starts nothing."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import click
import msgspec

from bots import nightpage, nights, up
from bots.assemble import Parts, parts, settings
from bots.files import disk_use, nearest
from bots.lorapage import fault_rows
from bots.options import json_option, show_json
from bots.version import version
from bots.words import many, size, span
from core.errors import UserError
from core.jobs import BASE
from core.settings import Settings, masked
from core.store.loras import Fault
from core.store.presence import FRESH
from core.text import shorten

EVERY = 1.0  # seconds between two looks of --watch


@click.command(epilog="Example: limen status --watch")
@json_option
@click.option("--watch", is_flag=True, help="Look again every second, until Ctrl-C.")
@click.pass_context
def command(ctx: click.Context, as_json: bool, watch: bool) -> None:
    """Show Redis, queue, workers and memory of this home.

    Nothing is started by it: the status is 1 if nothing runs.
    """
    s = settings(ctx)
    if watch and not as_json:
        asyncio.run(_watch(s))
        return
    seen = asyncio.run(look(s))
    show_json(seen) if as_json else click.echo(page(seen))
    ctx.exit(0 if seen["running"] else 1)


async def look(settings: Settings, often: bool = False) -> dict[str, Any]:
    """Everything that status shows, as plain data; of a home where nothing runs, only that. Raises StoreError.

    `often`: without what is too dear for every second.
    """
    url = await up.redis_url_if_running(settings)
    home = {"home": str(settings.home), "version": version(), "disk": _disk(settings.home)}
    if not url:
        return {"running": False, **home}
    async with parts(settings, url) as p:
        quotas = {} if often else {"quotas": await _quotas(p)}
        return {"running": True, **home, "redis": await _redis(p, url), **await _work(p), **quotas}


def _disk(home: Path) -> dict[str, int]:
    return {"home_bytes": disk_use(home), "free_bytes": shutil.disk_usage(nearest(home)).free}


async def _redis(p: Parts, url: str) -> dict[str, Any]:
    info: dict[str, Any] = await p.client.do("INFO")
    name = "valkey" if "valkey_version" in info else "redis"
    return {
        "url": masked(url),
        "version": f"{name} {info[f'{name}_version']}",
        "uptime_s": int(info["uptime_in_seconds"]),
        "memory_bytes": int(info["used_memory"]),
    }


async def _work(p: Parts) -> dict[str, Any]:
    workers = await p.presence.workers()
    return {
        "queue": msgspec.to_builtins(await p.queue.depths()),
        "workers": [{"name": name, **about} for name, about in sorted(workers.items())],
        "talking": await p.presence.talking(),
        "personas": len(await p.ledger.personas()),
        "loras": await _loras(p),
        "nights": await _nights(p),
    }


async def _quotas(p: Parts) -> dict[str, Any]:
    """Of the quotas that are set: how many people and channels have had as much as they may."""
    rules, found = p.settings.attention, {}
    if rules.person_quota:
        found["person"] = await p.quotas.of_people(rules.person_quota, rules.quota_minutes)
    if rules.channel_quota:
        found["channel"] = await p.quotas.of_channels(rules.channel_quota, rules.quota_minutes)
    return {name: msgspec.to_builtins(one) for name, one in found.items()}


async def _nights(p: Parts) -> dict[str, Any]:
    try:
        return dict(msgspec.to_builtins(await nights.standing(p.settings, p)))
    except UserError as error:  # an hour that is none, or no worker's packages: `limen doctor` says more
        return {"error": str(error)}


async def _loras(p: Parts) -> dict[str, Any]:
    everyone = (await p.loras.everyone()).values()
    return {
        "personas": sum(one.live != BASE for one in everyone),
        "on_trial": sum(bool(one.canary) for one in everyone),
        "faults": [msgspec.to_builtins(fault) for fault in await p.loras.faults()],
    }


def page(seen: dict[str, Any]) -> str:
    """What was seen, for people with 80 columns."""
    disk = f"{size(seen['disk']['home_bytes'])} in the home, {size(seen['disk']['free_bytes'])} free"
    rows = [("home", seen["home"])]
    if not seen["running"]:
        return _table([*rows, ("disk", disk), ("", "not running; `limen up` starts Redis and a worker")])
    redis, queue = seen["redis"], seen["queue"]
    work = f"{queue['live']} live · {queue['background']} background, in {many(queue['conversations'], 'conversation')}"
    rows += [
        ("Redis", f"{redis['version']} · up {span(redis['uptime_s'])} · {size(redis['memory_bytes'])} of memory"),
        ("", redis["url"]),
        ("queue", work),
        ("", f"{queue['leased']} in work · {queue['delayed']} delayed · {_dead(queue['dead'])}"),
        *_workers(seen["workers"]),
        ("talking", f"{seen['talking']} (terminals, and processes of bots)"),
        ("personas", f"{seen['personas']} that have spoken"),
        *quota_rows(seen.get("quotas", {})),
        *_lora_rows(seen["loras"]),
        *_night_rows(seen["nights"]),
        ("disk", disk),
    ]
    return _table(rows)


def _dead(count: int) -> str:
    return f"{many(count, 'dead letter')}; `limen deadletters list`" if count else "no dead letters"


def _workers(workers: list[dict[str, str]]) -> list[tuple[str, str]]:
    if not workers:
        return [("worker", "none; `limen up` starts one")]
    return [row for about in workers for row in _worker(about)]


def _worker(about: dict[str, str]) -> list[tuple[str, str]]:
    """Two lines of one worker. What it does not tell is left out."""
    state = about.get("state", "ready") if float(about["seen"]) < FRESH else f"silent for {span(float(about['seen']))}"
    speed = f" · {about['tokens_per_s']} tokens/s" if "tokens_per_s" in about else ""
    jobs = f" · {many(int(about['jobs']), 'job')}" if "jobs" in about else ""
    device = f" · {about['device']}" if "device" in about else ""
    first = f"{shorten(about['name'], 40)} · {state}{jobs}{speed}"
    quantised = f" · {about['quantize']}" if about.get("quantize", "none") != "none" else ""
    blind = [("", "no embedder: memory goes by words alone; `limen doctor`")] if about.get("embedder") == "none" else []
    return [("worker", first), ("", f"{about.get('model', '')}{quantised}{device}"), *blind, *_engine(about)]


def _engine(about: dict[str, str]) -> list[tuple[str, str]]:
    """What the engine tells of its memory."""
    parts = []
    if "lora_slots" in about:
        parts.append(f"{about['loras']} of {about['lora_slots']} LoRA slots")
    if "kv_mb" in about:
        parts.append(f"{int(about['kv_used_mb']):,} of {int(about['kv_mb']):,} MB of talk")
        parts.append(f"{float(about['prompt_reused']):.0%} of prompts known")
    if about.get("lora_slots") == "0" and about.get("lora_trouble"):
        parts = [about["lora_trouble"]]
    return [("", " · ".join(parts))] if parts else []


def quota_rows(seen: dict[str, Any]) -> list[tuple[str, str]]:
    """A line for each that is set."""
    rows = []
    for name, one in seen.items():
        within = "an hour" if one["minutes"] == 60 else f"{one['minutes']:g} min"
        had = f"{one['full']:,} of {one['counted']:,} lately have had theirs"
        rows.append(f"{one['most']:,} answers in {within} to a {name}: {had}")
    return [("quotas" if number == 0 else "", row) for number, row in enumerate(rows)]


def _lora_rows(seen: dict[str, Any]) -> list[tuple[str, str]]:
    """How many speak with one, and on two lines each those that could not be loaded."""
    trial = f", {seen['on_trial']:,} on trial" if seen["on_trial"] else ""
    faults = fault_rows(msgspec.convert(seen["faults"], list[Fault]), 68)
    rows = [
        f"{many(seen['personas'], 'persona')} with one of their own{trial}",
        *(["could not be loaded:"] if faults else []),
    ]
    return [("LoRAs" if number == 0 else "", row) for number, row in enumerate([*rows, *faults])]


def _night_rows(seen: dict[str, Any]) -> list[tuple[str, str]]:
    """When the next one comes, and how the last one went."""
    rows = [seen["error"]] if "error" in seen else nightpage.summary(seen)
    return [("nights" if number == 0 else "", shorten(row, 68)) for number, row in enumerate(rows)]


def _table(rows: list[tuple[str, str]]) -> str:
    return "\n".join(f"{click.style(f'{name:<9}', bold=True)} {text}".rstrip() for name, text in rows)


async def _watch(settings: Settings) -> None:
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False) as live:
        while True:
            live.update(Text.from_ansi(page(await look(settings, often=True))), refresh=True)
            await asyncio.sleep(EVERY)
