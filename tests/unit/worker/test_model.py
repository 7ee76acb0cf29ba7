"""worker/model.py: a folder with a tiny model and a real tokenizer, loaded as any other; and what cannot be loaded."""

import json
import os
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from core.config import load as read_settings
from core.errors import ModelError
from core.prompt import Prompt, Said, Section
from core.settings import Settings
from personas.sampling import Sampling
from tests.fakes import loras
from tests.fakes.engines import run
from tests.fakes.tiny import CHATML, tiny
from worker import fetch, model, start
from worker.generator import Finished, Request
from worker.lora import check


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `save_pretrained` writes."""
    place = tmp_path_factory.mktemp("tiny")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE(vocab={letter: at for at, letter in enumerate(letters)}, merges=[]))
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    raw.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, eos_token="<|im_end|>", bos_token="<|im_start|>")
    tokenizer.chat_template = CHATML
    tokenizer.save_pretrained(place)
    tiny().model.save_pretrained(place)
    return place


def settings(ref: Path | str, **more: str) -> Settings:
    given = {f"LIMEN_MODEL__{name.upper()}": value for name, value in more.items()}
    return read_settings(
        {"LIMEN_HOME": "no-such-home", "LIMEN_MODEL__REF": str(ref), "LIMEN_MODEL__THREADS": "1", **given}
    )


def test_a_lora_that_names_the_folder_of_the_model_is_taken_by_check_and_worker_alike(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was trained on what was fetched: the folder is called otherwise than the reference."""
    monkeypatch.setattr(fetch, "obtain", lambda *_: folder)
    given = settings("hf:owner/called-otherwise", dtype="float32", device="cpu")
    lora = loras.write(tmp_path / "a", base=str(folder))
    assert 4 == check.check(given, lora).rank
    engine, _ = start.generator(given, lambda _: lora)
    request = Request(id="1", tokens=(5, 6), sampling=Sampling(temperature=0, max_tokens=2), seed=1, loras=("a",))
    ends, _ = run(engine, request)

    assert ({}, "a") == (engine.faults(), ends["1"].lora)


def test_a_folder_is_loaded_and_speaks(folder: Path) -> None:
    """Through the same batch as every model."""
    loaded = model.load(settings(folder, dtype="float32"))
    batch = start.assemble(loaded, settings(folder), Path, ())
    prompt = Prompt((Section("who", "You are Mira."),), (), (), (), Said("user", "hi"))
    tokens = batch.render(prompt, 20).tokens
    batch.add(Request(id="1", tokens=tokens, sampling=Sampling(temperature=0, max_tokens=20), seed=1))
    events = []
    while batch.active:
        events += batch.step()

    assert (str(folder), "float32", 512) == (loaded.ref, loaded.dtype, loaded.context)
    assert tiny().parameters == loaded.parameters
    assert loaded.tokenizer.convert_tokens_to_ids("<|im_end|>") in loaded.ends
    assert isinstance(events[-1], Finished)
    assert events[-1].finish in ("stop", "length")


def test_device_dtype_context_and_threads_are_ours_to_choose(folder: Path) -> None:
    """Each has its setting."""
    loaded = model.load(settings(folder, device="cpu", dtype="bfloat16", context="300", threads="1"))

    assert ("cpu", "bfloat16", 300) == (loaded.device, loaded.dtype, loaded.context)
    assert {torch.bfloat16} == {weight.dtype for weight in loaded.model.parameters()}
    assert 1 == torch.get_num_threads()


@pytest.mark.parametrize(("kind", "asked", "given"), [("longrope", 0, 64), ("longrope", 300, 64), ("yarn", 300, 300)])
def test_the_context_ends_where_one_long_talk_would_change_what_all_others_say(
    kind: str, asked: int, given: int
) -> None:
    """As with Phi-3's `longrope`: beyond its first length all positions of a forward are turned another way."""
    factors = {"short_factor": [1.0] * 6, "long_factor": [4.0] * 6} if kind == "longrope" else {}
    rope = {"rope_type": kind, "rope_theta": 1e4, "factor": 8.0, "original_max_position_embeddings": 64, **factors}
    config = LlamaConfig(
        vocab_size=258, hidden_size=48, intermediate_size=96, num_hidden_layers=1, num_attention_heads=4,
        max_position_embeddings=512, rope_parameters=rope,
    )  # fmt: skip
    one = LlamaForCausalLM(config).eval()
    near, far = torch.arange(4)[None], torch.tensor([[0, 1, 2, 100]])
    turned = [one.model.rotary_emb(torch.zeros(1), places)[1][0, 1] for places in (near, far)]

    assert (kind == "longrope") is not torch.equal(*turned)
    assert given == model._context(one, asked)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_a_device_that_is_not_there_is_named(folder: Path) -> None:
    """With the next step."""
    with pytest.raises(ModelError, match="sees no CUDA device") as caught:
        model.load(settings(folder, device="cuda"))
    assert "limen doctor" in caught.value.hint


def copy(folder: Path, to: Path, **changed: bytes | None) -> Path:
    """The folder with some files replaced or, by None, left out."""
    to.mkdir()
    for file in folder.iterdir():
        stem = file.name.split(".")[0]
        data = changed.get(stem, file.read_bytes())
        if data is not None:
            (to / file.name).write_bytes(data)
    return to


@pytest.mark.parametrize(
    "changed",
    [
        {"config": b"not json"},
        {"config": json.dumps({"model_type": "no_such_architecture"}).encode()},
        {"config": json.dumps({"model_type": "vit"}).encode()},
        {"model": b"cut off"},
        {"model": None},
        {"tokenizer": None, "tokenizer_config": None},
    ],
    ids=["broken config", "unknown kind", "no language model", "cut weights", "no weights", "no tokenizer"],
)
def test_what_is_no_language_model_is_refused(folder: Path, tmp_path: Path, changed: dict[str, bytes | None]) -> None:
    """In one line with the reason, whichever library found it."""
    broken = copy(folder, tmp_path / "broken", **changed)

    with pytest.raises(ModelError, match="cannot be loaded as a causal language model") as caught:
        model.load(settings(broken))
    assert "\n" not in str(caught.value)
    assert "limen models" in caught.value.hint


def test_a_model_that_memory_cannot_hold_is_refused_before_it_is_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With both figures."""
    monkeypatch.setattr(model, "_parameters", lambda _: 10**15)

    with pytest.raises(ModelError, match=r"needs 4000000\.0 GB of memory, and .* GB are free on cpu"):
        model.load(settings(folder, device="cpu", dtype="float32"))


def test_parameters_are_counted_without_loading(folder: Path) -> None:
    """By the heads of the files."""
    assert tiny().parameters == model._parameters(folder)


def test_threads_keep_to_the_cores_that_we_may_use() -> None:
    """Two processes that share cores without a cap are many times slower."""
    before = torch.get_num_threads()
    try:
        model.set_threads(0)

        assert 1 <= torch.get_num_threads() <= min(8, os.cpu_count() or 8)
    finally:
        torch.set_num_threads(before)
