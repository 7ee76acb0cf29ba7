"""What a new job has to pass before it is queued: bounds, turns of bots, and being alone; and orders to stop."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from core.jobs import Generate
from core.store import keys
from core.store.client import Client
from core.store.queue import Accepted, Bound, Gate, Offer, Queue, Stop, Turns, What
from tests.fakes.jobs import Desk, desk_at, done, job

MINE = Bound(key=keys.ASKED("ann"), most=2, window=60, told=keys.ASKED_TOLD("ann"), note="wait")
OURS = Bound(key=keys.SPOKEN("room"), most=3, window=60, told=keys.SPOKEN_TOLD("room"), note="wait, all")
QUIETLY = Bound(key=keys.OVERHEARD("room"), most=1, window=3600)


@pytest.fixture
async def desk(redis_url: str) -> AsyncIterator[Desk]:
    """A desk at an empty queue."""
    async with desk_at(redis_url) as desk:
        yield desk


def asks(name: str, *bounds: Bound, talk: str = "a") -> Offer:
    """An event that brings a job under these bounds."""
    return Offer(seen=keys.SEEN(name), job=job(name, talk), gate=Gate(bounds=bounds))


async def accept(desk: Desk, *offers: Offer) -> list[tuple[What, int]]:
    """What became of each, and its place."""
    return [(each.what, each.place) for each in await desk.queue.accept(offers)]


async def pass_by(desk: Desk, bound: Bound, seconds: float) -> None:
    """So much time passes for what a bound has counted."""
    for member in await desk.client.do("ZRANGE", bound.key, 0, -1):
        await desk.client.do("ZINCRBY", bound.key, -1000 * seconds, member)


async def test_over_a_bound_people_are_told_once_and_then_nothing(desk: Desk) -> None:
    """Of the bound that was reached first; whoever comes after it counts nothing in the others."""
    answers = await accept(desk, *(asks(f"j{n}", MINE, OURS, talk=f"t{n}") for n in range(5)))

    assert [(What.QUEUED, 1), (What.QUEUED, 2), (What.OVER, 1), (What.OVER, 0), (What.OVER, 0)] == answers
    assert 2 == (await desk.queue.depths()).live
    assert [2, 2] == [await desk.client.do("ZCARD", bound.key) for bound in (MINE, OURS)]
    others = await accept(desk, *(asks(f"o{n}", OURS, talk=f"o{n}") for n in range(2)))
    assert [What.QUEUED, What.OVER] == [what for what, _ in others]
    assert 1 == others[1][1]


async def test_the_window_slides(desk: Desk) -> None:
    """There is room again for each answer as soon as it is so old, not for all of them at a stroke."""
    await accept(desk, asks("j1", MINE, talk="1"))
    await pass_by(desk, MINE, 40)
    await accept(desk, asks("j2", MINE, talk="2"))
    assert [(What.OVER, 1)] == await accept(desk, asks("j3", MINE, talk="3"))
    await pass_by(desk, MINE, 21)

    assert [What.QUEUED, What.OVER] == [
        what for what, _ in await accept(desk, asks("j4", MINE, talk="4"), asks("j5", MINE, talk="5"))
    ]


async def test_all_that_is_counted_is_gone_with_its_window(desk: Desk) -> None:
    """Every key has a lifetime."""
    bots = Gate(bounds=(MINE, OURS, QUIETLY), turns=Turns(keys.BOT_TURNS("room"), 9))
    await desk.queue.accept([Offer(job=job("1", "1"), gate=bots)])
    await accept(desk, asks("2", MINE, talk="2"), asks("3", MINE, talk="3"))
    lives = {key: await desk.client.do("PTTL", key) for key in (MINE.key, MINE.told, OURS.key, QUIETLY.key)}
    lives[keys.BOT_TURNS("room")] = await desk.client.do("PTTL", keys.BOT_TURNS("room"))

    for key, life in lives.items():
        most = 86_400_000 if "bot" in key else 3_600_000 if "overheard" in key else 60_000
        assert most - 30_000 < life <= most, key


async def test_a_redelivered_event_is_counted_once_and_refused_once(desk: Desk) -> None:
    """Both the answer that was given and the one that was not are remembered."""
    first, second, third = (asks(name, MINE, talk=name) for name in "123")
    await accept(desk, first, second, third)
    again = await accept(desk, first, second, third)

    assert [What.SEEN] * 3 == [what for what, _ in again]
    assert 2 == await desk.client.do("ZCARD", MINE.key)


async def test_however_many_ask_at_once_no_more_are_answered(redis_url: str) -> None:
    """Several processes, each with a client of its own: as many answers as there may be, and one is told."""
    clients = [Client(redis_url) for _ in range(4)]
    each = [[asks(f"{c}-{n}", OURS, talk=f"{c}-{n}") for n in range(10)] for c in range(4)]
    told: list[list[Accepted]] = await asyncio.gather(
        *(Queue(client).accept([offer]) for client, offers in zip(clients, each, strict=True) for offer in offers)
    )
    for client in clients:
        await client.close()
    answers = [answer for (answer,) in told]

    assert 3 == sum(answer.what == What.QUEUED for answer in answers)
    assert [1] == [answer.place for answer in answers if answer.what == What.OVER and answer.place]


async def test_what_joins_a_waiting_answer_costs_nothing(desk: Desk) -> None:
    """A turn of several quick messages is one answer, and the last of them is taken even where no other would be."""
    offers = [Offer(job=job(name), merge=5, gate=Gate(bounds=(QUIETLY,))) for name in ("1", "2", "3")]

    assert [What.QUEUED, What.MERGED, What.MERGED] == [what for what, _ in await accept(desk, *offers)]
    assert 1 == await desk.client.do("ZCARD", QUIETLY.key)


async def test_what_is_refused_for_a_long_line_is_not_counted(desk: Desk) -> None:
    """Nobody pays for an answer that they do not get."""
    desk = desk.limited(line=1)
    await accept(desk, asks("1", MINE), asks("2", MINE))

    assert 1 == await desk.client.do("ZCARD", MINE.key)


def bot(name: str) -> Offer:
    """Another bot says something that we would answer."""
    return Offer(job=job(name, name), gate=Gate(turns=Turns(keys.BOT_TURNS("room"), 3)))


async def test_bots_are_answered_so_often_until_a_person_speaks(desk: Desk) -> None:
    """However long they go on; a person's word sets the count back."""
    answers = await accept(desk, *(bot(f"b{n}") for n in range(6)))
    assert [What.QUEUED] * 3 + [What.HEARD] * 3 == [what for what, _ in answers]
    await desk.client.do("EXPIRE", keys.BOT_TURNS("room"), 5)
    assert [What.HEARD] == [what for what, _ in await accept(desk, bot("b6"))]
    assert 86_000 < await desk.client.do("TTL", keys.BOT_TURNS("room"))

    person = Offer(seen=keys.SEEN("p"), reset=keys.BOT_TURNS("room"))
    await accept(desk, person)
    answers = await accept(desk, *(bot(f"c{n}") for n in range(2)), person, *(bot(f"d{n}") for n in range(3)))
    assert [What.QUEUED] * 2 + [What.SEEN, What.QUEUED] + [What.HEARD] * 2 == [what for what, _ in answers]


