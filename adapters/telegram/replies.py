"""Replies on Telegram: they grow by edits, within the pace of their chat, and their last text always lands.

A reply is as many messages as its text needs. Each is marked before it is sent and recorded after, and edited from
then on. What a mark without an id means cannot be found out here: such a part is said again, rather than lost.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from adapters.pieces import split
from adapters.telegram.pace import Pace
from adapters.telegram.text import LIMIT, Piece, render
from adapters.telegram.trouble import Flooded, Missing, Refused, Unreachable
from adapters.telegram.wire import Buttons, Wire
from core.delivery import Sending
from core.errors import ConfigError, LimenError
from core.events import Kind, Place
from core.files import File
from core.jobs import Done, Failed
from core.store.client import patiently

log = logging.getLogger("limen.telegram")

FIRST_RETRY, LAST_RETRY = 0.5, 30.0  # seconds, while Telegram does not answer
SOON = 1.0  # seconds that whoever has a note or an answer for somebody waits until it is said
PATIENCE = 60.0  # seconds that a message which was sent waits for Redis, to be recorded
OPEN = 1024  # replies that are in hand at most; one whose end is another carrier's is forgotten

Step = Callable[[], Coroutine[Any, Any, None]]


@dataclass
class _Message:
    """A message of ours, in the chat where it was said; `piece` is what it reads, if we know."""

    id: str
    place: Place
    piece: Piece | None = None


@dataclass
class _Shown:
    """A reply in our hands. `ending`: nothing of it grows any more. `mouth` is held while a message of it is sent."""

    sending: Sending
    place: Place
    answers: str
    messages: list[_Message]
    mouth: asyncio.Lock
    wanted: str = ""
    growing: asyncio.Task[None] | None = None
    ending: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def grows(self) -> bool:
        """Is somebody at it?"""
        return self.growing is not None and not self.growing.done()


class Replies:
    """The replies of one bot account. `people` gives those of a chat whom only their id can call: name → id."""

    def __init__(self, wire: Wire, pace: Pace, people: Callable[[Place], Mapping[str, int]]) -> None:
        self._wire, self._pace, self._people = wire, pace, people
        self._shown: dict[str, _Shown] = {}
        self._mouths: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._going: set[asyncio.Task[None]] = set()
        self._closed_to: set[str] = set()  # chats of which it was said that we cannot speak there

    async def draft(self, text: str, sending: Sending) -> None:
        """Show how far a reply has grown; later, or not at all, where the pace does not allow it now."""
        assert sending.place is not None
        shown = self._of(sending, sending.place, sending.answers)
        shown.wanted = text
        if shown.grows:
            return  # it takes up by itself what is wanted
        if shown.messages:
            shown.growing = asyncio.create_task(self._grow(shown))
        elif self._pace.wait(shown.place.channel, spare=True) == 0:
            await self._nearer(shown)  # the first words: from now on it has an id, and people can react to it

    async def final(self, done: Done, sending: Sending) -> None:
        """Show the whole reply."""
        shown = await self._ended(sending, done.place, done.answers)
        if done.act == "react":
            if not await self._felt(shown, done.emoji):
                await self._settle(shown, self._render(shown.place, done.emoji))
            return
        text = done.shown
        if text.strip() or not done.cancelled:  # else what was shown of it stays
            await self._settle(shown, self._render(shown.place, text))
        if done.act == "say" and done.emoji:
            self.later(self._feel(shown, done.emoji))

    async def failed(self, failed: Failed, sending: Sending) -> None:
        """Say that there is no reply; nothing, if somebody stopped it."""
        shown = await self._ended(sending, failed.place, sending.answers)
        if not failed.cancelled:
            await self._settle(shown, [Piece(f"There is no reply: {failed.reason}")])

    async def say(self, place: Place, text: str, answers: str = "", buttons: Buttons = ()) -> None:
        """Say something that is no reply of a persona: as it is, without any format.

        Where it cannot be said soon, it is said later: what others say must not wait for that.
        """
        task = self._begun(self._tried(place, text, answers, buttons))
        await asyncio.wait({task}, timeout=SOON)

    async def hand(self, place: Place, file: File, note: str, answers: str) -> str:
        """Give a file; the id of its message. Raises Refused if Telegram will never take it."""
        sent = ""

        async def give() -> None:
            nonlocal sent
            sent = await self._wire.hand(place, file, note, answers)

        await self._must(place, give)
        return sent

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that may as well fail, beside everything else."""

        async def tried() -> None:
            with suppress(LimenError):
                await work

        self._begun(tried())

    async def speak(self, place: Place, text: str, answers: str = "", buttons: Buttons = ()) -> None:
        """The same, and wait until it is said. Raises Refused or ConfigError if it cannot be."""
        *others, last = plain(text)
        for piece in others:
            await self._must(place, partial(self._tell, place, piece, answers, ()))
        await self._must(place, partial(self._tell, place, last, answers, buttons))

    async def _tried(self, place: Place, text: str, answers: str, buttons: Buttons) -> None:
        try:
            await self.speak(place, text, answers, buttons)
        except (Refused, ConfigError) as error:
            self._complain(place, error)

    async def close(self, seconds: float = 10.0) -> None:
        """Finish what is on its way to Telegram, and begin nothing more."""
        for shown in self._shown.values():
            shown.ending.set()
        tasks = {*self._going, *(shown.growing for shown in self._shown.values() if shown.growing)}
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    def _of(self, sending: Sending, place: Place, answers: Sequence[str]) -> _Shown:
        """The reply in hand; taken up from what is on record if it is another carrying of it."""
        shown = self._shown.get(sending.reply_id)
        if shown is None or shown.sending is not sending:
            if shown:
                shown.ending.set()
            if len(self._shown) >= OPEN:
                self._shown.pop(next(iter(self._shown))).ending.set()
            known = [_Message(message, place) for _, ids in sorted(sending.ids.items()) for message in ids]
            answered = answers[-1] if answers and place.kind != Kind.DM else ""
            mouth = self._mouths.setdefault(sending.reply_id, asyncio.Lock())
            shown = self._shown[sending.reply_id] = _Shown(sending, place, answered, known, mouth)
        return shown

    def _render(self, place: Place, text: str) -> list[Piece]:
        return render(text, self._people(place))

    # A reply that grows.

    async def _grow(self, shown: _Shown) -> None:
        """Until what is wanted is shown."""
        while not shown.ending.is_set():
            if (seconds := self._pace.wait(shown.place.channel, spare=True)) > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(shown.ending.wait(), seconds)
            elif not await self._nearer(shown):
                return

    async def _nearer(self, shown: _Shown) -> bool:
        """One step towards what is wanted. A draft may fail: the whole reply says what is wrong."""
        step = self._step(shown, self._render(shown.place, shown.wanted), whole=False)
        if step is None:
            return False
        self._pace.take(shown.place.channel)
        try:
            await self._through(step)
        except Flooded as error:
            self._pace.hold(shown.place.channel, error.seconds)
        except LimenError as error:
            log.debug("a reply does not grow in %s: %s", shown.place, error)
            return False
        return True

    # A reply that is whole.

    async def _ended(self, sending: Sending, place: Place, answers: Sequence[str]) -> _Shown:
        """What comes now is the last word."""
        shown = self._of(sending, place, answers)
        shown.ending.set()
        if shown.growing:
            await shown.growing
        self._shown.pop(sending.reply_id, None)
        return shown

    async def _settle(self, shown: _Shown, pieces: list[Piece]) -> None:
        """Let its messages read so, whatever it takes, unless Telegram will never do it."""
        try:
            while step := self._step(shown, pieces, whole=True):
                await self._must(shown.place, step)
            self._closed_to.discard(shown.place.channel)
        except Refused as error:
            self._complain(shown.place, error)

    def _complain(self, place: Place, error: LimenError) -> None:
        if place.channel not in self._closed_to:
            self._closed_to.add(place.channel)
            log.warning("Telegram does not let us speak in %s: %s", place, error)

    async def _feel(self, shown: _Shown, emoji: str) -> None:
        """A feeling beside what was said: where Telegram has no such reaction, there is none."""
        await self._felt(shown, emoji)

    async def _felt(self, shown: _Shown, emoji: str) -> bool:
        """React to what was answered. False if that cannot be: the emoji can still be said."""
        answered = shown.sending.answers[-1:] or (shown.answers,)
        if not answered[0].isdecimal():
            return False
        can = True

        async def feel() -> None:
            nonlocal can
            can = await self._wire.feel(shown.place, answered[0], emoji)

        with suppress(Refused):
            await self._must(shown.place, feel)
            return can
        return False

    # One step: what is shown comes nearer to what should be.

    def _step(self, shown: _Shown, pieces: Sequence[Piece], whole: bool) -> Step | None:
        for at, piece in enumerate(pieces):
            if at == len(shown.messages):
                return partial(self._send, shown, at, piece)
            if shown.messages[at].piece != piece:
                return partial(self._edit, shown, at, piece)
        if whole and len(shown.messages) > len(pieces):
            return partial(self._unsay, shown)
        return None

    async def _send(self, shown: _Shown, at: int, piece: Piece) -> None:
        """Mark it, say it, record it. What an earlier carrying of this reply is about to record is waited for."""
        async with shown.mouth:
            await self._said(shown, at, piece)

    async def _said(self, shown: _Shown, at: int, piece: Piece) -> None:
        if await shown.sending.begin(at) == "sent" and at >= len(shown.messages):
            await shown.sending.recall()  # another carrier was quicker
            shown.messages += [_Message(message, shown.place) for message in shown.sending.ids.get(at, ())]
            if at < len(shown.messages):
                return
        message = await self._wire.say(shown.place, piece, shown.answers if at == 0 else "")
        there = self._wire.current(shown.place)  # reactions come from where the chat is by now
        shown.messages[at:] = [_Message(message, there, piece), *shown.messages[at + 1 :]]
        shown.sending.place = there
        await patiently(lambda: shown.sending.sent(at, (message,)), PATIENCE)  # or it would be said again

    async def _edit(self, shown: _Shown, at: int, piece: Piece) -> None:
        try:
            await self._wire.change(shown.messages[at].place, shown.messages[at].id, piece)
        except Missing:
            if not shown.ending.is_set():
                raise
            await self._send(shown, at, piece)
        shown.messages[at].piece = piece

    async def _unsay(self, shown: _Shown) -> None:
        """The last message is one too many. If it cannot be deleted any more, it stays."""
        with suppress(Refused, ConfigError):
            await self._wire.unsay(shown.messages[-1].place, shown.messages[-1].id)
        shown.messages.pop()

    async def _tell(self, place: Place, piece: Piece, answers: str, buttons: Buttons) -> None:
        await self._wire.say(place, piece, answers if place.kind != Kind.DM else "", buttons)

    async def _must(self, place: Place, step: Step) -> None:
        """Within the pace, and again until Telegram takes it. Raises Refused if it never will."""
        retry = FIRST_RETRY
        while True:
            await self._pace.turn(place.channel)
            try:
                return await self._through(step)
            except Flooded as error:
                self._pace.hold(place.channel, error.seconds)
            except Unreachable as error:
                log.log(logging.INFO if retry > FIRST_RETRY else logging.WARNING, "again in %g s: %s", retry, error)
                await asyncio.sleep(retry)
                retry = min(retry * 2, LAST_RETRY)

    async def _through(self, step: Step) -> None:
        """A step once begun is ended, with its record, even if whoever waits for it is cancelled."""
        await asyncio.shield(self._begun(step()))

    def _begun(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._going.add(task)
        task.add_done_callback(self._gone)
        return task

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._going.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has it; if nobody did, it is of no use any more


def plain(text: str) -> list[Piece]:
    """A text without any format, in pieces that fit."""
    return [Piece(part) for part in split(text, LIMIT, "utf-16")]
