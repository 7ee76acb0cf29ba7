"""`limen persona try`: every rule of a card can be seen at work, and nothing is sent. Spelling stands for meaning."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.commands import Said, limen
from worker.embed import HashEmbedder, Vectors

CARD = """
name: gate
title: The Gatekeeper
description: You keep a gate.
traits:
  warmth: {value: 0.5, band: [0.2, 0.9]}
knowledge:
  domains: [gates and keys]
  era: Around 1450
  admits: [That is not written on any of my keys.]
world:
  details:
    - about: [moat]
      text: The moat is nine feet deep.
    - about: [ghost]
      text: Nobody crosses the yard after dark.
  channels:
    lamp-room: A round room below the lamp.
emotions: [merry]
rules:
  - when: {keywords: [open sesame]}
    say: The gate swings open.
  - when: {keywords: [thanks]}
    react: 👍
  - when: {intent: [I would like to leave the castle now]}
    steer: Wish them a safe way home.
  - when: {time: 22:00-06:00}
    silent: true
  - when: {first_contact: true}
    steer: Ask for their name.
  - when: {mood: merry}
    steer: Laugh.
  - when: {dial: warmth>0.7}
    steer: Be kind.
"""


@pytest.fixture(autouse=True)
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A card of one's own, in a home where nothing runs."""
    file = tmp_path / "personas" / "gate.yaml"
    file.parent.mkdir()
    file.write_text(CARD, encoding="utf-8")
    for name, value in {"LIMEN_HOME": str(tmp_path), "LIMEN_MODEL__REF": "echo:", "COLUMNS": "80"}.items():
        monkeypatch.setenv(name, value)
    return file


def tried(*args: object) -> dict[str, Any]:
    said = (
        limen("persona", "try", "gate", *args, "--json", "--time", "12:00")
        if "--time" not in args
        else limen("persona", "try", "gate", *args, "--json")
    )
    assert 0 == said.status, said.err
    found: dict[str, Any] = json.loads(said.out)
    return found


@pytest.mark.parametrize(
    ("args", "rule", "act"),
    [
        (["Open sesame!"], "rules[0]", "say"),
        (["thanks"], "rules[1]", "react"),
        (["I'd like to leave the castle now"], "rules[2]", "say"),
        (["hello", "--time", "23:00"], "rules[3]", "silent"),
        (["hello", "--first"], "rules[4]", "say"),
        (["hello", "--mood", "merry"], "rules[5]", "say"),
        (["hello", "--dial", "warmth=0.8"], "rules[6]", "say"),
        (["hello"], None, "say"),
    ],
)
def test_each_rule_can_be_made_to_fire(args: list[str], rule: str | None, act: str):
    """By what is said, or as if it were so."""
    found = tried(*args)

    assert (rule, act) == (found["rule"], found["does"]["act"])
    assert [rule] == ([one["name"] for one in found["rules"] if one["fires"]] or [None])


def test_a_rule_that_does_not_fire_says_why():
    """Condition by condition, with what there was instead."""
    why = {one["name"]: one["conditions"][0]["why"] for one in tried("hello")["rules"]}

    assert "none of 1 falls" == why["rules[0]"]
    assert "it is 12:00" == why["rules[3]"]
    assert "they have met before" == why["rules[4]"]
    assert "warmth is 0.50" == why["rules[6]"]


def test_what_it_cannot_know_is_said_with_the_reason():
    """And the model is told so in the character's own words."""
    found = tried("What is on television?")

    assert (False, True) == (found["knowledge"]["known"], found["admits"])
    assert "'television' came in 1935, its era ends in 1450" == found["knowledge"]["why"]
    assert "That is not written on any of my keys." in json.dumps(found["messages"])


def test_the_prompt_is_the_one_that_would_be_sent():
    """With its sections, what comes to mind, and tokens."""
    found = tried("How deep is the moat?")

    assert {"who", "knowledge", "detail-0"} <= {part["name"] for part in found["sections"]}
    assert "How deep is the moat?" == found["messages"][-1]["content"]
    assert found["tokens"] > sum(part["tokens"] for part in found["sections"]) > 0
    assert "an estimate" in found["tokens_by"]


def test_what_comes_to_mind_is_what_the_prompt_has():
    """By a keyword that falls, too; in the channel that is named."""
    found = tried("Is there a ghost?", "--channel", "#Lamp-Room")

    assert ["Nobody crosses the yard after dark."] == found["details"]
    assert "A round room below the lamp." in json.dumps(found["messages"])


