"""bots/run: many events on their way at once, those of a channel in order, each done with once."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any, cast

import pytest

from adapters.base import Adapter
from bots.run import Few, beside, converse
from core.commands.desk import Answer, Desk
from core.engine import Act, Outcome
from core.errors import InputError, LimenError, StoreError, StoreUnreachable
from core.events import AnyEvent, Attachment, Command, Message, Person, Place, Reaction
from core.intake import Intake

ANN = Person("test:ann", "Ann")


def message(text: str, channel: str, thread: str = "") -> Message:
    """Somebody says this there."""
    return Message(id=f"{channel}-{text}", account="test:b", place=Place("test", "w", channel, thread), author=ANN,
                   time=1.0, text=text)  # fmt: skip


def command(name: str, channel: str) -> Command:
    """Somebody asks for this there."""
    return Command(id=f"c-{name}", account="test:b", place=Place("test", "w", channel), author=ANN, time=1.0, name=name)


class Platform:
    """Tells these events, and notes what it is told of them. `until` is awaited before it ends."""

    account = "test:b"

    def __init__(self, *events: AnyEvent) -> None:
        self.events, self.log, self.done_with = events, list[str](), list[AnyEvent]()

    async def listen(self) -> AsyncGenerator[AnyEvent, None]:
        for event in self.events:
            yield event

    def done(self, event: AnyEvent) -> None:
        self.done_with.append(event)

    async def told(self, event: AnyEvent, outcome: Outcome) -> None:
        if event.id.endswith("-mute"):
            raise IndexError("a fault")
        self.log.append(event.id)

    async def answered(self, command: Command, answer: Answer) -> None:
        self.log.append(f"{command.id}: {answer.text}")

    async def refused(self, event: AnyEvent, error: LimenError) -> None:
        if event.id.endswith("-mute"):
            raise IndexError("another one")
        self.log.append(f"{event.id}! {error}")


class Core:
    """An intake and a desk. A command `slow` waits for `go`; a message `bad` is refused."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.go, self.away = asyncio.Event(), False
        self.intake = Intake(self.handle, patience=0.01)

    async def handle(self, events: Sequence[AnyEvent]) -> list[Outcome]:
        if self.away:
            raise StoreUnreachable("gone")
        if any(event.id.endswith("-bad") for event in events):
            raise InputError("that is bad")
        if any(event.id.endswith("-fault") for event in events):
            raise KeyError("a fault")
        self.batches.append([event.id for event in events])
        return [Outcome(act=Act.HEARD) for _ in events]

    async def answer(self, command: Command) -> Answer:
        if command.name == "slow":
            await self.go.wait()
        if command.name == "broken":
            raise ValueError("a fault")
        return Answer(text="yes")

    async def talk(self, platform: Platform, window: int = 1000) -> None:
        desk = cast("Desk", self)
        await beside(converse(cast("Adapter", platform), self.intake, desk, window), self.intake.run())


async def test_a_channel_that_takes_long_holds_up_no_other() -> None:
    """Nor does it lose its order: a message after a command is taken after it, in a thread of the channel as well."""
    core = Core()
    platform = Platform(
        message("1", "a"), command("slow", "a"), message("2", "a", "t"), message("1", "b"), message("2", "b"),
        command("quick", "b"),
    )  # fmt: skip
    talk = asyncio.create_task(core.talk(platform))
    while len(platform.log) < 4:
        await asyncio.sleep(0.001)
    assert set(platform.log) == {"a-1", "b-1", "b-2", "c-quick: yes"}
    core.go.set()
    await talk
    assert platform.log[-2:] == ["c-slow: yes", "a-2"]
    assert sorted(event.id for event in platform.done_with) == sorted(event.id for event in platform.events)


async def test_what_comes_together_is_taken_together() -> None:
    """Of all channels, in one batch for the engine, in the order that it came in."""
    core = Core()
    await core.talk(Platform(*(message(str(number), f"c{number % 7}") for number in range(49))))
    assert len(core.batches) == 1
    for channel in range(7):
        told = [int(one.partition("-")[2]) for one in core.batches[0] if one.startswith(f"c{channel}-")]
        assert told == sorted(told)
        assert len(told) == 7


