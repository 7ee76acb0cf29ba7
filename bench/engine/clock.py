"""Time as it is measured here: CPU time of this process on a CPU, wall time on a GPU once it has done its work."""

import statistics
import time
from collections.abc import Callable, Sequence

import torch


class Clock:
    """Seconds for one device."""

    def __init__(self, device: str) -> None:
        self._gpu = device.startswith("cuda")

    def now(self) -> float:
        """Only differences mean something."""
        if not self._gpu:
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    def of(self, act: Callable[[], object]) -> float:
        """What an act takes."""
        began = self.now()
        act()
        return self.now() - began

    def by_turns(self, acts: Sequence[Callable[[], object]], repeats: int) -> list[list[float]]:
        """What each act takes, `repeats` times, by turns: what disturbs the machine disturbs all alike. Every other
        round goes backwards."""
        taken: list[list[float]] = [[] for _ in acts]
        for repeat in range(repeats):
            order = range(len(acts)) if repeat % 2 else reversed(range(len(acts)))
            for at in order:
                taken[at].append(self.of(acts[at]))
        return taken


def ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """Median of the ratios, round by round."""
    return round(statistics.median(a / b for a, b in zip(over, under, strict=True)), 3)


def ms(seconds: Sequence[float]) -> float:
    """Median in milliseconds."""
    return round(statistics.median(seconds) * 1000, 2)
