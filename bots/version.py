"""Which limen this is: as installed, or as the clone says."""

import importlib.metadata
import tomllib

from bots.collisions import ROOT


def version() -> str:
    """Such as `0.1.0`."""
    try:
        return importlib.metadata.version("limen")
    except importlib.metadata.PackageNotFoundError:  # started with `python -m bots` from a clone
        return str(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"])
