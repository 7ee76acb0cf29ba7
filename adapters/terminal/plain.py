"""A conversation without a screen: lines in, lines out, for pipes, scripts and dumb terminals.

Answers go to stdout, each whole and once; what nobody asked for goes to stderr.
"""

import asyncio
import os
import sys
import threading
from collections.abc import AsyncGenerator
from typing import TextIO

from adapters.terminal.screen import Status, Who
from adapters.terminal.wrap import harmless

AHEAD = 100  # lines that are read before they are wanted


class Plain:
    """A `Screen`. `failed` tells whether anything went wrong, for the exit status."""

    def __init__(self, stdin: int = 0, out: TextIO | None = None, err: TextIO | None = None) -> None:
        self._stdin, self._out, self._err = stdin, out or sys.stdout, err or sys.stderr
        self.failed = False

    async def lines(self) -> AsyncGenerator[str, None]:
        """Lines of the input, whatever its bytes. A line that came without its end counts too."""
        lines: asyncio.Queue[str | None] = asyncio.Queue(maxsize=AHEAD)
        # A thread of its own, and no stream object: it may be blocked for ever, and must not keep us from leaving.
        threading.Thread(target=_read, args=(self._stdin, lines, asyncio.get_running_loop()), daemon=True).start()
        while (line := await lines.get()) is not None:
            yield line

    async def grow(self, who: Who, reply_id: str, text: str, attempt: int) -> None:
        """Nothing is shown before it is whole."""

    async def reply(self, who: Who, reply_id: str, text: str, note: str = "") -> None:
        """`NAME: text`, if there is text. A greeting (no `reply_id`) answers nobody, and goes to stderr."""
        told = " ".join(part for part in (text, f"({note})" if note else "") if part)
        self._print(f"{who.card}: {told}", self._out if reply_id and text else self._err)

    async def answer(self, text: str) -> None:
        """What was asked for."""
        self._print(text)

    async def aside(self, text: str) -> None:
        """Beside the conversation."""
        self._print(text, self._err)

    async def complain(self, text: str) -> None:
        """Beside it too, and the exit status will tell."""
        self.failed = True
        self._print(f"limen: {text}", self._err)

    def give_back(self, text: str) -> None:
        """Whoever piped it in has it still."""

    def forget(self) -> None:
        """Nothing of it was kept."""

    def due(self, jobs: int, status: Status) -> None:
        """Nothing turns here."""

    def _print(self, text: str, to: TextIO | None = None) -> None:
        to = to or self._out
        encoding = to.encoding or "utf-8"
        print(harmless(text).encode(encoding, "replace").decode(encoding), file=to, flush=True)


def _read(stdin: int, lines: "asyncio.Queue[str | None]", loop: asyncio.AbstractEventLoop) -> None:
    def put(line: str | None) -> None:
        asyncio.run_coroutine_threadsafe(lines.put(line), loop).result()

    rest = b""
    try:
        while block := os.read(stdin, 65_536):
            *whole, rest = (rest + block).split(b"\n")
            for line in whole:
                put(line.decode("utf-8", "replace"))
        if rest:
            put(rest.decode("utf-8", "replace"))
        put(None)
    except RuntimeError:  # the loop is closed: nobody wants more
        return
    except OSError:  # the terminal went away
        put(None)
