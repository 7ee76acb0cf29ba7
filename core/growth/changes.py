"""What can change a personality, as immutable nouns: each says what, by how much, and because of which messages.

A change carries the numbers themselves and never the text behind them, so that a replay needs nothing else, stays the
same when we learn to weigh better, and can be redacted. Knows no Redis and no card file.
"""

from typing import TypeVar

import msgspec

Pad = tuple[float, float, float]  # pleasure, arousal, dominance
STILL: Pad = (0.0, 0.0, 0.0)
T = TypeVar("T")


class Dial(msgspec.Struct, frozen=True, array_like=True):
    """A trait as the card has it, 0 to 1: where it stands at birth, and the band that it may never leave."""

    value: float
    low: float
    high: float


class Relation(msgspec.Struct, frozen=True, array_like=True):
    """What somebody is to the persona, as it stood at `lived` (see `State.lived`).

    `known` counts turns and `warmth` adds up kindness, both fading; `rated` counts their latest ratings. How familiar
    and how warm that makes it, from 0 and -1 to 1, says `core.personality.bond`.
    """

    name: str = ""
    known: float = 0.0
    warmth: float = 0.0
    rated: float = 0.0
    lived: float = 0.0


class Style(msgspec.Struct, frozen=True, array_like=True):
    """How it has talked so far: replies, and the words, exclamation and question marks in them; lines heard."""

    replies: int = 0
    words: int = 0
    exclamations: int = 0
    questions: int = 0
    heard: int = 0


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True):
    """What every change carries. `time` in seconds UTC by the clock of whoever wrote it, which may jump.

    `day`: the operator's day as 20260501, which ends at 04:00. `person`: who brought it about. `causes`: ids of the
    messages or reactions. A forgotten person's changes keep their numbers and lose both.
    """

    id: str
    time: float
    day: int = 0
    person: str = ""
    causes: tuple[str, ...] = ()


class Born(Change, frozen=True, kw_only=True, omit_defaults=True):
    """It lives by this card from now on: the first change of all, and again when the card was edited."""

    card: str
    dials: dict[str, Dial]


class Talked(Change, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody said something. `where`: the conversation; `reply`: what we said to it, which has this `style`.

    `pushes` move traits, `pull` the mood, `known` and `warmth` the relationship.
    """

    where: str = ""
    name: str = ""
    lines: int = 1
    known: float = 0.0
    warmth: float = 0.0
    pull: Pad = STILL
    pushes: dict[str, float] = {}
    reply: str = ""
    style: Style | None = None


class Rated(Change, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody judged a reply, or changed their mind: the numbers are what that adds to what they thought before.

    `value`: what they think now, -1 to 1; 0: their reactions are gone. `emoji`: all of theirs that stand.
    """

    reply: str
    emoji: str = ""
    value: float = 0.0
    rated: float = 0.0
    warmth: float = 0.0
    pull: Pad = STILL
    pushes: dict[str, float] = {}


class Tuned(Change, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody turned a dial by hand."""

    trait: str
    by: float


class Paused(Change, frozen=True, kw_only=True, omit_defaults=True):
    """Growing is paused, or goes on."""

    on: bool


class Reset(Change, frozen=True, kw_only=True, omit_defaults=True):
    """Back to how the card has it: traits, mood, relationships, style and self-description."""


class Rolled(Change, frozen=True, kw_only=True, omit_defaults=True):
    """Back to how it was at the end of a day: `to` is 20260501. What came from change number `after` on is void."""

    to: int
    after: int
    drift: dict[str, float] = {}
    people: dict[str, Relation] = {}
    style: Style = Style()
    about: str = ""


class Reflected(Change, frozen=True, kw_only=True, omit_defaults=True):
    """What it made of what had happened (`causes`): itself in its own words, and what people are to it.

    `about` empty: that stays as it is, unless it is `silent`: then it says nothing of itself any more. `bonds`:
    person → what is added to (known, warmth).
    """

    about: str = ""
    silent: bool = False
    bonds: dict[str, tuple[float, float]] = {}
    pushes: dict[str, float] = {}


class Mended(Change, frozen=True, kw_only=True, omit_defaults=True):
    """So many changes were found missing in the history, and it goes on without them."""

    lost: int


AnyChange = Born | Talked | Rated | Tuned | Paused | Reset | Rolled | Reflected | Mended

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(AnyChange).decode


def redacted(change: AnyChange, person: str) -> AnyChange:
    """The same change with nothing of somebody in it but numbers."""
    if isinstance(change, Rolled) and person in change.people:
        change = msgspec.structs.replace(change, people=_without(change.people, person))
    if isinstance(change, Reflected) and (change.about or person in change.bonds):
        change = msgspec.structs.replace(change, bonds=_without(change.bonds, person), about="", causes=())
    if change.person != person:
        return change
    bare = msgspec.structs.replace(change, id="forgotten", person="", causes=())
    if isinstance(bare, Talked):
        return msgspec.structs.replace(bare, name="", where="", reply="")
    return msgspec.structs.replace(bare, reply="", emoji="") if isinstance(bare, Rated) else bare


def _without(people: dict[str, T], person: str) -> dict[str, T]:
    return {name: one for name, one in people.items() if name != person}