async def test_who_cannot_be_served_is_told_and_the_others_are_served() -> None:
    """And each is done with, whatever became of it."""
    core = Core()
    platform = Platform(message("1", "a"), message("bad", "a"), message("2", "a"), message("1", "b"))
    await core.talk(platform)
    assert [line for line in platform.log if line.startswith("a")] == ["a-1", "a-bad! that is bad", "a-2"]
    assert len(platform.done_with) == 4


async def test_no_more_are_heard_than_are_on_their_way() -> None:
    """A platform is not asked for more while nothing can be done with it."""
    core = Core()
    platform = Platform(command("slow", "a"), *(message(str(number), "a") for number in range(10)))
    heard: list[str] = []
    listen = platform.listen

    async def counted() -> AsyncGenerator[AnyEvent, None]:
        async for event in listen():
            heard.append(event.id)
            yield event

    platform.listen = counted  # type: ignore[method-assign]
    talk = asyncio.create_task(core.talk(platform, window=3))
    await asyncio.sleep(0.02)
    assert len(heard) == 4
    core.go.set()
    await talk
    assert len(platform.done_with) == 11


async def test_a_fault_of_ours_costs_one_event() -> None:
    """In a command, or in a message that came with others: whoever asked is told, and all of it is done with.

    Begun anew, a platform that brings again what is not done with would bring the same event first, for ever; and
    the intake is shared by all bots of the process.
    """
    core = Core()
    platform = Platform(
        command("broken", "a"), message("1", "a"), message("fault", "b"), message("2", "b"), message("mute", "c")
    )  # fmt: skip
    core.go.set()
    await core.talk(platform)
    assert "a-1" in platform.log
    assert "b-2" in platform.log
    wrong = [line for line in platform.log if "Something went wrong in me" in line]
    assert [line.partition("!")[0] for line in wrong] == ["c-broken", "b-fault"]
    assert len(platform.done_with) == 5


async def test_a_reaction_that_redis_is_away_for_is_done_with_and_not_lost() -> None:
    """It is kept: the platform need not bring it again, what follows in its channel goes on, and authors are told."""
    core = Core()
    core.away = True
    feels = Reaction(id="felt", account="test:b", place=Place("test", "w", "a"), author=ANN, time=1.0, message_id="m",
                     emoji="👍")  # fmt: skip
    platform = Platform(feels, message("1", "a"), message("1", "b"))
    running = asyncio.create_task(core.intake.run())
    desk = cast("Desk", core)
    await asyncio.wait_for(converse(cast("Adapter", platform), core.intake, desk), 5)
    assert sorted(platform.log) == ["a-1! gone", "b-1! gone", "felt"]
    assert len(platform.done_with) == 3
    core.away = False
    await core.intake.put(message("2", "a"))
    running.cancel()
    assert [one for batch in core.batches for one in batch] == ["felt", "a-2"]


async def test_a_platform_that_breaks_off_is_heard_to_the_end() -> None:
    """What it told before is taken."""
    core = Core()

    async def listen() -> AsyncGenerator[AnyEvent, None]:
        yield message("1", "a")
        raise StoreError("hung up")

    platform = Platform()
    cast("Any", platform).listen = listen
    with pytest.raises(StoreError, match="hung up"):
        await core.talk(platform)
    assert platform.log == ["a-1"]


async def test_few_files_are_in_hand_at_a_time() -> None:
    """However many come at once: each is whole in memory, and a bot holds little of that."""
    hands, most = 0, list[int]()

    class Slow:
        async def fetch(self, attachment: Attachment, most_bytes: int) -> bytes:
            nonlocal hands
            hands += 1
            most.append(hands)
            await asyncio.sleep(0)
            hands -= 1
            return attachment.name.encode()

    few = Few(cast("Adapter", Slow()), 3)
    fetched = await asyncio.gather(*(few.fetch(Attachment(str(one), "text/plain"), 5) for one in range(20)))
    assert fetched == [str(one).encode() for one in range(20)]
    assert max(most) == 3
