"""worker/quantise.py: a base in fewer bits speaks nearly as before, and LoRAs work on top of it."""

import sys
from pathlib import Path

import pytest
import torch

from core.errors import MissingExtra, ModelError
from core.settings import Lora, Model, Settings, Worker
from tests.fakes.engines import GREEDY, ask, fresh, run
from tests.fakes.loras import ATTENTION, TINY, weights, write
from tests.fakes.tiny import Bytes
from worker import start
from worker.lora.files import PLACES
from worker.model import Loaded
from worker.quantise import quantise


def quantised() -> Loaded:
    loaded = fresh()
    quantise(loaded.model, "int8", "cpu")
    return loaded


def greedy(loaded: Loaded, tokens: tuple[int, ...], count: int) -> str:
    """The whole text read anew for every token, by the model alone."""
    said = list[int]()
    with torch.inference_mode():
        while len(said) < count and 257 not in said:
            said.append(int(loaded.model(input_ids=torch.tensor([[*tokens, *said]])).logits[0, -1].argmax()))
    return Bytes().decode([token for token in said if token != 257]).strip().strip("\ufffd\x1c\x1d\x1e\x1f")


def test_linears_are_kept_in_a_quarter_and_say_nearly_the_same() -> None:
    """Embedding and head stay as they are."""
    plain, small = fresh(), quantised()
    tokens = torch.arange(40)[None]
    with torch.inference_mode():
        before, after = (one.model(tokens).logits.flatten() for one in (plain, small))

    assert torch.int8 == small.model.model.layers[0].mlp.up_proj.weight.qdata.dtype
    assert torch.float32 == small.model.lm_head.weight.dtype == small.model.dtype
    assert not torch.equal(before, after)
    assert float(torch.corrcoef(torch.stack([before, after]))[0, 1]) > 0.99


def test_a_lora_on_a_quantised_base_is_what_it_is_by_plain_math(tmp_path: Path) -> None:
    """Through the engine, beside one that has none; the reference adds B A x to each linear's output."""
    write(tmp_path / "v", TINY, 4, ATTENTION, seed=5)
    lora, reference = weights(TINY, 4, ATTENTION, seed=5), quantised()
    for (layer, target), (a, b) in lora.parts.items():
        linear = reference.model.model.layers[layer].get_submodule(PLACES[target])
        linear.register_forward_hook(lambda _, x, y, a=a, b=b: y + x[0] @ a.T @ b.T)
    settings = Settings(model=Model(quantize="int8"), worker=Worker(kv_mb=1, step_tokens=32), lora=Lora(slots=2))
    engine = start.assemble(quantised(), settings, lambda version: tmp_path / version, ("tiny",))
    with_lora, without = ask(1, GREEDY, loras=("v",)), ask(2, GREEDY)
    ends, _ = run(engine, with_lora, without)

    assert {"1": "v", "2": "base"} == {name: end.lora for name, end in ends.items()}
    assert greedy(reference, with_lora.tokens, 24) == ends["1"].text.strip("\ufffd\x1c\x1d\x1e\x1f")
    assert greedy(quantised(), without.tokens, 24) == ends["2"].text.strip("\ufffd\x1c\x1d\x1e\x1f")


def test_without_torchao_the_error_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is changed where nothing is wanted."""
    monkeypatch.setitem(sys.modules, "torchao.quantization", None)
    quantise(fresh().model, "none", "cpu")

    with pytest.raises(MissingExtra, match="torchao") as caught:
        quantise(fresh().model, "int8", "cpu")
    assert "quantize" in caught.value.hint


def test_four_bits_need_a_gpu() -> None:
    """Said at the start, with the way out."""
    with pytest.raises(ModelError, match="int4 needs a CUDA device") as caught:
        quantise(fresh().model, "int4", "cpu")
    assert "int8" in caught.value.hint
