"""A reply on a real terminal: shown as it comes, each line once, and the prompt stays."""

import asyncio
import io
import re
from contextlib import asynccontextmanager

import pytest
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output.vt100 import Vt100_Output

from adapters.terminal.live import Terminal
from adapters.terminal.screen import Status, Who

MIRA, ORRIN = Who("mira", "Captain Mira"), Who("orrin", "Orrin")
ESCAPES = re.compile(r"\x1b\[[?0-9;]*[a-zA-Z]|\x1b[=>]")


class Paper:
    """A terminal of 40 columns on paper, and a keyboard."""

    def __init__(self, keys, history=None):
        self._written = io.StringIO()
        output = Vt100_Output(self._written, lambda: Size(rows=20, columns=40), enable_cpr=False)
        self.terminal = Terminal(history, lambda: ["mira"], stdin=keys, stdout=output)
        self.keys = keys

    @property
    def written(self):
        """Everything that ever was on it, without escapes."""
        return ESCAPES.sub("", self._written.getvalue()).replace("\r", "")

    async def until(self, holds):
        """Wait for something to be so."""
        async with asyncio.timeout(10):
            while not holds():
                await asyncio.sleep(0)


@pytest.fixture
def paper():
    """Nobody reads the keyboard: what is printed is what is settled."""
    with create_pipe_input() as keys:
        yield Paper(keys)


@asynccontextmanager
async def typing(history=None):
    """A terminal whose prompt runs, and the queue of what was entered."""
    with create_pipe_input() as keys:
        paper, entered = Paper(keys, history), asyncio.Queue()

        async def read():
            async for line in paper.terminal.lines():
                entered.put_nowait(line)
            entered.put_nowait(None)

        task = asyncio.create_task(read())
        await paper.until(lambda: paper.terminal._session.app.is_running)
        yield paper, entered
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_reply_is_printed_line_by_line_as_it_settles(paper):
    """The line that may still change is not; no line is printed twice."""
    text = "Arr, welcome aboard, matey! I am the captain of this fine old ship."
    for end in range(1, len(text)):
        await paper.terminal.grow(MIRA, "r1", text[:end], 1)
    assert paper.written == "\nCaptain Mira\n  Arr, welcome aboard, matey! I am the\n"
    await paper.terminal.reply(MIRA, "r1", text)
    assert paper.written.endswith("the\n  captain of this fine old ship.\n")


async def test_a_worker_that_began_anew_with_the_same_words_is_not_noticed(paper):
    """Until it has caught up, nothing is printed again."""
    text = "Arr, welcome aboard, matey! I am the captain of this fine old ship."
    await paper.terminal.grow(MIRA, "r1", text, 1)
    for end in (3, 20, len(text)):
        await paper.terminal.grow(MIRA, "r1", text[:end], 2)
    await paper.terminal.reply(MIRA, "r1", text)
    assert paper.written == "\nCaptain Mira\n  Arr, welcome aboard, matey! I am the\n  captain of this fine old ship.\n"


async def test_a_worker_that_began_anew_with_other_words_is_told(paper):
    """Then the whole new reply follows."""
    await paper.terminal.grow(MIRA, "r1", "Arr, welcome aboard, matey! I am the captain", 1)
    await paper.terminal.reply(MIRA, "r1", "Aye!")
    assert paper.written.endswith("(the worker restarted, and begins anew)\n\nCaptain Mira\n  Aye!\n")


async def test_white_space_cut_from_the_end_is_no_new_reply(paper):
    """The final text is trimmed; what was streamed was not."""
    await paper.terminal.grow(MIRA, "r1", "  Arr!\n\n", 1)
    await paper.terminal.reply(MIRA, "r1", "Arr!")
    assert paper.written.split() == ["Captain", "Mira", "Arr!"]


async def test_a_stopped_reply_keeps_what_was_shown(paper):
    """Whether or not its text comes again at its end."""
    await paper.terminal.grow(MIRA, "r1", "Arr, welcome", 1)
    await paper.terminal.reply(MIRA, "r1", "", "stopped")
    assert paper.written == "\nCaptain Mira\n  Arr, welcome\n  (stopped)\n"


async def test_two_replies_at_once_are_shown_one_after_the_other(paper):
    """The second waits, and is then shown as far as it has come."""
    await paper.terminal.grow(MIRA, "r1", "Arr", 1)
    await paper.terminal.reply(ORRIN, "r2", "I count stars.")
    assert "stars" not in paper.written
    await paper.terminal.reply(MIRA, "r1", "Arr!")
    assert paper.written == "\nCaptain Mira\n  Arr!\n\nOrrin\n  I count stars.\n"


