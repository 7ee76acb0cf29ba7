"""Commands about what is remembered: `/memory`, `/remember`, `/forget that`, `/forget undo`.

Searches by words alone, without a model: a bot process has none. Whose memories somebody may take away is decided here.
"""

import math
from collections.abc import Sequence
from datetime import UTC
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from core.commands.answers import Answer, Choice
from core.events import Command, PersonaKey
from core.group.manners import named
from core.group.roles import is_own
from core.memory import Kind, Memory, channel_of, dated, note, turn_id
from core.recall.terms import terms, words
from core.text import shorten

if TYPE_CHECKING:
    from core.commands.desk import Desk

SHOWN = 8  # memories in an answer
LONGEST = 500  # characters of a note
NOTES = 100  # of one person in one scope: they do not fade, and leave no room for what others said
SENTENCE = 120  # of a memory that are shown


async def memory(desk: "Desk", command: Command) -> Answer:
    """what I remember here: /memory, or /memory WORDS to search"""
    key, _ = await desk.who(command)
    await desk.engine.memories.take_in(key)
    every = [one for one in await desk.engine.memories.every(key) if not one.superseded_by]
    every = [one for one in every if _may_read(command, key, one)]
    if command.args.strip():
        found = find(every, command.args, SHOWN)
        return Answer(text="\n".join(_row(desk, command, one) for one in found) or "Nothing that I remember has that.")
    if not every:
        return Answer(text="I remember nothing here yet.")
    rows = [f"I remember {len(every):,} things here, since {_when(desk, command, every[0])}. /memory WORDS searches."]
    rows += _part("Noted and learned:", [_row(desk, command, one) for one in every if one.kind != Kind.TURN])
    reminded = await desk.engine.conversations.reminded(key.conversation(command.place))
    there = [one for one in await desk.engine.memories.get(key, reminded) if _may_read(command, key, one)]
    rows += _part("My last reply was reminded of:", [_row(desk, command, one) for one in there])
    return Answer(text="\n".join(rows))


def _part(lead: str, rows: Sequence[str]) -> list[str]:
    return [lead, *rows[-SHOWN:]] if rows else []


async def remember(desk: "Desk", command: Command) -> Answer:
    """let me remember something for good: /remember TEXT"""
    text = " ".join(command.args.split())
    if not text or len(text) > LONGEST:
        return Answer(text=f"Say what, in up to {LONGEST} characters: /remember Ann is allergic to nuts.", error=True)
    key, _ = await desk.who(command)
    there = [one for one in await desk.engine.memories.every(key) if one.kind == Kind.NOTE]
    if sum(one.author.id == command.author.id for one in there) >= NOTES:
        return Answer(text=f"I have {NOTES} notes of yours, and keep no more. /forget that takes one back.", error=True)
    await desk.engine.memories.add(key, [note(f"note/{command.id}", text, command.author, command.time)])
    return Answer(text=f"I will remember: “{shorten(text, 80)}” /forget that takes it back.", changed=True)


async def forget_that(desk: "Desk", command: Command) -> Answer:
    """Forget what was noted, recalled or said last."""
    key, _ = await desk.who(command)
    await desk.engine.memories.take_in(key)
    meant = await _meant(desk, command, key)
    if not meant:
        return Answer(text="There is nothing that I could forget. /memory shows what I remember.", error=True)
    mine = [one for one in meant if _may(desk, command, key, one)]
    if not mine:
        who = meant[0].author.name or "somebody else"
        told = f"That is what {who} said. {who} can have it forgotten, or somebody who manages this place."
        return Answer(text=told, error=True)
    gone = mine[0]
    await desk.engine.memories.bin(key, command.author.id, gone.id)
    await desk.engine.unsaying.untell(key, [gone.id])
    if gone.line:
        await desk.engine.unsaying.unsay(gone.talk, gone.line, gone.line if gone.ours else "")
    await desk.privacy.erase_one()
    return Answer(
        text=f"Forgotten: “{shorten(gone.text, 80)}” /forget undo brings it back.", changed=True,
        choices=(Choice("Undo", "forget", "undo"),),
    )  # fmt: skip


async def unforget(desk: "Desk", command: Command) -> Answer:
    """Remember again what was forgotten last."""
    key, _ = await desk.who(command)
    back = await desk.engine.memories.unbin(key, command.author.id)
    if back is None:
        return Answer(text="There is nothing that I could bring back.", error=True)
    return Answer(text=f"I remember it again: “{shorten(back.text, 80)}”", changed=True)


async def _meant(desk: "Desk", command: Command, key: PersonaKey) -> list[Memory]:
    """What "that" may be: their note since our last reply, what that was reminded of, or what they said last."""
    talk, memories = key.conversation(command.place), desk.engine.memories
    every = await memories.every(key)
    replied = max((one.time for one in every if one.ours and one.talk == talk), default=0.0)
    notes = [one for one in every if one.kind == Kind.NOTE and one.author.id == command.author.id]
    if notes and notes[-1].time > replied:
        return [notes[-1]]
    if reminded := await memories.get(key, await desk.engine.conversations.reminded(talk)):
        return reminded
    said = [one for one in every if one.talk == talk and one.author.id == command.author.id and not one.ours]
    return said[-1:]


def _may(desk: "Desk", command: Command, key: PersonaKey, one: Memory) -> bool:
    """Ours and one's own anybody may take away; another's only who manages the place, or has it to themselves."""
    if one.author.id == command.author.id or command.author.id in one.people:
        return True
    if one.ours and _may_read(command, key, one):
        return True
    manages = command.operator or named(command.author.id, desk.engine.settings.operators)
    return bool(manages) or is_own(command.place, key.scope)


def _may_read(command: Command, key: PersonaKey, one: Memory) -> bool:
    """Was it said in this channel, or to be remembered everywhere, or by whoever asks? A scope may have many channels,
    and not everybody is in all of them."""
    if one.kind == Kind.NOTE or one.author.id == command.author.id or is_own(command.place, key.scope):
        return True
    here = channel_of(turn_id(key.conversation(command.place), ""))
    return all(channel_of(turn) == here for turn in ([one.id] if one.talk else one.sources))


def find(memories: Sequence[Memory], text: str, count: int) -> list[Memory]:
    """The memories that share the rarest words with a text, the best first; of equals, the later one. No numpy."""
    wanted, starts = set(terms(text)), {word[:4] for word in words(text)}
    told = {one.id: f"{one.author.name} {one.text}" for one in memories}
    likely = [one for one in memories if any(start in told[one.id].lower() for start in starts)]
    shared = {one.id: wanted & set(terms(told[one.id])) for one in likely}
    counts = {term: sum(term in held for held in shared.values()) for term in wanted}
    rarity = {term: math.log(1 + len(memories) / (1 + number)) for term, number in counts.items()}

    def worth(one: Memory) -> tuple[float, float]:
        return sum(rarity[term] for term in shared[one.id]), one.time

    return sorted((one for one in likely if shared[one.id]), key=worth, reverse=True)[:count]


def _row(desk: "Desk", command: Command, one: Memory) -> str:
    who = "I" if one.ours else one.author.name
    return f"- {_when(desk, command, one)}{f', {who}' if who else ''}: {shorten(' '.join(one.text.split()), SENTENCE)}"


def _when(desk: "Desk", command: Command, one: Memory) -> str:
    name = desk.engine.settings.timezone
    return dated(one, command.time, ZoneInfo(name) if name != "UTC" else UTC)
