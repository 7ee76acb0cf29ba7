"""Nights as processes: who holds the clock, what their child is called with, and what is told in the morning."""

import asyncio
import logging
import os
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from bots import loras, up
from bots.assemble import Parts
from bots.collisions import ROOT
from bots.lorapage import place
from bots.nightpage import Standing
from bots.version import version
from core.config import as_variables
from core.errors import LimenError, LoraError, StoreError, UserError
from core.events import PersonaKey, Place, unquote
from core.jobs import Done
from core.nights import Night, Outcome
from core.settings import Settings
from core.store.consents import Consents
from core.store.loras import CARD
from core.store.nights import RUN
from core.store.presence import FRESH
from core.store.presence import NIGHTS as LANE

if TYPE_CHECKING:
    from worker.night.all import Learn, Wants
    from worker.night.child import Child
    from worker.night.schedule import Clock, Hours

log = logging.getLogger("limen.night")
Tell = Callable[[str, int, int], None]  # what is done, how much of it, of how much

BEAT = 3.0
TRIALS = "trials"  # the lease on looking at them
TOLD = 5  # personas in a morning's note
NEWS = tuple(outcome for outcome in Outcome if outcome not in (Outcome.PINNED, Outcome.DRY_RUN))
SCHEDULED = ("night", "--now", "--scheduled")


class Order(NamedTuple):
    """How nights are to be made."""

    dry_run: bool = False
    sweep: bool = False
    live: bool = False
    scheduled: bool = False
    seed: int = 0


class School(NamedTuple):
    """Who has something to learn, and their nights."""

    due: "Callable[[], Awaitable[Sequence[Wants]]]"
    learn: "Learn"


def hours(settings: Settings) -> "Hours":
    """When nights come. Raises ConfigError, MissingExtra."""
    try:
        from worker.night.schedule import hours as read
    except ImportError as error:
        raise up.incomplete(error) from error
    return read(settings.night.at, settings.timezone)


async def clock(p: Parts, alone: bool = False) -> "Clock | None":
    """The clock of a worker; None where nights are off. `alone`: this worker runs only nights.

    Raises ConfigError, MissingExtra, StoreError.
    """
    if off(p.settings):
        return None
    comes = hours(p.settings)
    from worker.night.schedule import Clock

    if not await p.ledger.personas():  # a new home: nobody has said anything that a night could have missed
        await p.nights.count_from(time.time())

    async def others() -> bool:
        return not alone and any(float(about["seen"]) < FRESH for about in (await p.presence.trainers()).values())

    async def start() -> "Child":
        return await child(p.settings)

    async def trials() -> None:
        await judge(p)

    async def copies() -> None:
        await asyncio.to_thread(loras.store(p.settings).tidy)

    async def left() -> None:
        await clear_left(p)
        await p.privacy.erase_late(time.time())

    return Clock(p.nights, comes, start, others, 2 * p.settings.night.budget_minutes * 60, [trials, copies, left])


async def judge(p: Parts) -> None:
    """Decide trials that can be decided: one worker at each look. Raises ConfigError, StoreError."""
    from worker.names import worker_name
    from worker.night.schedule import LOOK
    from worker.night.trials import judge_trials

    if await p.nights.lease(TRIALS, worker_name(), LOOK * 0.9):  # not ended: it keeps the others from looking, too
        await judge_trials(p.loras, p.ledger, p.settings.night, time.time())


async def clear_left(p: Parts) -> None:
    """Delete what killed trainings left here of those by whom somebody was forgotten, and what is old.

    Raises StoreError.
    """
    from worker.night import leftovers

    await leftovers.clear(p.settings.home, p.nights, p.ledger)


async def clear_old(p: Parts) -> list[str]:
    """Delete versions that nobody has gone back to for `lora.keep_days`; which they were. What goes wrong is for the
    log, and for the next night: this one is over."""
    from worker.lora.keeping import clear_old as clear

    try:
        days = p.settings.lora.keep_days
        return await clear(loras.store(p.settings), p.loras, days) if days else []
    except (LoraError, StoreError) as error:
        log.warning("old versions are still there: %s", error)
        return []


async def child(settings: Settings) -> "Child":
    """The night of everybody, in a process of its own."""
    from worker.night.child import Child, capped, threads

    argv = [sys.executable, "-m", "bots", "--home", str(settings.home), *SCHEDULED]
    environ = {**os.environ, **as_variables(settings), **capped(threads(settings.night.threads))}
    return await Child.start(argv, ROOT, environ, settings.home / "night.log")


async def seen(p: Parts, clock: "Clock") -> None:
    """A worker of nights says that it is there, until cancelled."""
    from worker.names import worker_name

    while True:
        state = "at work" if clock.busy else "waiting"
        try:
            await p.presence.beat(worker_name(), {"lane": LANE, "state": state, "pid": os.getpid()})
        except StoreError as error:
            log.warning("%s", error)
        await asyncio.sleep(BEAT)


