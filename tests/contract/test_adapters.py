"""What every platform must do, whatever it is called: one suite, run for each adapter through a driver of its own."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Protocol

import msgspec
import pytest

from adapters.base import Adapter
from adapters.console import Console
from adapters.terminal.screen import Who
from core.commands.answers import Answer, Choice
from core.delivery import Sending
from core.engine import Act, Outcome
from core.errors import LimenError, StoreUnreachable
from core.events import AnyEvent, Attachment, Command, Message, Person, PersonaKey, Place, Reaction
from core.feedback import Fact
from core.files import File
from core.jobs import Done, Failed
from core.store.client import Client
from core.store.ledger import Ledger, Record, message_key
from personas.card import Card
from tests.fakes.listening import each
from tests.fakes.screen import Sheet


class Driver(Protocol):
    """A platform with somebody on it. Another platform joins by another driver."""

    adapter: Adapter
    place: Place

    def say(self, text: str) -> None:
        """Somebody says this where the bot hears it as meant for it."""

    def command(self, name: str, args: str = "") -> None:
        """Somebody gives a command."""

    def react(self, message: str, emoji: str) -> None:
        """Somebody puts an emoji on our message of that platform id."""

    def shown(self) -> str:
        """Everything that people can see now, of replies and notes."""

    def leave(self) -> None:
        """The platform closes the connection."""


class Glass(Sheet):
    """A screen on which a reply takes the place of its drafts, as on the real ones."""

    growing = ""

    async def grow(self, who: Who, reply_id: str, text: str, attempt: int) -> None:
        """One draft takes the place of another, too."""
        self.growing = text
        await super().grow(who, reply_id, text, attempt)

    async def reply(self, who: Who, reply_id: str, text: str, note: str = "") -> None:
        """The whole reply."""
        self.growing = ""
        await super().reply(who, reply_id, text, note)


class AtTheConsole:
    """The terminal, with a sheet for a screen."""

    def __init__(self, home: Path) -> None:
        self.sheet = Glass()
        self.adapter = Console(self.sheet, Person("console:local:me", "Tom"), "mira", _card, _none, home)
        self.place = Place("console", "local", "me", kind="dm")

    def say(self, text: str) -> None:
        self.sheet.type(text)

    def command(self, name: str, args: str = "") -> None:
        self.sheet.type(f"/{name} {args}")

    def react(self, message: str, emoji: str) -> None:
        self.sheet.type(f"+{emoji}")

    def shown(self) -> str:
        return "\n".join([*(text for _, text in self.sheet.rows), self.sheet.growing])

    def leave(self) -> None:
        self.sheet.type(None)


def _card(name: str) -> Card:
    return Card(name=name, title=name.title(), description="A pirate.")


async def _none(card: str) -> int:
    return 0


@asynccontextmanager
async def at_the_console(home: Path) -> AsyncIterator[Driver]:
    """It needs no goodbye."""
    yield AtTheConsole(home)


@asynccontextmanager
async def at_discord(home: Path) -> AsyncIterator[Driver]:
    """A DM on a Discord of our own."""
    pytest.importorskip("discord")
    from tests.fakes.discord import AtDiscord, Fake

    fake = await Fake().start()
    driver = AtDiscord(fake)
    try:
        yield driver
    finally:
        await driver.adapter.close()
        await fake.stop()


@asynccontextmanager
async def at_telegram(home: Path) -> AsyncIterator[Driver]:
    """A private chat on a Telegram of our own; whatever was asked of it and whatever it told is as published."""
    pytest.importorskip("telegram")
    from tests.fakes.telegram import AtTelegram, telegram

    async with telegram() as fake:
        driver = AtTelegram(fake)
        try:
            yield driver
        finally:
            await driver.adapter.close()
        assert fake.faults == []


@asynccontextmanager
async def at_slack(home: Path) -> AsyncIterator[Driver]:
    """A DM on a Slack of our own; nobody was pinged."""
    pytest.importorskip("slack_bolt")
    from tests.fakes.slack import Driver as AtSlack
    from tests.fakes.slack import slack

    async with slack() as fake:
        driver = AtSlack(fake)
        try:
            yield driver
        finally:
            await driver.done()
        assert fake.pinged == []


DRIVERS: dict[str, Callable[[Path], AbstractAsyncContextManager[Driver]]] = {
    "console": at_the_console,
    "discord": at_discord,
    "slack": at_slack,
    "telegram": at_telegram,
}


@pytest.fixture(params=DRIVERS)
async def on(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Driver]:
    """Each platform in turn."""
    async with DRIVERS[request.param](tmp_path) as driver:
        yield driver


@pytest.fixture
async def ledger(redis_url: str) -> AsyncIterator[Ledger]:
    """A real one."""
    client = Client(redis_url)
    yield Ledger(client)
    await client.close()


class Reply:
    """One reply of ours on its way to a platform."""

    def __init__(self, on: Driver, ledger: Ledger, text: str = "Arr, matey!") -> None:
        self.on, self.ledger, self.text = on, ledger, text
        self.id, self.job = secrets.token_hex(6), secrets.token_hex(6)
        self.persona = PersonaKey(on.adapter.account, "mira", "scope")

    @property
    def done(self) -> Done:
        talk = self.persona.conversation(self.on.place)
        return Done(
            job=self.job, reply_id=self.id, conversation=talk, place=self.on.place, persona=self.persona, text=self.text
        )

    @property
    def failed(self) -> Failed:
        made = self.done
        return Failed(
            job=self.job, reply_id=self.id, conversation=made.conversation, place=made.place, reason="it has no voice"
        )

    async def sending(self) -> Sending:
        """As a carrier would begin or take up its delivery."""
        made = Sending(self.ledger, self.on.adapter.account, self.id, secrets.token_hex(4))
        made.place = self.on.place
        await made.recall()
        return made

    async def messages(self) -> list[str]:
        """The platform ids of all its parts, as somebody else would read them."""
        return [message for ids in (await self.sending()).ids.values() for message in ids]

    async def keep(self) -> None:
        """On record, as the worker does it."""
        made = self.done
        record = Record(
            id=self.id, persona=self.persona, conversation=made.conversation, place=made.place,
            author=Person("a:b:c"), answers=("m1",), time=1.0, text=self.text, sections=(), roles=(),
        )  # fmt: skip
        await self.ledger.keep(record, [])


async def heard(on: Driver) -> list[AnyEvent]:
    """Every event until the platform closes."""
    on.leave()
    async with asyncio.timeout(10):
        return [event async for event in each(on.adapter)]


async def test_an_account_names_its_platform(on: Driver):
    """And its limits are stated: nothing below zero."""
    assert on.adapter.account.startswith(f"{on.place.platform}:")
    assert on.adapter.limits.length >= 0
    assert on.adapter.limits.rate >= 0


async def test_what_people_say_is_heard_as_they_said_it(on: Driver):
    """In order, each with an id and a time of its own, as meant for us."""
    on.say("hello there")
    on.say("two\nlines 👋")
    events = [event for event in await heard(on) if isinstance(event, Message)]
    assert [event.text for event in events] == ["hello there", "two\nlines 👋"]
    assert {(event.account, event.place) for event in events} == {(on.adapter.account, on.place)}
    assert len({event.id for event in events}) == 2
    assert all(event.time > 0 and event.addressed != "no" and not event.author.is_bot for event in events)
    assert len({event.author.id for event in events} - {on.adapter.account}) == 1


async def test_commands_are_heard_as_commands(on: Driver):
    """With their arguments."""
    on.command("switch", "orrin")
    (event,) = await heard(on)
    assert isinstance(event, Command)
    assert (event.name, event.args) == ("switch", "orrin")


async def test_a_reaction_comes_with_the_canonical_emoji(on: Driver, ledger: Ledger):
    """While the reply still grows: its message id is known, and skin does not matter."""
    reply = Reply(on, ledger)
    await on.adapter.draft("Arr", 1, await reply.sending())
    (message,) = await reply.messages()
    on.react(message, "👍🏽")
    (event,) = await heard(on)
    assert isinstance(event, Reaction)
    assert (event.message_id, event.emoji, event.removed) == (message, "👍", False)


async def test_a_reaction_lands_on_the_reply_that_was_shown(on: Driver, ledger: Ledger):
    """By the platform ids that were recorded."""
    reply = Reply(on, ledger)
    await reply.keep()
    await on.adapter.final(reply.done, await reply.sending())
    await ledger.whole(reply.id)
    for message in await reply.messages():
        key = message_key(on.adapter.account, on.place, message)
        assert await ledger.react(f"s{message}", key, Fact("f", "u", "👍", 2.0)) == ("recorded", reply.id)


async def test_a_reply_is_never_too_long(on: Driver, ledger: Ledger):
    """It is as many messages as it needs, all of its words are there in order, and a reaction to any message counts."""
    words = [f"word{number}" for number in range(3_000)]
    reply = Reply(on, ledger, " ".join(words))
    await reply.keep()
    sending = await reply.sending()
    await on.adapter.draft(reply.text[:5_000], 1, sending)
    await on.adapter.final(reply.done, sending)
    await ledger.whole(reply.id)

    assert [word for word in on.shown().split() if word.startswith("word")] == words
    messages, limit = await reply.messages(), on.adapter.limits.length
    assert len(messages) >= (len(reply.text) / limit if limit else 1)
    for message in messages:
        key = message_key(on.adapter.account, on.place, message)
        assert await ledger.react(f"s{message}", key, Fact("f", "u", "👍", 2.0)) == ("recorded", reply.id)


async def test_a_shorter_end_leaves_nothing_of_what_was_shown(on: Driver, ledger: Ledger):
    """An attempt that was given up had said more."""
    reply = Reply(on, ledger, "Aye.")
    sending = await reply.sending()
    await on.adapter.draft("word " * 2_000, 1, sending)
    await on.adapter.draft("Ay", 2, sending)
    await on.adapter.final(reply.done, sending)
    assert "word" not in on.shown()
    assert on.shown().count("Aye.") == 1


async def test_what_it_does_stands_behind_what_it_says(on: Driver, ledger: Ledger):
    """Only in the end, and not where it says nothing."""
    reply, silent = Reply(on, ledger), Reply(on, ledger, "")
    sending = await reply.sending()
    await on.adapter.draft(reply.text, 1, sending)
    await on.adapter.final(msgspec.structs.replace(reply.done, action="bows deeply"), sending)
    await on.adapter.final(msgspec.structs.replace(silent.done, action="waves", act="silent"), await silent.sending())
    assert on.shown().index(reply.text) < on.shown().index("bows deeply")
    assert "waves" not in on.shown()


async def test_silence_leaves_nothing_of_what_was_shown(on: Driver, ledger: Ledger):
    """In the end there was nothing to say."""
    reply = Reply(on, ledger)
    sending = await reply.sending()
    await on.adapter.draft("Well, matey", 1, sending)
    await on.adapter.final(msgspec.structs.replace(reply.done, text="", act="silent"), sending)
    assert "matey" not in on.shown()


async def test_a_reply_that_was_stopped_stays_as_far_as_it_came(on: Driver, ledger: Ledger):
    """Without an excuse: somebody wanted that."""
    reply = Reply(on, ledger)
    sending = await reply.sending()
    await on.adapter.draft("Arr, m", 1, sending)
    await on.adapter.final(msgspec.structs.replace(reply.done, text="Arr, ma", cancelled=True), sending)
    assert "Arr, ma" in on.shown()


async def test_a_reply_grows_and_is_shown_whole_and_once(on: Driver, ledger: Ledger):
    """Its last text stands, in the messages that its first words were sent as."""
    reply = Reply(on, ledger, "Arr, matey! Welcome aboard.")
    sending = await reply.sending()
    await on.adapter.draft("Arr, ma", 1, sending)
    first = await reply.messages()
    await on.adapter.draft("Arr, matey!", 1, sending)
    await on.adapter.final(reply.done, sending)
    assert on.shown().count("Welcome aboard.") == 1
    assert (await reply.messages())[: len(first)] == first


async def test_a_reply_that_is_carried_again_is_shown_once(on: Driver, ledger: Ledger):
    """The carrier died after it was sent, and before that was noted: the next one finds it."""
    reply = Reply(on, ledger)
    await on.adapter.final(reply.done, await reply.sending())
    messages = await reply.messages()
    await on.adapter.final(reply.done, await reply.sending())
    assert on.shown().count(reply.text) == 1
    assert await reply.messages() == messages


async def test_a_reply_that_is_broken_off_and_carried_again_is_shown_once(
    on: Driver, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
):
    """The lease was lost in the middle of sending, and came back: what is under way counts."""
    reply, begun = Reply(on, ledger), asyncio.Event()
    sending = await reply.sending()
    begin = sending.begin

    async def watched(part: int) -> str:
        mark = await begin(part)
        begun.set()  # the adapter goes on first, and sends it
        return mark

    monkeypatch.setattr(sending, "begin", watched)
    first = asyncio.create_task(on.adapter.final(reply.done, sending))
    await asyncio.wait_for(begun.wait(), 10)
    first.cancel()
    await asyncio.wait([first])
    await on.adapter.final(reply.done, await reply.sending())
    assert on.shown().count(reply.text) == 1


async def test_replies_are_shown_side_by_side(on: Driver, ledger: Ledger):
    """Several at once, as they come for different places: each whole, once, in messages of its own."""
    replies = [Reply(on, ledger, f"Arr, matey number {number}!") for number in range(8)]
    sendings = [await reply.sending() for reply in replies]
    drafts = [on.adapter.draft("Arr", 1, sending) for sending in sendings]
    await asyncio.gather(*drafts)
    ends = [on.adapter.final(reply.done, sending) for reply, sending in zip(replies, sendings, strict=True)]
    await asyncio.gather(*ends)
    messages = [message for reply in replies for message in await reply.messages()]
    assert [1] * 8 == [on.shown().count(reply.text) for reply in replies]
    assert len(messages) == len(set(messages)) == 8


async def test_an_attempt_that_began_anew_replaces_the_first(on: Driver, ledger: Ledger):
    """In the end, the final text stands."""
    reply = Reply(on, ledger, "Aye, something else.")
    sending = await reply.sending()
    await on.adapter.draft("Arr, so it beg", 1, sending)
    await on.adapter.draft("Aye", 2, sending)
    await on.adapter.final(reply.done, sending)
    assert on.shown().count("Aye, something else.") == 1


async def test_a_failure_is_told_with_its_reason(on: Driver, ledger: Ledger):
    """Nobody waits in vain."""
    reply = Reply(on, ledger)
    await on.adapter.failed(reply.failed, await reply.sending())
    assert "it has no voice" in on.shown()


async def test_notes_and_answers_reach_the_person(on: Driver):
    """A full queue, an absent Redis, a command's answer."""
    on.say("hi")
    on.command("help")
    message, command = await heard(on)
    assert isinstance(command, Command)
    await on.adapter.told(message, Outcome(act=Act.FULL, note="there is a long line"))
    await on.adapter.refused(message, StoreUnreachable("the store is gone"))
    await on.adapter.answered(command, Answer(text="this helps"))
    assert all(word in on.shown() for word in ("there is a long line", "the store is gone", "this helps"))


