"""Many LoRAs in one forward: the weights of all that are resident, stacked, and each token finds its own.

A slot is a place for one LoRA in tensors that are made once. Loading copies into a slot; the least recently used goes,
and none that a reply is being written with. Knows tensors; which version a persona serves with is decided elsewhere.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from worker.lora.files import Shape, Weights

# Targets that read the same input are computed as one, in this order.
TOGETHER = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
FEW = 4  # tokens: up to so many of one conversation are cheaper token by token


@dataclass(frozen=True, eq=False)
class Group:
    """Targets of a layer with one input, `size` numbers wide. Their outputs lie side by side, in blocks of a width."""

    targets: tuple[str, ...]
    size: int
    outs: tuple[int, ...]

    @cached_property
    def width(self) -> int:
        """Of a block: so that every target is a whole number of them."""
        return math.gcd(*self.outs)

    @cached_property
    def of(self) -> tuple[int, ...]:
        """The target that each block belongs to."""
        return tuple(at for at, out in enumerate(self.outs) for _ in range(out // self.width))


def grouped(shape: Shape, fuse: bool = True) -> tuple[Group, ...]:
    """The targets of a shape, those with one input together."""
    left, groups = list(shape.targets), list[tuple[str, ...]]()
    for names in TOGETHER if fuse else ():
        here = tuple(name for name in names if name in left)
        if here == names:
            groups.append(here)
            left = [name for name in left if name not in here]
    groups += [(name,) for name in left]
    return tuple(Group(g, shape.sizes[g[0]][0], tuple(shape.sizes[name][1] for name in g)) for g in groups)


@dataclass(eq=False)
class Mix:
    """Whose LoRA each token of a step is read with: slots of the first tokens, one each, then of runs of tokens."""

    ones: tuple[int, ...] = ()
    runs: tuple[tuple[int, int, int], ...] = ()  # (first token, count, slot)
    places: dict[object, tuple[Tensor, Tensor]] = field(default_factory=dict)  # worked out once in a step


class Slots:
    """`count` places for LoRAs of a shape. `gather`: as GPUs like it (weights are copied); else without any copy."""

    def __init__(
        self, shape: Shape, count: int, dtype: torch.dtype, device: str, *, fuse: bool = True, gather: bool = False
    ) -> None:
        self.shape, self.count, self.groups = shape, count, grouped(shape, fuse)
        self._gather, self._device = gather, device
        rank = shape.rank
        self._down = {
            group: [
                torch.zeros(count, group.size, len(group.outs) * rank, dtype=dtype, device=device)
                for _ in range(shape.layers)
            ]
            for group in self.groups
        }
        self._up = {
            group: [
                torch.zeros(count, len(group.of), rank, group.width, dtype=dtype, device=device)
                for _ in range(shape.layers)
            ]
            for group in self.groups
        }
        self._of = {group: torch.tensor(group.of, device=device) for group in self.groups}
        self._slots: dict[str, int] = {}  # by version, the least recently used first
        self._pins: dict[str, int] = {}
        self.mix = Mix()

    @property
    def resident(self) -> tuple[str, ...]:
        """Versions that are ready, the least recently used first."""
        return tuple(self._slots)

    def pin(self, version: str) -> int | None:
        """The slot of a version, which stays until it is released as often as pinned. None: it is not resident."""
        if version not in self._slots:
            return None
        self._slots[version] = self._slots.pop(version)
        self._pins[version] = self._pins.get(version, 0) + 1
        return self._slots[version]

    def release(self, version: str) -> None:
        """One reply less that needs it."""
        self._pins[version] -= 1
        if not self._pins[version]:
            del self._pins[version]
            self._slots[version] = self._slots.pop(version)

    def load(self, weights: Weights) -> bool:
        """Copy a LoRA into a slot. False: all of them are in use."""
        if weights.version in self._slots:
            return True
        slot = self._free()
        if slot is None:
            return False
        for group in self.groups:
            for layer in range(self.shape.layers):
                self._fill(slot, group, layer, weights)
        self._slots[weights.version] = slot
        return True

    def _free(self) -> int | None:
        if len(self._slots) < self.count:
            return next(slot for slot in range(self.count) if slot not in self._slots.values())
        idle = next((version for version in self._slots if version not in self._pins), None)
        return None if idle is None else self._slots.pop(idle)

    def _fill(self, slot: int, group: Group, layer: int, weights: Weights) -> None:
        down, up, rank = self._down[group][layer][slot], self._up[group][layer][slot], self.shape.rank
        parts = [weights.parts.get((layer, target)) for target in group.targets]
        if not all(part and len(part[0]) == rank for part in parts):  # else what was there before would stay
            down.zero_()
            up.zero_()
        block = 0
        for at, (part, out) in enumerate(zip(parts, group.outs, strict=True)):
            blocks = out // group.width
            if part:
                a, b = part
                down[:, at * rank : at * rank + len(a)] = a.T
                up[block : block + blocks, : len(a)] = b.view(blocks, group.width, len(a)).transpose(1, 2)
            block += blocks

    def add(self, y: Tensor, x: Tensor, group: Group, layer: int) -> Tensor:
        """Add to `y` [T, out] what each token's LoRA makes of `x` [T, in], by `mix`."""
        down, up = self._down[group][layer], self._up[group][layer]
        if self.mix.ones:
            count = len(self.mix.ones)
            each = self._gathered if self._gather else self._bagged
            y[:count] += each(x[:count], group, down, up)
        for first, count, slot in self.mix.runs:
            h = (x[first : first + count] @ down[slot]).view(count, len(group.outs), -1).transpose(0, 1)
            made = torch.bmm(h[self._of[group]], up[slot])
            y[first : first + count].view(count, -1, group.width).add_(made.transpose(0, 1))
        return y

    def _bagged(self, x: Tensor, group: Group, down: Tensor, up: Tensor) -> Tensor:
        """Tokens with a LoRA each: a bag sums rows of a table by weight, which is a product with a slot's matrix that
        copies nothing, whatever slots they are. (8 tokens of 576 into 24, one thread: 9 µs; copy and bmm: 58.)"""
        rows, places, starts = self._bags(("down", group.size), group.size, 1)
        h = _bag(down.view(rows, -1), places, starts, x)
        rows, places, starts = self._bags(("up", group), self.shape.rank, len(group.of))
        h = h.view(len(x), len(group.outs), -1)
        if len(group.of) > len(group.outs):
            h = h.index_select(1, self._of[group])
        return _bag(up.view(rows, -1), places, starts, h).view(len(x), -1)

    def _bags(self, key: object, size: int, blocks: int) -> tuple[int, Tensor, Tensor]:
        """(rows of the table, which rows each bag sums, where each bag begins) for bags of `size` rows."""
        if key not in self.mix.places:
            slots = torch.tensor(self.mix.ones, dtype=torch.int32, device=self._device)
            steps = torch.arange(blocks * size, dtype=torch.int32, device=self._device)
            places = (slots[:, None] * (blocks * size) + steps[None]).view(-1)
            starts = torch.arange(0, len(places), size, dtype=torch.int32, device=self._device)
            self.mix.places[key] = (places, starts)
        return self.count * blocks * size, *self.mix.places[key]

    def _gathered(self, x: Tensor, group: Group, down: Tensor, up: Tensor) -> Tensor:
        """The same by copying each token's matrices out."""
        if "slots" not in self.mix.places:
            slots = torch.tensor(self.mix.ones, device=self._device)
            self.mix.places["slots"] = (slots, slots)
        slots, _ = self.mix.places["slots"]
        h = torch.bmm(x[:, None], down[slots]).view(len(x), len(group.outs), 1, -1)[:, self._of[group]]
        made = torch.bmm(h.flatten(0, 1), up[slots].flatten(0, 1))
        return made.view(len(x), -1)

    @staticmethod
    def bytes_each(shape: Shape, dtype: torch.dtype) -> int:
        """Memory of one slot."""
        sizes = (shape.sizes[target] for target in shape.targets)
        return shape.layers * shape.rank * dtype.itemsize * sum(into + out for into, out in sizes)

    def bytes(self) -> int:
        """Memory of all slots, and of everything that belongs to them."""
        tensors = [t for tables in (self._down, self._up) for layers in tables.values() for t in layers]
        tensors += [*self._of.values(), *(t for pair in self.mix.places.values() for t in pair)]
        return sum(t.numel() * t.element_size() for t in tensors)


def _bag(table: Tensor, places: Tensor, starts: Tensor, weights: Tensor) -> Tensor:
    """Each bag's rows of the table, summed by weight: [bags, columns]."""
    made: Tensor = torch.embedding_bag(table, places, starts, False, 0, False, weights.reshape(-1))[0]
    return made


def mixed(spans: Sequence[tuple[int, int | None]]) -> Mix:
    """The mix of packed spans (count, slot or None for the base), those of one token and a slot first."""
    ones: list[int] = []
    runs: list[tuple[int, int, int]] = []
    at = 0
    for count, slot in spans:
        if slot is not None and count <= FEW and len(ones) == at:
            ones += [slot] * count
        elif slot is not None:
            runs.append((at, count, slot))
        at += count
    return Mix(tuple(ones), tuple(runs))
