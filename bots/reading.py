"""Files that come with a message for us are fetched and read, within the limits of the settings. Knows no platform.

What nobody asked us to look at is not fetched, only named. One channel waits for its file; the others do not.
"""

import asyncio
from typing import Protocol

import msgspec

from core.engine import Engine
from core.errors import LimenError, TooLong
from core.events import AnyEvent, Attachment, Message
from core.files import Read, says_text, sniffed, told
from core.group.attention import called
from core.group.manners import hears
from core.settings import Files

PATIENCE = 8.0  # seconds that a message waits for its files


class Fetcher(Protocol):
    """Whoever can fetch what came with a message: an adapter."""

    async def fetch(self, attachment: Attachment, most: int) -> bytes:
        """What somebody attached. Raises InputError."""


async def read(fetcher: Fetcher, engine: Engine, event: AnyEvent) -> AnyEvent:
    """The same event; a message has its files in its text. Raises StoreError."""
    if not isinstance(event, Message) or not event.attachments:
        return event
    rules, found = engine.settings.files, list[Read]()
    if rules.read and await _is_for_us(engine, event):
        left = rules.most
        wanted = []
        for file in event.attachments:
            wanted.append(left > 0 and says_text(file))
            left -= wanted[-1]
        found = await asyncio.gather(
            *(_fetched(fetcher, file, rules) if want else _only_named()
              for file, want in zip(event.attachments, wanted, strict=True))
        )  # fmt: skip
    return msgspec.structs.replace(event, files=told(event.attachments, found))


async def _is_for_us(engine: Engine, message: Message) -> bool:
    if message.author.id == message.account or not hears(message.place, message.author, engine.rules):
        return False
    card = engine.cards((await engine.persona(message)).card)
    return bool(called(message, (card.title, card.name, *card.names), engine.rules))


async def _only_named() -> Read:
    return Read()


async def _fetched(fetcher: Fetcher, file: Attachment, rules: Files) -> Read:
    if file.size > rules.max_bytes:
        return Read(note="too long to be read")
    try:
        async with asyncio.timeout(PATIENCE):
            content = await fetcher.fetch(file, rules.max_bytes)
    except TimeoutError:
        return Read(note="did not come in time")
    except TooLong:
        return Read(note="longer than it says, and not read")
    except LimenError:
        return Read(note="could not be fetched")
    return sniffed(content, rules.max_chars)
