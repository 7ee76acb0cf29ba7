"""What nights found is kept, found again and forgotten; one holder at a time, and none for longer than its lease."""

import asyncio
import time

import msgspec
import pytest

from core.events import PersonaKey
from core.nights import Check, Count, Night, Outcome, Ratings, Sample
from core.store import keys
from core.store.client import Client
from core.store.loras import common
from core.store.nights import MOST, RUN, Last, Nights

MIRA = PersonaKey("discord:b1", "mira", "discord:77:channel:room")
NOA = PersonaKey("discord:b1", "noa", "discord:77:channel:room")
ANN, ANNA = "discord:1", "discord:12"
NOW = time.time()


def night(id: str, persona: PersonaKey = MIRA, began: float = NOW, **more: object) -> Night:
    plain = Night(
        id=id, persona=persona, title="Mira", day="20261127", began=began, ended=began + 60, outcome=Outcome.REJECTED
    )
    return msgspec.structs.replace(plain, **more)


def voted(*people: str) -> Ratings:
    return Ratings(people=tuple(Count(user, votes=3, likes=2, trust=0.5, share=0.1) for user in people))


@pytest.fixture
def nights(client: Client) -> Nights:
    return Nights(client)


async def test_a_night_is_found_by_its_id_and_among_its_personas(nights: Nights) -> None:
    """Newest first, each persona's own and all together."""
    first, second = night("m/1", began=NOW - 9), night("m/2", began=NOW - 5, samples=(Sample("?", "a", "b"),))
    other = night("n/1", NOA, NOW - 7)
    for one in (first, second, other):
        await nights.keep(one)

    assert second == await nights.get("m/2")
    assert [second, first] == await nights.of(MIRA)
    assert [other] == await nights.of(NOA)
    assert [second, other, first] == await nights.latest()
    assert [second] == await nights.latest(1)
    assert await nights.get("m/3") is None


async def test_the_oldest_nights_of_a_persona_go(nights: Nights, client: Client) -> None:
    """Nothing is left of them, and other personas keep theirs."""
    await nights.keep(night("n/1", NOA, NOW - 1000))
    for number in range(MOST + 2):
        await nights.keep(night(f"m/{number}", began=NOW - 500 + number))

    assert MOST == len(await nights.of(MIRA))
    assert (None, None) == (await nights.get("m/0"), await nights.get("m/1"))
    assert "n/1" == (await nights.latest(1000))[-1].id
    assert MOST + 1 == len(await client.scan("limen:night:*"))


async def test_a_run_that_got_to_its_end_is_the_last_success(nights: Nights) -> None:
    """One with trouble is known too, and changes nothing about when the last good one began."""
    assert (0.0, None) == (await nights.last_success(), await nights.last())
    await nights.ran(Last(100.0, 200.0, nights=3))
    await nights.ran(Last(300.0, 301.0, trouble="no disk"))

    assert 100.0 == await nights.last_success()
    assert Last(300.0, 301.0, trouble="no disk") == await nights.last()


async def test_a_new_home_has_nothing_to_catch_up_with(nights: Nights) -> None:
    """The count begins once; a success is not overwritten by it."""
    await nights.count_from(100.0)
    await nights.count_from(200.0)

    assert 100.0 == await nights.last_success()


async def test_who_was_left_is_known_in_order(nights: Nights) -> None:
    """Until the next run says anew."""
    await nights.leave([NOA, MIRA])
    assert [NOA, MIRA] == await nights.left()
    await nights.begin(NOA)
    assert [MIRA] == await nights.left()
    await nights.leave([])

    assert [] == await nights.left()


async def test_of_many_that_want_a_lease_one_gets_it(nights: Nights) -> None:
    """The next one when it is ended; another's end changes nothing."""
    found = await asyncio.gather(*(nights.lease(RUN, f"w{n}") for n in range(20)))
    (lease,) = [lease for lease in found if lease]
    late = await nights.lease(str(MIRA), "w99")
    await nights.disown(RUN, "somebody else")

    assert late is not None  # another name is another lease
    assert lease.holder == await nights.holder(RUN)
    await lease.end()
    assert "" == await nights.holder(RUN)
    assert await nights.lease(RUN, "next")


async def test_a_lease_that_ran_out_cannot_be_renewed(nights: Nights) -> None:
    """Whoever slept too long learns that it is another's now, and cannot end that one's."""
    slept = await nights.lease(RUN, "slept", 0.02)
    assert slept
    async with asyncio.timeout(10):
        while not (mine := await nights.lease(RUN, "mine")):
            await asyncio.sleep(0.01)
    await slept.end()

    assert not await slept.renew()
    assert await mine.renew()
    assert "mine" == await nights.holder(RUN)


