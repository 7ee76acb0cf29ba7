"""core/store/loras.py: which versions a reply may be given with, and what versions are called."""

import pytest

from core.events import PersonaKey
from core.store.loras import Serving, alternating, drawn, family, fresh, preferred

MIRA = PersonaKey("console:local", "mira", "console:local:user:me")
REPLIES = [f"reply-{number}" for number in range(2000)]


@pytest.mark.parametrize(
    ("serving", "wanted"),
    [
        (Serving(), ()),
        (Serving("m/1"), ("m/1",)),
        (Serving("m/4", before=("m/3", "m/2", "m/1")), ("m/4", "m/3", "m/2")),
        (Serving("m/2", "m/3", 1.0, ("m/1",)), ("m/3", "m/2", "m/1")),
        (Serving("m/2", "m/3", 0.0, ("m/1",)), ("m/2", "m/1")),
        (Serving("base", "m/1", 1.0), ("m/1",)),
    ],
)
def test_the_best_version_comes_first(serving: Serving, wanted: tuple[str, ...]):
    """Trial, live, and two earlier ones; never the base."""
    assert wanted == preferred(serving, 0.0)


@pytest.mark.parametrize(
    ("serving", "wanted"),
    [
        (Serving("base", before=("m/1",)), ()),
        (Serving("m/2", before=("base", "m/1")), ("m/2",)),
        (Serving("m/1", "base", 1.0), ()),
    ],
)
def test_nothing_older_than_a_chosen_base_speaks(serving: Serving, wanted: tuple[str, ...]):
    """Who went to the base wanted none of what was before; and the base can be on trial."""
    assert wanted == preferred(serving, 0.0)


def test_no_version_is_asked_for_twice():
    """An earlier one that is on trial again stands once, in front."""
    assert ("m/1", "m/2") == preferred(Serving("m/2", "m/1", 1.0, ("m/1",)), 0.0)


def test_a_trial_gets_its_share_and_a_key_keeps_its_lot():
    """However often it is tried; a greater share adds replies and takes none away."""
    small, great = ({r for r in REPLIES if "new" in preferred(Serving("old", "new", s), drawn(r))} for s in (0.1, 0.5))

    assert (160 < len(small) < 240, 920 < len(great) < 1080) == (True, True)
    assert small < great
    assert small == {r for r in REPLIES if "new" in preferred(Serving("old", "new", 0.1), drawn(r))}


@pytest.mark.parametrize(("share", "every"), [(0.5, 2), (0.25, 4), (0.125, 8)])
def test_sessions_of_one_person_take_turns(share: float, every: int):
    """With one half, every second one; never the same side twice."""
    tried = [number for number in range(64) if alternating(number) < share]

    assert [*range(0, 64, every)] == tried
    assert 64 == len({alternating(number) for number in range(64)})


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.9, 1.0])
def test_taking_turns_keeps_any_share(share: float):
    """At every time, within a session or so."""
    for sessions in (10, 100, 1000):
        tried = sum(alternating(number) < share for number in range(sessions))
        assert abs(tried - share * sessions) <= 4


def test_versions_of_a_persona_have_a_name_of_its_own():
    """The same card in another scope or of another bot has another."""
    others = [PersonaKey("console:local", "mira", "x:y:user:z"), PersonaKey("discord:1", "mira", MIRA.scope)]

    assert 3 == len({family(persona) for persona in (MIRA, *others)})
    assert ("mira", 8) == (family(MIRA)[:-9], len(family(MIRA).rpartition("-")[2]))


def test_a_new_version_has_the_next_free_number_of_its_day():
    """Whatever else is taken."""
    own = family(MIRA)

    assert f"{own}/20261121-1" == fresh(MIRA, "20261121", [])
    assert f"{own}/20261121-2" == fresh(MIRA, "20261121", [f"{own}/20261121-1", f"{own}/20261121-3"])
    assert f"{own}/20261122-1" == fresh(MIRA, "20261122", [f"{own}/20261121-1"])
