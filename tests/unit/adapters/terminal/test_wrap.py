"""Text on a terminal: harmless, wrapped, and never changed once it is shown."""

from hypothesis import given
from hypothesis import strategies as st

from adapters.terminal.wrap import actions, harmless, one_line, settle, wrap

prose = st.text(alphabet="ab c\n*", max_size=80)


def test_nothing_that_is_said_can_command_the_terminal():
    """No escapes, no bells, no carriage returns, no C1 controls; a model may say anything."""
    said = "\x1b[2J\x1b]0;title\x07red\x9b31m\rover\x08\x00 \u202eevil\u2066 \ud800"
    assert harmless(said) == "[2J]0;titlered31m\nover evil \ufffd"


def test_a_name_stays_on_its_line():
    """Line breaks of every kind become a space."""
    assert one_line("Mira\n\u2028Flint\t\x1b[1m") == "Mira Flint [1m"


def test_words_move_to_the_next_line_whole():
    """The blank between two lines belongs to neither."""
    assert wrap("one two three", 7) == ["one two", "three"]


def test_a_word_longer_than_a_line_is_cut():
    """Nothing sticks out."""
    assert wrap("a bcdefghij k", 4) == ["a", "bcde", "fghi", "j k"]


def test_wide_characters_take_two_columns():
    """The measure is given by the caller."""
    assert wrap("你好吗", 4, lambda text: 2 * len(text)) == ["你好", "吗"]


@given(prose, st.integers(1, 20), st.data())
def test_a_line_that_was_shown_stays_as_it_was(text, columns, data):
    """Whatever is settled of a beginning is the beginning of what is settled of the whole."""
    cut = data.draw(st.integers(0, len(text)))
    lines, rest = settle(text[:cut], columns)
    more, last = settle(rest + text[cut:], columns)
    assert ([*lines, *more], last) == settle(text, columns)


@given(prose, st.integers(1, 20))
def test_no_word_is_lost_and_no_line_too_long(text, columns):
    """All that is not blank is there, in order; lines fit."""
    lines, rest = settle(text, columns)
    assert "".join("".join([*lines, rest]).split()) == "".join(text.split())
    assert all(len(line.strip()) <= columns for line in [*lines, rest])


def test_actions_are_told_from_words():
    """A pair of asterisks around words; sums and bold print are left alone."""
    assert actions("Hm. *waves back* 2 * 3 * 4 **no**") == (
        [(False, "Hm. "), (True, "*waves back*"), (False, " 2 * 3 * 4 **no**")],
        False,
    )


def test_an_action_may_go_on_in_the_next_line():
    """But not in the next paragraph."""
    assert actions("He *looks") == ([(False, "He "), (True, "*looks")], True)
    assert actions("away* now", inside=True) == ([(True, "away*"), (False, " now")], False)
    assert actions("He *looks\n") == ([(False, "He "), (True, "*looks\n")], False)


@given(prose, st.booleans())
def test_an_asterisk_never_swallows_text(line, inside):
    """The parts together are the line."""
    parts, _ = actions(line, inside)
    assert "".join(text for _, text in parts) == line
