"""The files that a terminal leaves in the home: what was typed, and exports. For their owner's eyes only."""

import json
import os
import time
from pathlib import Path
from typing import Any

from core.errors import InputError


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
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}", "name another: /export FILE") from error
    return path
