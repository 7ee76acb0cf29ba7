"""What the console is shown on: `plain.py` is a screen for pipes, `live.py` one for people."""

from collections.abc import AsyncGenerator
from typing import Protocol

import msgspec


class Who(msgspec.Struct, frozen=True):
    """Somebody whose replies are shown: the card's name, and its title."""

    card: str
    title: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the way a reply takes. `worker`: none, loading or ready; `place`: as `Queue.place`."""

    who: Who
    lora: str = "base"
    worker: str = "none"
    waiting: int = 0
    place: int = -1


class Screen(Protocol):
    """Where a conversation is shown, and where lines come from. All that it is given is still to be made harmless."""

    def lines(self) -> AsyncGenerator[str, None]:
        """What the person types or pipes in, message by message."""

    async def grow(self, who: Who, reply_id: str, text: str, attempt: int) -> None:
        """A reply as far as it has come; `attempt` is higher when it began anew."""

    async def reply(self, who: Who, reply_id: str, text: str, note: str = "") -> None:
        """A whole reply, whatever was shown of it; `note` says how it ended, if not of itself."""

    async def answer(self, text: str) -> None:
        """What the person asked limen for."""

    async def aside(self, text: str) -> None:
        """What the person should know."""

    async def complain(self, text: str) -> None:
        """Something did not work."""

    def give_back(self, text: str) -> None:
        """What could not be sent: the person may want to try again."""

    def forget(self) -> None:
        """Nothing that was typed may be offered again."""

    def due(self, jobs: int, status: Status) -> None:
        """So many replies are due, and this is how it stands."""
