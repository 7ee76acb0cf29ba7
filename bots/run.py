"""Carry events from an adapter to the engine and answers back, and what runs beside it. Knows no platform."""

import asyncio
from collections.abc import Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

from adapters.base import Adapter
from core.commands import Desk
from core.errors import LimenError
from core.events import Command
from core.intake import Intake
from core.store.client import patiently

T = TypeVar("T")
PATIENCE = 60.0  # seconds that an event waits for Redis to come back, before its author hears of it


async def converse(adapter: Adapter, intake: Intake, desk: Desk) -> None:
    """Until the adapter has nothing more to tell. What cannot be done is told to whoever asked for it."""
    async with aclosing(adapter.listen()) as events:
        async for event in events:
            try:
                if isinstance(event, Command):
                    await adapter.answered(event, await patiently(lambda: desk.answer(event), PATIENCE))  # noqa: B023
                else:
                    await adapter.told(event, await intake.put(event))
            except LimenError as error:
                await adapter.refused(event, error)


async def beside(work: Coroutine[Any, Any, T], *others: Coroutine[Any, Any, object]) -> T:
    """The result of `work`, while the others run. They end with it; the first of them to fail ends everything."""
    main = asyncio.create_task(work)
    tasks: set[asyncio.Task[Any]] = {main, *(asyncio.create_task(other) for other in others)}
    running = tasks
    try:
        while not main.done():
            ended, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in ended - {main}:
                task.result()
        return main.result()
    finally:
        await _end(tasks)


async def _end(tasks: set[asyncio.Task[Any]]) -> None:
    """Cancel them until they are gone: on Python 3.11 a timeout in a library may swallow a cancellation."""
    while pending := {task for task in tasks if not task.done()}:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=1.0)
    await asyncio.gather(*tasks, return_exceptions=True)
