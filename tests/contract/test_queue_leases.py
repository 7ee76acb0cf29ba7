"""Leases, retries, dead letters and cancelling, on a real server."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from core.errors import StaleLease
from core.jobs import Done, Failed
from core.store import keys
from core.store.queue import Claim
from tests.fakes.jobs import STREAM, Desk, chunk, desk_at, done, job, until


@pytest.fixture
async def desk(redis_url: str) -> AsyncIterator[Desk]:
    """A desk at an empty queue."""
    async with desk_at(redis_url, retry=0.0) as desk:
        yield desk


async def carried(desk: Desk) -> None:
    """Somebody shows replies."""
    await desk.client.do("SET", keys.CARRIER(STREAM), "me", "PX", 60_000)


async def handed_on(desk: Desk) -> tuple[Claim, Claim]:
    """A job whose first worker went silent: both claims of it."""
    await desk.submit(job("a1"), job("a2"))
    late = await desk.one("late")
    await desk.lapse(late)
    return late, await desk.one("next")


async def test_a_lease_that_runs_out_hands_the_job_on(redis_url: str) -> None:
    """Nobody need say so: a silent worker's job is claimed by another, first in its line, as a second attempt."""
    async with desk_at(redis_url, lease=0.05) as desk:
        await desk.submit(job("a1"), job("a2"))
        first = await desk.one("silent")
        claims: list[Claim] = []

        async def claimed() -> bool:
            claims.extend(await desk.claim(5, "other"))
            return bool(claims)

        await until(claimed)

    assert [("a1", 2)] == [(claim.job.id, claim.attempt) for claim in claims]
    assert claims[0].fence > first.fence


async def test_a_beat_keeps_the_lease(redis_url: str) -> None:
    """Beaten in time, a lease outlives its length many times over."""
    async with desk_at(redis_url, lease=2.0) as desk:
        await desk.submit(job("a1"))
        claim = await desk.one()
        end = await desk.ms() + 300

        async def outlived() -> bool:
            await desk.client.do("ZINCRBY", keys.LEASES.pattern, -1990, "a1")  # nearly over
            beat = await desk.queue.beat([claim])
            return beat == ["held"] and await desk.claim(1, "other") == [] and await desk.ms() > end

        await until(outlived)
        left = int(await desk.client.do("ZSCORE", keys.LEASES.pattern, "a1")) - await desk.ms()

    assert 1000 < left <= 2000


async def test_a_worker_is_told_when_to_look_again(desk: Desk) -> None:
    """A claim says in how many seconds a lease runs out or a delayed job falls due; -1: never."""
    assert -1 == (await desk.queue.claim("w", 1))[1]

    await desk.submit(job("a1"))
    _, due = await desk.queue.claim("w", 1)

    assert 14 < due <= 15

    await desk.queue.submit(job("b1", "b"), delay=5)
    _, due = await desk.queue.claim("w", 1)

    assert 4 < due <= 5


async def test_a_late_worker_is_not_heard(desk: Desk) -> None:
    """Once a job was handed on, nothing of its first worker counts."""
    late, _ = await handed_on(desk)
    await carried(desk)

    assert "stale" == await desk.queue.publish(late, chunk(late))
    assert ["stale"] == await desk.queue.beat([late])
    assert "stale" == await desk.queue.fail(late, "too late", final=True)
    assert 0 == await desk.queue.release([late])
    with pytest.raises(StaleLease):
        await desk.queue.complete(late, done(late), [("SET", "limen:effect", "late")])
    assert [] == await desk.replies()
    assert None is await desk.client.do("GET", "limen:effect")


async def test_a_job_handed_on_is_completed_once(desk: Desk) -> None:
    """The second worker's reply is the only one, and the line goes on behind it."""
    late, claim = await handed_on(desk)
    await desk.queue.complete(claim, done(claim, "second"))
    with pytest.raises(StaleLease):
        await desk.queue.complete(late, done(late, "first"))

    assert ["second"] == [result.text for result in await desk.replies() if isinstance(result, Done)]
    assert ["a2"] == await desk.serve()
    assert set() == await desk.left()


