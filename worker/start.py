"""Settings → our own engine over the base model that they name, with room and steps that fit this machine."""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch

from core.errors import LoraError, ModelError
from core.settings import Settings
from worker import kv, packed
from worker.engine import Engine, Limits
from worker.halved import able, halve, halved
from worker.lora.check import base_names
from worker.lora.desk import Desk
from worker.lora.files import Shape, Weights, read
from worker.lora.linears import install
from worker.lora.loading import Loading
from worker.lora.manifest import check_base
from worker.lora.shape import of
from worker.lora.slots import Slots
from worker.model import Loaded, load

log = logging.getLogger("limen.worker")

SHARE_OF_RAM, SHARE_OF_GPU = 0.125, 0.8  # of what is free once the model is loaded, for keys and values
STEP_SECONDS = 0.1  # that a step full of prompts may take: so long a newcomer waits, at most, and everybody's token
TRIAL = 128  # tokens
SMALLEST_STEP, LARGEST_STEP = 64, 8192
EXACT, ROUNDED = 0.01, 0.1  # deviations that scores of float32 may be off by; the second with weights of sixteen bits


def generator(
    settings: Settings, folder: Callable[[str], Path]
) -> tuple[Engine, dict[str, str | int | float]]:  # fmt: skip
    """A Generator, and what `limen status` says of it. `folder`: where a LoRA version lies.

    Raises ModelError with the next step when the model cannot be had, loaded or batched.
    """
    began = time.monotonic()
    loaded = load(settings)
    names = base_names(settings, Path(loaded.model.name_or_path))  # the same as `lora.shape` compares with
    engine = assemble(loaded, settings, folder, names)
    about: dict[str, str | int | float] = {
        "model": loaded.ref, "device": loaded.device, "dtype": loaded.dtype, "context": loaded.context,
        "parameters": loaded.parameters, "threads": torch.get_num_threads(), "pid": os.getpid(),
        "batch": settings.worker.batch, "quantize": settings.model.quantize,
        "weights": "float16" if halves(loaded, settings) else loaded.dtype,
        "loaded_in_s": round(time.monotonic() - began, 1),
    }  # fmt: skip
    return engine, about


def assemble(
    loaded: Loaded, settings: Settings, folder: Callable[[str], Path], names: tuple[str, ...]
) -> Engine:  # fmt: skip
    """An engine over a loaded model, which is changed by it. Raises ModelError."""
    expected, distance, small = _expected(loaded), far(loaded.model), halves(loaded, settings)
    gpu = loaded.device != "cpu"
    desk = _desk(loaded, settings, folder, names, gpu)
    if small:
        halve(loaded.model)
    packed.prepare(loaded.model)
    arena = _arena(loaded, settings.worker.kv_mb)
    _check(loaded, arena, expected, gpu, ROUNDED if small else EXACT)
    room = settings.worker.step_tokens or _step_tokens(loaded, arena, gpu)
    limits = Limits(settings.worker.batch, max(room, settings.worker.batch), distance)
    return Engine(loaded, arena, desk, limits, together=gpu)


def halves(loaded: Loaded, settings: Settings) -> bool:
    """Are weights kept in sixteen bits, and computed with in 32? Only where nobody said which type they shall have."""
    free_to = settings.model.dtype == "auto" and settings.model.quantize == "none"
    return free_to and loaded.dtype == "float32" and able(loaded.device)


def _desk(
    loaded: Loaded, settings: Settings, folder: Callable[[str], Path], names: tuple[str, ...], gpu: bool
) -> Desk:  # fmt: skip
    """Slots in the model, and who fills them; a model that takes no LoRAs talks without."""
    try:
        shape = of(loaded.model, names, settings.lora.targets, settings.lora.rank)
    except LoraError as error:
        log.warning("%s", error)
        return Desk(None, None)
    slots = _slots(shape, settings, loaded, gpu)
    install(loaded.model, slots, halved if halves(loaded, settings) else None)
    base = Path(loaded.model.name_or_path)
    return Desk(slots, Loading(lambda version: _read(folder(version), shape, version, base)))


def _read(folder: Path, shape: Shape, version: str, base: Path) -> Weights:
    """A LoRA that was trained on just these weights, as far as it says on which."""
    check_base(folder, base)
    return read(folder, shape, version)


