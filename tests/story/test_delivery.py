"""Replies on their way out: each is delivered once, by one carrier at a time, whoever dies meanwhile, none late for
another's sake."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import msgspec
import pytest

from core import delivery
from core.delivery import Delivery, Sending
from core.errors import ConfigError, Fault, StoreUnreachable
from core.jobs import Done, Failed
from core.store import keys
from core.store.client import Client, Effect, Value
from core.store.ledger import Ledger, message_key
from core.store.queue import Claim, decode_result
from tests.fakes.jobs import STREAM, Desk, chunk, desk_at, done, job, until
from tests.fakes.outlet import Shelf

ACCOUNT = "console:local"
T = TypeVar("T")


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
        await shelf.wait(lambda: shelf.drafts)
        more = chunk(claim, "lo")
        await desk.queue.publish(claim, type(more)(job="a", reply_id="r-a", fence=claim.fence, offset=3, text="lo"))
        await shelf.wait(lambda: len(shelf.drafts) == 2)
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
        await shelf.wait(lambda: shelf.drafts)
        await desk.lapse(first)
        (second,) = await desk.claim()
        assert "stale" == await desk.queue.publish(first, chunk(first, "late"))
        await desk.queue.publish(second, chunk(second, "No"))
        await shelf.wait(lambda: len(shelf.drafts) == 2)
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


class Weather(Shelf):
    """A platform on which some chats hang: a reply of theirs is marked and sent, and then nothing more is heard.

    `broken`: replies whose sending was broken off. `peak`: how many were being sent at one time, at most.
    """

    def __init__(self, *hang: str) -> None:
        super().__init__()
        self.hang = set(hang)
        self.marks: list[tuple[str, str]] = []
        self.broken: list[str] = []
        self.trouble: dict[str, list[Exception]] = {}
        self.now = self.peak = 0
        self.clear = asyncio.Event()

    async def draft(self, text: str, attempt: int, sending: Sending) -> None:
        assert sending.place
        await super().draft(text, attempt, sending)
        if sending.place.channel in self.hang:
            await self.clear.wait()

    async def final(self, done: Done, sending: Sending) -> None:
        self.marks.append((done.reply_id, await sending.begin(0)))
        self.now += 1
        self.peak = max(self.peak, self.now)
        self._changed.set()
        try:
            if self.trouble.get(done.reply_id):
                raise self.trouble[done.reply_id].pop()
            if done.place.channel in self.hang:
                await self.clear.wait()
            await sending.sent(0, (done.reply_id,))
        except asyncio.CancelledError:
            self.broken.append(done.reply_id)
            raise
        finally:
            self.now -= 1
        self.finals.append(done)
        self._changed.set()

    @property
    def said(self) -> list[str]:
        """Ids of the replies that are there, in order."""
        return [done.reply_id for done in self.finals]


async def answered(desk: Desk, *talks: tuple[str, str]) -> None:
    """Replies `r-name` to jobs `name` in the conversations `talk`, in this order: (name, talk) …"""
    for name, talk in talks:
        await desk.submit(job(name, talk))
        claim = await desk.one()
        await desk.queue.complete(claim, done(claim))


async def undelivered(desk: Desk) -> list[str]:
    """Ids of the replies that are still in the stream."""
    return [result.reply_id for result in await desk.replies()]


async def test_a_conversation_that_hangs_delays_no_other(desk: Desk) -> None:
    """Those of others are shown meanwhile and struck off; its own stay in the stream until it goes on, in order."""
    shelf = Weather("slow")
    await answered(desk, ("s1", "slow"), ("a1", "a"), ("s2", "slow"), ("b1", "b"), ("a2", "a"))
    async with carrying(desk, shelf):
        await shelf.wait(lambda: len(shelf.finals) == 3)
        await until(lambda: _left(desk, "r-s1", "r-s2"))
        assert ["r-a1", "r-a2"] == [reply for reply in shelf.said if reply.startswith("r-a")]
        assert {"r-a1", "r-a2", "r-b1", "r-s1"} == {reply for reply, _ in shelf.marks}
        shelf.clear.set()
        await until(lambda: _empty(desk))

    assert ["r-s1", "r-s2"] == shelf.said[3:]
    assert {"mine"} == {mark for _, mark in shelf.marks}


async def test_a_draft_that_hangs_delays_no_other_conversation(desk: Desk) -> None:
    """And what its reply grows by meanwhile is shown at once, not word by word."""
    shelf = Weather("slow")
    await desk.submit(job("s1", "slow"), job("a1", "a"))
    slow, other = await desk.claim(2)
    async with carrying(desk, shelf):
        await held(desk)
        await desk.queue.publish(slow, chunk(slow, "w"))
        await shelf.wait(lambda: shelf.drafts)
        for at in range(1, 50):
            await desk.queue.publish(slow, msgspec.structs.replace(chunk(slow, "w"), offset=at))
        await desk.queue.complete(other, done(other))
        await shelf.wait(lambda: shelf.said == ["r-a1"])
        shelf.clear.set()
        await shelf.wait(lambda: len(shelf.drafts) == 2)
        await desk.queue.complete(slow, done(slow, "w" * 50 + "."))
        await until(lambda: _empty(desk))

    assert ["w", "w" * 50] == [text for text, _ in shelf.drafts]
    assert ["r-a1", "r-s1"] == shelf.said


async def test_what_is_whole_is_not_drafted_any_more(desk: Desk) -> None:
    """A carrier that comes late shows the reply, and not how it grew."""
    shelf = Shelf()
    (claim,) = await claimed(desk, "a")
    await desk.client.do("SET", keys.CARRIER(STREAM), "somebody who died", "PX", 400)
    await desk.queue.publish(claim, chunk(claim, "Hel"))
    await desk.queue.complete(claim, done(claim))
    assert 2 == len(await desk.replies())
    async with carrying(desk, shelf):
        await until(lambda: _empty(desk))

    assert ([], ["r-a"]) == (shelf.drafts, [whole.reply_id for whole in shelf.finals])


async def test_a_carrier_dies_while_one_conversation_hangs(desk: Desk) -> None:
    """The next one carries what the first could not, in order; it is told what was under way. Nothing comes twice."""
    one, two = Weather("slow"), Weather()
    await answered(desk, ("s1", "slow"), ("a1", "a"), ("s2", "slow"), ("b1", "b"))
    async with carrying(desk, one):
        await one.wait(lambda: len(one.finals) == 2)
        await until(lambda: _left(desk, "r-s1", "r-s2"))
    async with carrying(desk, two):
        await until(lambda: _empty(desk))

    assert ({"r-a1", "r-b1"}, ["r-s1"]) == (set(one.said), one.broken)
    assert [("r-s1", "again"), ("r-s2", "mine")] == two.marks
    assert ["r-s1", "r-s2"] == two.said


async def test_a_lost_lease_ends_all_that_is_being_sent(desk: Desk) -> None:
    """It is another's from then on: nothing is sent to its end, and nothing new begun."""
    shelf = Weather("a", "b", "c")
    await answered(desk, ("a1", "a"), ("b1", "b"), ("c1", "c"), ("a2", "a"))
    async with carrying(desk, shelf):
        await shelf.wait(lambda: len(shelf.marks) == 3)
        await desk.client.do("SET", keys.CARRIER(STREAM), "another", "PX", 60_000)
        async with asyncio.timeout(10):
            while len(shelf.broken) < 3:
                await asyncio.sleep(0.005)
        shelf.clear.set()
        began = await desk.ms()
        await until(lambda: _later(desk, began + delivery.LEASE_MS))

    assert ([], 3) == (shelf.finals, len(shelf.marks))
    assert ["r-a1", "r-b1", "r-c1", "r-a2"] == await undelivered(desk)


