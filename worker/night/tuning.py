"""LoRAs while they are being learned: parameters with gradients, many side by side, in the place of the serving slots.

Knows tensors and the linears' shape, neither losses nor examples. Rows of several LoRAs may lie in one forward, each
run of tokens with its own.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from worker.lora.files import Shape, Weights
from worker.lora.slots import Group, Mix, Slots

SCALE = 2.0  # of B @ A, as with peft's usual lora_alpha = 2 r: so that the usual learning rates fit


class Tuning:
    """`count` LoRAs of a shape. A is random and B zero at the start, so that nothing is changed yet (LoRA, Hu 2021)."""

    def __init__(self, shape: Shape, count: int, device: str, seed: int) -> None:
        self.shape, self.count, self.device = shape, count, device
        self.mix = Mix()
        dice = torch.Generator().manual_seed(seed)
        self._parts: dict[tuple[int, str], tuple[Tensor, Tensor]] = {}
        for layer in range(shape.layers):
            for target in shape.targets:
                into, out = shape.sizes[target]
                bound = math.sqrt(3.0 / into)
                a = (torch.rand(count, into, shape.rank, generator=dice) * 2 - 1) * bound / math.sqrt(3.0)
                b = torch.zeros(count, shape.rank, out)
                self._parts[layer, target] = (a.to(device).requires_grad_(), b.to(device).requires_grad_())

    def parameters(self) -> Iterator[Tensor]:
        """All that is learned, [count, …] each, float32."""
        for pair in self._parts.values():
            yield from pair

    def add(self, y: Tensor, x: Tensor, group: Group, layer: int) -> None:
        """Add to `y` [T, out] what each run's LoRA makes of `x` [T, in], by `mix.runs`."""
        assert not self.mix.ones, "rows are learned whole"
        start = 0
        for target, out in zip(group.targets, group.outs, strict=True):
            a, b = (part.to(x.dtype) for part in self._parts[layer, target])
            for first, count, slot in self.mix.runs:
                rows = slice(first, first + count)
                y[rows, start : start + out].add_((x[rows] @ a[slot]) @ b[slot], alpha=SCALE)
            start += out

    def weights(self, version: str, slot: int = 0) -> Weights:
        """One of them as a file holds it: the scale is in B."""
        parts = {
            place: (a[slot].detach().T.float().cpu().contiguous(), b[slot].detach().T.float().cpu() * SCALE)
            for place, (a, b) in self._parts.items()
        }
        return Weights(version, self.shape.rank, parts)

    @torch.no_grad()
    def copy(self) -> "Tuning":
        """As it is now, without gradients."""
        other = object.__new__(Tuning)
        other.shape, other.count, other.device, other.mix = self.shape, self.count, self.device, Mix()
        other._parts = {place: (a.detach().clone(), b.detach().clone()) for place, (a, b) in self._parts.items()}
        return other

    @torch.no_grad()
    def fill(self, parts: Sequence[Tensor]) -> None:
        """Take these values, in the order of `parameters`."""
        for mine, given in zip(self.parameters(), parts, strict=True):
            mine.copy_(given)

    @torch.no_grad()
    def begin_with(self, weights: Weights, slot: int = 0) -> None:
        """Go on from a LoRA that was learned before."""
        for place, (a, b) in self._parts.items():
            if place in weights.parts:
                down, up = weights.parts[place]
                a[slot, :, : len(down)] = down.T.to(a.device)
                b[slot, : len(down)] = up.T.to(b.device) / SCALE


class Both:
    """What a model's linears are given: the slots that serve, or the LoRAs that are being learned (`now`)."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.groups = slots.groups
        self.now: Slots | Tuning = slots

    @property
    def mix(self) -> Mix:
        """Whose LoRA each token is read with."""
        return self.now.mix

    def add(self, y: Tensor, x: Tensor, group: Group, layer: int) -> None:
        """As `Slots.add`."""
        self.now.add(y, x, group, layer)
