"""What bots and worker say to each other, through Redis. The whole conversation between the processes is on this page.

A job holds references, never a finished prompt: the worker composes it when it claims the job, so that it sees the
reply before, the mood and the LoRA pointer of now.
"""

from enum import StrEnum

import msgspec

from core.events import Line, Person, PersonaKey, Place

VERSION = 1
BASE = "base"  # the version of a persona that has no LoRA


class Lane(StrEnum):
    """LIVE goes first; BACKGROUND (files, nights) has a floor, so that it is never starved."""

    LIVE = "live"
    BACKGROUND = "background"


class Generate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True):
    """Please answer these events of this conversation, as this persona.

    `events` are ids of turns in the conversation's history; the queue may add to them while the job waits (quick
    messages of one person become one turn). `replies` names the stream that carries tokens and reply back.
    `room`: what the channel is called, if that is known. `ephemeral`: these lines are the whole talk; the reply is
    recorded in the ledger, but changes no memory, mood or history (`limen generate`).
    """

    id: str
    reply_id: str
    persona: PersonaKey
    conversation: str
    place: Place
    author: Person
    replies: str
    card_hash: str
    events: tuple[str, ...]
    submitted: float
    lane: Lane = Lane.LIVE
    seed: int = 0
    overrides: dict[str, float | int | list[str]] = {}
    regenerates: str = ""
    room: str = ""
    ephemeral: tuple[Line, ...] = ()
    version: int = VERSION


Job = Generate


class Chunk(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True):
    """Text that followed. `fence` tells attempts apart: a higher one starts the reply anew; `offset` in characters.

    The first chunk of an attempt says where the reply goes and what it `answers`.
    """

    job: str
    reply_id: str
    fence: int
    offset: int
    text: str
    place: Place | None = None
    answers: tuple[str, ...] = ()


class Done(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True):
    """The whole reply. `say` with text, `silent`, or `react` with an emoji on the message answered.

    One that says something may feel something (`emotion`, by its name) and show that beside it: `emoji` on the message
    answered, and `action`, which stands behind the text and is no part of it. `author` is whom it answers.
    """

    job: str
    reply_id: str
    conversation: str
    place: Place
    persona: PersonaKey
    text: str
    fence: int = 0
    act: str = "say"
    emoji: str = ""
    emotion: str = ""
    action: str = ""
    answers: tuple[str, ...] = ()
    author: Person | None = None
    finish: str = "stop"
    tokens: int = 0
    lora_version: str = BASE
    persona_version: str = ""
    cancelled: bool = False

    @property
    def shown(self) -> str:
        """What people read; nothing unless it says something. What it does is a line of its own, in italics."""
        if self.act != "say" or not self.text.strip():
            return self.text if self.act == "say" else ""
        return f"{self.text}\n\n*{self.action}*" if self.action else self.text


class Failed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True):
    """It could not be answered. `reason` is for people; `dead`: it lies with the dead letters and can be requeued."""

    job: str
    reply_id: str
    conversation: str
    place: Place
    reason: str
    dead: bool = False
    cancelled: bool = False


Result = Chunk | Done | Failed
