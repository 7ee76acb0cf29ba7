"""Commands about what a character has become: `/persona`, `/why`, `/tune`, `/pause`, `/resume`, `/reset`.

Who may give those that change it for everybody is decided before (`core/group/roles.py`).
"""

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from core import days
from core.commands.answers import Answer, Choice
from core.errors import InputError
from core.events import Command
from core.growth import telling
from core.growth.goingback import go_back, told
from core.growth.showing import has_meaning
from core.personality import State
from personas.card import Card

if TYPE_CHECKING:
    from core.commands.desk import Desk

NOTCH = 0.1  # what `/tune warmth +1` turns
WEEK = 7
_TURN = re.compile(r"([+-]?)(\d{1,2}(?:\.\d{1,3})?|\.\d{1,3})")
NO_DAY = "Say a day: today, yesterday, Tuesday, or 2026-05-01"


async def persona(desk: "Desk", command: Command) -> Answer:
    """who you are talking to, and how far it has moved; /persona rollback DAY takes it back"""
    first, *rest = command.args.split() or [""]
    if first.lower() == "rollback":
        return await _rollback(desk, command, rest)
    if first.lower() == "reset":
        return await reset(desk, command, rest)
    key, card = await desk.who(command)
    state = await desk.growth.state(key, card)
    now = telling.standing(state, desk.growth.now().time, command.author.id)
    rows = now if card.evolves else ["I stay as my card has me."]
    return Answer(text="\n".join([about(card, state), "", *rows]))


async def why(desk: "Desk", command: Command) -> Answer:
    """why it is as it is: /why, /why warmth, /why warmth since Tuesday"""
    key, card = await desk.who(command)
    if not card.evolves:
        return Answer(text="I stay as my card has me: nothing that is said changes me.")
    dial, day = _asked(command.args, card, desk)
    found = await desk.reasons.since(key, card, day, where=key.conversation(command.place))
    quote, who = telling.quoting(found.texts), telling.names(found.changes, found.now)
    moves = [move for move in telling.moves(found.before, found.now, found.changes, quote) if dial in ("", move.dial)]
    since = f"since {days.name(day, desk.growth.now().day)}" if found.before.events > 1 else "since we met"
    rows = telling.why(moves, since)
    if not rows:
        what = f"My {dial} is" if dial else "I am"
        rows = [f"{what} as {'it' if dial else 'I'} was {since}."]
        pairs = zip(found.changes, found.moved, strict=True)
        last = [(change, by) for change, by in pairs if not dial or telling.concerns(change, dial)][-3:]
        rows += [f"  {telling.told(change, by, who, quote)}" for change, by in last]
    return Answer(text="\n".join([*rows, *([] if dial else _now(found.now, desk, command))]))


def _now(state: State, desk: "Desk", command: Command) -> list[str]:
    return telling.standing(state, desk.growth.now().time, command.author.id)[1:]


def _asked(args: str, card: Card, desk: "Desk") -> tuple[str, int]:
    """(the dial, if one is named; the day). Without a day: the last week."""
    words = [word.lower().rstrip("?") for word in args.split()]
    dials = [word for word in words if word in card.traits]
    rest = [word for word in words if word not in (*card.traits, "since")]
    if len(dials) > 1 or len(rest) > 1:
        raise InputError("I can say one thing at a time", f"/why warmth, or /why warmth since yesterday. {NO_DAY}")
    if rest and not _is_day(rest[0], desk) and (near := get_close_matches(rest[0], card.traits, 1, 0.6)):
        raise InputError(f"I have no dial called {rest[0]}", f"Perhaps you mean {near[0]}")
    return "".join(dials), read_day(rest[0] if rest else str(WEEK), desk)


def _is_day(text: str, desk: "Desk") -> bool:
    try:
        read_day(text, desk)
    except InputError:
        return False
    return True


def read_day(text: str, desk: "Desk") -> int:
    """A day as somebody named it. Raises InputError."""
    settings = desk.engine.settings
    try:
        return days.read(text, desk.growth.now().time, settings.timezone)
    except ValueError as error:
        raise InputError(f"{text!r} is no day that I know", NO_DAY) from error


async def tune(desk: "Desk", command: Command) -> Answer:
    """turn a dial by hand: /tune warmth +1 (a tenth), /tune warmth -0.05; /tune lists them"""
    key, card = await desk.who(command)
    words = command.args.lower().split()
    if not words:
        return Answer(text="\n".join(_dials(await desk.growth.state(key, card))))
    dial, by = _turn(words, card)
    before, now = await desk.growth.tune(key, card, command.author.id, dial, by)
    if before == now:
        low, high = card.traits[dial].band
        return Answer(text=f"{dial} stays at {now:.2f}: its card lets it go from {low:g} to {high:g}.", error=True)
    return Answer(text=f"{dial}: {before:.2f} → {now:.2f}", changed=True)


