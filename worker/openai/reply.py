"""One reply from a server, from the first try to the last word: LoRA, dialect, retries, stream. The whole tale of it.

Runs on one event loop. Cancelling the task closes the HTTP stream, and the server stops generating.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import aclosing

from core.errors import LimenError, LoraError
from core.jobs import BASE
from worker.generator import Finished, Piece, Request
from worker.openai.asking import Asked, Dialect
from worker.openai.fitting import Fitting
from worker.openai.loras import Loras
from worker.openai.server import Delta, Server
from worker.openai.trouble import Trouble
from worker.streaming import Stream

log = logging.getLogger("limen.worker")

LONGEST = 30.0  # seconds between two tries
Tell = Callable[[Piece], None]


class Reply:
    """A reply as it grows. Its stream reads places in a list of texts where others have token ids."""

    def __init__(self, request: Request, tell: Tell) -> None:
        self.request, self._tell = request, tell
        self._texts: list[str] = []
        self._stream = Stream(self._joined, request.sampling.stop, request.speakers)
        self._counted = 0
        self.lora = BASE
        self.finish = ""

    @property
    def began(self) -> bool:
        """Has anything been said?"""
        return bool(self._texts)

    @property
    def tokens(self) -> int:
        """Tokens as the server counted them, else the pieces that came."""
        return self._counted or len(self._texts)

    def hear(self, delta: Delta) -> None:
        """Take what came, and tell what is final by it."""
        self._counted = delta.reply or self._counted
        self.finish = delta.finish or self.finish
        if delta.text:
            self._texts.append(delta.text)
            self._tell(Piece(self.request.id, self._stream.push(len(self._texts) - 1), len(self._texts)))
        if self._stream.stopped:
            self.finish = "stop"

    def end(self, finish: str, error: str = "") -> Finished:
        """The last of it."""
        if rest := self._stream.rest():
            self._tell(Piece(self.request.id, rest, len(self._texts)))
        return Finished(
            id=self.request.id, text=self._stream.text, finish=finish, tokens=self.tokens, lora=self.lora, error=error
        )

    @property
    def stopped(self) -> bool:
        """Did a stop string come?"""
        return self._stream.stopped

    def _joined(self, places: Sequence[int]) -> str:
        return "".join(self._texts[place] for place in places)


class Speaker:
    """Has `model` on one server speak. Until the first word came, it tries `retries` times more; `pause` in seconds."""

    def __init__(
        self, server: Server, model: str, loras: Loras, dialect: Dialect, fitting: Fitting, retries: int = 3,
        pause: float = 0.5,
    ) -> None:  # fmt: skip
        self._server, self._model = server, model
        self.loras, self.dialect, self.fitting = loras, dialect, fitting
        self._retries, self._pause = retries, pause

    async def answer(self, request: Request, tell: Tell) -> Finished:
        """One request to its end, whatever that is. Raises nothing, not even when it is cancelled."""
        reply = Reply(request, tell)
        try:
            await self._persist(reply)
        except asyncio.CancelledError:
            return reply.end("cancelled")
        except LimenError as error:
            return reply.end("error", f"{error} → {error.hint}" if error.hint else str(error))
        except Exception as error:
            log.exception("request %s could not be answered", request.id)
            return reply.end("error", f"{type(error).__name__}: {error}")
        return reply.end("length" if reply.finish == "length" else "stop")

    async def _persist(self, reply: Reply) -> None:
        """Try until it goes well, it makes no sense, or it has been enough."""
        for number in range(self._retries + 1):
            try:
                await self._try(reply)
                return
            except Trouble as trouble:
                if reply.began or not trouble.again or number == self._retries:
                    raise
                wait = min(trouble.wait, LONGEST) + random.uniform(0.5, 1.0) * min(self._pause * 2**number, LONGEST)
                log.info("%s; trying again in %.1f s", trouble, wait)
                await asyncio.sleep(wait)

    async def _try(self, reply: Reply) -> None:
        """With the first of its LoRAs that can be had, else with the base."""
        for version in reply.request.loras:
            try:
                await self._with_lora(reply, version)
                return
            except LoraError:
                continue  # it has been told of; the next one is good as well
        reply.lora = BASE
        await self._ask(reply, self._model)

    async def _with_lora(self, reply: Reply, version: str) -> None:
        for _ in range(2):
            async with self.loras.using(version) as name:
                reply.lora = version
                try:
                    await self._ask(reply, name)
                    return
                except Trouble as trouble:
                    if reply.began or not trouble.no_model:
                        raise
                    self.loras.lost(version)
        self.loras.refuse(version, "the server took it, but does not know it")
        raise LoraError(f"{version} is not to be had")

    async def _ask(self, reply: Reply, model: str) -> None:
        """Ask in every way in which this server may take it."""
        while True:
            request = reply.request
            asked = self.dialect.body(model, request, self.fitting.room(request.tokens))
            try:
                await self._listen(reply, asked)
                return
            except Trouble as trouble:
                if reply.began:
                    raise
                if trouble.complaint.too_long and trouble.status in (400, 413, 422):
                    raise self._too_long(request, trouble) from trouble
                if not self.dialect.learn(trouble, asked):
                    raise

    async def _listen(self, reply: Reply, asked: Asked) -> None:
        """One stream to its end. What breaks after the finish was told breaks nothing."""
        try:
            async with aclosing(self._server.talk(asked.body)) as deltas:
                async for delta in deltas:
                    reply.hear(delta)
                    if reply.stopped:
                        return
                    self.fitting.learn(reply.request.messages, delta.prompt)
        except Trouble:
            if not reply.finish:
                raise
        if not reply.finish:
            raise Trouble(f"{self._server.where} broke off", "look at the server's log", again=True)

    def _too_long(self, request: Request, trouble: Trouble) -> Trouble:
        """What the ledger keeps is what the model read, so the prompt is not cut here: the job's next attempt renders
        it anew, by an estimate that has learned."""
        self.fitting.shrink(request.messages, trouble.complaint.length, trouble.complaint.limit)
        said = f"the prompt was too long for {self._server.where}; the next attempt gives it less"
        return Trouble(said, "if it goes on, set openai.context to what the server has", trouble.status)
