"""Lines in, lines out."""

import io
import os

import pytest

from adapters.terminal.plain import Plain
from adapters.terminal.screen import Who

MIRA = Who("mira", "Captain Mira")


async def heard(data):
    """What Plain makes of bytes on a pipe that is closed after them."""
    reader, writer = os.pipe()
    os.write(writer, data)
    os.close(writer)
    try:
        return [line async for line in Plain(stdin=reader).lines()]
    finally:
        os.close(reader)


async def test_lines_come_whatever_their_bytes():
    """Invalid UTF-8 is replaced, and a line without an end counts."""
    assert await heard(b"hi\n\xff\xfe\n\n\xc3\xa9") == ["hi", "\ufffd\ufffd", "", "é"]


async def test_no_input_is_the_end():
    """A pipe that was empty has no lines."""
    assert await heard(b"") == []


async def test_a_line_longer_than_any_buffer_comes_whole(tmp_path):
    """Files are read as well as pipes."""
    file = tmp_path / "input"
    file.write_bytes(b"x" * 300_000 + b"\nend")
    with file.open("rb") as stream:
        lines = [line async for line in Plain(stdin=stream.fileno()).lines()]
    assert lines == ["x" * 300_000, "end"]


@pytest.fixture
def plain():
    """A screen, and what it wrote."""
    return Plain(out=io.StringIO(), err=io.StringIO())


async def test_replies_and_answers_go_to_stdout_and_nothing_else_does(plain):
    """So that a script may read them."""
    await plain.reply(MIRA, "", "Ahoy!")
    await plain.grow(MIRA, "r1", "Ar", 1)
    await plain.reply(MIRA, "r1", "Arr!\nMatey.")
    await plain.answer("👍 on it")
    await plain.reply(MIRA, "r2", "half", "stopped")
    await plain.reply(MIRA, "r3", "", "says nothing")
    await plain.aside("Redis is back.")
    assert plain._out.getvalue() == "mira: Arr!\nMatey.\n👍 on it\nmira: half (stopped)\n"
    assert plain._err.getvalue() == "mira: Ahoy!\nmira: (says nothing)\nRedis is back.\n"
    assert not plain.failed


async def test_a_complaint_is_remembered_for_the_exit_status(plain):
    """And goes to stderr."""
    await plain.complain("no such thing")
    assert plain.failed
    assert (plain._out.getvalue(), plain._err.getvalue()) == ("", "limen: no such thing\n")


async def test_output_that_cannot_show_a_character_shows_another():
    """An ASCII terminal is no reason to stop."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    await Plain(out=out).reply(MIRA, "r1", "Ça \x1b[31m👍")
    out.flush()
    assert out.buffer.getvalue() == b"mira: ?a [31m?\n"
