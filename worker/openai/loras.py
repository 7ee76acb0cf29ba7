"""LoRAs on a vLLM server at runtime: loaded when wanted, the least recently used ones given up, one in use never.

Versions never change, so a name stands for its weights. Runs on one event loop; where the folders lie, it is told.
"""

import asyncio
import hashlib
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from core.errors import LoraError
from worker.openai.server import Model, Server
from worker.openai.trouble import Trouble

log = logging.getLogger("limen.worker")

REST = 60.0  # seconds for which a version that was refused is not tried again
REMEMBERED = 1000  # of those
CANNOT = "the server takes no LoRAs at runtime"
STEP = "start vLLM with --enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True (docs/openai-server.md)"


def prefix(store: str) -> str:
    """What all versions of one store are called by on a server, where others' may have the same names."""
    return f"limen-{hashlib.sha256(store.encode()).hexdigest()[:8]}-"


class Loras:
    """At most `slots` LoRAs on one server, whose names begin with `ours`. `off` says why there are none at all; empty:
    they are taken."""

    def __init__(
        self, server: Server, folder: Callable[[str], Path], slots: int, ours: str, off: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._server, self._folder, self._slots, self._clock = server, folder, slots, clock
        self._ours, self.off = ours, off
        self._held: dict[str, str] = {}  # name → folder, the least recently used first
        self._ready: set[str] = set()  # of these, those that need no question any more
        self._in_use: Counter[str] = Counter()
        self._refused: dict[str, tuple[str, float]] = {}  # version → why, and until when
        self._changing = asyncio.Lock()
        self._free = asyncio.Event()
        self._inplace = True

    def adopt(self, models: Iterable[Model]) -> None:
        """Those of ours that the server holds already, from before we started."""
        self._held |= {
            model.id: model.root or "" for model in models if model.parent and model.id.startswith(self._ours)
        }

    def about(self) -> dict[str, str | int | float]:
        """How many there are, and what is wrong."""
        faults = (f"{version}: {why}" for version, why in self.faults().items())
        return {
            "loras": len(self._held),
            "lora_slots": 0 if self.off else self._slots,
            "lora_trouble": self.off or "; ".join(faults),
        }

    def faults(self) -> dict[str, str]:
        """Versions that the server refuses, and why; until it takes them."""
        return {version: why for version, (why, _) in list(self._refused.items())}

    @asynccontextmanager
    async def using(self, version: str) -> AsyncIterator[str]:
        """The model name of this version, which stays loaded meanwhile.

        Raises LoraError if it cannot be had; Trouble if the server cannot be asked now.
        """
        name = await self._take(version)
        try:
            yield name
        finally:
            self._in_use[name] -= 1
            self._free.set()

    def lost(self, version: str) -> None:
        """The server does not know it any more: it was started anew, or somebody else needed the room."""
        self._held.pop(self._name(version), None)
        self._ready.discard(self._name(version))

    def refuse(self, version: str, why: str) -> None:
        """Leave this version alone for a while."""
        if why != self._refused.pop(version, ("", 0.0))[0]:
            log.warning("LoRA %s cannot be used: %s", version, why)
        self._refused[version] = why, self._clock() + REST
        if len(self._refused) > REMEMBERED:
            del self._refused[next(iter(self._refused))]

    def _name(self, version: str) -> str:
        """What a version is called on the server."""
        return self._ours + version.replace("/", "+")

    async def _take(self, version: str) -> str:
        name = self._name(version)
        why, until = self._refused.get(version, ("", 0.0))
        if self.off or self._clock() < until:
            raise LoraError(self.off or why)
        if name not in self._ready:
            async with self._changing:
                await self._make_ready(version, name)
                return self._mark(name)
        return self._mark(name)

    def _mark(self, name: str) -> str:
        """It is used, and used last."""
        self._held[name] = self._held.pop(name)
        self._in_use[name] += 1
        return name

    async def _make_ready(self, version: str, name: str) -> None:
        try:
            path = str(await asyncio.to_thread(self._folder, version))
            if self._held.get(name) != path:
                await self._make_room(name)
                await self._load(name, path)
        except LoraError as error:
            if not self.off:
                self.refuse(version, str(error))
            raise
        self._held[name] = path
        self._ready.add(name)
        self._refused.pop(version, None)

    async def _make_room(self, name: str) -> None:
        """Let go of others until there is a slot for this one. Waits while all are in use."""
        while len(others := [one for one in self._held if one != name]) >= self._slots:
            idle = next((one for one in others if not self._in_use[one]), None)
            if idle is None:
                self._free.clear()
                await self._free.wait()
                continue
            del self._held[idle]  # before we wait: from now on, whoever wants it has to ask
            self._ready.discard(idle)
            await self._unload(idle)

    async def _unload(self, name: str) -> None:
        try:
            await self._server.unload(name)
        except Trouble as trouble:
            if trouble.status != 404:  # gone is gone
                log.warning("%s could not be unloaded: %s", name, trouble)

    async def _load(self, name: str, path: str) -> None:
        try:
            if name in self._held:
                await self._replace(name, path)
                return
            await self._server.load(name, path)
        except Trouble as trouble:
            if "already been loaded" in trouble.complaint.text:
                await self._take_over(name, path)
                return
            raise self._verdict(trouble) from trouble

    async def _take_over(self, name: str, path: str) -> None:
        """Somebody has loaded one of that name. The same one will do."""
        there = {model.id: model.root for model in await self._server.models()}
        if there.get(name) != path:
            try:
                await self._replace(name, path)
            except Trouble as trouble:
                raise self._verdict(trouble) from trouble

    async def _replace(self, name: str, path: str) -> None:
        """Load it instead of another of its name: in place where the server knows how."""
        if self._inplace:
            try:
                await self._server.load(name, path, inplace=True)
                return
            except Trouble as trouble:
                said = trouble.complaint
                if "already been loaded" not in said.text and not said.blames(["load_inplace"]):
                    raise
                self._inplace = False
        await self._unload(name)
        await self._server.load(name, path)

    def _verdict(self, trouble: Trouble) -> Exception:
        """Whose fault is it: the server's for now or for good, or the LoRA's?"""
        text = trouble.complaint.text
        no_route = trouble.status in (405, 501) or (trouble.status == 404 and text in ("Not Found", ""))
        if no_route or "not enabled" in text:
            self.off = f"{CANNOT} ({text or trouble.status})"
            log.warning("%s; personas talk without theirs. %s", self.off, STEP)
            return LoraError(self.off, STEP)
        if trouble.status in (401, 403) or (trouble.again and trouble.status != 500):
            return trouble
        return LoraError(text or str(trouble))
