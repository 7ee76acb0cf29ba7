"""When nights come: the hour, in the operator's time zone, and the clock that a worker holds.

Whether one is due is read from when the last good run began, never from a timer that fired: so what was missed while
nothing ran, or while somebody else was at it, is caught up with. Knows nothing of training: that is a child's.
"""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from apscheduler.schedulers.asyncio import AsyncIOScheduler  # type: ignore[import-untyped]
from apscheduler.triggers.base import BaseTrigger  # type: ignore[import-untyped]
from apscheduler.triggers.cron import CronTrigger  # type: ignore[import-untyped]
from apscheduler.triggers.interval import IntervalTrigger  # type: ignore[import-untyped]

from core.errors import ConfigError, LimenError, StoreError
from core.store.keys import DAY
from core.store.nights import RUN, Last, Lease, Nights
from worker.night.child import Child
from worker.night.leases import taken, to_the_end, under

log = logging.getLogger("limen.night")
logging.getLogger("apscheduler").setLevel(logging.WARNING)  # it tells of every look

LOOK = 600.0  # seconds between two looks at what was missed, and at trials
AGAIN = 3600.0  # after a run that broke off, the next try; twice as long after each, but at the next hour at last
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
ALLOWED = "expected a time such as 04:00, or five fields of cron"


class Hours(BaseTrigger):  # type: ignore[misc]
    """The times of a cron line in a time zone.

    Reckoned on the clock on the wall, which cron knows nothing about: a time that spring leaves out comes as much
    later, and of one that autumn brings twice only the first counts. As in cron, a day of the month and one of the
    week that are both given are alternatives.
    """

    def __init__(self, line: str, zone: str) -> None:
        """Raises ValueError if it is no cron line, or its time never comes."""
        minute, hour, day, month, weekday = line.split()
        week = weekdays(weekday.lower())
        either = [(day, "*"), ("*", week)] if day != "*" and week != "*" else [(day, week)]
        self._lines = [
            CronTrigger(minute=minute, hour=hour, day=d, month=month.lower(), day_of_week=w, timezone=UTC)
            for d, w in either
        ]
        self.zone = ZoneInfo(zone)
        if self.after(datetime.now(UTC)) is None:
            raise ValueError("there is no such day")

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """What APScheduler asks."""
        return self.after(max(now, previous_fire_time) if previous_fire_time else now)

    def after(self, moment: datetime) -> datetime | None:
        """The first time that is later than `moment`."""
        wall = moment.astimezone(self.zone).replace(tzinfo=UTC, fold=0)
        while found := self._on_the_wall(wall + timedelta(microseconds=1)):
            comes = found.replace(tzinfo=self.zone).astimezone(UTC)
            if comes > moment:
                return comes.astimezone(self.zone)
            wall = found
        return None

    def _on_the_wall(self, wall: datetime) -> datetime | None:
        found = [line.get_next_fire_time(None, wall) for line in self._lines]
        return min((time for time in found if time), default=None)


def weekdays(field: str) -> str:
    """cron's days of the week by name: it counts them from Sunday, APScheduler from Monday. Raises ValueError."""
    if field == "*":
        return field
    return ",".join(dict.fromkeys(DAYS[day % 7] for part in field.split(",") for day in _days(part)))


def _days(part: str) -> Sequence[int]:
    span, _, step = part.partition("/")
    first, _, last = span.partition("-")
    if span == "*":
        first, last = "0", "6"
    begin = _day(first)
    end = _day(last) if last else 6 if step else begin
    return range(begin, end + 1 if end >= begin else end + 8, int(step or 1))


def _day(name: str) -> int:
    if name[:3] in DAYS:
        return DAYS.index(name[:3])
    if name.isdecimal() and int(name) <= 7:
        return int(name)
    raise ValueError(f"{name!r} is no day of the week")


def hours(at: str, zone: str) -> Hours:
    """`night.at` as times to come. Raises ConfigError."""
    clock = re.fullmatch(r"(\d{1,2}):(\d\d)", at.strip())
    line = f"{int(clock[2])} {int(clock[1])} * * *" if clock else at
    try:
        return Hours(line, zone)
    except ValueError as error:
        why = str(error) if len(line.split()) == 5 else f"it has {len(line.split())} fields"
        raise ConfigError(f"night.at: {at!r} is not allowed; {ALLOWED} ({why})", "docs/nights.md shows both") from error


def missed(last_success: float, now: float, hours: Hours) -> bool:
    """Has a night been due since the last good run began? Times in seconds UTC."""
    due = hours.after(datetime.fromtimestamp(last_success, UTC))
    return due is not None and due.timestamp() <= now


