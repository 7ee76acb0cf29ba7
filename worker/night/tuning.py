"""LoRAs while they are being learned: parameters with gradients, many side by side, in the place of the serving slots.

Knows tensors and the linears' shape, neither losses nor examples. Rows of several LoRAs may lie in one forward, each
run of tokens with its own.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from worker.lora.files import Shape, Weights
from worker.lora.slots import Group, Mix, Slots

SCALE = 2.0  # of B @ A, as with peft's usual lora_alpha = 2 r: so that the usual learning rates fit


class Tuning:
    """`count` LoRAs of a shape. A is random and B zero at the start, so that nothing is changed yet (LoRA, Hu 2021)."""

    def __init__(self, shape: Shape, count: int, device: str, seed: int, first: int = 0) -> None:
        self.shape, self.count, self.device, self.first = shape, count, device, first
        self.mix = Mix()
        dice = torch.Generator().manual_seed(seed)
        self._parts: dict[tuple[int, str], tuple[Tensor, Tensor]] = {}
        for layer in range(first, shape.layers):
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

    def add(self, y: Tensor, x: Tensor, group: Group, layer: int) -> Tensor:
        """`y` [T, out] with what each run's LoRA makes of `x` [T, in], by `mix.runs`."""
        assert not self.mix.ones, "rows are learned whole"
        if layer < self.first:
            return y
        parts = [part for target in group.targets for part in self._parts[layer, target]]
        found: Tensor = Added.apply(y, x, self.mix.runs, *parts)  # type: ignore[no-untyped-call]
        return found

    def weights(self, version: str, slot: int = 0) -> Weights:
        """One of them as a file holds it: the scale is in B."""
        parts = {
            place: (a[slot].detach().T.float().cpu().contiguous(), b[slot].detach().T.float().cpu() * SCALE)
            for place, (a, b) in self._parts.items()
        }
        return Weights(version, self.shape.rank, parts)

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


class Added(torch.autograd.Function):
    """`y` [T, out] with what LoRAs make of `x` [T, in]: `runs` of (first token, count, slot), and A and B
    of each target in turn. Written out, since a thousand small additions to slices, each with a gradient as large as
    the whole, took longer than the products themselves."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, x: Tensor, runs: Sequence[tuple[int, int, int]], *parts: Tensor) -> Tensor:
        """The A are [count, in, rank], the B [count, rank, out]."""
        down = torch.cat(parts[::2], -1).to(x.dtype)
        ups = [up.to(x.dtype) for up in parts[1::2]]
        y, inner = y.clone(), []
        for first, count, slot in runs:
            h = x[first : first + count] @ down[slot]
            outs = _pieces(y[first : first + count], ups, 2)
            for part, up, out in zip(_pieces(h, ups, 1), ups, outs, strict=True):
                out.addmm_(part, up[slot], alpha=SCALE)
            inner.append(h)
        ctx.runs = runs
        ctx.save_for_backward(x, down, *ups, *inner)
        return y

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        """Of a run, d is what comes back: for B it is h' d, for A x' (d B'), for x (d B') A'."""
        (dy,) = grads
        x, down, *rest = ctx.saved_tensors
        ups, inner = rest[: len(rest) - len(ctx.runs)], rest[len(rest) - len(ctx.runs) :]
        dx = x.new_zeros(x.shape)
        d_down, d_ups = torch.zeros_like(down), [torch.zeros_like(up) for up in ups]
        for (first, count, slot), h in zip(ctx.runs, inner, strict=True):
            rows, dh = slice(first, first + count), torch.empty_like(h)
            for part, mine, up, d_up, d in zip(
                *(_pieces(all, ups, 1) for all in (h, dh)), ups, d_ups, _pieces(dy[rows], ups, 2), strict=True
            ):
                mine.copy_((d @ up[slot].T).mul_(SCALE))
                d_up[slot].addmm_(part.T, d, alpha=SCALE)
            dx[rows] += dh @ down[slot].T
            d_down[slot].addmm_(x[rows].T, dh)
        downs = _pieces(d_down.float(), ups, 1)
        return dy, dx, None, *(one for pair in zip(downs, (up.float() for up in d_ups), strict=True) for one in pair)


def _pieces(whole: Tensor, ups: Sequence[Tensor], side: int) -> Sequence[Tensor]:
    """Each target's part of the last dimension, by the ranks (`side` 1) or the outputs (2) of their B."""
    return torch.split_with_sizes(whole, [up.shape[side] for up in ups], -1)


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

    def add(self, y: Tensor, x: Tensor, group: Group, layer: int) -> Tensor:
        """As `Slots.add`."""
        return self.now.add(y, x, group, layer)
