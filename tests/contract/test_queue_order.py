"""Order, fairness, lanes and bounds of the queue, on a real server."""

from collections.abc import AsyncIterator

import pytest

from core.jobs import Generate, Lane
from core.store import keys
from core.store.queue import What
from tests.fakes.jobs import FIXED, Desk, desk_at, done, job


@pytest.fixture
async def desk(redis_url: str) -> AsyncIterator[Desk]:
    """A desk at an empty queue."""
    async with desk_at(redis_url) as desk:
        yield desk


def background(name: str, talk: str) -> Generate:
    """A job of the background lane."""
    return job(name, talk, lane=Lane.BACKGROUND)


async def test_a_conversation_is_answered_in_order(desk: Desk) -> None:
    """Jobs of one conversation come out as they went in."""
    await desk.submit(*(job(f"j{n}") for n in range(12)))

    assert [f"j{n}" for n in range(12)] == await desk.serve(most=5)


async def test_a_conversation_has_one_job_in_flight(desk: Desk) -> None:
    """A worker with room for ten gets one of each conversation, and the next only when that one is done."""
    await desk.submit(job("a1"), job("a2"), job("b1", "b"))
    first, second = await desk.claim(10)

    assert ["a1", "b1"] == [first.job.id, second.job.id]
    assert [] == await desk.claim(10, "w2")

    await desk.queue.complete(first, done(first))

    assert "a2" == (await desk.one("w2")).job.id


async def test_a_worker_may_claim_more_while_it_runs(desk: Desk) -> None:
    """What comes in later joins the batch at once."""
    await desk.submit(job("a1"))
    await desk.one()
    await desk.submit(job("b1", "b"))

    assert "b1" == (await desk.one()).job.id


async def test_ties_are_first_come_first_served(desk: Desk) -> None:
    """Conversations that have had equally much take turns in the order in which they came."""
    talks = [f"t{n}" for n in range(30)]
    await desk.submit(*(job(f"{talk}-{n}", talk) for n in range(3) for talk in talks))

    assert [f"{talk}-{n}" for n in range(3) for talk in talks] == await desk.serve()


async def test_a_hog_does_not_starve_the_others(desk: Desk) -> None:
    """Twenty jobs of one conversation do not come before the first of a newcomer."""
    await desk.submit(*(job(f"hog{n}", "hog") for n in range(20)))
    claim = await desk.one()
    await desk.queue.complete(claim, done(claim))
    await desk.submit(*(job(f"small{n}", f"s{n}") for n in range(5)))
    order = await desk.serve()

    assert ["small0", "small1", "small2", "small3", "small4", "hog1"] == order[:6]


async def test_a_newcomer_gets_its_share_and_no_more(desk: Desk) -> None:
    """Who comes late takes turns from then on; what others had before is not made up for."""
    await desk.submit(*(job(f"old{n}", "old") for n in range(15)))
    for _ in range(5):
        claim = await desk.one()
        await desk.queue.complete(claim, done(claim))
    await desk.submit(*(job(f"new{n}", "new") for n in range(10)))
    order = await desk.serve()

    assert [name for n in range(5) for name in (f"new{n}", f"old{n + 5}")] == order[:10]


async def test_who_comes_back_after_a_pause_waits_like_a_newcomer(desk: Desk) -> None:
    """A conversation saves up no turns while it is silent, and keeps no debts once nobody waits."""
    await desk.submit(*(job(f"x{n}", "x") for n in range(10)))
    await desk.serve()
    await desk.submit(job("x-again", "x"), job("y", "y"))

    assert ["x-again", "y"] == await desk.serve()


async def test_losing_a_later_job_does_not_cost_the_turn(desk: Desk) -> None:
    """A conversation that is first stays first when a job behind its head is cancelled."""
    await desk.submit(job("a1"), job("a2"), job("b1", "b"))
    await desk.queue.cancel("a2")

    assert ["a1", "b1"] == await desk.serve()


