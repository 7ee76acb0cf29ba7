"""The path of an event: dedupe it, keep it, decide whether to answer, queue a job that points at it.

Knows no platform, no prompt and no model. Several engines may serve one bot account; all they share is in Redis.
"""

import hashlib
import secrets
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from itertools import groupby

import msgspec

from core.events import (
    AnyEvent,
    Command,
    Deletion,
    Edit,
    Event,
    Message,
    Person,
    PersonaKey,
    Place,
    Reaction,
    quote,
)
from core.feedback import Fact
from core.files import below
from core.group.attention import attend, called
from core.group.manners import at_home, hears, is_quiet, rests, says_stop
from core.group.quota import gate, reset
from core.jobs import Generate
from core.scopes import scope_of
from core.settings import Settings
from core.store import keys
from core.store.conversations import Conversations, heard
from core.store.ledger import Ledger, message_key
from core.store.memories import Memories
from core.store.personas import Personas
from core.store.queue import Accepted, Offer, Queue, Stop, What
from core.text import clean
from core.unsaying import Unsaying
from personas.card import Card

ROOMS = 10_000


class Act(StrEnum):
    """What became of an event. KEPT: it is tried again until Redis is back, which has been away for long."""

    IGNORED = "ignored"
    KEPT = "kept"
    HEARD = "heard"
    QUEUED = "queued"
    MERGED = "merged"
    FULL = "full"
    SEEN = "seen"
    REFUSED = "refused"
    RECORDED = "recorded"
    PARKED = "parked"
    CHANGED = "changed"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """`place` is the place in the line (if FULL: how many wait).

    `note` says why. If FULL or REFUSED it is for whoever waits for an answer: empty if they did not call us.
    """

    act: Act
    persona: PersonaKey | None = None
    conversation: str = ""
    job: str = ""
    reply_id: str = ""
    place: int = 0
    note: str = ""


