"""LoRAs as immutable folders of two files, and a manifest where a night made them, in a local folder or at any fsspec
address. No torch; looks into no weights.

Local ones are read where they lie. Of remote ones the most recently used are kept in a cache, and given up as soon as
the store says that they are gone.
"""

import hashlib
import logging
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import fsspec  # type: ignore[import-untyped]

from core.errors import LoraError
from core.settings import masked
from worker.lora import manifest
from worker.lora.folders import ALL, CONFIG, FILES, MANIFEST, delete, is_whole, place, sizes_of, touch, touched

log = logging.getLogger("limen.worker")

VERSION = re.compile(r"[A-Za-z0-9][\w.-]{0,99}(/[A-Za-z0-9][\w.-]{0,99})?", re.ASCII)
KEPT = 256  # remote LoRAs in the cache


class LoraStore:
    """The LoRAs at `address`: a folder, or anything with `://` that fsspec knows, which is copied to `cache` in use.

    Versions are names such as `mira-7f3a2c91/20261121-1`. Everything raises LoraError when it cannot be done.
    """

    def __init__(self, address: str, cache: Path) -> None:
        self._address = address
        self._remote: _Remote | None = None
        if "://" in address and not address.startswith("file://"):
            self._remote = _Remote(address)
            cache = cache / hashlib.sha256(address.encode()).hexdigest()[:16]  # stores may use the same names
        self._local = cache if self._remote else Path(address.removeprefix("file://")).expanduser()

    def folder(self, version: str) -> Path:
        """The local folder that holds this version; a remote one is fetched first, if it is not here yet."""
        _check(version)
        folder = self._local / (version.replace("/", "+") if self._remote else version)
        if self._remote:
            self._fetch(self._remote, version, folder)
        elif not is_whole(folder):
            raise LoraError(f"there is no LoRA {version} in {self._local}", _gone(self._address))
        return folder

    def add(self, version: str, source: Path) -> None:
        """Copy the files of a LoRA in, with its manifest if it has one. What is there already is never replaced."""
        _check(version)
        if self._remote:
            self._remote.add(version, _read(source))
        elif is_whole(self._local / version.partition("/")[0]):
            raise LoraError(f"{self._local} has a LoRA of that name already", "choose another version")
        else:
            place(self._local / version, _read(source))

    def versions(self) -> list[str]:
        """All that can be had, sorted."""
        if self._remote:
            found = self._remote.versions()
        else:
            files = [*self._local.glob(f"*/{CONFIG}"), *self._local.glob(f"*/*/{CONFIG}")]
            found = [file.parent.relative_to(self._local).as_posix() for file in files if is_whole(file.parent)]
        return sorted(version for version in found if VERSION.fullmatch(version))

    def remove(self, version: str) -> None:
        """Delete a version, here and in the store. One that is not there is no fault."""
        _check(version)
        if self._remote:
            self._remote.remove(version)
            delete(self._local / version.replace("/", "+"))
            return
        if any((self._local / version).glob("*/")):
            return  # the folder of several, and no version itself
        delete(self._local / version)
        above = (self._local / version).parent
        if above != self._local and above.is_dir() and not any(above.iterdir()):
            above.rmdir()

    def tidy(self) -> None:
        """Give up copies of what the store does not have any more: somebody may have asked to be forgotten."""
        if not self._remote or not self._local.is_dir():
            return
        there = {version.replace("/", "+") for version in self._remote.versions()}
        for folder in self._local.iterdir():
            if folder.name not in there and not folder.name.startswith("."):
                delete(folder)

    def _fetch(self, remote: "_Remote", version: str, folder: Path) -> None:
        """Bring a version here. A store that cannot be reached does not matter while we have a copy."""
        try:
            sizes = remote.sizes(version)
        except LoraError as error:
            if not is_whole(folder):
                raise
            log.warning("%s; the copy of %s in the cache must do", error, version)
            touch(folder)
            return
        if sizes is None:
            delete(folder)
            raise LoraError(f"there is no LoRA {version} at {masked(self._address)}", _gone(self._address))
        if sizes == sizes_of(folder):
            touch(folder)
            return
        delete(folder)
        try:
            place(folder, remote.get(version, sizes))
        except LoraError:
            if not is_whole(folder):  # else another process was faster
                raise
        self._shrink()

    def _shrink(self) -> None:
        """Give up the least recently used copies beyond so many."""
        kept = [folder for folder in self._local.iterdir() if not folder.name.startswith(".")]
        for folder in sorted(kept, key=touched)[:-KEPT]:
            delete(folder)


