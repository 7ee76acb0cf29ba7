"""Slack as a platform, for one bot account in one workspace.

Events come through a door (`doors.py`) and leave by `listen`; replies grow by edits of the message that their first
words were sent as. A message's thread matters to its conversation and not to its identity: Slack knows messages by
channel and `ts`, and tells of reactions so. Sent messages are therefore recorded under their channel.
"""

import asyncio
import json
import logging
import time
from collections.abc import AsyncGenerator, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

import msgspec

from adapters.base import Limits
from adapters.slack import doors
from adapters.slack.acquaintances import Acquaintances, Recent
from adapters.slack.events import Us, to_event
from adapters.slack.names import spellings
from adapters.slack.text import LENGTH, Json, message, pieces, plain, spelled
from adapters.slack.web import BASE_URL, Busy, Refused, Unsure, Web
from core.commands import Answer
from core.delivery import Sending
from core.engine import Act, Outcome
from core.errors import LimenError
from core.events import AnyEvent, Command, Deletion, Joined, Message, Place
from core.jobs import Done, Failed

log = logging.getLogger("limen.slack")

T = TypeVar("T")
METADATA = "limen_reply"
GRACE = 5.0  # seconds that a message which is being sent may take, once we are told to stop
_FORMAT = {"invalid_blocks", "invalid_blocks_format", "invalid_arguments", "msg_blocks_too_long", "msg_too_long"}
_FIXED = {"cant_update_message", "edit_window_closed"}
SLASH = "/limen"


class Listening(msgspec.Struct, frozen=True, kw_only=True):
    """How Slack reaches us: by Socket Mode with an app token, else by HTTP, whose calls are checked with the secret."""

    app_token: str = ""
    signing_secret: str = ""
    host: str = "127.0.0.1"
    port: int = 3000
    ping: float = 10.0


class Growing:
    """A reply while it is shown: its newest text, what stands in each part, and the edit that is on its way."""

    def __init__(self) -> None:
        self.text = ""
        self.shown: dict[int, str] = {}
        self.edit: asyncio.Task[None] | None = None


