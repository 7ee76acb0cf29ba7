"""What a message calls for before the model is asked: the card's rules, what comes to mind, and what it cannot know.

Takes the talk as it stands when the job is claimed. Reads Redis for whether somebody is new, and asks the embedder for
what means the same; decides with `core/rules.py`, and writes nothing.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from core.errors import StoreUnreachable
from core.events import Line
from core.jobs import Generate
from core.memory import Memory
from core.rules import Decision, Now, decide, phrases
from core.settings import Unknown
from core.store.conversations import Conversations, Talk
from core.tongues import foreign
from personas.card import Card
from worker import selves
from worker.knowing import Knowing, Verdict, asks, personal
from worker.nearness import Heard, Nearness
from worker.selves import asks_who, facts
from worker.shelf import Passage, Shelf

log = logging.getLogger("limen.worker")

LATE = 15.0  # seconds that a reply waits for what is told of it beside the model, at most
TOUCHES = 0.4  # how near a message must be to a detail of the world for that to come to mind
DECLINES = 0.4  # and to a topic that the card does not discuss


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """`decision`: the rule that holds, if one does. `touched`: places of the details of its world that come to mind;
    `facts`: of its own card, which a reply should say if it is `asked` of itself; `passages`: of its knowledge
    files. `verdict`: does it know about it? `declines`: the topic it does not discuss. `foreign`: it is in a language
    that it does not speak.
    `plainly`: that it does not know, or not discuss, it says in the card's own words.
    """

    decision: Decision | None = None
    touched: tuple[int, ...] = ()
    facts: tuple[str, ...] = ()
    asked: bool = False
    passages: tuple[Passage, ...] = ()
    verdict: Verdict | None = None
    declines: str = ""
    foreign: bool = False
    plainly: bool = False

    @property
    def unknown(self) -> bool:
        """Is it to say that it does not know?"""
        return (
            self.limits
            and not self.declines
            and not self.foreign
            and self.verdict is not None
            and not self.verdict.known
        )

    @property
    def limits(self) -> bool:
        """Do the card's limits count? Not where a rule answers, or says how to speak of what was said."""
        if self.decision is None:
            return True
        when = self.decision.rule.when
        return self.decision.rule.act == "steer" and not (when.keywords or when.regex or when.intent)

    @property
    def limit(self) -> str:
        """What it is told to say for a limit of its card, as the ledger keeps it: `unknown`, `declined`, or nothing."""
        return "unknown" if self.unknown else "declined" if self.limits and self.declines else ""

    @property
    def told(self) -> tuple[str, ...]:
        """What a reply is to say of it, for that is what was asked."""
        return self.facts if self.asked and not self.limit else ()

    @property
    def sources(self) -> tuple[str, ...]:
        """What was drawn on, as the ledger keeps it."""
        return (*(passage.name for passage in self.passages), *(f"world.details[{place}]" for place in self.touched))


class Given(NamedTuple):
    """What is answered without the model, and `by` what: a rule, or a limit of the card."""

    by: str
    act: str
    text: str = ""
    emoji: str = ""


def given(card: Card, judged: Judged, lot: int, last: str = "") -> Given | None:
    """What the card says by itself; None where the model is to speak. Of several words for one thing, `lot` draws, and
    not those that were said `last`."""
    if judged.decision and judged.decision.rule.act != "steer":
        rule = judged.decision.rule
        return Given(judged.decision.name, rule.act, rule.say, _bare(rule.react))
    if judged.plainly and judged.limits and judged.declines and card.limits.decline:
        return Given("limits.topics", "say", card.limits.decline)
    if judged.plainly and judged.unknown and card.knowledge.admits:
        words = [line for line in card.knowledge.admits if line != last] or [*card.knowledge.admits]
        return Given("knowledge", "say", words[lot % len(words)])
    return None


def reminded(judged: Judged, recalled: Sequence[Memory]) -> Judged:
    """What somebody told it once, it knows; that they asked, tells it nothing."""
    told = any(not memory.ours and not asks(memory.text) for memory in recalled)
    return msgspec.structs.replace(judged, verdict=None) if told else judged


def _bare(emoji: str) -> str:
    """As emoji are keyed: without the mark that asks for colours."""
    return emoji.replace("\ufe0f", "")


