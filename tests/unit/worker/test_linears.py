"""worker/lora/linears.py: a model with slots is the model that it was, and with a LoRA the one that is merged."""

import copy
from typing import Any

import msgspec
import pytest
import torch
from torch import Tensor, nn
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

from tests.fakes.loras import ALL, SIZES, TINY, weights
from worker.lora.files import PLACES, Shape, Weights
from worker.lora.linears import install, layers, linears
from worker.lora.slots import Mix, Slots, mixed

SMALL = {
    "vocab_size": 97, "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 12, "initializer_range": 0.3, "tie_word_embeddings": True,
}  # fmt: skip
KINDS = {"biases": (Qwen2ForCausalLM, Qwen2Config), "norms": (Qwen3ForCausalLM, Qwen3Config)}
TARGETS = {
    "all": ALL,
    "some that are computed as one": ("q_proj", "k_proj", "v_proj", "down_proj"),
    "parts of what is computed as one": ("q_proj", "v_proj", "up_proj"),
}
TOKENS = torch.randint(0, 97, (1, 24), generator=torch.Generator().manual_seed(7))


def build(kind: str = "biases") -> Any:
    torch.manual_seed(3)
    model, config = KINDS[kind]
    made = model(config(**SMALL)).eval().requires_grad_(False)
    for name, parameter in made.named_parameters():
        if name.endswith("bias"):  # they begin as zeros, which would prove nothing
            parameter.normal_()
    return made


def of(targets: tuple[str, ...]) -> Shape:
    return msgspec.structs.replace(TINY, targets=targets)


def merged(model: Any, lora: Weights) -> Any:
    """The definition: W + B A."""
    other = copy.deepcopy(model)
    for (layer, target), (a, b) in lora.parts.items():
        other.get_submodule(f"model.layers.{layer}.{PLACES[target]}").weight += b @ a
    return other


def scores(model: Any, tokens: Tensor = TOKENS) -> Tensor:
    with torch.inference_mode():
        found: Tensor = model(tokens, use_cache=False).logits
    return found


def hidden(model: Any, tokens: Tensor) -> Tensor:
    """What the first layer's MLP makes of each token: no attention, so that none hears of another one's LoRA."""
    mlp: Tensor = layers(model)[0].mlp(model.get_input_embeddings()(tokens))
    return mlp


@pytest.mark.parametrize("fuse", [True, False], ids=["fused", "single"])
@pytest.mark.parametrize("gather", [True, False], ids=["gather", "bags"])
@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_with_a_lora_in_its_slot_is_the_merged_one(kind: str, targets: str, gather: bool, fuse: bool) -> None:
    """As a run of tokens and token by token; and without one it is the base."""
    plain, model, shape = build(kind), build(kind), of(TARGETS[targets])
    loras = [weights(shape, rank, TARGETS[targets], seed=rank, version=f"v{rank}") for rank in (3, 8)]
    slots = Slots(shape, 3, torch.float32, "cpu", fuse=fuse, gather=gather)
    install(model, slots)
    assert all(slots.load(lora) for lora in loras)

    torch.testing.assert_close(scores(model), scores(plain), rtol=1e-4, atol=1e-4)
    for lora in loras:
        slot, expected = slots.pin(lora.version), scores(merged(plain, lora))
        for mix in (mixed([(24, slot)]), Mix((slot or 0,) * 24)):
            slots.mix = mix
            torch.testing.assert_close(scores(model), expected, rtol=1e-3, atol=1e-3)
        assert float((expected - scores(plain)).abs().max()) > 0.1, "else it would prove nothing"


def test_tokens_with_different_loras_and_with_none_lie_side_by_side() -> None:
    """Each as if its model were merged for it."""
    plain, model, shape = build(), build(), of(ALL)
    loras = [weights(shape, 4, ALL, seed=seed, version=f"v{seed}") for seed in (1, 2)]
    slots = Slots(shape, 2, torch.float32, "cpu")
    install(model, slots)
    assert all(slots.load(lora) for lora in loras)
    one, two = slots.pin("v1"), slots.pin("v2")
    slots.mix = mixed([(1, two), (1, one), (1, None), (8, one), (6, None), (7, two)])
    whose = [1, 0, None, *[0] * 8, *[None] * 6, *[1] * 7]
    with torch.inference_mode():
        alone = [hidden(merged(plain, lora), TOKENS)[0] for lora in loras]
        base = hidden(plain, TOKENS)[0]
        found = hidden(model, TOKENS)[0]
    expected = torch.stack([base[at] if lora is None else alone[lora][at] for at, lora in enumerate(whose)])

    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_no_weight_is_kept_twice_and_all_are_found_under_their_names() -> None:
    """Of a model with biases, all linears replaced."""
    plain, model = build(), build()
    install(model, Slots(of(ALL), 1, torch.float32, "cpu"))
    state, before = model.state_dict(), plain.state_dict()

    assert before.keys() == state.keys()
    assert all(torch.equal(before[name], tensor) for name, tensor in state.items())
    assert kept(plain) == kept(model)


def kept(model: Any) -> int:
    """Bytes of all memory behind a model's weights."""
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage() for tensor in model.state_dict().values()}
    fused = [part._whole._weight for part in model.modules() if hasattr(part, "_whole")]
    storages |= {one.untyped_storage().data_ptr(): one.untyped_storage() for one in fused if one is not None}
    return sum(storage.nbytes() for storage in storages.values())


def test_linears_that_need_not_be_fused_are_called_as_they_are() -> None:
    """A quantised one knows itself how it multiplies."""
    model, calls = build(), list[str]()
    for layer in layers(model):
        for name, (_, linear) in linears(layer).items():
            linear.register_forward_hook(lambda *_, name=name: calls.append(name))
    install(model, Slots(of(ALL), 1, torch.float32, "cpu", fuse=False))
    scores(model)

    assert sorted(ALL * 2) == sorted(calls)


def test_a_forward_that_broke_off_leaves_nothing_to_the_next() -> None:
    """Out of memory between the queries and the values, for one."""
    plain, model = build(), build()
    install(model, Slots(of(ALL), 1, torch.float32, "cpu"))
    for x in (torch.randn(1, 3, SIZES["q_proj"][0]), torch.randn(1, 5, SIZES["q_proj"][0])):
        layers(model)[0].self_attn.q_proj(x)
        layers(model)[1].mlp.gate_proj(x)

    torch.testing.assert_close(scores(model), scores(plain), rtol=1e-4, atol=1e-4)


def test_of_linears_with_the_same_name_none_is_found() -> None:
    """Experts: there is no telling which a LoRA means."""
    expert = nn.ModuleDict({"up_proj": nn.Linear(4, 4)})
    layer = nn.ModuleDict({"attn": nn.ModuleDict({"q_proj": nn.Linear(4, 4)}), "a": expert, "b": copy.deepcopy(expert)})
    found = linears(layer)

    assert {"q_proj"} == found.keys()
    assert layer["attn"] is found["q_proj"][0]
