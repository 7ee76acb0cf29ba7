"""worker/lora/manifest.py and basehash.py: where a LoRA comes from, and what its base was."""

import os

import pytest

from core.errors import LoraError
from tests.fakes.loras import write
from tests.fakes.manifests import manifest
from worker.lora import manifest as manifests
from worker.lora.basehash import KEPT, base_hash
from worker.lora.folders import MANIFEST


@pytest.fixture
def model(tmp_path):
    """Something like a model's folder."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


def test_a_manifest_is_read_as_it_was_written(tmp_path):
    """All of it; a folder without one has none."""
    folder = write(tmp_path / "made")
    told = manifest(version="m/1", parent="m/0", rows=("r-1",))
    assert manifests.read(folder) is None

    manifests.write(folder, told)
    assert told == manifests.read(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1}', '{"version": "m/1"}', "\xff", "[" * 9999])
def test_a_broken_manifest_is_named(text, tmp_path):
    """The file, and what to do; never a traceback of another kind."""
    (tmp_path / MANIFEST).write_bytes(text.encode("latin-1"))

    with pytest.raises(LoraError, match=f"{MANIFEST} is broken") as told:
        manifests.read(tmp_path)
    assert "take it out" in told.value.hint


def test_a_lora_of_other_weights_is_set_aside(tmp_path, model):
    """The same name of the base does not help. One that does not say, or a base without weights here, is taken."""
    folder = write(tmp_path / "made")
    manifests.check_base(folder, model)
    manifests.write(folder, manifest(base_hash=base_hash(model)))
    manifests.check_base(folder, model)
    manifests.check_base(folder, tmp_path / "nowhere")

    (model / "model.safetensors").write_bytes(b"weightz")
    with pytest.raises(LoraError, match="set aside"):
        manifests.check_base(folder, model)


def test_the_hash_changes_with_the_weights_and_with_nothing_else(model):
    """One byte is enough; how long ago they were written does not matter, nor do other files."""
    before = base_hash(model)
    os.utime(model / "model.safetensors", (1, 1))
    (model / "config.json").write_text("{}")
    assert before == base_hash(model)

    (model / "model.safetensors").write_bytes(b"weightS")
    assert before != (after := base_hash(model))
    (model / "model-2.safetensors").write_bytes(b"more")
    assert after != base_hash(model)


def test_no_byte_moves_from_file_to_file_unseen(model):
    """The same contents, cut elsewhere, are other weights."""
    (model / "model.safetensors").write_bytes(b"ab")
    (model / "model-2.safetensors").write_bytes(b"c")
    before = base_hash(model)
    (model / "model.safetensors").write_bytes(b"bc")
    (model / "model-2.safetensors").write_bytes(b"a")

    assert before != base_hash(model)


def test_the_hash_is_made_once(model, monkeypatch):
    """And kept beside the weights; what is kept and broken is made anew."""
    before = base_hash(model)
    with monkeypatch.context() as patch:
        patch.setattr("worker.lora.basehash._digest", lambda files: "again")
        assert before == base_hash(model)
    (model / KEPT).write_text("{")

    assert before == base_hash(model)
    assert {KEPT, "model.safetensors"} == {file.name for file in model.iterdir()}


def test_a_folder_that_cannot_be_written_is_hashed_all_the_same(model, monkeypatch):
    """A disk that is read-only costs a second."""
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError(30, "read-only")))

    assert base_hash(model) == base_hash(model) != ""


def test_a_folder_without_weights_has_no_hash(tmp_path):
    """Nothing is compared with it, and nothing kept."""
    assert "" == base_hash(tmp_path) == base_hash(tmp_path / "nowhere")
    assert [] == [*tmp_path.iterdir()]
