"""Plain data against types: what is wrong, and what is allowed instead."""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from personas.shape import allowed, near, problems, shown, suggestion


class Leaf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A struct in a struct."""

    size: Annotated[int, Meta(ge=1, le=9)]


class Tree(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All kinds of fields."""

    leaf: Leaf
    leaves: Annotated[tuple[Leaf, ...], Meta(max_length=2)] = ()
    named: dict[str, Leaf] = {}
    pair: tuple[float, float] = (0, 1)
    kind: Literal["oak", "ash"] = "oak"
    note: str = ""


def found(**fields: object) -> dict[tuple[str | int, ...], str]:
    """The problems of a Tree with a sound leaf and these fields."""
    return {problem.path: problem.message for problem in problems({"leaf": {"size": 1}, **fields}, Tree)}


def test_sound_data_has_no_problem() -> None:
    """Nothing is said of what is right."""
    assert found(leaves=[{"size": 2}], named={"a": {"size": 3}}, pair=[0, 2], kind="ash", note="x") == {}


def test_every_fault_is_found_at_its_place() -> None:
    """Faults in structs, lists, mappings and pairs are told apart, and one hides no other."""
    assert found(
        leaf={"size": 99},
        leaves=[{"size": 1}, {"size": "x"}, {"sice": 1}],
        named={"a": {"size": 1}, "b": {"size": True}},
        pair=[1, None],
        kind="osk",
        note=5,
    ) == {
        ("leaf", "size"): "99 is not allowed; expected a whole number from 1 to 9",
        ("leaves", 1, "size"): "'x' is not allowed; expected a whole number from 1 to 9",
        ("leaves", 2, "sice"): "is not a field here (did you mean size?)",
        ("named", "b", "size"): "true is not allowed; expected a whole number from 1 to 9",
        ("pair", 1): "nothing is not allowed; expected a number",
        ("kind",): "'osk' is not allowed; expected one of ash, oak (did you mean oak?)",
        ("note",): "5 is not text; put it in quotes",
    }


def test_a_whole_is_judged_when_its_parts_are_sound() -> None:
    """Too many items, and too few, are faults of the list."""
    leaf = {"size": 1}

    assert found(leaves=[leaf, leaf, leaf]) == {
        ("leaves",): "a list of 3 is not allowed; expected a list of at most 2 items, each a mapping of size"
    }
    assert found(pair=[1]) == {("pair",): "a list of 1 is not allowed; expected a list of 2, each a number"}


def test_the_wrong_kind_of_whole_is_one_fault() -> None:
    """A list where a mapping belongs says so."""
    assert found(leaf=[]) == {("leaf",): "a list of 0 is not allowed; expected a mapping of size"}


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (bool, "true or false"),
        (float, "a number"),
        (Annotated[float, Meta(gt=0, le=1)], "a number above 0 to 1"),
        (Annotated[int, Meta(ge=1, le=1_000_000)], "a whole number from 1 to 1,000,000"),
        (Annotated[str, Meta(min_length=1, max_length=80)], "text of 1 to 80 characters"),
        (Annotated[str, Meta(pattern="x", extra={"allowed": "an x"})], "an x"),
        (dict[str, int], "a mapping of names to a whole number"),
        (int | None, "a whole number"),
        (Path, "a path"),
    ],
)
def test_what_is_allowed_is_said_in_words(kind: Any, words: str) -> None:
    """A type reads as a person would say it."""
    assert words == allowed(kind)


def test_values_are_shown_short() -> None:
    """A long text is cut and measured; nothing and booleans are named as YAML has them."""
    assert shown(None) == "nothing"
    assert shown(False) == "false"
    assert shown("hm") == "'hm'"
    assert f"'{'x' * 40}'… (5000 characters)" == shown("x" * 5000)


def test_a_near_word_is_offered_else_the_list() -> None:
    """`did you mean` appears only where a word is near, whatever the case of its letters."""
    assert near("europe/viena", ["Europe/Vienna", "UTC"]) == " (did you mean Europe/Vienna?)"
    assert near("zzz", ["size"]) == ""
    assert suggestion("zzz", ["size", "note"]) == "; there is: size, note"
