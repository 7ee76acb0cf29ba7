"""When a worker reflects: after so many turns of a persona, and once a night on whoever has lived since; one at a time.

A lease lets one process at a time reflect on a persona. What was missed while nothing ran is caught up with, for who is
due is read from what was lived through since, never from a timer that fired.
"""

import asyncio
import logging
import time

from core.errors import LimenError
from core.events import PersonaKey
from core.reflection.nouns import Step
from core.store.nights import Nights
from worker.night.leases import taken, under
from worker.night.schedule import Hours, missed
from worker.reflection.mind import Mind
from worker.reflection.run import Done, Stores, reflect

log = logging.getLogger("limen.reflection")

LOOK = 20.0  # seconds between two looks at who has had enough turns
LOOK_ALL = 600.0  # and at who has lived through a night
AGAIN = 900.0  # after a reflection that broke off


class Clock:
    """`turns`: replies after which it is time (0: only at night). `hours`: when nights come."""

    def __init__(self, stores: Stores, nights: Nights, mind: Mind, hours: Hours, turns: int) -> None:
        self._stores, self._nights, self._mind, self._hours, self._turns = stores, nights, mind, hours, turns
        self._not_before: dict[PersonaKey, float] = {}
        self._looked = float("-inf")
        self.busy = False

    async def keep_on(self, pause: float = LOOK) -> None:
        """Until cancelled: reflect on whoever is due."""
        while True:
            try:
                await self.look()
            except LimenError as error:  # at the next look
                log.warning("%s", error)
            except Exception:  # a fault here must not end the worker, whose work is to talk
                log.exception("reflection")
            await asyncio.sleep(pause)

    async def look(self) -> int:
        """Reflect on everybody who is due now. How many those were."""
        count = 0
        for persona in await self.due():
            self.busy = True
            try:
                count += await self._turn(persona)
            finally:
                self.busy = False
        return count

    async def due(self, now: float | None = None) -> list[PersonaKey]:
        """Whose time it is."""
        now = time.time() if now is None else now
        found = await self._stores.reflections.due(self._turns) if self._turns else []
        if now - self._looked >= LOOK_ALL:
            self._looked = now
            found += [one for one in await self._overnight(now) if one not in found]
        return [one for one in found if now >= self._not_before.get(one, 0.0)]

    async def _overnight(self, now: float) -> list[PersonaKey]:
        """Those who have lived on since before the last night."""
        some = await self._stores.reflections.due(1)
        since = [(one, (await self._stores.reflections.reached(one)).since) for one in some]
        return [one for one, first in since if first > 0 and missed(first, now, self._hours)]

    async def _turn(self, persona: PersonaKey) -> bool:
        lease = await taken(self._nights, f"reflection {persona}")
        if lease is None:  # another process is at it
            return False
        try:
            await under(lease, self._all(persona))
        except LimenError as error:
            log.warning("%s: reflection broke off: %s", persona, error)
            self._not_before[persona] = time.time() + AGAIN
            return False
        except Exception:
            self._not_before[persona] = time.time() + AGAIN
            raise
        self._not_before.pop(persona, None)
        return True

    async def _all(self, persona: PersonaKey) -> None:
        """Slice by slice, until there is nothing behind it."""
        card = await self._stores.personas.card((await self._stores.reflections.reached(persona)).card)
        if card is None:
            log.warning("%s: its card is not in Redis", persona)
            self._not_before[persona] = time.time() + AGAIN
            return
        while True:
            done = await reflect(self._stores, persona, card, self._mind)
            log.info("%s", told(persona, done))
            if not done.more:
                return


def told(persona: PersonaKey, done: Done) -> str:
    """A reflection in a line, without a word of what was said."""
    count = {step: sum(one.kept for one in done.outputs if one.step == step) for step in Step}
    dropped = sum(not one.kept for one in done.outputs)
    parts = ", ".join(f"{number} {step}" for step, number in count.items())
    return f"{persona}: reflected on {done.turns} turns: {parts}; {dropped} dropped"
