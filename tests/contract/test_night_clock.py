"""The nightly run over real Redis: begun once, kept going past broken personas, continued after a kill."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from core.errors import LoraError, StaleLease, StoreFull
from core.events import PersonaKey
from core.nights import Night, Outcome
from core.store import keys
from core.store.client import Client
from core.store.nights import RUN, Last, Nights
from tests.fakes.jobs import until
from worker.night.all import CUT_OFF, Terms, everyone, one, order
from worker.night.child import Child
from worker.night.leases import taken, under
from worker.night.schedule import Clock, hours

TERMS = Terms("20261127")
DEAD = "{host}:999999999:1"


def key(name: str) -> PersonaKey:
    return PersonaKey("discord:b1", name, "discord:77:channel:room")


@dataclass(frozen=True)
class Due:
    """Somebody who has something to learn."""

    persona: PersonaKey
    effective: float = 60.0


@dataclass
class Seen:
    """Who heard what of a night."""

    told: list[str] = field(default_factory=list)

    def begins(self, persona: PersonaKey) -> None:
        self.told.append(f"{persona.card} begins")

    def ended(self, night: Night) -> None:
        self.told.append(f"{night.persona.card} {night.outcome}")

    def passed(self, persona: PersonaKey, why: str) -> None:
        self.told.append(f"{persona.card} passed")


async def learn(persona: PersonaKey) -> Night:
    """A night that comes to nothing."""
    now = time.time()
    return Night(
        id=f"{persona.card}/1", persona=persona, title=persona.card, day="20261127", began=now, ended=now,
        outcome=Outcome.UNDECIDED,
    )  # fmt: skip


@pytest.fixture
def nights(client: Client) -> Nights:
    return Nights(client)


def test_who_was_left_is_first_and_then_who_has_most_to_learn() -> None:
    """Nobody twice; who was left and has nothing to learn any more is not there."""
    due = [Due(key(name)) for name in ("much", "more", "some")]

    assert ["some", "much", "more"] == [p.card for p in order(due, [key("some"), key("gone")])]


async def test_one_broken_persona_fails_alone(nights: Nights) -> None:
    """Its night says what happened; the others have theirs, and the run is a success."""

    async def broken(persona: PersonaKey) -> Night:
        if persona.card == "bad":
            raise ZeroDivisionError("a NaN, say")
        if persona.card == "worse":
            raise LoraError("no such LoRA")
        return await learn(persona)

    seen = Seen()
    done = await everyone(nights, [Due(key(name)) for name in ("bad", "worse", "good")], broken, TERMS, seen)

    assert [Outcome.FAILED, Outcome.FAILED, Outcome.UNDECIDED] == [night.outcome for night in done]
    (bad,), (worse,) = await nights.of(key("bad")), await nights.of(key("worse"))
    assert (("ZeroDivisionError: a NaN, say",), ("no such LoRA",)) == (bad.notes, worse.notes)
    assert ["bad begins", "bad failed"] == seen.told[:2]
    last = await nights.last()
    assert last
    assert (3, 2, 0, "") == (last.nights, last.failed, last.left, last.trouble)
    assert last.began == await nights.last_success()


async def test_a_full_redis_ends_the_run(nights: Nights) -> None:
    """That is nobody's own trouble: it is no success, and whoever waits goes on waiting."""

    async def full(persona: PersonaKey) -> Night:
        raise StoreFull("no memory")

    with pytest.raises(StoreFull):
        await everyone(nights, [Due(key("mira")), Due(key("noa"))], full, TERMS, Seen())
    assert (0.0, [key("noa")]) == (await nights.last_success(), await nights.left())
    assert "" == await nights.holder(str(key("mira")))


async def test_what_the_budget_leaves_is_first_the_next_night(nights: Nights) -> None:
    """In its order, and counted."""
    due = [Due(key(name)) for name in ("a", "b", "c")]
    none = await everyone(nights, due, learn, Terms("20261127", budget=0), Seen())

    assert ([], [key("a"), key("b"), key("c")]) == (none, await nights.left())
    last = await nights.last()
    assert last
    assert (0, 3) == (last.nights, last.left)
    done = await everyone(nights, [Due(key("new")), *due[1:]], learn, TERMS, Seen())
    assert ["b", "c", "new"] == [night.persona.card for night in done]
    assert [] == await nights.left()


async def test_after_a_kill_the_next_run_goes_on_behind(nights: Nights) -> None:
    """Nobody's lease is held, whoever waited is first, and the one that it was killed at comes after them."""
    due = [Due(key(name)) for name in ("a", "b", "c")]
    begun = asyncio.Event()

    async def endless(persona: PersonaKey) -> Night:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    task = asyncio.create_task(everyone(nights, due, endless, TERMS, Seen()))
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])

    assert "" == await nights.holder(str(key("a")))
    done = await everyone(nights, due, learn, TERMS, Seen())
    assert ["b", "c", "a"] == [night.persona.card for night in done]


