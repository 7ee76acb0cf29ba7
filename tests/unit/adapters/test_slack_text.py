"""Markdown on its way to Slack: it fits, it looks as meant, and it pings nobody."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("slackify_markdown")

from adapters.slack.text import LENGTH, disarmed, message, pieces, plain

MENTION = re.compile(r"<[!@#]|(?<![\w.+-])@(?:channel|here|everyone|group)\b", re.IGNORECASE)
HOSTILE = (
    "<!channel>", "<!here|here>", "<!everyone>", "<!subteam^S012>", "<@U012>", "@channel", "@here", "@Everyone",
    "\\<!here>", "<\\!here>", "&lt;!here&gt;", "&#60;!here>", "<&#33;here>", "<&excl;channel>", "&#x3C;&#x21;here>",
    "\\@here", "&commat;channel", "&#64;here", "[x](!here)", "[x](<!here>)", "[x]( !channel)", "![x](!here)",
    "[x][r]\n\n[r]: !everyone", "`<!here>`", "```\n<!channel>\n```", "[<!here>](https://a.b)", "<!date^1^{date}|@here>",
    "![<!here>](https://a.b/c)",
)  # fmt: skip
PARTS = st.sampled_from(
    (*HOSTILE, "**bold**", "*it*", "~~no~~", "# head", "- a\n- b", "1. one\n2. two", "> said", "```py\nx = 1\n```",
     "`code`", "[a](https://b.c/d?e=f&g=h)", "| a | b |\n|---|---|\n| 1 | 2 |", "👩‍👩‍👧‍👦", "a < b & c > d",
     "wörter " * 9, "---")
)  # fmt: skip
MARKDOWN = st.lists(st.one_of(PARTS, st.text(max_size=40)), min_size=1, max_size=30)


def said(body: dict) -> list[str]:
    """Every text in what is sent."""
    blocks = body["blocks"]
    return [body["text"], *(one["text"] if isinstance(one["text"], str) else one["text"]["text"] for one in blocks)]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_mention_passes(text):
    """However it is written: as text, as code, as a link's target, by entities or with a backslash."""
    for piece in pieces(f"Look: {text} there"):
        assert [] == [found for one in said(message(piece)) + said(plain(piece)) for found in MENTION.findall(one)]


@settings(max_examples=150, deadline=None)
@given(MARKDOWN, st.sampled_from(["\n\n", "\n", " "]))
def test_whatever_a_model_writes_fits_and_pings_nobody(parts, between):
    """Slack's limits: 12,000 in markdown blocks, 3,000 in a section, 4,000 for the text of an edit."""
    for piece in pieces(between.join(parts) * 20):
        rich, bare = message(piece), plain(piece)
        assert 0 < len(piece) <= LENGTH < 12_000
        assert all(one["text"] and len(one["text"].encode(errors="replace")) <= 4_000 for one in (rich, bare))
        assert all(0 < len(block["text"]["text"]) <= 3_000 for block in bare["blocks"])
        assert len(bare["blocks"]) <= 50
        assert not any(MENTION.search(one) for one in said(rich) + said(bare))


@given(st.text() | MARKDOWN.map("".join))
def test_what_is_harmless_stays_so(text):
    """Doing it twice changes nothing more, and nothing but gaps of no width is put in."""
    once = disarmed(text)
    assert once == disarmed(once)
    assert text.replace("\u200b", "") == once.replace("\u200b", "")


def test_ordinary_text_is_not_touched():
    """No mention, no gap."""
    text = "Mail ann@here.com: a < b && c <= d, <https://a.b>, [x](https://y.z) #3 @ann & co."
    assert text == disarmed(text)


def test_a_piece_is_sent_as_markdown_with_a_preview_in_slacks_own():
    """And neither names nor addresses are looked for."""
    assert message("**Arr**, [map](https://a.b) & co") == {
        "text": "*Arr*, <https://a.b|map> &amp; co",
        "blocks": [{"type": "markdown", "text": "**Arr**, [map](https://a.b) & co"}],
        "parse": "none",
        "link_names": False,
    }


def test_a_refused_piece_goes_out_as_it_was_written():
    """Every sign of it, in sections that fit."""
    piece = pieces("**Arr** <b> " * 900)[0]
    sections = plain(piece)["blocks"]
    assert "".join(piece.split()) == "".join("".join(block["text"]["text"] for block in sections).split())
    assert 4 == len(sections)
    assert {"plain_text"} == {block["text"]["type"] for block in sections}


def test_a_long_reply_keeps_its_code_closed():
    """Each message can be read by itself."""
    parts = pieces("```py\n" + "print('yo ho ho')\n" * 1500 + "```")
    assert len(parts) > 2
    assert all(part.startswith("```py\n") and part.rstrip().endswith("```") for part in parts)


def test_quotes_without_end_break_nothing():
    """Markdown that is deeper than its reader can follow."""
    (piece,) = pieces("> " * 4000 + "deep")
    assert message(piece)["text"]


def test_nothing_is_nothing():
    """No empty message is ever sent."""
    assert [] == pieces(" \n ")
