"""A claimed job → what the model is asked, and a finished reply → everything that follows from it.

The prompt is composed here, at claiming, so that it sees the reply before, the card and the LoRA pointer of now.
Reads and describes; `serve.py` does the waiting and the writing.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

import msgspec

from core.errors import StoreUnreachable
from core.events import Kind, Line, Person
from core.growth.growing import Growth
from core.jobs import Done, Generate
from core.memory import Memory
from core.prompt import Cited, Scene, compose, condense, own_names
from core.store.client import Effect
from core.store.conversations import Conversations, Talk, compacted, recalling, said, spoken
from core.store.ledger import Ledger, Record, Told
from core.store.loras import Loras, alternating, drawn, preferred
from core.store.memories import noted, unsaid
from core.store.personas import Personas
from core.store.queue import Claim
from core.store.reflections import turned
from personas.card import Card
from personas.sampling import Sampling
from worker.generator import Finished, Generator, Rendered, Request
from worker.inner import Inner, heard, inner
from worker.judge import LATE, Given, Judge, Judged, given, reminded
from worker.recall import Recall, met
from worker.tasting import Picked

log = logging.getLogger("limen.worker")
T = TypeVar("T")

RULE = "rule"  # how a reply ends that the card gave by itself


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One job on its way through the model: with all that is needed to put its reply on record."""

    claim: Claim
    card: Card
    request: Request
    rendered: Rendered
    talk: Talk
    new: tuple[Line, ...]
    older: tuple[Line, ...]
    group: bool
    inner: Inner
    judged: Judged = Judged()
    recalled: tuple[Memory, ...] = ()
    picked: Picked = Picked()

    @property
    def job(self) -> Generate:
        return self.claim.job

    @property
    def given(self) -> Given | None:
        """What the card answers by itself."""
        last = next((line.text for line in reversed(self.older) if line.ours), "")
        return given(self.card, self.judged, self.job.seed, last)


class Composer:
    """Raises StoreError; LookupError when the card of a job is not known.

    `pool`: whoever has no LoRA of its own speaks with the one that all scopes of the card share. Without `recall`
    nothing is remembered beyond what is still in the talk.
    """

    def __init__(
        self, conversations: Conversations, ledger: Ledger, personas: Personas, loras: Loras, generator: Generator,
        growth: Growth, pool: bool = False, judge: Judge | None = None, recall: Recall | None = None,
    ) -> None:  # fmt: skip
        self._conversations, self._ledger, self._personas = conversations, ledger, personas
        self._loras, self._generator, self._growth, self._pool = loras, generator, growth, pool
        self._judge, self._recall = judge or Judge(conversations), recall

    async def ask(self, claim: Claim) -> Ask | None:
        """What the model is asked for a job; None when everything it was to answer has been deleted."""
        job = claim.job
        card = await self._personas.card(job.card_hash)
        if card is None:
            raise LookupError(f"the card {job.card_hash} of {job.persona.card} is not in Redis")
        talk = Talk(job.ephemeral) if job.ephemeral else await self._conversations.talk(job.conversation)
        older, new = split(talk, job.events)
        if not new:
            return None
        group = job.place.kind != Kind.DM or _several(talk, (*older, *new))
        now = await spared(job, "how it is", inner(self._growth, job, card, new), self._unknown(card))
        judged = await self._judge.look(job, card, talk, older, new, now.state.traits, now.feels)
        recalled = await spared(job, "what it recalls", self._remembered(job, talk, new), ())
        judged = reminded(judged, recalled)
        names = met(recalled, [*older, *new], own_names(card))
        scene = Scene(
            card=card, lines=older, new=new, summary=talk.summary, group=group, channel=job.place.channel,
            room=job.room,
            **foreseen(judged),
            traits=now.traits, mood=now.mood, bond=now.bond, about=now.state.about,
            memories=self._recall.shown(recalled, new[-1].time, names) if self._recall else (),
        )  # fmt: skip
        sampling = card.sampling.merged(job.overrides)
        rendered = self._generator.render(compose(scene), sampling.max_tokens)
        loras = await self._wishes(job, talk)
        return Ask(
            claim=claim, card=card, request=_request(claim, rendered, sampling, loras), rendered=rendered,
            talk=talk, new=new, older=older, group=group, inner=now, judged=judged, recalled=recalled,
        )  # fmt: skip

    def _unknown(self, card: Card) -> Inner:
        """As nobody has met it, which is not how it is: nothing is added to that."""
        state = self._growth.newborn(card)
        return Inner(state, state.traits, known=False)

    async def _remembered(self, job: Generate, talk: Talk, new: Sequence[Line]) -> tuple[Memory, ...]:
        """What of earlier days the new lines touch."""
        if self._recall is None or job.ephemeral:
            return ()
        return await self._recall.touched(job.persona, job.conversation, talk.lines, new)

    async def _wishes(self, job: Generate, talk: Talk) -> tuple[str, ...]:
        """The versions that this reply may be given with, the best first."""
        serving = await self._loras.spoken(job.persona, self._pool)
        return await self._loras.clean(preferred(serving, lot(job, talk)))

    def consequences(self, ask: Ask, done: Done, model: str) -> list[Effect]:
        """Every write that follows from a reply: history, compaction, ledger."""
        record, messages = _record(ask, done, model), [Told(m["role"], m["content"]) for m in ask.rendered.messages]
        effects = self._ledger.record(record, messages)
        if ask.job.ephemeral:
            return effects
        grows = ask.card.evolves and ask.inner.known
        grown = heard(self._growth, ask.job, ask.inner.state, ask.talk, ask.new, done) if grows else []
        return [*self._history(ask, done), *effects, *grown, *_turned(ask, done)]

    def _history(self, ask: Ask, done: Done) -> list[Effect]:
        job = ask.job
        author = Person(job.persona.account, ask.card.title, is_bot=True)
        line = Line(done.reply_id, author, done.text, time.time(), True, done.reply_id, done.answers)
        at = {line.id: score for line, score in zip(ask.talk.lines, ask.talk.scores, strict=True)}
        effects: list[Effect] = []
        if done.text.strip():  # silence is no line of talk
            effects += spoken(job.conversation, ask.talk.session_at(job.submitted), line.time)
            former = _former(ask)
            effects += said(job.conversation, line, max(at[line.id] for line in ask.new), former)
            effects += [*unsaid(job.persona, job.conversation, former), *noted(job.persona, job.conversation, line.id)]
            effects += recalling(job.conversation, [memory.id for memory in ask.recalled])
        if gone := ask.older[: ask.rendered.history_dropped]:
            start = next(
                score for old, score in zip(ask.talk.lines, ask.talk.scores, strict=True) if old.id == first_kept(ask)
            )
            people = dict.fromkeys([*ask.talk.people, *(old.author.id for old in gone if not old.ours)])
            summary = condense(ask.talk.summary, gone, ask.group, own_names(ask.card))
            effects += compacted(job.conversation, start, summary, [*people])
        return effects


