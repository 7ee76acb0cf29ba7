"""How a reply begins and comes to its end: with several candidates, which one it is, and what is felt beside it.

Between the server, which claims and completes, and the model, which generates. Whatever goes wrong here, a reply is
given: taste and feelings are not worth one.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import cached_property

import msgspec

from core.errors import StoreUnreachable
from core.jobs import Done
from core.prompt import own_names
from core.votes.taste import Head
from worker.compose import Ask
from worker.feeling import Feelings
from worker.generator import Finished, Piece, Request
from worker.tasting import Tastes, several
from worker.truth import Truth

log = logging.getLogger("limen.worker")

FEEL = 5.0  # seconds that a whole reply waits for what is felt beside it


class Running:
    """A job in the batch: what was generated, and how much of it was passed on.

    Of several candidates nothing is passed on until one of them is picked, for nobody knows which it will be.
    """

    def __init__(self, ask: Ask, requests: Sequence[Request], head: Head | None) -> None:
        self.ask, self.requests, self.head = ask, requests, head
        self.ends: dict[str, Finished] = {}
        self.tried_again = self.stopped = False
        self.text = ""
        self.told = 0

    def hear(self, piece: Piece) -> None:
        """A candidate's words are its own business."""
        if len(self.requests) == 1:
            self.text += piece.text

    @cached_property
    def truth(self) -> Truth:
        """What it should say."""
        return Truth(self.ask.judged.told, "\n".join(line.text for line in self.ask.new), own_names(self.ask.card))

    @property
    def ended(self) -> bool:
        """Has everybody come to an end?"""
        return self.left == 0

    @property
    def left(self) -> int:
        """How many are still being made."""
        return len(self.requests) - len(self.ends)


class Ending:
    """Without `tastes`, every reply is the first that comes; without `feelings`, nothing is felt beside it. `add` and
    `cancel` are the model's."""

    def __init__(
        self, tastes: Tastes | None, feelings: Feelings | None, add: Callable[[Request], None],
        cancel: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._tastes, self._feelings, self._add, self._cancel = tastes, feelings, add, cancel
        self._weighed: dict[str, asyncio.Future[tuple[float, ...]]] = {}

    async def begin(self, ask: Ask) -> Running:
        """What to ask the model, and whose taste picks. Raises StoreUnreachable."""
        try:
            if self._tastes:
                return Running(ask, *await self._tastes.candidates(ask.job.persona, ask.request, bool(ask.judged.told)))
        except StoreUnreachable:
            raise
        except Exception:
            log.exception("job %s: a fault in what is known of taste", ask.job.id)
        return Running(ask, (ask.request,), None)

    def is_quick(self, running: Running) -> bool:
        """Is there nothing more to be asked once the model has ended?"""
        return len(running.requests) == 1 and not (self._feelings and self._feelings.wanted(running.ask.card))

    def again(self, running: Running) -> tuple[Request, ...]:
        """As many tries once more, if none of several replies says what the card says of what was asked; once."""
        ends = running.ends.values()
        failed = any(end.finish not in ("stop", "length") for end in ends)
        try:
            if len(ends) == 1 or failed or running.tried_again or running.stopped:
                return ()
            if running.truth.is_told([end.text for end in ends]):
                return ()
        except Exception:
            log.exception("job %s: a fault in telling what is true", running.ask.job.id)
            return ()
        more = several(running.requests[0], 2 * len(ends))[len(ends) :]
        running.tried_again, running.requests = True, (*running.requests, *more)
        return more

    async def picked(self, running: Running) -> tuple[Ask, Finished]:
        """The reply that is given, and all that is to be known of its way; of several, the one that taste picks."""
        ask, ends = running.ask, [running.ends[request.id] for request in running.requests]
        if stopped := next((end for end in ends if end.finish == "cancelled"), None):
            nothing = msgspec.structs.replace(stopped, text="") if len(ends) > 1 else stopped
            return ask, nothing  # of several, nobody has seen a word
        if len(ends) == 1 or self._tastes is None:
            return ask, ends[0]
        try:
            end, picked = await self._tastes.pick(running.head, ends, ask.request.seed, running.truth.truest)
        except Exception:
            log.exception("job %s: a fault in picking one of %d replies", ask.job.id, len(ends))
            return ask, next((end for end in ends if end.finish != "error"), ends[0])
        return msgspec.structs.replace(ask, picked=picked), end

    async def beside(self, ask: Ask, done: Done) -> Done:
        """The reply with what is felt and done beside it."""
        if self._feelings is None:
            return done
        try:
            async with asyncio.timeout(FEEL):
                return await self._feelings.beside(ask, done, self._weigh)
        except TimeoutError:
            log.info("job %s: no time to feel anything", ask.job.id)
        except Exception:
            log.exception("job %s: a fault in what is felt beside it", ask.job.id)
        return done

    async def _weigh(self, request: Request) -> tuple[float, ...]:
        """How likely its choices are; nothing if that cannot be told now."""
        weighed = self._weighed[request.id] = asyncio.get_running_loop().create_future()
        try:
            self._add(request)
            scores: tuple[float, ...] = await weighed
            return scores
        finally:
            del self._weighed[request.id]
            self._cancel(request.id)  # should nobody wait for it any more

    def hear(self, event: Piece | Finished) -> bool:
        """Was that what somebody here waits for?"""
        weighed = self._weighed.get(event.id)
        if weighed is None:
            return False
        if isinstance(event, Finished) and not weighed.done():
            weighed.set_result(event.scores)
        return True