async def test_a_renewed_lease_lives_on(nights: Nights, client: Client) -> None:
    """As long again from then."""
    lease = await nights.lease(RUN, "w", 5.0)
    assert lease
    lease.seconds = 500.0

    assert await lease.renew()
    assert await client.do("PTTL", "limen:night-lease:run") > 400_000


async def test_somebody_who_is_forgotten_is_in_no_night(nights: Nights, client: Client) -> None:
    """Neither their part, nor their id in any text, nor samples that may quote them; others' parts stay."""
    told = {"reasons": (f"{ANN} and {ANNA} disagree",), "notes": (f"{ANN}: a burst",)}
    check = Check("agreement", 0.1, "≥ 0.2", passed=False, why=f"but for {ANN}")
    spoken = {"samples": (Sample(f"I am {ANN}", "", ""),)}
    await nights.keep(night("m/1", ratings=voted(ANN, ANNA), checks=(check,), **told, **spoken))
    await nights.keep(night("n/1", NOA, ratings=voted(ANNA), **spoken))

    assert 2 == await nights.forget(ANN, [NOA], everywhere=True)

    one, other = await nights.get("m/1"), await nights.get("n/1")
    assert one
    assert other
    assert [ANNA] == [count.user for count in one.ratings.people]
    assert (f"[forgotten] and {ANNA} disagree",) == one.reasons
    assert ("[forgotten]: a burst", "but for [forgotten]") == (one.notes[0], one.checks[0].why)
    assert ((), ()) == (one.samples, other.samples)
    assert voted(ANNA) == other.ratings
    assert [] == await nights.about(ANN)
    assert 2 == len(await nights.about(ANNA))
    assert await client.do("TTL", "limen:night:m%2F1") > 0


async def test_one_persona_alone_can_forget_somebody(nights: Nights) -> None:
    """What other personas' nights say of them stays."""
    await nights.keep(night("m/1", ratings=voted(ANN)))
    await nights.keep(night("n/1", NOA, ratings=voted(ANN)))

    assert 1 == await nights.forget(ANN, [MIRA], everywhere=False)
    assert ["n/1"] == [one.id for one in await nights.about(ANN)]
    assert voted(ANN) == (await nights.of(NOA))[0].ratings


async def test_somebody_who_is_forgotten_while_a_night_goes_on_is_not_in_it(nights: Nights, client: Client) -> None:
    """It began with them, and is kept without; the next night is kept as it is."""
    began = time.time()
    await nights.forget(ANN, [NOA], everywhere=True)
    talk = (Sample("I am Ann", "", ""),)
    await nights.keep(night("m/1", began=began, ratings=voted(ANN, ANNA), samples=talk))
    await nights.keep(night("n/1", NOA, began, samples=talk))
    await nights.keep(night("n/2", NOA, time.time() + 1, samples=talk))

    (mira,) = await nights.of(MIRA)
    assert [ANNA] == [count.user for count in mira.ratings.people]
    assert [talk, ()] == [one.samples for one in await nights.of(NOA)]
    assert [] == await nights.about(ANN)
    assert ANN not in str(await client.do("ZRANGE", keys.NIGHT_GONE.pattern, 0, -1))


async def test_forgotten_by_one_persona_meanwhile(nights: Nights) -> None:
    """Its night and its card's are kept without them, others' with them."""
    began, talk = time.time(), (Sample("I am Ann", "", ""),)
    await nights.forget(ANN, [MIRA], everywhere=False)
    for key in (MIRA, common(MIRA), NOA):
        await nights.keep(night(f"{key}/1", key, began, ratings=voted(ANN), samples=talk))

    found = [(await nights.of(key))[0] for key in (MIRA, common(MIRA), NOA)]
    assert [0, 0, 1] == [len(one.ratings.people) for one in found]
    assert [(), (), talk] == [one.samples for one in found]


@pytest.mark.parametrize("everywhere", [True, False])
async def test_what_all_scopes_of_a_card_found_forgets_with_each_of_them(nights: Nights, everywhere: bool) -> None:
    """Their part and the samples; what another card's scopes found stays."""
    talk = (Sample("I am Ann", "", ""),)
    await nights.keep(night("m*/1", common(MIRA), ratings=voted(ANN, ANNA), samples=talk))
    await nights.keep(night("n*/1", common(NOA), ratings=voted(ANNA), samples=talk))

    assert 1 == await nights.forget(ANN, [MIRA], everywhere=everywhere)
    (mira,), (noa,) = await nights.of(common(MIRA)), await nights.of(common(NOA))
    assert (voted(ANNA), ()) == (mira.ratings, mira.samples)
    assert talk == noa.samples
    assert [] == await nights.about(ANN)
