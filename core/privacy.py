"""Consent, export and forgetting: whose words these are, and what they may ask of us.

Training on somebody's words needs a recorded yes (a *basis*). For the terminal's owner and for imported files the
operator's own statement stands in, recorded once with its date and wording. Whoever says no is not asked again, and
nobody's statement stands in for them, also once that is forgotten; then they are asked anew. Pooling with other scopes
is a separate yes, which the terminal does not give.
"""

import logging
import time
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec

from core.errors import StoreError
from core.events import Person, PersonaKey, Place, unquote
from core.jobs import Generate
from core.memory import channel_of, turn_id
from core.nights import Night
from core.scopes import scopes_of
from core.store import keys
from core.store.client import Client
from core.store.consents import Consents, Purpose
from core.store.conversations import Conversations
from core.store.erasing import erase_log
from core.store.ledger import Entry, Ledger
from core.store.loras import Loras, common
from core.store.memories import BIN_FOR, Memories
from core.store.nights import Nights
from core.store.personalities import Personalities
from core.store.queue import Queue, decode_result
from core.store.reflections import Reflections

log = logging.getLogger("limen.privacy")

TERMINAL = (
    "What you say here is kept in this home folder, for the conversation, and may train this persona on this machine. "
    "/privacy train no keeps it out of training, /forget erases it, /export shows it."
)
FILES = "The operator imported this file and answers for the right to train on it."
POOLED = "The operator imported this file and answers for the right to train this character elsewhere on it, too."
ASKED = "asked"  # the basis of who was asked and said yes
WORDING = {
    Purpose.TRAIN: "What I say here, and what I think of replies, may train this character here.",
    Purpose.POOL: "What I say here, and what I think of replies, may train this character elsewhere, too.",
}


