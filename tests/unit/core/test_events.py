"""core/events.py and core/text.py: ids that cannot be forged, text that can be kept."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.events import AnyEvent, Message, Person, PersonaKey, Place, quote, unquote
from core.text import clean, shorten


@given(st.text())
def test_quoting_is_reversible_and_hides_separators(part: str) -> None:
    """No part of an id can pass for two."""
    assert part == unquote(quote(part))
    assert not set(quote(part)) & set(":/|")


def test_a_persona_key_reads_back() -> None:
    """Keys lie in Redis as text."""
    key = PersonaKey("discord:1234", "mi|ra", "discord:77:channel:901")

    assert key == PersonaKey.parse(str(key))


def test_channels_with_separators_in_their_names_do_not_meet() -> None:
    """`a:b` in `c` is not `a` in `b:c`."""
    assert str(Place("x", "a:b", "c")) != str(Place("x", "a", "b:c"))


def test_events_survive_the_wire() -> None:
    """Tagged msgpack, there and back."""
    event = Message(id="1", account="a", place=Place("x", "y", "z"), author=Person("p", "N"), time=1.5, text="hi")

    assert event == msgspec.msgpack.decode(msgspec.msgpack.encode(event), type=AnyEvent)


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("plain", "plain"),
        ("a\x00b", "ab"),
        ("x\ud800y", "x\ufffdy"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("\x1b[31mred", "[31mred"),
        ("👩‍🚀 é", "👩‍🚀 é"),
        ("\ud83d\ude00", "😀"),
    ],
)
def test_text_is_made_safe_to_keep(raw: str, kept: str) -> None:
    """NUL and escape sequences go, lone surrogates are replaced, split pairs joined, everything else stays."""
    assert kept == clean(raw)


@given(st.text(alphabet=st.characters(codec=None)))
def test_clean_text_can_always_be_encoded(raw: str) -> None:
    """Whatever a platform sends."""
    assert clean(clean(raw)) == clean(raw)
    clean(raw).encode()


def test_shortened_text_is_one_line_and_says_that_it_was_cut() -> None:
    """For lists."""
    assert "a b" == shorten("a\n b", 10)
    assert "abc…" == shorten("abcdefgh", 4)
