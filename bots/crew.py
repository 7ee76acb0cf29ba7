"""Several bot accounts in one process: each listens and speaks by itself, and one that is in trouble troubles no other.

Knows no platform, and starts neither Redis nor a worker.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

from adapters.base import Adapter
from bots import up
from bots.accounts import account
from bots.assemble import Parts
from bots.longreply import Long
from bots.platforms import Bot
from bots.run import beside, converse, end
from core.consent import Asking
from core.delivery import Delivery, Outlet, Sending
from core.errors import LimenError, StoreError, UserError
from core.intake import Intake
from core.jobs import Done, Failed

log = logging.getLogger("limen.run")
T = TypeVar("T")

GRACE = 15.0  # seconds that everybody has to finish, once we are told to end
REST = 10.0  # of these, for replies that have begun: nobody likes half a sentence
MOST = 2_000  # replies of which it is known that they have begun
FIRST_PAUSE, LAST_PAUSE = 1.0, 60.0  # between two tries of one that breaks off
HERE = 5.0  # seconds between two signs of life, without which a worker goes to sleep

Join = Callable[[], Awaitable[Bot]]


class Crew:
    """The bot accounts of this process, on one engine. Set `told`, and they end when they have finished."""

    def __init__(self, p: Parts, told: asyncio.Event) -> None:
        self._p, self._told, self._engine = p, told, p.engine()
        self._intake, self._desk = Intake(self._engine.handle), p.desk(self._engine)

    async def run(self, joins: Mapping[str, Join]) -> bool:
        """Until we are told to end, or nobody is left. False: somebody gave up, and has said why in the log."""
        return await beside(self._all(joins), self._intake.run(), self._here())

    async def _all(self, joins: Mapping[str, Join]) -> bool:
        bots = [asyncio.create_task(self._kept(name, joined)) for name, joined in joins.items()]
        try:
            await _first(asyncio.wait(bots), self._told.wait())
            await asyncio.wait(bots, timeout=GRACE)
        finally:
            for bot in bots:
                bot.cancel()
            results = await asyncio.gather(*bots, return_exceptions=True)
        return all(result is True for result in results)

    async def _kept(self, name: str, joined: Join) -> bool:
        """One account, again and again should it break off. False: only people can help it."""
        pause = FIRST_PAUSE
        while not self._told.is_set():
            began = time.monotonic()
            try:
                await self._talk(name, joined)
                trouble = "it has hung up"
            except UserError as error:
                log.error("%s: %s", account(name).title, up.explain(error))
                return False
            except LimenError as error:
                trouble = up.explain(error)
            except OSError as error:  # a port that is taken, say
                trouble = str(error)
            except Exception:  # a fault of ours must not cost the others their voice
                log.exception("%s: a fault in limen itself; please report it", account(name).title)
                trouble = "it broke off"
            if not self._told.is_set():
                pause = FIRST_PAUSE if time.monotonic() - began > LAST_PAUSE else pause
                log.warning("%s: %s; again in %g s", account(name).title, trouble, pause)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._told.wait(), pause)
                pause = min(2 * pause, LAST_PAUSE)
        return True

    async def _talk(self, name: str, joined: Join) -> None:
        """Sign in, listen, carry replies; at the end, finish what is being sent while Redis is still there."""
        bot = await self._unless_told(joined())
        if bot is None:
            return
        if bot.persona:
            self._engine.own[bot.adapter.account] = bot.persona
        asking = Asking(
            self._p.privacy.consents, self._p.settings.consent.ask, self._p.card, bot.adapter.limits.whispers
        )
        replies = Replies(Long(bot.adapter, self._p.settings.long_reply), partial(_ask, bot.adapter, asking))
        delivery = Delivery(self._p.client, self._p.ledger, replies, bot.adapter.account)
        log.info("%s: listening as %s", account(name).title, bot.adapter.account)
        try:
            await beside(self._heard(bot, replies), self._stopped(bot), delivery.run())
        finally:
            try:
                await replies.close()
                await bot.close()
            finally:
                with suppress(StoreError):
                    await delivery.release()

    async def _heard(self, bot: Bot, replies: "Replies") -> None:
        """Until there is nothing more to hear, and what has begun to be said is said."""
        await converse(bot.adapter, self._intake, self._desk)
        with suppress(TimeoutError):
            await asyncio.wait_for(replies.none(), REST)

    async def _stopped(self, bot: Bot) -> None:
        await self._told.wait()
        bot.stop()

    async def _unless_told(self, work: Awaitable[T]) -> T | None:
        """Its result; None if we are told to end before there is one."""
        task = asyncio.ensure_future(work)
        try:
            await _first(asyncio.wait([task]), self._told.wait())
            return task.result() if task.done() else None
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _here(self) -> None:
        """Say that people may talk to us, for as long as we run: a worker sleeps only when nobody does."""
        session = secrets.token_hex(4)
        try:
            while True:
                with suppress(StoreError):
                    await self._p.presence.here(session)
                await asyncio.sleep(HERE)
        finally:
            with suppress(StoreError):
                await self._p.presence.gone(session)


class Replies:
    """An outlet that knows which replies have begun and not ended. Everything is handed on.

    `then` follows a whole one, and nothing waits for it: the reply is shown, and another may come.
    """

    def __init__(self, outlet: Outlet, then: Callable[[Done], Coroutine[Any, Any, None]]) -> None:
        self._outlet, self._then = outlet, then
        self._begun: dict[str, None] = {}
        self._following: set[asyncio.Task[None]] = set()

    async def none(self) -> None:
        """Until none is in the middle, and nothing follows one."""
        while self._begun or self._following:
            await asyncio.sleep(0.05)

    async def close(self) -> None:
        """Break off what follows."""
        await end({*self._following})

    async def draft(self, text: str, attempt: int, sending: Sending) -> None:
        """It has begun. Of one whose end another carrier has we hear no more: the oldest are forgotten."""
        self._begun[sending.reply_id] = None
        if len(self._begun) > MOST:
            self._begun.pop(next(iter(self._begun)))
        await self._outlet.draft(text, attempt, sending)

    async def final(self, done: Done, sending: Sending) -> None:
        """It is whole."""
        with self._ending(done.reply_id):
            await self._outlet.final(done, sending)
        task = asyncio.create_task(self._then(done))
        self._following.add(task)
        task.add_done_callback(self._following.discard)

    async def failed(self, failed: Failed, sending: Sending) -> None:
        """It will not be."""
        with self._ending(failed.reply_id):
            await self._outlet.failed(failed, sending)

    @contextmanager
    def _ending(self, reply: str) -> Iterator[None]:
        self._begun[reply] = None
        try:
            yield
        finally:
            self._begun.pop(reply, None)


async def _ask(adapter: Adapter, asking: Asking, done: Done) -> None:
    """Whoever has just had their first reply is asked what everybody is asked once. A reply does not fail for it."""
    try:
        await asking.ask(done, partial(adapter.ask, done))
    except LimenError as error:
        log.warning("%s: somebody could not be asked whether they may be learned from: %s", adapter.account, error)
    except Exception:
        log.exception("%s: a fault in limen: somebody could not be asked; please report it", adapter.account)


async def _first(*works: Coroutine[Any, Any, object]) -> None:
    """Until one of them has ended."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
