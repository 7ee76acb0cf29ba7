"""A personality as it stands, and what is to be added to it: reads histories, weighs what people felt, writes changes.

The worker asks for it when it composes, and so does whoever shows it to people; either weighs the reactions that came
since. A card that does not evolve has a personality that is always as it was born. Decides nothing of how much anything
counts (`core/growth/weighing.py`).
"""

import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import msgspec

from core.days import day_of
from core.errors import InputError
from core.events import Line, PersonaKey
from core.feedback import Fact, Seen, opinions, standing
from core.growth.changes import AnyChange, Paused, Rated, Reset, Rolled, Talked, Tuned
from core.growth.weighing import Weighed, When, born, rated, talked
from core.personality import State, replay
from core.settings import Settings
from core.store import keys
from core.store.client import Client, Effect
from core.store.ledger import Entry, Ledger
from core.store.personalities import Personalities, appended
from core.store.personalities import Seen as Read
from core.store.swap import swap
from core.votes import polarity
from core.votes.polarity import Polarity
from personas.card import Card

_encode = msgspec.msgpack.Encoder().encode
_fact = msgspec.msgpack.Decoder(Fact).decode
_weighed = msgspec.msgpack.Decoder(Weighed).decode
FEW = 200  # replies that are weighed at a time


class Growth:
    """Every method raises StoreError. `clock` gives seconds UTC."""

    def __init__(
        self, client: Client, ledger: Ledger, settings: Settings, clock: Callable[[], float] = time.time
    ) -> None:  # fmt: skip
        self._client, self._ledger, self._settings, self._clock = client, ledger, settings, clock
        self.store = Personalities(client)

    @cached_property
    def _polarity(self) -> Polarity:
        return polarity.load(self._settings.night.polarity)

    def now(self) -> When:
        """This moment, and the operator's day."""
        moment = self._clock()
        return When(moment, day_of(moment, self._settings.timezone))

    def newborn(self, card: Card) -> State:
        """One that has met nobody yet."""
        return replay(State(), [born(card, self.now())])

    async def state(self, persona: PersonaKey, card: Card) -> State:
        """The personality as it stands, with all that was felt until now. Nothing is written for one that has not
        begun to live."""
        read = await self.store.read(persona) if card.evolves else Read(State())
        if not read.state.events:
            return self.newborn(card)
        if read.felt:
            read = await self._weigh(persona, read)
        return read.state if read.state.card == card.hash else replay(read.state, [born(card, self.now())])

    async def living(self, persona: PersonaKey, card: Card) -> State:
        """The same for whoever speaks as it: from now on it lives by this card."""
        if not card.evolves:
            return self.newborn(card)
        read = await self.store.read(persona)
        if read.state.card != card.hash:
            await self.store.begin(persona, born(card, self.now()), read.end)
            read = await self.store.read(persona)
        return (await self._weigh(persona, read)).state if read.felt else read.state

    def heard(
        self, persona: PersonaKey, state: State, lines: Sequence[Line], where: str, reply: str = "", answer: str = "",
        to: str = "",
    ) -> list[Effect]:  # fmt: skip
        """The writes that note what people said (`lines`), and that we answered `to` one of them. Bots do not count."""
        if state.paused:
            return []
        changes = list[Talked]()
        for person in dict.fromkeys(line.author.id for line in lines if not line.ours and not line.author.is_bot):
            said = [line for line in lines if line.author.id == person and not line.ours]
            ours = (reply, answer) if person == to else ("", "")
            changes.append(talked(state, said, self.now(), self._settings.personality.pace, where, *ours))
        return appended(persona, changes)

    # What people felt.

    async def _weigh(self, persona: PersonaKey, read: Read) -> Read:
        """Let the reactions that came since count, each once, and those that went no more."""
        state = read.state
        for at in range(0, len(read.felt), FEW):
            some = read.felt[at : at + FEW]
            entries = {entry.record.id: entry for entry in await self._ledger.outlines(some)}
            for reply in some:
                state = replay(state, await self._weigh_one(persona, reply, entries.get(reply), state))
        return await self.store.read(persona)

    async def _weigh_one(
        self, persona: PersonaKey, reply: str, entry: Entry | None, state: State
    ) -> list[Rated]:  # fmt: skip
        """What people think of a reply now, as changes, which are written."""
        done: Effect = ("SREM", keys.FELT(str(persona)), reply)
        if entry is None or entry.record.persona != persona or entry.record.source != "chat":
            await self._client.do(*done)
            return []
        changes: list[Rated] = []

        def decide(found: list[Any]) -> list[Effect]:
            facts = tuple(_fact(body) for body in found[0])
            known = {user.decode(): _weighed(body) for user, body in zip(found[1][::2], found[1][1::2], strict=True)}
            changes[:], now = self._opinions(entry, facts, known, state)
            effects: list[Effect] = [("HSET", keys.WEIGHED(reply), user, _encode(one)) for user, one in now.items()]
            effects += [("EXPIRE", keys.WEIGHED(reply), self._ledger.kept.rated)] if now else []
            return [*appended(persona, changes), *effects, done]

        await swap(self._client, [("LRANGE", keys.REACTIONS(reply), 0, -1), ("HGETALL", keys.WEIGHED(reply))], decide)
        return changes

    def _opinions(
        self, entry: Entry, facts: tuple[Fact, ...], known: dict[str, Weighed], state: State
    ) -> tuple[list[Rated], dict[str, Weighed]]:
        """What people think of a reply now: as changes, and as it is known from now on where that is new."""
        record, place = entry.record, entry.record.place
        seen = Seen(
            reply=record.id, time=record.time, length=len(record.text), facts=facts, platform=place.platform,
            workspace=place.workspace,
        )  # fmt: skip
        think, stands = opinions(seen, self._polarity), standing(facts)
        changes, new = list[Rated](), dict[str, Weighed]()
        words = "" if record.dictated else record.text  # what the card made it say shows none of its traits
        for user in dict.fromkeys([*known, *think]):
            theirs = [fact for fact in stands if fact.user == user]
            causes = [fact.id for fact in theirs or facts if fact.user == user]
            opinion = (think.get(user, 0.0), "".join(fact.emoji for fact in theirs))
            change, now = rated(
                state, user, record.id, words, opinion, causes, known.get(user), self.now(),
                self._settings.personality.pace,
            )  # fmt: skip
            changes += [change] if change else []
            if now != known.get(user):
                new[user] = now
        return changes, new

    # What people decide.

    async def tune(self, persona: PersonaKey, card: Card, person: str, trait: str, by: float) -> tuple[float, float]:
        """Turn a dial: (where it stood, where it stands). Raises InputError if it cannot be turned."""
        self._may_change(card)
        before = (await self.living(persona, card)).traits
        if trait not in before:
            raise InputError(f"I have no dial called {trait}", f"There are {', '.join(before)}")
        await self._add(persona, Tuned(**self._about(person, trait), trait=trait, by=by))
        return before[trait], (await self.state(persona, card)).traits[trait]

    async def pause(self, persona: PersonaKey, card: Card, person: str, on: bool) -> bool:
        """Let it learn no more, or go on. False: it is so already."""
        self._may_change(card)
        if (await self.living(persona, card)).paused == on:
            return False
        await self._add(persona, Paused(**self._about(person, "pause"), on=on))
        return True

    async def reset(self, persona: PersonaKey, card: Card, person: str) -> None:
        """Back to how the card has it."""
        self._may_change(card)
        await self.living(persona, card)
        await self._add(persona, Reset(**self._about(person, "reset")))

    async def rollback(self, persona: PersonaKey, card: Card, person: str, day: int) -> State:
        """Back to how it was at the end of a day; before its first day it was as it was born. The state it has now."""
        self._may_change(card)
        if day >= self.now().day:
            raise InputError("That day is not over yet", "The latest to go back to is yesterday")
        await self.living(persona, card)
        past = await self.store.on(persona, day) or State()
        change = Rolled(
            **self._about(person, "rollback"), to=day, after=past.events, drift=past.drift, people=past.people,
            style=past.style, about=past.about,
        )  # fmt: skip
        await self._add(persona, change)
        return await self.state(persona, card)

    async def on(self, persona: PersonaKey, card: Card, day: int) -> State:
        """The personality at the end of a day; as it was born, before its first."""
        await self.state(persona, card)  # what was felt until now counts for today
        past = await self.store.on(persona, day) if card.evolves else None
        return past or self.newborn(card)

    def _may_change(self, card: Card) -> None:
        if not card.evolves:
            raise InputError(f"{card.title} stays as the card has it", "`evolves: true` in the card lets it change")

    def _about(self, person: str, what: str) -> dict[str, Any]:
        now = self.now()
        return {"id": f"{what}:{now.time:.3f}", "time": now.time, "day": now.day, "person": person}

    async def _add(self, persona: PersonaKey, change: AnyChange) -> None:
        await self.store.append(persona, [change])
