"""CPU per event, by turns: through the library alone, as far as we share its way, and to the queue."""

import gc
import itertools
import statistics
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bench.adapters.payloads import Payload
from bench.adapters.ways import Count, Feed, Hearing, Way, Ways
from bench.report import Spent
from bots.assemble import Parts
from bots.run import beside
from core.engine import Act
from core.intake import Intake

EVENTS, FEW = 1000, 200


class Round(NamedTuple):
    """Microseconds of this process's CPU per event: of a message that calls us, and of one that does not."""

    library: float
    shared: float
    ours: float
    library_ignored: float
    ours_ignored: float
    core_ignored: float
    alone_ignored: float


def figures(rounds: Sequence[Round]) -> dict[str, float]:
    """Medians.

    `added_us`, `ignored_us`: beyond what the library's own dispatch of the same payloads takes, in the same round;
    `own_us`, `own_ignored_us`: beyond that part of it which we really use. `core_ignored_us`: what is left where an
    event has no platform (intake, engine, queue), which no adapter can be cheaper than. `alone_ignored_us`: the whole
    where events are so far apart that none are taken together.
    """

    def median(values: Iterator[float]) -> float:
        return round(statistics.median(values), 1)

    return {
        "added_us": median(one.ours - one.library for one in rounds),
        "library_us": median(one.library for one in rounds),
        "ignored_us": median(one.ours_ignored - one.library_ignored for one in rounds),
        "whole_us": median(one.ours for one in rounds),
        "whole_ignored_us": median(one.ours_ignored for one in rounds),
        "own_us": median(one.ours - one.shared for one in rounds),
        "own_ignored_us": median(one.ours_ignored - one.shared for one in rounds),
        "core_ignored_us": median(one.core_ignored for one in rounds),
        "alone_ignored_us": median(one.alone_ignored for one in rounds),
    }


async def measure(p: Parts, way: Way, payload: Payload, repeats: int) -> dict[str, float]:
    """All rounds of one platform, after one that warms up."""
    engine = p.engine(settle=False)
    intake, numbers = Intake(engine.handle), itertools.count(1)
    async with way(intake, p.desk(engine)) as (ways, hearing):
        work = _rounds(p, ways, hearing, payload, numbers, repeats + 1)
        return figures((await beside(work, intake.run()))[1:])


async def _rounds(
    p: Parts, ways: Ways, hearing: Hearing, payload: Payload, numbers: Iterator[int], repeats: int
) -> list[Round]:
    def fresh(calls: bool, events: int = EVENTS) -> list[str]:
        return [payload(next(numbers), calls) for _ in range(events)]

    async def queued(feed: Feed, payloads: Sequence[str], *expected: Act) -> float:
        await p.client.do("FLUSHALL")
        hearing.acts.clear()
        spent = await _spent(feed, payloads, hearing.came)
        wrong = [act for act in hearing.acts if act not in expected]
        assert not wrong, f"{len(wrong)} events were not {expected[0]}: {set(wrong)}"
        return spent

    async def alone() -> float:
        hearing.one_by_one = True
        try:
            return await queued(ways.ours, fresh(False, FEW), Act.HEARD)
        finally:
            hearing.one_by_one = False

    async def once() -> Round:
        return Round(
            library=await _spent(ways.library, fresh(True), ways.came),
            shared=await _spent(ways.shared, fresh(True), ways.came),
            ours=await queued(ways.ours, fresh(True), Act.QUEUED, Act.MERGED),
            library_ignored=await _spent(ways.library, fresh(False), ways.came),
            ours_ignored=await queued(ways.ours, overheard := fresh(False), Act.HEARD),
            core_ignored=await queued(hearing.again, overheard, Act.HEARD),
            alone_ignored=await alone(),
        )

    return [await once() for _ in range(repeats)]


async def _spent(feed: Feed, payloads: Sequence[str], came: Count) -> float:
    """Until all have come."""
    gc.collect()
    came.expect(len(payloads))
    with Spent() as spent:
        await feed(payloads)
        await came.all()
    return spent.cpu / len(payloads) * 1e6
