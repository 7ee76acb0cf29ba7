"""Which replies are due, and whose. One may come before we hear that it was due: jobs that are over are remembered."""

import asyncio

from adapters.terminal.screen import Who


class Due:
    """Jobs in the order in which they were asked for, each with the id of its reply and who gives it."""

    def __init__(self) -> None:
        self._jobs: dict[str, tuple[str, Who]] = {}
        self._over: set[str] = set()
        self._none = asyncio.Event()
        self._none.set()

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def first(self) -> str:
        """The job whose reply comes next; empty if none is due."""
        return next(iter(self._jobs), "")

    def expect(self, job: str, reply_id: str, who: Who) -> None:
        """A reply will come, unless it has."""
        if job not in self._over:
            self._jobs.setdefault(job, (reply_id, who))
            self._none.clear()

    def settle(self, job: str) -> None:
        """It came, or never will."""
        self._over.add(job)
        self._jobs.pop(job, None)
        if not self._jobs:
            self._none.set()

    def of(self, job: str) -> tuple[str, Who] | None:
        """The reply that a job is due to give, and who gives it."""
        return self._jobs.get(job)

    def whose(self, reply_id: str) -> Who | None:
        """Who gives this reply, as far as we know."""
        return next((who for reply, who in self._jobs.values() if reply == reply_id), None)

    async def none(self) -> None:
        """Wait until nothing is due."""
        await self._none.wait()
