"""How far two LoRAs are from each other: what they add to the base, compared by groups of layers."""

import math
from collections import defaultdict
from pathlib import Path

import msgspec
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from core.errors import LoraError
from worker.lora.config import AGAIN, read_config
from worker.lora.files import NAME
from worker.lora.folders import CONFIG, WEIGHTS

GROUPS = 4  # of layers
ATTENTION = "attention"

Part = tuple[Tensor, Tensor]


class Change(msgspec.Struct, frozen=True):
    """What two LoRAs add to some linears. `size` of the first and of the second, and of what lies between them.

    Sizes are Frobenius norms; `relative` is the distance over the first one's size.
    """

    layers: str
    linears: str
    first: float
    second: float
    distance: float

    @property
    def relative(self) -> float:
        """1 is as far as from the first to the base."""
        return self.distance / self.first if self.first else math.inf if self.distance else 0.0


def changes(first: Path, second: Path) -> list[Change]:
    """Groups of layers from the first to the last, attention and MLP apart, and then all together. Raises LoraError."""
    ours, theirs = _parts(first), _parts(second)
    squares: defaultdict[tuple[int, str], list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    count = 1 + max(layer for layer, _ in {*ours, *theirs})
    for place in sorted({*ours, *theirs}):
        layer, target = place
        group = squares[layer * GROUPS // count, ATTENTION if _attends(target) else "mlp"]
        for at, square in enumerate(_squares(ours.get(place), theirs.get(place))):
            group[at] += square
    rows = [Change(_span(group, count), kind, *map(math.sqrt, sums)) for (group, kind), sums in sorted(squares.items())]
    return [*rows, Change("all", "all", *(math.sqrt(sum(sums)) for sums in zip(*squares.values(), strict=True)))]


def _span(group: int, count: int) -> str:
    """Which layers are in a group, from 0."""
    first, last = (-(-(group + step) * count // GROUPS) for step in (0, 1))
    return f"{first}-{last - 1}" if last - first > 1 else f"{first}"


def _attends(target: str) -> bool:
    return target.removesuffix("_proj") in ("q", "k", "v", "o", "qkv", "out")


def _parts(folder: Path) -> dict[tuple[int, str], Part]:
    """A and B of each linear in double precision, the scale in B."""
    config, file = read_config(folder / CONFIG), folder / WEIGHTS
    try:
        tensors = load_file(file)
    except OSError as error:
        raise LoraError(f"{file} cannot be read ({error.strerror or error})", "check its permissions") from error
    except (SafetensorError, ValueError, RuntimeError) as error:
        raise LoraError(f"{file} is broken or cut short ({error})", AGAIN) from error
    sides: defaultdict[tuple[int, str], dict[str, Tensor]] = defaultdict(dict)
    for name, tensor in tensors.items():
        if match := NAME.fullmatch(name):
            scale = config.scale(match[1].removeprefix("base_model.model.")) if match[4] == "B" else 1.0
            sides[int(match[2]), match[3]][match[4]] = tensor.double() * scale
    found = {place: (pair["A"], pair["B"]) for place, pair in sides.items() if len(pair) == 2}
    if not found:
        raise LoraError(f"{file} holds no weights", AGAIN)
    return found


def _squares(ours: Part | None, theirs: Part | None) -> tuple[float, float, float]:
    """The squared sizes of B @ A: of the first, of the second, and of their difference."""
    one, two = _product(ours, ours), _product(theirs, theirs)
    return one, two, max(0.0, one + two - 2 * _product(ours, theirs))


def _product(ours: Part | None, theirs: Part | None) -> float:
    """The inner product of two B @ A; neither is ever written out, for they are large and of low rank."""
    if ours is None or theirs is None:
        return 0.0
    if ours[0].shape[1] != theirs[0].shape[1] or ours[1].shape[0] != theirs[1].shape[0]:
        raise LoraError("they are for models of different sizes, and cannot be compared")
    return float(((ours[1].T @ theirs[1]) * (ours[0] @ theirs[0].T)).sum())
