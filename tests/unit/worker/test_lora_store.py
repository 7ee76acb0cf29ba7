"""The store of LoRAs: the same in a folder and at an address of fsspec, and what its cache is good for."""

import os
import threading

import fsspec
import pytest

from core.errors import LoraError
from tests.fakes.loras import write
from tests.fakes.manifests import manifest
from worker.lora import folders, store
from worker.lora import manifest as manifests
from worker.lora.folders import MANIFEST
from worker.lora.store import LoraStore

FILES = ("adapter_model.safetensors", "adapter_config.json")


@pytest.fixture
def memory():
    """fsspec's file system in memory, empty."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    return files


@pytest.fixture
def remote(memory, tmp_path):
    """A store that is not on our disk."""
    return LoraStore("memory://bucket/loras", tmp_path / "cache")


@pytest.fixture(params=["folder", "file://", "memory://"])
def loras(request, memory, tmp_path):
    """A store of each kind."""
    places = {
        "folder": f"{tmp_path}/store",
        "file://": f"file://{tmp_path}/store",
        "memory://": "memory://bucket/loras",
    }
    return LoraStore(places[request.param], tmp_path / "cache")


@pytest.fixture
def source(tmp_path):
    """A LoRA from somewhere else."""
    return write(tmp_path / "source", rank=1)


def contents(folder):
    """What the files of a LoRA hold."""
    return [(folder / name).read_bytes() for name in FILES]


def copies(tmp_path):
    """What lies in the cache."""
    return sorted(folder.name for place in (tmp_path / "cache").iterdir() for folder in place.iterdir())


def break_off(*_, **__):
    """A store that does not answer."""
    raise ConnectionError("no route to host\nand more")


def test_what_is_added_is_found_again(loras, source):
    """A version's folder holds the same bytes as its source, whether its name has a slash or not."""
    (source / "optimizer.pt").write_text("not needed")
    for version in ("mira-7f3a2c91/20261121-1", "mira-7f3a2c91/20261122-1", "borrowed"):
        loras.add(version, source)

        assert contents(loras.folder(version)) == contents(source)
        assert sorted(file.name for file in loras.folder(version).iterdir()) == sorted(FILES)
    assert loras.versions() == ["borrowed", "mira-7f3a2c91/20261121-1", "mira-7f3a2c91/20261122-1"]


def test_an_empty_store_has_no_versions(loras):
    """A store that nobody has written to is no fault."""
    assert loras.versions() == []


def test_what_is_missing_is_said(loras, source):
    """A version that is not there is named, with what may be the reason; a folder of versions is none itself."""
    loras.add("mira/1", source)

    for version in ("mira/2", "mira"):
        with pytest.raises(LoraError, match=f"there is no LoRA {version} ") as caught:
            loras.folder(version)
        assert "lora.store" in caught.value.hint


def test_a_version_never_changes(loras, source, tmp_path):
    """One that exists is refused, and stays as it was."""
    loras.add("mira/1", source)
    before = contents(source)

    with pytest.raises(LoraError, match="never change"):
        loras.add("mira/1", write(tmp_path / "other", seed=2))

    assert contents(loras.folder("mira/1")) == before


def test_what_is_removed_is_gone_everywhere(loras, source):
    """Neither listed nor had from the cache any more; its neighbours stay; removing it again is no fault."""
    for version in ("mira/1", "mira/2"):
        loras.add(version, source)
    folder = loras.folder("mira/1")

    loras.remove("mira/1")
    loras.remove("mira/1")

    assert not folder.exists()
    assert loras.versions() == ["mira/2"]
    with pytest.raises(LoraError, match="there is no LoRA mira/1"):
        loras.folder("mira/1")
    assert contents(loras.folder("mira/2")) == contents(source)


def test_the_folder_of_several_is_not_removed_by_its_name(loras, source):
    """A persona's name alone is no version."""
    loras.add("mira/1", source)

    loras.remove("mira")

    assert loras.versions() == ["mira/1"]


