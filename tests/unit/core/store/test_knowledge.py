"""core/store/knowledge.py: a text in passages."""

from hypothesis import given
from hypothesis import strategies as st

from core.store.knowledge import PASSAGE, passages


def test_a_heading_stands_before_what_belongs_to_it():
    """So that a passage says by itself what it is about."""
    long = "A sentence of some length about the sea. " * 12

    found = passages(f"# Sea\n\n{long}\n\n{long}\n\n## Land\n\nSheep graze there. {long}")

    assert [True, True, True, True] == [piece.startswith("Sea: ") for piece in found[:4]]
    assert found[4].startswith("Land: Sheep graze there.")


def test_short_lines_go_together():
    """A list of words would be nothing by itself."""
    assert ("one two three",) == passages("one\n\ntwo\n\nthree")


@given(st.text(max_size=3_000))
def test_nothing_is_lost_and_no_passage_is_long(text: str):
    """Whatever the text is: all of its words are in the passages, but for the marks of headings."""
    found = passages(text)

    assert all(len(piece) <= 3 * PASSAGE for piece in found if "\n#" not in f"\n{text}")
    if "#" not in text:
        assert "".join(text.split()) == "".join("".join(found).split())
