"""Slack as a platform, for one bot account in one workspace.

Events come through a door (`doors.py`), are understood (`events.py`) and leave by `listen`; replies go out by
`replies.py`. Here is the talk around them: who hears an answer, a note, a file.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress

import msgspec

from adapters.base import Below, Limits, nothing
from adapters.reading import Asking, Reading
from adapters.slack import doors, files, siblings
from adapters.slack.acquaintances import Acquaintances
from adapters.slack.buttons import blocks, pressed
from adapters.slack.events import to_event
from adapters.slack.recent import Recent
from adapters.slack.replies import Replies
from adapters.slack.telling import Telling, native
from adapters.slack.text import LENGTH, Json
from adapters.slack.view import Us
from adapters.slack.web import BASE_URL, Refused, Web
from adapters.slack.work import Work
from core.commands.answers import Answer, handed
from core.delivery import Sending
from core.engine import Act, Outcome
from core.errors import ConfigError, LimenError
from core.events import Addressed, AnyEvent, Attachment, Command, Deletion, Joined, Message, Person, Place
from core.files import File
from core.jobs import Done, Failed

log = logging.getLogger("limen.slack")

LONG = 3 * LENGTH  # an answer that is longer is a file
Taken = asyncio.Future[bool]
_NONSENSE = (AttributeError, IndexError, KeyError, TypeError, ValueError)
Heard = tuple[Json, Taken | None]  # a body, and what Slack waits to hear of it


class Listening(msgspec.Struct, frozen=True, kw_only=True):
    """How Slack reaches us: by Socket Mode with an app token, else by HTTP, whose calls are checked with the secret."""

    app_token: str = ""
    signing_secret: str = ""
    host: str = "127.0.0.1"
    port: int = 3000
    ping: float = 10.0


class Slack:
    """The adapter. `every`: seconds between edits of growing messages; more where Slack does not bear that."""

    limits = Limits(length=LENGTH, unit="characters", edits=True, reactions=True, rate=1.0, whispers=True)

    def __init__(
        self,
        us: Us,
        bot_token: str,
        listening: Listening,
        base_url: str = "",
        every: float = 1.2,
        below: Below = nothing,
    ) -> None:
        self._below = below
        self.us, self.account = us, us.account
        self._work = Work(us.account)
        self._web = Web(bot_token, base_url, every, self._work.pause)
        self._base_url, self._listening = base_url or BASE_URL, listening
        self._known = Acquaintances(us, self._web)
        self._reading: Reading[Heard] = Reading(self._events, self._lacks, _channel, self._full)
        self._taken: dict[int, tuple[AnyEvent, Taken]] = {}  # by event: what Slack waits to hear of it
        self._told: Recent[str, bool] = Recent(2_000)
        self._telling = Telling(self._web, self._work)
        self._status = True
        self._replies = Replies(self._web, self._work)

    @classmethod
    async def sign_in(
        cls, bot_token: str, listening: Listening, base_url: str = "", every: float = 1.2, below: Below = nothing
    ) -> "Slack":
        """The adapter of whoever the token belongs to. Raises ConfigError if Slack does not accept it."""
        web = Web(bot_token, base_url)
        try:
            return cls(await web.who(), bot_token, listening, base_url, every, below)
        finally:
            await web.close()

    # What happens there.

    async def listen(self) -> AsyncGenerator[AnyEvent, None]:
        """Events in the order that Slack told them, each once, until `close`; what came before that is told first."""
        async with self._door(), aclosing(self._reading.events()) as events:
            async for event in events:
                yield event
            await self._acknowledged()
        self._reading.end()
        async for event in self._reading.events():  # what came until the door was closed
            yield event

    def done(self, event: AnyEvent) -> None:
        """Slack need not bring it again."""
        if (mine := self._taken.pop(id(event), None)) and not mine[1].done():
            mine[1].set_result(True)

    async def _acknowledged(self) -> None:
        """Until all that is on its way is done with, or would be acknowledged anyway."""
        with suppress(TimeoutError):
            async with asyncio.timeout(doors.LATEST):
                while self._taken:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0)  # what is done with is acknowledged by somebody else's task

    def _hear(self, body: Json) -> Taken | None:
        """From a door. Whoever gives a command or presses a button waits for the acknowledgement: Slack never repeats
        those. Where it is not even heard, they are not acknowledged either: then Slack says that we do not respond."""
        future: Taken = asyncio.get_running_loop().create_future()
        taken = None if "response_url" in body else future
        if self._reading.put((body, taken)):
            return taken
        future.set_result(False)
        return future

    def _full(self, refused: int) -> None:
        """More happens than we can look at, as when Redis is away for long."""
        if refused:
            log.warning("%s: events are heard again; %d were not, and Slack brings them again", self.account, refused)
        else:
            log.warning("%s: too many events wait to be heard, and what comes now is left to Slack", self.account)

    def close(self) -> None:
        """Hear no more: `listen` ends when it has told what came before."""
        self._reading.end()

    async def leave(self) -> None:
        """After the last reply: finish what is being sent, and let go of the connections."""
        await self._work.finish()
        await self._web.close()

    @asynccontextmanager
    async def _door(self) -> AsyncIterator[None]:
        given = self._listening
        if not (given.app_token or given.signing_secret):
            raise ConfigError(
                "Slack has no way to tell us anything: there is neither an app-level token nor a signing secret",
                "Set SLACK_APP_TOKEN (xapp-…) for Socket Mode, or SLACK_SIGNING_SECRET if Slack is to call us by HTTP",
            )
        with siblings.listening(siblings.app_of(given.app_token, given.signing_secret), self.us, self._hear) as hear:
            app = doors.bolt(self.us, self._base_url, hear, given.signing_secret)
            socket = given.app_token and doors.socket(app, hear, self._web, given.app_token, given.ping)
            async with socket or doors.http(app, given.host, given.port):
                yield

    def _lacks(self, heard: Heard) -> Asking | None:
        """What has to be asked first."""
        try:
            return self._known.lacks(heard[0])
        except _NONSENSE:
            return None  # it cannot be read, either

    def _events(self, heard: Heard) -> Sequence[AnyEvent]:
        """What a body says. If that is nothing, it is done with."""
        body, taken = heard
        try:
            event = self._read(body)
        except _NONSENSE as error:  # Slack would bring it for ever
            log.warning("an event of Slack's was passed over: %r", error)
            event = None
        if event and taken:
            self._taken[id(event)] = event, taken
        elif taken and not taken.done():
            taken.set_result(True)
        return (event,) if event else ()

    def _read(self, body: Json) -> AnyEvent | None:
        """What it says, if it says it for the first time and did not come from us."""
        if pressed(body) == ("", ""):
            self._work.beside(self._web.respond(body.get("response_url") or "", {"delete_original": True}))
            return None
        event = to_event(body, self._known.view, time.time())
        if event is None or self._is_our_doing(event):
            return None
        if not self._told.keep(f"{type(event).__name__} {event.place} {event.id}", True):
            return None
        if isinstance(event, Command):
            self._telling.note(event, body)
        return event

    def _is_our_doing(self, event: AnyEvent) -> bool:
        """Slack tells us what we do ourselves. Who deletes a message it does not tell."""
        if isinstance(event, Deletion):
            return (event.place.channel, event.message_id) in self._replies.messages.deleted
        return event.author.id == self.account and not isinstance(event, Joined)

    async def fetch(self, attachment: Attachment, most: int = files.MOST) -> bytes:
        """What is in a file that somebody sent. Raises TooLong, or InputError if it cannot be had here."""
        return await files.fetch(self._web, attachment, most)

    # What the engine made of it.

    async def ranked(self, command: Command) -> Command:
        """Admins and owners of the workspace are operators."""
        return await self._known.ranked(command)

    async def told(self, event: AnyEvent, outcome: Outcome) -> None:
        """We take part from now on, and are at it; or there is a note."""
        if not isinstance(event, Message):
            return
        if outcome.act in (Act.QUEUED, Act.MERGED):
            place, user = event.place, native(event.author.id)
            self._known.last.keep((place.channel, user), place.thread)
            if place.thread:
                self._known.threads.keep((place.channel, place.thread), True)
            self._work.beside(self._type(place))
        elif outcome.note and outcome.act in (Act.FULL, Act.REFUSED):
            await self._telling.whisper(event, outcome.note)

    async def answered(self, command: Command, answer: Answer) -> None:
        """To the one who asked, and to nobody else."""
        if self._telling.is_page(command):
            await self._telling.publish(command, answer.text)
        elif file := handed(command.name, answer, LONG):
            what = "All that is kept of you" if answer.data is not None else "The whole of it"
            self._telling.give(command, file, what)
        elif answer.text:
            await self._telling.whisper(command, answer.text, answer.choices)

    async def refused(self, event: AnyEvent, error: LimenError) -> None:
        """Why it was not taken: to whoever meant us, and not to those whom we only overhear."""
        if _is_for_us(event):
            await self._telling.whisper(event, f"{error}\n{error.hint}" if error.hint else str(error))

    async def _type(self, place: Place) -> None:
        """`… is typing` in a thread, where the app may; Slack takes it away with our message."""
        if not (self._status and place.thread):
            return
        try:
            await self._web.call(
                self._web.client.assistant_threads_setStatus, patient=False,
                channel_id=place.channel, thread_ts=place.thread, status="is typing…",
            )  # fmt: skip
        except Refused as error:
            self._status = False
            self._work.complain(f"nobody sees that a reply is coming: {error.error}")
        except LimenError as error:
            log.debug("nobody saw that a reply is coming: %s", error)  # the next one may be seen again

    async def hand(self, place: Place, file: File, note: str, answers: str = "") -> str:
        """Slack does not tell as which message."""
        await self._telling.hand(place, file, note)
        return ""

    async def ask(self, done: Done, person: Person, question: Answer) -> None:
        """In a channel only they see it."""
        await self._telling.ask(done.place, person, question)

    # Replies.

    async def draft(self, text: str, attempt: int, sending: Sending) -> None:
        """A reply grows; one that begins anew is edited into its messages like any other."""
        await self._replies.draft(text, sending)

    async def final(self, done: Done, sending: Sending) -> None:
        """The whole reply."""
        await self._replies.final(done, sending)
        if sending.ids and (choices := self._below(done)):
            self._work.beside(self._replies.buttoned(done, sending, blocks(choices)))

    async def failed(self, failed: Failed, sending: Sending) -> None:
        """There will be none."""
        await self._replies.failed(failed, sending)


def _is_for_us(event: AnyEvent) -> bool:
    return isinstance(event, Command) or (isinstance(event, Message) and event.addressed != Addressed.NO)


def _channel(heard: Heard) -> str:
    """Where it happened, as far as it says so: an event, a reaction to something, a command, a button."""
    body = heard[0]
    event = body.get("event")
    where = (event.get("item") or event) if isinstance(event, Mapping) else body
    channel = (where.get("channel") or where.get("channel_id")) if isinstance(where, Mapping) else ""
    return str(channel.get("id") if isinstance(channel, Mapping) else channel or "")
