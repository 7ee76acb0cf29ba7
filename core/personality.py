"""A personality: how far a card's dials have moved, its mood, what people are to it. Pure `(state, change) → state`.

Numbers are plain floats, added in the order of the history, so that a replay is equal to the last bit, from the first
change or from any snapshot. Decay goes by time that was lived through: clocks may jump, that never runs backwards.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from core.growth.changes import (
    STILL,
    AnyChange,
    Born,
    Dial,
    Mended,
    Pad,
    Paused,
    Rated,
    Reflected,
    Relation,
    Reset,
    Rolled,
    Style,
    Talked,
    Tuned,
)

HOUR, DAY = 3600.0, 86_400.0
MOOD_HALF = 1.5 * HOUR  # half of a mood is gone after so long; the other half lives ours are our own choice, too
KNOWN_HALF, WARMTH_HALF, RATED_HALF = 60 * DAY, 30 * DAY, DAY
LONGEST_GAP = 365 * DAY  # that one step may take: a clock that jumps costs no more
SLACK = 0.05  # how far a drift goes on past the band, so that what pushed there can be taken back exactly
MOST_PEOPLE = 500  # beyond, whoever was heard of longest ago is a stranger again
MOST_VOID = 50
MOOD_REACH = 1.5  # the farthest that events can pull the mood off its rest point, in each dimension
FRIENDS = 25.0  # turns after which two thirds of familiarity are there


class State(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A personality after `events` changes. Born of `card` (its hash), with its `dials`.

    `drift` is how far each dial was moved, `dawn` where the dials stood when `day` began, `mood` how far it is off its
    rest point. `people` are in the order in which they were last heard of. `void`: numbers of changes, [from, to),
    that a reset or rollback undid. `time` is the latest there was, `last` that of the last change, `lived` the
    seconds lived through.
    """

    card: str = ""
    dials: dict[str, Dial] = {}
    drift: dict[str, float] = {}
    dawn: dict[str, float] = {}
    day: int = 0
    mood: Pad = STILL
    people: dict[str, Relation] = {}
    style: Style = Style()
    about: str = ""
    paused: bool = False
    void: tuple[tuple[int, int], ...] = ()
    events: int = 0
    time: float = 0.0
    last: float = 0.0
    lived: float = 0.0

    @property
    def traits(self) -> dict[str, float]:
        """Where each dial stands now, never outside its band."""
        return traits(self.dials, self.drift)

    def traits_on(self, day: int) -> dict[str, float]:
        """The traits of a day: as they stood when it began, so that a day's prompts begin alike."""
        return dict(self.dawn) if day == self.day else self.traits

    def is_void(self, number: int) -> bool:
        """Was a change of this number undone by a reset or a rollback?"""
        return any(begin <= number < end for begin, end in self.void)


def traits(dials: Mapping[str, Dial], drift: Mapping[str, float]) -> dict[str, float]:
    """Where dials stand that have moved so far."""
    return {name: min(max(dial.value + drift.get(name, 0.0), dial.low), dial.high) for name, dial in dials.items()}


def faded(state: State, now: float) -> Pad:
    """How far the mood is off its rest point at `now` (seconds UTC)."""
    share = 0.5 ** (_gap(state.last, now) / MOOD_HALF)
    pleasure, arousal, dominance = state.mood
    return (pleasure * share, arousal * share, dominance * share)


def bond(state: State, person: str, now: float) -> tuple[float, float]:
    """How familiar somebody is (0 to 1), and how warm it is between the two (-1 to 1), at `now`."""
    found = state.people.get(person)
    if found is None:
        return 0.0, 0.0
    since = state.lived + _gap(state.last, now) - found.lived
    known = found.known * 0.5 ** (since / KNOWN_HALF)
    return 1.0 - math.exp(-known / FRIENDS), math.tanh(found.warmth * 0.5 ** (since / WARMTH_HALF))


def replay(state: State, changes: Iterable[AnyChange]) -> State:
    """The state after these changes, in their order."""
    fold = _Fold(state)
    for change in changes:
        fold.take(change)
    return fold.state()


def steps(state: State, changes: Iterable[AnyChange]) -> list[dict[str, float]]:
    """How far each of these changes moved the dials: what its band let through of what it asked for."""
    fold, moved = _Fold(state), list[dict[str, float]]()
    was = state.traits
    for change in changes:
        fold.take(change)
        now = traits(fold.dials, fold.drift)
        moved.append({name: now[name] - was[name] for name in now.keys() & was.keys() if now[name] != was[name]})
        was = now
    return moved


def _gap(last: float, now: float) -> float:
    return min(max(now - last, 0.0), LONGEST_GAP) if last else 0.0


