"""Models from the Hugging Face hub: what its cache holds, and fetching the rest. Knows nothing of fallbacks. No torch.

The hub's own client retries for minutes where there is no network, so a probe of a few seconds goes first.
"""

import errno
import http.client
import os
import shutil
import threading
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from core.errors import ModelError
from worker.progress import Tell

FILES = ["*.json", "*.safetensors", "*.model", "*.jinja", "*.txt"]
OTHER_COPIES = ["consolidated*", "original/*", "onnx/*", "runs/*"]  # the same weights again, for other programs
PROBE_SECONDS = 5


def cache_folder() -> Path:
    """Where huggingface_hub keeps what it fetched, by its own variables."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    home = Path(os.environ.get("HF_HOME") or base / "huggingface")
    return Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()


def kept(name: str) -> Path | None:
    """The folder of `owner/name[@revision]` if all of it has been fetched. Asks nobody."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(_snapshot(name, local_files_only=True))
    except (LocalEntryNotFoundError, ValueError):  # none of it, not all, or no name at all: `fetch` says which
        return None


def fetch(name: str, told: Tell) -> Path:
    """The folder of `owner/name[@revision]`, fetched. Raises ModelError with what the hub has against it."""
    from huggingface_hub import errors as theirs

    broken_off: type[Exception] = theirs.HTTPError  # type: ignore[attr-defined]
    repo, _ = _parts(name)
    try:
        _probe(repo)
        missing = _missing(name)
        _need_room(name, missing)
        return _watched(name, missing, told)
    except theirs.GatedRepoError as error:
        raise ModelError(f"{repo} is gated", "accept its terms on its page, then set HF_TOKEN") from error
    except theirs.RevisionNotFoundError as error:
        raise ModelError(f"{repo} has no such revision ({name})", "check what follows the @") from error
    except theirs.RepositoryNotFoundError as error:
        raise ModelError(f"the hub knows no {repo}", "check the name; a private one needs HF_TOKEN") from error
    except (OSError, ValueError, broken_off, http.client.HTTPException) as error:
        full = isinstance(error, OSError) and error.errno == errno.ENOSPC
        step = "free some disk, or set HF_HOME" if full else "check the network; `limen doctor` says more"
        raise ModelError(f"{repo} could not be fetched from the hub ({_brief(error)})", step) from error


def _parts(name: str) -> tuple[str, str | None]:
    repo, _, revision = name.partition("@")
    if repo.count("/") != 1 or not all(repo.split("/")):
        step = "for instance hf:HuggingFaceTB/SmolLM2-135M-Instruct"
        raise ModelError(f"hf:{name} is not of the form hf:owner/name", step)
    return repo, revision or None


def _snapshot(name: str, **options: Any) -> Any:
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()  # there is one of ours
    repo, revision = _parts(name)
    return snapshot_download(
        repo,
        revision=revision,
        allow_patterns=FILES,
        ignore_patterns=OTHER_COPIES,
        etag_timeout=PROBE_SECONDS,
        **options,
    )


def _probe(repo: str) -> None:
    """Does the hub answer at all? Raises OSError or HTTPException if not."""
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise OSError("HF_HUB_OFFLINE is set")
    request = urllib.request.Request(f"{constants.ENDPOINT}/{repo}/resolve/main/config.json", method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=PROBE_SECONDS).close()
    except urllib.error.HTTPError as error:
        error.close()  # it does; what it has against this repository, its client says better


def _missing(name: str) -> int:
    """Bytes still to be fetched. Raises what the hub has against it."""
    from huggingface_hub.errors import DryRunError

    try:
        return sum(file.file_size for file in _snapshot(name, dry_run=True) if file.will_download)
    except DryRunError as error:
        raise error.__cause__ or error from None


def _need_room(name: str, size: int) -> None:
    place = cache_folder()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < size:
        said = f"{name} takes {size / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free at {place}"
        raise ModelError(said, "free some disk, or set HF_HOME")


def _watched(name: str, size: int, told: Tell) -> Path:
    """Fetch in a thread, and tell how the cache grows."""
    what = f"Fetching {name} ({size / 1e6:.0f} MB)"
    told(what, 0.0)
    folder = cache_folder() / f"models--{_parts(name)[0].replace('/', '--')}"
    before, ended = bytes_below(folder), threading.Event()

    def watch() -> None:
        while not ended.wait(0.2):
            told(what, min(1.0, (bytes_below(folder) - before) / max(size, 1)))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        return Path(_snapshot(name))
    finally:
        ended.set()
        watcher.join()


def bytes_below(folder: Path) -> int:
    """Bytes of all files below; a file or folder that vanishes meanwhile, as those of pip do, counts nothing."""
    total = 0
    for place, _, names in os.walk(folder):
        for file in (Path(place, name) for name in names):
            with suppress(FileNotFoundError):
                total += file.stat().st_size if file.is_file() and not file.is_symlink() else 0
    return total


def _brief(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160]
