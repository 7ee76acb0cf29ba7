"""What a persona feels by what it has just said, and what it does beside: the model's own likelihoods choose.

Nothing is generated and no JSON begged for: after the reply stands a lead such as "The speaker sounds", and the card's
words are weighed as what comes next. What they weigh after the card's own example lines is taken off (see
`core/growth/feelings.py`). Where a model tells no likelihoods, nearness in meaning stands in for them.
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

import msgspec

from core.growth.feelings import REST, SURE, action, chances, likeliest, pulls, usual
from core.jobs import BASE, Done
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
KNOWN = 2048  # cards whose usual weights are kept, with each LoRA: a few numbers for each
TALKS = 4096  # of which it is known when something was done last
NEARNESS = 15.0  # a cosine times that is taken for a log-likelihood: then four of five that are shown are right


class Sign(msgspec.Struct, frozen=True):
    """What is to be weighed beside a reply: `choices` as they follow the reply between `before` and `after`."""

    kind: str
    before: str
    after: str
    choices: tuple[str, ...]

    def lead(self, text: str) -> str:
        """All that stands before a choice."""
        return f"{self.before}{shortened(text)}{self.after}"


class Feelings:
    """`show`: what of it people see. `embed` may give None: then nothing is felt where there are no likelihoods."""

    def __init__(
        self, show: Show, generator: Generator, embed: Embed, clock: Callable[[], float] = time.time
    ) -> None:  # fmt: skip
        self._show, self._generator, self._embed, self._clock = show, generator, embed, clock
        self._usual: OrderedDict[tuple[str, str, str], list[float]] = OrderedDict()
        self._rests: OrderedDict[str, int] = OrderedDict()  # conversation → replies until something is done again

    def wanted(self, card: Card) -> bool:
        """Is there anything to feel or to do?"""
        return self._feels(card) is not None or self._acts(card) is not None

    async def beside(self, ask: Ask, done: Done, weigh: Weigh) -> Done:
        """The reply with what is felt and done beside it, as far as people shall see that."""
        if done.act != "say" or done.cancelled or not done.text.strip():
            return done
        felt, acted = await asyncio.gather(self._felt(ask, done, weigh), self._acted(ask, done, weigh))
        return msgspec.structs.replace(done, **felt, **acted)

    async def _felt(self, ask: Ask, done: Done, weigh: Weigh) -> dict[str, str]:
        sign, feelings = self._feels(ask.card), ask.card.emotions
        if sign is None:
            return {}
        above = await self._above(sign, ask, done, weigh)
        above = above or await self._nearer(sign, ask.card, done.text)
        if above is None:
            return {}
        moved = faded(ask.inner.state, self._clock())
        at, chance = likeliest(chances(above, pulls([one.name for one in feelings], moved)))
        return {"emotion": feelings[at].name, "emoji": feelings[at].emoji if chance >= SURE else ""}

    async def _acted(self, ask: Ask, done: Done, weigh: Weigh) -> dict[str, str]:
        sign = self._acts(ask.card)
        if sign is None or "*" in done.text or "```" in done.text:  # it does something already, or ends in code
            return {}
        if left := self._rests.pop(done.conversation, 0):
            self._rest(done.conversation, left - 1)
            return {}
        above, near = await asyncio.gather(self._above(sign, ask, done, weigh), self._near(sign, done.text))
        at = action(above, near)
        if at is None:
            return {}
        self._rest(done.conversation, REST)
        return {"action": sign.choices[at]}

    async def _above(self, sign: Sign, ask: Ask, done: Done, weigh: Weigh) -> list[float] | None:
        """How much likelier than usual each choice is after this reply; None if that cannot be told."""
        asked = msgspec.structs.replace(ask.request, loras=() if done.lora_version == BASE else (done.lora_version,))
        now = await self._weighed(sign, "now", done.text, asked, weigh)
        usually = await self._usually(sign, ask.card, done.lora_version, asked, weigh) if now else None
        return [score - base for score, base in zip(now, usually, strict=True)] if now and usually else None

    async def _usually(
        self, sign: Sign, card: Card, lora: str, asked: Request, weigh: Weigh
    ) -> Sequence[float] | None:  # fmt: skip
        """What the choices weigh after the card's own example lines: once for each card and LoRA."""
        key = (card.hash, lora, sign.kind)
        if key not in self._usual:
            weights = [self._weighed(sign, str(at), text, asked, weigh) for at, text in enumerate(_lines(card))]
            rows = [row for row in await asyncio.gather(*weights) if row]
            if not rows:
                return None
            self._keep(key, usual(rows))
        return self._usual[key]

    async def _nearer(self, sign: Sign, card: Card, text: str) -> list[float] | None:
        """The same by nearness in meaning, where a model tells no likelihoods; None if nobody tells that, either."""
        now, key = await self._near(sign, text), (card.hash, "", sign.kind)
        if now is None:
            return None
        if key not in self._usual:
            rows = [row for line in _lines(card) if (row := await self._near(sign, line))]
            if not rows:
                return None
            self._keep(key, usual(rows))
        return [NEARNESS * (cosine - base) for cosine, base in zip(now, self._usual[key], strict=True)]

    def _keep(self, key: tuple[str, str, str], weights: list[float]) -> None:
        self._usual[key] = weights
        while len(self._usual) > KNOWN:
            self._usual.popitem(last=False)

    async def _weighed(
        self, sign: Sign, number: str, text: str, asked: Request, weigh: Weigh
    ) -> Sequence[float] | None:  # fmt: skip
        request_id = f"{asked.id}~{sign.kind}{number}"
        request = self._generator.weighing(request_id, sign.lead(text), sign.choices, asked)
        return (await weigh(request) or None) if request else None

    async def _near(self, sign: Sign, text: str) -> list[float] | None:
        """How near each choice is to the reply in meaning, as a cosine."""
        vectors = await self._embed([shortened(text), *(choice.strip() for choice in sign.choices)])
        return None if vectors is None else [float(vectors[0] @ row) for row in vectors[1:]]

    def _feels(self, card: Card) -> Sign | None:
        return emotions(card) if self._show in ("reaction", "both") else None

    def _acts(self, card: Card) -> Sign | None:
        return actions(card) if self._show in ("action", "both") else None

    def _rest(self, conversation: str, replies: int) -> None:
        self._rests[conversation] = replies
        while len(self._rests) > TALKS:
            self._rests.popitem(last=False)


def emotions(card: Card) -> Sign | None:
    """What it may feel; None if there is no choice."""
    choices = tuple(f" {one.name}" for one in card.emotions)
    return Sign("emotion", '"', '" The speaker sounds', choices) if len(choices) > 1 else None


def actions(card: Card) -> Sign | None:
    """What it may do; None if there is nothing."""
    choices = tuple(text for one in card.actions if (text := one.strip(" *")))
    return Sign("action", f"{card.title}: ", " *", choices) if choices else None


def _lines(card: Card) -> list[str]:
    """Replies that show nothing in particular: the card's own, and plain ones where it has none."""
    lines = [one.reply for one in card.voice.examples[:5]]
    return lines if len(lines) > 1 else [*lines, *PLAIN]


def shortened(text: str) -> str:
    """The end of a reply, in one line, from the beginning of a word."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else line[-LONGEST:].partition(" ")[2] or line[-LONGEST:]
