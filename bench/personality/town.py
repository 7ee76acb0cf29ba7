"""One persona with two circles of people who talk to it and rate it, through every real part in one process.

Redis, engine, queue, worker, memory, mood and the preference head are those of the product, and the model is the real
one. People are simulated: each circle has its own things to say, its own way to say them, and its own taste.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from bench.report import RedisForBench
from bots.assemble import Parts, parts
from bots.working import serving
from core import config
from core.delivery import Delivery, Sending
from core.engine import Engine, new_id
from core.events import Addressed, Message, Person, Place, Reaction
from core.jobs import Done, Failed
from core.settings import Settings
from core.store.consents import Purpose
from worker.embed import Embedder, load
from worker.generator import Generator
from worker.start import generator

ACCOUNT = "discord:bench"
CANDIDATES = 4
PATIENCE = 300.0  # seconds for one reply: an hour of them may have to share two cores with something else


@dataclass(frozen=True)
class Circle:
    """People of one channel. `taste`: do they like a reply?"""

    channel: str
    people: tuple[Person, ...]
    says: tuple[str, ...]
    taste: Callable[[str], bool]

    @property
    def place(self) -> Place:
        """Where they talk."""
        return Place("discord", "77", self.channel)


def lively(reply: str) -> bool:
    """It exclaims."""
    return "!" in reply


def curious(reply: str) -> bool:
    """It asks something back, and shouts not."""
    return "?" in reply and "!" not in reply


HARBOUR = Circle(
    "fair", tuple(Person(f"discord:77:{name}", name.title()) for name in ("ann", "ben", "cleo")),
    ("What a day! Tell us something wild!", "Sing us a line, quick!", "Race you to the mast!",
     "Hooray, we won the game!",
     "What's the best treasure ever?", "Show us your best trick!", "I found a gold coin today!", "Dance with us!",
     "Who is the loudest aboard?", "Let's have a party tonight!"), lively,
)  # fmt: skip
LIBRARY = Circle(
    "study", tuple(Person(f"discord:77:{name}", name.title()) for name in ("dora", "emil", "fay")),
    ("I could not sleep last night.", "I wonder whether I should move to another town.",
     "My grandmother wrote me a letter.",
     "Sometimes I think nobody listens.", "I am reading a long book about the moon.", "It rained all day here.",
     "What do you do when you are sad?", "I have to decide something tomorrow.", "I miss my old school.",
     "The garden is quiet this evening."), curious,
)  # fmt: skip
PROMPTS = tuple(
    f"{lead} {topic}."
    for lead in ("Tell me about", "I was thinking of", "Let us talk about")
    for topic in ("the weather", "breakfast", "your friends", "the sea", "a good story", "work", "music", "tomorrow",
                  "a long journey", "old times", "what you own", "what you fear", "animals", "the night")
)  # fmt: skip


class Shelf:
    """An outlet that takes every reply at once and hands it to whoever waits for it."""

    def __init__(self) -> None:
        self._ends: dict[str, asyncio.Future[Done]] = {}

    def wait(self, reply: str) -> "asyncio.Future[Done]":
        """The end of a reply."""
        return self._ends.setdefault(reply, asyncio.get_running_loop().create_future())

    async def draft(self, text: str, attempt: int, sending: Sending) -> None:
        """Nobody watches it grow."""

    async def final(self, done: Done, sending: Sending) -> None:
        """Our message has the reply's own id."""
        if await sending.begin(0) != "sent":
            await sending.sent(0, (done.reply_id,))
        if not self.wait(done.reply_id).done():
            self.wait(done.reply_id).set_result(done)

    async def failed(self, failed: Failed, sending: Sending) -> None:
        """It must not happen here."""
        self.wait(failed.reply_id).set_exception(RuntimeError(failed.reason))


@dataclass
class Town:
    """The house in which they talk. `embedder` is the worker's own."""

    p: Parts
    engine: Engine
    embedder: Embedder
    shelf: Shelf = field(default_factory=Shelf)
    said: int = 0

    async def say(self, circle: Circle, who: Person, text: str) -> Done:
        """Somebody says something to it, and is answered."""
        self.said += 1
        message = Message(
            id=f"m{self.said}-{new_id()}", account=ACCOUNT, place=circle.place, author=who, time=self.engine.clock(),
            text=text, addressed=Addressed.MENTION,
        )  # fmt: skip
        outcome = await self.engine.on_message(message)
        async with asyncio.timeout(PATIENCE):
            return await self.shelf.wait(outcome.reply_id)

    async def rate(self, circle: Circle, who: Person, done: Done) -> None:
        """They react as they feel."""
        emoji = "👍" if circle.taste(done.text) else "👎"
        await self.engine.on_reaction(Reaction(
            id=f"x-{done.reply_id}-{who.id}", account=ACCOUNT, place=circle.place, author=who,
            time=self.engine.clock(), message_id=done.reply_id, emoji=emoji,
        ))  # fmt: skip

    async def live(self, circle: Circle, exchanges: int, seed: int, tell: Callable[[str], None]) -> list[Done]:
        """So many exchanges, one after the other, each with one rating, which everybody lets it learn from. Their
        replies."""
        for person in circle.people:
            await self.p.privacy.say(person.id, True, Purpose.TRAIN)
        dice, replies = random.Random(f"{seed} {circle.channel}"), list[Done]()
        for number in range(exchanges):
            done = await self.say(circle, dice.choice(circle.people), dice.choice(circle.says))
            await self.rate(circle, dice.choice(circle.people), done)
            replies.append(done)
            if number % 20 == 19:
                liked = sum(circle.taste(one.text) for one in replies[-20:]) / 20
                tell(f"{circle.channel}: {number + 1} exchanges, of the last twenty {liked:.0%} to their taste")
        return replies

    async def ask(self, circle: Circle, texts: Sequence[str]) -> list[str]:
        """What it answers to these, one after the other; nobody rates it."""
        return [(await self.say(circle, circle.people[0], text)).text for text in texts]


def given(candidates: int = CANDIDATES) -> Settings:
    """What people get, with a preference head that chooses."""
    changed = {"LIMEN_ATTENTION__SETTLE_SECONDS": "0", "LIMEN_TASTE__CANDIDATES": str(candidates)}
    return config.load({**os.environ, **changed})


@asynccontextmanager
async def town(settings: Settings) -> AsyncIterator[Town]:
    """A town for as long as the block lasts. Raises ModelError, ConfigError."""
    model, about = await asyncio.to_thread(_model, settings)
    embedder = await asyncio.to_thread(load, settings)
    with RedisForBench() as redis:
        async with parts(settings, redis.url) as p:
            found = Town(p, p.engine(), embedder)
            server, others = serving(p, model, embedder, about)
            delivery = Delivery(p.client, p.ledger, found.shelf, ACCOUNT)
            tasks = [asyncio.create_task(one) for one in (server.run(), delivery.run(), *(other() for other in others))]
            try:
                yield found
            finally:
                server.stop()
                await tasks[0]
                for task in tasks[1:]:
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task
                await delivery.release()


def _model(settings: Settings) -> tuple[Generator, dict[str, str | int | float]]:
    return generator(settings, lambda version: settings.home / version)
