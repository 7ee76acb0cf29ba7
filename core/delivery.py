"""Replies on their way out: from the stream of a bot account to its platform, each once, each by one carrier.

The stream holds only what is not delivered yet. One process at a time carries it (a lease); the next one starts from
the beginning, so a carrier may die at any moment. Before a part is sent it is marked, afterwards its platform ids
are recorded; what a mark without ids means is the platform's business (`Sending.begin`).

Each place has a lane of its own: its replies go out one after the other, beside those of other places. A chat that
the platform slows down holds up nobody else.
"""

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Protocol

from core.errors import Fault, StoreError, StoreUnreachable, UserError
from core.events import Place, unquote
from core.jobs import Chunk, Done, Failed, Result
from core.store import keys
from core.store.client import Client
from core.store.ledger import Ledger, message_key
from core.store.queue import decode_result

log = logging.getLogger("limen.delivery")

LEASE_MS = 10_000
BEAT = 3.0
AGAIN = 0.2  # seconds until an absent Redis is asked again
FAULT = 1.0  # seconds until a reply that met a fault of ours is tried again: each time twice as many
FAULTS = 6  # that a whole reply may meet, in about a minute; then it is given up, for others wait behind it
AT_ONCE = 64  # replies that the platform is told at the same time
AHEAD = 1_000  # whole replies that are held until their turn comes; when there are more, the stream is not read on


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
    """What a platform must be able to do with replies. It marks and records every part it sends with `sending`.

    It is asked for one thing at a time in each place, and in several places at once. Cancelled, it begins nothing more:
    the reply is another carrier's then.
    """

    async def draft(self, text: str, attempt: int, sending: Sending) -> None:
        """Show a reply that grows: `text` from its first character. `attempt` is higher when it began anew."""

    async def final(self, done: Done, sending: Sending) -> None:
        """Show the whole reply, whatever was shown of it before."""

    async def failed(self, failed: Failed, sending: Sending) -> None:
        """Say that there will be no reply, or that it was stopped."""


class _Reply:
    """A reply in our hands: its text so far, its end once that is known, and its entries in the stream."""

    def __init__(self, reply_id: str) -> None:
        self.id = reply_id
        self.text = ""
        self.attempt = 0
        self.place: Place | None = None
        self.answers: tuple[str, ...] = ()
        self.end: Done | Failed | None = None
        self.entries: list[str] = []
        self.sending: Sending | None = None
        self.waits = False
        self.faults = 0

    def take(self, entry: str, result: Result) -> bool:
        """What the stream says of it. True if there is something new to show, and a place to show it in."""
        self.entries.append(entry)
        if isinstance(result, Chunk):
            return self._grow(result) and self.place is not None
        self.end, self.place, self.faults = result, result.place, 0
        if isinstance(result, Done):
            self.answers = result.answers
        return True

    def _grow(self, chunk: Chunk) -> bool:
        """Take a chunk. False if it is of an attempt that was given up, or not the next of this one."""
        if chunk.fence < self.attempt or chunk.offset > (0 if chunk.fence > self.attempt else len(self.text)):
            return False
        self.attempt = chunk.fence
        self.text = self.text[: chunk.offset] + chunk.text
        if chunk.place:
            self.place, self.answers = chunk.place, chunk.answers
        return True


