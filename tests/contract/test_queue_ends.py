"""Retries, dead letters and cancelling in the queue, on a real server."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from core.store import keys
from tests.fakes.jobs import Desk, chunk, desk_at, done, job, until


@pytest.fixture
async def desk(redis_url: str) -> AsyncIterator[Desk]:
    """A desk at an empty queue."""
    async with desk_at(redis_url, retry=0.0) as desk:
        yield desk


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


async def test_a_conversation_whose_jobs_were_all_dropped_is_empty(desk: Desk) -> None:
    """No worker is handed a conversation without a job."""
    await desk.submit(job("a1"), job("b1", "b"))

    assert True is await desk.queue.drop("a1")
    assert ["b1"] == [claim.job.id for claim in await desk.claim(5)]
    assert (0, 0) == ((await desk.queue.depths()).live, (await desk.queue.depths()).conversations)


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
    await heard.aclose()
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
