"""Do nights make a persona what its people like? `python -m bench.nights [--tastes FILE.py] [--only NAME,…]`

Simulated people with hidden tastes rate replies of the real SmolLM2, some of them at random; the nights are those of
the product, without Redis. Everything takes hours on two cores, so each result is kept in `--state` as soon as it is
there, and the same command goes on from it. What was not run is null in the JSON object that comes last.
"""

import argparse
import importlib.util
import inspect
import json
import os
import statistics
import sys
from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from transformers.utils import logging as quiet

from bench import oasst
from bench.nights import tastes as shipped
from bench.nights.gain import Asked, gain
from bench.nights.people import Taste
from bench.nights.world import real
from bench.report import say
from core.errors import LimenError
from worker.night.base import Base

PARTS = ("gain", "oasst")


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.nights", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tastes", type=Path, help="a file of functions name(prompt, reply) -> bool, each a taste")
    parser.add_argument("--only", default="", metavar="NAME,…", help="only these tastes")
    parser.add_argument("--parts", default=",".join(PARTS), metavar="PART,…", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--nights", type=int, default=3)
    parser.add_argument("--rows", type=int, default=300, help="reactions a night, on as many replies")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--state", type=Path, help="where results are kept; without it nothing is, and nothing goes on")
    return parser.parse_args()


class State:
    """Results by name, in a file if there is one; those of other options are not ours."""

    def __init__(self, file: Path | None, about: Mapping[str, Any]) -> None:
        self._file = file
        self.kept: dict[str, Any] = {"about": dict(about)}
        if file and file.exists():
            found = json.loads(file.read_text("utf-8"))
            if found.get("about") == dict(about):
                self.kept = found

    def keep(self, name: str, result: Any, whole: bool = True) -> None:
        """Put a result away; one that is not whole is not gone on from."""
        self.kept[name if whole else f"{name}…"] = result
        if self._file:
            new = self._file.with_suffix(".new")
            new.write_text(json.dumps(self.kept, indent=1), "utf-8")
            os.replace(new, self._file)


def loaded_tastes(file: Path | None, only: str) -> dict[str, Taste]:
    """Tastes by name. Raises LimenError for a name that is none."""
    module: ModuleType = shipped
    if file:
        spec = importlib.util.spec_from_file_location("tastes", file)
        if spec is None or spec.loader is None or not file.exists():
            raise LimenError(f"there are no tastes in {file}", "it must be a Python file")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    found: dict[str, Taste] = {
        name: function
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }
    wanted = [name for name in only.split(",") if name]
    if unknown := [name for name in wanted if name not in found]:
        raise LimenError(f"there is no taste called {', '.join(unknown)}", f"there are {', '.join(found)}")
    return {name: found[name] for name in wanted or found}


class Bench:
    """One run. The model is loaded when a part needs it."""

    def __init__(self, asked: argparse.Namespace, state: State) -> None:
        self.asked, self.state = asked, state
        self.tastes = loaded_tastes(asked.tastes, asked.only)
        self._base: Base | None = None

    @property
    def base(self) -> Base:
        """The real model."""
        self._base = self._base or real()
        return self._base

    def gain(self) -> None:
        """Every taste, night after night."""
        for name, taste in self.tastes.items():
            key = f"gain/{name}"
            if key not in self.state.kept:
                asked = Asked(self.asked.rows, self.asked.nights, self.asked.seed)
                found = gain(self.base, name, taste, asked, partial(self.state.keep, key, whole=False))
                self.state.keep(key, found)

    def oasst(self) -> None:
        """Real reactions of people without names."""
        if "oasst" not in self.state.kept:
            self.state.keep("oasst", oasst.agreement(oasst.FILE) if oasst.FILE.exists() else None)


def figures(kept: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON object: what was asked for, null where it was not run."""
    runs = {key.partition("/")[2]: run for key, run in kept.items() if key.startswith("gain/")}
    last = [run["nights"][-1] for run in runs.values() if run["nights"]]
    gains = [one["gain"] for one in last]
    return {
        "tastes": {name: {"base": run["base"], "after": run["after"]} for name, run in runs.items()},
        "gain_median": statistics.median(gains) if gains else None,
        "gain_min": min(gains, default=None),
        "gain_first_night": statistics.median(run["first"] for run in runs.values()) if gains else None,
        "variety": min((one["variety"] for one in last), default=None),
        "opening": max((one["opening"] for one in last), default=None),
        "auc": statistics.median(found) if (found := [one["auc"] for one in last if one["auc"]]) else None,
        "perplexity_change": max((one["perplexity"] - 1 for one in last), default=None),
        **dict.fromkeys(
            ("clique_cost", "plain_kto_clique_cost", "poisoned_promoted", "good_promoted", "core_minutes",
             "over_trl_time")
        ),
        "oasst_agreement": (kept.get("oasst") or {}).get("rating"),
        "runs": runs,
    }  # fmt: skip


def main() -> int:
    """Measure what is asked for, and print it."""
    asked = options()
    quiet.set_verbosity_error()  # type: ignore[no-untyped-call]
    torch.set_num_threads(1)
    about = {"rows": asked.rows, "nights": asked.nights, "seed": asked.seed}
    try:
        bench = Bench(asked, State(asked.state, about))
        for part in [part for part in asked.parts.split(",") if part]:
            if part not in PARTS:
                raise LimenError(f"there is no part called {part}", f"there are {', '.join(PARTS)}")
            getattr(bench, part)()
    except LimenError as error:
        say(f"{error}\n  → {error.hint}" if error.hint else str(error))
        return 2
    versions = {name: version(name) for name in ("torch", "transformers")}
    print(json.dumps({**figures(bench.state.kept), **about, "versions": versions}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