def overhears(name: str, at: float) -> Offer:
    """Something is overheard."""
    return Offer(job=job(name, author=name), gate=Gate(alone=at))


async def test_the_overheard_is_answered_only_while_nothing_else_is_to_be_said(desk: Desk) -> None:
    """Not in the same batch, not while an answer waits or is written, and not if it was said before that was there."""
    now = time.time()
    assert [What.QUEUED, What.HEARD] == [
        what for what, _ in await accept(desk, overhears("1", now), overhears("2", now))
    ]
    claim = await desk.one()
    assert [What.HEARD] == [what for what, _ in await accept(desk, overhears("3", now))]
    spoke = ("HSET", keys.TALK(claim.job.conversation), "session", 1, "spoke", now + 5)
    await desk.queue.complete(claim, done(claim), [spoke])

    assert [What.HEARD] == [what for what, _ in await accept(desk, overhears("4", now + 4))]
    assert [What.QUEUED] == [what for what, _ in await accept(desk, overhears("5", now + 6))]


def stops(talk: Generate, author: str = "") -> Offer:
    """Somebody says stop; it would be answered, were there nothing to stop."""
    return Offer(seen=keys.SEEN(f"stop {author}"), stop=Stop(talk.conversation, author), job=job("answer"))


async def test_an_order_stops_what_waits_and_what_is_written(desk: Desk) -> None:
    """Only there, and it is not answered. Told again, it stops nothing that came later."""
    first = job("1")
    await desk.submit(first, job("2", author="you"), job("other", "b"))
    claim = await desk.one()

    assert [(What.STOPPED, 0)] == await accept(desk, stops(first))
    assert ["cancel"] == await desk.queue.beat([claim])
    assert ["2"] == [failed.job for failed in await desk.failures()]
    assert 1 == await desk.queue.place("other")
    await desk.queue.complete(claim, done(claim))
    await desk.submit(job("3"))
    assert [What.SEEN] == [what for what, _ in await accept(desk, stops(first))]
    assert ["other", "3"] == await desk.serve()


async def test_an_order_of_one_person_may_stop_what_is_said_to_them_alone(desk: Desk) -> None:
    """Where it was not said to us, the answers to others go on."""
    await desk.submit(job("1", author="ann"), job("2", author="bob"))

    assert [What.STOPPED] == [what for what, _ in await accept(desk, stops(job("1"), "bob"))]
    assert ["1"] == await desk.serve()


async def test_where_nothing_is_to_be_stopped_it_is_talk(desk: Desk) -> None:
    """Then it is answered like everything else."""
    assert [What.QUEUED] == [what for what, _ in await accept(desk, stops(job("1")))]
    assert ["answer"] == await desk.serve()
