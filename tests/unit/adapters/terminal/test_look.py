"""What people see around the words."""

import pytest

from adapters.terminal.look import COLOURS, Look, ordinal, waiting
from adapters.terminal.screen import Status, Who

MIRA = Who("mira", "Captain Mira\nFlint")


def status(**more):
    """How it stands with Mira."""
    return Status(who=MIRA, **more)


def plain(fragments):
    """The text without its style."""
    return "".join(part[1] for part in fragments)


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({"worker": "none", "place": 2}, "no worker yet; one is starting"),
        ({"worker": "loading", "place": 1}, "the model is loading"),
        ({"worker": "ready", "place": 3}, "3rd in line"),
        ({"worker": "ready", "place": 1}, "next in line"),
        ({"worker": "ready", "place": 0}, "Captain Mira Flint is thinking"),
    ],
)
def test_a_wait_says_what_for(known, told):
    """A worker, the model, the line, or the reply itself."""
    assert waiting(status(**known)) == told


def test_ordinals():
    """As people write them."""
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 102, 111)] == [
        *("1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd", "111th")
    ]


def test_the_toolbar_fits_the_terminal():
    """Wide: both halves; narrow: the left one, cut."""
    look = Look()
    wide = plain(look.toolbar(status(worker="ready", waiting=2, lora="v3"), 0, 80))
    assert len(wide) == 78
    assert wide.startswith("  Captain Mira Flint · LoRA v3 · ready · 2 waiting")
    assert wide.endswith("/help   Ctrl-D leaves")
    assert plain(look.toolbar(status(), 0, 30)) == "  Captain Mira Flint · LoRA ba"
    assert plain(look.toolbar(status(), 1, 80)).endswith("Ctrl-C stops the reply")


def test_each_card_keeps_its_colour():
    """The same every time, and not all the same."""
    cards = [Look().heading(Who(name, name))[1][0] for name in ("mira", "orrin", "iris", "noa", "rack")]
    assert cards == [Look().heading(Who(name, name))[1][0] for name in ("mira", "orrin", "iris", "noa", "rack")]
    assert len(set(cards)) > 2
    assert {colour.removeprefix("bold ") for colour in cards} <= set(COLOURS)


def test_a_terminal_without_unicode_gets_ascii():
    """Prompt, spinner and all."""
    look = Look(unicode=False)
    shown = [look.prompt, look.spinner("x", 3), look.heading(Who("a", "A"), True), look.toolbar(status(), 0, 80)]
    assert all(plain(fragments).isascii() for fragments in shown)


def test_what_was_said_is_told_from_what_follows():
    """A sign before the first line, an indent before the others."""
    assert plain(Look(unicode=False).said(["one", "two"])) == "\n> one\n  two\n"


def test_actions_are_in_italics():
    """And only they."""
    assert Look().line([(False, "Arr "), (True, "*waves*\n")])[1:3] == [("", "Arr "), ("class:action", "*waves*")]
