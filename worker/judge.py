"""What a message calls for before the model is asked: the card's rules, and what of its world comes to mind.

Takes the talk as it stands when the job is claimed. Reads Redis for whether somebody is new, and asks the embedder for
what means the same; decides with `core/rules.py`, and writes nothing.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from core.events import Line
from core.jobs import Generate
from core.rules import Decision, Now, decide, phrases
from core.store.conversations import Conversations, Talk
from personas.card import Card
from worker.embed import Vectors
from worker.nearness import Nearness

TOUCHES = 0.45  # how near a message must be to a detail of the world for that to come to mind


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """`decision`: the rule that holds, if one does. `touched`: places of the details of its world that come to mind."""

    decision: Decision | None = None
    touched: tuple[int, ...] = ()


class Judge:
    """`nearness` is None where no embedder is: then nothing means the same as anything. Raises StoreError."""

    def __init__(
        self, conversations: Conversations, nearness: Nearness | None = None, timezone: str = "UTC",
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._conversations, self._nearness = conversations, nearness
        self._zone, self._clock = ZoneInfo(timezone), clock

    async def look(
        self, job: Generate, card: Card, talk: Talk, older: Sequence[Line], new: Sequence[Line],
        dials: Mapping[str, float],
    ) -> Judged:  # fmt: skip
        """What new lines call for that follow `older` ones. `dials`: where each of its traits stands now."""
        text = "\n".join(line.text for line in new)
        now = Now(
            text=text,
            clock=datetime.fromtimestamp(self._clock(), self._zone).strftime("%H:%M"),
            first_contact=await self._is_new(job, card, talk, older, new),
            dials=dials,
        )
        return await asyncio.to_thread(judge, card, now, self._nearness)

    async def _is_new(
        self, job: Generate, card: Card, talk: Talk, older: Sequence[Line], new: Sequence[Line]
    ) -> bool:  # fmt: skip
        """Has this persona never answered them before? In files, nobody meets anybody."""
        if job.ephemeral or not any(rule.when.first_contact for rule in card.rules):
            return False
        person = new[0].author.id
        if person in talk.people or answered(older, person):
            return False
        return not set(await self._conversations.of_person(person, job.persona)) - {job.conversation}


def answered(lines: Sequence[Line], person: str) -> bool:
    """Has somebody been answered in these lines?"""
    theirs = {line.id for line in lines if line.author.id == person}
    return any(line.ours and theirs & set(line.answers) for line in lines)


def judge(card: Card, now: Now, nearness: Nearness | None) -> Judged:
    """Rules and details, by what the message means as well if somebody can tell. Blocks."""
    meant = phrases(card.rules)
    details = [detail.text for detail in card.world.details]
    if nearness is None or not (meant or details):
        return Judged(decision=decide(card.rules, now))
    heard = nearness.heard(now.text)
    now = msgspec.structs.replace(now, near=nearness.near(heard, meant))
    return Judged(decision=decide(card.rules, now), touched=touched(nearness, heard, details))


def touched(nearness: Nearness, heard: Vectors, details: Sequence[str]) -> tuple[int, ...]:
    """Places of the details that a message is near to, the nearest first."""
    near = nearness.near(heard, details)
    found = [place for place, text in enumerate(details) if near[text] >= TOUCHES]
    return tuple(sorted(found, key=lambda place: -near[details[place]]))