class Privacy:
    """Every method raises StoreError. `person` is a stable platform id. `embedded`: the Redis is our own."""

    def __init__(
        self, client: Client, queue: Queue, conversations: Conversations, ledger: Ledger, embedded: bool = False
    ) -> None:  # fmt: skip
        self._client, self._queue, self._conversations, self._ledger = client, queue, conversations, ledger
        self._embedded = embedded
        self._nights, self._loras = Nights(client), Loras(client)
        self._personalities, self._memories = Personalities(client), Memories(client)
        self._reflections = Reflections(client)
        self.consents = Consents(client)

    async def consent(self, person: str, basis: str, wording: str, purpose: Purpose = Purpose.TRAIN) -> bool:
        """Record why somebody's words may be trained on. True the first time: then the wording must be shown."""
        return await self.consents.first(person, basis, wording, purpose)

    async def basis(self, person: str, purpose: Purpose = Purpose.TRAIN) -> str:
        """Why somebody's words may be trained on (POOL: elsewhere, too); empty if they may not."""
        return await self.consents.basis(person, purpose)

    async def say(self, person: str, yes: bool, purpose: Purpose) -> None:
        """Somebody's own yes or no. It holds from the next night on."""
        await self.consents.say(person, ASKED if yes else "", WORDING[purpose], purpose)

    async def export(self, person: str) -> dict[str, Any]:
        """Everything kept of somebody, as plain data for JSON."""
        consent = await self._client.do("HGETALL", keys.CONSENT(person))
        talks = await self._conversations.of_person(person)
        given, rated = await self._ledger.about(person)
        parked = await self._client.do("SMEMBERS", keys.PARKED_BY(person))
        asked, waits = await self._client.do_all(
            [("ZCARD", keys.ASKED(person)), ("EXISTS", keys.ASKED_TOLD(person))], atomic=False
        )
        return {
            "person": person,
            "consent": {k.decode(): v.decode() for k, v in consent.items()},
            "only_their_own_word_counts": await self.consents.speaks_alone(person),
            "conversations": {talk: await self._conversation(talk, person) for talk in talks},
            "memories": {
                str(persona): [msgspec.to_builtins(memory) for memory in await self._memories.about(person, persona)]
                for persona in await self._remembering(person)
            },
            "replies": [shown_to(person, entry, talks) for entry in await self._ledger.entries(given)],
            "ratings": [
                {"reply_id": entry.record.id, "reply": entry.record.text, **reaction}
                for entry in await self._ledger.entries(rated)
                for reaction in reactions(entry, person)
            ],
            "reactions_waiting_for_their_reply": sorted(message.decode() for message in parked),
            "quota": {"answered_lately": asked, "told_to_wait": bool(waits)},
            "nights": [part(night, person) for night in await self._nights.about(person)],
            "loras": await self._loras.of_person(person),
            "personalities": [
                await self._personalities.part(person, persona) for persona in await self._personalities.about(person)
            ],
            "jobs": [msgspec.to_builtins(job) for job in await self._jobs(person)],
        }

    async def alike(self, person: str) -> list[str]:
        """Whose id may have been meant: something is kept of them, and it is written otherwise, or goes on before."""
        begin, _, _ = keys.CONSENT("").rpartition(":")
        known = {name.removeprefix(begin).rpartition(":")[0] for name in await self._client.scan(f"{begin}*")}
        said = person.strip().casefold()
        return sorted(one for one in known - {person} if f":{one.casefold()}".endswith(f":{said}"))

    async def _conversation(self, talk: str, person: str) -> dict[str, Any]:
        """One's own lines, and what was said to one: not what others said to others."""
        lines = await self._conversations.last(talk, 100_000)
        mine = {line.id for line in lines if line.author.id == person}
        alone = all(line.ours or line.id in mine for line in lines)
        summary = (await self._conversations.talk(talk, 1)).summary if alone else ""
        shown = [line for line in lines if line.id in mine or mine & set(line.answers)]
        return {"summary": summary, "lines": [msgspec.to_builtins(line) for line in shown]}

    async def _jobs(self, person: str) -> list[Generate]:
        return [job for job in await self._queue.all() if job.author.id == person]

    async def _remembering(self, person: str) -> list[PersonaKey]:
        """The personas that remember somebody, also what nobody has taken in yet."""
        for persona in await self._memories.waiting():
            await self._memories.take_in(persona)
        return await self._memories.of_person(person)

    async def forget(self, person: str, persona: PersonaKey | None = None) -> dict[str, int]:
        """Erase somebody: from one persona, or everywhere. What went, in numbers.

        LoRAs with their words or votes in them stop serving first; their files go when the next night is over.
        """
        stopped = await self._stop(person, persona)
        talks = {talk: await self._said(talk, person) for talk in await self._conversations.of_person(person, persona)}
        await self._forget_talks(talks, person)
        jobs = await self._drop_jobs(person, persona, talks)
        await self._forget_talks(talks, person)  # again: a reply may have been finished meanwhile
        went = {"jobs": len(jobs), "messages": sum(map(len, talks.values()))}
        met = {persona} if persona else {key for talk in talks for key in talked_with(talk, person)}
        remembering = [persona] if persona else await self._remembering(person)
        memories = await self._forget_memories(person, remembering)  # before what may be made of them meanwhile
        await self._begin_anew(remembering)
        went |= await self._forget_replies(person, persona, jobs, met)
        went["memories"] = memories
        for one in [persona] if persona else await self._personalities.about(person):
            await self._personalities.forget(person, one)
        if persona is None:
            await self._ledger.unpark(person)
            await self.consents.forget(person)
            await self._client.do("DEL", *(key(person) for key in (keys.SPOKE_IN, keys.ASKED, keys.ASKED_TOLD)))
        stopped |= await self._stop(person, persona)  # again: a night may have kept one meanwhile
        await self._loras.release(person, sorted(stopped))
        if self._embedded:
            await self._erase_log()
        return {**went, "LoRAs": len(stopped)}

    async def erase_one(self) -> None:
        """Something was forgotten by itself: it goes from the file of our own Redis, too, but for the copy that may be
        had back for a day. That goes when `erase_late` is next asked after it."""
        if self._embedded:
            await self._client.do("SET", keys.ERASE_DUE.pattern, time.time() + BIN_FOR, "NX")
            await self._erase_log()

    async def erase_late(self, now: float) -> None:
        """What could be had back and no longer can: it goes from the file, too. Another copy may have come since."""
        due = await self._client.do("GET", keys.ERASE_DUE.pattern)
        if due is None or float(due) > now:
            return
        if await self._client.scan(keys.MEMORY_BIN("*")):
            await self._client.do("SET", keys.ERASE_DUE.pattern, now + BIN_FOR)
        else:
            await self._client.do("DEL", keys.ERASE_DUE.pattern)
        await self._erase_log()

    async def _erase_log(self) -> None:
        """All is forgotten, whatever comes of this; so nobody is told that it failed."""
        try:
            done, trouble = await erase_log(self._client), "it takes long"
        except StoreError as error:
            done, trouble = False, str(error)
        if not done:
            log.warning("what was forgotten may stand in Redis' file until that is next written anew: %s", trouble)

    async def _stop(self, person: str, persona: PersonaKey | None) -> set[str]:
        """No reply more from weights that have learned from somebody: one that is being written begins anew."""
        stopped = await self._loras.taint(person, persona)
        for job in await self._queue.all() if stopped.personas else []:
            if {job.persona, common(job.persona)} & stopped.personas:
                await self._queue.recall(job.id)
        return {*stopped.versions}

    async def _drop_jobs(self, person: str, persona: PersonaKey | None, talks: Collection[str]) -> set[str]:
        """Their jobs go, running or not; others' that run in these talks begin anew. Reply ids of those that went."""
        dropped = set()
        for job in await self._queue.all():
            if job.author.id == person and persona in (None, job.persona):
                dropped |= {job.reply_id} if await self._queue.drop(job.id, running=True) else set()
            elif job.conversation in talks:
                await self._queue.recall(job.id)
        return dropped

    async def _said(self, talk: str, person: str) -> set[str]:
        lines = await self._conversations.last(talk, 100_000)
        return {line.id for line in lines if line.author.id == person}

    async def _forget_talks(self, talks: Mapping[str, set[str]], person: str) -> None:
        """Their lines, our answers to them, and the summary, which may quote them."""
        for talk, theirs in talks.items():
            lines = await self._conversations.last(talk, 100_000)
            for line in lines:
                if line.id in theirs or theirs & set(line.answers):
                    await self._conversations.delete(talk, line.id)
            await self._client.do_all([("DEL", keys.TALK(talk)), ("SREM", keys.SPOKE_IN(person), talk)])

    async def _forget_replies(
        self, person: str, persona: PersonaKey | None, unsent: set[str], met: set[PersonaKey]
    ) -> dict[str, int]:
        """A reply to them goes; one to somebody else stays, without the talk it stood in. So with what nights found."""
        given, rated = [
            [entry for entry in await self._ledger.entries(ids) if persona in (None, entry.record.persona)]
            for ids in await self._ledger.about(person)
        ]
        await self._unsend(unsent | {entry.record.id for entry in given if entry.record.author.id == person})
        for entry in given:
            await self._ledger.redact(entry)
            if entry.record.author.id == person:
                await self._ledger.erase(entry)
            else:
                await self._ledger.disclaim(entry, person)
        for entry in rated:
            await self._ledger.withdraw(entry.record.id, person)
        if persona is None:
            await self._client.do("DEL", keys.REPLIED_TO(person), keys.RATED_BY(person))
        met = met | {entry.record.persona for entry in (*given, *rated)}
        await self._nights.forget(person, met, everywhere=persona is None)
        return {"replies": len(given), "rated": len(rated)}

    async def _begin_anew(self, remembering: Collection[PersonaKey]) -> None:
        """Replies to others that are being written now may have been reminded of them, in whichever talk."""
        for job in await self._queue.all():
            if job.persona in remembering:
                await self._queue.recall(job.id)

    async def _forget_memories(self, person: str, remembering: Collection[PersonaKey]) -> int:
        """Their words, what was answered, and whatever was made of it, with the vectors. How many that were."""
        for one in remembering:
            await self._reflections.forget(one)
        return sum([await self._memories.forget(person, one) for one in remembering])

    async def _unsend(self, replies: set[str]) -> None:
        """Take replies off the streams on which they still wait to be delivered."""
        for name in await self._client.scan(keys.REPLIES("*")) if replies else []:
            entries = await self._client.read_stream(name, "0", 0.001, count=10_000)
            mine = [entry for entry, body in entries if decode_result(body).reply_id in replies]
            if mine:
                await self._client.do("XDEL", name, *mine)


