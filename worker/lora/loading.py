"""Reads LoRAs in a background thread, so that no step waits for a disk. Knows neither files nor slots."""

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue

from core.errors import LoraError
from worker.lora.files import Weights

log = logging.getLogger("limen.worker")


class Loading:
    """Reads what is asked for, one after the other. Any thread may call."""

    def __init__(self, read: Callable[[str], Weights]) -> None:
        self._read = read
        self._asked: SimpleQueue[str | None] = SimpleQueue()  # None: no more
        self._changed = threading.Condition()
        self._pending: set[str] = set()  # from the question until the answer is taken
        self._done: list[tuple[str, Weights | LoraError]] = []
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="lora-loading", daemon=True)
        self._thread.start()

    def ask(self, version: str) -> None:
        """Have a version read. Returns at once; a version that is being read, or lies ready, is not read twice."""
        with self._changed:
            if self._closed or version in self._pending:
                return
            self._pending.add(version)
        self._asked.put(version)

    def ready(self) -> list[tuple[str, Weights | LoraError]]:
        """What has been read since the last call, or why it could not be. Never waits for a disk."""
        with self._changed:
            done, self._done = self._done, []
            self._pending.difference_update(version for version, _ in done)
        return done

    def wait(self, timeout: float) -> bool:
        """Until something is ready, for `timeout` seconds at most; False if nothing is."""
        with self._changed:
            self._changed.wait_for(lambda: self._done or self._closed, timeout)
            return bool(self._done)

    def close(self) -> None:
        """Read nothing more. Waits a moment for what is being read, but not for a disk that hangs."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._asked.put(None)
        self._thread.join(1.0)

    def _work(self) -> None:
        while (version := self._asked.get()) is not None and not self._closed:
            found = self._one(version)
            with self._changed:
                self._done.append((version, found))
                self._changed.notify_all()

    def _one(self, version: str) -> Weights | LoraError:
        """The one place of this thread that catches wide: one LoRA must not end the loading of all others."""
        try:
            return self._read(version)
        except LoraError as error:
            return error
        except Exception as error:
            log.exception("LoRA %s could not be read", version)
            fault = LoraError(f"LoRA {version} could not be read ({type(error).__name__}: {error})", "see the log")
            fault.__cause__ = error
            return fault
