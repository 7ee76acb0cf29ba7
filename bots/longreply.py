"""A reply that is very long: its beginning as a message, and all of it as a text file. By the setting `long_reply`."""

import logging

import msgspec

from adapters.base import Adapter
from adapters.pieces import split
from core.delivery import Sending
from core.errors import LimenError, StoreError
from core.files import File
from core.jobs import Done, Failed

log = logging.getLogger("limen.run")

PART = 9_999  # the file is a part of the reply, too: a reaction to it counts
ALL = "All of it:"


class Long:
    """An outlet before an adapter's. `most`: characters of a reply that is shown whole; 0: each is."""

    def __init__(self, adapter: Adapter, most: int) -> None:
        self._adapter, self._most = adapter, most

    async def draft(self, text: str, attempt: int, sending: Sending) -> None:
        """It grows until it is long."""
        await self._adapter.draft(self._beginning(text), attempt, sending)

    async def final(self, done: Done, sending: Sending) -> None:
        """What is too long is given as a file; where that cannot be, as messages after all."""
        if done.act != "say" or self._beginning(done.text) == done.text:
            await self._adapter.final(done, sending)
            return
        given = sending.ids.pop(PART, None)  # not one of the adapter's own
        await self._adapter.final(msgspec.structs.replace(done, text=self._beginning(done.text)), sending)
        if given is None and not await self._give(done, sending):
            await self._adapter.final(done, sending)

    async def failed(self, failed: Failed, sending: Sending) -> None:
        """There will be none."""
        await self._adapter.failed(failed, sending)

    def _beginning(self, text: str) -> str:
        if not self._most or len(text) <= self._most:
            return text
        return split(text, self._most)[0].rstrip() + "\n\n…"

    async def _give(self, done: Done, sending: Sending) -> bool:
        """False if the platform will not take it."""
        if await sending.begin(PART) == "sent":
            return True
        try:
            file = File("reply.txt", done.text.encode("utf-8", "replace"))
            message = await self._adapter.hand(done.place, file, ALL)
        except StoreError:
            raise
        except LimenError as error:
            log.warning("%s: a long reply goes out as messages: %s", self._adapter.account, error)
            return False
        await sending.sent(PART, (message,) if message else ())
        sending.ids.pop(PART)
        return True
