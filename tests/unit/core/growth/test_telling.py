"""core/growth/telling.py: what moved, and why, in plain words."""

from core.growth.changes import (
    AnyChange,
    Born,
    Dial,
    Mended,
    Paused,
    Rated,
    Reflected,
    Reset,
    Rolled,
    Talked,
    Tuned,
    redacted,
)
from core.growth.telling import moves, names, quoting, standing, told, why
from core.personality import State, replay, steps

DIALS = {"warmth": Dial(0.5, 0.0, 1.0), "humour": Dial(0.5, 0.0, 1.0)}
BORN = replay(State(), [Born(id="b", time=1000.0, day=20260506, card="c1", dials=DIALS)])
SAID = {"r1": "Arr,  welcome aboard,\nmatey! And a word that is far too long to be quoted.", "m2": "Hello"}


def talked(number: int, by: float, person: str = "x:ann", name: str = "Ann") -> Talked:
    return Talked(id=f"m{number}", time=1000.0, day=20260507, person=person, name=name, causes=(f"m{number}",),
                  pushes={"warmth": by})  # fmt: skip


LIKED = Rated(
    id="f", time=1001.0, day=20260507, person="x:ann", reply="r1", emoji="👍", value=1.0, pushes={"warmth": 0.03}
)
TUNED = Tuned(id="u", time=1002.0, day=20260507, person="x:bob", trait="humour", by=-0.1)


BAND = Dial(0.8, 0.5, 0.9)


def redated(change: Tuned, id: str, by: float) -> Tuned:
    return Tuned(id=id, time=change.time + 1, day=change.day, person=change.person, trait=change.trait, by=by)


def reasons(*changes: AnyChange) -> list[str]:
    now = replay(BORN, changes)
    return why(moves(BORN, now, changes, quoting(SAID)), "since yesterday")


def test_a_move_names_its_causes_the_weightiest_first() -> None:
    """Ratings by reply, talk by person; with a word of each."""
    assert [
        "humour fell by 0.10 since yesterday, to 0.40 (my card: 0.50)",
        "  -0.10  bob turned humour by -0.10",
        "warmth rose by 0.05 since yesterday, to 0.55 (my card: 0.50)",
        "  +0.03  Ann 👍 on “Arr, welcome aboard, matey! And a word that is…”",
        "  +0.02  how Ann speaks (2 messages, such as “Hello”)",
    ] == reasons(talked(1, 0.01), talked(2, 0.01), LIKED, TUNED)


def test_what_the_band_held_back_is_not_told() -> None:
    """Whatever was asked for: causes add up to what the dial moved by."""
    up = Tuned(id="u1", time=1002.0, day=20260507, person="x:ann", trait="warmth", by=0.9)
    more, down = redated(up, "u2", 0.1), redated(up, "u3", -0.9)
    narrow = replay(State(), [Born(id="b", time=1000.0, day=20260506, card="c1", dials={"warmth": BAND})])
    changes = [up, more, LIKED, down]
    now = replay(narrow, changes)

    assert [
        "warmth fell by 0.30 since yesterday, to 0.50 (my card: 0.80)",
        "  -0.40  ann turned warmth by -0.40",
        "  +0.10  ann turned warmth by +0.10",
    ] == why(moves(narrow, now, changes, quoting({})), "since yesterday")
    assert [
        "ann turned warmth by +0.10", "ann turned warmth by +0.00: it was at the end of its band", "ann 👍",
        "ann turned warmth by -0.40",
    ] == [told(change, by, {}) for change, by in zip(changes, steps(narrow, changes), strict=True)]  # fmt: skip


def test_what_hardly_moved_is_not_told() -> None:
    """Nor what was taken back."""
    assert [] == reasons(talked(1, 0.002))
    assert [] == reasons(LIKED, Rated(id="g", time=1003.0, day=20260507, person="x:ann", reply="r1", value=0.0,
                                      emoji="👍", pushes={"warmth": -0.03}))  # fmt: skip


def test_what_came_before_a_rollback_is_no_cause() -> None:
    """The rollback is."""
    rolled = Rolled(id="z", time=1004.0, day=20260507, to=20260506, after=1, drift={"warmth": 0.2}, person="x:bob")

    assert [
        "warmth rose by 0.20 since yesterday, to 0.70 (my card: 0.50)",
        "  bob took it back to the end of yesterday",
    ] == reasons(LIKED, rolled)


def test_somebody_who_was_forgotten_has_no_name() -> None:
    """The number is still told."""
    assert ["warmth rose by 0.03 since yesterday, to 0.53 (my card: 0.50)", "  +0.03  somebody who was forgotten"] == (
        reasons(redacted(LIKED, "x:ann"))
    )


def test_every_change_can_be_told() -> None:
    """In a line."""
    at = {"id": "x", "time": 1.0, "day": 20260507, "person": "x:ann"}
    changes: list[AnyChange] = [
        Paused(**at, on=True), Paused(**at, on=False), Reset(**at), Mended(id="x", time=1.0, lost=4),
        talked(1, 0.0), LIKED,
    ]  # fmt: skip
    known = names(changes, BORN)

    assert [
        "Ann paused learning", "Ann let it learn again", "Ann reset it to its card",
        "4 changes were found missing; it goes on without them", "Ann said something",
        "Ann 👍 on “Arr, welcome aboard, matey! And a word that is…” (warmth +0.030)",
    ] == [
        told(change, moved, known, quoting(SAID)) for change, moved in zip(changes, steps(BORN, changes), strict=True)
    ]  # fmt: skip


def test_what_came_of_a_reflection_is_told() -> None:
    """Whom it knows better, and what it says of itself; or that it does not any more."""
    made = Reflected(id="r", time=1.0, about="I love rain.", bonds={"x:ann": (1.0, 0.1)})
    silent = Reflected(id="r", time=1.0, silent=True)

    assert "it reflected: it knows Ann better; it says of itself “I love rain.”" == told(made, {}, {"x:ann": "Ann"})
    assert "it reflected: it says of itself no more what rested on a message that is gone" == told(silent, {}, {})
    assert "it reflected" == told(Reflected(id="r", time=1.0), {}, {})


def test_how_it_stands_is_told() -> None:
    """Where it has moved from the card; else that it has not."""
    moved = standing(replay(BORN, [TUNED, talked(1, 0.0)]), 1002.0, "x:ann")

    assert "Moved so far: humour 0.40 (-0.10 from my card)" == moved[0]
    assert moved[-1].startswith("You and I: familiarity 0.00")
    assert "I am as my card has me." == standing(BORN, 1002.0)[0]
