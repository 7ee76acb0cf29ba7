"""Our folders have plain names, and so do some packages on PyPI: says so when one of them is imported in our place."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("adapters", "bots", "core", "personas", "worker")


def foreign(root: Path = ROOT) -> str:
    """What to uninstall if a package of somebody else's answers to one of our names; empty if all are ours."""
    for room in ROOMS:
        spec = importlib.util.find_spec(room)
        places = list(spec.submodule_search_locations or []) if spec else []
        if not any(Path(place).resolve() == root / room for place in places):
            where = places[0] if places else "nowhere"
            return (
                f"limen: `import {room}` finds {where}, not {root / room}.\n"
                f"  → `pip uninstall {room}`, or start with `python -m bots` from {root}"
            )
    return ""
