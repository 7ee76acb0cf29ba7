"""core/personality.py: a state is a fold of its history, to the last bit, and stays within the card."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.growth import changes
from core.growth.changes import (
    AnyChange,
    Born,
    Dial,
    Paused,
    Rated,
    Reflected,
    Relation,
    Reset,
    Rolled,
    Style,
    Talked,
    Tuned,
)
from core.personality import DAY, MOOD_HALF, MOST_PEOPLE, State, bond, faded, replay

DIALS = {"warmth": Dial(0.75, 0.55, 0.95), "humour": Dial(0.5, 0.5, 0.5), "boldness": Dial(0.9, 0.7, 1.0)}
BORN = Born(id="born", time=1000.0, day=1, card="c1", dials=DIALS)
ALIVE = replay(State(), [BORN])

_push = st.dictionaries(st.sampled_from([*DIALS, "unheard_of"]), st.floats(-2, 2), max_size=3)
_time = st.floats(0, 4e9)
_day = st.integers(0, 40)
_who = st.sampled_from(["", "x:ann", "x:bob", "x:eve"])
_pull = st.tuples(*[st.floats(-3, 3)] * 3)
_real = st.floats(-3, 3)
LIFE = st.lists(
    st.one_of(
        st.builds(Talked, id=st.just("t"), time=_time, day=_day, person=_who, pushes=_push, pull=_pull, known=_real,
                  warmth=_real, name=st.just("Ann"), style=st.none() | st.just(Style(1, 9, 1, 0))),
        st.builds(Rated, id=st.just("r"), time=_time, day=_day, person=_who, reply=st.just("r"), pushes=_push,
                  pull=_pull, warmth=_real, rated=_real),
        st.builds(Tuned, id=st.just("u"), time=_time, day=_day, trait=st.sampled_from([*DIALS, "no"]), by=_real),
        st.builds(Reset, id=st.just("z"), time=_time, day=_day),
        st.builds(Paused, id=st.just("p"), time=_time, day=_day, on=st.booleans()),
        st.builds(Rolled, id=st.just("b"), time=_time, day=_day, to=_day, after=st.integers(0, 9), drift=_push,
                  people=st.just({"x:old": Relation("Old", 3.0, 0.5, 0.0, 1.0)})),
        st.builds(Reflected, id=st.just("f"), time=_time, day=_day, pushes=_push, about=st.just("I am."),
                  bonds=st.dictionaries(_who.filter(bool), st.tuples(_real, _real), max_size=2)),
        st.builds(Born, id=st.just("n"), time=_time, day=_day, card=st.just("c2"), dials=st.just(
            {"warmth": Dial(0.2, 0.1, 0.3), "pride": Dial(0.5, 0.2, 0.8)})),
    ),
    max_size=30,
)  # fmt: skip


def talked(time: float, **more: object) -> Talked:
    return Talked(id="t", time=time, day=1, person="x:ann", **more)  # type: ignore[arg-type]


def kept(state: State) -> State:
    """As a snapshot gives it back."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=State)


@given(LIFE)
@settings(deadline=None, max_examples=60)
def test_no_dial_ever_leaves_its_band(life: list[AnyChange]) -> None:
    """Whatever pushes it, by clocks that jump and by cards that change."""
    state = ALIVE
    for change in life:
        state = replay(state, [change])
        for name, value in [*state.traits.items(), *state.traits_on(state.day).items()]:
            assert state.dials[name].low <= value <= state.dials[name].high


@given(LIFE, st.integers(0, 30))
@settings(deadline=None, max_examples=60)
def test_a_replay_is_equal_to_the_last_bit(life: list[AnyChange], cut: int) -> None:
    """At once, one by one, from a snapshot, and out of the bytes in which changes are kept."""
    whole = replay(ALIVE, life)
    halves = replay(kept(replay(ALIVE, life[:cut])), [changes.decode(changes.encode(one)) for one in life[cut:]])
    steps = ALIVE
    for change in life:
        steps = replay(steps, [change])

    assert msgspec.msgpack.encode(whole) == msgspec.msgpack.encode(halves) == msgspec.msgpack.encode(steps)


@given(LIFE)
@settings(deadline=None, max_examples=60)
def test_time_never_runs_backwards(life: list[AnyChange]) -> None:
    """Neither the time lived through nor the latest time there was; and no step takes more than a year."""
    state = ALIVE
    for change in life:
        after = replay(state, [change])
        assert 0 <= after.lived - state.lived <= 365 * DAY + 1e-3
        assert after.time >= state.time
        state = after


@given(LIFE)
@settings(deadline=None, max_examples=60)
def test_a_redacted_history_replays_to_the_same_dials(life: list[AnyChange]) -> None:
    """Nothing of somebody is left in it, and the numbers are as they were."""
    bare = [changes.redacted(change, "x:ann") for change in life]

    assert b"x:ann" not in b"".join(map(changes.encode, bare))
    assert replay(ALIVE, life).drift == replay(ALIVE, bare).drift
    assert replay(ALIVE, life).mood == replay(ALIVE, bare).mood
    assert "x:ann" not in replay(ALIVE, bare).people


