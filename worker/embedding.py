"""The worker's embedder, shared by all that compare meanings: loaded beside the talk, and run in one thread.

Nothing waits for weights: until they are there, or where they cannot be had, `embed` gives None, and whoever asked
goes by words alone.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from core.errors import MissingExtra, ModelError
from worker.embed import Embedder, Vectors

log = logging.getLogger("limen.worker")

AGAIN = 300.0  # seconds after which weights that could not be had are asked for once more


class Embedding:
    """`load` gives the embedder; it may take long, and may raise ModelError. `embedder`: it is there already."""

    def __init__(self, load: Callable[[], Embedder], embedder: Embedder | None = None) -> None:
        self._load, self._embedder = load, embedder
        self._thread = ThreadPoolExecutor(1, "embedder")
        self._loading: asyncio.Task[None] | None = None
        self._tried = float("-inf")
        self._trouble = ""

    @property
    def id(self) -> str:
        """What vectors of now are marked with; empty while there is no embedder."""
        return self._embedder.id if self._embedder else ""

    @property
    def width(self) -> int:
        """Of its vectors; 0 while there is no embedder."""
        return self._embedder.width if self._embedder else 0

    def begin(self) -> None:
        """Load it, if it is neither there nor on its way nor was just refused. Returns at once."""
        waits = self._loading is None or self._loading.done()
        if self._embedder is None and waits and time.monotonic() - self._tried > AGAIN:
            self._tried = time.monotonic()
            self._loading = asyncio.create_task(self._begun())

    async def ready(self) -> bool:
        """Wait until it is loaded, or has been refused. Is it there?"""
        self.begin()
        if self._loading:
            await self._loading
        return self._embedder is not None

    async def _begun(self) -> None:
        try:
            self._embedder = await asyncio.get_running_loop().run_in_executor(self._thread, self._load)
            self._trouble = ""
        except (ModelError, MissingExtra) as error:
            self._trouble = str(error)
            log.warning("no embedder, so likeness is by words alone: %s (%s)", error, error.hint)

    async def embed(self, texts: Sequence[str]) -> Vectors | None:
        """One row of unit length for each text; None while there is no embedder."""
        self.begin()
        if self._embedder is None:
            return None
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._embedder.embed, texts)

    def about(self) -> dict[str, str | int | float]:
        """What `limen status` shows of it."""
        return {"embedder": self.id or self._trouble or "not loaded yet"}
