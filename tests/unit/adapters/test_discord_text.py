"""What a persona says, as Discord shows it."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.discord.text import LENGTH, growing, pieces, plain, render, spelled
from adapters.pieces import size

PARTS = st.sampled_from(
    ["@everyone", "@here", "<@&123>", "@", "everyone", " here ", "```", "```py\n", "\n", "\n\n",
     "| a | b |\n|---|---|\n", "| 1 | 2 |\n", "# Title\n", "##### Deep\n", "---\n", "![x](https://e.org/x.png)", "[l](https://e.org)",
     "word ", "- [ ] task\n", "~~~\n", "👩‍👩‍👧‍👦", "x" * 700, "**bold**"]
)  # fmt: skip
DOCUMENT = st.lists(PARTS, max_size=25).map("".join)
MASS = re.compile(r"@(everyone|here)|<@&", re.IGNORECASE)


@given(DOCUMENT)
@settings(max_examples=200, deadline=None)
def test_every_message_fits_and_calls_nobody(text):
    """Whatever the model writes, in code or not."""
    for piece in [*pieces(text), *growing(text), *map(plain, pieces(text))]:
        assert piece.strip()
        assert size(piece, "utf-16") <= LENGTH
        assert not MASS.search(piece)


@pytest.mark.parametrize(
    ("markdown", "discord"),
    [
        ("# A\n### B\n#### C\n###### D ##", "# A\n### B\n**C**\n**D**"),
        ("one\n\n---\n\ntwo", "one\n\n────────────\n\ntwo"),
        (
            "![a cat](https://e.org/c.png) ![](https://e.org/d.png)",
            "[a cat](https://e.org/c.png) [image](https://e.org/d.png)",
        ),
        ("- [ ] milk\n- [x] bread", "- ☐ milk\n- ☑ bread"),
        ("~~~py\n#### no title\n~~~", "```py\n#### no title\n```"),
        ("Hi @everyone, @Here", "Hi @\u200beveryone, @\u200bHere"),
        ("ask <@&12> or <@34>", "ask <@\u200b&12> or <@34>"),
        ("a\ud800b\0c", "a\ufffdbc"),
        ("**b** *i* ~~s~~ ||x|| > 1 [l](https://e.org)", "**b** *i* ~~s~~ ||x|| > 1 [l](https://e.org)"),
    ],
)
def test_markdown_becomes_discords_own(markdown, discord):
    """What Discord knows is left alone; the rest becomes what comes nearest."""
    assert discord == render(markdown)


def test_a_table_stands_in_columns():
    """Discord has none; in code they can at least be read."""
    table = "Who:\n| name | says |\n|:-----|-----:|\n| Mira | arr |\n| Tom |\nDone."

    assert "Who:\n```\nname  says\nMira  arr\nTom\n```\nDone." == render(table)
    assert "```\n| a | b |\n|---|---|\n```" == render("```\n| a | b |\n|---|---|\n```")


def test_code_that_is_still_being_written_is_shown_as_code():
    """The last message of a growing reply is closed; the whole reply is as it was written."""
    assert ["Look:\n```py\nx = 1\n```"] == growing("Look:\n```py\nx = 1")
    assert ["Look:\n```py\nx = 1\n```"] == growing("Look:\n```py\nx = 1\n```")
    assert ["Look:\n```py\nx = 1"] == pieces("Look:\n```py\nx = 1")


def test_plain_text_has_no_markup_and_keeps_its_links():
    """For where Discord would not take it otherwise."""
    assert "Title\nbold and code: here (https://e.org)" == plain("# Title\n**bold** and `code`: [here](https://e.org)")
    assert "…" == plain("**")


def test_nothing_to_say_is_no_message():
    """Discord refuses an empty one."""
    assert [] == pieces(" \n ") == growing("")


def test_reactions_are_spelled_as_discord_wants_them():
    """A bare heart is an unknown emoji to it."""
    assert ["❤️", "👍", "🏴\u200d☠️", "emoji:99"] == [spelled(key) for key in ("❤", "👍", "🏴\u200d☠", "discord:99")]
