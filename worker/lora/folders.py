"""A LoRA's folder on a disk: it appears whole or not at all, goes in one step, and never changes. No torch."""

import os
import secrets
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from core.errors import LoraError

WEIGHTS, CONFIG = FILES = ("adapter_model.safetensors", "adapter_config.json")
MANIFEST = "manifest.json"  # of one that a night made: peft's own have none
ALL = (WEIGHTS, MANIFEST, CONFIG)  # in the order of writing: with the configuration, all is there
DAY = 86_400.0


def place(folder: Path, parts: Mapping[str, bytes]) -> None:
    """A new folder with these files, on the disk when this returns: all of it, or nothing.

    Raises LoraError if it exists already or cannot be written.
    """
    new = folder.parent / f".new-{secrets.token_hex(8)}"
    try:
        if folder.exists():
            raise LoraError(f"{folder} exists already, and LoRAs never change", "choose another version")
        new.mkdir(parents=True)
        _sweep(folder.parent)
        for name, data in parts.items():
            with (new / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        new.rename(folder)
        _sync(folder.parent)
    except OSError as error:
        step = "free some disk, or check the permissions of the folder above"
        raise LoraError(f"{folder} cannot be written ({error.strerror or error})", step) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sweep(folder: Path) -> None:
    """Remove what was left half made by one that was killed."""
    for left in [*folder.glob(".new-*"), *folder.glob(".old-*")]:
        if time.time() - touched(left) > DAY:
            shutil.rmtree(left, ignore_errors=True)


def delete(folder: Path) -> None:
    """Out of sight in one step, then from the disk."""
    old = folder.parent / f".old-{secrets.token_hex(8)}"
    try:
        folder.rename(old)
        shutil.rmtree(old)
    except FileNotFoundError:
        return
    except OSError as error:
        raise LoraError(f"{folder} cannot be removed ({error.strerror or error})", "check its permissions") from error


def touched(folder: Path) -> float:
    """When it was last used; now, if another process removed it meanwhile."""
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:
        return time.time()


def touch(folder: Path) -> None:
    """It is being used. (A disk that is read-only, or a folder that is gone, is not our business here.)"""
    with suppress(OSError):
        os.utime(folder)


def is_whole(folder: Path) -> bool:
    """Are the files of a LoRA in it?"""
    return sizes_of(folder) is not None


def sizes_of(folder: Path) -> dict[str, int] | None:
    """Bytes of each file of a LoRA; None if not all of them are there (a manifest need not be)."""
    try:
        sizes = {name: os.path.getsize(folder / name) for name in FILES}
    except OSError:
        return None
    with suppress(OSError):
        sizes[MANIFEST] = os.path.getsize(folder / MANIFEST)
    return sizes
