"""What there is to tell of a personality since a day: reads its history, and the words behind it as far as it may.

Words are quoted only in the conversation in which they fell: a scope may have many, and not everybody is in all.
"""

import datetime as dt
from collections.abc import Sequence

import msgspec

from core import days
from core.events import PersonaKey
from core.growth.changes import AnyChange, Rated, Talked
from core.growth.growing import Growth
from core.personality import State, steps
from core.store.conversations import Conversations
from core.store.ledger import Ledger
from core.store.personalities import Entry
from personas.card import Card

LINES = 500  # of a conversation in which a quoted message is looked for


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """How it was when `since` (a day) had ended, how it is now, what happened between, and texts by id."""

    since: int
    before: State
    now: State
    entries: tuple[Entry, ...]
    texts: dict[str, str] = {}

    @property
    def changes(self) -> list[AnyChange]:
        """What happened, oldest first."""
        return [entry.change for entry in self.entries]

    @property
    def moved(self) -> list[dict[str, float]]:
        """How far each of them moved the dials."""
        return steps(self.before, self.changes)


class Reasons:
    """Every method raises StoreError."""

    def __init__(self, growth: Growth, ledger: Ledger, conversations: Conversations) -> None:
        self._growth, self._ledger, self._conversations = growth, ledger, conversations

    async def since(
        self, persona: PersonaKey, card: Card, day: int, until: int = 0, where: str | None = None
    ) -> Account:  # fmt: skip
        """What has happened after a day (until the end of another, if one is given). `where`: words that fell in this
        conversation may be quoted; None: all, for an operator."""
        now = await self._growth.on(persona, card, until) if until else await self._growth.state(persona, card)
        before = await self._growth.on(persona, card, day)
        begin = dt.datetime.combine(days.date(day), dt.time(), dt.UTC).timestamp()  # before its end in any time zone
        entries = [entry for entry in await self._growth.store.history(persona, begin) if entry.change.day > day]
        entries = [entry for entry in entries if not until or entry.change.day <= until]
        texts = await self._texts([entry.change for entry in entries], where)
        return Account(since=day, before=before, now=now, entries=tuple(entries), texts=texts)

    async def _texts(self, changes: Sequence[AnyChange], where: str | None) -> dict[str, str]:
        rated = {change.reply for change in changes if isinstance(change, Rated) and change.reply}
        records = [entry.record for entry in await self._ledger.outlines(sorted(rated))]
        texts = {record.id: record.text for record in records if where in (None, record.conversation)}
        talks = {change.where for change in changes if isinstance(change, Talked) and change.where}
        for talk in sorted(talks if where is None else talks & {where}):
            texts |= {line.id: line.text for line in await self._conversations.last(talk, LINES) if not line.ours}
        return texts


def before(day: int) -> int:
    """The day before."""
    return days.number(days.date(day) - dt.timedelta(days=1))
