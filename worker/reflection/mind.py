"""What reflection thinks with: a generator and an embedder, asked a piece at a time, and only when it is quiet."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from core.jobs import Lane
from core.prompt import Prompt
from personas.sampling import Sampling
from worker.embed import Vectors
from worker.generator import Finished, Generator, Request

T = TypeVar("T")
AT_ONCE = 16  # texts embedded between two looks at whether somebody waits

Ask = Callable[..., Awaitable[list[Finished]]]  # of requests; their ends, in order


class Embeds(Protocol):
    """As much of `worker.embedding.Embedding` as is needed here."""

    async def embed(self, texts: Sequence[str]) -> Vectors | None: ...


class Mind:
    """`writes`: whether the model can be trusted with tasks, beside speaking as the character. `generator` None:
    nothing is written at all. `quiet` returns when a piece of work may be done."""

    def __init__(
        self, generator: Generator | None, ask: Ask, embedding: Embeds, quiet: Callable[[], Awaitable[object]],
        writes: bool = False,
    ) -> None:  # fmt: skip
        self._generator, self._ask, self._embedding, self._quiet = generator, ask, embedding, quiet
        self.writes = writes and generator is not None

    async def write(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int], loras: Sequence[str] = ()
    ) -> list[str]:
        """One answer for each seed; empty where the model failed."""
        if self._generator is None:
            return []
        rendered = self._generator.render(prompt, sampling.max_tokens)
        mark = secrets.token_hex(6)
        requests = [
            Request(
                id=f"reflection:{mark}:{at}", tokens=rendered.tokens, messages=rendered.messages, sampling=sampling,
                seed=seed, loras=tuple(loras), lane=Lane.BACKGROUND,
            )
            for at, seed in enumerate(seeds)
        ]  # fmt: skip
        return [end.text.strip() for end in await self._ask(*requests)]

    async def work(self, what: Callable[..., T], *args: Any) -> T:
        """The result of something that takes a while to reckon, beside whatever else goes on."""
        await self._quiet()
        return await asyncio.to_thread(what, *args)

    async def embed(self, texts: Sequence[str]) -> Vectors | None:
        """A row for each text; None while there is no embedder."""
        rows: list[Vectors] = []
        for at in range(0, len(texts), AT_ONCE):
            await self._quiet()
            found = await self._embedding.embed(texts[at : at + AT_ONCE])
            if found is None:
                return None
            rows.append(found)
        return np.concatenate(rows) if rows else None
