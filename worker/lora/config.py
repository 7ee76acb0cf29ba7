"""`adapter_config.json` as peft writes it: what a LoRA is for and how it is scaled. Knows no tensor. No torch.

Whatever would have to be ignored is refused by name: a LoRA acts as it was trained, or not at all.
"""

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from core.errors import LoraError

PLAIN = "train it again as a plain LoRA, or choose another one"
AGAIN = "copy or save it again: peft writes `adapter_config.json` and `adapter_model.safetensors`"
# Settings that say how a LoRA was made or named: once it is trained they change nothing, or are looked at below.
UNDERSTOOD = {
    *("auto_mapping", "base_model_name_or_path", "revision", "inference_mode", "peft_type", "peft_version"),
    *("task_type", "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "lora_dropout"),
    *("r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern", "ensure_weight_tying", "runtime_config"),
    *("megatron_core", "qalora_group_size", "loftq_config", "eva_config", "corda_config", "lora_ga_config"),
    *("bias", "init_lora_weights"),
}
CHANGE_THE_BASE = ("pissa", "corda", "olora", "loftq", "lora_ga")  # beginnings that alter what the LoRA is added to

Value = TypeVar("Value", int, float)
Rank = Annotated[int, Meta(ge=1)]


class Config(msgspec.Struct, frozen=True):
    """What counts of it, with peft's defaults."""

    r: Rank = 8
    lora_alpha: float = 8.0
    base_model_name_or_path: str | None = None
    use_rslora: bool | None = False
    rank_pattern: dict[str, Rank] | None = None
    alpha_pattern: dict[str, float] | None = None
    bias: str | None = "none"
    init_lora_weights: bool | str | None = True

    def rank(self, path: str) -> int:
        """The rank that the module at `path` must have."""
        return _chosen(self.rank_pattern or {}, path, self.r)

    def scale(self, path: str) -> float:
        """What B @ A is multiplied with at `path`."""
        alpha, rank = _chosen(self.alpha_pattern or {}, path, self.lora_alpha), self.rank(path)
        return alpha / (math.sqrt(rank) if self.use_rslora else rank)


def read_config(file: Path) -> Config:
    """A plain LoRA's configuration. Raises LoraError, which says what was found and what to do."""
    try:
        raw: Any = msgspec.json.decode(file.read_bytes())
        kind = raw.get("peft_type") if isinstance(raw, dict) else None
        if kind != "LORA":
            raise LoraError(f"{file} does not describe a LoRA: its peft_type is {kind!r}, not 'LORA'", PLAIN)
        config = msgspec.convert(raw, Config)
    except FileNotFoundError as error:
        raise LoraError(f"{file} is missing", AGAIN) from error
    except OSError as error:
        raise LoraError(f"{file} cannot be read ({error.strerror or error})", "check its permissions") from error
    except msgspec.ValidationError as error:
        raise LoraError(f"{file} has a value that no LoRA can have ({error})", AGAIN) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LoraError(f"{file} is not valid JSON ({error})", AGAIN) from error
    _check_kind(file, raw, config)
    _check_patterns(file, [*(config.rank_pattern or {}), *(config.alpha_pattern or {})])
    return config


def _check_kind(file: Path, raw: dict[str, Any], config: Config) -> None:
    """Refuse whatever is more than A and B."""
    kinds = [key for key, value in raw.items() if value and key not in UNDERSTOOD]
    if config.bias not in ("none", None):
        kinds.append(f"bias: {config.bias}")
    init = config.init_lora_weights
    if isinstance(init, str) and init.lower().startswith(CHANGE_THE_BASE):
        kinds.append(f"init_lora_weights: {init}")
    if kinds:
        raise LoraError(f"{file} says {', '.join(sorted(kinds))}: that is no plain LoRA, and not supported", PLAIN)


def check_base(file: Path, base: str, names: Iterable[str]) -> None:
    """Raises LoraError if `base` is none of our `names`. An empty one tells nothing: then the tensors' shapes do."""
    if base.strip() and _called(base) not in {_called(name) for name in names}:
        step = "train one for this model; if it is the same under another name, write that name into the file"
        raise LoraError(f"{file} is for the base {base}, and this model is {' or '.join(names)}", step)


def _called(name: str) -> str:
    """What a base is called, whoever's copy it is and wherever it lies."""
    name = name.strip().replace("\\", "/").rstrip("/")
    if name.startswith("pypi:"):
        return name.lower()
    kept = re.search(r"(?:^|/)models--[^/]+?--([^/]+)/snapshots/", name)  # in the hub's own cache
    last = kept[1] if kept else name.rpartition("/")[2]
    return last.removeprefix("hf:").partition("@")[0].lower()


def _check_patterns(file: Path, patterns: Iterable[str]) -> None:
    for pattern in patterns:
        if len(re.findall(r"[*+{]", pattern)) > 2 or re.search(r"\)[*+?{]", pattern):  # matching could take for ever
            raise LoraError(f"{file}: the pattern {pattern!r} is too intricate", "write out the modules' names instead")
        try:
            re.compile(pattern)
        except re.error as error:
            raise LoraError(f"{file}: the pattern {pattern!r} is not valid ({error})", AGAIN) from error


def _chosen(patterns: Mapping[str, Value], path: str, otherwise: Value) -> Value:
    """The value of the first pattern that the end of `path` matches, as peft chooses."""
    found = (value for pattern, value in patterns.items() if re.match(rf"(.*\.)?({pattern})$", path))
    return next(found, otherwise)
