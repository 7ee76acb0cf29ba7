"""What the model writes becomes messages that Telegram takes: nothing over length, nothing refused, nothing lost."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.telegram.text import LIMIT, Piece, render


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def covered(piece: Piece) -> list[tuple[str, str]]:
    """(type, text) of each entity, as Telegram will find it."""
    raw = piece.text.encode("utf-16-le")
    return [(e.type, raw[e.offset * 2 : (e.offset + e.length) * 2].decode("utf-16-le")) for e in piece.entities]


def test_formats_become_entities():
    """The text itself holds no marks."""
    (piece,) = render("Arr, **bold** _soft_ ~~gone~~ `x = 1` [here](https://a.b/c)")

    assert piece.text == "Arr, bold soft gone x = 1 here"
    assert covered(piece) == [
        ("bold", "bold"), ("italic", "soft"), ("strikethrough", "gone"), ("code", "x = 1"), ("text_link", "here"),
    ]  # fmt: skip


def test_offsets_are_counted_in_utf_16():
    """An emoji before it is two units, a family of them many."""
    (piece,) = render("👩‍👩‍👧 🦜 **parrot**")
    assert covered(piece) == [("bold", "parrot")]


def test_code_keeps_its_language():
    """And everything in it, whatever it looks like."""
    (piece,) = render("```python\nif a < b and **c**:\n    print('<b>')\n```")

    assert piece.text == "if a < b and **c**:\n    print('<b>')"
    assert [(e.type, e.language) for e in piece.entities] == [("pre", "python")]


@pytest.mark.parametrize("said", ["<grins>", "a <b and c> d", "<script>x</script>", "I <3 you", "5 < 6 > 4"])
def test_what_looks_like_html_is_said(said: str):
    """Nobody's words vanish."""
    assert [piece.text for piece in render(said)] == [said]


def test_nothing_is_added_to_what_was_said():
    """No pushpin before a heading, no picture frame before a link."""
    (piece,) = render("# Rules\n\n- one\n- two\n\n![map](https://a.b/m.png)")
    assert piece.text == "Rules\n\n• one\n• two\n\nmap"


def test_markup_alone_is_shown_as_it_is():
    """An empty message is refused."""
    assert [piece.text for piece in render("[](https://a.b)")] == ["[](https://a.b)"]
    assert render("  \n ") == []


def test_half_written_markup_is_text():
    """A reply that grows is shown before its marks are closed."""
    assert render("**Ahoy") == [Piece("**Ahoy")]
    assert [(e.type, e.language) for e in render("```py\nx = 1")[0].entities] == [("pre", "py")]


def test_a_model_calls_nobody_whom_it_makes_up():
    """A link to a user id would summon that user."""
    (piece,) = render("[everyone](tg://user?id=42) and [all](TG://user?id=43)")
    assert (piece.text, piece.entities) == ("everyone and all", ())


def test_somebody_without_a_username_is_called_by_id():
    """But not in code, and not another whose name only begins so."""
    (piece,) = render("@Ann Lee, see `@Ann Lee` and @Ann Leeds", {"Ann Lee": 7})

    assert covered(piece) == [("text_mention", "@Ann Lee"), ("code", "@Ann Lee")]
    assert piece.entities[0].user == {"id": 7, "is_bot": False, "first_name": "Ann Lee"}


def test_a_long_text_is_cut_at_paragraphs():
    """Each message is as long as it can be without cutting one."""
    paragraph = "The sea was calm that night. " * 40
    pieces = render("\n\n".join([paragraph] * 8))

    assert all(LIMIT / 2 < units(piece.text) <= LIMIT for piece in pieces[:-1])
    assert all(piece.text.strip().endswith("night.") for piece in pieces)


def test_a_long_block_of_code_stays_code():
    """In every message, with its language."""
    pieces = render("```c\n" + "int x = 1;\n" * 1000 + "```")

    assert len(pieces) > 1
    assert all([(e.type, e.language) for e in piece.entities] == [("pre", "c")] for piece in pieces)
    assert all(line == "int x = 1;" for piece in pieces for line in piece.text.splitlines())


def test_a_link_is_not_cut():
    """It goes to the next message whole."""
    pieces = render("x" * 90 + " [a link of some words](https://a.b)", limit=100)
    assert [covered(piece) for piece in pieces] == [[], [("text_link", "a link of some words")]]


def test_an_emoji_is_not_cut():
    """Nor a surrogate pair, where there is no pause at all."""
    family = "👩‍👩‍👧"
    pieces = render(family * 40, limit=50)
    assert all(set(piece.text.split(family)) == {""} for piece in pieces)


WORDS = st.text(alphabet=st.sampled_from("ab \n*_`~|[](){}<>#-+=.!\\🦜👩\u200dé@/:1"), max_size=400)


@settings(max_examples=300, deadline=None)
@given(WORDS, st.integers(20, 80))
def test_whatever_is_written_can_be_sent(markdown: str, limit: int):
    """Every message fits, is not blank, and its entities lie inside it, on whole characters."""
    for piece in render(markdown, limit=limit):
        assert piece.text.strip()
        assert units(piece.text) <= limit
        raw = piece.text.encode("utf-16-le")
        for entity in piece.entities:
            assert entity.length > 0
            assert 0 <= entity.offset
            assert entity.offset + entity.length <= units(piece.text)
            raw[entity.offset * 2 : (entity.offset + entity.length) * 2].decode("utf-16-le")


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(alphabet="abc🦜é.", min_size=1, max_size=30), max_size=60), st.integers(10, 60))
def test_nothing_is_lost_at_the_cuts(words: list[str], limit: int):
    """Only white space is."""
    whole = "".join(re.sub(r"\s", "", piece.text) for piece in render(" ".join(words), limit=10_000))
    assert whole == "".join(re.sub(r"\s", "", piece.text) for piece in render(" ".join(words), limit=limit))
