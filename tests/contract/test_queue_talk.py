"""Taking events in: each once, in order, quick messages as one turn, or the whole batch not at all."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from core.errors import StoreFull, StoreUnreachable
from core.jobs import Generate
from core.store import keys
from core.store.client import Client, Value, patiently
from core.store.queue import Heard, Limits, Offer, Queue, What
from tests.fakes.jobs import Desk, desk_at, done, job, until

TALK = job("x").conversation


@pytest.fixture
async def desk(redis_url: str) -> AsyncIterator[Desk]:
    """A desk at an empty queue."""
    async with desk_at(redis_url) as desk:
        yield desk


def said(name: str, index: tuple[str, ...] = ()) -> Heard:
    """A line of talk."""
    return Heard(conversation=TALK, id=name, body=f"body of {name}".encode(), index=index)


def event(name: str, each: Generate | None = None) -> Offer:
    """An event with an id, a line of talk, and perhaps a job."""
    return Offer(seen=keys.SEEN(name), line=said(name), job=each)


async def talk(desk: Desk) -> list[tuple[bytes, bytes]]:
    """The lines kept, in order."""
    ids = await desk.client.do("ZRANGE", keys.ORDER(TALK), 0, -1)
    return [(line, await desk.client.do("HGET", keys.LINES(TALK), line)) for line in ids]


async def everything(desk: Desk) -> dict[str, Any]:
    """Every key of the server and what it holds."""
    names = await desk.client.scan("*")
    dumps = await desk.client.do_all([("DUMP", name) for name in names], atomic=False)
    return dict(zip(names, dumps, strict=True))


class Lossy(Client):
    """A client whose every first answer is lost on its way back."""

    lost = 0

    async def script(self, source: str, keys: Sequence[str], args: Sequence[Value]) -> Any:
        answer = await super().script(source, keys, args)
        self.lost += 1
        if self.lost % 2:
            raise StoreUnreachable("the answer was lost")
        return answer


async def test_a_batch_is_taken_in_order(desk: Desk) -> None:
    """Lines are kept as they came, and jobs queued, in one go."""
    accepted = await desk.queue.accept([event("1"), event("2", job("a1")), event("3"), event("4", job("a2"))])

    assert [What.HEARD, What.QUEUED, What.HEARD, What.QUEUED] == [each.what for each in accepted]
    assert [(n, b"body of " + n) for n in (b"1", b"2", b"3", b"4")] == await talk(desk)
    assert ["a1", "a2"] == await desk.serve()


async def test_lines_are_noted_where_their_people_can_be_found(desk: Desk) -> None:
    """Index pairs are sets and their members."""
    await desk.queue.accept([Offer(line=said("1", ("limen:s1", "m1", "limen:s2", "m2")))])

    assert {b"m1"} == set(await desk.client.do("SMEMBERS", "limen:s1"))
    assert {b"m2"} == set(await desk.client.do("SMEMBERS", "limen:s2"))


async def test_a_redelivered_event_changes_nothing(desk: Desk) -> None:
    """Heard, waiting, running or answered: told again, no key of the server changes."""
    events = [event("1"), event("2", job("a1")), event("3", job("a2"))]
    await desk.queue.accept(events)
    again = [event("3", job("other")), event("1", job("new")), event("2")]
    for step in ("waiting", "running", "answered"):
        if step == "running":
            claim = await desk.one()
        if step == "answered":
            await desk.queue.complete(claim, done(claim))
        before = await everything(desk)
        answers = await desk.queue.accept(again)

        assert 86_300 < await desk.client.do("TTL", keys.SEEN("1")) <= 86_400
        assert [What.SEEN] * 3 == [each.what for each in answers]
        assert ["a2", "", "a1"] == [each.job for each in answers]
        assert before == await everything(desk)


async def test_within_a_batch_an_event_counts_once_too(desk: Desk) -> None:
    """The platform may deliver it twice at the same moment."""
    accepted = await desk.queue.accept([event("1", job("a1")), event("1", job("a2"))])

    assert [(What.QUEUED, "a1", 1), (What.SEEN, "a1", 1)] == [(each.what, each.job, each.place) for each in accepted]
    assert ["a1"] == await desk.serve()


async def test_a_lost_answer_can_be_asked_for_again(redis_url: str) -> None:
    """The batch was taken, its answer lost: saying it again takes nothing twice, and tells which job it is."""
    client = Lossy(redis_url)
    queue = Queue(client)
    names = iter(["first", "second"])

    async def tell() -> list[Any]:
        return await queue.accept([event("1", job(next(names)))])

    (answer,) = await patiently(tell)
    await client.close()
    async with desk_at(redis_url) as desk:
        assert (What.SEEN, "first", 1) == (answer.what, answer.job, answer.place)
        assert [(b"1", b"body of 1")] == await talk(desk)
        assert ["first"] == await desk.serve()


async def test_only_the_newest_lines_are_kept(desk: Desk) -> None:
    """History is capped, body and order alike."""
    desk = desk.limited(keep=3)
    await desk.queue.accept([event(str(n)) for n in range(10)])

    assert [b"7", b"8", b"9"] == [line for line, _ in await talk(desk)]
    assert 3 == await desk.client.do("HLEN", keys.LINES(TALK))


async def test_a_refused_job_leaves_its_line_heard(desk: Desk) -> None:
    """What was said was said, though nobody can answer it now."""
    desk = desk.limited(depth=1)
    accepted = await desk.queue.accept([event("1", job("a1")), event("2", job("b1", "b"))])

    assert [What.QUEUED, What.FULL] == [each.what for each in accepted]
    assert [b"1", b"2"] == [line for line, _ in await talk(desk)]
    assert -1 == await desk.queue.place("b1")


async def test_quick_messages_of_one_person_become_one_turn(desk: Desk) -> None:
    """The first job answers them all, in the order in which they were written."""
    await desk.queue.submit(job("a1"), merge=5)
    answers = [await desk.queue.submit(job(name), merge=5) for name in ("a2", "a3")]

    assert [(What.MERGED, "a1", 1)] * 2 == [(each.what, each.job, each.place) for each in answers]
    assert 1 == (await desk.queue.depths()).live
    assert ("e-a1", "e-a2", "e-a3") == (await desk.queue.get("a1")).events
    claim = await desk.one()
    assert ("e-a1", "e-a2", "e-a3") == claim.job.events
    await desk.queue.fail(claim, "no", final=True)
    assert [("e-a1", "e-a2", "e-a3")] == [letter.job.events for letter in await desk.queue.dead()]


async def test_a_merged_event_is_seen_as_part_of_that_job(desk: Desk) -> None:
    """Redelivered, it names the job that answers it."""
    await desk.queue.accept([Offer(job=job("a1"), merge=5), Offer(seen=keys.SEEN("2"), job=job("a2"), merge=5)])
    (again,) = await desk.queue.accept([Offer(seen=keys.SEEN("2"), job=job("a9"), merge=5)])

    assert (What.SEEN, "a1", 1) == (again.what, again.job, again.place)
    assert ("e-a1", "e-a2") == (await desk.one()).job.events


@pytest.mark.parametrize(
    ("second", "merge"),
    [
        (job("a2", author="you"), 5.0),
        (job("a2", replies="another terminal"), 5.0),
        (job("a2", "b"), 5.0),
        (job("a2"), 0.0),
    ],
    ids=["another person", "another stream", "another conversation", "unwanted"],
)
async def test_what_is_not_one_turn_is_not_merged(desk: Desk, second: Generate, merge: float) -> None:
    """Other people, places and streams have jobs of their own."""
    await desk.queue.submit(job("a1"), merge=5)

    assert What.QUEUED == (await desk.queue.submit(second, merge=merge)).what


async def test_a_job_that_wants_to_be_alone_is_joined_by_none(desk: Desk) -> None:
    """A job submitted without `merge`, such as a regeneration, stays as it is."""
    await desk.queue.submit(job("a1"))

    assert What.QUEUED == (await desk.queue.submit(job("a2"), merge=5)).what


async def test_messages_join_only_the_last_in_the_line(desk: Desk) -> None:
    """When somebody else spoke between, order comes first."""
    for each in (job("a1"), job("a2", author="you"), job("a3")):
        await desk.queue.submit(each, merge=5)

    assert ["a1", "a2", "a3"] == await desk.serve()


async def test_a_message_after_the_pause_is_a_new_turn(desk: Desk) -> None:
    """The pause is counted from the message before, not from the first."""
    await desk.queue.submit(job("a1"), merge=5)
    for name, pause in (("a2", 4000), ("a3", 4000), ("a4", 6000)):
        await desk.client.do("HINCRBY", keys.JOB("a1"), "latest", -pause)  # it passes
        await desk.queue.submit(job(name), merge=5)

    assert ["a1", "a4"] == await desk.queue.jobs(TALK)


@pytest.mark.parametrize("end", ["running", "released", "retried"])
async def test_a_job_that_was_claimed_once_is_joined_no_more(desk: Desk, end: str) -> None:
    """Somebody may have seen the beginning of its answer."""
    await desk.queue.submit(job("a1"), merge=5)
    claim = await desk.one()
    if end == "released":
        await desk.queue.release([claim])
    if end == "retried":
        await desk.queue.fail(claim, "no")

    assert What.QUEUED == (await desk.queue.submit(job("a2"), merge=5)).what


async def test_a_turn_holds_only_so_many_messages(desk: Desk) -> None:
    """As many as a line of jobs; then the line begins to fill, and in the end refuses."""
    desk = desk.limited(line=3)
    answers = [(await desk.queue.submit(job(f"a{n}"), merge=5)).what for n in range(10)]

    assert [What.QUEUED, What.MERGED, What.MERGED] * 3 + [What.FULL] == answers


async def test_an_answer_may_wait_for_more(desk: Desk) -> None:
    """A delayed job is claimed when its time has come, and not before; others go on."""
    await desk.queue.submit(job("a1"), delay=0.15)
    await desk.submit(job("b1", "b"))
    at = int(await desk.client.do("HGET", keys.JOB("a1"), "after"))

    assert ["b1"] == await desk.serve(5)

    claims = []

    async def claimed() -> bool:
        claims.extend(await desk.claim(5))
        return bool(claims)

    await until(claimed)

    assert at <= await desk.ms()
    assert ["a1"] == [claim.job.id for claim in claims]


async def test_each_quick_message_puts_the_answer_off_but_not_for_ever(desk: Desk) -> None:
    """The wait begins anew with each, up to four times; who writes on and on is answered all the same."""
    start = await desk.ms()
    first = await desk.queue.submit(job("a0"), merge=60, delay=10)
    waits = []
    for n in range(1, 6):
        await desk.client.do("HINCRBY", keys.JOB("a0"), "submitted", -8000)  # 8 s pass
        await desk.queue.submit(job(f"a{n}"), merge=60, delay=10)
        waits.append(int(await desk.client.do("HGET", keys.JOB("a0"), "after")) - start)

    assert What.QUEUED == first.what
    assert [10, 10, 10, 8, 0] == [round(wait / 1000) for wait in waits]
    assert [f"e-a{n}" for n in range(6)] == list((await desk.one()).job.events)


async def test_a_quick_message_puts_off_an_answer_that_was_due(desk: Desk) -> None:
    """Not yet claimed, it can still wait for more."""
    await desk.queue.submit(job("a1"), merge=5)
    await desk.queue.submit(job("a2"), merge=5, delay=10)

    assert [] == await desk.claim()
    assert 1 == (await desk.queue.depths()).delayed


async def test_a_delayed_answer_that_is_cancelled_is_waited_for_no_more(desk: Desk) -> None:
    """The next in its line goes at once, and nothing falls due."""
    await desk.queue.submit(job("a1"), delay=10)
    await desk.submit(job("a2"))
    await desk.queue.cancel("a1")

    assert 0 == (await desk.queue.depths()).delayed
    assert ["a2"] == await desk.serve()
    assert set() == await desk.left()
    assert -1 == (await desk.queue.claim("w1", 1))[1]


async def test_a_message_merged_behind_others_does_not_cost_the_turn(desk: Desk) -> None:
    """Only the head of a line can put its conversation off."""
    await desk.submit(job("a1"))
    await desk.queue.submit(job("a2"), merge=5, delay=10)
    await desk.submit(job("b1", "b"))
    await desk.queue.submit(job("a3"), merge=5, delay=10)

    assert ["a1", "b1"] == await desk.serve()


async def test_a_full_redis_refuses_the_whole_batch_and_lets_the_rest_go_on(desk: Desk) -> None:
    """Out of memory, nothing is half taken; what was accepted before can be claimed, answered and cancelled."""
    await desk.queue.accept([event("0", job("a1"))])
    await desk.submit(job("b1", "b"), job("c1", "c"), job("d1", "d"))
    before = await everything(desk)
    (limit,) = (await desk.client.do("CONFIG", "GET", "maxmemory")).values()
    await desk.client.do("CONFIG", "SET", "maxmemory", 1)
    try:
        with pytest.raises(StoreFull, match="out of memory"):
            await desk.queue.accept([event("1"), event("2", job("a2"))])
        assert before == await everything(desk)

        first, second = await desk.claim(2)
        await desk.queue.complete(first, done(first), [("SET", "limen:effect", "x")])
        await desk.queue.fail(second, "no", final=True)
        await desk.queue.cancel("c1")
        assert ["d1"] == await desk.serve()
    finally:
        await desk.client.do("CONFIG", "SET", "maxmemory", limit)

    assert b"x" == await desk.client.do("GET", "limen:effect")
    assert ["b1"] == [letter.job.id for letter in await desk.queue.dead()]


async def test_limits_travel_with_the_batch(desk: Desk) -> None:
    """Each job keeps the number of attempts that its bot allowed."""
    await Queue(desk.client, Limits(attempts=1)).submit(job("a1"))
    await desk.submit(job("b1", "b"))
    await desk.lapse(*await desk.claim(2))

    assert ["b1"] == [claim.job.id for claim in await desk.claim(2)]
    assert ["a1"] == [letter.job.id for letter in await desk.queue.dead()]
