"""Replies on their way out: each is delivered once, by one carrier at a time, whoever dies meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec
import pytest

from core import delivery
from core.delivery import Delivery, Sending
from core.jobs import Done
from core.store import keys
from core.store.ledger import Ledger, message_key
from core.store.queue import Claim
from tests.fakes.jobs import STREAM, Desk, chunk, desk_at, done, job, until
from tests.fakes.outlet import Shelf

ACCOUNT = "console:local"


@pytest.fixture
async def desk(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    """A queue; carriers look after their lease ten times a second, and lose it after half a second."""
    monkeypatch.setattr(delivery, "BEAT", 0.1)
    monkeypatch.setattr(delivery, "LEASE_MS", 500)
    async with desk_at(redis_url) as desk:
        yield desk


class Fussy(Shelf):
    """A platform that keeps what it was told of each part, and may stand still in the middle of sending."""

    def __init__(self, stuck: bool = False) -> None:
        super().__init__()
        self.stuck, self.sending, self.marks = stuck, asyncio.Event(), list[str]()
        self.recalled: list[dict[int, tuple[str, ...]]] = []

    async def final(self, done: Done, sending: Sending) -> None:
        self.recalled.append(dict(sending.ids))
        self.marks.append(await sending.begin(0))
        self.sending.set()
        if self.stuck:
            await asyncio.Event().wait()
        if self.marks[-1] != "sent":
            await sending.sent(0, (f"p:{done.reply_id}",))
        self.finals.append(done)
        self._changed.set()


def carrier(desk: Desk, outlet: Shelf) -> Delivery:
    return Delivery(desk.client, Ledger(desk.client), outlet, ACCOUNT, STREAM)


@asynccontextmanager
async def carrying(desk: Desk, *outlets: Shelf) -> AsyncIterator[list[Delivery]]:
    """A carrier for each outlet, all on one stream; killed at the end: none gives its lease back."""
    carriers = [carrier(desk, outlet) for outlet in outlets]
    tasks = [asyncio.create_task(one.run()) for one in carriers]
    try:
        yield carriers
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


async def claimed(desk: Desk, *names: str) -> list[Claim]:
    """Claims on jobs of these names, each in a conversation of its own."""
    await desk.submit(*(job(name, name) for name in names))
    return await desk.claim(len(names))


async def held(desk: Desk) -> None:
    """Until somebody carries the stream: before that, nobody is told partial text."""

    async def somebody() -> bool:
        return bool(await desk.client.do("EXISTS", keys.CARRIER(STREAM)))

    await until(somebody)


async def test_a_reply_grows_and_is_then_whole(desk: Desk) -> None:
    """Partials are shown from the first character on; after the final one the stream is empty."""
    shelf = Shelf()
    (claim,) = await claimed(desk, "a")
    async with carrying(desk, shelf):
        await held(desk)
        await desk.queue.publish(claim, chunk(claim, "Hel"))
        more = chunk(claim, "lo")
        await desk.queue.publish(claim, type(more)(job="a", reply_id="r-a", fence=claim.fence, offset=3, text="lo"))
        await desk.queue.complete(claim, done(claim, "Hello there."))
        await shelf.wait(lambda: shelf.finals)
        await until(lambda: _empty(desk))

    assert [("Hel", claim.fence), ("Hello", claim.fence)] == shelf.drafts
    assert ["Hello there."] == [whole.text for whole in shelf.finals]


async def test_another_attempt_begins_the_reply_anew(desk: Desk) -> None:
    """What the first one said is not mixed in, not even what comes late of it."""
    shelf = Shelf()
    (first,) = await claimed(desk, "a")
    async with carrying(desk, shelf):
        await held(desk)
        await desk.queue.publish(first, chunk(first, "I think that"))
        await desk.lapse(first)
        (second,) = await desk.claim()
        assert "stale" == await desk.queue.publish(first, chunk(first, "late"))
        await desk.queue.publish(second, chunk(second, "No"))
        late = msgspec.msgpack.encode(chunk(first, "late"))
        await desk.client.do("XADD", keys.REPLIES(STREAM), "*", "b", late)
        await desk.queue.complete(second, done(second, "No."))
        await shelf.wait(lambda: shelf.finals)

    assert [("I think that", first.fence), ("No", second.fence)] == shelf.drafts
    assert first.fence < second.fence


async def test_the_next_carrier_goes_on_where_the_first_died(desk: Desk) -> None:
    """What was delivered is not delivered again, and nothing that was not is forgotten."""
    one, two = Fussy(), Fussy()
    for claim in await claimed(desk, "a", "b"):
        await desk.queue.complete(claim, done(claim))
    async with carrying(desk, one):
        await one.wait(lambda: len(one.finals) == 2)
        await until(lambda: _empty(desk))
    (claim,) = await claimed(desk, "c")
    await desk.queue.complete(claim, done(claim))
    async with carrying(desk, two):
        await two.wait(lambda: two.finals)

    assert ({"r-a", "r-b"}, ["r-c"]) == ({d.reply_id for d in one.finals}, [d.reply_id for d in two.finals])
    assert ["mine", "mine", "mine"] == one.marks + two.marks


async def test_a_carrier_that_died_while_sending_is_told_of(desk: Desk) -> None:
    """Nobody knows whether it got through: the platform decides what `again` means."""
    one, two = Fussy(stuck=True), Fussy()
    (claim,) = await claimed(desk, "a")
    await desk.queue.complete(claim, done(claim))
    async with carrying(desk, one):
        await asyncio.wait_for(one.sending.wait(), 10)
    async with carrying(desk, two):
        await two.wait(lambda: two.finals)

    assert (["mine"], ["again"]) == (one.marks, two.marks)
    assert [] == one.finals


async def test_a_part_with_ids_is_not_sent_again(desk: Desk) -> None:
    """The first carrier died between sending and clearing the stream; the second knows the platform's ids."""
    ledger, shelf = Ledger(desk.client), Fussy()
    (claim,) = await claimed(desk, "a")
    await desk.queue.complete(claim, done(claim))
    await ledger.begin("r-a", 0, "the first")
    await ledger.sent("r-a", 0, [message_key(ACCOUNT, claim.job.place, "7|8")])
    async with carrying(desk, shelf):
        await shelf.wait(lambda: shelf.finals)
        await until(lambda: _empty(desk))

    assert (["sent"], [{0: ("7|8",)}]) == (shelf.marks, shelf.recalled)


