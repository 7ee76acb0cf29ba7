"""A night of everybody: who has something to learn, one after the other, within the budget; the rest goes first the
next night, and whose night was cut off goes last. Knows how to be interrupted, and what a night is for only by its
outcome.
"""

import asyncio
import contextlib
import logging
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from core.errors import LimenError, StoreError
from core.events import PersonaKey
from core.nights import Night, Outcome
from core.store.client import patiently
from core.store.loras import family
from core.store.nights import Last, Nights
from worker.night.leases import taken, under

log = logging.getLogger("limen.night")

CUT_OFF = 3  # times in a row that a night may be cut off until its persona is set aside for a run

Learn = Callable[[PersonaKey], Awaitable[Night]]


class Wants(Protocol):
    """Somebody who has something to learn (`worker.night.run.Due`)."""

    @property
    def persona(self) -> PersonaKey:
        """Who."""

    @property
    def effective(self) -> float:
        """How many labels their votes are worth together."""


class Watch(Protocol):
    """Who hears how far the night is."""

    def begins(self, persona: PersonaKey) -> None:
        """Their night begins."""

    def ended(self, night: Night) -> None:
        """It has ended."""

    def passed(self, persona: PersonaKey, why: str) -> None:
        """They have none now."""


@dataclass(frozen=True)
class Terms:
    """Under which nights are made. `budget` in seconds; `keep`: results are kept; `day` is the operator's."""

    day: str
    budget: float = float("inf")
    keep: bool = True


def order(due: Sequence[Wants], left: Sequence[PersonaKey], cut: Collection[PersonaKey] = ()) -> list[PersonaKey]:
    """Those that were left the last time, then who has most to learn, and last whose night was cut off: it may be them
    that no process survives. Nobody twice, nobody who has nothing."""
    wanting = dict.fromkeys(one.persona for one in due)
    return sorted(dict.fromkeys([*(one for one in left if one in wanting), *wanting]), key=lambda one: one in cut)


async def everyone(nights: Nights, due: Sequence[Wants], learn: Learn, terms: Terms, watch: Watch) -> list[Night]:
    """The nights of all who are due, as far as the budget lasts. Raises StoreError, StaleLease.

    Who is left is known before each begins: whatever ends us, the next night goes on behind it.
    """
    began, end = time.time(), time.monotonic() + terms.budget
    cut = await nights.cut_off()
    waiting = deque(order(due, await nights.left(), cut))
    done: list[Night] = []
    if terms.keep:
        await patiently(lambda: nights.leave(waiting))
    while waiting and time.monotonic() < end:
        persona = waiting.popleft()
        if terms.keep:
            await patiently(lambda: nights.begin(persona))  # noqa: B023
        if cut.get(persona, 0) >= CUT_OFF and terms.keep:
            done.append(await _set_aside(nights, persona, cut[persona], terms, watch))
        elif night := await one(nights, persona, learn, terms, watch):
            done.append(night)
    if terms.keep:
        failed = sum(night.outcome == Outcome.FAILED for night in done)
        await patiently(lambda: nights.ran(Last(began, time.time(), len(done), failed, len(waiting))))
    return done


async def one(nights: Nights, persona: PersonaKey, learn: Learn, terms: Terms, watch: Watch) -> Night | None:
    """The night of one persona, kept; None while another process is at it. Raises StoreError, StaleLease."""
    lease = await patiently(lambda: taken(nights, str(persona)))
    if lease is None:
        watch.passed(persona, f"{await nights.holder(str(persona))} is at it")
        return None
    watch.begins(persona)
    night = await under(lease, _kept(nights, persona, learn, terms))
    watch.ended(night)
    return night


async def _set_aside(nights: Nights, persona: PersonaKey, times: int, terms: Terms, watch: Watch) -> Night:
    """A night that is none, and says why; the next run tries it once more. Raises StoreError."""
    watch.begins(persona)
    said = f"its night was cut off {times} times in a row, as where memory runs out, so it is set aside once"
    night = failed(persona, terms.day, time.time(), f"{said}; night.log says more")
    await patiently(lambda: nights.keep(night))
    await patiently(lambda: nights.excuse(persona))
    watch.ended(night)
    return night


async def _kept(nights: Nights, persona: PersonaKey, learn: Learn, terms: Terms) -> Night:
    """Kept while the lease still holds: nobody else begins before it is known how this one ended."""
    began = time.time()
    if terms.keep:
        await patiently(lambda: nights.at_work(persona))
    try:
        night = await learn(persona)
    except (StoreError, asyncio.CancelledError):  # not this persona's trouble alone
        if terms.keep:
            with contextlib.suppress(StoreError):
                await nights.excuse(persona)
        raise
    except LimenError as error:
        night = failed(persona, terms.day, began, str(error))
    except Exception as error:  # one broken persona fails alone
        log.exception("the night of %s", persona)
        night = failed(persona, terms.day, began, f"{type(error).__name__}: {error}")
    if terms.keep:
        await patiently(lambda: nights.keep(night))
        await patiently(lambda: nights.end(persona))
    return night


def failed(persona: PersonaKey, day: str, began: float, why: str) -> Night:
    """A night of which nothing is known but why it failed."""
    return Night(
        id=f"{family(persona)}/{day}-{secrets.token_hex(3)}", persona=persona, title=persona.card, day=day,
        began=began, ended=time.time(), outcome=Outcome.FAILED, notes=(why,),
    )  # fmt: skip
