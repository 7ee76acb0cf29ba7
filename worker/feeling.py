"""What a persona feels by what it has just said, and what it does beside: the model's own likelihoods choose.

Nothing is generated and no JSON begged for: after the reply stands a lead such as "The speaker sounds", and the card's
words are weighed as what comes next. What they weigh after the card's own example lines is taken off (see
`core/feelings.py`). Where a model tells no likelihoods, nearness in meaning stands in for them.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

import msgspec

from core.feelings import SURE, chances, likeliest, pulls, rises, usual
from core.jobs import Done
from core.personality import faded
from personas.card import Card
from worker.compose import Ask
from worker.generator import Generator, Request
from worker.tasting import Embed

log = logging.getLogger("limen.worker")

Show = Literal["off", "reaction", "action", "both"]
Weigh = Callable[[Request], Awaitable[tuple[float, ...]]]

LONGEST = 240  # characters of a reply that are looked at, from its end: so it costs the same after any reply
PLAIN = ("The box is on the table.", "I will see.", "It is what it is.")
KNOWN = 64  # cards whose usual weights are kept, with each LoRA
NEARNESS = {"emotion": 20.0, "action": 15.0}  # a cosine times that is taken for a log-likelihood


class Sign(msgspec.Struct, frozen=True):
    """What is to be weighed after a reply: `choices` as they follow the `lead`."""

    kind: str
    lead: str
    choices: tuple[str, ...]


class Feelings:
    """`show`: what of it people see. `embed` may give None: then nothing is felt where there are no likelihoods."""

    def __init__(self, show: Show, generator: Generator, embed: Embed) -> None:
        self._show, self._generator, self._embed = show, generator, embed
        self._usual: OrderedDict[tuple[str, str, str], list[float]] = OrderedDict()

    def wanted(self, card: Card) -> bool:
        """Is there anything to feel or to do?"""
        return bool(self._signs(card))

    async def beside(self, ask: Ask, done: Done, weigh: Weigh) -> Done:
        """The reply with what is felt and done beside it, as far as people shall see that."""
        if done.act != "say" or done.cancelled or not done.text.strip():
            return done
        signs = self._signs(ask.card)
        found = await asyncio.gather(*(self._told(sign, ask, done, weigh) for sign in signs))
        told = dict(zip((sign.kind for sign in signs), found, strict=True))
        return self._acted(ask, self._felt(ask, done, told.get("emotion")), told.get("action"))

    def _felt(self, ask: Ask, done: Done, told: "Told | None") -> Done:
        if told is None:
            return done
        emotions = ask.card.emotions
        moved = faded(ask.inner.state, ask.inner.state.last)
        at, chance = likeliest(chances(*told, pulls([one.name for one in emotions], moved)))
        shows = self._show in ("reaction", "both") and chance >= SURE
        return msgspec.structs.replace(done, emotion=emotions[at].name, emoji=emotions[at].emoji if shows else "")

    def _acted(self, ask: Ask, done: Done, told: "Told | None") -> Done:
        at = rises(*told) if told else None
        return done if at is None else msgspec.structs.replace(done, action=ask.card.actions[at].strip(" *"))

    def _signs(self, card: Card) -> list[Sign]:
        signs = []
        if self._show != "off" and len(card.emotions) > 1:
            signs.append(Sign("emotion", " The speaker sounds", tuple(f" {one.name}" for one in card.emotions)))
        if self._show in ("action", "both") and card.actions:
            name = card.title.split()[-1]
            signs.append(Sign("action", f" {name}", tuple(f" {action.strip(' *')}" for action in card.actions)))
        return signs

    async def _told(self, sign: Sign, ask: Ask, done: Done, weigh: Weigh) -> "Told | None":
        """(what the choices weigh after this reply, what they weigh usually); None if that cannot be told."""
        if sign.kind == "action" and ("*" in done.text or "```" in done.text):
            return None  # it does something already, or ends in code
        asked = msgspec.structs.replace(ask.request, loras=() if done.lora_version == "base" else (done.lora_version,))
        now = await self._weighed(sign, "now", done.text, asked, weigh)
        if now is None:
            return None
        key = (ask.card.hash, done.lora_version, sign.kind)
        if key not in self._usual:
            texts = [one.reply for one in ask.card.voice.examples[:5]]
            texts = texts if len(texts) > 1 else [*texts, *PLAIN]
            rows = await asyncio.gather(
                *(self._weighed(sign, str(at), text, asked, weigh) for at, text in enumerate(texts))
            )
            if not (good := [row for row in rows if row]):
                return None
            self._usual[key] = usual(good)
            while len(self._usual) > KNOWN:
                self._usual.popitem(last=False)
        return now, self._usual[key]

    async def _weighed(
        self, sign: Sign, number: str, text: str, asked: Request, weigh: Weigh
    ) -> Sequence[float] | None:  # fmt: skip
        quoted = f'"{shortened(text)}"'
        request_id = f"{asked.id}~{sign.kind}{number}"
        request = self._generator.weighing(request_id, quoted + sign.lead, sign.choices, asked)
        if request is not None:
            return await weigh(request) or None
        vectors = await self._embed([shortened(text), *(choice.strip() for choice in sign.choices)])
        if vectors is None:
            return None
        measure = NEARNESS[sign.kind]
        return [measure * float(vectors[0] @ row) for row in vectors[1:]]


Told = tuple[Sequence[float], Sequence[float]]


def shortened(text: str) -> str:
    """The end of a reply, in one line, from the beginning of a word."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else line[-LONGEST:].partition(" ")[2] or line[-LONGEST:]
