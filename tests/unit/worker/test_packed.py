"""worker/packed.py: a pack of conversations is read as transformers reads each of them alone."""

from typing import Any

import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from core.errors import ModelError
from worker import packed
from worker.kv import Arena, shape
from worker.packed import Pack, Span

SMALL = {
    "vocab_size": 97, "hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "initializer_range": 0.3,
}  # fmt: skip
MODELS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "Llama": (LlamaForCausalLM, LlamaConfig, {}),
    "Mistral with a window": (MistralForCausalLM, MistralConfig, {"sliding_window": 8}),
    "Qwen2 with biases": (Qwen2ForCausalLM, Qwen2Config, {}),
    "Qwen3 with norms": (Qwen3ForCausalLM, Qwen3Config, {}),
    "Gemma 3, windows in some layers": (
        Gemma3ForCausalLM, Gemma3TextConfig,
        {"sliding_window": 8, "query_pre_attn_scalar": 30,
         "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]},
    ),
}  # fmt: skip
TALKS = [(0, 30), (37, 21), (90, 3), (140, 12)]  # where each lies in the arena, how long it is


def build(name: str) -> Any:
    torch.manual_seed(3)
    kind, config, more = MODELS[name]
    return kind(config(**{**SMALL, **more})).eval().requires_grad_(False)


@pytest.mark.parametrize("together", [False, True], ids=["one by one", "together"])
@pytest.mark.parametrize("name", MODELS)
def test_a_pack_gives_the_scores_that_each_talk_gets_alone(name: str, together: bool) -> None:
    """Four talks in two packs: first pieces of all, then single tokens of three beside a piece of the fourth."""
    reference, model = build(name), build(name)
    packed.prepare(model)
    arena = Arena(*shape(model.config), 192, torch.float32, "cpu")
    dice = torch.Generator().manual_seed(1)
    talks = [torch.randint(0, 97, (length,), generator=dice) for _, length in TALKS]
    cuts = [29, 20, 2, 5]
    with torch.inference_mode():
        for first, last in (([0] * 4, cuts), (cuts, [len(talk) for talk in talks])):
            spans = [Span(at, start, end - start) for (at, _), start, end in zip(TALKS, first, last, strict=True)]
            tokens = torch.cat([talk[a:b] for talk, a, b in zip(talks, first, last, strict=True)])
            found = packed.forward(model, tokens[None], Pack(spans, arena.storage, together), [0, 1, 2, 3])
        expected = torch.stack([reference(talk[None]).logits[0, -1] for talk in talks])

    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_bfloat16_on_a_cpu_is_read_the_same_within_its_precision() -> None:
    """It has a way of its own, with windows and without."""
    for name in ("Llama", "Mistral with a window"):
        reference, model = build(name), build(name).to(torch.bfloat16)
        packed.prepare(model)
        arena = Arena(*shape(model.config), 64, torch.bfloat16, "cpu")
        talk = torch.randint(0, 97, (40,), generator=torch.Generator().manual_seed(1))
        with torch.inference_mode():
            packed.forward(model, talk[None, :15], Pack([Span(3, 0, 15)], arena.storage, False), [])
            found = packed.forward(model, talk[None, 15:], Pack([Span(3, 15, 25)], arena.storage, False), [0])[0]
            expected = reference(talk[None]).logits[0, -1]

        assert float(torch.corrcoef(torch.stack([found.float(), expected]))[0, 1]) > 0.999


def test_a_model_with_soft_capped_attention_is_refused() -> None:
    """With what to do instead."""
    model = Gemma2ForCausalLM(Gemma2Config(**SMALL))

    with pytest.raises(ModelError, match="attn_logit_softcapping") as caught:
        packed.prepare(model)
    assert "vLLM" in caught.value.hint
