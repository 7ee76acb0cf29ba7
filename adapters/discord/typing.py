"""The sign that we are writing, for as long as somebody waits for a reply."""

import asyncio
import logging

from adapters.discord.api import Api, Refused, Unreachable

log = logging.getLogger("limen.discord")

AGAIN = 8.0  # Discord shows the sign for ten seconds
LONGEST = 180.0  # whoever waits longer has given up: a job may also be withdrawn without a word


class Typing:
    """Which channels wait for which jobs. Each that waits is shown the sign, by one task."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._waiting: dict[str, set[str]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def begin(self, channel: str, job: str) -> None:
        """A reply is due there."""
        self._waiting.setdefault(channel, set()).add(job)
        if channel not in self._tasks:
            self._tasks[channel] = asyncio.create_task(self._show(channel))

    def end(self, channel: str, job: str) -> None:
        """It has come, or never will."""
        jobs = self._waiting.get(channel, set())
        jobs.discard(job)
        if not jobs:
            self._forget(channel)

    def stop(self) -> None:
        """Everywhere."""
        for channel in list(self._tasks):
            self._forget(channel)

    def _forget(self, channel: str) -> None:
        self._waiting.pop(channel, None)
        if task := self._tasks.pop(channel, None):
            task.cancel()

    async def _show(self, channel: str) -> None:
        """Again and again. Where we may not write we are not seen typing either: then once is enough."""
        loop = asyncio.get_running_loop()
        end = loop.time() + LONGEST
        try:
            while loop.time() < end:
                await self._api.call("POST", "/channels/{channel_id}/typing", channel_id=channel)
                await asyncio.sleep(AGAIN)
        except (Refused, Unreachable) as error:
            log.debug("not seen typing in %s: %s", channel, error)
        if self._tasks.get(channel) is asyncio.current_task():
            self._tasks.pop(channel)
            self._waiting.pop(channel, None)
