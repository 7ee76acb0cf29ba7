"""worker/lora/slots.py and linears.py: every token gets what its LoRA makes of it, and nothing of another's."""

import itertools
from collections.abc import Sequence

import msgspec
import pytest
import torch
from torch import Tensor

from tests.fakes.engines import fresh
from tests.fakes.loras import ALL, SIZES, TINY, weights
from worker.lora.files import PLACES, Weights
from worker.lora.linears import install, layers
from worker.lora.slots import FEW, Mix, Slots, mixed

EVERYTHING = msgspec.structs.replace(TINY, targets=ALL)
LORAS = [weights(EVERYTHING, rank, ALL, seed=rank, version=f"v{rank}") for rank in (1, 4, 8)]


def slots(count: int = 4, gather: bool = False, loras: Sequence[Weights] = LORAS) -> Slots:
    held = Slots(EVERYTHING, count, torch.float32, "cpu", gather=gather)
    assert all(held.load(lora) for lora in loras)
    return held


def pinned(held: Slots, lora: Weights) -> int:
    slot = held.pin(lora.version)
    assert slot is not None
    return slot


def made(x: Tensor, lora: Weights | None, layer: int, targets: Sequence[str]) -> Tensor:
    """The definition: B (A x), target by target."""
    outs = []
    for target in targets:
        part = lora.parts.get((layer, target)) if lora else None
        outs.append(x @ part[0].T @ part[1].T if part else x.new_zeros(len(x), SIZES[target][1]))
    return torch.cat(outs, -1)


@pytest.mark.parametrize("gather", [False, True], ids=["bags", "gather"])
def test_every_token_gets_its_own_lora(gather: bool) -> None:
    """In any order, one of them twice, some with none, single tokens and runs, in every layer and group."""
    held, dice = slots(gather=gather), torch.Generator().manual_seed(1)
    spans = [
        (1, LORAS[2]),
        (1, LORAS[0]),
        (1, LORAS[2]),
        (1, LORAS[1]),
        (1, None),
        (7, LORAS[1]),
        (5, None),
        (2, LORAS[0]),
    ]
    held.mix = mixed([(count, pinned(held, lora) if lora else None) for count, lora in spans])
    for group, layer in itertools.product(held.groups, range(EVERYTHING.layers)):
        x = torch.randn(sum(count for count, _ in spans), group.size, generator=dice)
        y = torch.randn(len(x), sum(group.outs), generator=dice)
        pieces = zip(x.split([count for count, _ in spans]), spans, strict=True)  # type: ignore[no-untyped-call]
        expected = y + torch.cat([made(piece, lora, layer, group.targets) for piece, (_, lora) in pieces])
        held.add(y, x, group, layer)

        torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-4)


def test_a_smaller_lora_leaves_nothing_of_the_one_before() -> None:
    """Neither of its higher rank, nor of linears that it does not have."""
    small = weights(EVERYTHING, 2, ("v_proj",), seed=9, version="small")
    held = slots(1, loras=[LORAS[2]])
    assert held.load(small)
    held.mix = Mix((pinned(held, small),))
    for group, layer in itertools.product(held.groups, range(EVERYTHING.layers)):
        x = torch.randn(1, group.size)
        y = torch.zeros(1, sum(group.outs))
        held.add(y, x, group, layer)

        torch.testing.assert_close(y, made(x, small, layer, group.targets), rtol=1e-4, atol=1e-4)


def test_the_longest_unused_goes_and_none_that_is_in_use() -> None:
    """When all are in use, there is no room."""
    held = slots(3)
    pinned(held, LORAS[0])
    more = [weights(EVERYTHING, 1, seed=n, version=f"m{n}") for n in range(3)]

    assert held.load(more[0])
    assert {"v1", "v8", "m0"} == set(held.resident)
    assert held.pin("v4") is None
    assert held.pin("v8") is not None
    assert held.load(more[1])
    assert {"v1", "v8", "m1"} == set(held.resident)
    pinned(held, more[1])
    assert not held.load(more[2])
    held.release("v8")
    assert held.load(more[2])
    assert {"v1", "m1", "m2"} == set(held.resident)


def test_slots_take_the_bytes_of_their_loras_and_no_more() -> None:
    """At full rank, less than a twentieth beside it."""
    held = Slots(EVERYTHING, 32, torch.float32, "cpu")
    each = Slots.bytes_each(EVERYTHING, torch.float32)

    assert each == sum(a.nbytes + b.nbytes for a, b in LORAS[2].parts.values())
    assert 32 * each <= held.bytes() <= 1.05 * 32 * each


def test_a_model_with_slots_and_no_loras_says_what_it_said() -> None:
    """And holds its weights once: the fused ones are where the single ones were."""
    plain, changed = fresh().model, fresh().model
    install(changed, Slots(EVERYTHING, 2, torch.float32, "cpu"))
    tokens = torch.tensor([[5, 6, 7, 8]])
    attention = layers(changed)[0].self_attn
    storages = {
        part.weight.untyped_storage().data_ptr() for part in (attention.q_proj, attention.k_proj, attention.v_proj)
    }

    with torch.inference_mode():
        torch.testing.assert_close(plain(tokens).logits, changed(tokens).logits)
    assert 1 == len(storages)
    for layer, target in LORAS[2].parts:
        place = f"model.layers.{layer}.{PLACES[target]}.weight"
        assert torch.equal(plain.state_dict()[place], changed.state_dict()[place])


def test_a_few_tokens_go_one_by_one_and_many_as_a_run() -> None:
    """The single ones lie first; nobody without a LoRA is among them."""
    mix = mixed([(1, 3), (2, 1), (1, None), (FEW + 1, 2), (9, None)])

    assert ((3, 1, 1), ((4, FEW + 1, 2),)) == (mix.ones, mix.runs)


def test_a_long_reply_s_lora_was_used_until_it_ended() -> None:
    """Not only when it began: another goes before it."""
    held = slots(2, loras=LORAS[:2])
    for lora in LORAS[:2]:
        pinned(held, lora)
    held.release("v4")
    held.release("v1")

    assert ("v4", "v1") == held.resident
    assert held.load(LORAS[2])
    assert held.pin("v1") is not None