@pytest.mark.parametrize("by", [0.01, 0.04, -0.03])
def test_what_is_taken_back_leaves_nothing(by: float) -> None:
    """Also where the dial had reached the end of its band meanwhile."""
    state = replay(ALIVE, [talked(1000.0, pushes={"warmth": 0.2 if by > 0 else -0.2})])
    there = replay(state, [Rated(id="a", time=1001.0, day=1, reply="r", pushes={"warmth": by})])
    back = replay(there, [Rated(id="b", time=1002.0, day=1, reply="r", pushes={"warmth": -by})])

    assert state.drift["warmth"] == pytest.approx(back.drift["warmth"])


def test_a_day_keeps_the_traits_it_began_with() -> None:
    """Until somebody turns a dial by hand, which counts at once."""
    morning = replay(ALIVE, [talked(1001.0, pushes={"warmth": 0.1})])
    next_day = replay(morning, [msgspec.structs.replace(talked(90_000.0, pushes={"warmth": 0.05}), day=2)])
    tuned = replay(next_day, [Tuned(id="u", time=90_001.0, day=2, trait="warmth", by=-0.3)])

    assert (0.75, 0.85) == (morning.traits_on(1)["warmth"], pytest.approx(morning.traits_on(2)["warmth"]))
    assert (pytest.approx(0.85), pytest.approx(0.9)) == (next_day.traits_on(2)["warmth"], next_day.traits["warmth"])
    assert pytest.approx(0.6) == tuned.traits_on(2)["warmth"]


def test_a_mood_fades_and_a_clock_that_went_back_does_not_bring_it_back() -> None:
    """Half of it after its half-life."""
    state = replay(ALIVE, [talked(1000.0, pull=(0.4, -0.2, 0.0))])
    late = replay(state, [talked(1000.0 + MOOD_HALF)])

    assert (0.2, -0.1, 0.0) == pytest.approx(faded(state, 1000.0 + MOOD_HALF))
    assert late.mood == pytest.approx(faded(state, 1000.0 + MOOD_HALF))
    assert late.mood == faded(late, 5.0) == replay(late, [talked(5.0)]).mood


def test_a_clock_that_jumped_far_ahead_stops_nothing() -> None:
    """Ten years too late once: a year is lived through, and afterwards moods fade as ever."""
    ahead = replay(ALIVE, [talked(3e8), talked(2000.0, pull=(0.4, 0.0, 0.0)), talked(2000.0 + MOOD_HALF)])

    assert 0.2 == pytest.approx(ahead.mood[0])
    assert 365 * DAY + MOOD_HALF == pytest.approx(ahead.lived)


def test_people_are_got_to_know_and_grow_strange_again() -> None:
    """Familiarity comes with turns, warmth with kindness; both fade."""
    state = replay(ALIVE, [talked(1000.0 + n, known=1.0, warmth=0.03, name="Ann") for n in range(40)])
    known, warmth = bond(state, "x:ann", 1040.0)
    later = bond(state, "x:ann", 1040.0 + 120 * DAY)

    assert 0.75 < known < 0.85
    assert 0.7 < warmth < 0.9
    assert (0.0, 0.0) == bond(state, "x:bob", 1040.0)
    assert 0.2 < later[0] < 0.4
    assert 0.0 < later[1] < 0.1


def test_whoever_was_heard_of_longest_ago_is_a_stranger_again() -> None:
    """A server of thousands does not fill memory."""
    crowd = [Talked(id="t", time=1000.0, day=1, person=f"x:{n}", known=1.0) for n in range(MOST_PEOPLE + 5)]
    state = replay(ALIVE, [crowd[0], *crowd, crowd[7]])

    assert MOST_PEOPLE == len(state.people)
    assert "x:5" in state.people
    assert "x:4" not in state.people


def test_a_reset_is_a_birth_that_keeps_the_count() -> None:
    """Whatever came before is void: an emoji that is taken back later must not count against it."""
    state = replay(ALIVE, [talked(1001.0, pushes={"warmth": 0.1}, known=1.0), Reset(id="z", time=1002.0, day=1)])

    assert (ALIVE.traits, {}, Style()) == (state.traits, state.people, state.style)
    assert (True, True, False) == (state.is_void(0), state.is_void(1), state.is_void(2))


def test_words_about_itself_are_those_of_its_card() -> None:
    """With another card it finds new ones; being born again by the same card changes nothing."""
    born = Born(id="b", time=1.0, day=20260501, card="one", dials={})
    said = Reflected(id="r", time=2.0, day=20260501, about="I rest.")
    again, other = [msgspec.structs.replace(born, card=card, time=3.0) for card in ("one", "two")]

    assert "I rest." == replay(State(), [born, said, again]).about
    assert "" == replay(State(), [born, said, other]).about