async def leave(p: Parts) -> None:
    """It goes."""
    from worker.names import worker_name

    try:
        await p.presence.leave(worker_name())
    except StoreError as error:  # it will be missed by itself
        log.warning("%s", error)


def school(p: Parts, order: Order, tell: Tell) -> School:
    """Who teaches here; `tell` hears how far a night is. Raises MissingExtra, LoraError."""
    if p.settings.model.ref.startswith("echo:"):
        return _echo(p)
    try:
        from worker.night.run import Plan, Teacher, Tools
    except ImportError as error:
        raise up.incomplete(error) from error
    store, consents = loras.store(p.settings), Consents(p.client)
    plan = Plan(
        day=loras.day(p.settings.timezone), dry=order.dry_run, sweep=order.sweep, scheduled=order.scheduled,
        live=order.live, seed=order.seed, code=version(),
    )  # fmt: skip
    teacher = Teacher(Tools(p.settings, p.ledger, consents, p.loras, p.personas, store, p.growth.store), plan, tell)
    return School(teacher.due, teacher.night)


def _echo(p: Parts) -> School:
    if os.environ.get("LIMEN_TESTING") != "1":
        raise UserError("echo: is for tests; nights need a real model", "set model.ref to hf:…, pypi:… or a folder")
    from worker.night.echo import Echo

    delay, _, words = p.settings.model.ref.partition(":")[2].partition("x")  # as long as such a reply takes
    echo = Echo(p.ledger, loras.day(p.settings.timezone), float(delay or 0) * int(words or 0))
    return School(echo.due, echo.night)


def off(settings: Settings) -> str:
    """Why no night comes by itself; empty if one does."""
    if not settings.night.enabled:
        return "night.enabled is off"
    if settings.model.engine == "openai" and settings.openai.loras == "off":
        return "openai.loras is off, so what generates cannot be changed by them"
    return ""


async def standing(settings: Settings, p: Parts | None) -> Standing:
    """How it stands, as far as it is known without Redis, or with it. Raises ConfigError, MissingExtra, StoreError."""
    s, now = settings.night, time.time()
    why, coming = off(settings), hours(settings)
    then = coming.after(datetime.fromtimestamp(now, UTC))
    known = Standing(
        enabled=s.enabled, at=s.at, timezone=settings.timezone, off=why, next=then.timestamp() if then else 0.0
    )
    if p is None:
        return known
    from worker.names import is_dead
    from worker.night.schedule import missed

    holder = await p.nights.holder(RUN)
    alone = s.pool == "none"
    found = [(key, count) for key, count in (await p.ledger.fresh()).items() if not (alone and key.scope == CARD)]
    fresh = sorted(found, key=lambda one: -one[1])
    latest, success = await p.nights.latest(), await p.nights.last_success()
    return msgspec.structs.replace(
        known,
        missed=not why and missed(success, now, coming) and bool(success or await p.ledger.personas()),
        at_work="" if holder and is_dead(holder) else holder,  # what the dead hold is the next one's at once
        trainers=sum(float(about["seen"]) < FRESH for about in (await p.presence.trainers()).values()),
        last=await p.nights.last(),
        last_success=success,
        fresh=tuple((place(persona), count) for persona, count in fresh),
        left=tuple(map(str, await p.nights.left())),
        kept=await p.nights.count(),
        failures=sum(night.outcome == Outcome.FAILED for night in latest),
    )


async def post(p: Parts, nights: Sequence[Night]) -> None:
    """A short note of these nights, to the conversation of the operator's choice. What cannot be told is logged."""
    where = p.settings.night.report
    told = sorted((night for night in nights if night.outcome in NEWS), key=lambda night: NEWS.index(night.outcome))
    if not where or not told:
        return
    from worker.night.note import note

    rest = f"\n\n… and {len(told) - TOLD:,} more: `limen night list`" if len(told) > TOLD else ""
    try:
        await p.nights.tell(letter(p, where, "\n\n".join(note(night) for night in told[:TOLD]) + rest))
    except LimenError as error:
        log.warning("the morning's note was not sent: %s", error)


def letter(p: Parts, where: str, text: str) -> Done:
    """A text as a reply of ours that nobody asked for. `where` is a conversation: `account|card|place`."""
    account, card, place = where.split("|")
    platform, workspace, channel, *thread = (unquote(part) for part in place.split(":"))
    there = Place(platform, workspace, channel, "".join(thread))
    persona = PersonaKey(account, p.card(unquote(card)).name, f"{platform}:{workspace}:channel:{channel}")
    id = f"night-{secrets.token_hex(8)}"
    return Done(job=id, reply_id=id, conversation=where, place=there, persona=persona, text=text)