async def test_what_conversations_had_is_remembered_no_longer_than_it_matters(desk: Desk) -> None:
    """Though somebody always waits, the queue's memory of who had what does not grow with the people served."""
    await desk.submit(*(job(f"hog{n}", "hog") for n in range(10)))
    for n in range(200):
        await desk.submit(job(f"small{n}", f"s{n}"), job(f"hog{n + 10}", "hog"))
        for claim in await desk.claim(2):
            await desk.queue.complete(claim, done(claim))

    assert 10 == (await desk.queue.depths()).live
    assert await desk.client.do("ZCARD", keys.SPENT(Lane.LIVE)) <= 4


async def test_people_come_before_files(desk: Desk) -> None:
    """Live jobs overtake the background, but for its floor."""
    await desk.submit(*(background(f"b{n}", f"b{n}") for n in range(20)))
    await desk.submit(*(job(f"l{n}", f"l{n}") for n in range(14)))
    order = await desk.serve()

    assert 2 == sum(name.startswith("b") for name in order[:16])
    assert [f"l{n}" for n in range(14)] == [name for name in order if name.startswith("l")]
    assert [f"b{n}" for n in range(20)] == [name for name in order if name.startswith("b")]


async def test_without_a_floor_files_wait_for_people(desk: Desk) -> None:
    """A floor of nothing is none."""
    desk = desk.limited(floor=0)
    await desk.submit(*(background(f"b{n}", f"b{n}") for n in range(3)))
    await desk.submit(*(job(f"l{n}", f"l{n}") for n in range(20)))

    assert [*(f"l{n}" for n in range(20)), "b0", "b1", "b2"] == await desk.serve()


async def test_a_conversation_changes_lanes_with_its_first_job(desk: Desk) -> None:
    """When a live job before a background one is cancelled, the conversation waits in the background."""
    await desk.submit(job("a1"), background("a2", "a"), job("b1", "b"))
    await desk.queue.cancel("a1")

    assert ["b1", "a2"] == await desk.serve()
    assert (0, 0) == ((await desk.queue.depths()).live, (await desk.queue.depths()).background)


async def test_files_have_everything_while_nobody_talks(desk: Desk) -> None:
    """The background is held back by people only."""
    await desk.submit(*(background(f"b{n}", f"b{n}") for n in range(9)))

    assert 9 == len(await desk.claim(9))


async def test_one_hog_among_the_files_does_not_starve_the_others(desk: Desk) -> None:
    """The background lane is as fair as the live one."""
    await desk.submit(*(background(f"hog{n}", "hog") for n in range(9)))
    await desk.submit(background("small", "s"))

    assert ["hog0", "small", "hog1"] == (await desk.serve())[:3]


async def test_a_full_queue_refuses_and_says_how_long_it_is(desk: Desk) -> None:
    """Beyond the bound a job is refused, named the depth, and leaves nothing behind."""
    desk = desk.limited(depth=3)
    await desk.submit(*(job(f"j{n}", f"t{n}") for n in range(3)))
    before = await desk.left()
    answer = await desk.queue.submit(job("j3", "t3"))

    assert (What.FULL, "", 3) == (answer.what, answer.job, answer.place)
    assert before == await desk.left()
    assert -1 == await desk.queue.place("j3")


async def test_a_job_in_flight_makes_room(desk: Desk) -> None:
    """The bound counts what waits, so a claim lets another in."""
    desk = desk.limited(depth=1)
    await desk.submit(job("j0"))
    await desk.one()

    assert What.QUEUED == (await desk.queue.submit(job("j1", "b"))).what
    assert What.FULL == (await desk.queue.submit(job("j2", "c"))).what