def test_what_was_removed_may_come_again(loras, source, tmp_path):
    """A name is free again, and the new bytes are what one gets."""
    loras.add("mira/1", source)
    loras.folder("mira/1")
    loras.remove("mira/1")
    other = write(tmp_path / "other", rank=2)

    loras.add("mira/1", other)

    assert contents(loras.folder("mira/1")) == contents(other)


@pytest.mark.parametrize(
    "version",
    ["", ".", "..", "/mira", "mira/", "mira//1", "a/b/c", "../mira", "mira/..", "mi..ra/1", "mira/.new-1", "mira 1",
     "mira\\1", "mira\n", "mira/1\x00", "C:mira", "mïra", "x" * 101, "~/mira", "mira*"],
)  # fmt: skip
def test_names_that_lead_elsewhere_are_refused(loras, source, version):
    """No name leaves the store or means more than itself."""
    for act in (loras.folder, loras.remove, lambda name: loras.add(name, source)):
        with pytest.raises(LoraError, match="cannot be the name of a LoRA"):
            act(version)
    assert loras.versions() == []


def test_half_a_lora_is_not_taken(loras, source):
    """Both files must be there; nothing of it appears in the store."""
    (source / FILES[1]).unlink()

    with pytest.raises(LoraError, match="cannot be read") as caught:
        loras.add("mira/1", source)

    assert "adapter_model.safetensors and adapter_config.json" in caught.value.hint
    assert loras.versions() == []


def test_a_local_store_is_read_in_place(tmp_path, source):
    """Nothing is copied; what people put there by hand counts as well, once both files are there."""
    loras = LoraStore(str(tmp_path / "store"), tmp_path / "cache")
    write(tmp_path / "store" / "by-hand")
    write(tmp_path / "store" / "half" / "1")
    (tmp_path / "store" / "half" / "1" / FILES[0]).unlink()
    loras.add("mira/1", source)

    assert loras.folder("mira/1") == tmp_path / "store" / "mira" / "1"
    assert loras.versions() == ["by-hand", "mira/1"]
    assert not (tmp_path / "cache").exists()
    with pytest.raises(LoraError, match="there is no LoRA half/1"):
        loras.folder("half/1")


def test_a_version_is_no_folder_of_versions(tmp_path, source):
    """Else removing the one would take the other along."""
    loras = LoraStore(str(tmp_path / "store"), tmp_path / "cache")
    loras.add("mira", source)

    with pytest.raises(LoraError, match="already"):
        loras.add("mira/1", source)


def test_forgotten_versions_leave_no_name_behind(tmp_path, source):
    """The last version of a persona takes its folder along."""
    loras = LoraStore(str(tmp_path / "store"), tmp_path / "cache")
    loras.add("mira/1", source)

    loras.remove("mira/1")

    assert list((tmp_path / "store").iterdir()) == []


def test_nothing_half_made_is_ever_seen(tmp_path, source, monkeypatch):
    """A disk that fills up between two files leaves neither a version nor rubbish."""
    loras = LoraStore(str(tmp_path / "store"), tmp_path / "cache")
    seen = []

    def full(_):
        seen.append(loras.versions())
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folders.os, "fsync", full)
    with pytest.raises(LoraError, match="No space left on device") as caught:
        loras.add("mira/1", source)

    assert "free some disk" in caught.value.hint
    assert seen == [[]]
    assert list((tmp_path / "store" / "mira").iterdir()) == []


def test_rubbish_of_the_killed_is_swept(tmp_path, source):
    """What a killed process left goes after a day; what may still be under way stays."""
    loras = LoraStore(str(tmp_path / "store"), tmp_path / "cache")
    for name in (".new-1", ".old-1", ".new-2"):
        write(tmp_path / "store" / "mira" / name)
    for name in (".new-1", ".old-1"):
        os.utime(tmp_path / "store" / "mira" / name, (0, 0))

    loras.add("mira/1", source)

    assert sorted(path.name for path in (tmp_path / "store" / "mira").iterdir()) == [".new-2", "1"]
    assert loras.versions() == ["mira/1"]