def talked_with(talk: str, person: str) -> Iterator[PersonaKey]:
    """The personas that may have spoken with somebody in a conversation: which it was is up to the settings of then."""
    account, _, rest = talk.partition("|")
    card, _, where = rest.partition("|")
    match [unquote(part) for part in where.split(":")]:
        case [platform, workspace, channel, *thread]:
            for scope in scopes_of(Place(platform, workspace, channel, "".join(thread)), Person(person)):
                yield PersonaKey(account, unquote(card), scope)


def is_any_kept(data: Mapping[str, Any]) -> bool:
    """Is there anything of somebody in what was exported of them?"""
    return any(map(_is_filled, (of for name, of in data.items() if name != "person")))


def _is_filled(value: Any) -> bool:
    return any(map(_is_filled, value.values())) if isinstance(value, dict) else bool(value)


def part(night: Night, person: str) -> dict[str, Any]:
    """What a night made of somebody's votes, as plain data."""
    counts = [msgspec.to_builtins(one) for one in night.ratings.people if one.user == person]
    return {"night": night.id, "time": iso(night.began), "persona": str(night.persona), "counted": counts}


def reply(entry: Entry) -> dict[str, Any]:
    """A reply of the ledger as plain data, in the shape of `limen feedback export`."""
    record = entry.record
    return {
        "reply_id": record.id,
        "persona": record.persona.card,
        "scope": record.persona.scope,
        "account": record.persona.account,
        "lora_version": record.lora_version,
        "persona_version": record.persona_version,
        "model": record.model,
        "sampling": record.sampling,
        "seed": record.seed,
        "source": record.source,
        "time": iso(record.time),
        "messages": [{"role": told.role, "content": told.content} for told in entry.messages],
        "reply": record.text,
        **{name: shown for name in ("emotion", "action") if (shown := getattr(record, name))},
        "reactions": reactions(entry),
    }


def shown_to(person: str, entry: Entry, talks: Collection[str]) -> dict[str, Any]:
    """A reply as somebody may see it who has words in its prompt, and spoke in these `talks`: not what it was reminded
    of elsewhere, and nothing of a talk in which they never spoke but that their words are in it."""
    record, row = entry.record, reply(entry)
    if record.author.id != person and record.conversation not in talks:
        known = ("reply_id", "persona", "scope", "account", "time")
        return {**{name: row[name] for name in known}, "messages": [], "quoted_elsewhere": True}
    here = channel_of(turn_id(record.conversation, ""))
    if any(channel_of(memory) != here for memory in record.recalled):
        row["messages"] = [one for at, one in enumerate(row["messages"]) if at == 0 or one["role"] != "system"]
    return row


def reactions(entry: Entry, user: str = "") -> list[dict[str, Any]]:
    """The facts of a reply, of everybody or one person, oldest first."""
    return [
        {"user": fact.user, "emoji": fact.emoji, "removed": fact.removed, "time": iso(fact.time)}
        for fact in entry.facts
        if not user or fact.user == user
    ]


def iso(seconds: float) -> str:
    """Seconds UTC as ISO 8601 with milliseconds."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{stamp}.{int(seconds % 1 * 1000):03d}Z"
