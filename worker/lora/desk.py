"""Which LoRA a request gets: the first of its wishes that can be had. Loading goes on meanwhile, and nobody waits for
another one's. What was read takes a slot when its request comes for it: before, the next to be read might take it away.
A version that cannot be loaded is left alone for a while; its persona speaks with an earlier one.
"""

import logging
import time
from collections.abc import Callable, Sequence

from core.errors import LoraError
from core.jobs import BASE
from worker.lora.files import Weights
from worker.lora.loading import Loading
from worker.lora.slots import Mix, Slots

log = logging.getLogger("limen.worker")

AGAIN = 60.0  # seconds until a version that could not be loaded is tried again


class Desk:
    """Gives requests their slots. Without `slots`, everybody gets the base."""

    def __init__(
        self, slots: Slots | None, loading: Loading | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._slots, self._loading, self._clock = slots, loading, clock
        self._coming: dict[str, Weights | None] = {}  # being read (None), or read but in no slot yet
        self._faults: dict[str, tuple[float, str]] = {}
        self._queued = False  # somebody waits for a slot: who asks later must not keep them all in use for ever

    def faults(self) -> dict[str, str]:
        """Versions that cannot be loaded, and why."""
        return {version: reason for version, (_, reason) in list(self._faults.items())}

    def claim(self, versions: Sequence[str]) -> tuple[str, int | None] | None:
        """(version, slot) for a request, pinned until it is released. None: it is being loaded, ask again."""
        if self._slots is None or self._loading is None:
            return BASE, None
        for version in versions:
            if version == BASE:
                break
            if self._is_faulty(version):
                continue
            slot = self._pinned(self._slots, version)
            if slot is not None:
                return version, slot
            known = version in self._coming or version in self._slots.resident
            if not known and self._has_room(self._slots):
                self._coming[version] = None
                self._loading.ask(version)
            return None
        return BASE, None

    def release(self, version: str) -> None:
        """One reply less that needs it."""
        if self._slots is not None and version != BASE:
            self._slots.release(version)

    def take(self) -> None:
        """Take in what has been read, and what could not be. Then all may claim anew, those first who wait longest."""
        self._queued = False
        if self._loading is None:
            return
        for version, found in self._loading.ready():
            if isinstance(found, LoraError):
                log.warning("LoRA %s cannot be loaded, an earlier version speaks instead: %s", version, found)
                self._faults[version] = (self._clock(), str(found))
                self._coming.pop(version, None)
            else:
                self._coming[version] = found
                self._faults.pop(version, None)

    def wait(self) -> None:
        """Until something more has been read, or for a moment."""
        if self._loading is not None:
            self._loading.wait(0.05)

    def mix(self, mix: Mix) -> None:
        """Whose LoRA each token of the next forward is read with."""
        if self._slots is not None:
            self._slots.mix = mix

    def about(self) -> dict[str, str | int | float]:
        """What `limen status` shows of it."""
        if self._slots is None:
            return {"loras": 0, "lora_slots": 0, "lora_trouble": ""}
        trouble = "; ".join(f"{version}: {reason}" for version, reason in self.faults().items())
        return {"loras": len(self._slots.resident), "lora_slots": self._slots.count, "lora_trouble": trouble}

    def _pinned(self, slots: Slots, version: str) -> int | None:
        """Its slot; if need be another one's that is idle."""
        weights = self._coming.get(version)
        if weights is not None and slots.load(weights):
            del self._coming[version]
        elif weights is not None:
            self._queued = True
        return None if self._queued else slots.pin(version)

    def _has_room(self, slots: Slots) -> bool:
        """Whether one more may be read: no more lie ready than there are slots, else they would fill the memory. Those
        that nobody came for yet make way."""
        if len(self._coming) >= slots.count:
            for version, weights in list(self._coming.items()):
                if weights is not None and slots.load(weights):
                    del self._coming[version]
        return len(self._coming) < slots.count

    def _is_faulty(self, version: str) -> bool:
        since, _ = self._faults.get(version, (float("-inf"), ""))
        return self._clock() - since < AGAIN