async def test_a_long_line_refuses_but_other_conversations_go_on(desk: Desk) -> None:
    """Each conversation has a bound of its own."""
    desk = desk.limited(line=2)
    await desk.submit(job("a1"), job("a2"))
    answer = await desk.queue.submit(job("a3"))

    assert (What.FULL, 2) == (answer.what, answer.place)
    assert What.QUEUED == (await desk.queue.submit(job("b1", "b"))).what


async def test_files_that_wait_refuse_nobody_who_talks(desk: Desk) -> None:
    """The bound holds for each lane by itself."""
    desk = desk.limited(depth=2)
    await desk.submit(*(background(f"b{n}", f"b{n}") for n in range(2)))

    assert What.FULL == (await desk.queue.submit(background("b2", "b2"))).what
    assert What.QUEUED == (await desk.queue.submit(job("l"))).what


async def test_everybody_has_a_place_in_the_line(desk: Desk) -> None:
    """It counts the answers that are due before; 0 while one is answered, -1 when it is done or unknown."""
    places = [(await desk.queue.submit(job(name, name[0]))).place for name in ("a1", "b1", "a2", "c1")]

    assert [1, 2, 2, 3] == places

    claim = await desk.one()

    assert [0, 1, 2, 3] == [await desk.queue.place(name) for name in ("a1", "b1", "c1", "a2")]

    await desk.queue.complete(claim, done(claim))

    assert -1 == await desk.queue.place("a1")


async def test_a_place_among_the_files_counts_the_people_before_it(desk: Desk) -> None:
    """Live jobs come first, so they count for who waits in the background."""
    await desk.submit(job("l1", "l1"), job("l2", "l2"))

    assert 3 == (await desk.queue.submit(background("b", "b"))).place


async def test_a_job_told_twice_is_queued_once(desk: Desk) -> None:
    """Who lost the answer may submit again."""
    first, second = await desk.queue.submit(job("j")), await desk.queue.submit(job("j"))

    assert first == second
    assert ["j"] == await desk.serve()


async def test_the_jobs_of_a_conversation_can_be_listed(desk: Desk) -> None:
    """The one in flight comes first."""
    await desk.submit(job("a1"), job("a2"), job("b1", "b"), job("a3"))
    await desk.one()

    assert ["a1", "a2", "a3"] == await desk.queue.jobs(job("a1").conversation)


async def test_the_queue_is_told_in_numbers(desk: Desk) -> None:
    """Waiting by lane, ready conversations, delayed ones, leases and dead letters."""
    await desk.submit(job("a1"), job("a2"), job("b1", "b"), background("f", "f"))
    await desk.queue.fail(await desk.one(), "no", final=True)
    await desk.queue.fail(await desk.one(), "later")
    await desk.one()
    depths = await desk.queue.depths()

    assert (1, 1, 1, 1, 1, 1) == (
        depths.live, depths.background, depths.conversations, depths.delayed, depths.leased, depths.dead,
    )  # fmt: skip


async def test_nothing_is_left_when_all_is_done(desk: Desk) -> None:
    """A thousand conversations leave a fixed handful of keys, and no more."""
    for lane in Lane:
        await desk.submit(*(job(f"{lane}{n}", f"t{n}", lane=lane) for n in range(200)))
    assert 400 == len(await desk.serve(most=16))

    assert FIXED == set(await desk.client.scan(keys.QUEUE.pattern + "*"))


async def test_ids_may_hold_any_character(desk: Desk) -> None:
    """NUL, line ends, patterns, braces and every script go through unchanged."""
    odd = ["nul\0", "line\nend\r\n", "{}%s*?[a]\\", "日本語 🦊 é", "limen:q:busy", " ", "'\"$(x)"]
    await desk.submit(*(job(name, name) for name in odd))
    claims = await desk.claim(20)

    assert [job(name, name) for name in odd] == [claim.job for claim in claims]

    for claim in claims:
        await desk.queue.complete(claim, done(claim, claim.job.id))

    assert odd == [result.text for result in await desk.replies()]
    assert set() == await desk.left()