class Gone(BaseException):
    """The process was killed: nobody handles it."""


async def test_one_that_no_process_survives_keeps_nobody_waiting(nights: Nights) -> None:
    """It goes last, however much it has to learn; and after a few times it is set aside for a run, and its night says
    why. Then it is tried once more; a night that ends makes good for all."""
    due = [Due(key("bad")), Due(key("good"))]
    tried = []

    async def killing(persona: PersonaKey) -> Night:
        tried.append(persona.card)
        if persona.card == "bad":
            raise Gone
        return await learn(persona)

    for _ in range(CUT_OFF):
        with pytest.raises(Gone):
            await everyone(nights, due, killing, TERMS, Seen())
    good, bad = await everyone(nights, due, killing, TERMS, Seen())

    assert ["bad", *["good", "bad"] * (CUT_OFF - 1), "good"] == tried
    assert (Outcome.UNDECIDED, Outcome.FAILED) == (good.outcome, bad.outcome)
    assert "cut off 3 times in a row" in bad.notes[0]
    assert bad == (await nights.of(key("bad")))[0]
    assert await nights.last_success()
    with pytest.raises(Gone):
        await everyone(nights, due, killing, TERMS, Seen())
    assert {key("bad"): CUT_OFF} == await nights.cut_off()
    await one(nights, key("bad"), learn, TERMS, Seen())
    assert {} == await nights.cut_off()


async def test_whoever_is_stopped_has_nothing_to_answer_for(nights: Nights) -> None:
    """A run that is ended, or a Redis that is full, sets nobody aside; but its night goes behind the others."""

    async def full(persona: PersonaKey) -> Night:
        raise StoreFull("no memory")

    for _ in range(CUT_OFF + 1):
        with pytest.raises(StoreFull):
            await everyone(nights, [Due(key("mira"))], full, TERMS, Seen())
    assert {key("mira"): 0} == await nights.cut_off()
    done = await everyone(nights, [Due(key("mira")), Due(key("noa"))], learn, TERMS, Seen())

    assert ["noa", "mira"] == [night.persona.card for night in done]


async def test_a_persona_that_another_process_trains_is_passed_over(nights: Nights) -> None:
    """Its lease says so; the others have their night."""
    assert await nights.lease(str(key("mira")), "elsewhere:1:1")
    seen = Seen()
    done = await everyone(nights, [Due(key("mira")), Due(key("noa"))], learn, TERMS, seen)

    assert ["noa"] == [night.persona.card for night in done]
    assert ["mira passed", "noa begins", "noa undecided"] == seen.told


async def test_a_rehearsal_keeps_nothing(nights: Nights, client: Client) -> None:
    """No result, no success, no order for tomorrow."""
    await everyone(nights, [Due(key("mira"))], learn, Terms("20261127", keep=False), Seen())

    assert [] == await client.scan("*")


async def test_the_lease_of_the_dead_is_taken_over_at_once(nights: Nights) -> None:
    """On this machine it can be told that they are; anybody else's must run out."""
    import socket

    assert await nights.lease(RUN, DEAD.format(host=socket.gethostname()))
    assert await nights.lease("other", DEAD.format(host="elsewhere"))

    assert await taken(nights, RUN)
    assert await taken(nights, "other") is None


async def test_work_ends_with_its_lease(nights: Nights, client: Client) -> None:
    """Another may have begun: what was going on is given up, and the other's lease stays."""
    lease = await nights.lease(RUN, "mine", 0.4)
    assert lease
    await client.do("SET", keys.NIGHT_LEASE(RUN), "another's")
    with pytest.raises(StaleLease):
        await under(lease, asyncio.sleep(1000))

    assert "another's" == await nights.holder(RUN)


class Sleeper:
    """Starts children that run a line of shell, and counts them."""

    def __init__(self, folder: Path, line: str) -> None:
        self.folder, self.line = folder, line
        self.children: list[Child] = []

    async def start(self) -> Child:
        argv = ["/bin/sh", "-c", self.line]
        self.children.append(await Child.start(argv, self.folder, {}, self.folder / "night.log"))
        return self.children[-1]


async def nobody() -> bool:
    return False


Make = Callable[..., Clock]


