"""Carry events from an adapter to the engine and answers back, and what runs beside it. Knows no platform.

Many events are on their way at once: those of one channel in order, one channel beside the other. So a channel where
something takes long holds up no other, and what comes together goes to the engine together.

A fault of ours costs the event that met it, and no other. To begin anew would not help: a platform brings again what
is not done with, and the same event would come first again.
"""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from contextlib import aclosing, suppress
from itertools import groupby
from typing import Any, TypeVar

from adapters.base import Adapter
from bots.reading import read
from core.commands.desk import Desk
from core.engine import Engine, Outcome
from core.errors import Fault, LimenError
from core.events import AnyEvent, Attachment, Command, Message
from core.group.roles import asks_for_role
from core.intake import Intake
from core.lanes import Lanes
from core.store.client import patiently

log = logging.getLogger("limen.run")
T = TypeVar("T")
PATIENCE = 60.0  # seconds that an event waits for Redis to come back, before its author hears of it
FETCHED = 8  # files that one bot account has in hand at the same time
WINDOW = 1_000  # events of one bot account that are on their way; when there are as many, no more are heard


async def converse(adapter: Adapter, intake: Intake, desk: Desk, window: int = WINDOW) -> None:
    """Until the adapter has nothing more to tell. What cannot be done is told to whoever asked for it."""
    talk = _Talk(adapter, intake, desk)
    lanes = Lanes(talk.take, window)
    try:
        await beside(_heard(adapter, lanes), lanes.trouble())
    finally:
        await lanes.close()


async def _heard(adapter: Adapter, lanes: Lanes[AnyEvent]) -> None:
    """A channel keeps its order together with its threads: what happens to a message need not say in which it is."""
    try:
        async with aclosing(adapter.listen()) as events:
            async for event in events:
                await lanes.put(event.place.channel, event)
    except LimenError:
        await lanes.none()
        raise
    await lanes.none()


class Few:
    """Fetches few files at a time, whoever sends how many: each is whole in memory until it has been read."""

    def __init__(self, adapter: Adapter, most: int) -> None:
        self._adapter, self._room = adapter, asyncio.Semaphore(most)

    async def fetch(self, attachment: Attachment, most: int) -> bytes:
        """What somebody attached, when its turn comes."""
        async with self._room:
            return await self._adapter.fetch(attachment, most)


class _Talk:
    """What is done with the events of one channel."""

    def __init__(self, adapter: Adapter, intake: Intake, desk: Desk) -> None:
        self._adapter, self._intake, self._desk = adapter, intake, desk
        self._files = Few(adapter, FETCHED)

    async def take(self, events: list[AnyEvent]) -> None:
        """In order. What lies between two commands is taken together."""
        for is_command, run in groupby(events, key=lambda event: isinstance(event, Command)):
            if not is_command:
                await self._keep(list(run))
                continue
            for event in run:
                assert isinstance(event, Command)
                await self._answer(event)

    async def _keep(self, events: Sequence[AnyEvent]) -> None:
        under_way = [
            (event, self._intake.offer(what)) for event, what in zip(events, await self._read(events), strict=True)
        ]
        try:
            for event, outcome in under_way:
                await self._serve(event, self._told(event, outcome))
        finally:
            for _, outcome in under_way:
                outcome.cancel()  # of those that we do not come to any more

    async def _told(self, event: AnyEvent, outcome: "asyncio.Future[Outcome]") -> None:
        await self._adapter.told(event, await outcome)

    async def _read(self, events: Sequence[AnyEvent]) -> Sequence[AnyEvent]:
        """With the files that came with them. Most talk has none."""
        if not any(isinstance(event, Message) and event.attachments for event in events):
            return events
        engine = self._desk.engine
        return await asyncio.gather(*(self._tried(engine, event) for event in events))

    async def _tried(self, engine: Engine, event: AnyEvent) -> AnyEvent:
        try:
            return await patiently(lambda: read(self._files, engine, event), PATIENCE)
        except LimenError:  # the engine will find the same, and say it
            return event
        except Exception:
            log.exception("a fault in limen: the files of a message are not read (%s); please report it", event.id)
            return event

    async def _answer(self, command: Command) -> None:
        await self._serve(command, self._answered(command))

    async def _answered(self, command: Command) -> None:
        asked = await self._adapter.ranked(command) if asks_for_role(command) else command
        answer = await patiently(lambda: self._desk.answer(asked), PATIENCE)
        await self._adapter.answered(command, answer)

    async def _serve(self, event: AnyEvent, serving: Coroutine[Any, Any, None]) -> None:
        """Then it is done with. What cannot be done is told to whoever asked for it, and so is a fault of ours.

        Raises LimenError where not even that can be said: then the account itself is in trouble.
        """
        try:
            try:
                await serving
            except LimenError as error:
                await self._adapter.refused(event, error)
        except LimenError:
            raise
        except Exception:
            log.exception("a fault in limen: an event cannot be dealt with (%s); please report it", event.id)
            with suppress(Exception):  # it may be the telling that is wrong
                await self._adapter.refused(event, Fault())
        self._adapter.done(event)


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
        await end(tasks)


async def end(tasks: set[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they are gone: on Python 3.11 a timeout in a library may swallow a cancellation."""
    while pending := {task for task in tasks if not task.done()}:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=1.0)
    await asyncio.gather(*tasks, return_exceptions=True)
