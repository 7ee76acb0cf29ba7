"""LoRAs as the commands see them: who has which, whose they are, and how they are shown."""

import time
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from adapters.console import PERSON, PLACE
from bots import options
from bots.lorapage import fault_rows, page, place, used
from bots.loras import Overview, Use, day, need, need_own, plain, roles, speaking, users
from core.errors import InputError, LoraError
from core.events import Person, PersonaKey
from core.scopes import scope_of
from core.settings import Scope
from core.store.loras import Fault, Made, Past, Serving, common, family

MIRA = PersonaKey("console:local", "mira", options.SCOPE)
NOA = PersonaKey("discord:1", "noa", "discord:77:channel:9")
PASTS = tuple(Past(version, 0.0, "night") for version in ("m/3", "base", "m/2", "m/1", "m/0"))
SERVING = Serving("m/3", "m/4", 0.25, ("m/2", "base", "m/1"), PASTS)


def test_the_scope_of_this_terminal_is_the_default():
    """`limen lora` without --scope means whom `limen chat` talks to."""
    assert options.SCOPE == scope_of(PLACE, Person(PERSON), Scope())


def test_every_version_has_its_most_important_role():
    """Live and on trial, then what a rollback finds, then what once was; the base is nobody's."""
    assert {"m/3": "live", "m/4": "canary", "m/2": "before", "m/1": "before", "m/0": "history"} == roles(SERVING)
    assert {} == roles(Serving())


def test_a_version_can_have_several_users():
    """Each with its own role."""
    everyone = {MIRA: SERVING, NOA: Serving("m/0")}

    assert [Use(MIRA, "history"), Use(NOA, "live")] == users(everyone, "m/0")
    assert [] == users(everyone, "m/9")


def test_a_misspelt_version_is_told_what_was_meant():
    """And where they are listed."""
    need("mira-1/20261121-1", ["mira-1/20261121-1"])
    with pytest.raises(InputError, match="did you mean mira-1/20261121-1"):
        need("mira-1/20261121-l", ["mira-1/20261121-1"])


def test_scopes_are_walls_for_loras_too():
    """A version of another scope of the same card is refused; one that belongs to nobody is not."""
    other = PersonaKey(MIRA.account, MIRA.card, "console:local:user:other")
    need_own(MIRA, f"{family(MIRA)}/20261121-1")
    need_own(MIRA, "poetry")
    need_own(MIRA, "shared/poetry")

    for stranger in (other, NOA):
        with pytest.raises(LoraError, match="scopes are walls"):
            need_own(MIRA, f"{family(stranger)}/20261121-1")


def test_a_version_goes_with_its_persona_to_another_room():
    """It keeps its name, which is of the old one; its origin says whose it is."""
    before = f"{family(NOA)}/20261121-1"
    need_own(MIRA, before, Made(str(MIRA)))

    with pytest.raises(LoraError, match="scopes are walls"):
        need_own(NOA, before, Made(str(MIRA)))


def test_a_day_ends_at_four():
    """In the operator's time zone."""
    zone = ZoneInfo("Europe/Vienna")

    assert "20261121" == day("UTC", datetime(2026, 11, 22, 3, 59, tzinfo=zone))
    assert "20261122" == day("UTC", datetime(2026, 11, 22, 4, 0, tzinfo=zone))


def test_a_persona_is_named_with_its_account_only_where_it_is_another():
    """The terminal's is what everybody has."""
    assert "mira in console:local:user:me" == place(MIRA)
    assert "noa in discord:77:channel:9 of discord:1" == place(NOA)


def test_the_page_shows_who_serves_with_what():
    """Live, trial and history, then what is nobody's and what is wrong."""
    seen = Overview({MIRA: SERVING}, ("x/1",), ("m/4",), (Fault("m/4", "cut short", time.time()),))
    rows = page(seen).splitlines()

    assert ["  live      m/3", "  on trial  m/4, 25% of the sessions"] == rows[1:3]
    assert rows[3].startswith("  history   m/3 · ")
    assert rows[3].endswith(" ago · night")
    assert ["  x/1", "  m/4", "  m/4 · 0 s ago", "    cut short"] == [rows[at] for at in (10, 13, 16, 17)]
    assert "x/1" not in page(seen, whole=False)


def test_a_scope_that_speaks_with_its_cards_lora_says_so():
    """Where cards pool and it has nothing of its own: also once its only own one was rolled back, and on a trial."""
    rolled = Serving(history=(Past("base", 0.0, "rollback"), Past("m/1", 0.0, "night")))
    card, noas = Serving("c/2", "c/3", 0.25, began=time.time()), common(NOA)
    everyone = {MIRA: SERVING, NOA: rolled, noas: card}
    other = {**everyone, noas: Serving()}

    pooled, alone, none = (
        page(Overview(all_, (), (), (), common=speaking(all_, pool)), whole=False)
        .split("noa in discord")[1]
        .splitlines()
        for all_, pool in ((everyone, True), (everyone, False), (other, True))
    )
    assert ["  live      the card's, c/2", "  on trial  the card's, c/3, 25% of the sessions for 0 s"] == pooled[1:3]
    assert ["  live      base", "  live      base"] == [alone[1], none[1]]
    assert {NOA: card} == speaking(everyone, pool=True)
    assert "c/2" == plain(NOA, rolled, card)["speaks_with"]
    assert "m/3" == plain(MIRA, SERVING)["speaks_with"]


def test_a_long_history_is_cut_short():
    """The rest is counted."""
    many = Serving("m/0", history=tuple(Past(f"m/{number}", 0.0, "night") for number in range(20)))

    assert "            and 12 more; --json shows all" == page(Overview({MIRA: many}, (), (), ())).splitlines()[-1]


def test_where_nobody_has_one_it_is_said_how_to_get_one():
    """Not an empty page."""
    assert "`limen lora add FOLDER --persona NAME`" in page(Overview({}, (), (), ()))


def test_rows_fit_a_terminal():
    """However long a reason is."""
    rows = fault_rows([Fault("m/4", "word " * 100, time.time())])

    assert max(map(len, rows)) <= 80
    assert ["  used by   nobody"] == used([])
    assert [
        "  used by   mira in console:local:user:me speaks with it",
        "            mira in console:local:user:me tries it",
    ] == (used([Use(MIRA, "live"), Use(MIRA, "canary")]))
