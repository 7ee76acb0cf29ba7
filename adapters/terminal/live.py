"""A conversation on a real terminal: replies stream into the scrollback above a prompt that is always there.

Lines of a reply that are settled are printed for good; its last one, or the spinner, belongs to the prompt and is
redrawn with it. So typing ahead, resizing and scrolling back need nothing of ours. Made with prompt_toolkit.
"""

import asyncio
import os
import signal
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import FormattedText, StyleAndTextTuples
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input import Input, create_input
from prompt_toolkit.output import Output
from prompt_toolkit.shortcuts import print_formatted_text
from prompt_toolkit.utils import get_cwidth

from adapters.terminal.editing import Completions, bindings
from adapters.terminal.look import STYLE, Look, waiting
from adapters.terminal.screen import Status, Who
from adapters.terminal.wrap import actions, harmless, settle, wrap

SPIN = 0.1
NARROW, WIDE = 20, 88  # a line of a reply has at least and at most so many columns


class _Reply:
    """A reply on its way: what came, and how much of that is printed for good."""

    def __init__(self, who: Who) -> None:
        self.who = who
        self.text = ""
        self.printed = ""
        self.attempt = 0
        self.headed = False
        self.acting = False
        self.note: str | None = None  # how it ended; None while it goes on

    def begin_anew(self) -> None:
        """Nothing of it is printed."""
        self.printed, self.acting, self.headed = "", False, False

    @property
    def rest(self) -> str:
        """What is not printed yet."""
        return self.text[len(self.printed) :]

    @property
    def behind(self) -> bool:
        """It says again what is printed already: an attempt that began anew, and has not caught up."""
        return self.printed.startswith(self.text)

    @property
    def agrees(self) -> bool:
        """It goes on from what is printed. (White space at its end may have been cut off.)"""
        return self.text.startswith(self.printed.rstrip()) or (self.behind and self.note is None)