def _slots(shape: Shape, settings: Settings, loaded: Loaded, gpu: bool) -> Slots:
    """As many as are wanted, or as there is memory for."""
    dtype, fuse = next(loaded.model.parameters()).dtype, settings.model.quantize == "none"
    each = Slots.bytes_each(shape, dtype)
    count = max(1, min(settings.lora.slots, int(SHARE_OF_RAM * free(loaded.device)) // each))
    if count < settings.lora.slots:
        log.warning("memory for %d LoRA slots of %d MB, not for %d", count, each // 1_000_000, settings.lora.slots)
    return Slots(shape, count, dtype, loaded.device, fuse=fuse, gather=gpu)


def _arena(loaded: Loaded, wanted_mb: int) -> kv.Arena:
    """Room for keys and values; halved until the device has it."""
    layers, heads, size = kv.shape(loaded.model.config.get_text_config())
    dtype = loaded.model.dtype
    share = SHARE_OF_GPU if loaded.device.startswith("cuda") else SHARE_OF_RAM  # Apple's GPU has no memory of its own
    per_token = 2 * layers * heads * size * dtype.itemsize
    least = kv.capacity(0, per_token, loaded.context, 0)
    tokens = kv.capacity(wanted_mb, per_token, loaded.context, int(share * free(loaded.device)))
    while True:
        try:
            return kv.Arena(layers, heads, size, tokens, dtype, loaded.device)
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if tokens == least:
                said = f"no memory for one conversation of {loaded.context} tokens on {loaded.device}"
                raise ModelError(said, "set model.context to less") from error
            tokens = max(least, tokens // 2)


def free(device: str) -> int:
    """Bytes of memory that are free there."""
    return int(torch.cuda.mem_get_info(device)[0]) if device.startswith("cuda") else psutil.virtual_memory().available


@torch.inference_mode()
def _expected(loaded: Loaded) -> torch.Tensor:
    """What the model says after a few tokens, before we change it. Raises ModelError if it cannot even be computed."""
    try:
        logits: torch.Tensor = loaded.model(input_ids=_probe(loaded, 12), use_cache=False).logits[0, -1]
    except Exception as error:  # kernels for fewer bits, say, that this device has not
        said = f"{loaded.ref} does not compute on {loaded.device} ({type(error).__name__}: {_brief(error)})"
        raise ModelError(said, "set model.quantize to none, or model.device or model.dtype to another one") from error
    return logits


@torch.inference_mode()
def _check(loaded: Loaded, arena: kv.Arena, expected: torch.Tensor, gpu: bool, most: float) -> None:
    """Read them again our way, in two pieces. Raises ModelError if this model cannot be read like that: the scores of
    float32 differ by more than `most`, in deviations."""
    tokens = _probe(loaded, 12)
    try:
        packed.forward(loaded.model, tokens[:, :11], packed.Pack([packed.Span(0, 0, 11)], arena.storage, gpu), [])
        pack = packed.Pack([packed.Span(0, 11, 1)], arena.storage, gpu)
        found = packed.forward(loaded.model, tokens[:, 11:], pack, [0])[0]
        off = float((found - expected).float().abs().max() / expected.float().std())
    except Exception as error:  # whatever it is, this model is not for us
        raise _unbatchable(loaded, f"{type(error).__name__}: {_brief(error)}") from error
    if not off < (most if loaded.dtype == "float32" else 0.5):
        raise _unbatchable(loaded, f"its scores differ by {off:.2f} deviations")


def _unbatchable(loaded: Loaded, why: str) -> ModelError:
    said = f"{loaded.ref} cannot be batched by this engine ({why})"
    return ModelError(said, "serve it with vLLM and set model.engine to openai, or choose one of `limen models`")


def _brief(error: Exception) -> str:
    return (str(error).strip() or "no reason given").splitlines()[0][:200]


def _probe(loaded: Loaded, count: int) -> torch.Tensor:
    vocabulary = loaded.model.get_input_embeddings().num_embeddings
    return torch.arange(count, device=loaded.device)[None].mul(37).add(11).remainder(vocabulary)


@torch.inference_mode()
def _step_tokens(loaded: Loaded, arena: kv.Arena, gpu: bool) -> int:
    """How many tokens are read in `STEP_SECONDS`, by trying, as a power of two."""
    tokens, best = _probe(loaded, TRIAL), float("inf")
    clock = time.perf_counter if gpu else _cpu_clock  # what else runs on this machine now says nothing of later
    for _ in range(3):
        began = clock()
        pack = packed.Pack([packed.Span(0, 0, TRIAL)], arena.storage, gpu)
        float(packed.forward(loaded.model, tokens, pack, [0])[0, 0])  # waits for the device
        best = min(best, clock() - began)
    return power_of_two(TRIAL * STEP_SECONDS / best)


def _cpu_clock() -> float:
    """Seconds that this process has computed, by each of its threads."""
    return time.process_time() / torch.get_num_threads()


def power_of_two(tokens: float) -> int:
    """The next below, within what is sensible."""
    return int(max(SMALLEST_STEP, min(LARGEST_STEP, 2 ** (max(int(tokens), 1).bit_length() - 1))))


def far(model: Any) -> float:
    """Tokens of past after which attention costs a token as much as all linears do (see `schedule.shares`).

    By counting: a linear takes two operations per weight, attention four per number of its queries and token of past.
    On a CPU it runs at about half of their speed, and in bfloat16 (see `packed`) as fast as they do.
    """
    config = model.config.get_text_config()
    layers, _, size = kv.shape(config)
    weights = sum(p.numel() for p in model.parameters()) - model.get_input_embeddings().weight.numel()
    fast = 2 if model.dtype == torch.bfloat16 else 1
    return float(max(256.0, fast * weights / (4 * layers * size * config.num_attention_heads)))
