"""The persona card: the written character, as people write it in YAML and as everyone else reads it. Immutable.

Knows no file and no prompt; `reading.py` reads and checks cards. `python -m personas.card` writes the editors' schema.
"""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from personas.sampling import Sampling
from personas.yamlfile import Fault

PROMPT_CHARACTERS = 8_000
BIG_FIVE = ("openness", "conscientiousness", "extraversion", "agreeableness", "neuroticism")
SCHEMA = Path(__file__).with_name("card.schema.json")

_SLUG = {"allowed": "1 to 40 of a-z, 0-9 and -, not beginning or ending with -"}
Slug = Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$", extra=_SLUG)]
_DIAL = {"allowed": "a name of a-z and _, such as warmth"}
Dial = Annotated[str, Meta(pattern=r"^[a-z][a-z_]{0,31}$", extra=_DIAL)]
Unit = Annotated[float, Meta(ge=0, le=1)]
Line = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]
Text = Annotated[str, Meta(min_length=1, max_length=2000, pattern=r"\S")]
Lines = Annotated[tuple[Line, ...], Meta(max_length=64)]


class Noun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of a card: immutable, and no field that is not one of ours."""


class Exchange(Noun, frozen=True):
    """What somebody says and how this character answers: shows the voice better than any description."""

    user: Text
    reply: Text


class Voice(Noun, frozen=True):
    """How it talks."""

    style: Annotated[str, Meta(max_length=2000, description="Short and concrete: length, tone, words it likes.")] = ""
    examples: Annotated[
        tuple[Exchange, ...], Meta(max_length=20, description="Three to five strong ones do most for a small model.")
    ] = ()


class Trait(Noun, frozen=True):
    """A dial of the character from 0 to 1, and the band that it may never leave while the personality evolves."""

    value: Unit
    band: tuple[Unit, Unit]


class Knowledge(Noun, frozen=True):
    """What it knows, and what it does not."""

    domains: Annotated[Lines, Meta(description="What it knows well.")] = ()
    era: Annotated[str, Meta(max_length=200, description="When it lives, and so what it cannot have heard of.")] = ""
    unknowns: Annotated[Lines, Meta(description="What it says that it does not know.")] = ()
    admits: Annotated[Lines, Meta(description="How it says that it does not know something, in its own voice.")] = ()
    files: Annotated[Lines, Meta(description="Texts that it may look things up in, beside the card.")] = ()


class Detail(Noun, frozen=True):
    """A fact of its world that comes to mind when one of the keywords falls."""

    about: Annotated[tuple[Line, ...], Meta(min_length=1, max_length=20)]
    text: Text


class World(Noun, frozen=True):
    """Where it is."""

    scene: Annotated[
        str, Meta(max_length=2000, description="Where a talk takes place, unless a channel says else.")
    ] = ""
    details: Annotated[tuple[Detail, ...], Meta(max_length=100)] = ()
    channels: Annotated[dict[str, Text], Meta(max_length=100, description="Channel name: the scene there.")] = {}


class When(Noun, frozen=True):
    """When a rule holds. Of several conditions, all must."""

    keywords: Annotated[Lines, Meta(description="One of these words or phrases falls.")] = ()
    regex: Annotated[str, Meta(max_length=200, description="A Python regular expression is found, case ignored.")] = ""
    intent: Annotated[Lines, Meta(description="The message means much the same as one of these phrases.")] = ()
    time: Annotated[
        str,
        Meta(
            pattern=r"^$|^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$",
            description="HH:MM-HH:MM in the bot's time zone; may cross midnight.",
            extra={"allowed": "HH:MM-HH:MM, such as 22:00-06:00"},
        ),
    ] = ""
    first_contact: Annotated[bool, Meta(description="This person speaks to it for the first time.")] = False
    mood: Annotated[str, Meta(max_length=40, description="It feels this one of its emotions.")] = ""
    dial: Annotated[
        str,
        Meta(
            pattern=r"^$|^[a-z][a-z_]* ?(<|<=|>|>=) ?(0(\.\d+)?|1(\.0+)?)$",
            description="A trait is past a mark, such as warmth>0.7.",
            extra={"allowed": "a trait, < or >, and a number from 0 to 1, such as warmth>0.7"},
        ),
    ] = ""


class Rule(Noun, frozen=True):
    """When something holds, do exactly one thing."""

    when: When
    say: Annotated[str, Meta(max_length=2000, description="Answer with these words, without the model.")] = ""
    steer: Annotated[str, Meta(max_length=500, description="A stage direction for this one reply.")] = ""
    silent: Annotated[bool, Meta(description="Do not answer.")] = False
    react: Annotated[str, Meta(max_length=40, description="Answer with this emoji only.")] = ""

    @property
    def act(self) -> str:
        """The one thing it does: `say`, `steer`, `silent` or `react`; empty if none or several are given."""
        given = [name for name in ("say", "steer", "silent", "react") if getattr(self, name)]
        return given[0] if len(given) == 1 else ""


class Emotion(Noun, frozen=True):
    """A feeling it may show, by name, and the emoji for it if it uses one."""

    name: Line
    emoji: Annotated[str, Meta(max_length=40)] = ""


class Limits(Noun, frozen=True):
    """What it declines, and how."""

    topics: Annotated[Lines, Meta(description="What it does not talk about.")] = ()
    languages: Annotated[Lines, Meta(description="The languages it speaks, such as English or en; empty: any.")] = ()
    decline: Annotated[str, Meta(max_length=500, description="How it says no, in its own voice.")] = ""


class Card(Noun, frozen=True, dict=True):
    """A limen persona card: who a bot is before it has met anyone."""

    name: Annotated[Slug, Meta(description="What people choose it by: limen chat --persona NAME.")]
    title: Annotated[str, Meta(min_length=1, max_length=80, pattern=r"\S", description="Its full name, for show.")]
    description: Annotated[
        str,
        Meta(min_length=1, max_length=4000, pattern=r"\S", description="Who it is, in short facts: `You are a ...`."),
    ]
    tagline: Annotated[str, Meta(max_length=120, description="One line for lists.")] = ""
    voice: Voice = Voice()
    traits: Annotated[
        dict[Dial, Trait],
        Meta(max_length=32, description=f"{', '.join(BIG_FIVE)}, and dials of your own such as warmth."),
    ] = {}
    goals: Annotated[Lines, Meta(description="What it wants.")] = ()
    skills: Annotated[Lines, Meta(description="What it is good at.")] = ()
    knowledge: Knowledge = Knowledge()
    world: World = World()
    rules: Annotated[tuple[Rule, ...], Meta(max_length=100, description="The first that holds decides.")] = ()
    emotions: Annotated[tuple[Emotion, ...], Meta(max_length=40, description="Feelings that it may show.")] = ()
    actions: Annotated[Lines, Meta(description="What it may do between *asterisks*.")] = ()
    sampling: Sampling = Sampling()
    greeting: Annotated[str, Meta(max_length=2000, description="Its first words to a newcomer.")] = ""
    consent: Annotated[
        str,
        Meta(max_length=300, description="How it asks whether it may learn from somebody; what that means is added."),
    ] = ""
    limits: Limits = Limits()
    evolves: Annotated[bool, Meta(description="Whether it grows with the people who talk to it.")] = True
    names: Annotated[Lines, Meta(description="Other names that it answers to.")] = ()
    license: Annotated[str, Meta(max_length=80, description="Of the card itself, as an SPDX identifier.")] = ""

    @cached_property
    def hash(self) -> str:
        """16 hex digits that change with anything in the card, and not with the order of its keys."""
        return hashlib.sha256(msgspec.msgpack.encode(self, order="deterministic")).hexdigest()[:16]


class CardFaults(Exception):
    """A card is not valid. `faults` lists all that is wrong, by line."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


def schema() -> dict[str, Any]:
    """The JSON Schema of a card file, with the two shorthands: a trait as a number, an emotion as a word."""
    whole = msgspec.json.schema(Card)
    parts = whole["$defs"]
    parts["Trait"]["required"] = ["value"]
    traits = parts["Card"]["properties"]["traits"]
    traits["additionalProperties"] = {
        "anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"$ref": "#/$defs/Trait"}]
    }
    emotions = parts["Card"]["properties"]["emotions"]
    emotions["items"] = {"anyOf": [{"type": "string", "minLength": 1, "maxLength": 200}, {"$ref": "#/$defs/Emotion"}]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "limen persona card", **whole}


def schema_text() -> str:
    """What `card.schema.json` must hold."""
    return msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode() + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(schema_text(), encoding="utf-8")
