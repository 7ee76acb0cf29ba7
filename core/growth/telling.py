"""What has changed in a personality and why, in plain words. Pure: changes, states and texts in, sentences out.

Knows neither Redis nor commands. Numbers are shown with two decimals, as dials go from 0 to 1.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from core.days import name
from core.growth import mood
from core.growth.bonds import described
from core.growth.changes import AnyChange, Born, Mended, Paused, Rated, Reflected, Reset, Rolled, Talked, Tuned
from core.personality import State, bond, steps
from core.text import shorten

LEAST = 0.005  # a dial that has moved less than this is where it was
QUOTED = 48  # characters of a message or reply
SHOWN = 3  # causes of each dial

Names = Mapping[str, str]
Moved = Mapping[str, float]  # how far a change moved each dial (`core.personality.steps`)
Quote = Callable[[AnyChange], str]
"""What was said or rated, empty if it is no longer kept or not to be shown here."""


class Cause(msgspec.Struct, frozen=True):
    """Why a dial moved: `by` how much, and in words. `times`: in how many changes."""

    by: float
    text: str
    times: int = 1


class Move(msgspec.Struct, frozen=True):
    """A dial that stands elsewhere than before. `card`: where the card has it. `causes`: the weightiest first."""

    dial: str
    before: float
    now: float
    card: float
    causes: tuple[Cause, ...] = ()


def moves(before: State, now: State, changes: Sequence[AnyChange], quote: Quote) -> list[Move]:
    """The dials that moved between two states, the farthest first. `changes`: what happened between the two."""
    was, found, who = before.traits, list[Move](), names(changes, now)
    moved = steps(before, changes)
    for dial, value in now.traits.items():
        start = was.get(dial, now.dials[dial].value)
        if abs(value - start) >= LEAST:
            causes = _causes(dial, changes, moved, who, quote)
            found.append(Move(dial, start, value, now.dials[dial].value, causes))
    return sorted(found, key=lambda move: -abs(move.now - move.before))


def _causes(
    dial: str, changes: Sequence[AnyChange], moved: Sequence[Moved], who: Names, quote: Quote
) -> tuple[Cause, ...]:  # fmt: skip
    """What moved a dial since it was last set back as a whole: ratings by reply, talk by person, each turn by hand."""
    sums: dict[tuple[str, ...], list[tuple[AnyChange, float]]] = {}
    for change, effect in zip(changes, moved, strict=True):
        if isinstance(change, Reset | Rolled):
            sums = {("back",): [(change, 0.0)]}
        elif _push(change, dial):
            sums.setdefault(_kind(change), []).append((change, effect.get(dial, 0.0)))
    causes = []
    for pairs in sums.values():
        some, by = [change for change, _ in pairs], sum(by for _, by in pairs)
        if abs(by) >= LEAST / 5 or isinstance(some[-1], Reset | Rolled):
            causes.append(Cause(by, _because(some, who, quote, {dial: by}), len(some)))
    return tuple(sorted(causes, key=lambda cause: -abs(cause.by)))


def concerns(change: AnyChange, dial: str) -> bool:
    """Did a change touch a dial at all?"""
    return isinstance(change, Reset | Rolled | Born) or bool(_push(change, dial))


def _push(change: AnyChange, dial: str) -> float:
    """How far a change would have had it; its band may have let less through."""
    if isinstance(change, Tuned):
        return change.by if change.trait == dial else 0.0
    return change.pushes.get(dial, 0.0) if isinstance(change, Talked | Rated | Reflected) else 0.0


def _kind(change: AnyChange) -> tuple[str, ...]:
    match change:
        case Rated():
            return "rated", change.person, change.reply
        case Talked():
            return "talked", change.person
        case Reflected():
            return ("reflected",)
    return "tuned", change.person, change.id


def _because(some: Sequence[AnyChange], known: Names, quote: Quote, moved: Moved) -> str:
    last = some[-1]
    who, said = person(last, known), _quoted(quote(last))
    match last:
        case Rated():
            return f"{who} {last.emoji if last.value else f'took {last.emoji} back'}{said and f' on {said}'}".strip()
        case Talked():
            count = sum(change.lines for change in some if isinstance(change, Talked))
            times = "1 message" if count == 1 else f"{count:,} messages"
            return f"how {who} speaks ({times}{said and f', such as {said}'})"
        case Reflected():
            return "what I made of it all at night"
    return told(last, moved, known)


def _quoted(text: str) -> str:
    return f"“{shorten(text, QUOTED)}”" if text else ""


def names(changes: Iterable[AnyChange], state: State) -> dict[str, str]:
    """What people are called, by their ids."""
    spoke = {change.person: change.name for change in changes if isinstance(change, Talked) and change.name}
    return spoke | {person: one.name for person, one in state.people.items() if one.name}


def person(change: AnyChange, known: Names) -> str:
    """Whoever brought a change about, as people know them."""
    if not change.person:
        return "somebody who was forgotten"
    return known.get(change.person) or change.person.rsplit(":", 1)[-1]


def told(change: AnyChange, moved: Moved, known: Names, quote: Quote = lambda change: "") -> str:
    """One change of a history in a line. `moved`: how far it moved each dial."""
    who, said = person(change, known), _quoted(quote(change))
    match change:
        case Born():
            return f"lives by the card {change.card[:8]} from now on"
        case Talked():
            times = "something" if change.lines == 1 else f"{change.lines} things"
            return f"{who} said {times}{said and f': {said}'}{_effects(moved)}"
        case Rated():
            what = change.emoji if change.value else f"took {change.emoji} back"
            return f"{who} {what}{said and f' on {said}'}{_effects(moved)}"
        case Tuned():
            by = moved.get(change.trait, 0.0)
            return f"{who} turned {change.trait} by {by:+.2f}{'' if by else ': it was at the end of its band'}"
        case Paused():
            return f"{who} {'paused learning' if change.on else 'let it learn again'}"
        case Reset():
            return f"{who} reset it to its card"
        case Rolled():
            return f"{who} took it back to the end of {name(change.to, change.day)}"
        case Reflected():
            return f"it reflected{_effects(moved)}{_made(change, known)}"
        case Mended():
            return f"{change.lost or 'some'} changes were found missing; it goes on without them"


def _made(change: Reflected, known: Names) -> str:
    """What came of a reflection, for people."""
    if change.silent:
        return ": it says of itself no more what rested on a message that is gone"
    people = ", ".join(known.get(one) or one.rsplit(":", 1)[-1] for one in change.bonds)
    says = f"it says of itself “{shorten(change.about, 2 * QUOTED)}”" if change.about else ""
    parts = [part for part in (f"it knows {people} better" if people else "", says) if part]
    return f": {'; '.join(parts)}" if parts else ""


def _effects(moved: Moved) -> str:
    most = sorted(moved.items(), key=lambda pair: (-abs(pair[1]), pair[0]))
    shown = ", ".join(f"{dial} {by:+.3f}" for dial, by in most[:SHOWN] if abs(by) >= 0.0005)
    return f" ({shown})" if shown else ""


def why(found: Iterable[Move], since: str) -> list[str]:
    """What moved, and because of what, for people."""
    rows = []
    for move in found:
        verb = "rose" if move.now > move.before else "fell"
        rows.append(
            f"{move.dial} {verb} by {abs(move.now - move.before):.2f} {since}, to {move.now:.2f} "
            f"(my card: {move.card:.2f})"
        )
        shown, rest = weighty(move)
        rows += [f"  {cause.by:+.2f}  {cause.text}" if cause.by else f"  {cause.text}" for cause in shown]
        if abs(by := sum(cause.by for cause in rest)) >= LEAST:
            rows.append(f"  {by:+.2f}  and {len(rest):,} more")
    return rows


def weighty(move: Move) -> tuple[list[Cause], list[Cause]]:
    """(the causes that are worth a row, the rest)."""
    shown = [cause for cause in move.causes if not cause.by or abs(cause.by) >= LEAST][:SHOWN]
    return shown, [cause for cause in move.causes if cause not in shown]


def standing(state: State, now: float, you: str = "") -> list[str]:
    """How it is now: where dials have moved from the card, the mood, and what you are to it."""
    rows = [
        f"{dial} {value:.2f} ({value - state.dials[dial].value:+.2f} from my card)"
        for dial, value in state.traits.items()
        if abs(value - state.dials[dial].value) >= LEAST
    ]
    moved = "Moved so far: " + ", ".join(rows) if rows else "I am as my card has me."
    lines = [moved, f"Mood: {mood.called(state, now)}"]
    if you in state.people:
        known, warmth = bond(state, you, now)
        lines.append(f"You and I: familiarity {known:.2f}, warmth {warmth:+.2f}")
    return [*lines, "Learning is paused. /resume lets me go on."] if state.paused else lines


def people(before: State, now: State, then: float, at: float) -> list[str]:
    """Whose relationship has changed, in words and numbers."""
    rows = []
    for who in dict.fromkeys([*before.people, *now.people]):
        was, is_now = bond(before, who, then), bond(now, who, at)
        if max(abs(was[0] - is_now[0]), abs(was[1] - is_now[1])) >= LEAST * 2:
            known = now.people.get(who) or before.people.get(who)
            label = (known and known.name) or who.rsplit(":", 1)[-1]
            rows.append(
                f"{label}: familiarity {was[0]:.2f} → {is_now[0]:.2f}, warmth {was[1]:+.2f} → {is_now[1]:+.2f} "
                f"({described(*is_now)})"
            )
    return rows


def quoting(texts: Mapping[str, str]) -> Quote:
    """Quotes from texts by the id of a reply or message; a person's talk is shown by its latest message."""

    def quote(change: AnyChange) -> str:
        ids = [change.reply] if isinstance(change, Rated) else [*reversed(change.causes)]
        return next((texts[id] for id in ids if texts.get(id)), "")

    return quote
