"""Jobs, replies and a desk to try the queue from: short to write down in a test, whole as the real ones."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec

from core.events import Person, PersonaKey, Place
from core.jobs import Chunk, Done, Failed, Generate, Lane, Result
from core.store import keys
from core.store.client import Client
from core.store.queue import Claim, Limits, Queue, decode_result

ACCOUNT = "console:local"
STREAM = "console:local:session"
FIXED = {keys.FENCE.pattern, keys.TICK.pattern, keys.TURN.pattern, keys.DEPTH.pattern} | {
    keys.CLOCK(lane) for lane in Lane
}


def job(name: str, talk: str = "a", *, author: str = "me", lane: Lane = Lane.LIVE, replies: str = STREAM) -> Generate:
    """A job `name` in the conversation of channel `talk`, answering the event `e-name`."""
    place = Place("console", "local", talk)
    persona = PersonaKey(ACCOUNT, "mira", str(place))
    return Generate(
        id=name, reply_id=f"r-{name}", persona=persona, conversation=persona.conversation(place), place=place,
        author=Person(author), replies=replies, card_hash="c0ffee", events=(f"e-{name}",), submitted=1.0, lane=lane,
    )  # fmt: skip


def done(claim: Claim, text: str = "Hello there.") -> Done:
    """The reply to a claimed job."""
    its = claim.job
    return Done(
        job=its.id, reply_id=its.reply_id, conversation=its.conversation, place=its.place, persona=its.persona,
        text=text, fence=claim.fence, answers=its.events,
    )  # fmt: skip


def chunk(claim: Claim, text: str = "Hel") -> Chunk:
    """The beginning of that reply."""
    its = claim.job
    return Chunk(job=its.id, reply_id=its.reply_id, fence=claim.fence, offset=0, text=text, place=its.place)


class Desk:
    """A queue with a client at hand, and what tests ask of them."""

    def __init__(self, client: Client, limits: Limits) -> None:
        self.client, self.queue = client, Queue(client, limits)

    def limited(self, **changes: float) -> "Desk":
        """The same Redis with other limits."""
        return Desk(self.client, msgspec.structs.replace(self.queue.limits, **changes))

    async def submit(self, *jobs: Generate) -> None:
        """Queue these."""
        for each in jobs:
            await self.queue.submit(each)

    async def claim(self, most: int = 1, worker: str = "w1") -> list[Claim]:
        """What a worker gets now."""
        return (await self.queue.claim(worker, most))[0]

    async def one(self, worker: str = "w1") -> Claim:
        """The one job that a worker gets now."""
        (claim,) = await self.claim(1, worker)
        return claim

    async def serve(self, most: int = 1) -> list[str]:
        """Claim and complete until nothing is left: the ids in the order claimed."""
        served: list[str] = []
        while claims := await self.claim(most):
            for claim in claims:
                await self.queue.complete(claim, done(claim))
            served += [claim.job.id for claim in claims]
        return served

    async def lapse(self, *claims: Claim) -> None:
        """Let leases run out now instead of later."""
        await self.client.do_all([("ZADD", keys.LEASES.pattern, "XX", 0, claim.job.id) for claim in claims])

    async def replies(self, stream: str = STREAM) -> list[Result]:
        """Everything on a replies stream."""
        entries = await self.client.read_stream(keys.REPLIES(stream), "0", 0.001, 10_000)
        return [decode_result(body) for _, body in entries]

    async def failures(self) -> list[Failed]:
        """The failures on the stream."""
        return [result for result in await self.replies() if isinstance(result, Failed)]

    async def left(self) -> set[str]:
        """Keys of the queue that are not its fixed bookkeeping."""
        return set(await self.client.scan(keys.QUEUE.pattern + "*")) - FIXED

    async def ms(self) -> int:
        """The server's clock in milliseconds."""
        seconds, micros = await self.client.do("TIME")
        return int(seconds) * 1000 + int(micros) // 1000


@asynccontextmanager
async def desk_at(url: str, **limits: float) -> AsyncIterator[Desk]:
    """A desk for as long as the block lasts."""
    client = Client(url)
    try:
        yield Desk(client, Limits(**limits))
    finally:
        await client.close()


async def until(holds: Callable[[], Awaitable[bool]], seconds: float = 10.0) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(seconds):
        while not await holds():
            await asyncio.sleep(0.005)