class _Fold:
    """A state while it is being folded: the same numbers, changeable, so that a long history takes seconds."""

    def __init__(self, state: State) -> None:
        self.was = state
        self.card, self.dials = state.card, state.dials
        self.drift, self.dawn, self.day = dict(state.drift), state.dawn, state.day
        self.mood = state.mood
        self.people = {name: _Bond(one) for name, one in state.people.items()}
        self.style = list(msgspec.structs.astuple(state.style))
        self.about, self.paused, self.void = state.about, state.paused, state.void
        self.events, self.time, self.last, self.lived = state.events, state.time, state.last, state.lived

    def state(self) -> State:
        """The state as it stands now."""
        return State(
            card=self.card, dials=self.dials, drift=dict(self.drift), dawn=self.dawn, day=self.day, mood=self.mood,
            people={name: one.relation() for name, one in self.people.items()}, style=Style(*self.style),
            about=self.about, paused=self.paused, void=self.void, events=self.events, time=self.time, last=self.last,
            lived=self.lived,
        )  # fmt: skip

    def take(self, change: AnyChange) -> None:
        """One change."""
        gap = _gap(self.last, change.time)
        if gap:
            self.lived += gap
            if self.mood != STILL:
                share = 0.5 ** (gap / MOOD_HALF)
                pleasure, arousal, dominance = self.mood
                self.mood = (pleasure * share, arousal * share, dominance * share)
        if change.day != self.day:
            self.day, self.dawn = change.day, traits(self.dials, self.drift)
        self.last, self.time = change.time, max(self.time, change.time)
        _TAKE[type(change)](self, change)
        self.events += 1

    def talked(self, change: Talked) -> None:
        """How somebody speaks rubs off; whoever speaks is known better."""
        self.push(change.pushes)
        self.pull(change.pull)
        style = self.style
        style[4] += change.lines
        if said := change.style:
            style[0] += said.replies
            style[1] += said.words
            style[2] += said.exclamations
            style[3] += said.questions
        if change.person:
            one = self.known(change.person)
            one.known = max(one.known + change.known, 0.0)
            one.warmth += change.warmth
            one.name = change.name or one.name

    def rated(self, change: Rated) -> None:
        """What was liked comes out more, what was not less."""
        self.push(change.pushes)
        self.pull(change.pull)
        if change.person:
            one = self.known(change.person)
            one.warmth += change.warmth
            one.rated = max(one.rated + change.rated, 0.0)

    def born(self, change: Born) -> None:
        """New bands hold at once; what was learned stays as far as they allow, without words about the old self."""
        self.about = self.about if change.card == self.card else ""
        self.card, self.dials = change.card, change.dials
        self.drift = {name: self.fit(name, moved) for name, moved in self.drift.items() if name in change.dials}
        self.dawn = traits(self.dials, self.drift)

    def tuned(self, change: Tuned) -> None:
        """By hand: at once, and not past the band."""
        if dial := self.dials.get(change.trait):
            now = min(max(dial.value + self.drift.get(change.trait, 0.0), dial.low), dial.high)
            self.drift[change.trait] = min(max(now + change.by, dial.low), dial.high) - dial.value
            self.dawn = traits(self.dials, self.drift)

    def pause(self, change: Paused) -> None:
        """Whoever writes changes looks at this."""
        self.paused = change.on

    def reset(self, change: Reset) -> None:
        """As it was born."""
        self.back({}, {}, Style(), "", 0)

    def rolled(self, change: Rolled) -> None:
        """As it was on that day; a mood of then is over."""
        self.back(change.drift, change.people, change.style, change.about, change.after)

    def reflected(self, change: Reflected) -> None:
        """Itself in its own words, and what people are to it."""
        self.push(change.pushes)
        self.about = "" if change.silent else change.about or self.about
        for person, (known, warmth) in change.bonds.items():
            one = self.known(person)
            one.known = max(one.known + known, 0.0)
            one.warmth += warmth

    def mended(self, change: Mended) -> None:
        """Nothing but that it was said."""

    def back(
        self, drift: Mapping[str, float], people: Mapping[str, Relation], style: Style, about: str, after: int
    ) -> None:
        """Whatever came from change number `after` on is undone."""
        self.drift = {name: self.fit(name, moved) for name, moved in drift.items() if name in self.dials}
        self.dawn, self.mood, self.about = traits(self.dials, self.drift), STILL, about
        self.people = {name: _Bond(one) for name, one in people.items()}
        self.style = list(msgspec.structs.astuple(style))
        self.void = (*self.void, (after, self.events))[-MOST_VOID:]

    def push(self, pushes: Mapping[str, float]) -> None:
        """Move dials."""
        for name, by in pushes.items():
            if name in self.dials:
                self.drift[name] = self.fit(name, self.drift.get(name, 0.0) + by)

    def fit(self, name: str, moved: float) -> float:
        """A drift within the band and its slack."""
        dial = self.dials[name]
        return min(max(moved, dial.low - dial.value - SLACK), dial.high - dial.value + SLACK)

    def pull(self, pull: Pad) -> None:
        """Move the mood."""
        if pull != STILL:
            (p, a, d), (by_p, by_a, by_d) = self.mood, pull
            self.mood = (_within(p + by_p), _within(a + by_a), _within(d + by_d))

    def known(self, person: str) -> "_Bond":
        """Somebody as they are now; they are the last that was heard of."""
        one = self.people.pop(person, None) or _Bond(Relation(lived=self.lived))
        self.people[person] = one
        one.fade(self.lived)
        if len(self.people) > MOST_PEOPLE:
            del self.people[next(iter(self.people))]
        return one


class _Bond:
    """A relation that can be changed."""

    __slots__ = ("known", "lived", "name", "rated", "warmth")

    def __init__(self, of: Relation) -> None:
        self.name, self.known, self.warmth, self.rated, self.lived = (
            of.name, of.known, of.warmth, of.rated, of.lived
        )  # fmt: skip

    def relation(self) -> Relation:
        return Relation(self.name, self.known, self.warmth, self.rated, self.lived)

    def fade(self, lived: float) -> None:
        gap = lived - self.lived
        if gap > 0:
            self.known *= 0.5 ** (gap / KNOWN_HALF)
            self.warmth *= 0.5 ** (gap / WARMTH_HALF)
            self.rated *= 0.5 ** (gap / RATED_HALF)
        self.lived = lived


def _within(value: float) -> float:
    return min(max(value, -MOOD_REACH), MOOD_REACH)


_TAKE: dict[type, Callable[[_Fold, Any], None]] = {
    Born: _Fold.born, Talked: _Fold.talked, Rated: _Fold.rated, Tuned: _Fold.tuned, Paused: _Fold.pause,
    Reset: _Fold.reset, Rolled: _Fold.rolled, Reflected: _Fold.reflected, Mended: _Fold.mended,
}  # fmt: skip