@pytest.fixture
async def clock(nights: Nights) -> AsyncIterator[Make]:
    """Clocks that run, and are stopped at the end."""
    tasks: list[asyncio.Task[None]] = []

    def make(sleeper: Sleeper, others: object = nobody, limit: float = 1000.0) -> Clock:
        made = Clock(nights, hours("04:00", "UTC"), sleeper.start, others, limit)  # type: ignore[arg-type]
        tasks.append(asyncio.create_task(made.run()))
        return made

    yield make
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_missed_night_is_caught_up_with_once_by_whichever_worker(
    nights: Nights, tmp_path: Path, clock: Make
) -> None:
    """Two clocks start; one child does; when the clock ends, so does the child."""
    sleeper = Sleeper(tmp_path, "sleep 1000")
    first, second = clock(sleeper), clock(sleeper)
    await until(lambda: _true(first.busy or second.busy))
    for each in (first, second):
        await each.turn()

    assert 1 == len(sleeper.children)
    assert {True, False} == {first.busy, second.busy}
    assert await nights.holder(RUN)


class Interrupting:
    """A client that has `whom` cancelled while its command number `at` is on its way."""

    def __init__(self, client: Client, at: int) -> None:
        self._client, self._left = client, at
        self.whom: asyncio.Task[None] | None = None

    def __getattr__(self, name: str) -> object:
        command = getattr(self._client, name)

        async def call(*args: object) -> object:
            self._left -= 1
            if self._left == 0 and self.whom:
                asyncio.get_running_loop().call_soon(self.whom.cancel)
            return await command(*args)

        return call


@pytest.mark.parametrize("at", range(1, 6))
async def test_a_worker_that_goes_gives_the_run_back(client: Client, at: int) -> None:
    """Whichever command it is at: asking what is due, taking the lease, asking again, ending, giving it back."""
    nights = Nights(Interrupting(client, at))  # type: ignore[arg-type]
    held: list[str] = []

    class Quick:
        async def trouble(self) -> str:
            held.append(await Nights(client).holder(RUN))
            await nights.count_again_from(time.time())
            return ""

        async def end(self) -> None:
            pass

    async def start() -> Quick:
        return Quick()

    made = Clock(nights, hours("04:00", "UTC"), start, nobody, 1000.0)  # type: ignore[arg-type]
    task = asyncio.create_task(made.run())
    nights._client.whom = task  # type: ignore[attr-defined]
    await asyncio.wait((task,), timeout=30)

    assert task.cancelled()
    assert "" == await Nights(client).holder(RUN)
    assert (at > 3) == bool(held and held[0])


async def _true(what: bool) -> bool:
    return what


async def test_no_night_is_begun_before_its_hour(nights: Nights, tmp_path: Path, clock: Make) -> None:
    """The last one began a moment ago."""
    await nights.count_from(time.time())
    sleeper = Sleeper(tmp_path, "sleep 1000")
    await clock(sleeper).turn()

    assert [] == sleeper.children


async def test_a_worker_of_nights_alone_goes_first(nights: Nights, tmp_path: Path, clock: Make) -> None:
    """While it lives, the others leave nights to it."""
    sleeper = Sleeper(tmp_path, "sleep 1000")
    await clock(sleeper, others=lambda: _true(True)).turn()

    assert [] == sleeper.children
    assert "" == await nights.holder(RUN)


@pytest.mark.parametrize(
    ("line", "limit", "why"),
    [
        ("echo 'no disk' >&2; exit 3", 1000.0, "status 3 (no disk)"),
        ("kill -9 $$", 1000.0, "signal 9"),
        ("sleep 1000", 0.3, "minutes and was ended"),
    ],
)
async def test_a_run_that_breaks_off_is_known_and_not_tried_at_once(
    line: str, limit: float, why: str, nights: Nights, tmp_path: Path, clock: Make
) -> None:
    """Its trouble is kept, its lease is free for others, and it is still due."""
    sleeper = Sleeper(tmp_path, line)
    made = clock(sleeper, limit=limit)
    await until(lambda: _told(nights, why))
    await until(lambda: _true(not made.busy))
    await made.turn()

    assert 1 == len(sleeper.children)
    assert (0.0, "") == (await nights.last_success(), await nights.holder(RUN))


async def test_a_last_success_that_is_yet_to_come_counts_as_one_of_now(
    nights: Nights, tmp_path: Path, clock: Make
) -> None:
    """The clock was a year ahead and was put back: the next night is due at its next hour, not in a year."""
    await nights.count_from(time.time() + 365 * keys.DAY)
    before = time.time()
    await clock(Sleeper(tmp_path, "sleep 1000")).turn()

    assert before <= await nights.last_success() <= time.time()


async def _told(nights: Nights, why: str) -> bool:
    last: Last | None = await nights.last()
    return last is not None and why in last.trouble


async def test_one_persona_by_hand(nights: Nights) -> None:
    """Kept like any other; who is left for the night is another matter."""
    await nights.leave([key("noa")])
    night = await one(nights, key("mira"), learn, TERMS, Seen())

    assert night == (await nights.of(key("mira")))[0]
    assert [key("noa")] == await nights.left()
    assert 0.0 == await nights.last_success()
