"""When nights come: hours in a time zone, what was missed, and a clock that begins a night once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from core.errors import ConfigError
from core.settings import Settings
from worker.night import schedule
from worker.night.child import Child, capped, threads
from worker.night.schedule import hours, missed, weekdays

VIENNA = ZoneInfo("Europe/Vienna")


def at(*when: int, fold: int = 0) -> datetime:
    """A time in Vienna."""
    return datetime(*when, tzinfo=VIENNA, fold=fold)


def coming(line: str, after: datetime, number: int = 3) -> list[str]:
    """The next times, as a clock on the wall shows them, with the offset from UTC."""
    found, moment = [], after
    for _ in range(number):
        moment = hours(line, "Europe/Vienna").after(moment)
        assert moment
        found.append(f"{moment:%a %d %H:%M %z}")
    return found


def test_the_default_hour_is_understood() -> None:
    """`04:00`, each day, in the operator's time zone."""
    assert ["Fri 27 04:00 +0100", "Sat 28 04:00 +0100"] == coming(Settings().night.at, at(2026, 11, 27, 3, 59), 2)


@pytest.mark.parametrize(
    ("line", "comes"),
    [
        ("4:00", ["Fri 27 04:00 +0100", "Sat 28 04:00 +0100", "Sun 29 04:00 +0100"]),
        ("30 3 * * *", ["Fri 27 03:30 +0100", "Sat 28 03:30 +0100", "Sun 29 03:30 +0100"]),
        ("0 4 * * 0", ["Sun 29 04:00 +0100", "Sun 06 04:00 +0100", "Sun 13 04:00 +0100"]),  # cron's Sunday
        ("0 4 * * 7", ["Sun 29 04:00 +0100", "Sun 06 04:00 +0100", "Sun 13 04:00 +0100"]),
        ("0 4 * * MON-FRI", ["Fri 27 04:00 +0100", "Mon 30 04:00 +0100", "Tue 01 04:00 +0100"]),
        ("0 4 30 * sun", ["Sun 29 04:00 +0100", "Mon 30 04:00 +0100", "Sun 06 04:00 +0100"]),  # either of them
        ("0 */12 * * *", ["Fri 27 12:00 +0100", "Sat 28 00:00 +0100", "Sat 28 12:00 +0100"]),
    ],
)
def test_hours_are_read_as_cron_reads_them(line: str, comes: list[str]) -> None:
    """A time, or five fields; the week begins on Sunday."""
    assert comes == coming(line, at(2026, 11, 27, 0, 0))


@pytest.mark.parametrize(
    ("field", "names"),
    [
        ("*", "*"),
        ("1-5", "mon,tue,wed,thu,fri"),
        ("5-1", "fri,sat,sun,mon"),
        ("fri-mon", "fri,sat,sun,mon"),
        ("*/2", "sun,tue,thu,sat"),
        ("0,7", "sun"),
        ("monday", "mon"),
    ],
)
def test_days_of_the_week_go_by_name(field: str, names: str) -> None:
    """cron counts from Sunday, APScheduler from Monday."""
    assert names == weekdays(field)


@pytest.mark.parametrize(
    "line", ["25:00", "04:60", "noon", "", "0 4 * *", "0 4 * * 8", "61 4 * * *", "0 4 31 2 *", "a b c d e", "0 4 * * x"]
)
def test_an_hour_that_is_none_stops_the_start(line: str) -> None:
    """With its value, and what is allowed."""
    with pytest.raises(ConfigError, match=r"night\.at: .* is not allowed; expected a time such as 04:00, or five"):
        hours(line, "UTC")


def test_an_hour_that_spring_leaves_out_comes_later_that_day() -> None:
    """02:30 is not there on that Sunday: it is 03:30 then."""
    assert ["Sat 28 02:30 +0100", "Sun 29 03:30 +0200", "Mon 30 02:30 +0200"] == coming("2:30", at(2026, 3, 28, 0, 0))


def test_an_hour_that_autumn_brings_twice_counts_once() -> None:
    """Its first time; from within the second, the next is tomorrow's."""
    assert ["Sat 24 02:30 +0200", "Sun 25 02:30 +0200", "Mon 26 02:30 +0100"] == coming("2:30", at(2026, 10, 24, 0, 0))
    assert ["Mon 26 02:30 +0100"] == coming("2:30", at(2026, 10, 25, 2, 10, fold=1), 1)


