"""One message of ours: said once, brought up to date, taken back. Each carries the reply and the part that it is."""

import logging
from typing import Any

from adapters.slack.recent import Recent
from adapters.slack.text import Json, message, plain
from adapters.slack.web import Call, Refused, Unsure, Web
from adapters.slack.work import Work
from core.delivery import Sending
from core.events import Place

log = logging.getLogger("limen.slack")

METADATA = "limen_reply"
LOOK_BACK = 200  # messages, for one that may have been sent
_FORMAT = {"invalid_arguments", "invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long"}
_CLOSED = {"channel_not_found", "is_archived", "not_in_channel"}
_FIXED = {"cant_update_message", "edit_window_closed"}


class Messages:
    """Of one bot account. `edits`: does the workspace allow them? `deleted`: (channel, ts) of what we took back."""

    def __init__(self, web: Web, work: Work) -> None:
        self._web, self._work = web, work
        self.edits = True
        self.deleted: Recent[tuple[str, str], bool] = Recent(1_000)

    async def show(self, part: int, piece: str, sending: Sending, patient: bool) -> None:
        """A part of a reply says this now, wherever it said something else before."""
        place, ids = place_of(sending), sending.ids.get(part, ())
        if ids and await self._edit(place, ids[-1], piece, patient):
            return
        in_doubt = await sending.begin(part) == "again"
        ts, was_there = await self._post(part, piece, sending, in_doubt, patient)
        await sending.sent(part, (*ids, ts))
        if was_there:  # and says what it said then
            await self.show(part, piece, sending, patient)
        elif ids:
            await self.delete(place, ids[-1])

    async def delete(self, place: Place, ts: str) -> None:
        """Take one back."""
        self.deleted.keep((place.channel, ts), True)
        try:
            await self._web.call(self._web.client.chat_delete, channel=place.channel, ts=ts)
        except Refused as error:
            log.info("a message in %s could not be taken back: %s", place, error)

    async def _edit(self, place: Place, ts: str, piece: str, patient: bool) -> bool:
        """False if it cannot be edited, and had better be said anew."""
        try:
            await self._send(self._web.client.chat_update, piece, patient, channel=place.channel, ts=ts)
        except Refused as error:
            if error.error == "message_not_found":  # somebody deleted it: so be it
                return True
            if error.error not in _FIXED:
                raise
            self.edits = False
            self._work.complain(f"messages cannot be edited ({error.error}): replies are shown when they are whole")
            if not patient:
                raise
            return False
        return True

    async def _post(self, part: int, piece: str, sending: Sending, in_doubt: bool, patient: bool) -> tuple[str, bool]:
        """Say it, once: where we do not know whether we did, we look first. Its `ts`, and whether it was there."""
        place, wait = place_of(sending), 0.5
        metadata = {"event_type": METADATA, "event_payload": _mark(part, sending)}
        while True:
            if in_doubt and (ts := await self._find(part, sending, patient)):
                return ts, True
            await self._work.pause(0)  # once we are told to stop it is another's, who would say it too
            try:
                told = await self._send(
                    self._web.client.chat_postMessage, piece, patient, repeatable=False, channel=place.channel,
                    thread_ts=place.thread or None, metadata=metadata, unfurl_links=False, unfurl_media=False,
                )  # fmt: skip
                return str(told["ts"]), False
            except Unsure:
                if not patient:
                    raise
                in_doubt = True
                await self._work.pause(wait)
                wait = min(2 * wait, 30.0)

    async def _find(self, part: int, sending: Sending, patient: bool) -> str:
        """The `ts` of this part, if it was sent without our knowing; else empty."""
        place, client = place_of(sending), self._web.client
        about: Json = {"channel": place.channel, "limit": LOOK_BACK, "include_all_metadata": True}
        if sending.answers:
            about["oldest"] = sending.answers[-1]
        read: Call = client.conversations_history
        if place.thread:
            read, about["ts"] = client.conversations_replies, place.thread
        try:
            told = await self._web.call(read, patient, **about)
        except Refused as error:
            if error.error in _CLOSED:  # then nothing was sent, or nobody can see it
                return ""
            self._work.complain(f"after a crash a message may come twice, for what was sent cannot be read. {error}")
            return ""
        known = sending.ids.get(part, ())
        found = [str(one["ts"]) for one in told.get("messages") or () if _marked(one) == _mark(part, sending)]
        return next((ts for ts in found if ts not in known), "")

    async def _send(self, method: Call, piece: str, patient: bool, repeatable: bool = True, **where: Any) -> Json:
        """A piece with its looks; without them, should Slack not like them."""
        try:
            return await self._web.call(method, patient, repeatable, **where, **message(piece))
        except Refused as error:
            if error.error not in _FORMAT:
                raise
            log.warning("Slack refuses the looks of a message (%s): it goes out plain", error.error)
            return await self._web.call(method, patient, repeatable, **where, **plain(piece))


def place_of(sending: Sending) -> Place:
    """Where a reply goes."""
    assert sending.place is not None
    return sending.place


def _mark(part: int, sending: Sending) -> Json:
    return {"reply": sending.reply_id, "part": part}


def _marked(said: Json) -> object:
    return (said.get("metadata") or {}).get("event_payload")