async def test_only_one_of_two_carries_a_stream(desk: Desk) -> None:
    """The other stands by, and takes over when the first lets go."""
    shelves = Fussy(), Fussy()
    async with carrying(desk, *shelves) as carriers:
        await held(desk)
        for claim in await claimed(desk, *"abcdef"):
            await desk.queue.complete(claim, done(claim))
        await until(lambda: _empty(desk))
        counts = sorted(len(shelf.finals) for shelf in shelves)
        assert carriers

    assert [0, 6] == counts
    assert ["mine"] * 6 == shelves[0].marks + shelves[1].marks


async def test_a_slow_platform_does_not_cost_the_lease(desk: Desk) -> None:
    """A message may take longer than a lease lasts; nobody sends it a second time meanwhile."""
    slow, other = Fussy(stuck=True), Fussy()
    (claim,) = await claimed(desk, "a")
    await desk.queue.complete(claim, done(claim))
    async with carrying(desk, slow):
        await asyncio.wait_for(slow.sending.wait(), 10)
        async with carrying(desk, other):
            began = await desk.ms()

            async def long_enough() -> bool:
                return await desk.ms() > began + 3 * delivery.LEASE_MS

            await until(long_enough)
            assert [] == other.marks


async def test_a_failure_is_told(desk: Desk) -> None:
    """With its reason, once; then the stream is empty."""
    shelf = Shelf()
    (claim,) = await claimed(desk, "a")
    await desk.queue.fail(claim, "no memory", final=True)
    async with carrying(desk, shelf):
        await shelf.wait(lambda: shelf.failures)
        await until(lambda: _empty(desk))

    assert [("r-a", "no memory", True)] == [(f.reply_id, f.reason, f.dead) for f in shelf.failures]


async def _empty(desk: Desk) -> bool:
    return await desk.client.do("XLEN", keys.REPLIES(STREAM)) == 0