async def spared(job: Generate, what: str, found: Awaitable[T], instead: T) -> T:
    """What was found; `instead`, if anything goes wrong with it or it takes too long: the reply is given all the same.
    Raises StoreUnreachable, for without Redis none can be."""
    try:
        async with asyncio.timeout(LATE):
            return await found
    except StoreUnreachable:
        raise
    except TimeoutError:  # a machine that is busy, and no fault
        log.warning("job %s: %s took too long, so the reply is given without", job.id, what)
    except Exception:
        log.exception("job %s: a fault in %s", job.id, what)
    return instead


def foreseen(judged: Judged) -> dict[str, Any]:
    """What of a judgement reaches a prompt, as fields of a Scene."""
    return {
        "touched": judged.touched,
        "facts": judged.facts,
        "steer": judged.decision.rule.steer if judged.decision else "",
        "cited": tuple(Cited(passage.file, passage.text) for passage in judged.passages),
        "unknown": judged.unknown,
        "declines": judged.declines if judged.limits else "",
        "foreign": judged.foreign and judged.limits,
    }


def _turned(ask: Ask, done: Done) -> list[Effect]:
    """One turn more to reflect on; what is answered again was counted."""
    if ask.job.regenerates or not done.text.strip():
        return []
    return turned(ask.job.persona, ask.card.hash, time.time())


def _former(ask: Ask) -> list[str]:
    """Replies to the same messages that stood there before, if this one is given instead."""
    answered = {line.id for line in ask.new}
    return [line.id for line in ask.talk.lines if ask.job.regenerates and answered & set(line.answers)]


def lot(job: Generate, talk: Talk) -> float:
    """What decides whether a reply falls into a trial's share: the same for a whole session, so that voice and KV stay.

    Where there is one conversation, sessions take turns. A reply that is given again has a lot of its own, and so has
    one to a file: by its seed, so that the same seed gives the same replies.
    """
    if job.ephemeral:
        return drawn(f"file|{job.seed}")
    if job.regenerates:
        return drawn(job.reply_id)
    session = talk.session_at(job.submitted)
    personal = job.persona.scope.split(":")[2:3] == ["user"]
    return alternating(session) if personal else drawn(f"{job.conversation}|{session}")