@pytest.mark.parametrize(
    ("last", "now", "due"),
    [
        (at(2026, 11, 26, 4, 0), at(2026, 11, 27, 3, 59), False),
        (at(2026, 11, 26, 4, 0), at(2026, 11, 27, 4, 0), True),
        (at(2026, 11, 27, 4, 0), at(2026, 11, 27, 4, 0), False),  # it has just begun
        (at(2026, 11, 26, 22, 0), at(2026, 11, 27, 9, 0), True),  # one by hand, in the evening
        (at(2026, 11, 27, 8, 0), at(2026, 11, 27, 9, 0), False),  # caught up with
        (at(2026, 11, 1, 4, 0), at(2026, 11, 27, 3, 0), True),  # nothing ran for weeks: once is enough
        (at(2026, 3, 28, 2, 30), at(2026, 3, 29, 3, 29), False),
        (at(2026, 3, 28, 2, 30), at(2026, 3, 29, 3, 30), True),
        (at(2026, 10, 25, 2, 30), at(2026, 10, 25, 2, 30, fold=1), False),
    ],
)
def test_a_night_is_due_if_its_hour_has_come_since_the_last_one(last: datetime, now: datetime, due: bool) -> None:
    """Whatever ran or did not run meanwhile."""
    line = "2:30" if last.hour == 2 else "04:00"

    assert due == missed(last.timestamp(), now.timestamp(), hours(line, "Europe/Vienna"))


def test_before_the_first_run_a_night_is_due() -> None:
    """No success at all is one long ago."""
    assert missed(0.0, at(2026, 11, 27, 3, 0).timestamp(), hours("04:00", "UTC"))


class Breaking:
    """A child that is killed each time."""

    async def trouble(self) -> str:
        return "its process was ended by signal 9"

    async def end(self) -> None:
        pass


class Free:
    """A lease that nobody else wants."""

    seconds = 1e9

    async def renew(self) -> bool:
        return True

    async def end(self) -> None:
        pass


class Records:
    """As `Nights`, for a clock; no run has ever got to its end."""

    async def last_success(self) -> float:
        return 0.0

    async def ran(self, last: object) -> None:
        pass


async def tried(monkeypatch: pytest.MonkeyPatch, moves: Sequence[float]) -> list[float]:
    """When a clock begins runs that break off, by hours since 04:00, if it looks after each of these `moves`, in
    seconds."""
    zero, now, begun = 1_800_000_000 // 86_400 * 86_400 + 4 * 3600.0, [0.0], []

    async def start() -> Breaking:
        begun.append(now[0] / 3600)
        return Breaking()

    async def lease(*_: object) -> Free:
        return Free()

    async def nobody() -> bool:
        return False

    monkeypatch.setattr(schedule, "time", SimpleNamespace(time=lambda: zero + now[0]))
    monkeypatch.setattr(schedule, "taken", lease)
    clock = schedule.Clock(Records(), hours("04:00", "UTC"), start, nobody, 60.0)  # type: ignore[arg-type]
    for move in moves:
        await clock.turn()
        if clock._night:
            await clock._night
        now[0] += move
    return begun


async def test_a_run_that_breaks_off_is_tried_again_ever_more_rarely_but_each_night(monkeypatch) -> None:
    """After one, two, four hours, …; at the next regular hour at last."""
    found = await tried(monkeypatch, [600.0] * 6 * 24 * 9)

    assert [0, 1, 3, 7, 15, 24, 48] == [round(hour, 6) for hour in found[:7]]
    assert {24 * day for day in range(9)} <= {round(hour, 6) for hour in found}


async def test_a_clock_that_is_put_back_ends_a_pause(monkeypatch) -> None:
    """Else nothing would be tried until the time comes that it was put back from."""
    assert [0, -8700] == await tried(monkeypatch, [-8700 * 3600.0, 600.0])


def test_training_has_half_of_the_cores() -> None:
    """At least one; or what the operator says, told to every library that counts."""
    assert 1 <= threads(0)
    assert 3 == threads(3)
    assert {"3"} == set(capped(3).values())
    assert "OMP_NUM_THREADS" in capped(3)


Start = Callable[[str], Awaitable[Child]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Run a line of shell as a night."""

    async def begin(line: str) -> Child:
        return await Child.start(["/bin/sh", "-c", line], tmp_path, {}, tmp_path / "night.log")

    return begin


async def test_a_child_that_ends_well_has_no_trouble(start: Start, tmp_path: Path) -> None:
    """What it says goes into the log, behind what is there."""
    for word in ("one", "two"):
        assert "" == await (await start(f"echo {word}")).trouble()

    assert "one\ntwo\n" == (tmp_path / "night.log").read_text()


async def test_a_child_that_fails_says_why(start: Start) -> None:
    """The last line of its log, and where the rest is; of one that was killed, by what."""
    failed, killed = await start("echo no; echo 'no disk left\n  → free some' >&2; exit 3"), await start("kill -9 $$")

    trouble = await failed.trouble()
    assert trouble.startswith("its process ended with status 3 (no disk left); ")
    assert trouble.endswith("night.log says more")
    assert (await killed.trouble()).startswith("its process was ended by signal 9; ")


async def test_what_a_child_started_ends_with_it(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole group goes, even who does not listen to a request."""
    monkeypatch.setattr("worker.night.child.GRACE", 0.05)
    child = await start(
        f"trap '' TERM; sleep 1000 & echo $! > {tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; wait"
    )
    async with asyncio.timeout(30):
        while not (tmp_path / "pid").exists():
            await asyncio.sleep(0.01)
    await child.end()

    assert (await child.trouble()).startswith("its process was ended by signal")
    async with asyncio.timeout(30):
        while _runs(int((tmp_path / "pid").read_text())):
            await asyncio.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False
