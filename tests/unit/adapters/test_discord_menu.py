"""What Discord's menu offers: every command, with whatever can be said to it."""

import re

import pytest

pytest.importorskip("discord")

from adapters.discord.menu import menu
from core.commands.desk import COMMANDS

NOTHING_MORE = {"export", "pause"}  # a file is handed over anyway; `learning` goes without saying


def test_whatever_can_be_said_to_a_command_can_be_filled_in() -> None:
    """A command that tells of words behind it, as `/tune warmth +1`, has a field for them."""
    takes = {name for name, act in COMMANDS.items() if re.search(rf"/{name} \S", act.__doc__ or "")} - NOTHING_MORE
    has = {command["name"] for command in menu() if command["options"]}

    assert set() == takes - has


def test_what_must_be_filled_in_comes_first() -> None:
    """Discord refuses a menu in which it does not, and a name that is not in small letters."""
    for command in menu():
        needed = [bool(option.get("required")) for option in command["options"]]
        assert sorted(needed, reverse=True) == needed
        assert all(re.fullmatch(r"[a-z_-]{1,32}", option["name"]) for option in (command, *command["options"]))
        assert all(1 <= len(option["description"]) <= 100 for option in (command, *command["options"]))
