"""The files that a terminal leaves in the home: what was typed, and exports. For their owner's eyes only."""

import json
import os
import re
import secrets
import time
from pathlib import Path
from typing import Any

from core.errors import InputError
from core.files import File


def typed(home: Path) -> Path:
    """Where the lines lie that were typed in terminals of this home, for the up-arrow."""
    return home / "chat-history"


def export(data: dict[str, Any], name: str, home: Path) -> Path:
    """Write data as JSON, to the file of that name or a new one in the home. Raises InputError.

    What is there already is never overwritten.
    """
    path = Path(name).expanduser() if name else home / time.strftime("export-%Y%m%d-%H%M%S.json")
    text = json.dumps(data, ensure_ascii=False, indent=2, default=str) + "\n"
    try:
        _write(path, text.encode())
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}", "name another: /export FILE") from error
    return path


def kept(file: File, home: Path) -> Path:
    """A file that somebody was given, in the folder `files` of the home. Raises InputError."""
    name = re.sub(r"[^\w.-]+", "-", file.name).strip(".-") or "file"
    path = home / "files" / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}-{name}"
    try:
        _write(path, file.content)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from error
    return path


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
