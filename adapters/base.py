"""What a platform is to limen: something to listen to, and an outlet for replies. Knows no platform.

An adapter translates and shows; it decides nothing. `bots/run.py` carries events from it to the engine and back.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Literal, Protocol

import msgspec

from core.commands.answers import Answer, Choice
from core.delivery import Outlet
from core.engine import Outcome
from core.errors import LimenError
from core.events import AnyEvent, Attachment, Command, Person, Place
from core.files import File
from core.jobs import Done

Below = Callable[[Done], Sequence[Choice]]
"""What anybody may choose below a reply."""


def nothing(done: Done) -> Sequence[Choice]:
    """There are no buttons below replies."""
    return ()


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a platform can do. `length` of a message in `unit`s and `rate` in sends a second; 0: no limit.

    `whispers`: in a room, something can be said to one person alone, at any time.
    """

    length: int = 0
    unit: Literal["characters", "utf-16"] = "characters"
    edits: bool = True
    reactions: bool = True
    rate: float = 0.0
    whispers: bool = False


class Adapter(Outlet, Protocol):
    """A platform, as one bot account sees it."""

    account: str
    limits: Limits

    def listen(self) -> AsyncGenerator[AnyEvent, None]:
        """What happens there until it closes: in order, at least within each place. The next event is asked for before
        the last one is done with."""

    def done(self, event: AnyEvent) -> None:
        """It is done with: kept, answered or refused. Said once of each event, the very one that `listen` gave.

        Whatever the platform is told for us to have it (so that it does not bring it again) may be told now.
        """

    async def fetch(self, attachment: Attachment, most: int) -> bytes:
        """What somebody attached, from the platform's own hosts. Raises TooLong, or InputError if it cannot be had."""

    async def ranked(self, command: Command) -> Command:
        """The same, with `operator` true if the platform's own roles say so; asked for where that matters, and only
        there: what the platform does not tell is a no."""

    async def told(self, event: AnyEvent, outcome: Outcome) -> None:
        """The engine has taken an event: show its note, if there is one."""

    async def answered(self, command: Command, answer: Answer) -> None:
        """Show the answer to a command to the one who gave it."""

    async def hand(self, place: Place, file: File, note: str, answers: str = "") -> str:
        """Give everybody in a place a file, with a line beside it, as a reply to a message. Its message id, if known.

        Raises TooLong if the platform takes no such file, and LimenError where it will not take it.
        """

    async def ask(self, done: Done, person: Person, question: Answer) -> None:
        """Put a question, with its choices, to the person whom a reply answered: to them alone, where that can be.

        Nobody waits for it but the question: it may rest for as long as the platform wants, and is broken off after a
        minute. Raises LimenError where it was not shown.
        """

    async def refused(self, event: AnyEvent, error: LimenError) -> None:
        """An event could not be taken: say why to the one whose it was."""