def test_a_remote_lora_is_fetched_once(remote, source, monkeypatch):
    """After that, the store is only asked whether it is still there."""
    remote.add("mira/1", source)
    first = remote.folder("mira/1")
    monkeypatch.setattr(remote._remote._fs, "cat_file", break_off)

    assert first == remote.folder("mira/1")
    assert contents(first) == contents(source)


def test_without_its_store_a_copy_must_do(remote, source, monkeypatch, caplog):
    """A network that is gone does not silence who is in the cache; who is not gets a clear word."""
    for version in ("mira/1", "mira/2"):
        remote.add(version, source)
    remote.folder("mira/1")
    monkeypatch.setattr(remote._remote._fs, "info", break_off)

    assert contents(remote.folder("mira/1")) == contents(source)
    assert "the copy of mira/1 in the cache must do" in caplog.text
    with pytest.raises(LoraError, match=r"memory://bucket/loras cannot be reached \(no route to host\)$") as caught:
        remote.folder("mira/2")
    assert "credentials" in caught.value.hint


def test_what_another_machine_removed_is_removed_here(remote, source, memory, tmp_path):
    """Forgetting reaches every cache: a copy goes as soon as its store says that it is gone."""
    remote.add("mira/1", source)
    folder = remote.folder("mira/1")

    LoraStore("memory://bucket/loras", tmp_path / "elsewhere").remove("mira/1")

    with pytest.raises(LoraError, match="there is no LoRA mira/1"):
        remote.folder("mira/1")
    assert not folder.exists()


def test_a_copy_of_another_size_is_fetched_again(remote, source):
    """A copy that was damaged, or a file mended in the store, is replaced."""
    remote.add("mira/1", source)
    folder = remote.folder("mira/1")
    (folder / FILES[0]).write_bytes(b"half")

    assert contents(remote.folder("mira/1")) == contents(source)


def test_a_version_half_uploaded_is_none(remote, source, monkeypatch):
    """The configuration comes last: without it there is nothing to see, and it may be added again."""
    put = remote._remote._fs.pipe_file
    monkeypatch.setattr(
        remote._remote._fs, "pipe_file", lambda path, data: break_off() if path.endswith("json") else put(path, data)
    )
    with pytest.raises(LoraError, match="cannot be written"):
        remote.add("mira/1", source)
    monkeypatch.undo()

    assert remote.versions() == []
    with pytest.raises(LoraError, match="there is no LoRA mira/1"):
        remote.folder("mira/1")
    remote.add("mira/1", source)
    assert remote.versions() == ["mira/1"]


def test_the_cache_keeps_the_most_recently_used(remote, source, tmp_path, monkeypatch):
    """Beyond its bound the one goes that was not used for longest; it can be had again."""
    monkeypatch.setattr(store, "KEPT", 2)
    for at, version in enumerate(("mira/1", "mira/2")):
        remote.add(version, source)
        os.utime(remote.folder(version), (at, at))
    remote.folder("mira/1")  # used again: now
    remote.add("mira/3", source)

    remote.folder("mira/3")

    assert copies(tmp_path) == ["mira+1", "mira+3"]
    assert contents(remote.folder("mira/2")) == contents(source)


def test_stores_that_share_a_cache_do_not_mix(remote, source, tmp_path):
    """The same name in another bucket is another LoRA."""
    other = LoraStore("memory://bucket/others", tmp_path / "cache")
    remote.add("mira/1", source)
    other.add("mira/1", write(tmp_path / "other", rank=2))

    assert contents(remote.folder("mira/1")) == contents(source)
    assert contents(other.folder("mira/1")) == contents(tmp_path / "other")


