"""core/growth/mood.py and core/days.py: where moods rest, what they are called, and when a day is over."""

import datetime as dt

import pytest

from core import days
from core.growth import mood
from core.growth.changes import Born, Dial, Talked
from core.personality import State, replay

UTC = dt.UTC


def at(*moment: int) -> float:
    return dt.datetime(*moment, tzinfo=UTC).timestamp()  # type: ignore[misc, arg-type]


def test_an_average_character_rests_in_the_middle() -> None:
    """And so does one without any of the Big Five."""
    assert (0.0, 0.0, 0.0) == mood.rest({}) == mood.rest({"openness": 0.5, "warmth": 1.0})


def test_mehrabian_says_where_moods_rest() -> None:
    """Agreeable and outgoing people are pleased, neurotic ones aroused and displeased, outgoing ones dominant."""
    kind, nervous, bold = (mood.rest({name: 1.0}) for name in ("agreeableness", "neuroticism", "extraversion"))

    assert pytest.approx((0.59, 0.30, -0.32)) == kind
    assert pytest.approx((-0.19, 0.57, 0.0)) == nervous
    assert pytest.approx((0.21, 0.0, 0.60)) == bold


def test_a_mood_has_a_name_only_while_it_is_one() -> None:
    """At rest there is nothing to say."""
    born = Born(id="b", time=1000.0, day=1, card="c", dials={"agreeableness": Dial(0.8, 0.6, 1.0)})
    state = replay(State(), [born])
    cross = replay(state, [Talked(id="t", time=1000.0, day=1, pull=(-0.9, 0.3, 0.5))])

    assert ("", "annoyed", "") == (mood.words(state, 1000.0), mood.words(cross, 1000.0), mood.words(cross, 90_000.0))
    assert "hostile" == mood.octant(mood.mood(cross, 1000.0))
    assert all(-1 <= one <= 1 for one in mood.mood(cross, 1000.0))


@pytest.mark.parametrize(
    ("dials", "pull", "name"),
    [
        ({}, (0.0, 0.0, 0.0), "as usual"),
        ({}, (0.1, 0.1, 0.1), "as usual"),
        ({}, (-0.1, 0.05, 0.1), "as usual"),
        ({}, (0.4, 0.2, 0.2), "exuberant"),
        ({}, (-0.6, -0.3, -0.3), "bored"),
        ({"agreeableness": Dial(0.9, 0.6, 1.0)}, (0.0, 0.0, 0.0), "as usual"),
        ({"agreeableness": Dial(0.9, 0.6, 1.0)}, (-0.47, -0.2, 0.2), "even"),
        ({"agreeableness": Dial(0.9, 0.6, 1.0)}, (-0.9, 0.2, 0.5), "hostile"),
    ],
)
def test_only_a_mood_that_is_clearly_another_one_is_called_by_a_name(
    dials: dict[str, Dial], pull: tuple[float, float, float], name: str
) -> None:
    """Near its rest it is as usual, and in the middle of all moods it is none of them."""
    born = Born(id="b", time=1000.0, day=1, card="c", dials=dials)
    state = replay(State(), [born, Talked(id="t", time=1000.0, day=1, pull=pull)])

    assert name == mood.called(state, 1000.0)


def test_it_feels_what_lies_the_way_its_mood_went() -> None:
    """One of the card's own emotions; none while the mood is hardly another, or where none is like it."""
    born = Born(id="b", time=1000.0, day=1, card="c", dials={})
    state = replay(State(), [born])
    down = replay(state, [Talked(id="t", time=1000.0, day=1, pull=(-0.2, -0.2, -0.3))])
    names = ["cheerful", "homesick", "nominal-ish"]

    felt = [mood.felt(names, one, 1000.0) for one in (state, down)]
    assert (["", "homesick"], "", "") == (felt, mood.felt(["proud"], down, 1000.0), mood.felt(names, down, 90_000.0))


def test_a_day_ends_at_four_in_the_operators_morning() -> None:
    """Whatever the clock of the server says."""
    night, morning = at(2026, 5, 2, 1, 59), at(2026, 5, 2, 2, 1)

    assert (20260501, 20260502) == (days.day_of(night, "Europe/Vienna"), days.day_of(morning, "Europe/Vienna"))
    assert 20260501 == days.day_of(morning, "UTC")


@pytest.mark.parametrize(
    ("text", "day"),
    [("today", 20260507), ("Yesterday", 20260506), ("3", 20260504), ("2026-05-01", 20260501), ("tuesday", 20260505),
     ("Thursday", 20260430), ("wednesday", 20260506)],
)  # fmt: skip
def test_days_are_named_as_people_name_them(text: str, day: int) -> None:
    """2026-05-07 is a Thursday."""
    assert day == days.read(text, at(2026, 5, 7, 12), "UTC")


@pytest.mark.parametrize("text", ["", "someday", "2026-13-01", "-1", "٣"])
def test_what_is_no_day_is_refused(text: str) -> None:
    """With a ValueError, whatever it is."""
    with pytest.raises(ValueError):  # noqa: PT011 - the message is fromisoformat's own
        days.read(text, at(2026, 5, 7, 12), "UTC")


def test_days_are_told_as_people_tell_them() -> None:
    """The last week by its names."""
    told = [days.name(day, 20260507) for day in (20260507, 20260506, 20260505, 20260430, 20260508, 99)]

    assert ["today", "yesterday", "Tuesday", "2026-04-30", "2026-05-08", "99"] == told
