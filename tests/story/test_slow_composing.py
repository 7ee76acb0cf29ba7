"""A job that takes long to be composed: nobody else gets it meanwhile, and it is answered once."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from core.store import keys
from core.store.client import Client
from tests.fakes.house import House, house_at, quick, say
from tests.fakes.jobs import until
from worker.judge import Judge, Judged


class Slow(Judge):
    """Thinks until the lease of its job has been prolonged."""

    def __init__(self, house: House) -> None:
        super().__init__(house.p.conversations)
        self._client: Client = house.p.client

    async def look(self, job: Any, *more: Any) -> Judged:
        """As any other, later."""
        first = await self._client.do("ZSCORE", keys.LEASES.pattern, job.id)

        async def prolonged() -> bool:
            return float(await self._client.do("ZSCORE", keys.LEASES.pattern, job.id)) > float(first)

        await until(prolonged)
        return await super().look(job, *more)


@pytest.fixture
async def house(redis_url: str) -> AsyncIterator[House]:
    """Whose leases are short."""
    async with house_at(redis_url, quick(lease_seconds=2)) as house:
        yield house


async def test_a_job_that_is_being_composed_keeps_its_lease(house: House) -> None:
    """The first message to a card may have to wait for all that it is compared with."""
    house.judge = Slow(house)
    async with house.at_work():
        (done,) = await house.talk(say("hello", 1))

    assert [done.reply_id] == [one.reply_id for one in house.shelf.finals]
