"""Weights of linears in sixteen bits, on CPUs that compute in 32: a step that writes replies is as long as it takes to
read all weights, and so it has half to read. They are packed as FBGEMM multiplies them; sums are still of 32 bits.

SmolLM2-135M, one thread of a CPU with AVX2 and no more, memory shared with other work: all products of a step of one
reply 37 ms instead of 73, of four 38 (179), of eight 61 (210), of a prompt's 256 tokens 0.84 s (1.15). That model's
weights are the same numbers afterwards. Knows neither settings nor LoRAs.
"""

from typing import Any

import torch
from torch import Tensor, nn

MOST = 65504.0  # the greatest number of sixteen bits
ENOUGH = ("AVX2", "AVX512")


def able(device: str) -> bool:
    """Can this machine multiply by them, and does it gain by that? Where bfloat16 is computed in, that is better."""
    known = torch.backends.cpu.get_cpu_capability() in ENOUGH and torch.backends.quantized.engine in ("x86", "fbgemm")
    return device == "cpu" and known and hasattr(torch.ops.quantized, "linear_dynamic_fp16")


class _Half(nn.Module):
    """Stands where a linear stood."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self._packed = torch.ops.quantized.linear_prepack_fp16(weight, bias)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = torch.ops.quantized.linear_dynamic_fp16(x, self._packed)
        return made


def halved(weight: Tensor, bias: Tensor | None) -> nn.Module | None:
    """What multiplies by these weights, which may go then. None: they do not fit into sixteen bits."""
    return _Half(weight, bias) if float(weight.abs().amax()) <= MOST else None


def halve(model: Any) -> None:
    """The same for all linears of a model that are such still: the head, and those that take no LoRA."""
    for path, module in list(model.named_modules()):
        if type(module) is nn.Linear and (half := halved(module.weight.detach(), module.bias)):
            above, _, name = path.rpartition(".")
            setattr(model.get_submodule(above), name, half)