class Clock:
    """What a worker holds: at the hour, or later where it was missed, a child runs the night, once for all workers.

    `start` begins the child. `others` is asked whether a worker that runs nothing but nights should do it. `limit`
    bounds the child in seconds: what is cut off goes on the next night. `looks` are done every ten minutes, too.
    """

    def __init__(
        self,
        nights: Nights,
        hours: Hours,
        start: Callable[[], Awaitable[Child]],
        others: Callable[[], Awaitable[bool]],
        limit: float,
        looks: Sequence[Callable[[], Awaitable[object]]] = (),
    ) -> None:
        self._nights, self._hours, self._start, self._others = nights, hours, start, others
        self._limit, self._looks = limit, looks
        self._night: asyncio.Task[None] | None = None
        self._turn, self._leaving = asyncio.Lock(), False
        self._wait, self._pause = AGAIN, (0.0, 0.0)

    @property
    def busy(self) -> bool:
        """Is a child at work?"""
        return self._night is not None and not self._night.done()

    async def run(self) -> None:
        """Until cancelled; the child ends with us."""
        scheduler = AsyncIOScheduler(timezone=UTC)  # in memory: what was missed is read from the last success
        once = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        scheduler.add_job(self.turn, self._hours, id="night", **once)
        now = datetime.now(UTC)
        scheduler.add_job(self.look, IntervalTrigger(seconds=LOOK), id="look", next_run_time=now, **once)
        scheduler.start()
        try:
            await asyncio.Event().wait()
        finally:
            self._leaving = True
            await to_the_end(self._leave(scheduler))

    async def _leave(self, scheduler: AsyncIOScheduler) -> None:
        """End the night, and give back the lease that we have or are about to get."""
        async with self._turn:  # one that the scheduler cut off would keep its lease
            scheduler.shutdown(wait=False)
        if self._night:
            self._night.cancel()
            await asyncio.gather(self._night, return_exceptions=True)

    async def look(self) -> None:
        """Every ten minutes: what was missed, and what else wants to be looked at."""
        for look in (self.turn, *self._looks):
            try:
                await look()
            except LimenError as error:  # in ten minutes again
                log.warning("%s", error)

    async def turn(self) -> None:
        """Begin the night, if one is due and nobody else is at it or about to be."""
        async with self._turn:
            try:
                if self._leaving or self.busy or self._paused() or not await self._due() or await self._others():
                    return
                if lease := await taken(self._nights, RUN):
                    await self._begin(lease)
            except StoreError as error:  # at the next look
                log.warning("%s", error)

    async def _begin(self, lease: Lease) -> None:
        """Unless another has just done it, or we are about to leave: then the lease is nobody's. Raises StoreError."""
        due = False
        try:
            due = await self._due() and not self._leaving
        finally:
            if not due:
                await lease.end()
        if due:
            self._night = asyncio.create_task(self._hold(lease))

    def _paused(self) -> bool:
        begin, end = self._pause
        return begin <= time.time() < end  # before its beginning, the clock was put back

    async def _due(self) -> bool:
        """Asked at a time before the last success, the clock was put back since: from now on it counts."""
        last, now = await self._nights.last_success(), time.time()
        if last > now:
            log.warning("the last night is said to have begun %.0f s from now: it counts as one of now", last - now)
            await self._nights.count_again_from(now)
        return missed(last, now, self._hours)

    async def _hold(self, lease: Lease) -> None:
        """Keep the lease while the child is at work. One that breaks off is tried again, ever more rarely."""
        began = time.time()
        log.info("the night begins")
        try:
            trouble = await under(lease, self._work())
        except (LimenError, OSError) as error:
            trouble = str(error)
        if not trouble:
            log.info("the night has ended")
            self._wait, self._pause = AGAIN, (0.0, 0.0)
            return
        log.error("the night broke off: %s", trouble)
        self._pause, self._wait = (time.time(), self._next_try(time.time())), min(self._wait * 2, DAY)
        try:
            await self._nights.ran(Last(began, time.time(), trouble=trouble))
        except StoreError as error:
            log.warning("%s", error)

    def _next_try(self, now: float) -> float:
        """At the next regular hour at last: others have something to learn then, too."""
        regular = self._hours.after(datetime.fromtimestamp(now, UTC))
        return min(now + self._wait, regular.timestamp() if regular else now + DAY)

    async def _work(self) -> str:
        """Start the child and wait for its end. What went wrong, in words; empty if nothing did."""
        child = await self._start()
        try:
            async with asyncio.timeout(self._limit):
                return await child.trouble()
        except TimeoutError:
            return f"it took more than {self._limit / 60:,.0f} minutes and was ended"
        finally:
            await child.end()
