"""Lines of a prompts file, and the seeds of their replies."""

from typing import Any

import pytest

from bots.files import Row
from bots.generation import Prompt, Take, read, seed_for, written
from core.events import PersonaKey, Place
from core.jobs import Done


def test_a_line_is_a_prompt():
    """With its id as it came, the default author where it names none, and nothing in it that cannot be kept."""
    assert Prompt(3, "x", "ben", "Hi") == read(Row(3, {"id": "x", "author": "ben", "text": "Hi"}), "me", 10)
    assert Prompt(3, 7, "me", "Hi�") == read(Row(3, {"id": 7, "author": "", "text": "Hi\x00\ud800"}), "me", 10)
    assert Prompt(3, 3, "me", "Hi") == read(Row(3, {"text": "Hi"}), "me", 10)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({}, '"text" is missing'),
        ({"text": 1}, '"text" must be text'),
        ({"text": "\x00 \n"}, '"text" is empty'),
        ({"text": "x" * 11}, '"text" has 11 characters; at most 10 are taken'),
        ({"text": "Hi", "id": True}, '"id" must be text or a whole number'),
        ({"text": "Hi", "id": {}}, '"id" must be text or a whole number'),
        ({"text": "Hi", "author": 5}, '"author" must be text of 1 to 200 characters'),
        ({"text": "Hi", "author": "x" * 201}, '"author" must be text of 1 to 200 characters'),
    ],
)
def test_what_is_no_prompt_says_why(data: dict[str, Any], why: str):
    """In a sentence that names the field."""
    assert why == read(Row(1, data), "me", 10)


def test_a_fault_of_the_line_is_passed_on():
    """A line that was not even JSON."""
    assert "is not JSON" == read(Row(1, fault="is not JSON"), "me", 10)


def test_seeds_depend_on_run_line_and_take_alone():
    """The same three give the same seed, others another; the text 1 and the number 1 are two ids."""
    seeds = [seed_for(run, line, k) for run in (0, 1) for line in ("a", "b", 1, "1", "\ud800") for k in (1, 2)]

    assert seeds == [seed_for(run, line, k) for run in (0, 1) for line in ("a", "b", 1, "1", "\ud800") for k in (1, 2)]
    assert (20, True) == (len(set(seeds)), all(0 <= seed < 2**31 for seed in seeds))


def test_a_reply_is_written_with_the_id_of_its_line():
    """And with what is needed to rate it and to know who said it."""
    persona, place = PersonaKey("console:local", "mira", "console:local:user:me"), Place("console", "local", "x")
    done = Done(
        job="j", reply_id="r", conversation="c", place=place, persona=persona, text="Arr", lora_version="v3",
        persona_version="cafe/2",
    )  # fmt: skip

    assert {"id": 7, "reply_id": "r", "text": "Arr", "lora_version": "v3", "persona_version": "cafe/2"} == written(
        Take(Prompt(1, 7, "me", "Hi"), 2), done
    )