@pytest.mark.parametrize("given", ["gate", "file"])
def test_the_texts_that_a_card_names_are_looked_at(given: str, card: Path, monkeypatch: pytest.MonkeyPatch):
    """As a first talk would have them, with their passages read; a card's file has those beside it."""
    monkeypatch.setattr("worker.shelf.BATCH", 1)  # each passage by itself, so that it must be waited for
    text = "The third key opens the cellar.\n\n" + "Nobody has ever counted the windows of the tower. " * 12
    (card.parent / "keys.md").write_text(text, encoding="utf-8")
    card.write_text(CARD.replace("  admits:", "  files: [keys.md]\n  admits:"), encoding="utf-8")

    said = limen("persona", "try", card if given == "file" else "gate", "The third key opens the cellar?", "--json")
    found = json.loads(said.out)

    assert "keys.md#1" == found["passages"][0]["from"]
    assert "The third key opens the cellar." in json.dumps(found["messages"])


class Slow:
    """Spelling, after a while."""

    id, width = "slow", HashEmbedder().width

    def embed(self, texts: Sequence[str]) -> Vectors:
        time.sleep(0.05)
        return HashEmbedder().embed(texts)


def test_it_waits_as_long_as_it_takes_and_says_so(monkeypatch: pytest.MonkeyPatch):
    """Somebody sits before it: nothing is decided without what the message means."""
    monkeypatch.setattr("bots.working.embedder", lambda settings: Slow())
    monkeypatch.setattr("worker.judge.LATE", 0.01)
    monkeypatch.setattr("bots.trying.PATIENCE", 0.0)
    said = limen("persona", "try", "gate", "What is a moat?", "--json")

    wait = "loading what compares meanings, and comparing the message with all that the card says ...\n"
    assert (0, wait) == (said.status, said.err)
    assert json.loads(said.out)["knowledge"]


def test_why_nothing_is_said_of_what_it_knows(monkeypatch: pytest.MonkeyPatch):
    """There is more than one reason."""
    off = limen("persona", "try", "gate", "hello", LIMEN_KNOWLEDGE__UNKNOWN="off")
    monkeypatch.setattr("bots.working.embedder", lambda settings: None)
    none = limen("persona", "try", "gate", "hello")

    assert "Knowledge: the setting knowledge.unknown is off" in off.out
    assert "Knowledge: no embedder" in none.out


def test_a_prompt_that_is_not_sent_is_shown_on_demand_only():
    """A rule answers, so the page ends there; machines are given all of it."""
    short, long = (limen("persona", "try", "gate", "open sesame", *more) for more in ((), ("--prompt",)))

    assert (False, True) == ("The prompt" in short.out, "The prompt" in long.out)
    assert "No prompt is sent; --prompt shows what it would be." in short.out
    assert tried("open sesame")["messages"]


def test_the_page_is_for_people(card: Path):
    """A card's file is as good as its name."""
    said = limen("persona", "try", card, "open sesame", "--prompt")

    words = " ".join(said.out.split())
    assert 0 == said.status
    assert "rules[0] says: The gate swings open. The model is not asked." in words
    assert "✔ rules[0] say “The gate swings open.”: keywords: 'open sesame' falls" in words
    assert "Sections (" in words


@pytest.mark.parametrize(
    ("args", "trouble"),
    [
        (["gate", "hello", "--time", "25:00"], "expected HH:MM"),
        (["gate", "hello", "--dial", "cheek=1"], "has no trait 'cheek'"),
        (["gate", "hello", "--dial", "warmth"], "is not NAME=VALUE"),
        (["gate", "hello", "--mood", "silly"], "has no emotion 'silly'\n  → there is: merry"),
        (["gate", "hello", "--channel", "lamp-rom"], "has no channel 'lamp-rom' (did you mean lamp-room?)"),
        (["bram", "hello", "--channel", "attic"], "has no channel 'attic'"),
        (["gate", " "], "there is nothing in that message"),
        (["gaet", "hello"], "did you mean gate?"),
        (["./none.yaml", "hello"], "cannot be read"),
    ],
)
def test_a_slip_is_named_with_the_next_step(args: list[str], trouble: str):
    """The status says that nothing was tried."""
    said: Said = limen("persona", "try", *args)

    assert said.status
    assert trouble in said.err


def test_a_language_that_it_does_not_speak_is_seen(card: Path):
    """The model is told which it speaks."""
    card.write_text(CARD + "limits: {languages: [en]}\n", encoding="utf-8")

    found = tried("Wie tief ist der Graben, und wo ist das Tor?")

    assert found["foreign"]
    assert "Answer in English" in json.dumps(found["messages"])