def _turn(words: list[str], card: Card) -> tuple[str, float]:
    """(dial, by how much). Raises InputError."""
    dial, *rest = words
    if dial not in card.traits:
        near = get_close_matches(dial, card.traits, 1, 0.5)
        hint = f"Perhaps you mean {near[0]}" if near else f"There are {', '.join(card.traits)}"
        raise InputError(f"I have no dial called {dial}", hint)
    found = _TURN.fullmatch("".join(rest))
    if not found:
        raise InputError("Say how far to turn it", f"/tune {dial} +1 is a tenth up, /tune {dial} -0.05 a bit down")
    by = float(found[2])
    return dial, (-1 if found[1] == "-" else 1) * (by if "." in found[2] else by * NOTCH)


def _dials(state: State) -> list[str]:
    width = max(map(len, state.dials), default=0)
    rows = [
        f"{dial:<{width}}  {value:.2f}  (card {one.value:g}, from {one.low:g} to {one.high:g})"
        f"{'' if has_meaning(dial) else '  by hand only'}"
        for (dial, value), one in zip(state.traits.items(), state.dials.values(), strict=True)
    ]
    return [*rows, "/tune warmth +1 turns one by a tenth."] if rows else ["My card has no dials."]


async def pause(desk: "Desk", command: Command) -> Answer:
    """let it learn nothing for now: /pause learning; /resume lets it go on"""
    words = command.args.lower().split()
    if words[:1] in (["learning"], []) and words[1:] in ([], ["on"]):
        return await _pause(desk, command, True)
    if words in (["off"], ["learning", "off"]):
        return await _pause(desk, command, False)
    return Answer(text="Say /pause learning. /resume lets me learn again.", error=True)


async def resume(desk: "Desk", command: Command) -> Answer:
    """let it learn again after /pause"""
    return await _pause(desk, command, False)


async def _pause(desk: "Desk", command: Command, on: bool) -> Answer:
    key, card = await desk.who(command)
    if not await desk.growth.pause(key, card, command.author.id, on):
        return Answer(text="Learning is paused already." if on else "I am learning.", error=True)
    if on:
        return Answer(text="What is said and felt from now on changes me no more, until /resume.", changed=True)
    return Answer(text="I am learning again. What was said and felt meanwhile has not moved me.", changed=True)


async def reset(desk: "Desk", command: Command, words: list[str] | None = None) -> Answer:
    """back to how its card has it: traits, mood, and what people are to it"""
    words = command.args.split() if words is None else words
    key, card = await desk.who(command)
    if "yes" not in [word.lower() for word in words]:
        return Answer(
            text="This takes me back to how my card has me: traits, mood, and what all of you are to me. Memories and "
            "weights stay. To do it, say /reset yes",
            choices=(Choice("Reset", "reset", "yes", "danger"), Choice("Let it be")),
        )
    await desk.growth.reset(key, card, command.author.id)
    return Answer(text=f"I am {card.title}, as on my first day.", changed=True)


async def _rollback(desk: "Desk", command: Command, words: list[str]) -> Answer:
    key, card = await desk.who(command)
    if not words:
        kept = await desk.growth.store.days(key)
        first = f" The first that I remember is {days.date(kept[0])}." if kept else ""
        return Answer(text=f"{NO_DAY}.{first}", error=True)
    day = read_day(words[0], desk)
    zone = desk.engine.settings.timezone
    back = await go_back(desk.growth, desk.loras, key, card, command.author.id, day, zone)
    return Answer(text=told(back, days.name(day, desk.growth.now().day)), changed=True)


def about(card: Card, state: State | None = None) -> str:
    """A card in a few lines, for people; with a state, its dials as they stand now."""
    now = state.traits if state else {name: trait.value for name, trait in card.traits.items()}
    dials = ", ".join(
        f"{name} {now.get(name, trait.value):.2g} ({trait.band[0]:g}–{trait.band[1]:g})"
        for name, trait in card.traits.items()
    )
    parts = {
        "Likes to talk about": "; ".join(card.knowledge.domains),
        "Wants": "; ".join(card.goals),
        "Is good at": "; ".join(card.skills),
        "Does not know": "; ".join(card.knowledge.unknowns),
        "Declines": "; ".join(card.limits.topics),
        "Nature, and how far it may move": dials,
    }
    rows = [f"{label}: {text}" for label, text in parts.items() if text]
    return "\n".join([f"{card.title} ({card.name})", card.tagline, "", card.description.strip(), "", *rows])