async def test_a_question_reaches_the_person_with_words_that_can_be_typed(on: Driver, ledger: Ledger):
    """Buttons or not: whoever reads it knows what to say."""
    on.say("hello")
    (message,) = await heard(on)
    reply = Reply(on, ledger)
    done = msgspec.structs.replace(reply.done, answers=(message.id,), author=message.author)
    choices = (Choice("Yes", "privacy", "train yes", "good"), Choice("No", "privacy", "train no"), Choice("Later"))
    await on.adapter.ask(done, message.author, Answer(text="May I? Say /privacy", choices=choices))
    async with asyncio.timeout(10):
        while "May I? Say /" not in on.shown():
            await asyncio.sleep(0.01)


async def test_a_file_is_given(on: Driver):
    """With a line beside it, which calls nobody; one that is far too long is refused by name."""
    file = File("map of the bay.txt", b"x marks the spot")
    await on.adapter.hand(on.place, file, "Here it is.")
    with pytest.raises(LimenError):
        await on.adapter.fetch(Attachment("a.txt", "text/plain", 5, "https://elsewhere.test/a.txt"), 100)


async def test_a_platform_says_of_a_command_who_gave_it_or_nothing(on: Driver):
    """Whatever its roles say of somebody in a DM, the command stays what it was."""
    on.command("switch", "orrin")
    (event,) = await heard(on)
    assert isinstance(event, Command)
    ranked = await on.adapter.ranked(event)
    assert msgspec.structs.replace(ranked, operator=False) == msgspec.structs.replace(event, operator=False)
