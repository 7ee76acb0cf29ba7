"""`manifest.json` beside a LoRA's weights: where it comes from. Written once, by the night that made it. No torch."""

from pathlib import Path

import msgspec

from core.errors import LoraError
from core.nights import Manifest
from worker.lora.basehash import base_hash
from worker.lora.folders import MANIFEST

_decode = msgspec.json.Decoder(Manifest).decode


def read(folder: Path) -> Manifest | None:
    """The manifest in a LoRA's folder; None if it has none (peft's own do not). Raises LoraError if it is broken."""
    file = folder / MANIFEST
    try:
        return _decode(file.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LoraError(f"{file} cannot be read ({error.strerror or error})", "check its permissions") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        step = "take it out of the folder, if this LoRA is from elsewhere; else copy it again"
        raise LoraError(f"{file} is broken: it is no manifest ({error})", step) from error


def written(manifest: Manifest) -> bytes:
    """The file's contents, for people too."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2)


def write(folder: Path, manifest: Manifest) -> None:
    """Put it beside the weights. Raises LoraError."""
    file = folder / MANIFEST
    try:
        file.write_bytes(written(manifest))
    except OSError as error:
        raise LoraError(f"{file} cannot be written ({error.strerror or error})", "free some disk") from error


def check_base(folder: Path, model: Path) -> None:
    """Raises LoraError if a LoRA was trained on other weights than those in the folder `model`; ModelError."""
    manifest = read(folder)
    if manifest is None or not manifest.base_hash:
        return
    ours = base_hash(model)
    if ours not in ("", manifest.base_hash):
        said = f"{folder / MANIFEST} is of {manifest.base} with weights {manifest.base_hash[:12]}, and ours are "
        step = "the next night trains one on these; or set model.ref back to what it was"
        raise LoraError(f"{said}{ours[:12]}: it is set aside", step)
