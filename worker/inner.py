"""How a persona is when it answers, and what it hears by answering: its personality, between the job and the prompt.

Asks `core/growth/growing.py` for the state as it stands when the job is claimed, and hands on what follows from talk.
"""

from collections.abc import Sequence

import msgspec

from core.events import Line
from core.growth import mood
from core.growth.bonds import acquaintance
from core.growth.growing import Growth
from core.jobs import Done, Generate
from core.personality import State
from core.store.client import Effect
from core.store.conversations import Talk
from personas.card import Card


class Inner(msgspec.Struct, frozen=True):
    """A `state`, and what of it reaches a prompt: the traits of the day; the mood and what the other is to it, in a few
    words, empty where there is nothing to say. `feels`: which of the card's emotions it feels, for rules. `known`: it
    could be told at all."""

    state: State
    traits: dict[str, float]
    mood: str = ""
    bond: str = ""
    feels: str = ""
    known: bool = True


async def inner(growth: Growth, job: Generate, card: Card, new: Sequence[Line]) -> Inner:
    """How it is towards whoever said the `new` lines. In files it is as nobody has met it. Raises StoreError."""
    now = growth.now()
    if job.ephemeral:
        state = growth.newborn(card)
        return Inner(state, state.traits)
    state = await growth.living(job.persona, card)
    bond = acquaintance(state, new[-1].author.id, now.time)
    feels = mood.felt([emotion.name for emotion in card.emotions], state, now.time)
    return Inner(state, state.traits_on(now.day), mood.words(state, now.time), bond, feels)


def heard(growth: Growth, job: Generate, state: State, talk: Talk, new: Sequence[Line], done: Done) -> list[Effect]:
    """The writes that follow from what was said since we last spoke; what is answered again was heard before."""
    if job.regenerates or job.ephemeral:
        return []
    lines, answer = since(talk, new), done.text.strip()
    return growth.heard(job.persona, state, lines, job.conversation, done.reply_id, answer, to=new[-1].author.id)


def since(talk: Talk, new: Sequence[Line]) -> list[Line]:
    """What people said since our last line before the newest that is answered, that one included."""
    last = talk.lines.index(new[-1])
    first = max((at + 1 for at, line in enumerate(talk.lines[:last]) if line.ours), default=0)
    return list(talk.lines[first : last + 1])
