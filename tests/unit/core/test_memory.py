"""core/memory.py: what a memory weighs, what it is called, what supersedes, and what fades."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from core.events import Line, Person
from core.memory import Kind, Memory, dated, faded, note, place_of, slot, strength, turn, turn_id, weigh

ANN = Person("p:ann", "Ann")
NOW = datetime(2026, 11, 27, 18, tzinfo=UTC).timestamp()
DAY = 86_400


def memory(name: str, text: str = "x", days: float = 0.0, **more: object) -> Memory:
    given = {"author": ANN, "importance": 0.5, **more}
    return Memory(id=name, text=text, time=NOW - days * DAY, **given)  # type: ignore[arg-type]


def test_a_turn_is_the_line_it_was() -> None:
    """Its id tells the channel; of ours, what it answers."""
    talk = "telegram:7|mira|telegram:-5:-5"
    ours = turn(talk, Line("r1", Person("telegram:7", "Mira"), "Arr", 1.0, True, "r1", ("12",)))

    assert "telegram:-5:-5/12" == turn_id(talk, "12")
    assert (("telegram:-5:-5/12",), (), "-5") == (ours.sources, ours.everybody(), place_of(ours))
    assert turn(talk, Line("12", ANN, "hi", 1.0)).concerns(ANN.id)


def test_telling_of_oneself_weighs_more_than_small_talk() -> None:
    """From 0 to 1, however long."""
    small, told = weigh("ok"), weigh("My sister Clara moved to Lisbon, and I plan to visit her in May")

    assert 0 < small < 0.3 < told <= 1
    assert weigh("My secret dream, I love it " * 500) <= 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Ann lives in Lyon", "Ann moved to Rome", True),
        ("Ann works as a nurse", "Ann is working at the port", True),
        ("Ann is 33 years old", "Ann turned 34", True),
        ("Ann likes tea", "Ann hates tea", True),
        ("Ann likes tea", "Ann likes dogs", False),
        ("Ann's favourite colour is red", "Ann's favorite colour is blue", True),
        ("Ann's favourite colour is red", "Ann's favourite book is Dune", False),
        ("Ann lives in Lyon", "Ann works in Lyon", False),
    ],
)
def test_facts_of_one_slot_cannot_both_hold(one: str, other: str, same: bool) -> None:
    """By what they are about."""
    assert (True, same) == (bool(slot(one)), slot(one) == slot(other))


def test_a_note_of_oneself_has_a_slot_and_one_of_another_has_none() -> None:
    """For whose it would be, nobody can tell."""
    mine, theirs = (note("n", text, ANN, NOW) for text in ("I live in Rome", "Bob lives in Lyon"))

    assert (("home", ""), (1.0, Kind.NOTE)) == ((mine.slot, theirs.slot), (mine.importance, mine.kind))


def test_a_text_without_a_slot_supersedes_nothing() -> None:
    """It says of nothing in particular."""
    assert "" == slot("The weather was fine")


@pytest.mark.parametrize(
    ("days", "said"), [(0, "today"), (1, "yesterday"), (30, "28 October"), (400, "23 October 2025")]
)
def test_dates_are_said_as_people_do(days: float, said: str) -> None:
    """With the year if it is another."""
    assert said == dated(memory("a", days=days), NOW)


@pytest.mark.parametrize("days", [1e12, -1e12, float("inf")])
def test_a_clock_that_was_wrong_breaks_nothing(days: float) -> None:
    """What was said then was said once, and fades as anything does."""
    odd = memory("odd", days=days)

    assert "once" == dated(odd, NOW)
    assert 0 <= strength(odd, NOW) <= 1


def test_a_date_is_that_of_the_zone() -> None:
    """At one in the morning it is still yesterday in New York."""
    early = Memory(id="a", text="x", time=datetime(2026, 11, 27, 1, tzinfo=UTC).timestamp(), author=ANN)

    assert ("today", "yesterday") == (dated(early, NOW), dated(early, NOW, ZoneInfo("America/New_York")))


def test_what_is_weak_fades_first_and_notes_last() -> None:
    """Only when there is no room, and then a tenth of it."""
    every = [
        memory("note", kind=Kind.NOTE, days=900), memory("fact", kind=Kind.FACT, days=90), memory("fresh"),
        memory("old", days=300), memory("dull", importance=0.0, days=60),
        memory("over", kind=Kind.FACT, superseded_by="fact"), memory("ours", ours=True, days=100),
    ]  # fmt: skip
    order = [one.id for one in sorted(every, key=lambda one: strength(one, NOW))]

    assert [] == faded(every, 7, NOW)
    assert ["old", "over", "ours"] == faded(every, 5, NOW)
    assert ["fact", "fresh", "note"] == sorted(order[-3:])
    assert {one.id for one in every} == set(faded(every, 0, NOW))
