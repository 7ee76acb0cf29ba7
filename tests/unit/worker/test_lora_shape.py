"""What a LoRA must fit, read off a model's outline."""

from pathlib import Path

import msgspec
import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, Phi3Config, Phi3ForCausalLM, Qwen3Config, Qwen3ForCausalLM

from core.errors import LoraError, ModelError
from core.settings import Lora, Model, Settings
from tests.fakes.loras import ALL, ATTENTION, SIZES, TINY
from tests.fakes.tiny import tiny
from worker.lora.shape import of, shape


def saved(folder: Path) -> Path:
    """The tiny model's configuration, without weights."""
    tiny().model.config.save_pretrained(folder)
    return folder


def settings(folder: Path | str, **lora: object) -> Settings:
    return Settings(model=Model(ref=str(folder), fallback=""), lora=msgspec.convert(lora, Lora))


def test_the_shape_of_a_loaded_model():
    """Layers, sizes as (in, out), targets by the setting."""
    assert TINY == of(tiny().model, ("tiny",), "attention", 8)
    assert ALL == of(tiny().model, ("tiny",), "all", 8).targets


def test_the_configuration_alone_tells_the_same(tmp_path: Path):
    """No weights are read: there are none in this folder."""
    found = shape(settings(saved(tmp_path / "tiny"), targets="all", rank=4))

    assert (2, SIZES, ALL, 4) == (found.layers, found.sizes, found.targets, found.rank)
    assert str(tmp_path / "tiny") in found.names


def test_heads_need_not_make_up_the_width():
    """A Qwen3 whose heads are wider than its hidden size: sizes come from the linears, not from a formula."""
    config = Qwen3Config(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16,
    )  # fmt: skip
    with torch.device("meta"):
        found = of(Qwen3ForCausalLM(config), ("q",), "attention", 8)

    assert (3, ATTENTION) == (found.layers, found.targets)
    assert ((32, 64), (32, 32), (64, 32)) == tuple(found.sizes[name] for name in ("q_proj", "k_proj", "o_proj"))


def test_fused_projections_are_targets_too():
    """Phi-3 has q, k and v in one."""
    config = Phi3Config(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=1, num_attention_heads=4,
        num_key_value_heads=2, pad_token_id=0,
    )  # fmt: skip
    with torch.device("meta"):
        model = Phi3ForCausalLM(config)

    assert {"qkv_proj", "o_proj"} == {*of(model, ("p",), "attention", 8).targets}
    assert (32, 64) == of(model, ("p",), "attention", 8).sizes["qkv_proj"]
    assert {"qkv_proj", "o_proj", "gate_up_proj", "down_proj"} == {*of(model, ("p",), "all", 8).targets}


def test_linears_that_differ_between_layers_are_no_targets():
    """A slot has the same size in every layer."""
    with torch.device("meta"):
        model = type(tiny().model)(tiny().model.config)
        model.model.layers[1].mlp.up_proj = nn.Linear(48, 32)
        del model.model.layers[0].self_attn.k_proj

    assert {*ALL} - {"up_proj", "k_proj"} == {*of(model, ("t",), "all", 8).sizes}


def test_a_model_that_takes_none_is_told():
    """GPT-2 has no linears; something else no layers."""
    with torch.device("meta"):
        other = GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=8, n_head=2, vocab_size=16))

    for model in (other, nn.Linear(2, 2)):
        with pytest.raises(LoraError, match="gpt2 takes no LoRA: its layers") as told:
            of(model, ("gpt2",), "all", 8)
        assert "limen models" in told.value.hint


def test_a_folder_without_a_model_is_told(tmp_path: Path):
    """One that is not there, and one of another kind."""
    with pytest.raises(ModelError, match="there is no model folder"):
        shape(settings(tmp_path / "none"))
    (tmp_path / "config.json").write_text('{"model_type": "something"}')
    with pytest.raises(LoraError, match="none that a LoRA can be checked against"):
        shape(settings(tmp_path))
