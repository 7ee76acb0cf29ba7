"""How much what people say and feel moves a personality: talk and ratings → changes. Pure; every step's size is here.

Steps are small, for what is counted says little by itself: a liked reply moves a dial by `RATED` times how far it
showed there, a turn of talk by `TALKED` of the way to how the other speaks. People who rate much count less and less.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence

import msgspec

from core.events import Line
from core.growth.changes import STILL, Born, Dial, Pad, Rated, Style, Talked
from core.growth.showing import Marks, marks, showing, shown
from core.personality import MOOD_HALF, WARMTH_HALF, State
from personas.card import Card

RATED, TALKED = 0.02, 0.004
RUBS_OFF = ("verbosity", "warmth", "humour", "playfulness", "formality", "politeness", "curiosity", "extraversion")
MOST_CAUSES = 20  # messages that are named for one change
UNCLEAR = 0.3  # what shows less in a reply than this may be chance
RATES_MANY = 8.0  # ratings within a day or so, after which the next of the same person counts half
OVERHEARD = 0.3  # of a turn, for somebody who spoke to others
KIND, LIKED = 0.05, 0.05  # of warmth between two: for a kind turn, and for a like
PLEASED, STIRRED = 0.25, 0.08  # of the mood: by a like, and by lively talk


class Weighed(msgspec.Struct, frozen=True):
    """What somebody's opinion of a reply has moved so far, so that it can be taken back.

    `number`: how many changes there were before it, and `time` when it was.
    """

    value: float = 0.0
    emoji: str = ""
    number: int = 0
    time: float = 0.0
    warmth: float = 0.0
    pull: Pad = STILL
    pushes: dict[str, float] = {}


class When(msgspec.Struct, frozen=True):
    """The moment of a change: seconds UTC, and the operator's day."""

    time: float
    day: int


def born(card: Card, when: When) -> Born:
    """It lives by this card from now on."""
    dials = {name: Dial(trait.value, *trait.band) for name, trait in card.traits.items()}
    return Born(id=f"card:{card.hash}", time=when.time, day=when.day, card=card.hash, dials=dials)


def talked(
    state: State, lines: Sequence[Line], when: When, pace: float, where: str, reply: str = "", answer: str = ""
) -> Talked:
    """One person's lines. `reply`: ours to them, if they were for us, and `answer`, what we said in it if anything."""
    author, seen = lines[-1].author, marks("\n".join(line.text for line in lines))
    turn, kind = 1.0 if reply else OVERHEARD, kindness(seen)
    causes = tuple(line.id for line in lines[-MOST_CAUSES:])
    return Talked(
        id=lines[-1].id, time=when.time, day=when.day, person=author.id, causes=causes, where=where, name=author.name,
        lines=len(lines), known=turn, warmth=KIND * kind * turn, pushes=rubbed(state, seen, pace * turn),
        pull=(0.5 * PLEASED * kind * turn, STIRRED * (seen.exclaims + seen.asks / 2) * turn, 0.0), reply=reply,
        style=style(marks(answer)) if answer else None,
    )  # fmt: skip


def kindness(seen: Marks) -> float:
    """How kind a text is, -1 to 1."""
    rates = seen.rates
    return math.tanh(rates["warm"] + rates["polite"] + 0.3 * rates["fun"] - 1.5 * rates["cold"])


def style(seen: Marks) -> Style:
    """A reply of ours, in numbers."""
    return Style(1, seen.words, seen.exclamations, seen.questions)


def rubbed(state: State, seen: Marks, share: float) -> dict[str, float]:
    """How far dials move towards how somebody speaks."""
    now, found = state.traits, shown(seen)
    return {
        dial: TALKED * share * ((1 + found[dial]) / 2 - now[dial])
        for dial in RUBS_OFF
        if share and dial in now and dial in found
    }


def rated(
    state: State, person: str, reply: str, text: str, opinion: tuple[float, str], causes: Sequence[str],
    was: Weighed | None, when: When, pace: float,
) -> tuple[Rated | None, Weighed]:  # fmt: skip
    """What somebody's opinion (value, emoji) of a reply changes now, beyond what it `was`; and what it is from now on.

    While growing is paused it is noted and moves nothing. What a reset or rollback undid is not undone again.
    """
    value, emoji = opinion
    if was and was.value == value:
        return None, was
    if was is None and not value:
        return None, Weighed()
    now = _moved(state, person, text, opinion, when, pace)
    if state.paused:
        now = Weighed(value, emoji, state.events, when.time)
    old = Weighed() if was is None or state.is_void(was.number) else _faded(was, when.time)
    if state.paused and not (old.warmth or old.pushes):
        return None, now
    name = hashlib.sha256(f"{reply}|{person}|{state.events}".encode()).hexdigest()[:16]
    change = Rated(
        id=name, time=when.time, day=when.day, person=person, causes=tuple(causes), reply=reply,
        emoji=emoji or (was.emoji if was else ""), value=value, rated=1.0 if was is None else 0.0,
        warmth=now.warmth - old.warmth, pull=_minus(now.pull, old.pull), pushes=_less(now.pushes, old.pushes),
    )  # fmt: skip
    return change, now


def _moved(state: State, person: str, text: str, opinion: tuple[float, str], when: When, pace: float) -> Weighed:
    value, emoji = opinion
    before = state.people[person].rated if person in state.people else 0.0
    counts = value / (1 + before / RATES_MANY)
    found = showing(text, state.dials).items()
    pushes = {dial: RATED * pace * counts * clear(far) for dial, far in found if pace and value and clear(far)}
    return Weighed(
        value, emoji, state.events, when.time, LIKED * counts, (PLEASED * counts, STIRRED * abs(counts), 0.1 * counts),
        pushes,
    )  # fmt: skip


def clear(far: float) -> float:
    """How far a dial clearly shows, -1 to 1: a text without marks says nothing, and what is liked is mostly that."""
    return math.copysign(max(abs(far) - UNCLEAR, 0.0) / (1 - UNCLEAR), far)


def _faded(was: Weighed, now: float) -> Weighed:
    """As much of it as is left."""
    gone = max(now - was.time, 0.0)
    mood, warmth = 0.5 ** (gone / MOOD_HALF), 0.5 ** (gone / WARMTH_HALF)
    pleasure, arousal, dominance = was.pull
    pull = (pleasure * mood, arousal * mood, dominance * mood)
    return msgspec.structs.replace(was, warmth=was.warmth * warmth, pull=pull)


def _minus(one: Pad, other: Pad) -> Pad:
    return (one[0] - other[0], one[1] - other[1], one[2] - other[2])


def _less(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    return {dial: one.get(dial, 0.0) - other.get(dial, 0.0) for dial in dict.fromkeys([*one, *other])}
