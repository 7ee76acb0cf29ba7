"""Leases in use: taken over from the dead, renewed beside the work they are for, and ended with it."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from core.errors import StaleLease, StoreError, StoreUnreachable
from core.store.nights import LEASE, Lease, Nights
from worker.names import is_dead, worker_name

T = TypeVar("T")
log = logging.getLogger("limen.night")


async def taken(nights: Nights, name: str, seconds: float = LEASE) -> Lease | None:
    """The lease on `name`, from a dead holder of this machine at once; None while somebody alive has it."""
    lease = await nights.lease(name, worker_name(), seconds)
    if lease is None and (holder := await nights.holder(name)) and is_dead(holder):
        log.warning("took the lease on %s from %s, which has died", name, holder)
        await nights.disown(name, holder)
        lease = await nights.lease(name, worker_name(), seconds)
    return lease


async def under(lease: Lease, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, for which the lease is kept; it ends with it.

    Raises StaleLease, with the work cancelled, if the lease could not be kept: by now it may be somebody else's.
    """
    main, keeper = asyncio.create_task(work), asyncio.create_task(_keep(lease))
    try:
        await asyncio.wait((main, keeper), return_when=asyncio.FIRST_COMPLETED)
        if not main.done():
            raise StaleLease("the lease on a night was lost: Redis was away, or this machine slept")
        return main.result()
    finally:
        await to_the_end(_over(lease, main, keeper))


async def to_the_end(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which a cancellation does not cut off: it is raised when `work` is done."""
    task, cancelled = asyncio.create_task(work), None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled:
        if not task.cancelled() and (fault := task.exception()):
            log.warning("cut off: %s", fault)
        raise cancelled
    return task.result()


async def _over(lease: Lease, *tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    with contextlib.suppress(StoreError):  # then it runs out by itself
        await lease.end()


async def _keep(lease: Lease) -> None:
    """Until it is lost, for certain or because Redis was away for as long as it lasts."""
    kept = time.monotonic()
    while time.monotonic() - kept < lease.seconds:
        await asyncio.sleep(lease.seconds / 4)
        try:
            if not await lease.renew():
                return
            kept = time.monotonic()
        except StoreUnreachable:
            log.warning("Redis is away; the lease lasts %.0f s more", lease.seconds + kept - time.monotonic())