def first_kept(ask: Ask) -> str:
    """Id of the oldest line that the prompt still holds."""
    return [*ask.older, *ask.new][ask.rendered.history_dropped].id


def split(talk: Talk, events: Sequence[str]) -> tuple[tuple[Line, ...], tuple[Line, ...]]:
    """(the lines before what is to be answered, the lines to answer): what came later is not seen."""
    at = [place for place, line in enumerate(talk.lines) if line.id in events]
    if not at:
        return (), ()
    first = at[0]
    return talk.lines[:first], tuple(talk.lines[place] for place in at)


def finished(ask: Ask, end: Finished) -> Done:
    """The reply as the platform gets it."""
    job = ask.job
    return Done(
        job=job.id, reply_id=job.reply_id, conversation=job.conversation, place=job.place, persona=job.persona,
        text=end.text, fence=ask.claim.fence, act="say" if end.text.strip() else "silent",
        answers=tuple(line.id for line in ask.new), author=job.author,
        finish=end.finish, tokens=end.tokens, lora_version=end.lora,
        persona_version=persona_version(ask), cancelled=end.finish == "cancelled",
    )  # fmt: skip


def ruled(ask: Ask) -> Done | None:
    """What the card answers by itself, without the model; None where the model is to speak."""
    found, job = ask.given, ask.job
    if found is None:
        return None
    return Done(
        job=job.id, reply_id=job.reply_id, conversation=job.conversation, place=job.place, persona=job.persona,
        text=found.text, fence=ask.claim.fence, act=found.act, emoji=found.emoji,
        answers=tuple(line.id for line in ask.new), author=job.author,
        finish=RULE, persona_version=persona_version(ask),
    )  # fmt: skip


def silent(claim: Claim) -> Done:
    """No reply, and no error: there is nothing left to answer."""
    job = claim.job
    return Done(
        job=job.id, reply_id=job.reply_id, conversation=job.conversation, place=job.place, persona=job.persona,
        text="", fence=claim.fence, act="silent", answers=job.events, finish="nothing to answer",
    )  # fmt: skip


def persona_version(ask: Ask) -> str:
    """The state of the personality that spoke: its card, and how many changes it has had since it began to live."""
    return f"{ask.card.hash}/{ask.inner.state.events}"


def _request(claim: Claim, rendered: Rendered, sampling: Sampling, loras: tuple[str, ...]) -> Request:
    seed = sampling.seed if sampling.seed is not None else claim.job.seed
    return Request(
        id=f"{claim.job.id}:{claim.fence}", tokens=rendered.tokens, messages=rendered.messages, sampling=sampling,
        loras=loras, seed=seed, lane=claim.job.lane, spoken=rendered.spoken,
        told=rendered.told, speakers=rendered.speakers,
    )  # fmt: skip


def _several(talk: Talk, lines: Sequence[Line]) -> bool:
    """Has more than one person spoken here? In private only at a terminal, where people may take turns."""
    return len({*talk.people, *(line.author.id for line in lines if not line.ours)}) > 1


def _told_of(ask: Ask) -> list[str]:
    """Who else has words in the prompt: in the summary, or in what is remembered."""
    remembered = [one for memory in ask.recalled for one in memory.everybody()]
    return [*ask.talk.people, *remembered]


def _record(ask: Ask, done: Done, model: str) -> Record:
    job, by = ask.job, ask.given.by if done.finish == RULE and ask.given else ""
    shown = [*ask.older[ask.rendered.history_dropped :], *ask.new]
    return Record(
        id=done.reply_id, persona=job.persona, conversation=job.conversation, place=job.place, author=job.author,
        answers=done.answers, time=time.time(), text=done.text, sections=(), roles=(),
        people=tuple(dict.fromkeys([*(line.author.id for line in shown if not line.ours), *_told_of(ask)])),
        own=ask.rendered.own, summed=bool(ask.talk.summary or ask.inner.state.about),
        source="file" if job.ephemeral else "chat", card_hash=ask.card.hash, persona_version=done.persona_version,
        lora_version=done.lora_version, model=model, sampling=msgspec.to_builtins(ask.request.sampling),
        seed=ask.request.seed, finish=done.finish, tokens=done.tokens, regenerates=job.regenerates, by=by,
        limit=ask.judged.limit, sources=ask.judged.sources, recalled=tuple(memory.id for memory in ask.recalled),
        candidates=ask.picked.of, score=ask.picked.score, emotion=done.emotion, action=done.action,
    )  # fmt: skip