async def test_completing_twice_is_refused(desk: Desk) -> None:
    """The second time the lease is gone with the job."""
    await desk.submit(job("a1"))
    claim = await desk.one()
    await desk.queue.complete(claim, done(claim))
    with pytest.raises(StaleLease):
        await desk.queue.complete(claim, done(claim))

    assert 1 == len(await desk.replies())


async def test_completing_does_all_that_follows_from_the_reply(desk: Desk) -> None:
    """Effects are Redis commands of any length, and take place together with the reply."""
    await desk.submit(job("a1"))
    claim = await desk.one()
    many = [word for n in range(500) for word in (f"f{n}", n)]
    await desk.queue.complete(
        claim, done(claim), [("SET", "limen:x", b"\x00\xff\r\n"), ("HSET", "limen:h", *many), ("ZADD", "limen:z", 1.5, "é")]
    )

    assert b"\x00\xff\r\n" == await desk.client.do("GET", "limen:x")
    assert 500 == await desk.client.do("HLEN", "limen:h")
    assert b"1.5" == str(await desk.client.do("ZSCORE", "limen:z", "é")).encode()
    assert [done(claim)] == await desk.replies()


async def test_partial_replies_go_only_where_somebody_shows_them(desk: Desk) -> None:
    """Without a carrier only the whole reply is kept."""
    await desk.submit(job("a1"))
    claim = await desk.one()

    assert "held" == await desk.queue.publish(claim, chunk(claim))
    assert [] == await desk.replies()

    await carried(desk)

    assert "held" == await desk.queue.publish(claim, chunk(claim))
    assert [chunk(claim)] == await desk.replies()


async def test_replies_that_nobody_fetches_go_after_a_day(desk: Desk) -> None:
    """Also from a stream that goes on."""
    stream = keys.REPLIES(STREAM)
    old = int(await desk.ms()) - 90_000_000
    await desk.client.do_all([("XADD", stream, f"{old + n}-0", "b", "old") for n in range(500)])
    await desk.submit(job("a1"))
    await desk.serve()

    assert 200 > await desk.client.do("XLEN", stream)  # trimmed in blocks
    assert 86_300 < await desk.client.do("TTL", stream) <= 86_400


async def test_too_many_silent_workers_make_a_dead_letter(desk: Desk) -> None:
    """After its attempts a job is laid aside with the reason, its stream is told, and the line goes on."""
    await desk.submit(job("a1"), job("a2"))
    attempts = []
    for _ in range(3):
        claim = await desk.one()
        attempts.append((claim.job.id, claim.attempt))
        await desk.lapse(claim)
    after = await desk.one()

    assert [("a1", 1), ("a1", 2), ("a1", 3)] == attempts
    assert "a2" == after.job.id
    (letter,) = await desk.queue.dead()
    assert ("a1", "the worker that had it went silent", 3) == (letter.job.id, letter.reason, letter.attempts)
    assert abs(letter.died * 1000 - await desk.ms()) < 60_000
    assert [
        Failed(job="a1", reply_id="r-a1", conversation=letter.job.conversation, place=letter.job.place,
               reason=letter.reason, dead=True)
    ] == await desk.replies()  # fmt: skip


async def test_a_worker_that_stops_gives_its_jobs_back(desk: Desk) -> None:
    """They are first in their lines again, and the attempt does not count."""
    await desk.submit(job("a1"), job("a2"), job("b1", "b"))
    for _ in range(5):
        claims = await desk.claim(2)
        assert 2 == await desk.queue.release(claims)
        assert {("a1", 1), ("b1", 1)} == {(claim.job.id, claim.attempt) for claim in claims}

    assert {"a1", "b1"} == {claim.job.id for claim in await desk.claim(2)}


async def test_what_a_dead_worker_had_is_free_at_once(desk: Desk) -> None:
    """Known to be dead, its leases need not run out; others keep theirs."""
    await desk.submit(job("a1"), job("b1", "b"), job("c1", "c"))
    await desk.claim(2, "dead")
    mine = await desk.one("alive")

    assert {"dead", "alive"} == await desk.queue.holders()
    assert 2 == await desk.queue.disown(["dead", "unheard-of"])
    assert {"alive"} == await desk.queue.holders()
    assert [("a1", 2), ("b1", 2)] == [(claim.job.id, claim.attempt) for claim in await desk.claim(5, "alive")]
    assert ["held"] == await desk.queue.beat([mine])


