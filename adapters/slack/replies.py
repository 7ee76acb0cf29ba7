"""Replies on their way into Slack: they grow by edits, and in the end say what they should in as many messages."""

import asyncio
import logging
import time
from collections.abc import Sequence

from adapters.slack.messages import Messages, place_of
from adapters.slack.names import spellings
from adapters.slack.text import Json, message, pieces
from adapters.slack.web import Busy, Refused, Web
from adapters.slack.work import Work
from core.delivery import Sending
from core.errors import LimenError
from core.events import Place
from core.jobs import Done, Failed

log = logging.getLogger("limen.slack")


class Growing:
    """A reply while it is shown: its newest text, what stands in each part, the edit that is on its way, and until
    when Slack wants to hear nothing more of it."""

    def __init__(self) -> None:
        self.text = ""
        self.shown: dict[int, str] = {}
        self.edit: asyncio.Task[None] | None = None
        self.until = 0.0


class Replies:
    """Of one bot account."""

    def __init__(self, web: Web, work: Work) -> None:
        self._web, self._work = web, work
        self.messages = Messages(web, work)
        self._growing: dict[str, Growing] = {}

    async def draft(self, text: str, sending: Sending) -> None:
        """Its first words are sent at once; from then on it is edited beside the others, as often as Slack bears."""
        growing = self._growing.setdefault(sending.reply_id, Growing())
        growing.text = text
        pace, now = self._web.pace, time.monotonic()
        if not self.messages.edits or (growing.edit and not growing.edit.done()) or pace.barred(now):
            return
        if not sending.ids:
            await self._draw(growing, sending)
        elif pace.free(now):
            growing.edit = self._work.beside(self._draw(growing, sending))

    async def final(self, done: Done, sending: Sending) -> None:
        """Whatever was shown of it, in the end this stands there: text, an emoji on what it answers, or nothing."""
        says = pieces(done.shown)
        if done.act == "react" and not await self._react(done):
            says = pieces(done.emoji)
        await self._end(says, done.reply_id, sending)
        if done.act == "say" and done.emoji:
            self._work.beside(self._feel(done))

    async def failed(self, failed: Failed, sending: Sending) -> None:
        """A reply that was stopped stays as it was; for one that failed there is the reason."""
        if failed.cancelled:
            await self._grown(failed.reply_id)
        else:
            await self._end(pieces(f"There is no reply: {failed.reason}"), failed.reply_id, sending)

    async def _end(self, says: Sequence[str], reply_id: str, sending: Sending) -> None:
        """It says this for good. Messages beyond that were of an attempt that was given up."""
        growing, place = await self._grown(reply_id), place_of(sending)
        try:
            await self._work.pause(max(0.0, growing.until - time.monotonic()))
            await self._show(says, growing, sending)
            for part in sorted(sending.ids, reverse=True):
                for ts in sending.ids[part] if part >= len(says) else ():
                    await self.messages.delete(place, ts)
        except Refused as error:
            self._lost(place, error)

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
        except Busy as busy:
            growing.until = time.monotonic() + busy.wait
        except LimenError as error:
            log.debug("a draft was not shown: %s", error)

    async def _show(self, says: Sequence[str], growing: Growing, sending: Sending, patient: bool = True) -> None:
        for part, piece in enumerate(says):
            if growing.shown.get(part) != piece:
                await self._work.unbroken(self.messages.show(part, piece, sending, patient))
                growing.shown[part] = piece

    async def buttoned(self, done: Done, sending: Sending, below: list[Json]) -> None:
        """Buttons below the last message of a reply. Where they cannot be, nothing is missing."""
        last = max(sending.ids)
        body = message(pieces(done.shown)[last])
        body["blocks"] += below
        try:
            await self._web.call(
                self._web.client.chat_update, channel=done.place.channel, ts=sending.ids[last][-1], **body
            )
        except (LimenError, IndexError) as error:
            log.debug("no buttons below a reply: %s", error)

    async def _feel(self, done: Done) -> None:
        """A feeling beside what was said: where it cannot be shown, nothing is missing."""
        try:
            await self._react(done)
        except LimenError as error:
            log.debug("a feeling was not shown: %s", error)

    async def _react(self, done: Done) -> bool:
        """Slack has its own names for emoji. False if it knows none of them, or there is nothing to react to."""
        for name in spellings(done.emoji) if done.answers else ():
            try:
                await self._web.call(
                    self._web.client.reactions_add, channel=done.place.channel, name=name, timestamp=done.answers[-1]
                )
                return True
            except Refused as error:
                if error.error == "invalid_name":
                    continue
                if error.error != "already_reacted":
                    self._lost(done.place, error)
                return True
        return False

    def _lost(self, place: Place, error: Refused) -> None:
        """The channel is gone, or we may not speak there any more. The reply is kept; nobody can be told here."""
        self._work.complain(f"a reply could not be shown. {error}. {error.hint}".rstrip(". "), place.channel)
