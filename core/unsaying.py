"""What was said reads differently, or is gone: in the talk, in memory, and in what may train. Decides nothing."""

from collections.abc import Collection, Sequence

from core.events import Line, PersonaKey, Place
from core.files import edited
from core.memory import turn_id
from core.store.conversations import Conversations
from core.store.ledger import Entry, Ledger
from core.store.memories import Memories

BEHIND = 200  # lines that are looked at when one is deleted: more than a prompt holds
REMINDED = 500  # of a persona's latest replies that are looked at when a memory goes


class Unsaying:
    """Every method raises StoreError, and may be asked again."""

    def __init__(self, conversations: Conversations, memories: Memories, ledger: Ledger) -> None:
        self._conversations, self._memories, self._ledger = conversations, memories, ledger

    async def edit(self, persona: PersonaKey, place: Place, message: str, text: str) -> bool:
        """A message reads so from now on, and what was said on top of other words trains nothing. False if this persona
        knows nothing of it."""
        talk = persona.conversation(place)
        lines = await self._conversations.last(talk, BEHIND)
        changed = await self._conversations.edit(talk, message, text)
        if any(line.id == message and edited(text, line.text) != line.text for line in lines):
            await self._ledger.retract(await self._on_top(message, lines), edited=True)
        return await self._memories.edit(persona, talk, message, text) or changed

    async def delete(self, persona: PersonaKey, place: Place, message: str, ours: str = "") -> bool:
        """A message is gone. `ours`: the reply that it was. False if this persona knew nothing of it."""
        talk = persona.conversation(place)
        changed = await self.unsay(talk, message, ours)
        for line in (message, *([ours] if ours else [])):
            if await self._memories.unsay(persona, talk, line):
                changed = True
                await self.untell(persona, [turn_id(talk, line)])
        return changed

    async def unsay(self, conversation: str, line: str, ours: str = "") -> bool:
        """A line leaves a talk, and what was said on top of it trains nothing. `ours`: the reply that it was."""
        lines = await self._conversations.last(conversation, BEHIND)
        changed = await self._conversations.delete(conversation, line)
        await self._retract(line, ours, lines)
        return changed

    async def untell(self, persona: PersonaKey, memories: Collection[str]) -> None:
        """What was said when it was reminded of these memories, which are gone, trains nothing."""
        latest = (await self._ledger.replies(persona))[-REMINDED:]
        told = await self._ledger.outlines(latest)
        await self._ledger.retract(entry for entry in told if set(memories) & set(entry.record.recalled))

    async def _retract(self, message: str, ours: str, lines: Sequence[Line]) -> None:
        """A reply of ours that was deleted trains nothing, nor does one that has a deleted message in its prompt."""
        gone = await self._on_top(message, lines)
        await self._ledger.retract([*gone, *(await self._ledger.entries([ours] if ours else []))])

    async def _on_top(self, message: str, lines: Sequence[Line]) -> list[Entry]:
        """Replies behind a message that have it in their prompt."""
        at = next((at for at, line in enumerate(lines) if line.id == message), len(lines))
        told = await self._ledger.entries([line.reply_id for line in lines[at + 1 :] if line.ours])
        return [entry for entry in told if any(lines[at].text in message.content for message in entry.messages)]
