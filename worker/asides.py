"""What a worker asks its model for itself, beside the talk: only while nobody waits for a reply.

As soon as somebody does, whatever is being written for ourselves is stopped, to be asked for once more when it is quiet
again. Where it is never quiet it goes on after a while all the same, in the background lane. Knows no queue.
"""

import asyncio
from collections.abc import Callable

from worker.generator import Finished, Generator, Piece, Request

PATIENCE = 600.0  # seconds that people may go first; from then on it runs beside them


class Asides:
    """`wake`: called when there is something for the model to do."""

    def __init__(self, generator: Generator, wake: Callable[[], None], patience: float = PATIENCE) -> None:
        self._generator, self._wake, self._patience = generator, wake, patience
        self._ends: dict[str, asyncio.Future[Finished]] = {}
        self._yielding: set[str] = set()
        self._free = asyncio.Event()
        self._free.set()

    def people(self, waiting: int) -> None:
        """So many people wait for a reply now."""
        if not waiting:
            self._free.set()
            return
        self._free.clear()
        for name in self._yielding & self._ends.keys():
            self._generator.cancel(name)

    async def quiet(self) -> bool:
        """Return when nobody waits for a reply. False: somebody still does, and has for too long."""
        try:
            async with asyncio.timeout(self._patience):
                await self._free.wait()
        except TimeoutError:
            return False
        return True

    async def ask(self, *requests: Request) -> list[Finished]:
        """Their ends, in order. The ids must not be in use."""
        return list(await asyncio.gather(*(self._one(request) for request in requests)))

    async def _one(self, request: Request) -> Finished:
        while True:
            gives_way = await self.quiet()
            end = self._ends[request.id] = asyncio.get_running_loop().create_future()
            self._yielding |= {request.id} if gives_way else set()
            try:
                self._generator.add(request)
                self._wake()
                found: Finished = await end
            finally:
                del self._ends[request.id]
                if end.cancelled():  # whoever asked is gone
                    self._generator.cancel(request.id)
                self._yielding.discard(request.id)
            if found.finish != "cancelled":
                return found

    def took(self, event: Piece | Finished) -> bool:
        """Was this for us?"""
        end = self._ends.get(event.id)
        if end and isinstance(event, Finished) and not end.done():
            end.set_result(event)
        return end is not None