async def test_so_many_are_sent_at_once_and_no_more(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many conversations there are; the others follow."""
    monkeypatch.setattr(delivery, "AT_ONCE", 3)
    shelf = Weather(*"abcdefgh")
    await answered(desk, *((name, name) for name in "abcdefgh"))
    async with carrying(desk, shelf):
        await shelf.wait(lambda: len(shelf.marks) == 3)
        shelf.clear.set()
        await until(lambda: _empty(desk))

    assert (3, 8) == (shelf.peak, len(shelf.finals))


async def test_the_stream_is_read_on_only_while_there_is_room(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody has room for waits in Redis, not here; nothing is lost by that."""
    monkeypatch.setattr(delivery, "AHEAD", 2)
    shelf = Weather("slow")
    await answered(desk, ("s1", "slow"), ("s2", "slow"), ("a1", "a"))
    async with carrying(desk, shelf):
        await shelf.wait(lambda: shelf.marks)
        began = await desk.ms()
        await until(lambda: _later(desk, began + 2 * delivery.LEASE_MS))
        assert [] == shelf.said
        shelf.clear.set()
        await until(lambda: _empty(desk))

    assert {"r-s1", "r-s2", "r-a1"} == set(shelf.said)


async def test_what_could_not_be_recorded_is_tried_again(desk: Desk) -> None:
    """Alone: what others are sent meanwhile is not broken off. The platform learns that it may have been there."""
    shelf = Weather("slow")
    shelf.trouble = {"r-a1": [StoreUnreachable("gone")]}
    await answered(desk, ("a1", "a"))
    async with carrying(desk, shelf):
        await shelf.wait(lambda: shelf.marks)
        await answered(desk, ("s1", "slow"))
        await shelf.wait(lambda: shelf.said == ["r-a1"])
        await until(lambda: _left(desk, "r-s1"))
        shelf.clear.set()
        await until(lambda: _empty(desk))

    assert [("r-a1", "again"), ("r-a1", "mine"), ("r-s1", "mine")] == sorted(shelf.marks)
    assert ["r-a1", "r-s1"] == shelf.said
    assert [] == shelf.broken


class Mortal(Client):
    """The Redis of a process that dies at its `end`th command, just before that reaches Redis or just after."""

    def __init__(self, url: str, end: int, after: bool) -> None:
        super().__init__(url)
        self.left, self.after, self.dead = end, after, asyncio.Event()

    async def do(self, *command: Value) -> object:
        return await self._live(super().do(*command))

    async def do_all(self, commands: Iterable[Effect], atomic: bool = True) -> list[object]:
        return await self._live(super().do_all(commands, atomic))

    async def script(self, source: str, keys: Sequence[str], args: Sequence[Value]) -> object:
        return await self._live(super().script(source, keys, args))

    async def _live(self, command: Coroutine[object, object, T]) -> T:
        self.left -= 1
        try:
            if self.left > 0 or (self.after and self.left == 0):
                answer = await command
                if self.left > 0:
                    return answer
            self.dead.set()
            await asyncio.Event().wait()
            raise AssertionError("nobody comes back from there")
        finally:
            command.close()


class Board(Shelf):
    """A platform that can be asked whether a message of ours is there: a part in doubt is looked for first."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__()
        self.messages = messages

    async def final(self, done: Done, sending: Sending) -> None:
        mark = await sending.begin(0)
        if mark != "sent":
            if mark == "mine" or done.reply_id not in self.messages:
                self.messages.append(done.reply_id)
            await asyncio.sleep(0)
            await sending.sent(0, (done.reply_id,))


@pytest.mark.parametrize("after", [False, True])
async def test_whenever_a_carrier_dies_everything_comes_once_and_in_order(
    desk: Desk, redis_url: str, after: bool
) -> None:
    """Before or after each single command to Redis, with three conversations under way."""
    talks = [(f"{talk}{number}", talk) for number in range(2) for talk in "abc"]
    end, lived = 0, False
    while not lived:
        end += 1
        await desk.client.do("FLUSHALL")
        await answered(desk, *talks)
        messages: list[str] = []
        mortal = Mortal(redis_url, end, after)
        first = asyncio.create_task(Delivery(mortal, Ledger(mortal), Board(messages), ACCOUNT, STREAM).run())
        ends = [asyncio.create_task(until(lambda: _empty(desk))), asyncio.create_task(mortal.dead.wait())]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        lived = not mortal.dead.is_set()
        await _killed(first, *ends)
        await mortal.close()
        await desk.client.do("DEL", keys.CARRIER(STREAM))
        async with carrying(desk, Board(messages)):
            await until(lambda: _empty(desk))

        assert sorted(f"r-{name}" for name, _ in talks) == sorted(messages), f"at command {end}"
        assert all(messages.index(f"r-{talk}0") < messages.index(f"r-{talk}1") for talk in "abc"), f"at command {end}"
    assert end > 30


async def _killed(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class Tunnel(Client):
    """A way to Redis that may be closed. `refused`: how often somebody wanted to pass meanwhile."""

    closed, refused = False, 0

    async def do(self, *command: Value) -> object:
        self._pass()
        return await super().do(*command)

    async def read_stream(self, key: str, after: str, seconds: float, count: int = 200) -> list[tuple[str, bytes]]:
        self._pass()
        return await super().read_stream(key, after, seconds, count)

    def _pass(self) -> None:
        if self.closed:
            self.refused += 1
            raise StoreUnreachable("gone")


@pytest.mark.parametrize("lease", [60_000, 300])
async def test_a_redis_that_is_away_breaks_off_what_is_being_sent_once_the_lease_has_run_out(
    desk: Desk, redis_url: str, monkeypatch: pytest.MonkeyPatch, lease: int
) -> None:
    """Not before: it is ours until then. Afterwards it may be another's, though nobody can tell."""
    monkeypatch.setattr(delivery, "LEASE_MS", lease)
    monkeypatch.setattr(delivery, "AGAIN", 0.02)
    shelf, tunnel = Weather("slow"), Tunnel(redis_url)
    await answered(desk, ("s1", "slow"))
    running = asyncio.create_task(Delivery(tunnel, Ledger(desk.client), shelf, ACCOUNT, STREAM).run())
    try:
        await shelf.wait(lambda: shelf.marks)
        began, tunnel.closed = await desk.ms(), True
        await until(lambda: _later(desk, began + 600))
        assert ["r-s1"] * (lease < 600) == shelf.broken
        assert tunnel.refused > 3
        shelf.clear.set()
        tunnel.closed = False
        await answered(desk, ("a1", "a"))
        await until(lambda: _empty(desk))
    finally:
        running.cancel()
        await asyncio.wait([running])
        await tunnel.close()

    assert {"r-s1", "r-a1"} == set(shelf.said)
    assert (2 if lease < 600 else 1) == sum(reply == "r-s1" for reply, _ in shelf.marks)


async def test_a_fault_of_ours_costs_one_conversation_and_no_other(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its reply is tried again until it works; the log says once what is wrong."""
    monkeypatch.setattr(delivery, "FAULT", 0.01)
    shelf = Weather()
    shelf.trouble = {"r-a1": [RuntimeError("a bug")] * 3}
    await answered(desk, ("a1", "a"))
    async with carrying(desk, shelf):
        await shelf.wait(lambda: len(shelf.marks) > 1)
        await answered(desk, ("a2", "a"), ("b1", "b"))
        await until(lambda: _empty(desk))

    assert (["r-a1", "r-a2"], True) == ([reply for reply in shelf.said if reply != "r-b1"], "r-b1" in shelf.said)
    assert ["mine", "again", "again", "again"] == [mark for reply, mark in shelf.marks if reply == "r-a1"]
    assert 1 == len([row for row in caplog.records if row.levelname == "ERROR"])
    assert "a bug" in caplog.text


@pytest.mark.parametrize("deaf", [False, True])
async def test_a_reply_that_meets_faults_for_a_minute_is_given_up(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, deaf: bool
) -> None:
    """Its place is told that there is none, if that works, and what waits there goes on; the log says how to see it."""
    monkeypatch.setattr(delivery, "FAULT", 0.001)

    class Deaf(Weather):
        async def failed(self, failed: Failed, sending: Sending) -> None:
            await super().failed(failed, sending)
            if deaf:
                raise RuntimeError("another bug")

    shelf = Deaf()
    shelf.trouble = {"r-a1": [RuntimeError("a bug")] * 100}
    await answered(desk, ("a1", "a"), ("a2", "a"))
    async with carrying(desk, shelf):
        await until(lambda: _empty(desk))

    assert (["r-a2"], delivery.FAULTS) == (shelf.said, [reply for reply, _ in shelf.marks].count("r-a1"))
    assert [("r-a1", str(Fault()), False)] == [(f.reply_id, f.reason, f.dead) for f in shelf.failures]
    loud = [row.getMessage() for row in caplog.records if row.levelname == "ERROR"]
    assert 2 + deaf == len(loud)
    assert "the reply r-a1 cannot be shown" in loud[-1]
    assert "`limen feedback export - | grep r-a1` shows it" in loud[-1]


async def test_a_reply_is_given_up_once_redis_is_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where it is away just then, telling of it waits; it is not tried anew."""
    monkeypatch.setattr(delivery, "FAULT", 0.001)
    monkeypatch.setattr(delivery, "AGAIN", 0.001)
    away = [StoreUnreachable("gone")] * 3

    class Absent(Weather):
        async def failed(self, failed: Failed, sending: Sending) -> None:
            if away:
                raise away.pop()
            await super().failed(failed, sending)

    shelf = Absent()
    shelf.trouble = {"r-a1": [RuntimeError("a bug")] * 100}
    await answered(desk, ("a1", "a"))
    async with carrying(desk, shelf):
        await until(lambda: _empty(desk))

    assert (1, delivery.FAULTS) == (len(shelf.failures), len(shelf.marks))
    assert 2 == len([row for row in caplog.records if row.levelname == "ERROR"])


async def test_a_draft_that_meets_a_fault_of_ours_costs_nothing(desk: Desk) -> None:
    """The whole reply comes all the same."""

    class Clumsy(Shelf):
        async def draft(self, text: str, attempt: int, sending: Sending) -> None:
            await super().draft(text, attempt, sending)
            raise RuntimeError("a bug")

    shelf = Clumsy()
    (claim,) = await claimed(desk, "a")
    async with carrying(desk, shelf):
        await held(desk)
        await desk.queue.publish(claim, chunk(claim, "Hel"))
        await shelf.wait(lambda: shelf.drafts)
        await desk.queue.complete(claim, done(claim))
        await until(lambda: _empty(desk))

    assert ["r-a"] == [whole.reply_id for whole in shelf.finals]


async def test_an_error_that_only_people_can_mend_ends_the_carrying(desk: Desk) -> None:
    """As itself, so that they read what to do; what was being sent is broken off, and all of it kept."""
    shelf = Weather("slow")
    await answered(desk, ("s1", "slow"))
    running = asyncio.create_task(carrier(desk, shelf).run())
    await shelf.wait(lambda: shelf.marks)
    shelf.trouble = {"r-a1": [ConfigError("the token was revoked")]}
    await answered(desk, ("a1", "a"))
    with pytest.raises(ConfigError, match="the token was revoked"):
        await asyncio.wait_for(running, 10)

    assert ["r-s1"] == shelf.broken
    assert ["r-s1", "r-a1"] == await undelivered(desk)


async def test_what_is_taken_off_the_stream_while_it_waits_is_not_sent(desk: Desk) -> None:
    """Somebody was forgotten: replies to them that we have read already are not told any more."""
    shelf = Weather("slow")
    await answered(desk, ("s1", "slow"), ("s2", "slow"), ("s3", "slow"))
    async with carrying(desk, shelf):
        await shelf.wait(lambda: shelf.marks)
        (second,) = [entry for entry, body in await _entries(desk) if decode_result(body).reply_id == "r-s2"]
        await desk.client.do("XDEL", keys.REPLIES(STREAM), second)
        shelf.clear.set()
        await until(lambda: _empty(desk))

    assert ["r-s1", "r-s3"] == shelf.said


async def test_a_dead_letter_that_is_tried_again_while_its_failure_is_told(desk: Desk) -> None:
    """First the failure is told, then the reply: both, and in this order."""

    class Slow(Weather):
        async def failed(self, failed: Failed, sending: Sending) -> None:
            await super().failed(failed, sending)
            await self.clear.wait()

    shelf = Slow()
    (claim,) = await claimed(desk, "a")
    await desk.queue.fail(claim, "no memory", final=True)
    async with carrying(desk, shelf):
        await shelf.wait(lambda: shelf.failures)
        await desk.queue.requeue(["a"])
        await desk.queue.complete(again := await desk.one(), done(again))
        await until(lambda: _left(desk, "r-a", "r-a"))
        shelf.clear.set()
        await until(lambda: _empty(desk))

    assert (1, ["r-a"]) == (len(shelf.failures), shelf.said)


async def _left(desk: Desk, *replies: str) -> bool:
    return await undelivered(desk) == list(replies)


async def _later(desk: Desk, ms: int) -> bool:
    return await desk.ms() > ms


async def _entries(desk: Desk) -> list[tuple[str, bytes]]:
    return await desk.client.read_stream(keys.REPLIES(STREAM), "0", 0.001)


async def _empty(desk: Desk) -> bool:
    return await desk.client.do("XLEN", keys.REPLIES(STREAM)) == 0
