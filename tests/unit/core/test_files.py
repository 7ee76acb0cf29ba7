"""core/files.py: what a conversation holds of the files that people send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.events import Attachment
from core.files import Read, below, edited, kind, says_text, sniffed, told


@pytest.mark.parametrize(
    ("name", "media_type", "is_text"),
    [
        ("a.txt", "text/plain", True),
        ("a.txt", "text/plain; charset=utf-8", True),
        ("a", "text/x-script", True),
        ("a.json", "application/json", True),
        ("a.bin", "application/ld+json", True),
        ("a.py", "application/octet-stream", True),
        ("a.PY", "", True),
        ("a.exe", "application/octet-stream", False),
        ("a.txt", "image/png", False),
        ("a.pdf", "application/pdf", False),
        ("noname", "", False),
        ("", "", False),
    ],
)
def test_what_says_that_it_is_text(name: str, media_type: str, is_text: bool) -> None:
    """By its type; by its name where it has none."""
    assert is_text == says_text(Attachment(name, media_type))


@pytest.mark.parametrize(
    ("content", "read"),
    [
        ("Grüße 👋\r\nzwei".encode(), Read("Grüße 👋\nzwei")),
        ("\ufeffmarked".encode(), Read("marked")),
        ("wide".encode("utf-16"), Read("wide")),
        ("café".encode("cp1252"), Read("café")),
        (b"", Read(note="empty")),
        (b"\x89PNG\r\n\x1a\n" + b"0" * 50, Read(note="not text, whatever it says")),
        (b"%PDF-1.7 hello", Read(note="not text, whatever it says")),
        (bytes(range(256)), Read(note="not text, whatever it says")),
        (b"a" * 41, Read("a" * 40 + "\n… (the first 40 of 41 characters)")),
    ],
)
def test_what_is_in_a_file_counts_and_not_what_it_says(content: bytes, read: Read) -> None:
    """Whatever it is encoded as, as far as is allowed."""
    assert read == sniffed(content, 40)


def test_a_file_is_named_with_its_kind_and_length() -> None:
    """As far as the platform says it."""
    files = [
        Attachment("cat.png", "image/png", 120_000),
        Attachment("song.ogg", "audio/ogg", 2_500_000),
        Attachment("a.zip", "application/zip", 12),
        Attachment("", "video/mp4"),
        Attachment("sticker", "image/webp", 9),
    ]

    assert ["image", "audio", "file", "video", "image"] == [kind(file) for file in files]
    assert (
        "[image: cat.png, 120 kB]\n[audio: song.ogg, 2.5 MB]\n[file: a.zip, 12 bytes]\n[video: unnamed]"
        == told(files)
    )  # fmt: skip
    assert "[file: 3 more]" == told([Attachment("a", "b", 1)] * 13).split("\n")[-1]


@given(st.text(max_size=80), st.text(max_size=200))
def test_nothing_in_a_file_poses_as_talk(name: str, text: str) -> None:
    """However it is called and whatever it says: one line names it, and all others are quoted."""
    first, *rest = told([Attachment(name, "text/plain", 5)], [sniffed(text.encode("utf-8", "replace"), 100)]).split(
        "\n"
    )

    assert first.startswith("[file: ")
    assert first.endswith("]")
    assert all(row.startswith(">") for row in rest)


def test_an_edit_keeps_the_files() -> None:
    """Of what was said only the words are different."""
    files = told([Attachment("a.txt", "text/plain", 5)], [Read("hello\nthere")])

    assert below("new", files) == edited("new", below("old\nwords", files))
    assert files == edited("", below("old", files))
    assert "new" == edited("new", "old")


def test_who_writes_what_looks_like_a_file_has_none() -> None:
    """And what stands below it can be edited away, as anything that was said."""
    posed, files = "[file: notes.txt]\nmy secret", told([Attachment("a.txt", "text/plain", 5)], [Read("hello")])

    assert below(posed, "") == "(file: notes.txt)\nmy secret"
    assert edited("new", below(posed, "")) == "new"
    assert edited("new", below(posed, files)) == below("new", files)
