"""A screen that remembers what it was given, and types what it is told: for tests of the console without a terminal."""

import asyncio
from collections.abc import AsyncGenerator, Callable

from adapters.terminal.screen import Status, Who


class Sheet:
    """A `Screen`. `rows` are (what, text); `wait` for what should be there, instead of sleeping."""

    def __init__(self, *typed: str) -> None:
        self.rows: list[tuple[str, str]] = []
        self.drafts: list[tuple[str, str, int]] = []
        self.returned: list[str] = []
        self.jobs = 0
        self.status: Status | None = None
        self.forgotten = False
        self._changed = asyncio.Event()
        self._typed: asyncio.Queue[str | None] = asyncio.Queue()
        self.type(*typed)

    def type(self, *lines: str | None) -> None:
        """Lines as a person would enter them; None is the end."""
        for line in lines:
            self._typed.put_nowait(line)

    def said(self, what: str) -> list[str]:
        """The texts of one kind, oldest first."""
        return [text for kind, text in self.rows if kind == what]

    async def wait(self, holds: Callable[[], object], seconds: float = 20.0) -> None:
        """Until it holds; an error after so many seconds, with what there is."""
        try:
            async with asyncio.timeout(seconds):
                while not holds():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"it never came; there is {self.rows}, {self.jobs} due") from None

    async def lines(self) -> AsyncGenerator[str, None]:
        """What was typed."""
        while (line := await self._typed.get()) is not None:
            yield line

    async def grow(self, who: Who, reply_id: str, text: str, attempt: int) -> None:
        """A draft."""
        self.drafts.append((who.card, text, attempt))
        self._changed.set()

    async def reply(self, who: Who, reply_id: str, text: str, note: str = "") -> None:
        """A row `reply` or, without an id, `greeting`."""
        self._put("reply" if reply_id else "greeting", f"{who.card}: {text}{f'({note})' if note else ''}")

    async def answer(self, text: str) -> None:
        """A row."""
        self._put("answer", text)

    async def aside(self, text: str) -> None:
        """A row."""
        self._put("aside", text)

    async def complain(self, text: str) -> None:
        """A row."""
        self._put("complaint", text)

    def give_back(self, text: str) -> None:
        """Remember it."""
        self.returned.append(text)

    def forget(self) -> None:
        """Remember that."""
        self.forgotten = True

    def due(self, jobs: int, status: Status) -> None:
        """Remember it."""
        self.jobs, self.status = jobs, status
        self._changed.set()

    def _put(self, what: str, text: str) -> None:
        self.rows.append((what, text))
        self._changed.set()
