"""Leases and fences of the queue, and what completing a job does, on a real server."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.errors import StaleLease
from core.jobs import Done, Failed
from core.store import keys, server
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
    effects = [("SET", "limen:x", b"\x00\xff\r\n"), ("HSET", "limen:h", *many), ("ZADD", "limen:z", 1.5, "é")]
    await desk.queue.complete(claim, done(claim), effects)

    assert b"\x00\xff\r\n" == await desk.client.do("GET", "limen:x")
    assert 500 == await desk.client.do("HLEN", "limen:h")
    assert 1.5 == float(await desk.client.do("ZSCORE", "limen:z", "é"))
    assert [done(claim)] == await desk.replies()


async def test_several_are_completed_together_and_each_by_its_own_lease(desk: Desk) -> None:
    """What a stale one brings is left out, effects and all; the others take place."""
    await desk.submit(job("a1"), job("b1", "b"), job("c1", "c"))
    first, late, third = await desk.claim(3)
    await desk.lapse(late)
    await desk.claim(1, "next")
    heard = await desk.queue.complete_all(
        [
            (first, done(first), [("SET", "limen:x", "1"), ("RPUSH", "limen:l", "a", "b")]),
            (late, done(late), [("SET", "limen:x", "2"), ("RPUSH", "limen:l", "c", "d")]),
            (third, done(third), [("RPUSH", "limen:l", "e")]),
        ]
    )

    assert [True, False, True] == heard
    assert [done(first), done(third)] == await desk.replies()
    assert b"1" == await desk.client.do("GET", "limen:x")
    assert [b"a", b"b", b"e"] == await desk.client.do("LRANGE", "limen:l", 0, -1)
    assert 1 == (await desk.queue.depths()).leased


async def test_the_queue_outlives_its_server(home: Path, redis_binary: Path) -> None:
    """Killed and started again, it has every job and every lease, and no fence is given twice."""
    async with desk_at(server.ensure(home, redis_binary)) as desk:
        await desk.submit(job("a1"), job("a2"), job("b1", "b"), job("c1", "c"))
        first, second = await desk.claim(2)
        await desk.queue.fail(second, "no", final=True)
        found = server.running(home)
        assert found
        os.kill(found.pid, signal.SIGKILL)
        await asyncio.to_thread(server.ensure, home, redis_binary)

        assert ["held"] == await desk.queue.beat([first])
        third = await desk.one()
        assert ("c1", True) == (third.job.id, third.fence > max(first.fence, second.fence))
        await desk.queue.complete_all([(first, done(first), []), (third, done(third), [])])
        assert ["b1"] == [letter.job.id for letter in await desk.queue.dead()]
        assert ["a2"] == await desk.serve()


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
    queue = desk.queue

    assert [0, 0, 0] == [await queue.disown([]), await queue.release([]), await queue.requeue([])]
    assert [[], [], []] == [await queue.beat([]), await queue.accept([]), await queue.complete_all([])]
