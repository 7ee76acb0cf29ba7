"""LoRAs of random weights for a given shape: in memory, and as the folders that peft writes."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from worker.lora.files import PLACES, Shape, Weights

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
ALL = (*ATTENTION, "gate_proj", "up_proj", "down_proj")
SIZES = {
    "q_proj": (48, 48), "k_proj": (48, 24), "v_proj": (48, 24), "o_proj": (48, 48),
    "gate_proj": (48, 96), "up_proj": (48, 96), "down_proj": (96, 48),
}  # fmt: skip
TINY = Shape(names=("tiny",), layers=2, sizes=SIZES, targets=ATTENTION, rank=8)  # of `tests.fakes.tiny.tiny()`


def write(
    folder: Path,
    shape: Shape = TINY,
    rank: int = 4,
    targets: Sequence[str] = ATTENTION,
    seed: int = 0,
    alpha: float = 8,
    base: str = "tiny",
) -> Path:
    """A folder as peft writes it, with the same numbers as `weights(...)` has."""
    raw = matrices(shape, rank, targets, seed)
    named = {
        f"base_model.model.model.layers.{layer}.{PLACES[target]}.lora_{side}.weight": tensor
        for (layer, target), pair in raw.items()
        for side, tensor in zip("AB", pair, strict=True)
    }
    return put(folder, named, base_model_name_or_path=base, r=rank, lora_alpha=alpha, target_modules=list(targets))


def put(folder: Path, named: dict[str, Tensor], **config: Any) -> Path:
    """A folder of any tensors, and any settings over a plain LoRA's."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(named, folder / "adapter_model.safetensors", {"format": "pt"})
    plain = {"peft_type": "LORA", "base_model_name_or_path": "tiny", "r": 4, "lora_alpha": 8, "bias": "none"}
    (folder / "adapter_config.json").write_text(json.dumps({**plain, **config}), "utf-8")
    return folder


def weights(
    shape: Shape = TINY,
    rank: int = 4,
    targets: Sequence[str] = ATTENTION,
    seed: int = 0,
    alpha: float = 8,
    version: str = "fake",
) -> Weights:
    """The same in memory, with the scale in B."""
    raw = matrices(shape, rank, targets, seed)
    return Weights(version, rank, {place: (a, b * (alpha / rank)) for place, (a, b) in raw.items()})


def matrices(
    shape: Shape, rank: int, targets: Sequence[str], seed: int
) -> dict[tuple[int, str], tuple[Tensor, Tensor]]:
    """A and B by (layer, target): as large as to be heard over the tiny model's own weights."""
    random = torch.Generator().manual_seed(seed)
    return {
        (layer, target): (
            torch.randn(rank, shape.sizes[target][0], generator=random) / math.sqrt(shape.sizes[target][0]),
            torch.randn(shape.sizes[target][1], rank, generator=random) * 0.3,
        )
        for layer in range(shape.layers)
        for target in targets
    }
