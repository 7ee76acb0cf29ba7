"""A generator of one's own, for a shell command that reflects: nobody else talks with it."""

import asyncio

from worker.generator import Finished, Generator, Request
from worker.reflection.mind import Ask


async def quiet() -> bool:
    """Nobody waits here."""
    return True


def asking(generator: Generator | None) -> Ask:
    """Steps until all have ended."""

    async def ask(*requests: Request) -> list[Finished]:
        assert generator is not None, "who has no model is not asked to write"
        for request in requests:
            generator.add(request)
        ends: dict[str, Finished] = {}
        while len(ends) < len(requests):
            for event in await asyncio.to_thread(generator.step):
                if isinstance(event, Finished):
                    ends[event.id] = event
        return [ends[request.id] for request in requests]

    return ask
