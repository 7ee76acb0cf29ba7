"""Does a personality grow, remember and stay itself? `python -m bench.personality [--parts NAME,…]`

Each part is a module beside this one: its `FIGURES` name what it prints, and `measure(seed)` measures it. What was not
run is null in the JSON object that comes last. Which parts load a model is said by their own first lines.
"""

import argparse
import json
import sys
from importlib import import_module
from typing import Any

from bench.report import say, versions
from core.errors import LimenError

# Part → the figures it is for. A part is found by its name, as `bench.personality.NAME`.
PARTS: dict[str, tuple[str, ...]] = {
    "apart": ("told_apart", "probe_failure_ratio"),
    "speaker": ("speaker_accuracy",),
    "head": ("head_accuracy", "head_update_ms"),
    "feelings": ("feelings_accuracy", "emotion_cost", "candidates_cost"),
    "replay": ("replay_s",),
    "knowledge": ("knowledge_accuracy",),
    "intents": ("intent_precision", "intent_recall"),
    "selves": ("selves_told", "selves_false"),
}
FIGURES = (
    *("told_apart", "speaker_accuracy", "probe_failure_ratio", "head_accuracy", "head_update_ms"),
    *("feelings_accuracy", "emotion_cost", "candidates_cost"),
    *("knowledge_accuracy", "replay_s", "intent_precision", "intent_recall"),
    *("selves_told", "selves_false"),
)  # fmt: skip


def options(args: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.personality", description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), metavar="NAME,…", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(args)


def chosen(parts: str) -> list[str]:
    """The parts that are asked for. Raises LimenError for a name that is none."""
    names = [name.strip() for name in parts.split(",") if name.strip()]
    if unknown := [name for name in names if name not in PARTS]:
        raise LimenError(f"there is no part called {', '.join(unknown)}", f"there are {', '.join(PARTS)}")
    return names


def main(args: list[str] | None = None) -> int:
    """Measure what is asked for, and print it."""
    asked = options(args)
    found: dict[str, Any] = dict.fromkeys(FIGURES)
    try:
        for name in chosen(asked.parts):
            say(f"{name} …")
            found |= import_module(f"bench.personality.{name}").measure(asked.seed)
            say(f"{name}: {', '.join(f'{figure} {found[figure]}' for figure in PARTS[name])}")
    except LimenError as error:
        say(f"{error}\n  → {error.hint}" if error.hint else str(error))
        return 2
    print(json.dumps({**found, "seed": asked.seed, "versions": versions()}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
