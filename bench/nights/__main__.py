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
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from transformers.utils import logging as quiet

from bench import oasst
from bench.nights import clique, cost, language, pool, small, verdicts
from bench.nights import tastes as shipped
from bench.nights.figures import figures
from bench.nights.gain import TESTED, USUAL, Asked, gain
from bench.nights.people import Taste
from bench.nights.poison import BAD, FEW, Kind, Trial, nights
from bench.nights.world import PIRATE, real
from bench.report import say
from core.errors import LimenError
from worker.night.base import Base
from worker.night.split import FOLDS

PARTS = ("verdicts", "gain", "clique", "poison", "poison-real", "time", "pool", "oasst")
NIGHTS, LARGE = 50, 3  # of each kind, with the small model and with the real one


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.nights", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tastes", type=Path, help="a file of functions name(prompt, reply) -> bool, each a taste")
    parser.add_argument("--only", default="", metavar="NAME,…", help="only these tastes")
    parser.add_argument("--parts", default=",".join(PARTS), metavar="PART,…", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--nights", type=int, default=3)
    parser.add_argument("--rows", type=int, default=300, help="reactions a night, on two thirds as many replies")
    parser.add_argument("--tested", type=int, default=TESTED, help="replies by which a persona is measured")
    parser.add_argument("--tried", type=int, default=NIGHTS, help="nights of the small model, good and poisoned each")
    parser.add_argument("--practice", type=int, default=USUAL.practice, help="answers of its own to learn from besides")
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
        if whole:
            self.kept.pop(f"{name}…", None)
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
    """One run. A model is there when a part needs it."""

    def __init__(self, asked: argparse.Namespace, state: State) -> None:
        self.asked, self.state = asked, state
        self.tastes = loaded_tastes(asked.tastes, asked.only)
        self.recipe = replace(USUAL, practice=asked.practice)
        self.sizes = Asked(asked.rows, asked.nights, asked.seed, self.recipe, asked.tested)
        self.taste = self.tastes.get("excited") or next(iter(self.tastes.values()))  # where one is enough

    @cached_property
    def base(self) -> Base:
        """The real model."""
        return real()

    @cached_property
    def small(self) -> Trial:
        """The small model, and all that it speaks."""
        recipe = replace(small.RECIPE, practice=self.asked.practice)
        return Trial(small.small(), language.TASTES, recipe, small.STAGE, self.asked.rows)

    @cached_property
    def large(self) -> Trial:
        """The same with the real model."""
        return Trial(self.base, list(self.tastes.values()), self.recipe, PIRATE, self.asked.rows, self.asked.tested)

    def each(self, todo: Mapping[str, Callable[[], Any]]) -> None:
        """Whatever is not known yet, one after the other."""
        left = {key: work for key, work in todo.items() if key not in self.state.kept}
        begin = time.monotonic()
        for done, (key, work) in enumerate(left.items(), 1):
            self.state.keep(key, work())
            minutes = (time.monotonic() - begin) / 60 / done * (len(left) - done)
            say(f"{key} is done: {done} of {len(left)}, about {minutes:.0f} minutes to go")

    def gain(self) -> None:
        """Every taste, night after night."""
        self.each({f"gain/{name}": partial(self._gain, name) for name in self.tastes})

    def _gain(self, name: str) -> dict[str, Any]:
        keep = partial(self.state.keep, f"gain/{name}", whole=False)
        return gain(self.base, name, self.tastes[name], self.sizes, keep)

    def clique(self) -> None:
        """People who vote against the others."""
        self.each(clique.runs(lambda: self.base, self.taste, self.sizes))

    def poison(self) -> None:
        """Many nights of the small model, good and poisoned by turns."""
        tried = nights(BAD, self.asked.tried)
        self.each({f"poison/{kind.name}/{at}": partial(self._small, kind, at) for kind, at in tried})

    def poison_real(self) -> None:
        """A few nights of the real one."""
        tried = nights(FEW, LARGE)
        self.each({f"poison-real/{kind.name}/{at}": partial(self._large, kind, at) for kind, at in tried})

    def _small(self, kind: Kind, at: int) -> dict[str, Any]:
        return self.small.run(kind, at, self.asked.seed)

    def _large(self, kind: Kind, at: int) -> dict[str, Any]:
        return self.large.run(kind, at, self.asked.seed)

    def time(self) -> None:
        """What a night costs."""
        self.each({"time": lambda: cost.cost(self.base, self.taste, self.sizes)})

    def pool(self) -> None:
        """Scopes with too little to learn from."""
        self.each({"pool": lambda: pool.pool(self.base, self.taste, self.sizes)})

    def verdicts(self) -> None:
        """How well votes are read."""
        self.each({"verdicts": lambda: verdicts.verdicts(self.base, self.tastes, self.sizes)})

    def oasst(self) -> None:
        """Real reactions of people without names."""
        self.each({"oasst": lambda: oasst.agreement(oasst.FILE) if oasst.FILE.exists() else None})


def main() -> int:
    """Measure what is asked for, and print it."""
    asked = options()
    quiet.set_verbosity_error()  # type: ignore[no-untyped-call]
    torch.set_num_threads(1)
    recipe = str(replace(USUAL, practice=asked.practice))
    about = {"rows": asked.rows, "nights": asked.nights, "seed": asked.seed, "recipe": recipe, "folds": FOLDS}
    about |= {"tested": asked.tested} if asked.tested != TESTED else {}
    try:
        bench = Bench(asked, State(asked.state, about))
        for part in [part for part in asked.parts.split(",") if part]:
            if part not in PARTS:
                raise LimenError(f"there is no part called {part}", f"there are {', '.join(PARTS)}")
            getattr(bench, part.replace("-", "_"))()
    except LimenError as error:
        say(f"{error}\n  → {error.hint}" if error.hint else str(error))
        return 2
    versions = {name: version(name) for name in ("torch", "transformers", "trl") if importlib.util.find_spec(name)}
    print(json.dumps({**figures(bench.state.kept), **about, "versions": versions}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
