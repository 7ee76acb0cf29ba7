"""A night that needs no model, for tests only (as `worker/echo.py` for replies): it takes time and decides nothing."""

import asyncio
import time
from dataclasses import dataclass

from core.events import PersonaKey
from core.nights import Night, Outcome
from core.store.ledger import Ledger
from core.store.loras import family


@dataclass(frozen=True)
class Due:
    """A persona that has said something. `effective`: how often."""

    persona: PersonaKey
    effective: float
    fresh: int


class Echo:
    """Nights of `seconds` each."""

    def __init__(self, ledger: Ledger, day: str, seconds: float) -> None:
        self._ledger, self._day, self._seconds = ledger, day, seconds

    async def due(self) -> list[Due]:
        """Everybody who ever spoke, who spoke most first."""
        counts = [(persona, len(await self._ledger.replies(persona))) for persona in await self._ledger.personas()]
        return sorted((Due(one, count, count) for one, count in counts), key=lambda due: -due.effective)

    async def night(self, persona: PersonaKey) -> Night:
        """Nothing is learned."""
        began = time.time()
        await asyncio.sleep(self._seconds)
        return Night(
            id=f"{family(persona)}/{self._day}-{began:.0f}", persona=persona, title=persona.card, day=self._day,
            began=began, ended=time.time(), outcome=Outcome.UNDECIDED, reasons=("an echo learns nothing",),
        )  # fmt: skip