class Engine:
    """`replies` names the stream that answers come back on: the bot account, or a terminal's session.

    A session of a terminal is the operator's own: what is for groups does not concern it.
    """

    def __init__(
        self,
        settings: Settings,
        queue: Queue,
        conversations: Conversations,
        ledger: Ledger,
        personas: Personas,
        memories: Memories,
        cards: Callable[[str], Card],
        replies: str = "",
        clock: Callable[[], float] = time.time,
        settle: bool = True,
    ) -> None:
        self.settings = settings
        self.rules = at_home(settings.attention) if replies else settings.attention
        self.queue, self.conversations, self.ledger, self.personas = queue, conversations, ledger, personas
        self.memories, self.unsaying = memories, Unsaying(conversations, memories, ledger)
        self.cards = cards
        self.replies = replies
        self.clock = clock
        self.settle = settle
        self._rooms: dict[tuple[str, str], str] = {}  # of each channel heard lately, its name
        self.pinned: dict[str, str] = {}  # scope → card, for this process only (a terminal's own choice)
        self.own: dict[str, str] = {}  # bot account → its card where nobody has chosen one, if it is a card of its own

    async def handle(self, events: Sequence[AnyEvent]) -> list[Outcome]:
        """Events in the order they came, messages in one batch. Raises StoreError; saying it twice is harmless."""
        outcomes: list[Outcome] = []
        for kind, run in groupby(events, key=type):
            batch = list(run)
            if kind is Message:
                outcomes += await self.on_messages([event for event in batch if isinstance(event, Message)])
            else:
                outcomes += [await self._on(event) for event in batch]
        return outcomes

    async def _on(self, event: AnyEvent) -> Outcome:
        match event:
            case Reaction():
                return await self.on_reaction(event)
            case Edit():
                return await self.on_edit(event)
            case Deletion():
                return await self.on_deletion(event)
            case Command():  # `core/commands/desk.py` answers these; here they only must not be taken for talk
                return Outcome(act=Act.IGNORED)
            case _:
                return Outcome(act=Act.IGNORED)

    async def on_message(self, message: Message) -> Outcome:
        """One message."""
        return (await self.on_messages([message]))[0]

    async def on_messages(self, messages: Sequence[Message]) -> list[Outcome]:
        """Keep what was said, and queue an answer to what was meant for us: one round trip for all."""
        personas = await self.playing([(message.place, message.author, message.account) for message in messages])
        plans = [await self._plan(message, persona) for message, persona in zip(messages, personas, strict=True)]
        offers = [offer for offer, _ in plans if offer]
        accepted = iter(await self.queue.accept(offers) if offers else [])
        return [_outcome(offer, next(accepted), outcome) if offer else outcome for offer, outcome in plans]

    async def _plan(self, message: Message, persona: PersonaKey) -> tuple[Offer | None, Outcome]:
        """What to ask of the queue for one message, and the outcome as far as it is known before."""
        if not hears(message.place, message.author, self.rules):
            return None, Outcome(act=Act.IGNORED, persona=persona, note="the settings deny it")
        text = clean(message.text)
        message = msgspec.structs.replace(message, text=text, author=tidy(message.author))
        card = self.cards(persona.card)
        names = (card.title, card.name, *card.names)
        decision = attend(message, names, self.rules, self.settle, self._is_quiet())
        if note := self._too_long(text):
            waits = decision.speak and not decision.overheard
            return None, Outcome(act=Act.REFUSED, persona=persona, note=note if waits else "")
        if not (text.strip() or message.files) or message.author.id == message.account:
            return None, Outcome(act=Act.IGNORED, persona=persona, note=decision.why)
        line = heard(persona, message.place, message, below(text, message.files))
        job = await self._job(message, persona, card) if decision.speak else None
        outcome = Outcome(
            act=Act.HEARD, persona=persona, conversation=line.conversation, reply_id=job.reply_id if job else ""
        )
        seen = keys.SEEN(f"{message_key(message.account, message.place, message.id)}|{quote(persona.card)}")
        offer = Offer(
            seen=seen, line=line, job=job, merge=decision.merge, delay=decision.delay,
            gate=gate(message, self.rules, decision.overheard) if job else None,
            stop=self._stop(message, names, line.conversation), reset=reset(message, self.rules),
        )  # fmt: skip
        return offer, outcome

    def _is_quiet(self) -> bool:
        return is_quiet(self.rules.quiet_hours, self.clock(), self.settings.timezone)

    def _stop(self, message: Message, names: Sequence[str], conversation: str) -> Stop | None:
        """Who calls us stops all that we say there; who does not, what we say to them."""
        if not says_stop(message, names, self.rules.stop_words):
            return None
        return Stop(conversation, "" if called(message, names, self.rules) else message.author.id)

    def _too_long(self, text: str) -> str:
        most = self.rules.max_message_chars
        return f"That is {len(text):,} characters; I can take in {most:,} at once." if len(text) > most else ""

    async def _job(self, message: Message, persona: PersonaKey, card: Card) -> Generate:
        return Generate(
            id=new_id(),
            reply_id=new_id(),
            persona=persona,
            conversation=persona.conversation(message.place),
            place=message.place,
            author=message.author,
            replies=self.replies or message.account,
            card_hash=await self.personas.publish(card),
            events=(message.id,),
            submitted=self.clock(),
            seed=secrets.randbits(31),
            room=self._room(message),
        )

    def _room(self, message: Message) -> str:
        """What the channel is called. A reply that is given again is asked for by a command, which does not say."""
        where = (message.place.workspace, message.place.channel)
        if message.room:
            self._rooms[where] = message.room
            if len(self._rooms) > ROOMS:
                del self._rooms[next(iter(self._rooms))]
        return self._rooms.get(where, "")

    async def playing(self, talks: Sequence[tuple[Place, Person, str]]) -> list[PersonaKey]:
        """The persona that is alive for each (place, author, account): pinned, chosen, or the default card."""
        scopes = [scope_of(place, author, self.settings.scope) for place, author, _ in talks]
        unpinned = {(talk[2], scope) for scope, talk in zip(scopes, talks, strict=True) if scope not in self.pinned}
        chosen: dict[tuple[str, str], str] = {}
        for account in {account for account, _ in unpinned}:
            names = sorted(scope for of, scope in unpinned if of == account)
            cards = await self.personas.chosen(account, names)
            chosen |= {(account, scope): card for scope, card in zip(names, cards, strict=True) if card}

        def card(account: str, scope: str) -> str:
            of_its_own = self.own.get(account) or self.settings.persona
            return self.pinned.get(scope) or chosen.get((account, scope)) or of_its_own

        return [
            PersonaKey(account, card(account, scope), scope)
            for scope, (_, _, account) in zip(scopes, talks, strict=True)
        ]

    async def persona(self, event: Event) -> PersonaKey:
        """The persona that is alive where this event happened."""
        return (await self.playing([(event.place, event.author, event.account)]))[0]

    async def on_reaction(self, reaction: Reaction) -> Outcome:
        """Keep the fact, on the reply behind the message; park it if that is not known yet."""
        if reaction.author.id == reaction.account:
            return Outcome(act=Act.IGNORED, note="it is our own")
        if not reaction.removed and not hears(reaction.place, reaction.author, self.rules):
            return Outcome(act=Act.IGNORED, note="the settings deny it")
        fact = Fact(
            reaction.id, reaction.author.id, reaction.emoji, reaction.time, reaction.removed, reaction.author.is_bot
        )
        key = message_key(reaction.account, reaction.place, reaction.message_id)
        seen = hashlib.sha256(reaction.id.encode()).hexdigest()[:24]  # platforms make such ids of who felt what
        what, reply = await self.ledger.react(f"{reaction.account}|{seen}", key, fact)
        return Outcome(act=_REACTED[what], reply_id=reply)

    async def on_edit(self, edit: Edit) -> Outcome:
        """What was said reads differently from now on, for every card that heard it. An answer that waits sees it."""
        players, text = await self._players(edit), clean(edit.text)
        persona, changed = players[0], False
        if note := self._too_long(text):
            talk = persona.conversation(edit.place)
            return Outcome(act=Act.REFUSED, persona=persona, conversation=talk, note=note)
        for player in players:
            changed |= await self.unsaying.edit(player, edit.place, edit.message_id, text)
        return _changed(changed, persona, edit.place)

    async def on_deletion(self, deletion: Deletion) -> Outcome:
        """What was said is gone, for every card that heard it. An answer that waits for it alone is not given."""
        players, changed = await self._players(deletion), False
        ours = await self.ledger.behind(message_key(deletion.account, deletion.place, deletion.message_id))
        for player in players:
            changed |= await self.unsaying.delete(player, deletion.place, deletion.message_id, ours)
        return _changed(changed, players[0], deletion.place)

    async def _players(self, event: Event) -> list[PersonaKey]:
        """The persona that is alive where this event happened, and whoever was before it."""
        now = await self.persona(event)
        former = [self.own.get(now.account, self.settings.persona), *await self.personas.played(now.account, now.scope)]
        return list(dict.fromkeys([now, *(PersonaKey(now.account, card, now.scope) for card in former)]))

    async def regenerate(
        self, persona: PersonaKey, place: Place, author: Person, seen: str = "", instead: str = ""
    ) -> Outcome:
        """Another reply to what the last one answered; it has its own id and takes the old one's place in history.

        Asked for again under the same `seen`, it is the same one. `instead` of which reply: only if that is the last.
        """
        if self._is_quiet() and rests(place, self.rules):
            return Outcome(act=Act.IGNORED, persona=persona, note="These are quiet hours. Please ask again later.")
        conversation = persona.conversation(place)
        lines = await self.conversations.last(conversation, 50)
        last = next((line for line in reversed(lines) if line.ours), None)
        if last is None or not last.answers:
            return Outcome(act=Act.IGNORED, persona=persona, note="There is no reply yet that could be given again.")
        if instead not in ("", last.reply_id):
            return Outcome(act=Act.IGNORED, persona=persona, note="The talk has moved on since that reply.")
        asked = next((line.author for line in lines if line.id == last.answers[-1]), author)
        message = Message(
            id=last.answers[0], account=persona.account, place=place, author=asked, time=self.clock(), text="…"
        )
        job = await self._job(message, persona, self.cards(persona.card))
        job = msgspec.structs.replace(job, events=last.answers, regenerates=last.id)
        outcome = Outcome(act=Act.HEARD, persona=persona, conversation=conversation, reply_id=job.reply_id)
        asks = msgspec.structs.replace(message, author=author)
        offer = Offer(seen=seen, job=job, gate=gate(asks, self.rules))
        (accepted,) = await self.queue.accept([offer])
        return _outcome(offer, accepted, outcome)

    async def stop(self, conversation: str) -> int:
        """Cancel every job of a conversation. How many there were."""
        jobs = await self.queue.jobs(conversation)
        return sum([await self.queue.cancel(job) != "gone" for job in jobs])


