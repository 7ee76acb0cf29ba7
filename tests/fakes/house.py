"""A whole house in one process: real Redis, engine, a worker that echoes, and a shelf where replies arrive."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import msgspec

from bots.assemble import Parts, parts
from core.delivery import Delivery
from core.engine import Engine, Outcome
from core.events import Addressed, Deletion, Edit, Kind, Message, Person, Place, Reaction
from core.jobs import Done
from core.prompt import Prompt
from core.settings import Attention, Queue, Settings
from core.store.ledger import Entry
from tests.fakes.outlet import Shelf
from worker.compose import Composer
from worker.echo import Echo
from worker.feeling import Feelings
from worker.generator import Generator, Rendered
from worker.judge import Judge
from worker.recall import Recall
from worker.serve import Server
from worker.tasting import Tastes

BOT = "discord:b1"
ANN, BOB = Person("discord:77:ann", "Ann"), Person("discord:77:bob", "Bob")
ROOM, OTHER_SERVER = Place("discord", "77", "room"), Place("discord", "88", "room")
DM = Place("discord", "77", "dm-ann", kind=Kind.DM)


def quick(**changes: object) -> Settings:
    """Settings under which nobody waits for a second message; `changes` are of the queue."""
    return Settings(attention=Attention(settle_seconds=0), queue=msgspec.convert({"lease_seconds": 5} | changes, Queue))


def say(
    text: str, number: int | str = 1, who: Person = ANN, where: Place = ROOM, to: Addressed = Addressed.MENTION,
    account: str = BOT,
) -> Message:  # fmt: skip
    """A message `m-number`."""
    return Message(
        id=f"m-{number}", account=account, place=where, author=who, time=1000.0, text=text, addressed=to
    )  # fmt: skip


def edit(message: Message, text: str) -> Edit:
    """That message reads differently now."""
    return Edit(id=f"e-{message.id}", account=message.account, place=message.place, author=message.author,
                time=1001.0, message_id=message.id, text=text)  # fmt: skip


def unsay(message: Message) -> Deletion:
    """That message is gone."""
    return Deletion(id=f"d-{message.id}", account=message.account, place=message.place, author=message.author,
                    time=1001.0, message_id=message.id)  # fmt: skip


def react(reply: str, emoji: str, who: Person = ANN, where: Place = ROOM) -> Reaction:
    """An emoji on our message; its platform id is the reply's (see `Shelf`)."""
    return Reaction(id=f"x-{reply}-{emoji}-{who.id}", account=BOT, place=where, author=who, time=1002.0,
                    message_id=reply, emoji=emoji)  # fmt: skip


class Short(Echo):
    """A model with a small context: over seven lines of history, the oldest four go."""

    def render(self, prompt: Prompt, reserve: int) -> Rendered:
        gone = 4 if len(prompt.history) > 7 else 0
        fit = msgspec.structs.replace(prompt, history=prompt.history[gone:])
        return msgspec.structs.replace(super().render(fit, reserve), history_dropped=gone)


@dataclass
class House:
    """What a test asks of it."""

    p: Parts
    engine: Engine
    shelf: Shelf = field(default_factory=Shelf)
    pool: bool = False
    judge: Judge | None = None
    recall: Recall | None = None
    tastes: Tastes | None = None
    feelings: Feelings | None = None

    @asynccontextmanager
    async def at_work(self, generator: Generator | None = None) -> AsyncIterator[None]:
        """A worker serves and a carrier delivers, for as long as the block lasts."""
        model = generator or Echo()
        p = self.p
        composer = Composer(
            p.conversations, p.ledger, p.personas, p.loras, model, p.growth, self.pool, self.judge, self.recall
        )
        server = Server(
            self.p.client,
            self.p.queue,
            composer,
            model,
            4,
            {"model": "echo"},
            tastes=self.tastes,
            feelings=self.feelings,
        )
        delivery = Delivery(self.p.client, self.p.ledger, self.shelf, BOT)
        tasks = [asyncio.create_task(server.run()), asyncio.create_task(delivery.run())]
        try:
            yield
        finally:
            server.stop()
            await tasks[0]
            tasks[1].cancel()
            with suppress(asyncio.CancelledError):
                await tasks[1]
            await delivery.release()

    async def answer(self, outcome: Outcome) -> Done:
        """The final reply to what was queued."""

        def found() -> list[Done]:
            return [done for done in self.shelf.finals if done.reply_id == outcome.reply_id]

        await self.shelf.wait(found, 15)
        return found()[0]

    async def talk(self, *messages: Message) -> list[Done]:
        """Each message is answered before the next is said. A worker must be at work."""
        return [await self.answer(await self.engine.on_message(message)) for message in messages]

    async def entry(self, reply: str) -> Entry:
        """What the ledger has of a reply."""
        found = await self.p.ledger.get(reply)
        assert found
        return found

    async def prompt(self, reply: str) -> str:
        """Everything the model was told for a reply."""
        return "\n".join(told.content for told in (await self.entry(reply)).messages)


@asynccontextmanager
async def house_at(url: str, settings: Settings | None = None) -> AsyncIterator[House]:
    """A house for as long as the block lasts; nobody is at work in it yet."""
    async with parts(settings or quick(), url) as p:
        yield House(p, p.engine())
