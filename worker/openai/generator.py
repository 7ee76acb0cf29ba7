"""A Generator over an OpenAI-compatible server: requests stream side by side on one thread with its own event loop.

The seam's calls come from other threads and only pass things on. What is said and done stands in `reply.py`.
"""

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from core.prompt import Prompt
from worker.generator import Finished, Piece, Rendered, Request
from worker.openai.reply import Speaker
from worker.openai.server import Server

Result = TypeVar("Result")

MOST = 0.5  # seconds that a step waits for something to happen


class Background:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="openai", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do this there, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def close(self) -> None:
        """End the thread. Nothing may be running any more."""
        self.run(self.loop.shutdown_asyncgens())
        self.run(self.loop.shutdown_default_executor())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


class Remote:
    """See `Generator`. Speaks through `speaker`, whose server is `server`, on the loop of `background`."""

    def __init__(self, background: Background, server: Server, speaker: Speaker) -> None:
        self._background, self._server, self._speaker = background, server, speaker
        self._tasks: dict[str, asyncio.Task[Finished]] = {}  # touched on the loop only
        self._events: SimpleQueue[Piece | Finished] = SimpleQueue()
        self._lock = threading.Lock()
        self._active = 0

    def render(self, prompt: Prompt, reserve: int) -> Rendered:
        """Fit a prompt into the context, by estimate. Its tokens count; they spell nothing."""
        return self._speaker.fitting.render(prompt, reserve)

    def weighing(self, request_id: str, lead: str, choices: Sequence[str], asked: Request) -> Request | None:
        """Chat completions tell no likelihood of given words."""
        return None

    def add(self, request: Request) -> None:
        """Ask the server at once."""
        with self._lock:
            self._active += 1
        self._background.loop.call_soon_threadsafe(self._begin, request)

    def cancel(self, request_id: str) -> None:
        """Close its stream."""
        self._background.loop.call_soon_threadsafe(self._cancel, request_id)

    def step(self) -> list[Piece | Finished]:
        """All that has come. Waits until something does, but not for long."""
        events: list[Piece | Finished] = []
        wait = MOST if self.active else 0.0
        with suppress(Empty):
            while True:
                events.append(self._events.get(timeout=wait))
                wait = 0.0
        ended = sum(isinstance(event, Finished) for event in events)
        with self._lock:
            self._active -= ended
        return events

    @property
    def active(self) -> int:
        """How many requests have not ended."""
        with self._lock:
            return self._active

    def about(self) -> dict[str, str | int | float]:
        """LoRAs, and what was found out about the server."""
        speaker = self._speaker
        return {
            **speaker.loras.about(),
            "context": speaker.fitting.context,
            "refused": ", ".join(sorted(speaker.dialect.refused)),
        }

    def faults(self) -> dict[str, str]:
        """LoRA versions that the server refuses, and why."""
        return self._speaker.loras.faults()

    def close(self) -> None:
        """Let go of every stream, of the connections and of the thread."""
        self._background.run(self._leave())
        self._background.close()

    def _begin(self, request: Request) -> None:
        task = self._background.loop.create_task(self._speaker.answer(request, self._events.put))
        self._tasks[request.id] = task
        task.add_done_callback(lambda ended: self._end(request, ended))

    def _cancel(self, request_id: str) -> None:
        if task := self._tasks.pop(request_id, None):  # once: a second time would disturb the closing of the stream
            task.cancel()

    def _end(self, request: Request, task: asyncio.Task[Finished]) -> None:
        self._tasks.pop(request.id, None)
        nothing = Finished(id=request.id, text="", finish="cancelled")
        self._events.put(nothing if task.cancelled() else task.result())  # cancelled before it began

    async def _leave(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.close()
