"""How many have had as many answers as the quotas allow. Only looks: `queue.lua` counts, and lets nobody in beyond."""

from msgspec import Struct

from core.store import keys
from core.store.client import Client
from core.store.keys import Key


class Reached(Struct, frozen=True):
    """`most` answers within `minutes`: of `counted` people or channels, `full` have had them."""

    most: int
    minutes: float
    counted: int
    full: int


class Quotas:
    """Of one Redis. It goes through all of its names: not for every second."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def of_people(self, most: int, minutes: float) -> Reached:
        """Those whom we have answered lately."""
        return await self._reached(keys.ASKED, most, minutes)

    async def of_channels(self, most: int, minutes: float) -> Reached:
        """Those in which we have spoken lately."""
        return await self._reached(keys.SPOKEN, most, minutes)

    async def _reached(self, key: Key, most: int, minutes: float) -> Reached:
        seconds, micros = await self._client.do("TIME")
        since = int(seconds) * 1000 + int(micros) // 1000 - int(minutes * 60_000)
        names = await self._client.scan(key("*"))
        asked = [("ZCOUNT", name, f"({since}", "+inf") for name in names]
        counts = [int(count) for count in await self._client.do_all(asked, atomic=False)]
        return Reached(most, minutes, sum(count > 0 for count in counts), sum(count >= most for count in counts))
