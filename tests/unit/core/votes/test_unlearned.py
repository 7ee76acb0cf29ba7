"""core/votes/unlearned.py: what a pause, a reset and a rollback keep from being learned; taking back always counts."""

from math import inf

from core.feedback import Fact
from core.growth.changes import AnyChange, Paused, Reset, Rolled, Talked
from core.votes.unlearned import counting, spans

DAY1, DAY2 = 20260501, 20260502


def pause(time: float, on: bool) -> AnyChange:
    """Somebody's decision."""
    return Paused(id=f"p{time}", time=time, day=DAY1, on=on)


def test_nothing_decided_is_nothing_undone() -> None:
    """Talk alone."""
    assert [] == spans([Talked(id="t", time=1.0, day=DAY1)])


def test_votes_in_a_pause_are_not_learned_from() -> None:
    """One that is over, and one that lasts."""
    assert [(2.0, 5.0), (7.0, inf)] == spans([pause(2.0, True), pause(5.0, False), pause(7.0, True)])


def test_a_reset_begins_anew() -> None:
    """All votes before it are undone."""
    assert [(-inf, 4.0)] == spans([Reset(id="r", time=4.0, day=DAY1)])


def test_a_rollback_undoes_what_came_after_that_day() -> None:
    """From the first change of the next day on, to the rollback; a reset of that time never was."""
    changes: list[AnyChange] = [
        Talked(id="a", time=1.0, day=DAY1), Talked(id="b", time=9.0, day=DAY2), Reset(id="r", time=10.0, day=DAY2),
        Rolled(id="c", time=12.0, day=DAY2, to=DAY1, after=1),
    ]  # fmt: skip

    assert [(9.0, 12.0)] == spans(changes)


def test_what_is_taken_back_is_taken_back_at_any_time() -> None:
    """The vote was cast before the pause; its removal counts in it."""
    cast, added, taken = Fact("a", "u", "👍", 1.0), Fact("b", "u", "🔥", 3.0), Fact("c", "u", "👍", 4.0, removed=True)

    assert (cast, taken) == counting([cast, added, taken], [(2.0, 5.0)])
