"""The queue against a simple model of it: whatever happens in whatever order, its promises hold."""

import asyncio
from collections import defaultdict

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import StaleLease
from core.jobs import Done, Failed, Lane
from core.store.queue import Claim, What
from tests.fakes.jobs import Desk, desk_at, done, job

TALKS, MOST_DEPTH, MOST_LINE = 4, 9, 4

number = st.integers(0, 30)
step = st.one_of(
    st.tuples(st.just("submit"), st.integers(0, TALKS - 1), st.sampled_from(list(Lane))),
    st.tuples(st.just("claim"), st.integers(1, 4)),
    st.tuples(
        st.sampled_from(["complete", "fail", "final", "release", "lapse", "late", "cancel", "drop", "requeue"]), number
    ),
)


class Model:
    """What should be: lines of waiting jobs, one in flight in each, and what ended how. Mirrors each step."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.queue = desk, desk.queue
        self.lines: dict[int, list[str]] = defaultdict(list)
        self.lane: dict[str, Lane] = {}
        self.running: dict[str, Claim] = {}
        self.attempts: dict[str, int] = defaultdict(int)
        self.cancelled: set[str] = set()
        self.stale: list[Claim] = []
        self.dead: list[str] = []
        self.finals: dict[str, list[str]] = defaultdict(list)

    def talk(self, name: str) -> int:
        return int(name.split("-")[1])

    def waiting(self, lane: Lane) -> int:
        return sum(self.lane[name] == lane for line in self.lines.values() for name in line)

    def pick(self, names: list[str], n: int) -> str | None:
        return sorted(names)[n % len(names)] if names else None

    async def submit(self, talk: int, lane: Lane) -> None:
        name = f"{len(self.lane):03}-{talk}"
        answer = await self.queue.submit(job(name, f"t{talk}", lane=lane))
        if self.waiting(lane) >= MOST_DEPTH or len(self.lines[talk]) >= MOST_LINE:
            assert What.FULL == answer.what
            return
        assert (What.QUEUED, name) == (answer.what, answer.job)
        self.lines[talk].append(name)
        self.lane[name] = lane

    async def claim(self, most: int) -> None:
        busy = {self.talk(name) for name in self.running}
        ready = {line[0] for talk, line in self.lines.items() if line and talk not in busy}
        claims = await self.desk.claim(most, f"w{len(self.stale)}")
        assert len(claims) == min(most, len(ready))
        for claim in claims:
            name = claim.job.id
            assert name in ready
            self.lines[self.talk(name)].remove(name)
            self.attempts[name] += 1
            assert claim.attempt == self.attempts[name]
            self.running[name] = claim

    def ended(self, name: str, how: str) -> None:
        self.finals[name].append(how)

    def again(self, name: str, counts: bool = True) -> None:
        """It was not completed: first in its line, or over."""
        self.stale.append(self.running.pop(name))
        self.attempts[name] -= not counts
        if name in self.cancelled:
            self.ended(name, "cancelled")
        elif self.attempts[name] >= self.queue.limits.attempts:
            self.dead.append(name)
            self.ended(name, "dead")
        else:
            self.lines[self.talk(name)].insert(0, name)

    async def end(self, how: str, name: str) -> None:
        """A worker is done with a job in one way or another."""
        claim = self.running[name]
        if how == "complete":
            await self.queue.complete(claim, done(claim), [("INCR", f"done:{name}")])
            self.stale.append(self.running.pop(name))
            self.ended(name, "done")
            return
        if how == "final" and name not in self.cancelled:
            self.attempts[name] = 99
        match how:
            case "fail" | "final":
                await self.queue.fail(claim, "no", final=how == "final")
            case "release":
                assert 1 == await self.queue.release([claim])
            case _:
                await self.desk.lapse(claim)
                await self.desk.claim(0)
        self.again(name, counts=how != "release")

    async def late(self, claim: Claim) -> None:
        """A worker that lost its lease tries everything."""
        try:
            await self.queue.complete(claim, done(claim), [("INCR", f"done:{claim.job.id}")])
            raise AssertionError("it was heard")
        except StaleLease:
            assert "stale" == await self.queue.fail(claim, "late", final=True)
            assert 0 == await self.queue.release([claim])

    async def cancel(self, name: str) -> None:
        if name in self.running:
            assert "running" == await self.queue.cancel(name)
            self.cancelled.add(name)
        elif name in self.lines[self.talk(name)]:
            assert "waiting" == await self.queue.cancel(name)
            self.lines[self.talk(name)].remove(name)
            self.ended(name, "cancelled")
        else:
            assert "gone" == await self.queue.cancel(name)

    async def drop(self, name: str) -> None:
        waits = name in self.lines[self.talk(name)]
        assert (waits or name in self.dead) is await self.queue.drop(name)
        if waits:
            self.lines[self.talk(name)].remove(name)
        elif name in self.dead:
            self.dead.remove(name)

    async def requeue(self, name: str) -> None:
        assert 1 == await self.queue.requeue([name])
        self.dead.remove(name)
        self.attempts[name] = 0
        self.lines[self.talk(name)].append(name)

    async def take(self, what: str, *args: int | Lane) -> None:
        """One step."""
        n = int(args[0])
        if what == "submit":
            assert isinstance(args[1], Lane)
            await self.submit(n, args[1])
        elif what == "claim":
            await self.claim(n)
        elif what == "late":
            if self.stale:
                await self.late(self.stale[n % len(self.stale)])
        elif what == "cancel":
            if name := self.pick(list(self.lane), n):
                await self.cancel(name)
        elif what == "drop":
            if name := self.pick(list(self.lane), n):
                await self.drop(name)
        elif what == "requeue":
            if name := self.pick(self.dead, n):
                await self.requeue(name)
        elif name := self.pick(list(self.running), n):
            await self.end(what, name)

    async def check(self) -> None:
        """The server tells the same as we."""
        depths = await self.queue.depths()
        assert [self.waiting(lane) for lane in Lane] == [depths.live, depths.background]
        assert (len(self.running), len(self.dead)) == (depths.leased, depths.dead)
        for talk in range(TALKS):
            ours = [name for name in self.running if self.talk(name) == talk] + self.lines[talk]
            assert ours == await self.queue.jobs(job("x", f"t{talk}").conversation)

    async def drain(self) -> None:
        """Serve what is left; then everything ended as often as it should, and nothing remains."""
        while self.running or any(self.lines.values()):
            for name in list(self.running):
                await self.end("complete", name)
            await self.claim(3)
        await self.check()
        told: dict[str, list[str]] = defaultdict(list)
        for result in await self.desk.replies():
            assert isinstance(result, Done | Failed)
            told[result.job].append("done" if isinstance(result, Done) else "cancelled" if result.cancelled else "dead")
        assert dict(self.finals) == dict(told)
        completed = [name for name, ends in told.items() if "done" in ends]
        effects = {key: int(await self.desk.client.do("GET", key)) for key in await self.desk.client.scan("done:*")}
        assert {f"done:{name}": 1 for name in completed} == effects
        for name in list(self.dead):
            assert await self.queue.drop(name)
        assert [] == await self.desk.claim()  # who finds nothing tidies up
        assert set() == await self.desk.left()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(schedule=st.lists(step, min_size=10, max_size=60))
def test_whatever_happens_each_job_is_answered_once_and_in_order(
    redis_url: str, schedule: list[tuple[str, *tuple[int | Lane, ...]]]
) -> None:
    """Submitted, claimed, failed, lapsed, cancelled, requeued at random: nothing lost or twice, and counters right."""

    async def run() -> None:
        async with desk_at(redis_url, retry=0.0, attempts=2, depth=MOST_DEPTH, line=MOST_LINE) as desk:
            await desk.client.do("FLUSHDB")
            model = Model(desk)
            for what, *args in schedule:
                await model.take(what, *args)
                await model.check()
            await model.drain()

    asyncio.run(run())
