"""A model's linears and the settings → what a LoRA for it must fit. Needs no weights: the configuration is enough."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from core.errors import LoraError
from core.settings import Settings
from worker import fetch
from worker.lora.check import base_names
from worker.lora.files import Shape
from worker.lora.linears import layers, linears

ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj", "out_proj")


def shape(settings: Settings) -> Shape:
    """What fits the model that the settings name; it is fetched if need be. Raises LoraError, ModelError."""
    wanted = settings.model
    folder = fetch.obtain(wanted.ref, wanted.fallback, settings.worker.cache)
    return of(_outline(folder), base_names(settings, folder), settings.lora.targets, settings.lora.rank)


def of(model: Any, names: Sequence[str], targets: str, rank: int) -> Shape:
    """What fits this model, as it is before slots are installed; weights on the `meta` device will do.

    `targets`: `attention` or `all`. Linears that differ from layer to layer cannot be targets. Raises LoraError.
    """
    try:
        here = [_sizes(layer) for layer in layers(model)]
    except AttributeError as error:
        raise _unfit(names, "its layers are not where we look for them") from error
    sizes = {name: size for name, size in here[0].items() if all(other.get(name) == size for other in here)}
    chosen = tuple(name for name in sizes if targets == "all" or name in ATTENTION)
    if not chosen:
        found = f"only {', '.join(sizes)}" if sizes else "no linears that are alike in all of them"
        raise _unfit(names, f"its layers have {found}")
    return Shape(names=tuple(names), layers=len(here), sizes=sizes, targets=chosen, rank=rank)


def _sizes(layer: torch.nn.Module) -> dict[str, tuple[int, int]]:
    """(in, out) of each linear in a layer."""
    found: dict[str, Any] = {name: linear for name, (_, linear) in linears(layer).items()}
    return {name: (int(linear.in_features), int(linear.out_features)) for name, linear in found.items()}


def _outline(folder: Path) -> Any:
    """The model without its weights."""
    try:
        config = AutoConfig.from_pretrained(folder)
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise LoraError(f"the model in {folder} is none that a LoRA can be checked against ({reason})") from error


def _unfit(names: Sequence[str], why: str) -> LoraError:
    step = "models of the Llama, Qwen and Mistral families take LoRAs; `limen models` lists some"
    return LoraError(f"{names[0] if names else 'this model'} takes no LoRA: {why}", step)
