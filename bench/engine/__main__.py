"""What the engine does with many LoRAs at once: `python -m bench.engine [--quick] [--device cuda] [--model REF]`.

Takes about six minutes of one CPU thread, one with --quick; needs no weights (their shape is enough), peft (`dev`)
and 4 GB in the temporary folder. On a CPU, CPU time of the process is measured; on a GPU, wall time.
"""

import argparse
import gc
import json
import platform
import sys
import tempfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging as quiet

from bench.engine.clock import Clock
from bench.engine.decode import Figures, steps
from bench.engine.eightbit import can, int8
from bench.engine.loading import loads, memory
from bench.engine.replies import generated, sequential
from bench.engine.rivals import Peft, Plain
from bench.engine.shapes import LARGE, SMOL, Base
from bench.engine.stand import RANK, Stand
from bench.engine.table import table
from bench.engine.waits import brief_turns, turns, under_prefill
from bench.report import say
from worker.model import Loaded, choose_dtype

CONTEXTS = (64, 512)
VERSIONS = 1000


class Bench:
    """One run over one base, with files in `folder`."""

    def __init__(self, base: Base, folder: Path, quick: bool) -> None:
        self.base, self.folder, self.quick = base, folder, quick
        self.gpu = base.device.startswith("cuda")
        self.sizes = (8, 16, 32, 64) if self.gpu else (8, 16, 32)
        self.clock = Clock(base.device)
        self.contexts = CONTEXTS[:1] if quick else CONTEXTS
        self.figures: Figures = {}

    def run(self, other: str) -> Figures:
        """Everything; with --quick, LoRAs on attention in one dtype and a short context."""
        self._attention()
        if self.quick:
            return self.figures
        self._all_linears()
        self.base = replace(self.base, dtype=other)
        for targets, name in (("attention", f"_{other}"), ("all", f"_all_{other}")):
            self._steps(self._stand(targets), self.base.load(), name, CONTEXTS[:1])
        return self.figures

    def _all_linears(self) -> None:
        stand = self._stand("all")
        self._steps(stand, self.base.load(), "_all", self.contexts)
        found = {**loads(stand, self.clock, 0, 40), **memory(stand)}
        self._add("loading and memory", {f"{key}_all": value for key, value in found.items()})

    def _attention(self) -> None:
        stand, repeats = self._stand("attention"), 1 if self.quick else 3
        rival = self.base.load()
        self._add("over transformers' generate", generated(stand, Plain(rival), self.clock, repeats, not self.quick))
        peft = self._steps(stand, rival, "", self.contexts)
        few = (1, 4) if self.quick else (2, 1)
        self._add("over one at a time", sequential(stand, peft, self.clock, *few))
        self._add("first token late in a talk", turns(stand, self.clock, repeats))
        self._add("after a brief message", brief_turns(stand, self.clock, 5))
        self._add("first token under a long prompt", under_prefill(stand, self.clock, 4 if self.quick else 1))
        self._add("loading", loads(stand, self.clock, VERSIONS, 40 if self.quick else 100, self.quick or self.gpu))
        self._add("memory", memory(stand))
        if can() and not self.quick:
            small = Stand(
                replace(self.base, quantize="int8"), self.folder / "int8", "attention", stand.rows, CONTEXTS[0]
            )
            self._add("a base in int8", int8(stand, small, self.clock, CONTEXTS[0], 15))

    def _stand(self, targets: str) -> Stand:
        gc.collect()
        if self.gpu:
            torch.cuda.empty_cache()
        say(f"LoRAs on {targets}, {self.base.dtype}")
        stand = Stand(self.base, self.folder / self.base.dtype, targets, self.sizes[-1], self.contexts[-1])
        self.figures.setdefault("step_tokens", stand.step_tokens)
        return stand

    def _steps(self, stand: Stand, rival: Loaded, name: str, contexts: tuple[int, ...]) -> Peft:
        peft = Peft(rival, stand.shape.targets, stand.rows, RANK)
        for context in contexts:
            suffix = name if context == CONTEXTS[0] else f"{name}_{context}"
            say(f"decode steps, context {context}")
            found = steps(stand, peft, self.clock, context, self.sizes, 7 if self.quick else 15)
            self.figures |= {f"{figure}{suffix}": values for figure, values in found.items()}
        return peft

    def _add(self, title: str, found: Figures) -> None:
        say(title + ": " + ", ".join(f"{key} {value}" for key, value in found.items()))
        self.figures |= found


def measured_with() -> list[str]:
    """Packages whose versions matter."""
    return ["torch", "transformers", "peft", *(["torchao"] if can() else [])]


def about(base: Base) -> dict[str, Any]:
    """What was measured, and with what."""
    gpu = base.device.startswith("cuda")
    return {
        "model": base.ref, "device": base.device, "dtype": base.dtype, "threads": torch.get_num_threads(),
        "rank": RANK, "time": "wall" if gpu else "cpu",
        "hardware": torch.cuda.get_device_name() if gpu else platform.processor() or platform.machine(),
        "cuda": "measured" if gpu else "not measured",
        "versions": {
            "python": platform.python_version(), **{name: version(name) for name in measured_with()},
        },
    }  # fmt: skip


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.engine", description=__doc__)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument(
        "--model", default="", help="a reference as in model.ref, or shape:smollm2-135m, shape:llama-8b"
    )
    return parser.parse_args()


def main() -> int:
    """Measure, print the table on stderr and the JSON object on stdout."""
    asked = options()
    if asked.device == "cuda" and not torch.cuda.is_available():
        say("there is no CUDA device here")
        return 2
    quiet.set_verbosity_error()  # type: ignore[no-untyped-call]
    if asked.device == "cpu":
        torch.set_num_threads(1)
    dtype = str(choose_dtype(asked.dtype, asked.device)).removeprefix("torch.")
    base = Base(asked.model or (SMOL if asked.device == "cpu" else LARGE), asked.device, dtype)
    other = "float32" if dtype == "bfloat16" else "bfloat16"
    with tempfile.TemporaryDirectory(prefix="limen-bench-") as folder:
        figures = Bench(base, Path(folder), asked.quick).run(other)
    say(table(figures, other))
    if asked.device == "cpu":
        say("CUDA was not measured.")
    print(json.dumps({**figures, **about(base)}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
