"""worker/lora/compare.py: how far two LoRAs are from each other."""

import pytest
import torch

from core.errors import LoraError
from tests.fakes.loras import ALL, TINY, put, weights, write
from worker.lora.compare import changes


def test_sizes_and_distance_are_those_of_what_is_added(tmp_path):
    """The same as with both products written out; rank and scale may differ."""
    first, second = write(tmp_path / "a", rank=2, seed=1), write(tmp_path / "b", rank=4, seed=2, alpha=16)
    ours, theirs = weights(rank=2, seed=1).parts, weights(rank=4, seed=2, alpha=16).parts
    whole = [(ours[at][1] @ ours[at][0], theirs[at][1] @ theirs[at][0]) for at in ours]
    sizes = [torch.cat([one.flatten() for one in side]).norm().item() for side in zip(*whole, strict=True)]
    apart = torch.cat([(one - other).flatten() for one, other in whole]).norm().item()
    found = changes(first, second)[-1]

    assert pytest.approx([*sizes, apart], rel=1e-5) == [found.first, found.second, found.distance]
    assert pytest.approx(apart / sizes[0], rel=1e-5) == found.relative


def test_groups_of_layers_and_kinds_of_linears_are_apart(tmp_path):
    """What one of them does not touch counts as nothing there."""
    found = changes(write(tmp_path / "a", seed=1), write(tmp_path / "b", seed=1, targets=ALL))

    assert [("0", "attention"), ("0", "mlp"), ("1", "attention"), ("1", "mlp"), ("all", "all")] == [
        (one.layers, one.linears) for one in found
    ]
    assert 0 == pytest.approx(found[0].distance, abs=1e-5)
    assert found[2].distance > 1  # in the second layer the fakes are other numbers
    assert [0, 0] == [one.first for one in found[1:4:2]]
    assert float("inf") == found[1].relative


def test_one_and_itself_are_not_apart(tmp_path):
    """Nor by how the numbers are rounded."""
    folder = write(tmp_path / "a", TINY, targets=ALL)

    assert [0.0] * 5 == pytest.approx([one.relative for one in changes(folder, folder)], abs=1e-6)


def test_what_cannot_be_compared_is_said(tmp_path):
    """Another model's sizes, a file that is no LoRA's, one that is cut short."""
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_{}.weight"
    here = write(tmp_path / "a", seed=1)
    wide = put(tmp_path / "w", {name.format("A"): torch.ones(4, 96), name.format("B"): torch.ones(96, 4)})
    bare = put(tmp_path / "n", {"x": torch.ones(1)})
    cut = write(tmp_path / "c")
    (cut / "adapter_model.safetensors").write_bytes(b"12345")

    for other, said in ((wide, "different sizes"), (bare, "holds no weights"), (cut, "broken or cut short")):
        with pytest.raises(LoraError, match=said):
            changes(here, other)
