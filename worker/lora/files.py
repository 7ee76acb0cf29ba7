"""LoRA files as peft writes them: weights read with every check, and written. Knows a model's shape, not the model.

Whatever does not fit is refused, with what was found and what is needed.
"""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from core.errors import LoraError
from worker.lora.config import AGAIN, PLAIN, Config, check_base, read_config
from worker.lora.folders import CONFIG, WEIGHTS, place

ROOM = 16 * 1024 * 1024  # bytes: what a file may have beyond the size of the linears that it changes
# Where linears stand in a layer of the Llama family, for the names in a file.
PLACES = {
    **{name: f"self_attn.{name}" for name in ("q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj", "out_proj")},
    **{name: f"mlp.{name}" for name in ("gate_proj", "up_proj", "down_proj", "gate_up_proj", "fc1", "fc2")},
}
NAME = re.compile(r"((?:.*\.)?layers\.([0-9]{1,6})\.(?:.*\.)?([^.]+))\.lora_([AB])(?:\.[^.]+)?\.weight")
LONGEST_NAME = 300
DTYPES = (torch.float32, torch.float16, torch.bfloat16)


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What a LoRA must fit: the base and what its slots hold.

    `names` are all the names of the base; `sizes` has (in, out) of every linear in a layer that a LoRA may touch,
    `targets` are those that the slots hold, and `rank` is the highest that fits.
    """

    names: tuple[str, ...]
    layers: int
    sizes: dict[str, tuple[int, int]]
    targets: tuple[str, ...]
    rank: int


@dataclass(frozen=True, eq=False)
class Weights:
    """A LoRA that was read. `parts`: (layer, target) → A [rank, in] and B [out, rank], float32 on the CPU.

    The scale is in B, so that B @ A is what is added to the linear. `rank` is the highest of all parts.
    """

    version: str
    rank: int
    parts: dict[tuple[int, str], tuple[Tensor, Tensor]]


@dataclass(eq=False)
class _Linear:
    """What a file has for one linear: whose it is, and its matrices by side."""

    path: str
    layer: int
    target: str
    sides: dict[str, Tensor] = field(default_factory=dict)


def read(folder: Path, shape: Shape, version: str, any_base: bool = False) -> Weights:
    """Read and check a LoRA. `any_base` leaves out the comparison of the base's name, and nothing else.

    Raises LoraError, which names the file, what was found, what is needed and what to do.
    """
    if not os.path.isdir(folder):
        raise LoraError(f"there is no LoRA at {folder}", "check the path; it may have been removed meanwhile")
    config = read_config(folder / CONFIG)
    if not any_base:
        check_base(folder / CONFIG, config.base_model_name_or_path or "", shape.names)
    file = folder / WEIGHTS
    linears = _linears(file, _tensors(file, shape))
    _check_places(file, linears, shape)
    parts = {(linear.layer, linear.target): _part(file, linear, config, shape) for linear in linears}
    return Weights(version, max(len(a) for a, _ in parts.values()), parts)


def _tensors(file: Path, shape: Shape) -> dict[str, Tensor]:
    """All that a file holds. It is read and not mapped: if it shrinks or its disk fails meanwhile, that is an error
    here, and not the end of the process."""
    most = ROOM + 4 * shape.layers * sum(n * m for n, m in shape.sizes.values())
    try:
        size = file.stat().st_size
        if size > most:
            raise LoraError(f"{file} has {size:,} bytes: more than all that it could change in this model", PLAIN)
        return load(file.read_bytes())
    except FileNotFoundError as error:
        old = file.with_suffix(".bin").exists()
        step = "it is in torch's old format; save it again with peft, which writes safetensors" if old else AGAIN
        raise LoraError(f"{file} is missing", step) from error
    except OSError as error:
        raise LoraError(f"{file} cannot be read ({error.strerror or error})", "check its permissions") from error
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise LoraError(f"{file} is broken or cut short ({error})", AGAIN) from error


def _linears(file: Path, tensors: Mapping[str, Tensor]) -> list[_Linear]:
    """The tensors, sorted by what they are for. Every one must be A or B of a linear, and none without the other."""
    found: dict[tuple[int, str], _Linear] = {}
    for name, tensor in tensors.items():
        match = NAME.fullmatch(name) if len(name) <= LONGEST_NAME else None
        if match is None:
            raise LoraError(f"{file}: {name[:LONGEST_NAME]} is not A or B of a linear in a layer", PLAIN)
        path, layer, target, side = match[1], int(match[2]), match[3], match[4]
        linear = found.setdefault((layer, target), _Linear(path, layer, target))
        if side in linear.sides or path != linear.path:
            raise LoraError(f"{file}: {name} and {linear.path} are for the same {target} of layer {layer}", PLAIN)
        linear.sides[side] = tensor
    for linear in found.values():
        if len(linear.sides) == 1:
            missing = "B" if "A" in linear.sides else "A"
            raise LoraError(f"{file}: {linear.path} has no lora_{missing}", AGAIN)
    if not found:
        raise LoraError(f"{file} holds no weights", AGAIN)
    return [found[place] for place in sorted(found)]


def _check_places(file: Path, linears: list[_Linear], shape: Shape) -> None:
    """Everything that it changes must be there, and have room in the slots."""
    targets, last = {linear.target for linear in linears}, max(linear.layer for linear in linears)
    if unknown := sorted(targets - shape.sizes.keys()):
        said = f"{file} changes {', '.join(unknown)}; this model has {', '.join(shape.sizes)} in its layers"
        raise LoraError(said, "it is for another base, or for parts that cannot be changed here")
    if beyond := sorted(targets - set(shape.targets)):
        said = f"{file} changes {', '.join(beyond)}, and the slots hold only {', '.join(shape.targets)}"
        raise LoraError(said, "set lora.targets to all")
    if last >= shape.layers:
        said = f"{file} changes layer {last}, and the last one of this model is {shape.layers - 1}"
        raise LoraError(said, "it is for another base")


def _part(file: Path, linear: _Linear, config: Config, shape: Shape) -> tuple[Tensor, Tensor]:
    """A and B as float32 with the scale in B, checked."""
    path = linear.path.removeprefix("base_model.model.")
    a, b = linear.sides["A"], linear.sides["B"]
    _check_shapes(f"{file}: {path}", a, b, shape.sizes[linear.target], config.rank(path))
    if len(a) > shape.rank:
        said = f"{file}: {path} has rank {len(a)}, and the slots hold up to {shape.rank}"
        raise LoraError(said, f"set lora.rank to {len(a)} or more")
    a, b = a.float(), b.float() * config.scale(path)
    if not (math.isfinite(a.sum().item()) and math.isfinite(b.sum().item())):  # a sixth of what torch.isfinite takes
        raise LoraError(f"{file}: {path} holds NaN, or numbers without end", PLAIN)
    return a, b


def _check_shapes(what: str, a: Tensor, b: Tensor, size: tuple[int, int], rank: int) -> None:
    if a.dtype not in DTYPES or b.dtype not in DTYPES:
        raise LoraError(f"{what} is {a.dtype} and {b.dtype}; only float32, float16 and bfloat16 can be read", PLAIN)
    (into, out), found = size, a.shape[0] if a.ndim else 0
    if found == 0 or a.shape != (found, into) or b.shape != (out, found):
        said = f"{what} has A {list(a.shape)} and B {list(b.shape)}; this model needs [rank, {into}] and [{out}, rank]"
        raise LoraError(said, "it is for another base")
    if found != rank:
        raise LoraError(f"{what} has rank {found}, and {CONFIG} says {rank}", AGAIN)


def write(folder: Path, weights: Weights, base: str, places: Mapping[str, str] = PLACES) -> None:
    """Save a LoRA for the model `base` in peft's format, all of it or nothing. `read` gives the same back.

    `places` says where each target stands in a layer. Raises LoraError if `folder` exists or cannot be written.
    """
    paths = {(layer, target): f"layers.{layer}.{places[target]}" for layer, target in weights.parts}
    tensors = {
        f"base_model.model.model.{paths[place]}.lora_{side}.weight": tensor.detach()
        .cpu()
        .float()
        .clone(memory_format=torch.contiguous_format)
        for place, pair in weights.parts.items()
        for side, tensor in zip("AB", pair, strict=True)
    }
    touched = sorted({layer for layer, _ in weights.parts})
    ranks = {paths[place]: len(a) for place, (a, _) in weights.parts.items() if len(a) != weights.rank}
    config = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": base.removeprefix("hf:"),
        "r": weights.rank, "lora_alpha": weights.rank, "rank_pattern": ranks, "alpha_pattern": ranks,
        "target_modules": sorted({target for _, target in weights.parts}),
        "layers_to_transform": touched if touched and touched[0] else None, "lora_dropout": 0.0, "bias": "none",
        "fan_in_fan_out": False, "inference_mode": True, "init_lora_weights": True, "modules_to_save": None,
        "use_dora": False, "use_rslora": False,
    }  # fmt: skip
    written = msgspec.json.format(msgspec.json.encode(config), indent=2)
    place(folder, {WEIGHTS: save(tensors, {"format": "pt"}), CONFIG: written})