async def test_a_reply_that_was_interrupted_says_whose_it_is(paper):
    """A note in between belongs to nobody."""
    await paper.terminal.grow(MIRA, "r1", "Arr, welcome aboard, matey! I am the captain", 1)
    await paper.terminal.aside("Redis is back.")
    await paper.terminal.reply(MIRA, "r1", "Arr, welcome aboard, matey! I am the captain")
    assert paper.written.endswith("the\n\n  Redis is back.\n\nCaptain Mira …\n  captain\n")


async def test_what_a_model_says_cannot_command_the_terminal(paper):
    """Its escapes are taken out of replies, names and notes alike."""
    evil = "\x1b]0;pwned\x07\x1b[2J"
    await paper.terminal.reply(Who("x", f"Eve{evil}"), "r1", f"hi{evil}")
    await paper.terminal.complain(evil)
    assert "\x1b]0" not in paper._written.getvalue()
    assert "\x1b[2J" not in paper._written.getvalue()


async def test_the_line_that_grows_and_the_spinner_stand_above_the_prompt():
    """The spinner goes when the first words come."""
    async with typing() as (paper, _):
        paper.terminal.due(1, Status(who=MIRA, worker="ready", place=2))
        await paper.until(lambda: "2nd in line" in paper.written)
        await paper.terminal.grow(MIRA, "r1", "Arr *waves*", 1)
        await paper.until(lambda: "  Arr *waves*\n" in paper.written)
        assert "Captain Mira\n  Arr" in paper.written


async def test_enter_sends_and_the_line_stays_on_the_screen():
    """Blank lines are no messages."""
    async with typing() as (paper, entered):
        paper.keys.send_text("   \rhi\r")
        assert await entered.get() == "hi"
        assert "\n\u276f hi\n" in paper.written
        assert entered.empty()


async def test_a_paste_is_one_message_and_alt_enter_begins_a_line():
    """Line breaks inside a paste send nothing."""
    async with typing() as (paper, entered):
        paper.keys.send_text("\x1b[200~one\r\ntwo\n\x1b[201~\r")
        assert await entered.get() == "one\ntwo\n"
        paper.keys.send_text("three\x1b\rfour\r")
        assert await entered.get() == "three\nfour"


async def test_ctrl_c_stops_the_reply_and_keeps_what_is_typed():
    """Nothing is due: it empties the line; and an empty line: it says how to leave."""
    async with typing() as (paper, entered):
        paper.terminal.due(1, Status(who=MIRA))
        paper.keys.send_text("typed ahead\x03")
        assert await entered.get() == "/stop"
        paper.terminal.due(0, Status(who=MIRA))
        assert paper.terminal._session.default_buffer.text == "typed ahead"
        paper.keys.send_text("\x03")
        await paper.until(lambda: not paper.terminal._session.default_buffer.text)
        paper.keys.send_text("\x03")
        await paper.until(lambda: "/quit leaves" in paper.written)


async def test_ctrl_d_leaves():
    """On an empty line."""
    async with typing() as (paper, entered):
        paper.keys.send_text("\x04")
        assert await entered.get() is None


async def test_what_could_not_be_sent_is_in_the_prompt_again():
    """But not over what is typed already."""
    async with typing() as (paper, _):
        buffer = paper.terminal._session.default_buffer
        paper.terminal.give_back("too long")
        paper.terminal.give_back("another")
        assert buffer.text == "too long"


async def test_up_finds_what_was_typed_last_time_until_it_is_forgotten(tmp_path):
    """The file is for its owner's eyes only."""
    history = tmp_path / "home" / "chat-history"
    async with typing(history) as (paper, entered):
        paper.keys.send_text("my secret\r")
        await entered.get()
    assert history.stat().st_mode & 0o777 == 0o600
    async with typing(history) as (paper, entered):
        buffer = paper.terminal._session.default_buffer
        await paper.until(lambda: len(buffer._working_lines) > 1)
        paper.keys.send_text("\x1b[A")
        await paper.until(lambda: buffer.text == "my secret")
        history.unlink()
        paper.terminal.forget()
        assert (buffer.text, list(buffer.history.get_strings())) == ("", [])
