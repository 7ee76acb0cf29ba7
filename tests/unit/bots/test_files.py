"""Reading people's JSON lines, and writing files that are whole or not at all."""

import os
import stat
from pathlib import Path

import pytest

from bots import files
from bots.files import Row
from core.errors import InputError


def written(folder: Path, raw: bytes) -> str:
    (folder / "in.jsonl").write_bytes(raw)
    return str(folder / "in.jsonl")


def faults(folder: Path, raw: bytes) -> list[str]:
    return [row.fault for row in files.rows(written(folder, raw))]


def test_lines_keep_their_numbers(tmp_path: Path):
    """Empty lines are passed over and counted; a byte order mark and Windows line ends do no harm."""
    raw = b'\xef\xbb\xbf{"a": 1}\r\n\r\n  \n{"a": 2}'

    assert [Row(1, {"a": 1}), Row(4, {"a": 2})] == list(files.rows(written(tmp_path, raw)))
    assert 4 == files.count(str(tmp_path / "in.jsonl"))


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        (b"{", "is not JSON: Expecting property name"),
        (b"[1]", "is not a JSON object"),
        (b'{"a": NaN}', "NaN is not a JSON number"),
        (b'{"a": "\xff"}', "is not UTF-8 text"),
        (b"[" * 100_000, "is not JSON that can be read"),
        (b'{"a": ' + b"9" * 5000 + b"}", "is not JSON that can be read"),
    ],
)
def test_a_line_that_is_no_object_says_why_and_the_next_is_read(raw: bytes, fault: str, tmp_path: Path):
    """Each fault in a sentence, and reading goes on."""
    found = faults(tmp_path, raw + b'\n{"ok": 1}\n')

    assert (True, "") == (fault in found[0], found[1])


def test_a_line_without_an_end_takes_no_memory_to_speak_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """One that is too long is named, its rest is skipped, and the number of the next is right."""
    monkeypatch.setattr(files, "LONGEST", 10)
    raw = b'{"a": "' + b"x" * 100 + b'"}\n{"a": 1}\n{"b": 12}\n'

    assert ["1: is longer", "2: ", "3: "] == [f"{r.number}: {r.fault[:9]}" for r in files.rows(written(tmp_path, raw))]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path):
    """Not there, or a folder."""
    for name in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            list(files.rows(str(name)))


def test_a_new_file_takes_its_place_whole(tmp_path: Path):
    """Until then the old one stays; it is for its owner alone, and a link is followed."""
    target = tmp_path / "out.jsonl"
    target.write_text("old")
    (tmp_path / "link").symlink_to(target)

    with files.writing(str(tmp_path / "link")) as file:
        file.write("new 👋")
        assert "old" == target.read_text()

    assert "new 👋" == target.read_text("utf-8")
    assert 0o600 == stat.S_IMODE(target.stat().st_mode)
    assert (tmp_path / "link").is_symlink()


def test_a_write_that_fails_leaves_nothing_behind(tmp_path: Path):
    """The old file is as it was, and no half one lies beside it."""
    target = tmp_path / "out.jsonl"
    target.write_text("old")

    with pytest.raises(ZeroDivisionError), files.writing(str(target)) as file:
        file.write("half" * (1 // 0))

    assert [("out.jsonl", "old")] == [(one.name, one.read_text()) for one in tmp_path.iterdir()]


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path):
    """A folder that is not there, or one in the file's place."""
    for name in (tmp_path / "nowhere" / "out", tmp_path):
        with pytest.raises(InputError, match="cannot be written"), files.writing(str(name)) as file:
            file.write("x")


def test_a_device_stays_a_device():
    """`--out /dev/null` writes to it and does not replace it."""
    with files.writing(os.devnull) as file:
        file.write("x")

    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_a_line_keeps_emoji_as_they_are():
    """Bare UTF-8, one line."""
    assert '{"emoji": "👍", "text": "a\\nb"}\n' == files.line({"emoji": "👍", "text": "a\nb"})


def test_what_a_folder_holds_is_added_up(tmp_path: Path):
    """Files at every depth; a folder that is not there holds nothing, and its nearest is found."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "one").write_bytes(b"x" * 10)
    (tmp_path / "a" / "b" / "two").write_bytes(b"x" * 5)

    assert (15, 0) == (files.disk_use(tmp_path), files.disk_use(tmp_path / "nowhere"))
    assert tmp_path == files.nearest(tmp_path / "c" / "d")
