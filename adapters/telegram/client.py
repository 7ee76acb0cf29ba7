"""Telegram as a platform: updates become events, replies become messages, notes and answers reach who asked.

Updates come through a door (`doors.py`), replies go out by `replies.py`. What Telegram brings again has the same ids.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

from adapters.base import Below, Limits, nothing
from adapters.telegram.doors import POLL, Door, Hook, Polling, Retry, Webhook
from adapters.telegram.events import (
    ANYBODY,
    PLATFORM,
    Me,
    button,
    crowd,
    deaf,
    left,
    mentioned,
    moved,
    place_of,
    theirs,
    to_events,
)
from adapters.telegram.pace import Pace
from adapters.telegram.payloads import Chat, Pressed, Update, read
from adapters.telegram.payloads import Message as Said
from adapters.telegram.ranks import Ranks
from adapters.telegram.replies import Replies
from adapters.telegram.text import LIMIT
from adapters.telegram.trouble import Flooded, Refused, Unreachable
from adapters.telegram.waiting import Waiting
from adapters.telegram.wire import Buttons, Wire
from core.commands.answers import Answer, Choice, handed
from core.commands.desk import COMMANDS
from core.delivery import Sending
from core.engine import Act, Outcome
from core.errors import InputError, LimenError, TooLong
from core.events import Addressed, AnyEvent, Attachment, Command, Event, Kind, Message, Person, Place
from core.files import File
from core.jobs import Done, Failed

log = logging.getLogger("limen.telegram")
K = TypeVar("K")
V = TypeVar("V")

CHATS, NAMES, NAMED, CROWDS = 1024, 64, 4096, 4096  # what is remembered at most, while we run
MOST_CARRIED = 64  # bytes behind a button
MOST = 5_000_000  # bytes of a file that is fetched
LARGEST = 10_000_000  # bytes of a file that is given: so much Telegram takes of a picture, and more of a document
LONG = 3 * LIMIT  # an answer that is longer is a file
NATIVE = ("react", "unreact")  # on Telegram people react

Move = Callable[[Place, Place], Coroutine[Any, Any, None]]


class Telegram:
    """The adapter of one bot account. `base_url`: another Bot API server. `move`: told when a group gets another id.

    With a `hook` Telegram calls us; without, we ask it.
    """

    limits = Limits(length=LIMIT, unit="utf-16", edits=True, reactions=True, rate=1.0)

    def __init__(
        self,
        token: str,
        base_url: str = "",
        *,
        hook: Hook | None = None,
        move: Move | None = None,
        pace: Pace | None = None,
        poll: int = POLL,
        below: Below = nothing,
    ) -> None:
        self._below = below
        self._wire = Wire(token, base_url, self._migrated)
        self.account = f"{PLATFORM}:{self._wire.id}"
        self._stop = asyncio.Event()
        self._door: Door = Webhook(self._wire, self._stop, hook) if hook else Polling(self._wire, self._stop, poll)
        self._replies = Replies(self._wire, pace or Pace(), self._called)
        self._waiting = Waiting(self._wire)
        self._ranks = Ranks(self._wire)
        self._move = move or _only_tell
        self._crowds: OrderedDict[tuple[int, int], list[str]] = OrderedDict()
        self._people: OrderedDict[str, OrderedDict[str, int]] = OrderedDict()
        self._named: OrderedDict[str, int] = OrderedDict()  # by username
        self._updates: dict[int, tuple[AnyEvent, int, bool]] = {}  # the update of each event that is on its way

    # What happens there.

    async def listen(self) -> AsyncGenerator[AnyEvent, None]:
        """What happens, until `close` or `stop`. Raises ConfigError if the token is not, or no longer, any good."""
        if not (me := await self._introduced()):
            return
        async with aclosing(self._door.updates()) as updates:
            async for raw in updates:
                number, events = raw["update_id"], await self._heard(raw, me)
                if not events:
                    self._door.done(number)
                for at, event in enumerate(events, 1):
                    self._updates[id(event)] = (event, number, at == len(events))
                    yield event

    def done(self, event: AnyEvent) -> None:
        """With the last event of an update Telegram may know that we have it: they are of one chat, and keep order."""
        _, number, is_last = self._updates.pop(id(event))
        if is_last:
            self._door.done(number)

    def stop(self) -> None:
        """Hear nothing more; what is being said is said to its end."""
        self._stop.set()

    async def close(self) -> None:
        """Stop, finish what is being said, and hang up."""
        self.stop()
        await self._door.close()
        await self._waiting.close()
        await self._replies.close()
        await self._wire.close()

    async def _introduced(self) -> Me | None:
        """Who we are, and people see our menu; None if we are to stop before we know."""
        retry = Retry(self._stop)
        while not self._stop.is_set():
            try:
                me = await self._wire.me()
            except (Flooded, Unreachable) as error:
                await retry.after(error)
                continue
            try:
                await self._wire.menu(menu())
            except LimenError as error:
                log.warning("people see no menu of commands: %s", error)
            log.info("on Telegram as @%s", me.username)
            return me
        return None

    async def fetch(self, attachment: Attachment, most: int = MOST) -> bytes:
        """What somebody attached. Raises InputError if it is too long, or not there any more."""
        if 0 <= most < attachment.size:
            raise TooLong(f"{attachment.name} is too long: {attachment.size:,} bytes, and {most:,} are allowed")
        try:
            content = await self._wire.fetch(attachment.url.removeprefix(f"{PLATFORM}:"), most)
        except (Flooded, Refused, Unreachable) as error:
            raise InputError(f"{attachment.name} cannot be fetched: {error}") from error
        if content is None:
            raise TooLong(f"{attachment.name} is longer than it was said to be, and {most:,} bytes are allowed")
        return content

    async def _heard(self, raw: Mapping[str, Any], me: Me) -> tuple[AnyEvent, ...]:
        update = read(raw)
        if update is None:
            log.info("an update that cannot be read was passed over: %s", raw["update_id"])
            return ()
        if where := moved(update):
            self._wire.move(where[0].channel, where[1].channel)
            await self._move(*where)
        if chat := left(update):
            log.info("Telegram says that we are no longer in %s", chat)
            self._people.pop(chat, None)
        if chat := deaf(update):
            log.warning("in %s we are no administrator: Telegram will not tell us of reactions there", chat)
        if update.message:
            self._meet(update.message)
        if update.callback_query:
            self._replies.later(self._pressed(update.callback_query))
        return to_events(update, me, time.time(), self._stood(update), self._named)

    def _migrated(self, old: str, new: str) -> None:
        """We were not there when Telegram told it."""
        was, now = place_of(Chat(int(old), "group")), place_of(Chat(int(new), "supergroup"))
        self._replies.later(self._move(was, now))

    async def _pressed(self, pressed: Pressed) -> None:
        """A button is for the one whom it was shown to, and for once."""
        ours = theirs(pressed)
        await self._wire.noted(pressed.id, "" if ours else "This is not yours to decide.")
        if ours and pressed.message:
            await self._wire.unbutton(place_of(pressed.message.chat), str(pressed.message.message_id))

    def _stood(self, update: Update) -> list[str]:
        """What a crowd felt before about the message that it feels something else about now."""
        counted = update.message_reaction_count
        if counted is None:
            return []
        key = (counted.chat.id, counted.message_id)
        stood = self._crowds.pop(key, [])
        _remember(self._crowds, key, crowd(counted), CROWDS)
        return stood

    def _meet(self, message: Said) -> None:
        """Remember whom only an id can call, and who is behind a username."""
        if (author := message.from_) and author.username:
            _remember(self._named, author.username.lower(), author.id, NAMED)
        met = {name: int(person.rpartition(":")[2]) for name, person in mentioned(message).items()}
        if author and not author.username and not author.is_bot:
            met[author.first_name] = author.id
        if met:
            people = self._people.pop(str(message.chat.id), OrderedDict())
            for name, user in met.items():
                people.pop(name, None)
                _remember(people, name, user, NAMES)
            _remember(self._people, str(message.chat.id), people, CHATS)

    def _called(self, place: Place) -> Mapping[str, int]:
        return self._people.get(place.channel, {})

    # What the engine says of it.

    async def ranked(self, command: Command) -> Command:
        """Administrators of a group are operators there."""
        return await self._ranks.ranked(command)

    async def told(self, event: AnyEvent, outcome: Outcome) -> None:
        """A reply is due now, or there is a note."""
        if outcome.act in (Act.QUEUED, Act.MERGED) and outcome.job:
            self._waiting.expect(outcome.job, event.place)
        elif outcome.note and outcome.act in (Act.FULL, Act.REFUSED) and isinstance(event, Message):
            await self._replies.say(event.place, outcome.note, _number(event))

    async def refused(self, event: AnyEvent, error: LimenError) -> None:
        """It could not be taken: say why to somebody who meant us."""
        if _asked(event):
            await self._replies.say(event.place, f"{error}\n{error.hint}".strip(), _number(event))

    async def answered(self, command: Command, answer: Answer) -> None:
        """Show an answer; what is kept of somebody goes to them in private, wherever they asked."""
        if answer.job and answer.job.job:
            self._waiting.expect(answer.job.job, command.place)
        elif file := handed(command.name, answer, LONG):
            caption = "All that is kept of you." if answer.data is not None else "That was long: it is all in here."
            await self._replies.say(command.place, await self._handed(command, file, caption), _number(command))
        elif answer.text:
            await self._replies.say(
                command.place, answer.text, _number(command), buttons(answer.choices, command.author.id)
            )

    async def _handed(self, command: Command, file: File, caption: str) -> str:
        who = command.author.id.rpartition(":")[2]
        try:
            if not who.isdecimal():  # somebody who speaks as the group itself
                raise Refused("a group has no private side")
            await self._wire.hand(Place(PLATFORM, "dm", who, kind=Kind.DM), file, caption)
        except Refused:  # a bot may not begin a private talk
            return "I can send it only to you alone. Write to me in private, and ask me there."
        except (Flooded, Unreachable):
            return "Telegram does not take the file just now. Please ask again in a minute."
        return "That is the whole of it." if command.place.kind == Kind.DM else "I have sent it to you in private."

    async def hand(self, place: Place, file: File, note: str, answers: str = "") -> str:
        """Within the pace of the chat; a picture is shown."""
        if len(file.content) > LARGEST:
            raise TooLong(f"{file.name} is too long: Telegram takes {LARGEST:,} bytes")
        return await self._replies.hand(place, file, note[:1024], answers if place.kind != Kind.DM else "")

    async def ask(self, done: Done, person: Person, question: Answer) -> None:
        """Telegram knows no whispers: in a group all read it, and the buttons are for one."""
        answered = done.answers[-1] if done.answers else ""
        await self._replies.speak(done.place, question.text, answered, buttons(question.choices, person.id))

    # Replies.

    async def draft(self, text: str, attempt: int, sending: Sending) -> None:
        """A reply grows: by edits, as often as its chat allows."""
        await self._replies.draft(text, sending)

    async def final(self, done: Done, sending: Sending) -> None:
        """The whole reply."""
        self._waiting.settle(done.job)
        await self._replies.final(done, sending)
        if sending.ids and (choices := buttons(self._below(done))):
            message = sending.ids[max(sending.ids)][-1]
            self._replies.later(self._wire.button(sending.place or done.place, message, choices))

    async def failed(self, failed: Failed, sending: Sending) -> None:
        """There will be none."""
        self._waiting.settle(failed.job)
        await self._replies.failed(failed, sending)


def menu() -> list[tuple[str, str]]:
    """What people see when they type a slash: every command, except what Telegram has a better way for."""
    return [(name, act.__doc__ or name) for name, act in sorted(COMMANDS.items()) if name not in NATIVE]


def buttons(choices: Sequence[Choice], whose: str = ANYBODY) -> Buttons:
    """Choices as rows of buttons: two or three beside each other, more than that two by two. What Telegram could not
    carry is left out: it can still be typed."""
    carried = [(choice.label, button(choice, whose)) for choice in choices]
    fit = [(label, data) for label, data in carried if len(data.encode()) <= MOST_CARRIED]
    wide = len(fit) if len(fit) <= 3 else 2
    return [fit[at : at + wide] for at in range(0, len(fit), wide or 1)]


def _asked(event: Event) -> bool:
    """Did its author mean us? What was only overheard is not answered with excuses."""
    return isinstance(event, Command) or (isinstance(event, Message) and event.addressed != Addressed.NO)


def _number(event: Event) -> str:
    """The message that an event came with."""
    return event.id.rpartition(".")[2]


async def _only_tell(old: Place, new: Place) -> None:
    log.warning("the group %s is %s from now on", old, new)


def _remember(these: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    these[key] = value
    if len(these) > most:
        these.popitem(last=False)