async def test_nobody_to_disown_is_nothing_to_do(desk: Desk) -> None:
    """Empty lists are fine everywhere."""
    assert (0, 0, 0, []) == (
        await desk.queue.disown([]), await desk.queue.release([]), await desk.queue.requeue([]), await desk.queue.beat([]),
    )  # fmt: skip
    assert [] == await desk.queue.accept([])


async def test_a_failed_job_is_tried_again_later_and_later(redis_url: str) -> None:
    """The wait before the next attempt doubles, by the server's clock."""
    async with desk_at(redis_url, retry=50.0, attempts=4) as desk:
        await desk.submit(job("a1"))
        waits = []
        for _ in range(3):
            claim = await desk.one()
            before = await desk.ms()
            assert "waiting" == await desk.queue.fail(claim, "no model")
            until_due = int(await desk.client.do("ZSCORE", keys.DELAYED.pattern, claim.job.conversation))
            waits.append(until_due - before)
            await desk.client.do("ZADD", keys.DELAYED.pattern, "XX", 0, claim.job.conversation)
            await desk.client.do("HSET", keys.JOB("a1"), "after", 0)

    assert [50, 100, 200] == [wait // 1000 for wait in waits]


async def test_others_go_on_while_one_conversation_waits_for_a_retry(redis_url: str) -> None:
    """Its later jobs wait behind the failed one; then it comes first, by itself."""
    async with desk_at(redis_url, retry=0.1) as desk:
        await desk.submit(job("a1"), job("a2"), job("b1", "b"))
        await desk.queue.fail(await desk.one(), "no model")

        assert ["b1"] == await desk.serve(5)

        order: list[str] = []

        async def served() -> bool:
            order.extend(await desk.serve(5))
            return len(order) == 2

        await until(served)

    assert ["a1", "a2"] == order


async def test_a_hopeless_job_is_laid_aside_at_once(desk: Desk) -> None:
    """A final failure waits for no more attempts. Its reason may quote anything."""
    await desk.submit(job("a1"))

    assert "dead" == await desk.queue.fail(await desk.one(), "bad \ud800 \0 prompt", final=True)
    assert ["bad ? \0 prompt"] == [failed.reason for failed in await desk.failures()]
    assert ["bad ? \0 prompt"] == [letter.reason for letter in await desk.queue.dead()]


async def test_dead_letters_can_be_sent_again(desk: Desk) -> None:
    """Requeued, a job goes to the end of its line with all its attempts before it."""
    await desk.submit(job("a1"))
    await desk.queue.fail(await desk.one(), "no", final=True)
    await desk.submit(job("a2"))

    assert 1 == await desk.queue.requeue(["a1", "a1", "a2", "unheard-of"])
    assert [] == await desk.queue.dead()
    assert 2 == (await desk.queue.depths()).live
    assert "a2" == (await desk.one()).job.id
    await desk.queue.disown(["w1"])
    assert ["a2", "a1"] == await desk.serve()
    assert set() == await desk.left()


async def test_dead_letters_are_listed_oldest_first(desk: Desk) -> None:
    """As many as asked for."""
    for n in range(4):
        await desk.submit(job(f"j{n}", f"t{n}"))
        await desk.queue.fail(await desk.one(), f"reason {n}", final=True)
        await desk.client.do("ZADD", keys.DEAD.pattern, "XX", n, f"j{n}")

    assert ["j0", "j1", "j2"] == [letter.job.id for letter in await desk.queue.dead(3)]


async def test_dead_and_waiting_jobs_can_be_dropped(desk: Desk) -> None:
    """Without a word to anybody. A running job cannot."""
    await desk.submit(job("a1"), job("a2"), job("a3"))
    await desk.queue.fail(await desk.one(), "no", final=True)
    running = await desk.one()
    told = len(await desk.replies())

    assert [True, False, True, False] == [await desk.queue.drop(name) for name in ("a1", "a2", "a3", "a3")]
    assert [] == await desk.queue.dead()
    assert ["a2"] == [each.id for each in await desk.queue.all()]
    await desk.queue.complete(running, done(running))
    assert told + 1 == len(await desk.replies())
    assert [] == await desk.claim()
    assert set() == await desk.left()


async def test_a_waiting_job_can_be_cancelled(desk: Desk) -> None:
    """It is gone, its stream is told, and the line closes up."""
    await desk.submit(job("a1"), job("a2"), job("a3"))

    assert "waiting" == await desk.queue.cancel("a1")
    assert "waiting" == await desk.queue.cancel("a2")
    assert "gone" == await desk.queue.cancel("a2")
    assert [("a1", False, True), ("a2", False, True)] == [
        (failed.job, failed.dead, failed.cancelled) for failed in await desk.failures()
    ]
    assert 1 == (await desk.queue.depths()).live
    assert ["a3"] == await desk.serve()
    assert set() == await desk.left()


async def test_a_conversation_whose_jobs_were_all_cancelled_is_empty(desk: Desk) -> None:
    """No worker is handed a conversation without a job."""
    await desk.submit(job("a1"), job("a2"))
    for name in ("a2", "a1"):
        await desk.queue.cancel(name)

    assert [] == await desk.claim(5)
    assert set() == await desk.left()


async def test_the_worker_of_a_cancelled_job_is_told(desk: Desk) -> None:
    """At once over the channel, and again by whatever it says next; the reply so far is still its to complete."""
    await desk.submit(job("a1"))
    claim = await desk.one()
    heard = desk.client.listen(keys.CANCELS.pattern)
    listening = asyncio.ensure_future(anext(heard))

    async def was_heard() -> bool:  # it may take a moment to subscribe
        assert "running" == await desk.queue.cancel("a1")
        return listening.done()

    await until(was_heard)

    assert b"a1" == await listening
    await heard.aclose()  # type: ignore[attr-defined]
    assert "cancel" == await desk.queue.publish(claim, chunk(claim))
    assert ["cancel"] == await desk.queue.beat([claim])
    await desk.queue.complete(claim, done(claim, "Hel"))
    assert [done(claim, "Hel")] == await desk.replies()
    assert set() == await desk.left()


@pytest.mark.parametrize("end", ["lapse", "disown", "release", "fail", "final"])
async def test_a_cancelled_job_is_not_tried_again(desk: Desk, end: str) -> None:
    """However its worker ends, it is cancelled then, once, and the line goes on."""
    await desk.submit(job("a1"), job("a2"))
    claim = await desk.one()
    await desk.queue.cancel("a1")
    match end:
        case "lapse":
            await desk.lapse(claim)
        case "disown":
            assert 1 == await desk.queue.disown(["w1"])
        case "release":
            assert 1 == await desk.queue.release([claim])
        case _:
            assert "gone" == await desk.queue.fail(claim, "no", final=end == "final")
    order = await desk.serve()

    assert ["a2"] == order
    assert [("a1", False, True)] == [(failed.job, failed.dead, failed.cancelled) for failed in await desk.failures()]
    assert [] == await desk.queue.dead()
    assert set() == await desk.left()


async def test_a_job_of_another_version_does_not_hold_up_the_others(desk: Desk) -> None:
    """What cannot be read is laid aside and its stream told; the jobs claimed with it are served."""
    await desk.submit(job("a1"), job("b1", "b"))
    payload = await desk.client.do("HGET", keys.JOB("a1"), "payload")
    await desk.client.do("HSET", keys.JOB("a1"), "payload", payload.replace(b"card_hash", b"card_name"))

    assert ["b1"] == [claim.job.id for claim in await desk.claim(5)]
    assert ["a1"] == [failed.job for failed in await desk.failures()]
    assert 1 == (await desk.queue.depths()).dead


async def test_any_job_can_be_looked_at(desk: Desk) -> None:
    """Waiting, running or dead; None when it is done."""
    await desk.submit(job("a1"), job("b1", "b"), job("c1", "c"))
    await desk.queue.fail(await desk.one(), "no", final=True)
    running = await desk.one()

    assert [job("a1"), job("b1", "b"), job("c1", "c")] == [await desk.queue.get(name) for name in ("a1", "b1", "c1")]
    assert ["a1", "b1", "c1"] == sorted(each.id for each in await desk.queue.all())

    await desk.queue.complete(running, done(running))

    assert None is await desk.queue.get("b1")
