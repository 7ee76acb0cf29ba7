"""The base model and its tokenizer: which device and dtype, which tokens end a reply. Loads what `fetch.py` found."""

import math
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as quiet

from core.errors import ModelError
from core.settings import Settings
from worker import fetch
from worker.quantise import quantise

LONGEST = 8192  # of context, where the model has more and nobody asked for it: memory is for many conversations


@dataclass(frozen=True)
class Loaded:
    """A model that is ready. `context` in tokens, `ends` are the tokens that end a reply; `talk`: tokens of a talk that
    it is shown, 0: all that fits."""

    model: Any
    tokenizer: Any
    ref: str
    device: str
    dtype: str
    context: int
    parameters: int
    ends: frozenset[int]
    talk: int = 0

    def decode(self, ids: Sequence[int]) -> str:
        """Token ids as text, without control tokens."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def load(settings: Settings) -> Loaded:
    """Load `model.ref`, or its fallback. Raises ModelError with the next step."""
    wanted = settings.model
    folder = fetch.obtain(wanted.ref, wanted.fallback, settings.worker.cache)
    device = choose_device(wanted.device)
    dtype = choose_dtype(wanted.dtype, device)
    set_threads(wanted.threads)
    ref = _name(folder, wanted.ref, wanted.fallback)
    model, tokenizer = _read(folder, ref, device, dtype)
    quantise(model, wanted.quantize, device)
    return Loaded(
        model=model, tokenizer=tokenizer, ref=ref, device=device,
        dtype=str(dtype).removeprefix("torch."), context=_context(model, wanted.context),
        parameters=sum(p.numel() for p in model.parameters()), ends=_ends(model, tokenizer),
        talk=settings.history.tokens,
    )  # fmt: skip


def _read(folder: Path, ref: str, device: str, dtype: torch.dtype) -> tuple[Any, Any]:
    quiet.set_verbosity_error()  # type: ignore[no-untyped-call]
    quiet.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        _need_memory(folder, ref, device, dtype)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
        model = model.to(device).eval()
    except (torch.OutOfMemoryError, MemoryError) as error:
        said = f"{ref} does not fit into the memory of {device}"
        raise ModelError(said, "`limen models` suggests others") from error
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        said = f"{ref} cannot be loaded as a causal language model ({reason})"
        raise ModelError(said, f"it lies in {folder}; `limen models` lists others") from error
    model.requires_grad_(False)
    return model, tokenizer


def _need_memory(folder: Path, ref: str, device: str, dtype: torch.dtype) -> None:
    """Raises ModelError before a machine that is too small starts to swap, or the kernel kills us."""
    need = _parameters(folder) * dtype.itemsize
    free = torch.cuda.mem_get_info(device)[0] if device.startswith("cuda") else psutil.virtual_memory().available
    if need > free:
        said = f"{ref} needs {need / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free on {device}"
        raise ModelError(said, "`limen models` suggests models that fit")


def _parameters(folder: Path) -> int:
    """How many numbers the weights hold, by the heads of their files."""
    count = 0
    for file in folder.glob("*.safetensors"):
        with safe_open(file, framework="pt") as weights:
            count += sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118 (it is no dict)
    return count


def choose_device(wanted: str) -> str:
    """`auto`: CUDA, else Apple's GPU, else the CPU. Raises ModelError when the one wanted is not there."""
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError(f"model.device is {wanted}, but this torch sees no CUDA device", "`limen doctor` says why")
    if wanted == "mps" and not torch.backends.mps.is_available():
        raise ModelError("model.device is mps, but this machine has none", "set model.device to auto")
    return wanted


def choose_dtype(wanted: str, device: str) -> torch.dtype:
    """`auto`: bfloat16 where the hardware computes in it, else float16 on a GPU and float32 on a CPU.

    On a CPU with AVX512-BF16, one thread, SmolLM2-135M: a prompt of 686 tokens is read in 0.82 s instead of 1.98 s,
    and 33 tokens/s are generated instead of 25.
    """
    if wanted != "auto":
        chosen = getattr(torch, wanted)
        assert isinstance(chosen, torch.dtype)
        return chosen
    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device == "mps":
        return torch.float16
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32


def set_threads(wanted: int) -> None:
    """CPU threads: as told, else one per core that we may use, and no more than 8 (a small model gains nothing)."""
    torch.set_num_threads(wanted or min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4))


def _context(model: Any, wanted: int) -> int:
    own = min(int(getattr(model.config, "max_position_embeddings", LONGEST)), _steady(model.config.get_text_config()))
    return min(own, wanted) if wanted else min(own, LONGEST)


def _steady(config: Any) -> int:
    """Up to which position a place means the same in any company. Beyond it, a model with `longrope` turns every token
    of a forward another way, also those of others, and those that were read before."""
    ropes: Any = getattr(config, "rope_parameters", None) or {}
    each = ropes.values() if all(isinstance(rope, dict) for rope in ropes.values()) else [ropes]
    return min(
        (int(rope["original_max_position_embeddings"]) for rope in each if rope.get("rope_type") == "longrope"),
        default=sys.maxsize,
    )


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    """What the generation config, the tokenizer and the chat template call the end."""
    listed = model.generation_config.eos_token_id
    ids = {tokenizer.eos_token_id, *(listed if isinstance(listed, list) else [listed])}
    for name in ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>", "<|endoftext|>", "</s>"):
        known = tokenizer.convert_tokens_to_ids(name)
        ids |= {known} if known is not None and known != tokenizer.unk_token_id else set()
    return frozenset(token for token in ids if token is not None)


def _name(folder: Path, ref: str, fallback: str) -> str:
    """Which of the two it was."""
    wheel = fallback.removeprefix("pypi:").replace("==", "-")
    return fallback if fallback and folder.name == wheel else ref
