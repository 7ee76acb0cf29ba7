"""The one question that everybody is asked once: may the persona learn from you? In its voice, and what it means.

Until somebody says yes nothing of theirs trains anything, asked or not. Who was asked, when and in which words is
kept with their consent (`core/store/consents.py`). For the terminal's owner the operator's own statement stands in;
guests there are asked when they come in.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from core.commands.answers import Answer, Choice
from core.errors import LimenError, StoreError
from core.events import Kind, Person, Place
from core.jobs import Done
from core.privacy import WORDING
from core.settings import Asked
from core.store.client import patiently
from core.store.consents import Consents, Purpose
from personas.card import Card

PATIENCE = 60.0  # seconds that a platform has to show it; well within a claim's time
YES = Choice("Yes, learn from me", "privacy", "train yes", "good")
NO = Choice("No", "privacy", "train no")
STOP = Choice("No longer learn from me", "privacy", "train no")
WHAT = Choice("What does that mean?", "privacy")
PLAIN = "One question: may I learn from what you say, and from what you think of my replies?"

Show = Callable[[Person, Answer], Awaitable[None]]


def question(card: Card) -> Answer:
    """For somebody alone: the whole of it, and a yes or no."""
    means = f"Yes means: “{WORDING[Purpose.TRAIN]}” If you say no, or nothing, it never does."
    typed = "You can change your mind at any time: /privacy train yes, /privacy train no."
    return Answer(text=f"{card.consent.strip() or PLAIN}\n\n{means} {typed}", choices=(YES, NO))


def hint(card: Card) -> Answer:
    """For where others read it, too: that there is a question, and where it is asked."""
    says = f"{card.consent.strip() or PLAIN} Until you say yes, I do not: /privacy tells you all about it."
    return Answer(text=says, choices=(WHAT,))


class Asking:
    """Whom to ask, and how. `whispers`: in a room the platform can say something to one person alone."""

    def __init__(self, consents: Consents, when: Asked, cards: Callable[[str], Card], whispers: bool) -> None:
        self._consents, self._when, self._cards, self._whispers = consents, when, cards, whispers

    async def ask(self, done: Done, show: Show) -> None:
        """Have whoever this reply was for asked, now that it is said: once, by whichever bot, or anew when all was
        forgotten since. So nothing of it is remembered here.

        It counts when it was shown: who is asked twice, after a crash, is better off than who never is. Raises
        LimenError where it was not, in time, and what `show` raises.
        """
        person = done.author
        if person is None or person.is_bot or not self._suits(done) or (asks := self._asks(done)) is None:
            return
        await self._put(person, asks, _room(done.place) if self._hints(done) else "", show)

    async def enter(self, person: Person, card: Card, show: Show) -> None:
        """The same for somebody who comes in to talk alone, before anything is said."""
        if self._when != "never":
            await self._put(person, question(card), "", show)

    async def _put(self, person: Person, asks: Answer, room: str, show: Show) -> None:
        claim = await self._consents.claim(person.id, room)
        if claim is None:
            return
        is_shown = False
        try:
            async with asyncio.timeout(PATIENCE):
                await show(person, asks)
            is_shown = True
        except TimeoutError as error:
            raise LimenError(f"it could not be shown within {PATIENCE:g} s") from error
        finally:
            if not is_shown:
                with suppress(StoreError):  # it runs out
                    await self._consents.give_back(claim)
        await patiently(lambda: self._consents.asked(claim, asks.text))

    def _hints(self, done: Done) -> bool:
        """Does everybody read it?"""
        return not self._whispers and done.place.kind != Kind.DM

    def _suits(self, done: Done) -> bool:
        """A talk that has begun; not one that was broken off."""
        if self._when == "never" or done.act != "say" or done.cancelled or not done.text.strip():
            return False
        return self._when == "everywhere" or done.place.kind == Kind.DM

    def _asks(self, done: Done) -> Answer | None:
        try:
            card = self._cards(done.persona.card)
        except LimenError:  # its file has gone or broken meanwhile: another reply will do
            return None
        return hint(card) if self._hints(done) else question(card)


def _room(place: Place) -> str:
    """All threads of a channel are one."""
    return str(Place(place.platform, place.workspace, place.channel))
