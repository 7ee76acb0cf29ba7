"""Does a LoRA fit the base that serves? And what a LoRA says of itself. No torch, until weights must be looked at."""

import json
import math
import re
import shutil
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from core.errors import LoraError
from core.settings import Settings
from worker import fetch
from worker.lora import manifest
from worker.lora.config import AGAIN, PLAIN, check_base, read_config
from worker.lora.folders import CONFIG, WEIGHTS
from worker.wheel import WHEELS

_A = re.compile(r"layers\.(\d{1,6})\.(?:.*\.)?([^.]+)\.lora_A\b")
LONGEST_HEAD = 16_000_000  # bytes


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a LoRA is: its highest rank, the linears it changes and in how many layers, its base, bytes, and when its
    files were written (seconds UTC)."""

    rank: int
    targets: tuple[str, ...]
    layers: int
    base: str
    size: int
    made: float


def check(settings: Settings, folder: Path, any_base: bool = False) -> About:
    """Raises LoraError if this LoRA cannot serve with these settings; ModelError if the base cannot be had.

    A server that generates (`model.engine: openai`) checks sizes and rank itself, when it is given the LoRA.
    """
    if settings.model.engine == "openai":
        sound(settings, folder, any_base)
    else:
        from worker.lora.files import read
        from worker.lora.shape import shape

        read(folder, shape(settings), folder.name, any_base)
        if not any_base:
            wanted = settings.model
            manifest.check_base(folder, fetch.obtain(wanted.ref, wanted.fallback, settings.worker.cache))
    return about(folder)


def sound(settings: Settings, folder: Path, any_base: bool = False) -> Path:
    """The folder of a LoRA that may be given to a server: what servers do not look at is well. Raises LoraError."""
    config, names = read_config(folder / CONFIG), base_names(settings)
    if names and not any_base:
        check_base(folder / CONFIG, config.base_model_name_or_path or "", names)
    file = folder / WEIGHTS
    head = _head(file)
    try:
        data = memoryview(file.read_bytes())
    except OSError as error:
        raise LoraError(f"{file} cannot be read ({error.strerror or error})", AGAIN) from error
    weights = data[len(data) - _bytes(head) :]
    for name, entry in head.items():
        if name != "__metadata__" and not math.isfinite(_sum(file, entry, weights)):
            raise LoraError(f"{file}: {name} holds NaN, or numbers without end", PLAIN)
    return folder


def _sum(file: Path, entry: Any, weights: memoryview) -> float:
    """The sum of a tensor's numbers, which is finite if all of them are; 0 for a type that a server may know."""
    try:
        begin, end = entry["data_offsets"]
        data, kind = bytes(weights[begin:end]), entry["dtype"]
        if kind == "F16":
            return float(sum(number for (number,) in struct.iter_unpack("<e", data)))
        if kind == "BF16":  # the upper half of a float32
            wide = bytearray(2 * len(data))
            wide[2::4], wide[3::4] = data[::2], data[1::2]
            data, kind = bytes(wide), "F32"
        return float(sum(memoryview(data).cast("f"))) if kind == "F32" else 0.0
    except (TypeError, KeyError, ValueError, struct.error) as error:
        raise LoraError(f"{file} is broken: a tensor has no place ({error})", AGAIN) from error


def base_names(settings: Settings, folder: Path | None = None) -> tuple[str, ...]:
    """Everything the base is called: as set, the package that carries the same, and the folder where it lies."""
    if settings.model.engine == "openai":
        return (settings.openai.model,) if settings.openai.model else ()
    ref, fallback = settings.model.ref, settings.model.fallback
    carried = WHEELS.get(ref.removeprefix("pypi:"))
    names = [ref, carried.model if carried else fetch.stand_in(ref, fallback), str(folder or "")]
    return tuple(dict.fromkeys(name for name in names if name))


def about(folder: Path) -> About:
    """What a LoRA's files say. Raises LoraError."""
    config, file = read_config(folder / CONFIG), folder / WEIGHTS
    matrices = {match.groups(): entry for name, entry in _head(file).items() if (match := _A.search(name))}
    try:
        ranks = [int(entry["shape"][0]) for entry in matrices.values()]
    except (TypeError, KeyError, IndexError, ValueError) as error:
        raise LoraError(f"{file} is broken: a tensor has no shape", AGAIN) from error
    if not ranks:
        raise LoraError(f"{file} holds no weights", AGAIN)
    return About(
        rank=max(ranks), targets=tuple(dict.fromkeys(target for _, target in matrices)),
        layers=len({layer for layer, _ in matrices}), base=config.base_model_name_or_path or "",
        size=file.stat().st_size, made=file.stat().st_mtime,
    )  # fmt: skip


def _head(file: Path) -> dict[str, Any]:
    """The table of contents of a safetensors file: eight bytes of length, then JSON."""
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            head = json.loads(stream.read(length)) if length <= LONGEST_HEAD else None
            there = file.stat().st_size - stream.tell()
    except OSError as error:
        raise LoraError(f"{file} cannot be read ({error.strerror or error})", AGAIN) from error
    except (struct.error, ValueError, RecursionError) as error:
        raise LoraError(f"{file} is broken or cut short ({error})", AGAIN) from error
    if not isinstance(head, dict):
        raise LoraError(f"{file} is broken: it does not begin with a table of contents", AGAIN)
    if (named := _bytes(head)) > there:
        raise LoraError(f"{file} is broken or cut short: it holds {there:,} bytes of weights, not {named:,}", AGAIN)
    return head


def _bytes(head: dict[str, Any]) -> int:
    """How many bytes of weights a table of contents speaks of, as far as it can be read."""
    places = [entry.get("data_offsets") for entry in head.values() if isinstance(entry, dict)]
    ends = [place[-1] for place in places if isinstance(place, list) and place]
    return max((end for end in ends if isinstance(end, int)), default=0)


@contextmanager
def renamed(folder: Path, base: str) -> Iterator[Path]:
    """A copy of a LoRA that says it is for `base`: workers compare that name. It is gone when the block ends."""
    with tempfile.TemporaryDirectory(prefix="limen-lora-") as place:
        copy = Path(place)
        config = json.loads((folder / CONFIG).read_bytes())
        (copy / CONFIG).write_text(json.dumps({**config, "base_model_name_or_path": base}, indent=2), "utf-8")
        shutil.copyfile(folder / WEIGHTS, copy / WEIGHTS)
        if told := manifest.read(folder):
            manifest.write(copy, msgspec.structs.replace(told, base_hash=""))
        yield copy