class Terminal:
    """A `Screen`. `personas`: the names there are, for Tab; `stdin`, `stdout` stand in for the real ones."""

    def __init__(
        self,
        history: Path | None,
        personas: Callable[[], Sequence[str]] = tuple,
        stdin: Input | None = None,
        stdout: Output | None = None,
        unicode: bool = True,
    ) -> None:
        self.look = Look(unicode)
        self._history = history
        self._typed: asyncio.Queue[str | None] = asyncio.Queue()
        self._replies: dict[str, _Reply] = {}
        self._order = asyncio.Lock()
        self._due, self._status, self._hint, self._turn = 0, Status(who=Who("", "")), "", 0
        self._given_back = ""
        self._session: PromptSession[str] = PromptSession(
            message=self._message,
            multiline=True,
            erase_when_done=True,
            history=_history(history),
            completer=Completions(personas),
            complete_while_typing=True,
            key_bindings=bindings(self),
            prompt_continuation=lambda *_: [("", self.look.indent)],
            bottom_toolbar=self._toolbar,
            reserve_space_for_menu=6,
            style=STYLE,
            input=_raw(stdin or create_input()),
            output=stdout,
        )

    # What the person does.

    async def lines(self) -> AsyncGenerator[str, None]:
        """What is typed, message by message, until Ctrl-D."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, self.interrupt)
        with self._session.app.input.raw_mode():  # between two prompts, too
            tasks = [asyncio.create_task(self._prompt()), asyncio.create_task(self._spin())]
            try:
                while (line := await self._typed.get()) is not None:
                    yield line
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _prompt(self) -> None:
        try:
            while True:
                default, self._given_back = self._given_back, ""
                text = await self._session.prompt_async(default=default, handle_sigint=False)
                self._hint = ""
                if text.strip():
                    await self._print(self.look.said(self._wrapped(text)))
                    self._typed.put_nowait(text)
        except EOFError:
            self._typed.put_nowait(None)

    def interrupt(self) -> None:
        """Ctrl-C: stop the reply that is due; else empty the line; else say how to leave."""
        buffer = self._session.default_buffer
        if self._due:
            self._typed.put_nowait("/stop")
        elif buffer.text:
            buffer.reset()
        else:
            self._hint = "Ctrl-D or /quit leaves. What was said is kept."
            self._redraw()

    def give_back(self, text: str) -> None:
        """Put it into the prompt, unless something is typed there already. It is in the history anyway."""
        buffer = self._session.default_buffer
        if self._session.app.is_running and not buffer.text:
            buffer.set_document(Document(text))
        elif not self._session.app.is_running:
            self._given_back = text

    def forget(self) -> None:
        """Up-arrow no longer finds what was typed before."""
        buffer = self._session.default_buffer
        self._session.history = buffer.history = _history(self._history)
        buffer.reset()

    # What is shown.

    async def grow(self, who: Who, reply_id: str, text: str, attempt: int) -> None:
        """Show as much of a reply as has come. Of several at a time, one after the other."""
        reply = self._replies.setdefault(reply_id, _Reply(who))
        reply.text, reply.attempt = harmless(text.lstrip()), attempt
        await self._advance()

    async def reply(self, who: Who, reply_id: str, text: str, note: str = "") -> None:
        """A whole reply; without text, what has come of it stands."""
        reply = self._replies.setdefault(reply_id, _Reply(who))
        reply.text, reply.note = harmless(text.strip()) or reply.text, note
        await self._advance()

    async def answer(self, text: str) -> None:
        """What was asked of limen."""
        await self._print(self.look.block(self._wrapped(text)))

    async def aside(self, text: str) -> None:
        """What the person should know."""
        await self._print(self.look.block(self._wrapped(text), "class:aside"))

    async def complain(self, text: str) -> None:
        """Something did not work."""
        await self._print(self.look.block(self._wrapped(text), "class:complaint"))

    def due(self, jobs: int, status: Status) -> None:
        """So many replies are due, and this is how it stands."""
        self._due, self._status = jobs, status
        self._redraw()

    async def _advance(self) -> None:
        """Print what can be printed for good: of the first reply, and of the next where that is over."""
        async with self._order:
            while self._replies:
                name, reply = next(iter(self._replies.items()))
                fragments = self._settled(reply)
                if fragments:
                    await run_in_terminal(lambda: self._write(fragments))  # noqa: B023
                if reply.note is None:
                    break
                del self._replies[name]
        self._redraw()

    def _settled(self, reply: _Reply) -> StyleAndTextTuples:
        """The lines that are new, under the name of who says them."""
        out: StyleAndTextTuples = []
        if not reply.agrees:
            out += self.look.block(["(the worker restarted, and begins anew)"], "class:aside")
            reply.begin_anew()
        again = bool(reply.printed)
        lines = self._new_lines(reply)
        if (lines or reply.note) and not reply.headed:
            out += self.look.heading(reply.who, again)
            reply.headed = True
        for line in lines:
            parts, reply.acting = actions(line, reply.acting)
            out += self.look.line(parts)
        return [*out, *(self.look.line([], f"({reply.note})") if reply.note else [])]

    def _new_lines(self, reply: _Reply) -> list[str]:
        if reply.behind:
            return []
        lines, rest = settle(reply.rest, self._columns, get_cwidth)
        if reply.note is not None:
            lines, rest = ([*lines, rest] if rest else lines), ""
        reply.printed = reply.text[: len(reply.text) - len(rest)]
        return lines

    async def _print(self, fragments: StyleAndTextTuples) -> None:
        """Something else than a reply: one that goes on below it says again whose it is."""
        async with self._order:
            for reply in self._replies.values():
                reply.headed = False
            await run_in_terminal(lambda: self._write(fragments))

    def _write(self, fragments: StyleAndTextTuples) -> None:
        text, app = FormattedText(fragments), self._session.app
        print_formatted_text(text, end="", style=STYLE, output=app.output, color_depth=app.color_depth)

    def _wrapped(self, text: str) -> list[str]:
        return [line.rstrip("\n") for line in wrap(harmless(text), self._columns, get_cwidth)]

    @property
    def _columns(self) -> int:
        return max(NARROW, min(WIDE, self._session.app.output.get_size().columns - 2 * len(self.look.indent)))

    # The prompt, and what stands around it.

    def _message(self) -> StyleAndTextTuples:
        return [*self._live(), *self.look.prompt]

    def _live(self) -> StyleAndTextTuples:
        """The last line of the reply that is coming, or a spinner while there is none."""
        reply = next(iter(self._replies.values()), None)
        if reply is not None and reply.text:
            parts, _ = actions(reply.rest, reply.acting)
            heading = [] if reply.headed else self.look.heading(reply.who, bool(reply.printed))
            return [*heading, *self.look.line(parts)]
        if self._due:
            return self.look.spinner(waiting(self._status), self._turn)
        return self.look.block([self._hint], "class:aside") if self._hint else []

    def _toolbar(self) -> StyleAndTextTuples:
        return self.look.toolbar(self._status, self._due, self._session.app.output.get_size().columns)

    def _redraw(self) -> None:
        self._session.app.invalidate()

    async def _spin(self) -> None:
        while True:
            await asyncio.sleep(SPIN)
            if self._due:
                self._turn += 1
                self._redraw()


def _raw(keyboard: Input) -> Input:
    """A keyboard on which Ctrl-C stays a key while a line is printed above the prompt; as a signal it would end us."""
    keyboard.cooked_mode = nullcontext  # type: ignore[method-assign]
    return keyboard


def _history(file: Path | None) -> History:
    """What was typed before, for its owner's eyes only."""
    if file is None:
        return InMemoryHistory()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600))
    return FileHistory(file)
