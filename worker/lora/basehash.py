"""What the weights of a base are, as one short text that changes when they do. No torch.

All bytes are hashed: a fine-tune changes few of them, and neither names nor sizes. The result is kept beside the
weights, and holds for as long as their files have the same names, sizes and times.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from core.errors import ModelError

KEPT = ".limen-base-hash"
PATTERNS = ("*.safetensors", "pytorch_model*.bin")  # the first that finds something counts
BLOCK = 1 << 22


class _Known(msgspec.Struct, frozen=True):
    files: tuple[tuple[str, int, int], ...]  # name, bytes, nanoseconds of the last change
    hash: str


def base_hash(folder: Path) -> str:
    """The hash of a model's weights; empty for a folder without any. Raises ModelError if they cannot be read."""
    try:
        files = _weights(folder)
        seen = tuple((file.name, (stat := file.stat()).st_size, stat.st_mtime_ns) for file in files)
        if not files or (known := _known(folder)) is None or known.files != seen:
            known = _Known(seen, _digest(files))
            _keep(folder, known)
        return known.hash
    except OSError as error:
        said = f"the weights in {folder} cannot be read ({error.strerror or error})"
        raise ModelError(said, "check its permissions") from error


def _weights(folder: Path) -> list[Path]:
    return next((found for pattern in PATTERNS if (found := sorted(folder.glob(pattern)))), [])


def _digest(files: list[Path]) -> str:
    """Over all contents, one after the other, each behind its length: no byte can move from one file to the next."""
    if not files:
        return ""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.stat().st_size.to_bytes(8))
        with file.open("rb") as stream:
            while block := stream.read(BLOCK):
                digest.update(block)
    return digest.hexdigest()


def _known(folder: Path) -> _Known | None:
    with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
        return msgspec.json.decode((folder / KEPT).read_bytes(), type=_Known)
    return None


def _keep(folder: Path, known: _Known) -> None:
    """For the next time. A folder that is not ours to write in costs a second at each start, and nothing else."""
    new = folder / f"{KEPT}-{os.getpid()}"
    if known.hash:
        with suppress(OSError):
            new.write_bytes(msgspec.json.encode(known))
            new.replace(folder / KEPT)