class Slack:
    """The adapter. `every`: seconds between edits of growing messages; more where Slack does not bear that."""

    limits = Limits(length=LENGTH, unit="characters", edits=True, reactions=True, rate=1.0)

    def __init__(self, us: Us, bot_token: str, listening: Listening, base_url: str = "", every: float = 1.2) -> None:
        self.us, self.account = us, us.account
        self._web = Web(bot_token, base_url, every)
        self._base_url, self._listening = base_url or BASE_URL, listening
        self._known = Acquaintances(us, self._web)
        self._heard: asyncio.Queue[Json | None] = asyncio.Queue()
        self._told: Recent[str, bool] = Recent()
        self._deleted: Recent[tuple[str, str], bool] = Recent(1_000)
        self._urls: Recent[str, str] = Recent(1_000)  # where the answer to a slash command goes
        self._growing: dict[str, Growing] = {}
        self._edits, self._status = True, True
        self._complained: Recent[str, bool] = Recent(1_000)
        self._tasks: set[asyncio.Task[Any]] = set()

    @classmethod
    async def sign_in(cls, bot_token: str, listening: Listening, base_url: str = "", every: float = 1.2) -> "Slack":
        """The adapter of whoever the token belongs to. Raises ConfigError if Slack does not accept it."""
        web = Web(bot_token, base_url)
        try:
            return cls(await web.who(), bot_token, listening, base_url, every)
        finally:
            await web.close()

    # What happens there.

    async def listen(self) -> AsyncGenerator[AnyEvent, None]:
        """Events in the order that Slack told them, each once, until `close`; what was acknowledged is told first."""
        async with self._door():
            while (body := await self._heard.get()) is not None:
                if event := await self._event(body):
                    yield event
        while not self._heard.empty():
            if (body := self._heard.get_nowait()) and (event := await self._event(body)):
                yield event

    def close(self) -> None:
        """Hear no more: `listen` ends when it has told what came before."""
        self._heard.put_nowait(None)

    async def leave(self) -> None:
        """After the last reply: finish what is being sent, and let go of the connections."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=GRACE)
        await self._web.close()

    def _door(self) -> AbstractAsyncContextManager[None]:
        given = self._listening
        app = doors.bolt(self.us, self._base_url, self._heard.put_nowait, given.signing_secret)
        if given.app_token:
            return doors.socket(app, self._web, given.app_token, given.ping)
        return doors.http(app, given.host, given.port)

    async def _event(self, body: Json) -> AnyEvent | None:
        """What a body says, if it says it for the first time and did not come from us."""
        await self._known.meet(body)
        event = to_event(body, self._known.view, time.time())
        if event is None or self._is_our_doing(event):
            return None
        if not self._told.keep(f"{type(event).__name__} {event.place} {event.id}", True):
            return None
        if isinstance(event, Command) and (url := body.get("response_url")):
            self._urls.keep(event.id, url)
        return event

    def _is_our_doing(self, event: AnyEvent) -> bool:
        """Slack tells us what we do ourselves. Who deletes a message it does not tell."""
        if isinstance(event, Deletion):
            return (event.place.channel, event.message_id) in self._deleted
        return event.author.id == self.account and not isinstance(event, Joined)

    # What the engine made of it.

    async def told(self, event: AnyEvent, outcome: Outcome) -> None:
        """We take part from now on, and are at it; or there is a note."""
        if not isinstance(event, Message):
            return
        if outcome.act in (Act.QUEUED, Act.MERGED):
            place, user = event.place, _native(event.author.id)
            self._known.last.keep((place.channel, user), place.thread)
            if place.thread:
                self._known.threads.keep((place.channel, place.thread), True)
            self._beside(self._type(place))
        elif outcome.note and outcome.act in (Act.FULL, Act.REFUSED):
            await self._whisper(event, outcome.note)

    async def answered(self, command: Command, answer: Answer) -> None:
        """To the one who asked, and to nobody else."""
        if answer.data is not None:
            await self._hand(command, answer.data)
        elif answer.text:
            await self._whisper(command, spelled(answer.text, SLASH))

    async def refused(self, event: AnyEvent, error: LimenError) -> None:
        """Why it was not taken."""
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
            self._complain("", f"Nobody sees that a reply is coming: {error.error}")
        except LimenError as error:
            log.debug("nobody saw that a reply is coming: %s", error)  # the next one may be seen again

    async def _whisper(self, event: AnyEvent, text: str) -> None:
        """Something that only this person sees. Should Slack be busy, no other event waits for it."""
        for piece in pieces(text):
            body = message(piece)
            try:
                await self._whispered(event, body, patient=False)
            except Busy:
                self._beside(self._whispered_late(event, body))
            except (Refused, Unsure) as error:
                self._unheard(event, error)

    async def _whispered_late(self, event: AnyEvent, body: Json) -> None:
        try:
            await self._whispered(event, body, patient=True)
        except LimenError as error:
            self._unheard(event, error)

    async def _whispered(self, event: AnyEvent, body: Json, patient: bool) -> None:
        """To the address that came with a slash command, which is good for half an hour; else as a message."""
        if (url := self._urls.get(event.id)) and await self._web.respond(url, body):
            return
        place = event.place
        await self._web.call(
            self._web.client.chat_postEphemeral, patient, repeatable=False, channel=place.channel,
            user=_native(event.author.id), thread_ts=place.thread or None, **body,
        )  # fmt: skip

    def _unheard(self, event: AnyEvent, error: LimenError) -> None:
        self._complain(event.place.channel, f"somebody there could not be told something. {error}")

    async def _hand(self, command: Command, data: Json) -> None:
        """A file, in a DM."""
        client = self._web.client
        try:
            opened = await self._web.call(client.conversations_open, users=_native(command.author.id))
            await self._web.call(
                client.files_upload_v2, repeatable=False, channel=opened["channel"]["id"],
                filename="limen-export.json", content=json.dumps(data, ensure_ascii=False, indent=1),
                initial_comment="All that is kept of you.",
            )  # fmt: skip
        except (Refused, Unsure) as error:
            await self._whisper(command, f"The file could not be sent. {error} {error.hint}".rstrip())
        else:
            await self._whisper(command, "All that is kept of you is in a file that I sent to you alone.")

    # Replies.

    async def draft(self, text: str, attempt: int, sending: Sending) -> None:
        """Its first words are sent at once; from then on it is edited beside the others, as often as Slack bears."""
        growing = self._growing.setdefault(sending.reply_id, Growing())
        growing.text = text
        pace, now = self._web.pace, time.monotonic()
        if not self._edits or (growing.edit and not growing.edit.done()) or pace.barred(now):
            return
        if not sending.ids:
            await self._draw(growing, sending)
        elif pace.free(now):
            growing.edit = self._beside(self._draw(growing, sending))

    async def final(self, done: Done, sending: Sending) -> None:
        """Whatever was shown of it, in the end this stands there."""
        growing = await self._grown(done.reply_id)
        try:
            if done.act == "react":
                await self._react(done)
            says = pieces(done.text) if done.act == "say" else []
            await self._show(says, growing, sending)
            await self._take_back(len(says), done.place, sending)
        except Refused as error:
            self._lost(done.place, error)

    async def failed(self, failed: Failed, sending: Sending) -> None:
        """A reply that was stopped stays as it was; for one that failed there is the reason."""
        growing = await self._grown(failed.reply_id)
        if failed.cancelled:
            return
        try:
            says = pieces(f"There is no reply: {failed.reason}")
            await self._show(says, growing, sending)
            await self._take_back(len(says), failed.place, sending)
        except Refused as error:
            self._lost(failed.place, error)

    async def _grown(self, reply_id: str) -> Growing:
        """It grows no more."""
        growing = self._growing.pop(reply_id, None) or Growing()
        if growing.edit:
            await asyncio.wait([growing.edit])
        return growing

    async def _draw(self, growing: Growing, sending: Sending) -> None:
        """What a draft cannot do now the final text will: nothing is tried twice, and nothing said."""
        try:
            await self._show(pieces(growing.text), growing, sending, patient=False)
        except LimenError as error:
            log.debug("a draft was not shown: %s", error)

    async def _show(self, says: Sequence[str], growing: Growing, sending: Sending, patient: bool = True) -> None:
        for part, piece in enumerate(says):
            if growing.shown.get(part) != piece:
                await self._unbroken(self._part(part, piece, sending, patient))
                growing.shown[part] = piece

    async def _part(self, part: int, piece: str, sending: Sending, patient: bool) -> None:
        """One message of a reply says this now."""
        place, ids = _place(sending), sending.ids.get(part, ())
        if ids and await self._edit(place, ids[-1], piece, patient):
            return
        again = await sending.begin(part) == "again"
        ts, is_there = await self._post(sending, part, piece, again, patient)
        await _record(sending, part, (*ids, ts))
        if is_there:  # and says what it said then
            await self._part(part, piece, sending, patient)
        elif ids:
            await self._delete(place, ids[-1])

    async def _edit(self, place: Place, ts: str, piece: str, patient: bool) -> bool:
        """False if it cannot be edited, and had better be said anew."""
        try:
            await self._send(self._web.client.chat_update, piece, patient, channel=place.channel, ts=ts)
        except Refused as error:
            if error.error == "message_not_found":  # somebody deleted it: so be it
                return True
            if error.error not in _FIXED:
                raise
            self._edits = False
            self._complain(
                "", f"Messages cannot be edited here ({error.error}): replies are shown when they are whole."
            )
            if not patient:
                raise
            return False
        return True

    async def _post(self, sending: Sending, part: int, piece: str, again: bool, patient: bool) -> tuple[str, bool]:
        """Say it, once: where we do not know whether we did, Slack is asked first. Its `ts`, and whether we had."""
        place, wait = _place(sending), 0.5
        metadata = {"event_type": METADATA, "event_payload": {"reply": sending.reply_id, "part": part}}
        while True:
            if again and (ts := await self._said(sending, part, patient)):
                return ts, True
            try:
                told = await self._send(
                    self._web.client.chat_postMessage, piece, patient, repeatable=False, channel=place.channel,
                    thread_ts=place.thread or None, metadata=metadata, unfurl_links=False, unfurl_media=False,
                )  # fmt: skip
                return str(told["ts"]), False
            except Unsure:
                if not patient:
                    raise
                again = True
                await asyncio.sleep(wait)
                wait = min(2 * wait, 30.0)

    async def _said(self, sending: Sending, part: int, patient: bool) -> str:
        """The `ts` of this part, if it is there: each message carries the reply that it is of."""
        place, client = _place(sending), self._web.client
        about: Json = {"channel": place.channel, "limit": 200, "include_all_metadata": True}
        if sending.answers:
            about["oldest"] = sending.answers[-1]
        read = client.conversations_replies if place.thread else client.conversations_history
        if place.thread:
            about["ts"] = place.thread
        try:
            told = await self._web.call(read, patient, **about)
        except Refused as error:
            self._complain("", f"A message may come twice after a crash, for what was sent cannot be read: {error}")
            return ""
        mine, known = {"reply": sending.reply_id, "part": part}, sending.ids.get(part, ())
        found = [one for one in told.get("messages") or () if (one.get("metadata") or {}).get("event_payload") == mine]
        return next((str(one["ts"]) for one in found if one["ts"] not in known), "")

    async def _send(self, method: Any, piece: str, patient: bool, repeatable: bool = True, **where: Any) -> Json:
        """A piece with its looks; without, should Slack not like them."""
        try:
            return await self._web.call(method, patient, repeatable, **where, **message(piece))
        except Refused as error:
            if error.error not in _FORMAT:
                raise
            log.warning("Slack refuses the looks of a message (%s): it goes out plain", error.error)
            return await self._web.call(method, patient, repeatable, **where, **plain(piece))

    async def _react(self, done: Done) -> None:
        """An emoji on what it answers. Slack has its own names; whoever knows none of them says it."""
        for name in spellings(done.emoji) if done.answers else ():
            try:
                await self._web.call(
                    self._web.client.reactions_add, channel=done.place.channel, name=name, timestamp=done.answers[-1]
                )
            except Refused as error:
                if error.error == "invalid_name":
                    continue
                if error.error != "already_reacted":
                    raise
            return

    async def _take_back(self, keep: int, place: Place, sending: Sending) -> None:
        """Messages beyond the first `keep` parts were of an attempt that was given up."""
        for part in sorted(sending.ids, reverse=True):
            if part >= keep:
                for ts in sending.ids[part]:
                    await self._delete(place, ts)

    async def _delete(self, place: Place, ts: str) -> None:
        self._deleted.keep((place.channel, ts), True)
        try:
            await self._web.call(self._web.client.chat_delete, channel=place.channel, ts=ts)
        except Refused as error:
            log.info("a message in %s could not be taken back: %s", place, error)

    # Around all of it.

    async def _unbroken(self, work: Coroutine[Any, Any, T]) -> T:
        """What was begun is finished and recorded, even if we are told to stop in the middle."""
        task = self._beside(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            end = time.monotonic() + GRACE
            while not task.done() and (left := end - time.monotonic()) > 0:
                try:
                    await asyncio.wait([task], timeout=left)
                except asyncio.CancelledError:
                    continue  # asked again, as those do who want to be sure
            raise

    def _beside(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _lost(self, place: Place, error: Refused) -> None:
        """The channel is gone, or we may not speak there any more. The reply is kept; nobody can be told here."""
        self._complain(place.channel, f"a reply could not be shown. {error}. {error.hint}".rstrip(". "))

    def _complain(self, channel: str, what: str) -> None:
        """Once for each place."""
        text = f"{self.account} in {channel}: {what}" if channel else f"{self.account}: {what}"
        if self._complained.keep(text, True):
            log.warning("%s", text)


def _native(person: str) -> str:
    """Slack's id of somebody."""
    return person.rsplit(":", 1)[-1]


def _place(sending: Sending) -> Place:
    assert sending.place is not None
    return sending.place


async def _record(sending: Sending, part: int, ids: tuple[str, ...]) -> None:
    """Under the channel: reactions do not tell the thread."""
    place = _place(sending)
    sending.place = msgspec.structs.replace(place, thread="")
    try:
        await sending.sent(part, ids)
    finally:
        sending.place = place
