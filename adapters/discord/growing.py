"""A reply that grows in a channel: sent once, then edited, no faster than Discord likes; its last edit always lands.

Text is only noted; one task at a time brings the messages up to it. So a channel that is slow holds up nobody, and
text that came meanwhile is skipped. Every message is marked before it is sent, and recorded after.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from adapters.discord.api import Api, Refused, Unreachable, patiently
from adapters.discord.text import growing, pieces, plain
from core.delivery import Sending
from core.errors import StoreError
from core.events import Kind, Place

log = logging.getLogger("limen.discord")

PACE, SLOWEST = 1.2, 10.0  # seconds between two edits; Discord takes five in five seconds, from all of us in a channel
NOBODY: dict[str, Any] = {"parse": [], "replied_user": False}
_BAD_FORM = 400


def channel_of(place: Place) -> str:
    """Where messages for a place are sent: to Discord a thread is a channel."""
    return place.thread or place.channel


def nonce(reply_id: str, part: int) -> str:
    """The same for every try to send one part: Discord takes it once, and answers the second try with the first.

    It remembers for some minutes. Whoever comes later to a part whose fate is unknown says it a second time.
    """
    return hashlib.blake2s(f"{reply_id}:{part}".encode(), digest_size=12).hexdigest()


class Growing:
    """One reply, on its way to one channel. `taken` is told of each message before it is taken back; `complain` of why
    a reply cannot be shown in a place."""

    def __init__(
        self, api: Api, sending: Sending, taken: Callable[[str], None], complain: Callable[[Place, str], None]
    ) -> None:
        assert sending.place is not None
        self._taken, self._complain_of = taken, complain
        self._api, self._sending, self._place = api, sending, sending.place
        self._text, self._is_whole = "", False
        self._shown: dict[int, str] = {}
        self._posted: dict[int, str] = {}  # messages that are there, whether or not it could be recorded
        self._pace = PACE
        self._edited = -SLOWEST
        self._begun, self._hurry = asyncio.Event(), asyncio.Event()
        self._awaited = False
        self._error: Exception | None = None
        self._gone = ""  # why nothing more can be said there
        self._task: asyncio.Task[None] | None = None

    @property
    def task(self) -> asyncio.Task[None] | None:
        """The sending that is under way, if any."""
        return self._task if self._task and not self._task.done() else None

    @property
    def text(self) -> str:
        """What it was last to say."""
        return self._text

    def grow(self, text: str, sending: Sending) -> None:
        """This is the text now; it is shown as soon as may be."""
        self._text, self._sending = text, sending
        self._go()

    async def begun(self, seconds: float) -> None:
        """Until its first message is sent, but no longer than that; and only the first time."""
        if self.task is None or self._awaited:
            return
        self._awaited = True
        first = asyncio.create_task(self._begun.wait())
        await asyncio.wait({first, self.task}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        first.cancel()

    async def whole(self, text: str, sending: Sending) -> None:
        """Until all of it is shown. Raises StoreError if it could not be recorded: the carrier tries again."""
        self._is_whole, self._gone = True, ""  # what could not be said before may be said now
        self._hurry.set()
        self.grow(text, sending)
        while self.task:
            await asyncio.shield(self.task)
        if isinstance(self._error, StoreError):
            raise self._error

    def _go(self) -> None:
        if self.task is None and not self._gone:
            self._error = None
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            await self._bring_up()
        except StoreError as error:
            self._error = error
        except (Refused, Unreachable) as error:
            self._complain(str(error))
        except Exception as error:  # the edge of a task: one reply that goes wrong must not end all others
            log.debug("in %s", self._place, exc_info=True)
            self._complain(repr(error))

    def _complain(self, why: str) -> None:
        self._complain_of(self._place, why)
        self._gone = why

    async def _bring_up(self) -> None:
        """Until every message says what it should. What is whole goes at once; what still grows waits its turn."""
        while (stale := self._stale()) is not None:
            part, text = stale
            if part not in self._sending.ids:
                await self._send(part, text)
            elif self._hurry.is_set() or await self._turn():
                await self._edit(part, text)
        if self._is_whole:
            await self._shorten(len(self._wanted()))

    def _wanted(self) -> list[str]:
        return pieces(self._text) if self._is_whole else growing(self._text)

    def _stale(self) -> tuple[int, str] | None:
        """The first part that does not say what it should."""
        recorded = self._sending.ids
        wanted = enumerate(self._wanted())
        return next(((p, text) for p, text in wanted if p not in recorded or self._shown.get(p) != text), None)

    async def _turn(self) -> bool:
        """True if it is time for an edit. Else waits for that or for the end, and then the text is looked at again."""
        wait = self._edited + self._pace - asyncio.get_running_loop().time()
        if wait <= 0:
            return True
        with suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), wait)
        return False

    async def _send(self, part: int, text: str) -> None:
        state = await self._sending.begin(part)
        if state == "sent":
            await self._sending.recall()
            return
        if part not in self._posted:
            message = await self._said(text, lambda body, is_plain: self._post(part, body, is_plain))
            self._posted[part] = message["id"]
            if state == "mine" or message.get("content", "").strip() == text.strip():
                self._shown[part] = text  # else an earlier carrier got through with less: it is edited next
            self._edited = asyncio.get_running_loop().time()
        await self._sending.sent(part, (self._posted[part],))
        self._begun.set()

    async def _post(self, part: int, body: dict[str, Any], is_plain: bool) -> Any:
        body |= {"nonce": nonce(self._sending.reply_id, part), "enforce_nonce": True}
        if part == 0 and not is_plain and self._sending.answers and self._place.kind != Kind.DM:
            body["message_reference"] = {"message_id": self._sending.answers[-1], "fail_if_not_exists": False}
        return await self._api.call("POST", "/channels/{channel_id}/messages", body, channel_id=channel_of(self._place))

    async def _edit(self, part: int, text: str) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        (message,) = self._sending.ids[part][:1]
        await self._said(text, lambda body, _: self._patch(message, body))
        self._shown[part] = text
        self._edited = loop.time()
        took = self._edited - began  # what Discord makes us wait shows here: then ask less of it
        self._pace = min(2 * self._pace, SLOWEST) if took > self._pace else max(PACE, 0.8 * self._pace)

    async def _patch(self, message: str, body: dict[str, Any]) -> Any:
        path = "/channels/{channel_id}/messages/{message_id}"
        return await self._api.call("PATCH", path, body, channel_id=channel_of(self._place), message_id=message)

    async def _said(self, text: str, say: Callable[[dict[str, Any], bool], Awaitable[Any]]) -> Any:
        """As it is; and plain, without markup and as no reply to anything, where Discord would not take it so."""
        try:
            return await patiently(lambda: say({"content": text, "allowed_mentions": NOBODY}, False))
        except Refused as error:
            if error.status != _BAD_FORM:
                raise
            log.info("sent as plain text: %s", error)
            return await patiently(lambda: say({"content": plain(text), "allowed_mentions": NOBODY}, True))

    async def _shorten(self, count: int) -> None:
        """An attempt that was given up may have said more than the one that stands."""
        for part in sorted(set(self._sending.ids) - set(range(count))):
            for message in self._sending.ids[part]:
                with suppress(Refused):
                    await self._delete(message)
            self._shown.pop(part, None)

    async def _delete(self, message: str) -> None:
        self._taken(message)
        path, channel = "/channels/{channel_id}/messages/{message_id}", channel_of(self._place)
        await patiently(lambda: self._api.call("DELETE", path, channel_id=channel, message_id=message))
