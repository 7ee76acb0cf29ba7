"""worker/packed.py: a pack of conversations is read as transformers reads each of them alone."""

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GptOssConfig,
    GptOssForCausalLM,
    Lfm2Config,
    Lfm2ForCausalLM,
    Llama4ForCausalLM,
    Llama4TextConfig,
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


@pytest.fixture(scope="module")
def models() -> dict[str, tuple[Any, Any]]:
    """By name: as it is, and read our way."""
    made = {name: (build(name), build(name)) for name in MODELS}
    for _, model in made.values():
        packed.prepare(model)
    return made


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


def test_a_model_with_sinks_in_its_attention_is_refused_when_it_is_tried() -> None:
    """gpt-oss: its configuration does not tell."""
    model = GptOssForCausalLM(GptOssConfig(**SMALL, num_local_experts=2, num_experts_per_tok=1, pad_token_id=0)).eval()
    packed.prepare(model)
    arena = Arena(*shape(model.config), 64, torch.float32, "cpu")

    with pytest.raises(ModelError, match="gpt_oss models need s_aux") as caught, torch.inference_mode():
        packed.forward(model, torch.tensor([[1, 2, 3]]), Pack([Span(0, 0, 3)], arena.storage, False), [0])
    assert "vLLM" in caught.value.hint


@pytest.mark.parametrize(
    ("kind", "config", "more"),
    [
        (Llama4ForCausalLM, Llama4TextConfig, {"intermediate_size_mlp": 64, "num_local_experts": 2}),
        (Lfm2ForCausalLM, Lfm2Config, {"layer_types": ["conv", "full_attention", "conv"]}),
    ],
    ids=["chunks", "convolutions"],
)
def test_a_model_with_layers_of_another_kind_is_refused(kind: Any, config: Any, more: dict[str, Any]) -> None:
    """A chunk is thousands of tokens long: no trial would show it."""
    model = kind(config(**SMALL, **more))

    with pytest.raises(ModelError, match=r"chunked_attention|conv"):
        packed.prepare(model)


PIECES = st.lists(st.lists(st.sampled_from([1, 1, 2, 5, 9]), min_size=3, max_size=3), min_size=2, max_size=6)


@pytest.mark.parametrize("name", ["Llama", "Gemma 3, windows in some layers"])
@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=PIECES, together=st.booleans())
def test_however_talks_are_cut_and_mixed_they_are_read_the_same(
    name: str, pieces: list[list[int]], together: bool, models: dict[str, tuple[Any, Any]]
) -> None:
    """Each step a piece of three talks, long or a single token, in any order of their places in the arena."""
    reference, model = models[name]
    storage = Arena(*shape(model.config), 192, torch.float32, "cpu").storage
    for part in (*storage.keys, *storage.values):
        part.fill_(torch.nan)  # what was never written must not be looked at
    places, done = [120, 0, 60], [0, 0, 0]
    talks = torch.randint(0, 97, (3, 60), generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        for step in pieces:
            order = sorted(range(3), key=lambda at: step[at] > 1)
            spans = [Span(places[at], done[at], step[at]) for at in order]
            tokens = torch.cat([talks[at, span.past : span.total] for at, span in zip(order, spans, strict=True)])
            found = packed.forward(model, tokens[None], Pack(spans, storage, together), [0, 1, 2])
            done = [before + count for before, count in zip(done, step, strict=True)]
        expected = torch.stack([reference(talks[None, at, : done[at]]).logits[0, -1] for at in order])

    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["Llama", "Mistral with a window"])
def test_what_candidates_have_in_common_is_read_once(name: str) -> None:
    """From the first of them: of the others' copies nothing is looked at, and their scores are those of each alone. A
    stranger lies between, and one of them has not gone as far."""
    reference, model = build(name), build(name)
    packed.prepare(model)
    storage = Arena(*shape(model.config), 512, torch.float32, "cpu").storage
    dice = torch.Generator().manual_seed(1)
    beginning = torch.randint(0, 97, (70,), generator=dice)
    talks = [torch.cat([beginning, torch.randint(0, 97, (more,), generator=dice)]) for more in (9, 3, 1)]
    talks.insert(1, torch.randint(0, 97, (20,), generator=dice))
    places, same = [0, 100, 200, 300], [0, 0, 70, 68]
    order, windows = [1, 0, 2, 3], name != "Llama"
    with torch.inference_mode():
        for at, talk in zip(places, talks, strict=True):
            packed.forward(model, talk[None, :-1], Pack([Span(at, 0, len(talk) - 1)], storage, False), [])
        for part in (*storage.keys, *storage.values) if not windows else ():
            part[:, 200:268] = part[:, 300:368] = torch.nan
        spans = [Span(places[at], len(talks[at]) - 1, 1, same[at]) for at in order]
        pack = Pack(spans, storage, False)
        tokens = torch.stack([talks[at][-1] for at in order])[None]
        found = packed.forward(model, tokens, pack, [0, 1, 2, 3])
        expected = torch.stack([reference(talks[at][None]).logits[0, -1] for at in order])

    assert [(1, 0), (3, 68)] == [(len(group), common) for group, common in pack.groups]
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_a_short_beginning_and_coarse_numbers_are_read_one_by_one() -> None:
    """To put them together costs more than it saves; and was tried in float32 alone."""
    for dtype, same in ((torch.float32, packed.SHARED - 1), (torch.bfloat16, 90)):
        storage = Arena(1, 1, 8, 512, dtype, "cpu").storage
        pack = Pack([Span(0, 100, 1), Span(200, 100, 1, same)], storage, False)
        assert [0, 0] == [common for _, common in pack.groups]