def test_two_that_fetch_at_the_same_time_both_get_it(remote, source, tmp_path):
    """Whoever comes second takes what the first one has put there."""
    remote.add("mira/1", source)
    second = LoraStore("memory://bucket/loras", tmp_path / "cache")
    both, get = threading.Barrier(2, timeout=20), remote._remote.get
    found = []

    def together(*asked):
        both.wait()
        return get(*asked)

    remote._remote.get = second._remote.get = together
    threads = [threading.Thread(target=lambda one=one: found.append(one.folder("mira/1"))) for one in (remote, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert [contents(folder) for folder in found] == [contents(source)] * 2
    assert copies(tmp_path) == ["mira+1"]


@pytest.mark.parametrize(("call", "act"), [("info", "folder"), ("find", "versions"), ("rm_file", "remove")])
def test_a_store_that_fails_is_named(remote, monkeypatch, call, act):
    """Whatever the file system raises becomes a LoraError with a next step."""
    monkeypatch.setattr(remote._remote._fs, call, break_off)

    with pytest.raises(
        LoraError, match=r"LoRA store memory://bucket/loras cannot be \w+ \(no route to host\)$"
    ) as caught:
        getattr(remote, act)(*([] if act == "versions" else ["mira/1"]))

    assert "check lora.store" in caught.value.hint


@pytest.mark.parametrize("address", ["nosuch://a/b", "nosuch://me:secret@a/b"])
def test_an_address_that_nobody_knows_is_refused_at_once(tmp_path, address):
    """When the store is opened, and without telling anybody the password in it."""
    with pytest.raises(LoraError, match=r"lora\.store nosuch://") as caught:
        LoraStore(address, tmp_path)

    assert "secret" not in str(caught.value)
    assert "set lora.store to a folder" in caught.value.hint


def test_a_manifest_comes_along(loras, source):
    """As the third file, with the same bytes, and goes with the others."""
    manifests.write(source, manifest())
    loras.add("mira/1", source)
    folder = loras.folder("mira/1")

    assert (source / MANIFEST).read_bytes() == (folder / MANIFEST).read_bytes()
    loras.remove("mira/1")
    assert not folder.exists()
    assert [] == loras.versions()


def test_nothing_of_a_manifest_is_left_at_an_address(remote, memory, source):
    """It names people."""
    manifests.write(source, manifest())
    remote.add("mira/1", source)
    remote.remove("mira/1")

    assert [] == memory.find("/")


def test_a_copy_without_its_manifest_is_fetched_anew(remote, source):
    """It was made by a limen that knew of none."""
    manifests.write(source, manifest())
    remote.add("mira/1", source)
    (remote.folder("mira/1") / MANIFEST).unlink()

    assert manifest() == manifests.read(remote.folder("mira/1"))


def test_a_broken_manifest_is_not_brought_in(loras, source):
    """It is named, and nothing is stored."""
    (source / MANIFEST).write_text("{")
    with pytest.raises(LoraError, match=f"{MANIFEST} is broken"):
        loras.add("mira/1", source)

    assert [] == loras.versions()


def test_copies_of_what_is_gone_are_given_up(remote, memory, source, tmp_path):
    """Another machine has removed it; a store that does not answer gives up nothing."""
    remote.tidy()
    for version in ("mira/1", "mira/2"):
        remote.add(version, source)
        remote.folder(version)
    LoraStore("memory://bucket/loras", tmp_path / "elsewhere").remove("mira/1")
    remote.tidy()

    assert copies(tmp_path) == ["mira+2"]
    remote._remote._fs.find = break_off
    with pytest.raises(LoraError, match="cannot be read"):
        remote.tidy()
    del remote._remote._fs.find
    assert copies(tmp_path) == ["mira+2"]


def test_a_folder_has_no_copies_to_give_up(tmp_path, source):
    """It is the store."""
    loras = LoraStore(str(tmp_path / "store"), tmp_path / "cache")
    loras.add("mira/1", source)
    loras.tidy()

    assert ["mira/1"] == loras.versions()
