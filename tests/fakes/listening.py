"""Somebody who hears what a platform tells, and is done with each event at once."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from adapters.base import Adapter
from core.events import AnyEvent


async def each(adapter: Adapter) -> AsyncIterator[AnyEvent]:
    """Every event, until the adapter has nothing more to tell."""
    async with aclosing(adapter.listen()) as events:
        async for event in events:
            yield event
            adapter.done(event)
