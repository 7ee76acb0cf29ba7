"""Puts LoRA slots into a model: its linear layers stay what they are, and add what each token's LoRA makes of it.

Linears that read the same input are computed as one. Models are found their way around in by names: whatever has
`layers` with linears called as the targets are.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worker.lora.slots import Group, Mix

Pack = Callable[[Tensor, Tensor | None], nn.Module | None]  # weights and biases of a linear → what multiplies by them


class Adds(Protocol):
    """Whoever adds LoRAs to what linears make: the serving slots, or those that learn."""

    @property
    def groups(self) -> Sequence[Group]: ...

    @property
    def mix(self) -> Mix: ...

    def add(self, y: Tensor, x: Tensor, group: Group, layer: int) -> Tensor:
        """`y` [T, out] and what each token's LoRA makes of `x` [T, in]; what `y` was may be gone."""


def linears(layer: nn.Module) -> dict[str, tuple[nn.Module, nn.Module]]:
    """The linears of a decoder layer by their last name, and whose they are. Names that come twice (experts) are left
    out."""
    found: dict[str, list[tuple[nn.Module, nn.Module]]] = {}
    for path, module in layer.named_modules():
        if isinstance(module, nn.Linear):
            above, _, name = path.rpartition(".")
            found.setdefault(name, []).append((layer.get_submodule(above), module))
    return {name: modules[0] for name, modules in found.items() if len(modules) == 1}


def layers(model: Any) -> nn.ModuleList:
    """The decoder layers of a causal model."""
    found: nn.ModuleList = model.get_decoder().layers
    return found


def install(model: Any, slots: Adds, pack: Pack | None = None) -> None:
    """Replace the linears that the slots' shape names. Afterwards the model's forward adds LoRAs by `slots.mix`.

    `pack` may hold their weights in another form; then they are kept in no other, and under no name.
    """
    for at, layer in enumerate(layers(model)):
        here = linears(layer)
        for group in slots.groups:
            whole = _Whole([here[name][1] for name in group.targets], slots, group, at, pack)
            for part, name in enumerate(group.targets):
                setattr(here[name][0], name, _Part(whole, part, here[name][1]))


class _Whole:
    """Linears with one input as one, with LoRAs. Their weights become views of it, so nothing is kept twice."""

    def __init__(
        self, parts: list[nn.Module], slots: Adds, group: Group, layer: int, pack: Pack | None = None
    ) -> None:  # fmt: skip
        self._slots, self._group, self._layer = slots, group, layer
        self._only = parts[0] if len(parts) == 1 else None  # as it is: it may be quantised
        self._weight: Tensor | None = None
        self._bias: Tensor | None = None
        if self._only is None:
            self._fuse(parts)
        self.packed = pack is not None and self._pack(parts[0], pack)
        self._left: list[Tensor] = []

    def _fuse(self, parts: list[nn.Module]) -> None:
        weights: list[Any] = [part.weight for part in parts]
        biases: list[Any] = [part.bias for part in parts]
        self._weight = torch.cat([weight.detach() for weight in weights])
        if any(bias is not None for bias in biases):
            none = [weight.new_zeros(len(weight)) for weight in weights]
            self._bias = torch.cat([zero if bias is None else bias for bias, zero in zip(biases, none, strict=True)])
        views = torch.split_with_sizes(self._weight, [len(weight) for weight in weights])
        for weight, view in zip(weights, views, strict=True):
            weight.data = view

    def _pack(self, first: Any, pack: Pack) -> bool:
        """Whether it could be."""
        weight = first.weight.detach() if self._weight is None else self._weight
        found = pack(weight, first.bias if self._weight is None else self._bias)
        if found is None:
            return False
        self._only, self._weight, self._bias = found, None, None
        return True

    def part(self, at: int, x: Tensor) -> Tensor:
        """The output of one of them. The first computes all, and the others, which are called next, only take it."""
        if at == 0:
            y = self._whole(x)
            if self._slots.mix.ones or self._slots.mix.runs:
                flat = self._slots.add(y.view(-1, y.shape[-1]), x.view(-1, x.shape[-1]), self._group, self._layer)
                y = flat.view(y.shape)
            self._left = list(torch.split_with_sizes(y, self._group.outs, -1))[::-1]
        return self._left.pop()

    def _whole(self, x: Tensor) -> Tensor:
        if self._weight is not None:
            return F.linear(x, self._weight, self._bias)
        assert self._only is not None, "there is one linear, or they were fused or packed"
        made: Tensor = self._only(x)
        return made


class _Part(nn.Module):
    """Stands where a linear stood."""

    weight: nn.Parameter | None
    bias: nn.Parameter | None

    def __init__(self, whole: _Whole, at: int, linear: Any) -> None:
        super().__init__()
        self._whole, self._at = whole, at
        self.weight, self.bias = (None, None) if whole.packed else (linear.weight, linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self._whole.part(self._at, x)