class Delivery:
    """Carries the replies of one stream (a bot account, or a terminal's session) to an outlet."""

    def __init__(self, client: Client, ledger: Ledger, outlet: Outlet, account: str, replies: str = "") -> None:
        self._client, self._ledger, self._outlet, self._account = client, ledger, outlet, account
        self._stream = keys.REPLIES(replies or account)
        self._carrier = keys.CARRIER(replies or account)
        self._me = secrets.token_hex(8)

    async def run(self) -> None:
        """Until cancelled. Waits out an absent Redis and another carrier. Raises UserError: people must mend that."""
        while True:
            try:
                if await self._lease():
                    await self._carry()
                else:
                    await asyncio.sleep(BEAT)
            except StoreError as error:
                await asyncio.sleep(self._pause(error))

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
        lanes = _Lanes(self._show)
        tasks = {asyncio.create_task(self._keep()), asyncio.create_task(self._read(lanes)), lanes.trouble}
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            await _broken_off({*tasks, *lanes.tasks})

    async def _keep(self) -> None:
        """Until the lease is lost, or must have run out while Redis was away."""
        loop = asyncio.get_running_loop()
        end = loop.time() + LEASE_MS / 1000
        while True:
            asked = loop.time()
            try:
                async with asyncio.timeout(max(end - asked, BEAT)):
                    if not await self._lease():
                        return
                end = asked + LEASE_MS / 1000
                await asyncio.sleep(BEAT)
            except (StoreError, TimeoutError):
                if loop.time() > end:
                    return
                await asyncio.sleep(AGAIN)

    async def _read(self, lanes: "_Lanes") -> None:
        """The stream, from its beginning on, into the lanes."""
        after = "0"
        while True:
            try:
                entries = await self._client.read_stream(self._stream, after, BEAT)
            except StoreError as error:
                await asyncio.sleep(self._pause(error))
                continue
            for entry, body in entries:
                await lanes.take(entry, decode_result(body))
                after = entry

    async def _show(self, reply: _Reply, end: Done | Failed | None) -> float:
        """Let the platform show a reply: as far as it has grown, or its end. Seconds until that must be tried again.

        Only what people must mend (a token that is no good, say) is raised: it is the same for every reply.
        """
        try:
            if end is None:
                await self._outlet.draft(reply.text, reply.attempt, await self._sending(reply))
            else:
                await self._finish(reply, end)
            return 0.0
        except StoreError as error:
            again = self._pause(error)
        except UserError:
            raise
        except Exception:  # a fault of ours in one reply must not cost the others theirs
            again = self._fault(reply)
        reply.sending = None  # what of it was recorded, only Redis knows
        return again if end else min(again, FAULT)

    def _fault(self, reply: _Reply) -> float:
        """Where a fault is caught: said once. What is wrong may pass, so it is tried again; seconds until then."""
        level = logging.DEBUG if reply.faults else logging.ERROR
        log.log(level, "%s: a fault in limen keeps back the reply %s", self._account, reply.id, exc_info=True)
        reply.faults += 1
        return FAULT * 2.0 ** (min(reply.faults, FAULTS) - 1)

    async def _finish(self, reply: _Reply, end: Done | Failed) -> None:
        """Show the end of a reply, and only then strike it off the stream."""
        if not await self._client.do("XRANGE", self._stream, reply.entries[-1], reply.entries[-1]):
            return  # somebody has been forgotten since we read it
        if reply.faults >= FAULTS:
            await self._give_up(reply, end)
        elif isinstance(end, Done):
            await self._outlet.final(end, await self._sending(reply))
            await self._ledger.whole(end.reply_id)
        else:
            await self._outlet.failed(end, await self._sending(reply))
        await self._client.do("XDEL", self._stream, *reply.entries)

    async def _give_up(self, reply: _Reply, end: Done | Failed) -> None:
        """Tell its place that it will not come; should that not work either, only the log has it."""
        failed = Failed(
            job=end.job, reply_id=end.reply_id, conversation=end.conversation, place=end.place, reason=str(Fault())
        )
        try:
            await self._outlet.failed(failed, await self._sending(reply))
        except (StoreError, UserError):
            raise
        except Exception:
            log.exception("%s: nor can it be said that there is no reply %s", self._account, reply.id)
        shows = f"; `limen feedback export - | grep {reply.id}` shows it" if isinstance(end, Done) else ""
        log.error("%s: the reply %s cannot be shown and is given up%s", self._account, reply.id, shows)

    async def _sending(self, reply: _Reply) -> Sending:
        """The sending of a reply; taken up from what is on record if it is not in our hands yet."""
        sending = reply.sending
        if sending is None:
            sending = Sending(self._ledger, self._account, reply.id, self._me)
            await sending.recall()
            reply.sending = sending
        sending.place, sending.answers = reply.place, reply.answers
        return sending

    def _pause(self, error: StoreError) -> float:
        """Seconds before the next try. An absent Redis is waited for without a word: others look after it."""
        if isinstance(error, StoreUnreachable):
            return AGAIN
        log.error("replies of %s: %s", self._account, error)  # Redis is full, say: the stream keeps what is in it
        return 5 * AGAIN


class _Lanes:
    """Replies on their way: a lane for each place, side by side. `trouble` is the first error that ended a lane."""

    def __init__(self, show: Callable[[_Reply, Done | Failed | None], Awaitable[float]]) -> None:
        self._show = show
        self._open: dict[str, _Reply] = {}
        self._lanes: dict[Place, deque[_Reply]] = {}
        self._hands = asyncio.Semaphore(AT_ONCE)
        self._room = asyncio.Semaphore(AHEAD)
        self.tasks: set[asyncio.Task[None]] = set()
        self.trouble: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def take(self, entry: str, result: Result) -> None:
        """An entry of the stream. Waits for as long as there is no room for another whole reply."""
        reply = self._open.get(result.reply_id)
        if reply is None:
            reply = self._open[result.reply_id] = _Reply(result.reply_id)
        if not isinstance(result, Chunk) and reply.end is None:
            await self._room.acquire()
        if reply.take(entry, result) and not reply.waits:
            self._queue(reply)

    def _queue(self, reply: _Reply) -> None:
        """It waits for its turn; what it grows by meanwhile is shown with it."""
        assert reply.place is not None
        reply.waits = True
        if reply.place in self._lanes:
            self._lanes[reply.place].append(reply)
            return
        self._lanes[reply.place] = deque([reply])
        task = asyncio.create_task(self._go(reply.place))
        self.tasks.add(task)
        task.add_done_callback(self._gone)

    async def _go(self, place: Place) -> None:
        """One reply after the other, until none is left."""
        lane = self._lanes[place]
        while lane:
            await self._turn(lane.popleft())
        del self._lanes[place]

    async def _turn(self, reply: _Reply) -> None:
        """What there is of it now; an end until it is shown. Should more come of it then (a dead letter that is tried
        again), it is another reply that comes after this one."""
        end, reply.waits = reply.end, False
        if end:
            del self._open[reply.id]
        while again := await self._tried(reply, end):
            await asyncio.sleep(again)
            if end is None:
                return  # there is more to come
        if end:
            self._room.release()

    async def _tried(self, reply: _Reply, end: Done | Failed | None) -> float:
        async with self._hands:
            return await self._show(reply, end)

    def _gone(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if self.trouble.done():
            return
        if task.cancelled():
            self.trouble.cancel()
        elif error := task.exception():
            self.trouble.set_exception(error)


async def _broken_off(tasks: Collection[asyncio.Future[Any]]) -> None:
    """Cancel them until they are gone: on Python 3.11 a timeout in a library may swallow a cancellation.

    Whoever is asked to stop meanwhile stops after that.
    """
    asked: asyncio.CancelledError | None = None
    while pending := {task for task in tasks if not task.done()}:
        for task in pending:
            task.cancel()
        try:
            await asyncio.wait(pending, timeout=1.0)
        except asyncio.CancelledError as error:
            asked = error
    for task in tasks:
        if not task.cancelled():
            task.exception()  # seen: the first of them was raised already
    if asked:
        raise asked
