"""What a platform is to limen: something to listen to, and an outlet for replies. Knows no platform.

An adapter translates and shows; it decides nothing. `bots/run.py` carries events from it to the engine and back.
"""

from collections.abc import AsyncGenerator
from typing import Literal, Protocol

import msgspec

from core.commands import Answer
from core.delivery import Outlet
from core.engine import Outcome
from core.errors import LimenError
from core.events import AnyEvent, Command


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a platform can do. `length` of a message in `unit`s and `rate` in sends a second; 0: no limit."""

    length: int = 0
    unit: Literal["characters", "utf-16"] = "characters"
    edits: bool = True
    reactions: bool = True
    rate: float = 0.0


class Adapter(Outlet, Protocol):
    """A platform, as one bot account sees it."""

    account: str
    limits: Limits

    def listen(self) -> AsyncGenerator[AnyEvent, None]:
        """What happens there, in order, until it closes. An event is done with when the next one is asked for."""

    async def told(self, event: AnyEvent, outcome: Outcome) -> None:
        """The engine has taken an event: show its note, if there is one."""

    async def answered(self, command: Command, answer: Answer) -> None:
        """Show the answer to a command to the one who gave it."""

    async def refused(self, event: AnyEvent, error: LimenError) -> None:
        """An event could not be taken: say why to the one whose it was."""
