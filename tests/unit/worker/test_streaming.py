"""worker/streaming.py: only text that is final is passed on."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.speakers import NOBODY, Speakers
from tests.fakes.tiny import Bytes
from worker.streaming import WINDOW, Stream

TALK = Speakers(("Captain Mira", "Mira"), ("Ann", "Ann (2)"))


def said(text: str, *stop: str, speakers: Speakers = NOBODY) -> tuple[list[str], Stream]:
    stream = Stream(Bytes().decode, stop, speakers)
    pieces = []
    for token in text.encode():
        pieces.append(stream.push(token))
        if stream.stopped:
            break
    return [*pieces, stream.rest()], stream


@given(st.text(alphabet="aé😀 \n", max_size=30))
def test_the_pieces_make_up_the_text(text: str) -> None:
    """However many bytes a character takes; white space at both ends is no part of a reply."""
    pieces, stream = said(text)

    assert text.strip() == "".join(pieces) == stream.text
    assert not any("\ufffd" in piece for piece in pieces)


@given(st.text(alphabet="abx", max_size=20))
def test_nothing_of_a_stop_string_is_ever_shown(text: str) -> None:
    """Its beginning is held back until it is clear that it is none."""
    pieces, stream = said(text, "xab", "bb")
    cut = min((text.find(stop) for stop in ("xab", "bb") if stop in text), default=len(text))

    assert text[:cut] == "".join(pieces) == stream.text
    assert stream.stopped == (cut < len(text))


@pytest.mark.parametrize(
    ("written", "reply", "stopped"),
    [
        ("Mira: Aye!", "Aye!", False),
        ("Captain Mira:  Aye!", "Aye!", False),
        ("\nAnn (2): Aye!", "Aye!", False),
        ("MIRA: Aye!", "Aye!", False),
        ("Mira", "Mira", False),
        ("Mira and Ann: friends.", "Mira and Ann: friends.", False),
        ("Ann, aye!\nAnn was here.", "Ann, aye!\nAnn was here.", False),
        ("Aye!\nAnn: Hello?", "Aye!", True),
        ("Mira: Aye!\n\nMira: And more.", "Aye!", True),
        ("Aye!\nMIRA: And more.", "Aye!", True),
        ("The crew:\n- Ann: cook", "The crew:\n- Ann: cook", False),
    ],
)
def test_a_reply_is_one_speaker_s(written: str, reply: str, stopped: bool) -> None:
    """A name before it is no part of it, and it ends where somebody else would speak. None of that is ever shown."""
    pieces, stream = said(written, speakers=TALK)

    assert reply == "".join(pieces) == stream.text
    assert stopped == stream.stopped


def test_a_stop_string_counts_from_the_first_token_on() -> None:
    """White space and names are taken off what is left."""
    pieces, stream = said("\nMira: Aye!", "\n", speakers=TALK)

    assert ("", True) == ("".join(pieces), stream.stopped)


@given(st.text(alphabet="Minra: (2)\nA", max_size=30), st.sampled_from(["", "A\n", ": "]))
def test_what_is_shown_of_one_speaker_is_never_taken_back(text: str, stop: str) -> None:
    """Whatever the names begin like."""
    pieces, stream = said(text, stop, speakers=TALK)

    assert stream.text == "".join(pieces)


def test_a_word_is_shown_as_soon_as_it_is_final() -> None:
    """It does not wait for the end."""
    assert ["a", "", " b", "c", ""] == said("a bc", " x")[0]


def test_a_reply_cut_within_a_character_ends_before_it() -> None:
    """Whatever was shown stays, and nothing broken is added."""
    stream = Stream(Bytes().decode, ())
    pieces = [stream.push(token) for token in "ab 😀".encode()[:-1]]

    assert "ab" == "".join([*pieces, stream.rest()]) == stream.text


@given(
    st.lists(st.sampled_from(b"ab \n\xf0\x9f\x98\x80"), max_size=20), st.sampled_from(["", "a", "b ", "bab", "b\n\n"])
)
def test_any_bytes_at_all_stream_to_the_text_that_is_kept(raw: list[int], stop: str) -> None:
    """What a random model says: half characters and white space before what may be a stop string."""
    stream, pieces = Stream(Bytes().decode, [stop]), list[str]()
    for token in raw:
        pieces.append(stream.push(token))
        if stream.stopped:
            break

    assert stream.text == "".join([*pieces, stream.rest()])


@given(st.lists(st.sampled_from(b"ab \n\xf0\x9f\x98\x80"), max_size=200))
def test_the_text_is_that_of_all_ids_though_only_the_last_are_decoded(raw: list[int]) -> None:
    """However long a reply becomes, a token of it costs no more."""
    asked = list[int]()

    def decode(ids: Sequence[int]) -> str:
        asked.append(len(ids))
        return Bytes().decode(ids)

    stream = Stream(decode, ())
    for token in [*raw, *b"and so on. " * 20]:
        stream.push(token)

    assert Bytes().decode(stream.ids).strip() == stream.text
    assert max(asked[-200:]) <= 2 * WINDOW


def test_what_a_decoder_leaves_out_at_the_beginning_is_left_out_only_there() -> None:
    """As those do that mark words by the space before them."""
    stream = Stream(lambda ids: "".join(f" w{n}" for n in ids).removeprefix(" "), ())
    pieces = [stream.push(n) for n in range(100)]

    assert " ".join(f"w{n}" for n in range(100)) == stream.text == "".join([*pieces, stream.rest()])