class _Remote:
    """Two or three objects a version. The configuration is written last and removed first: with it, all is there."""

    def __init__(self, address: str) -> None:
        self._address = masked(address)
        try:
            self._fs, root = fsspec.url_to_fs(address)
            self._root = root.rstrip("/")
        except Exception as error:  # its backends raise what they like, here and below
            step = "install what it names, or set lora.store to a folder"
            raise LoraError(f"lora.store {self._address} cannot be used ({_brief(error)})", step) from error

    def sizes(self, version: str) -> dict[str, int] | None:
        """Bytes of each file; None if the store says that it is not there."""
        try:
            self._fs.invalidate_cache()
            sizes = {name: self._size(version, name) for name in reversed(FILES)}
            with suppress(FileNotFoundError):
                sizes[MANIFEST] = self._size(version, MANIFEST)
            return sizes
        except FileNotFoundError:
            return None
        except Exception as error:
            raise self._fault("reached", error) from error

    def _size(self, version: str, name: str) -> int:
        return int(self._fs.info(self._path(version, name))["size"])

    def get(self, version: str, names: Iterable[str]) -> dict[str, bytes]:
        """Its files."""
        try:
            return {name: self._fs.cat_file(self._path(version, name)) for name in names}
        except Exception as error:
            raise self._fault("read", error) from error

    def add(self, version: str, parts: Mapping[str, bytes]) -> None:
        if self.sizes(version) is not None:
            raise LoraError(f"{self._address} has a LoRA {version} already, and LoRAs never change", "choose another")
        try:
            self._fs.makedirs(f"{self._root}/{version}", exist_ok=True)
            for name in [name for name in ALL if name in parts]:
                self._fs.pipe_file(self._path(version, name), parts[name])
        except Exception as error:
            raise self._fault("written", error) from error

    def versions(self) -> list[str]:
        try:
            self._fs.invalidate_cache()
            found = self._fs.find(self._root)
        except FileNotFoundError:  # nobody has written anything yet
            return []
        except Exception as error:
            raise self._fault("read", error) from error
        return [
            path.removesuffix(f"/{CONFIG}").removeprefix(self._root).strip("/")
            for path in found
            if path.endswith(f"/{CONFIG}")
        ]

    def remove(self, version: str) -> None:
        for name in reversed(ALL):
            try:
                self._fs.rm_file(self._path(version, name))
            except FileNotFoundError:
                continue
            except Exception as error:
                raise self._fault("written", error) from error

    def _path(self, version: str, name: str) -> str:
        return f"{self._root}/{version}/{name}"

    def _fault(self, what: str, error: Exception) -> LoraError:
        said = f"the LoRA store {self._address} cannot be {what} ({_brief(error)})"
        return LoraError(said, "check lora.store, its credentials and the network")


def _read(source: Path) -> dict[str, bytes]:
    manifest.read(source)  # raises LoraError if it is broken
    try:
        names = [name for name in ALL if name in FILES or (source / name).exists()]
        return {name: (source / name).read_bytes() for name in names}
    except OSError as error:
        step = f"a LoRA is a folder with {' and '.join(FILES)}"
        raise LoraError(f"{error.filename} cannot be read ({error.strerror})", step) from error


def _check(version: str) -> None:
    if not VERSION.fullmatch(version) or ".." in version:
        step = "letters, digits, - _ and ., with at most one / between two names"
        raise LoraError(f"{version!r} cannot be the name of a LoRA", step)


def _gone(address: str) -> str:
    return f"it may have been removed, or lora.store ({masked(address)}) is another one"


def _brief(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160]