class Judge:
    """`nearness` is None where no embedder is: then nothing means the same as anything. Without `conversations` nobody
    knows who has met whom, and only `judge` can be asked. `patient`: somebody would rather wait than not know.
    Raises StoreError."""

    def __init__(
        self, conversations: Conversations | None, nearness: Nearness | None = None, timezone: str = "UTC",
        clock: Callable[[], float] = time.time, shelf: Shelf | None = None, unknown: Unknown = "say",
        patient: bool = False,
    ) -> None:  # fmt: skip
        self._conversations, self._nearness = conversations, nearness
        self._zone, self._clock, self._shelf, self._unknown = ZoneInfo(timezone), clock, shelf, unknown
        self._knowing, self._patient = Knowing(nearness) if nearness else None, patient

    async def look(
        self, job: Generate, card: Card, talk: Talk, older: Sequence[Line], new: Sequence[Line],
        dials: Mapping[str, float], feels: str = "",
    ) -> Judged:  # fmt: skip
        """What new lines call for that follow `older` ones. `dials`: where each of its traits stands now; `feels`: one
        of its emotions."""
        now = msgspec.structs.replace(self.now("\n".join(line.text for line in new), dials), mood=feels)
        now = msgspec.structs.replace(now, first_contact=await self._is_new(job, card, talk, older, new))
        judged = await self.judge(card, now)
        return msgspec.structs.replace(judged, plainly=False) if job.ephemeral else judged  # files show the model

    def now(self, text: str, dials: Mapping[str, float]) -> Now:
        """What is known of a message by itself."""
        return Now(text=text, clock=datetime.fromtimestamp(self._clock(), self._zone).strftime("%H:%M"), dials=dials)

    async def judge(self, card: Card, now: Now) -> Judged:
        """Rules, details and limits, by what a message means as well if somebody can tell. Whatever goes wrong there,
        rules hold by words. Raises StoreUnreachable."""
        try:
            if self._nearness and self._knowing:
                async with asyncio.timeout(None if self._patient else LATE):
                    return await self._meant(card, now, self._nearness, self._knowing)
        except StoreUnreachable:
            raise
        except TimeoutError:  # a machine that is busy, and no fault
            log.warning("what a message to %s means is not told in time: rules hold by words alone", card.name)
        except Exception:
            log.exception("a fault in telling what a message to %s means", card.name)
        return Judged(decision=decide(card.rules, now))

    async def _meant(self, card: Card, now: Now, nearness: Nearness, knowing: Knowing) -> Judged:
        heard = await asyncio.to_thread(nearness.heard, now.text)
        passages = await self._shelf.find(card.name, heard, nearness) if self._shelf else ()
        if self._shelf and self._patient:
            await self._shelf.ready(card.name)
            passages = await self._shelf.find(card.name, heard, nearness)
        judged = await asyncio.to_thread(_judged, card, now, heard, passages, nearness, knowing)
        if self._unknown == "off":
            return msgspec.structs.replace(judged, verdict=None, declines="")
        return msgspec.structs.replace(judged, plainly=self._unknown == "say")

    async def warm(self, card: Card) -> None:
        """Make ready what messages to this card are compared with, so that the first one need not wait for it."""
        if self._nearness and self._knowing:
            await asyncio.to_thread(self._nearness.warm)
            await asyncio.to_thread(selves.warm, self._nearness)
            await asyncio.to_thread(self._knowing.warm, card)
            await self.judge(card, self.now("hello", {}))

    async def near(self, card: Card, text: str) -> dict[str, float]:
        """How near a message is to each phrase of the card's rules: for people to look at."""
        if self._nearness is None:
            return {}
        heard = await asyncio.to_thread(self._nearness.heard, text)
        return await asyncio.to_thread(self._nearness.near, heard, phrases(card.rules))

    async def _is_new(
        self, job: Generate, card: Card, talk: Talk, older: Sequence[Line], new: Sequence[Line]
    ) -> bool:  # fmt: skip
        """Has this persona never answered them before? In files, nobody meets anybody."""
        if job.ephemeral or not any(rule.when.first_contact for rule in card.rules):
            return False
        person = new[0].author.id
        if person in talk.people or answered(older, person):
            return False
        assert self._conversations, "jobs come with a Redis"
        return not set(await self._conversations.of_person(person, job.persona)) - {job.conversation}


def answered(lines: Sequence[Line], person: str) -> bool:
    """Has somebody been answered in these lines?"""
    theirs = {line.id for line in lines if line.author.id == person}
    return any(line.ours and theirs & set(line.answers) for line in lines)


def _judged(
    card: Card, now: Now, heard: Heard, passages: tuple[Passage, ...], nearness: Nearness, knowing: Knowing
) -> Judged:  # fmt: skip
    """Blocks."""
    now = msgspec.structs.replace(now, near=nearness.near(heard, phrases(card.rules)))
    best = max((passage.near for passage in passages), default=0.0)
    who = asks_who(nearness, heard)
    return Judged(
        decision=decide(card.rules, now), passages=passages,
        touched=touched(nearness, heard, [detail.text for detail in card.world.details]),
        facts=facts(card, nearness, heard, who), asked=who or personal(asks(heard.texts[0])),
        verdict=knowing.look(card, heard, best), declines=declined(card, nearness, heard),
        foreign=foreign(now.text, card.limits.languages),
    )  # fmt: skip


def touched(nearness: Nearness, heard: Heard, details: Sequence[str]) -> tuple[int, ...]:
    """Places of the details that a message is near to, the nearest first."""
    near = nearness.near(heard, details)
    found = [place for place, text in enumerate(details) if near[text] >= TOUCHES]
    return tuple(sorted(found, key=lambda place: -near[details[place]]))


def declined(card: Card, nearness: Nearness, heard: Heard) -> str:
    """The topic that the card does not discuss and the message is about; empty if there is none."""
    near = nearness.near(heard, card.limits.topics)
    return max((topic for topic in near if near[topic] >= DECLINES), key=near.__getitem__, default="")
