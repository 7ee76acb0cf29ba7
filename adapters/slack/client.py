"""Slack as a platform, for one bot account in one workspace.

Events come through a door (`doors.py`), are understood (`events.py`) and leave by `listen`; replies go out by
`replies.py`. Here is the talk around them: who hears an answer, a note, a file.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, suppress

import msgspec

from adapters.base import Below, Limits, nothing
from adapters.slack import doors, files
from adapters.slack.acquaintances import Acquaintances
from adapters.slack.buttons import blocks, is_theirs, pressed
from adapters.slack.events import to_event
from adapters.slack.manifest import SLASH
from adapters.slack.recent import Recent
from adapters.slack.replies import Replies
from adapters.slack.text import LENGTH, Json, message, page, pieces, spelled
from adapters.slack.view import Us
from adapters.slack.web import BASE_URL, Busy, Refused, Unsure, Web
from adapters.slack.work import Work
from core.answers import Answer, Choice, handed
from core.delivery import Sending
from core.engine import Act, Outcome
from core.errors import ConfigError, LimenError, TooLong
from core.events import Addressed, AnyEvent, Attachment, Command, Deletion, Joined, Kind, Message, Person, Place
from core.files import File
from core.jobs import Done, Failed

log = logging.getLogger("limen.slack")

LONG = 3 * LENGTH  # an answer that is longer is a file
LARGEST = 10_000_000  # bytes of a file that is given
Taken = asyncio.Future[None]


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
        self._heard: asyncio.Queue[tuple[Json, Taken | None] | None] = asyncio.Queue()
        self._taken: dict[int, tuple[AnyEvent, Taken]] = {}  # by event: what Slack waits to hear of it
        self._told: Recent[str, bool] = Recent(2_000)
        self._urls: Recent[str, tuple[str, bool]] = Recent(1_000)  # where an answer goes; in the question's place?
        self._pages: Recent[str, bool] = Recent(1_000)  # answers that go on somebody's page of us
        self._slash = SLASH
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
        async with self._door():
            while heard := await self._heard.get():
                if event := await self._event(*heard):
                    yield event
            await self._acknowledged()
        while not self._heard.empty():
            if (heard := self._heard.get_nowait()) and (event := await self._event(*heard)):
                yield event

    def done(self, event: AnyEvent) -> None:
        """Slack need not bring it again."""
        if (mine := self._taken.pop(id(event), None)) and not mine[1].done():
            mine[1].set_result(None)

    async def _acknowledged(self) -> None:
        """Until all that is on its way is done with, or would be acknowledged anyway."""
        with suppress(TimeoutError):
            async with asyncio.timeout(doors.LATEST):
                while self._taken:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0)  # what is done with is acknowledged by somebody else's task

    def _hear(self, body: Json) -> Taken | None:
        """From a door. Whoever gives a command or presses a button waits for the acknowledgement: Slack never repeats
        those."""
        taken = None if "response_url" in body else asyncio.get_running_loop().create_future()
        self._heard.put_nowait((body, taken))
        return taken

    def close(self) -> None:
        """Hear no more: `listen` ends when it has told what came before."""
        self._heard.put_nowait(None)

    async def leave(self) -> None:
        """After the last reply: finish what is being sent, and let go of the connections."""
        await self._work.finish()
        await self._web.close()

    def _door(self) -> AbstractAsyncContextManager[None]:
        given = self._listening
        if not (given.app_token or given.signing_secret):
            raise ConfigError(
                "Slack has no way to tell us anything: there is neither an app-level token nor a signing secret",
                "Set SLACK_APP_TOKEN (xapp-…) for Socket Mode, or SLACK_SIGNING_SECRET if Slack is to call us by HTTP",
            )
        app = doors.bolt(self.us, self._base_url, self._hear, given.signing_secret)
        if given.app_token:
            return doors.socket(app, self._hear, self._web, given.app_token, given.ping)
        return doors.http(app, given.host, given.port)

    async def _event(self, body: Json, taken: Taken | None) -> AnyEvent | None:
        """What a body says. If that is nothing, it is done with."""
        event = await self._read(body)
        if event and taken:
            self._taken[id(event)] = event, taken
        elif taken and not taken.done():
            taken.set_result(None)
        return event

    async def _read(self, body: Json) -> AnyEvent | None:
        """What it says, if it says it for the first time and did not come from us."""
        if pressed(body) == ("", ""):
            self._work.beside(self._web.respond(body.get("response_url") or "", {"delete_original": True}))
            return None
        await self._known.meet(body)
        event = to_event(body, self._known.view, time.time())
        if event is None or self._is_our_doing(event):
            return None
        if not self._told.keep(f"{type(event).__name__} {event.place} {event.id}", True):
            return None
        if isinstance(event, Command):
            self._note(event, body)
        return event

    def _note(self, command: Command, body: Json) -> None:
        """Where its answer goes. A slash command may be called otherwise than ours: another app may have that name."""
        if "command" in body:
            self._slash = body["command"]
            self._urls.keep(command.id, (body.get("response_url") or "", False))
        elif pressed(body):
            self._urls.keep(command.id, (body.get("response_url") or "", is_theirs(body)))
        elif body["event"]["type"] == "app_home_opened":
            self._pages.keep(command.id, True)

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
            place, user = event.place, _native(event.author.id)
            self._known.last.keep((place.channel, user), place.thread)
            if place.thread:
                self._known.threads.keep((place.channel, place.thread), True)
            self._work.beside(self._type(place))
        elif outcome.note and outcome.act in (Act.FULL, Act.REFUSED):
            await self._whisper(event, outcome.note)

    async def answered(self, command: Command, answer: Answer) -> None:
        """To the one who asked, and to nobody else."""
        if command.id in self._pages:
            await self._publish(command, answer.text)
        elif file := handed(command.name, answer, LONG):
            what = "All that is kept of you" if answer.data is not None else "The whole of it"
            self._work.beside(self._hand(command, file, what))
        elif answer.text:
            await self._whisper(command, spelled(answer.text, self._slash), answer.choices)
        elif answer.job and self._urls.get(command.id, ("", False))[1]:
            await self._whisper(command, "Another reply is on its way.")

    async def refused(self, event: AnyEvent, error: LimenError) -> None:
        """Why it was not taken: to whoever meant us, and not to those whom we only overhear."""
        if _is_for_us(event):
            await self._whisper(event, f"{error}\n{error.hint}" if error.hint else str(error))

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

    async def _whisper(self, event: AnyEvent, text: str, choices: Sequence[Choice] = ()) -> None:
        """Something that only this person sees. Should Slack be busy, no other event waits for it."""
        says = pieces(text)
        for number, piece in enumerate(says, 1):
            body = message(piece)
            body["blocks"] += blocks(choices) if number == len(says) else []
            try:
                await self._whispered(event, body, patient=False)
            except Busy:
                self._work.beside(self._whispered_late(event, body))
            except (Refused, Unsure) as error:
                self._unheard(event, error)

    async def _whispered_late(self, event: AnyEvent, body: Json) -> None:
        try:
            await self._whispered(event, body, patient=True)
        except LimenError as error:
            self._unheard(event, error)

    async def _whispered(self, event: AnyEvent, body: Json, patient: bool) -> None:
        """To the address that came with a slash command, which is good for half an hour; else as a message."""
        url, in_place = self._urls.get(event.id, ("", False))
        if url and await self._web.respond(url, {**body, "replace_original": in_place}):
            self._urls.keep(event.id, (url, False))  # what follows stands below
            return
        place = event.place
        await self._web.call(
            self._web.client.chat_postEphemeral, patient, repeatable=False, channel=place.channel,
            user=_native(event.author.id), thread_ts=place.thread or None, **body,
        )  # fmt: skip

    def _unheard(self, event: AnyEvent, error: LimenError) -> None:
        self._work.complain(f"somebody there could not be told something. {error}", event.place.channel)

    async def _publish(self, command: Command, text: str) -> None:
        """Somebody's page of us: who we are, and what can be asked."""
        view = {"type": "home", "blocks": page(text, self._slash)}
        try:
            await self._web.call(
                self._web.client.views_publish, patient=False, user_id=_native(command.author.id), view=view
            )
        except (Busy, Refused, Unsure) as error:
            self._work.complain(f"the App Home could not be shown. {error}")

    async def hand(self, place: Place, file: File, note: str, answers: str = "") -> str:
        """Slack does not tell as which message; it shows pictures, and the beginning of texts."""
        if len(file.content) > LARGEST:
            raise TooLong(f"{file.name} is too long: {LARGEST:,} bytes are enough for a chat")
        await self._web.call(
            self._web.client.files_upload_v2, repeatable=False, channel=place.channel, filename=file.name,
            content=file.content, initial_comment=pieces(note)[0], thread_ts=place.thread or None,
        )  # fmt: skip
        return ""

    async def _hand(self, command: Command, file: File, what: str) -> None:
        """A file, in a DM."""
        client = self._web.client
        try:
            opened = await self._web.call(client.conversations_open, users=_native(command.author.id))
            await self._web.call(
                client.files_upload_v2, repeatable=False, channel=opened["channel"]["id"],
                filename=file.name, content=file.content, initial_comment=f"{what}.",
            )  # fmt: skip
        except LimenError as error:
            await self._whisper(command, f"The file could not be sent. {error} {error.hint}".rstrip())
        else:
            await self._whisper(command, f"{what} is in a file that I sent to you alone.")

    async def ask(self, done: Done, person: Person, question: Answer) -> None:
        """In a channel only they see it."""
        self._work.beside(self._asked(done, person, question))

    async def _asked(self, done: Done, person: Person, question: Answer) -> None:
        body = message(pieces(spelled(question.text, self._slash))[0])
        body["blocks"] += blocks(question.choices)
        place, client = done.place, self._web.client
        body |= {"channel": place.channel, "thread_ts": place.thread or None}
        try:
            if place.kind == Kind.DM:
                await self._web.call(client.chat_postMessage, patient=False, repeatable=False, **body)
            else:
                user = _native(person.id)
                await self._web.call(client.chat_postEphemeral, patient=False, repeatable=False, user=user, **body)
        except LimenError as error:
            self._work.complain(f"somebody there could not be asked. {error}", place.channel)

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


def _native(person: str) -> str:
    """Slack's id of somebody."""
    return person.rsplit(":", 1)[-1]
