"""A long text is cut where a reader would pause, and what belongs together stays together."""

import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wcwidth import iter_graphemes

from adapters.pieces import size, split

FAMILY = "👩‍👩‍👧‍👦"
WORDS = st.sampled_from(
    ["one", "two ", " ", "\n", "\n\n", "Yes. ", "No! ", "naïve", "e\u0301", "好。", FAMILY, "🇦🇹🇩🇪", "👍🏽",
     "\U0001f600", "[a link](https://example.org/a_(b))", "`code here`", "<@1234>", "<a:wave:99>", "https://example.org/x?y=1",
     "- item\n", "> quoted\n", "**bold**"]
)  # fmt: skip
PROSE = st.lists(WORDS, max_size=80).map("".join)
CODE = st.lists(st.sampled_from(["x = 1", "\n", "\n\n", "    return y", "# " + FAMILY, "print('a b')\n"]), max_size=30)
BLOCK = st.tuples(st.sampled_from(["", "py", "json"]), CODE).map(
    lambda it: f"\n```{it[0]}\nbegin\n{''.join(it[1])}\n```\n"
)
DOCUMENT = st.lists(st.one_of(PROSE, BLOCK), max_size=6).map("".join)
UNITS = st.sampled_from(["characters", "utf-16"])
WHOLE = re.compile(r"\[a link\]\(https://example\.org/a_\(b\)\)|<@1234>|<a:wave:99>|`code here`")


def bare(text: str) -> str:
    """A text without white space and fences: what no cut may change."""
    return re.sub(r"\s+|```(?:py|json)?", "", text)


def fences(piece: str) -> list[str]:
    """The lines that open or close code."""
    return [line.strip() for line in piece.split("\n") if re.fullmatch(r"```(?:py|json)?", line.strip())]


@given(DOCUMENT, st.integers(60, 200), UNITS)
@settings(max_examples=70, deadline=None)
def test_nothing_is_lost_and_every_piece_fits(text, limit, unit):
    """The pieces, put together again, are the text; none is empty or too long."""
    pieces = split(text, limit, unit)

    assert bare(text) == "".join(bare(piece) for piece in pieces)
    assert all(piece.strip() and size(piece, unit) <= limit for piece in pieces)


@given(DOCUMENT, st.integers(60, 200), UNITS)
@example("oneoneoneoneone`code here``code here`https://example.org/x?y=1", 60, "characters")
@example("oneoneoneoneone`code here`https://example.org/x?y=1`code here`", 60, "characters")
@example("onehttps://example.org/x?y=1[a link](https://example.org/a_(b))", 60, "characters")
@example("https://example.org/x?y=1`code here`[a link](https://example.org/a_(b))", 60, "characters")
@example("oneone[a link](https://example.org/a_(b))`code here``code here`", 60, "characters")
@settings(max_examples=70, deadline=None)
def test_what_belongs_together_stays_together(text, limit, unit):
    """Links, mentions, custom emoji, inline code and emoji of several parts are all found again."""
    pieces = split(text, limit, unit)

    assert WHOLE.findall(text) == [found for piece in pieces for found in WHOLE.findall(piece)]
    assert [g for g in iter_graphemes(text) if not g.isascii()] == [
        g for piece in pieces for g in iter_graphemes(piece) if not g.isascii()
    ]


@given(st.lists(st.tuples(PROSE.filter(lambda text: "`" not in text), BLOCK), max_size=4), st.integers(60, 200), UNITS)
@settings(max_examples=70, deadline=None)
def test_a_fence_is_closed_in_every_piece(parts, limit, unit):
    """Each piece opens and closes its own code."""
    pieces = split("".join(prose + block for prose, block in parts), limit, unit)

    assert all(len(fences(piece)) % 2 == 0 for piece in pieces)
    assert all(mark == "```" for piece in pieces for mark in fences(piece)[1::2])


@given(st.text(max_size=400), st.integers(2, 40), UNITS)
@settings(max_examples=150, deadline=None)
def test_any_text_fits_any_limit(text, limit, unit):
    """However strange a text, and however small a limit: the letters are all there."""
    pieces = split(text, limit, unit)

    assert re.sub(r"\s", "", text) == re.sub(r"\s", "", "".join(pieces))
    assert all(piece.strip() and size(piece, unit) <= limit for piece in pieces)


@given(st.text(alphabet="`~\npy []()<>:/.!\u200d\u0301👍", max_size=300), st.integers(2, 80), UNITS)
@settings(max_examples=150, deadline=None)
def test_broken_markup_fits_too(text, limit, unit):
    """Half a fence, half a link: every piece fits, and none is empty."""
    assert all(piece.strip() and size(piece, unit) <= limit for piece in split(text, limit, unit))


def test_a_short_text_is_left_alone():
    """It is one piece, to the letter."""
    assert ["  as it is \n"] == split("  as it is \n", 20)
    assert [] == split(" \n ", 20)


def test_a_paragraph_is_a_better_end_than_a_line_or_a_sentence():
    """The best pause in the second half of a piece is taken."""
    text = "It begins here and goes on.\n\nA line.\nAnother one. And more of it"

    assert ["It begins here and goes on.", "A line.\nAnother one. And more of it"] == split(text, 45)
    assert ["It begins here and goes on", "and on. There."] == split("It begins here and goes on and on. There.", 26)
    assert ["It goes on and on.", "There we are"] == split("It goes on and on. There we are", 24)


def test_code_is_opened_again_with_its_language():
    """Every piece shows as the code it is."""
    text = "Look:\n```py\none = 1\ntwo = 2\nthree = 3\n```\nDone."

    assert ["Look:\n```py\none = 1\ntwo = 2\n```", "```py\nthree = 3\n```\nDone."] == split(text, 34)


def test_code_that_ends_where_the_piece_ends_is_not_opened_again():
    """No empty block follows."""
    assert ["```py\none = 1\ntwo = 2\n```", "And so on"] == split("```py\none = 1\ntwo = 2\n```\nAnd so on", 26)


def test_the_indent_of_the_next_line_is_kept():
    """A list in a list stays one."""
    assert ["- first item here", "  - second item here"] == split("- first item here\n  - second item here", 24)


def test_an_emoji_longer_than_the_limit_is_cut():
    """There is no other way, and no surrogate pair is."""
    pieces = split("🧟" + "\u0301" * 30, 8, "utf-16")

    assert "🧟" + "\u0301" * 30 == "".join(pieces)
    assert all(size(piece, "utf-16") <= 8 for piece in pieces)


def test_a_limit_must_leave_room_for_an_astral_character():
    """One unit does not."""
    with pytest.raises(ValueError, match="no room"):
        split("two", 1, "utf-16")


@pytest.mark.parametrize(
    "text", ["[" * 30_000, "`" * 30_000, "<a" * 15_000, " " * 30_000 + "x", "[](" * 10_000, "```\n" * 8_000]
)
def test_hostile_text_costs_no_more_than_any_other(text):
    """No pattern runs away: of four times as much, about four times the work, where a square would take sixteen."""
    quarter, whole = (min(_spent(text[:length]) for _ in range(3)) for length in (len(text) // 4, len(text)))

    assert whole < 10 * quarter + 0.1


def _spent(text: str) -> float:
    """Seconds of CPU, for pieces of a third."""
    started = time.process_time()
    split(text, len(text) // 3)
    return time.process_time() - started
