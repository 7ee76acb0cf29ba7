"""The card format: its schema, its hash, and that it travels unchanged."""

import json
from typing import Any

import jsonschema
import msgspec
import pytest
import yaml

from personas import library, reading
from personas.card import SCHEMA, Card, Rule, When, schema, schema_text

SHIPPED = sorted(library.SHIPPED.glob("*.yaml"))
SMALL = "name: ada\ntitle: Ada\ndescription: A test.\n"


def test_the_schema_file_is_up_to_date() -> None:
    """Editors check what we check; `python -m personas.card` writes the file anew."""
    assert schema_text() == SCHEMA.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_card_fits_the_schema(path: Any) -> None:
    """Each card, as any other YAML reader sees it, is valid for an editor, which it tells where the schema is."""
    text = path.read_text(encoding="utf-8")

    assert text.startswith("# yaml-language-server: $schema=card.schema.json\n")
    jsonschema.Draft202012Validator(schema()).validate(yaml.safe_load(text))


def test_the_schema_takes_the_shorthands_and_refuses_the_rest() -> None:
    """A number for a trait and a word for an emotion pass; a misspelt field does not."""
    validator = jsonschema.Draft202012Validator(json.loads(schema_text()))
    card = {"name": "a", "title": "A", "description": "x", "traits": {"warmth": 0.5, "humour": {"value": 0.2}}}

    assert validator.is_valid({**card, "emotions": ["glad", {"name": "sad", "emoji": "x"}]})
    assert not validator.is_valid({**card, "descripton": "x"})
    assert not validator.is_valid({**card, "traits": {"warmth": 2}})


def test_a_card_survives_the_wire() -> None:
    """Cards lie in Redis as msgpack, and come back equal, with the same hash."""
    for entry in library.entries([library.SHIPPED]):
        assert entry.card is not None
        back = msgspec.msgpack.decode(msgspec.msgpack.encode(entry.card), type=Card)
        assert (entry.card, entry.card.hash) == (back, back.hash)


def test_the_hash_changes_with_the_card_and_not_with_its_order() -> None:
    """Keys may be moved about; a word may not."""
    one = reading.read(SMALL + "traits: {warmth: 0.5, humour: 0.2}\n")
    moved = reading.read("traits: {humour: 0.2, warmth: 0.5}\n" + SMALL)
    changed = reading.read(SMALL + "traits: {warmth: 0.5, humour: 0.3}\n")

    assert one.hash == moved.hash
    assert one.hash != changed.hash
    assert 16 == len(one.hash) == len(f"{int(one.hash, 16):016x}")


def test_a_card_cannot_be_changed() -> None:
    """Who holds a card may keep it."""
    with pytest.raises(AttributeError):
        reading.read(SMALL).title = "Eve"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("rule", "act"),
    [
        (Rule(when=When(), say="x"), "say"),
        (Rule(when=When(), steer="x"), "steer"),
        (Rule(when=When(), silent=True), "silent"),
        (Rule(when=When(), react="x"), "react"),
        (Rule(when=When()), ""),
        (Rule(when=When(), say="x", silent=True), ""),
    ],
)
def test_a_rule_does_one_thing(rule: Rule, act: str) -> None:
    """Its act is the one that is given; none or two is no act."""
    assert act == rule.act