_REACTED = {"recorded": Act.RECORDED, "parked": Act.PARKED, "seen": Act.SEEN, "gone": Act.IGNORED}
_ACCEPTED = {
    What.SEEN: Act.SEEN,
    What.HEARD: Act.HEARD,
    What.QUEUED: Act.QUEUED,
    What.MERGED: Act.MERGED,
    What.FULL: Act.FULL,
    What.OVER: Act.FULL,
    What.STOPPED: Act.HEARD,
}


def _outcome(offer: Offer, accepted: Accepted, outcome: Outcome) -> Outcome:
    act, note = _ACCEPTED[accepted.what], _note(offer, accepted)
    if act == Act.FULL and not note:  # nobody waits for an answer, or they were told already
        act = Act.HEARD
    return msgspec.structs.replace(outcome, act=act, job=accepted.job, place=accepted.place, note=note)


def _changed(changed: bool, persona: PersonaKey, place: Place) -> Outcome:
    act = Act.CHANGED if changed else Act.IGNORED
    return Outcome(act=act, persona=persona, conversation=persona.conversation(place))


def _note(offer: Offer, accepted: Accepted) -> str:
    """Why there is no answer, for whoever waits for one."""
    overheard = offer.gate is not None and offer.gate.alone is not None
    if accepted.what == What.FULL and not overheard:
        return f"There is a long line here already ({accepted.place} waiting). Please try again in a moment."
    if accepted.what == What.OVER and accepted.place:
        assert offer.gate
        return offer.gate.bounds[accepted.place - 1].note
    return ""


def tidy(person: Person) -> Person:
    """With a name that can be kept and shown."""
    name = " ".join(clean(person.name).split())[:80]
    return person if name == person.name else msgspec.structs.replace(person, name=name)


def new_id() -> str:
    """A name that nothing else has: time first, so that ids sort by age."""
    return f"{int(time.time() * 1000):011x}{secrets.token_hex(5)}"
