"""Replies on their way out: from the stream of a bot account to its platform, each once, each by one carrier.

The stream holds only what is not delivered yet. One process at a time carries it (a lease); the next one starts from
the beginning, so a carrier may die at any moment. Before a part is sent it is marked, afterwards its platform ids
are recorded; what a mark without ids means is the platform's business (`Sending.begin`).
"""

import asyncio
import logging
import secrets
from contextlib import suppress
from typing import Protocol

from core.errors import StoreError, StoreUnreachable
from core.events import Place, unquote
from core.jobs import Chunk, Done, Failed, Result
from core.store import keys
from core.store.client import Client
from core.store.ledger import Ledger, message_key
from core.store.queue import decode_result

log = logging.getLogger("limen.delivery")

LEASE_MS = 10_000
BEAT = 3.0


class Sending:
    """The platform messages of one reply: mark a part before sending it, record its ids after. Survives its carrier."""

    def __init__(self, ledger: Ledger, account: str, reply_id: str, by: str) -> None:
        self._ledger, self._account, self._by = ledger, account, by
        self.reply_id = reply_id
        self.place: Place | None = None
        self.answers: tuple[str, ...] = ()
        self.ids: dict[int, tuple[str, ...]] = {}

    async def recall(self) -> None:
        """What an earlier carrier sent of it."""
        parts = await self._ledger.parts(self.reply_id)
        self.ids = {part: tuple(unquote(key.rsplit("|", 1)[1]) for key in ids) for part, ids in parts.items()}

    async def begin(self, part: int) -> str:
        """About to send: `mine`; `again` (an earlier carrier was about to, and died: did it get through?); `sent`."""
        return await self._ledger.begin(self.reply_id, part, self._by)

    async def sent(self, part: int, ids: tuple[str, ...]) -> None:
        """It was sent as these platform messages: reactions to them are reactions to this reply."""
        assert self.place is not None
        self.ids[part] = ids
        keyed = [message_key(self._account, self.place, message) for message in ids]
        await self._ledger.sent(self.reply_id, part, keyed)


class Outlet(Protocol):
    """What a platform must be able to do with replies. It marks and records every part it sends with `sending`."""

    async def draft(self, text: str, attempt: int, sending: Sending) -> None:
        """Show a reply that grows: `text` from its first character. `attempt` is higher when it began anew."""

    async def final(self, done: Done, sending: Sending) -> None:
        """Show the whole reply, whatever was shown of it before."""

    async def failed(self, failed: Failed, sending: Sending) -> None:
        """Say that there will be no reply, or that it was stopped."""


class _Reply:
    """A reply in our hands: its text so far, and its entries in the stream."""

    def __init__(self, sending: Sending) -> None:
        self.text = ""
        self.attempt = 0
        self.entries: list[str] = []
        self.sending = sending

    def grow(self, chunk: Chunk) -> bool:
        """Take a chunk. False if it is of an attempt that was given up, or not the next of this one."""
        if chunk.fence < self.attempt or chunk.offset > (0 if chunk.fence > self.attempt else len(self.text)):
            return False
        self.attempt = chunk.fence
        self.text = self.text[: chunk.offset] + chunk.text
        if chunk.place:
            self.sending.place, self.sending.answers = chunk.place, chunk.answers
        return True


class Delivery:
    """Carries the replies of one stream (a bot account, or a terminal's session) to an outlet."""

    def __init__(self, client: Client, ledger: Ledger, outlet: Outlet, account: str, replies: str = "") -> None:
        self._client, self._ledger, self._outlet, self._account = client, ledger, outlet, account
        self._stream = keys.REPLIES(replies or account)
        self._carrier = keys.CARRIER(replies or account)
        self._me = secrets.token_hex(8)
        self._open: dict[str, _Reply] = {}

    async def run(self) -> None:
        """Until cancelled. Waits out an absent Redis, and another carrier."""
        while True:
            try:
                if await self._lease():
                    await self._carry()
                else:
                    await asyncio.sleep(BEAT)
            except StoreUnreachable:
                await asyncio.sleep(0.2)
            except StoreError as error:  # Redis is full, say: what is not delivered stays in the stream
                log.error("replies of %s: %s", self._account, error)
                await asyncio.sleep(1.0)

    async def _lease(self) -> bool:
        """Take or keep the lease on the stream."""
        if not await self._client.do("SET", self._carrier, self._me, "NX", "PX", LEASE_MS):
            if await self._client.do("GET", self._carrier) != self._me.encode():
                return False
            await self._client.do("PEXPIRE", self._carrier, LEASE_MS)
        return True

    async def release(self) -> None:
        """Let the next carrier go on at once."""
        if await self._client.do("GET", self._carrier) == self._me.encode():
            await self._client.do("DEL", self._carrier)

    async def _carry(self) -> None:
        """Everything that is not delivered yet, from the oldest, for as long as the lease is ours."""
        self._open.clear()
        keep, after = asyncio.create_task(self._keep()), "0"
        try:
            while True:
                for entry, body in await self._client.read_stream(self._stream, after, BEAT):
                    if keep.done():
                        return
                    await self._take(entry, decode_result(body))
                    after = entry
                if keep.done():
                    return
        finally:
            keep.cancel()

    async def _keep(self) -> None:
        """Until the lease is lost. Beside the carrying, for a platform may take its time over a message."""
        with suppress(StoreError):
            while await self._lease():
                await asyncio.sleep(BEAT)

    async def _take(self, entry: str, result: Result) -> None:
        reply = self._open.get(result.reply_id) or await self._opened(result.reply_id)
        reply.entries.append(entry)
        if isinstance(result, Chunk):
            if reply.grow(result) and reply.sending.place:
                await self._outlet.draft(reply.text, reply.attempt, reply.sending)
            return
        reply.sending.place = result.place
        if isinstance(result, Done):
            reply.sending.answers = result.answers
            await self._outlet.final(result, reply.sending)
            await self._ledger.whole(result.reply_id)
        else:
            await self._outlet.failed(result, reply.sending)
        await self._client.do("XDEL", self._stream, *reply.entries)
        del self._open[result.reply_id]

    async def _opened(self, reply_id: str) -> _Reply:
        reply = self._open[reply_id] = _Reply(Sending(self._ledger, self._account, reply_id, self._me))
        await reply.sending.recall()
        return reply
