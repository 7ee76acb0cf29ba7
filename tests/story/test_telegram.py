"""A bot on Telegram: the real client library against a server on this machine, from what people do to what they see."""

import asyncio
import logging
import secrets
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import msgspec
import pytest

from adapters.telegram.checkup import examine
from adapters.telegram.client import Telegram, menu
from adapters.telegram.doors import Hook
from adapters.telegram.events import place_of
from adapters.telegram.pace import Pace, Rate
from adapters.telegram.payloads import Chat
from bots.platforms import join
from bots.run import beside, converse
from core.commands.desk import Answer
from core.delivery import Delivery, Sending
from core.engine import Act, Outcome
from core.errors import ConfigError, InputError, StoreUnreachable
from core.events import AnyEvent, Command, Message, Person, PersonaKey, Place, Reaction
from core.feedback import Fact, standing
from core.intake import Intake
from core.jobs import Done, Failed
from core.settings import Attention, Scope
from core.settings import Telegram as Calls
from core.store.client import Client
from core.store.ledger import Ledger, Record, message_key
from tests.fakes.house import House, house_at, quick
from tests.fakes.listening import each
from tests.fakes.telegram import ANN, BOB, DM, GROUP, ME, TOKEN, Fake, No, Trouble, telegram
from worker.compose import Composer
from worker.echo import Echo
from worker.serve import Server

ACCOUNT = f"telegram:{ME['id']}"
FAST = Rate(tokens=1000, every=0.001, gap=0.0)
PRIVATE = place_of(Chat(DM["id"], "private"))
ROOM = place_of(Chat(GROUP["id"], "supergroup"))
TOPIC = place_of(Chat(GROUP["id"], "supergroup"), 5)


@pytest.fixture
async def fake() -> AsyncIterator[Fake]:
    """A server; whatever was asked of it and whatever it told is as published."""
    async with telegram() as fake:
        yield fake
        assert fake.faults == []


@pytest.fixture
async def bot(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Telegram]:
    """An adapter that nobody holds back."""
    monkeypatch.setattr("adapters.telegram.replies.FIRST_RETRY", 0.01)
    monkeypatch.setattr("adapters.telegram.doors.FIRST_RETRY", 0.01)
    bot = adapter(fake)
    yield bot
    await bot.close()


def adapter(fake: Fake, pace: Pace | None = None) -> Telegram:
    return Telegram(TOKEN, fake.url, pace=pace or Pace(FAST, FAST, FAST), poll=5)


@pytest.fixture
async def ledger(redis_url: str) -> AsyncIterator[Ledger]:
    """A real one."""
    client = Client(redis_url)
    yield Ledger(client)
    await client.close()


class Reply:
    """One reply on its way to Telegram."""

    def __init__(self, ledger: Ledger, text: str = "Arr, matey!", place: Place = PRIVATE, answers: str = "") -> None:
        self.ledger, self.text, self.place = ledger, text, place
        self.answers = (answers,) if answers else ()
        self.id = secrets.token_hex(6)
        self.persona = PersonaKey(ACCOUNT, "mira", "scope")

    def done(self, **fields: Any) -> Done:
        talk = self.persona.conversation(self.place)
        whole = {"text": self.text, "answers": self.answers, **fields}
        return Done(
            job=f"j-{self.id}", reply_id=self.id, conversation=talk, place=self.place, persona=self.persona, **whole
        )

    def failed(self, **fields: Any) -> Failed:
        talk = self.persona.conversation(self.place)
        return Failed(
            job=f"j-{self.id}", reply_id=self.id, conversation=talk, place=self.place, reason="no voice", **fields
        )

    async def sending(self) -> Sending:
        """As a carrier begins it, or takes it up."""
        made = Sending(self.ledger, ACCOUNT, self.id, secrets.token_hex(4))
        made.place, made.answers = self.place, self.answers
        await made.recall()
        return made

    async def ids(self) -> list[str]:
        """The platform ids on record."""
        return [one for _, ids in sorted((await self.sending()).ids.items()) for one in ids]

    async def landed(self, message: str, place: Place) -> tuple[str, str]:
        """A reaction to that message, in that place."""
        key = message_key(ACCOUNT, place, message)
        return await self.ledger.react(secrets.token_hex(4), key, Fact(secrets.token_hex(4), "u", "👍", 2.0))

    async def keep(self) -> None:
        """On record, as the worker does it."""
        record = Record(
            id=self.id, persona=self.persona, conversation=self.done().conversation, place=self.place,
            author=Person("a:b"), answers=("1",), time=1.0, text=self.text, sections=(), roles=(),
        )  # fmt: skip
        await self.ledger.keep(record, [])


async def heard(bot: Telegram, fake: Fake) -> list[AnyEvent]:
    """Everything that has happened there."""
    fake.on_quiet = bot.stop
    async with asyncio.timeout(10):
        return [event async for event in each(bot)]


# The whole path.


@asynccontextmanager
async def at_work(house: House, bot: Telegram, echo: Echo) -> AsyncIterator[None]:
    """A whole bot with a worker, for as long as the block lasts."""
    p = house.p
    server = Server(
        p.client,
        p.queue,
        Composer(p.conversations, p.ledger, p.personas, p.loras, echo, p.growth),
        echo,
        4,
        {"model": "echo"},
    )
    intake = Intake(house.engine.handle)
    delivery = Delivery(p.client, p.ledger, bot, ACCOUNT)
    talk = converse(bot, intake, p.desk(house.engine))
    task = asyncio.create_task(beside(talk, intake.run(), server.run(), delivery.run()))
    try:
        yield
    finally:
        bot.stop()
        with suppress(asyncio.CancelledError):
            await task
        await bot.close()
        await delivery.release()


async def test_a_reply_is_rated_by_its_reactions(redis_url: str, fake: Fake, bot: Telegram):
    """Message, reply that grows, 👍, changed to 👎, taken back: each counts for the right reply, late ones too."""
    async with house_at(redis_url) as house, at_work(house, bot, Echo(delay=0.01)):
        fake.say("Ahoy there")
        await fake.wait(lambda: fake.shown() == ["I heard 1 lines. You said: Ahoy there"])
        fake.say("And now")
        await fake.wait(lambda: any("And now" in text for text in fake.shown()))
        number = fake.ours()[0]["message_id"]
        behind = await until(lambda: house.p.ledger.behind(message_key(ACCOUNT, PRIVATE, str(number))))

        async def stands(*emoji: str) -> None:
            await until(lambda: _stands(house, behind, list(emoji)))

        fake.react(number, "👍")
        await stands("👍")
        fake.react(number, "👎")
        await stands("👎")
        fake.react(number)
        await stands()
        assert fake.typing


async def _stands(house: House, reply: str, emoji: list[str]) -> bool:
    entry = await house.p.ledger.get(reply)
    return entry is not None and [fact.emoji for fact in standing(entry.facts)] == emoji


async def until(holds: Callable[[], Awaitable[Any]], seconds: float = 10.0) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := await holds()):
            await asyncio.sleep(0.01)
    return found


async def test_a_topic_is_a_conversation(redis_url: str, fake: Fake, bot: Telegram):
    """The reply comes into the topic, as a reply; a reaction, which names no topic, finds it."""
    async with house_at(redis_url) as house, at_work(house, bot, Echo()):
        number = fake.say(
            "@MiraBot hi", BOB, GROUP, message_thread_id=5, is_topic_message=True,
            entities=[{"type": "mention", "offset": 0, "length": 8}],
        )  # fmt: skip
        await fake.wait(lambda: fake.ours(GROUP) and fake.shown(GROUP) == ["I heard 1 lines. You said: Bob: hi"])
        (reply,) = fake.ours(GROUP)
        assert reply["message_thread_id"] == 5
        assert reply["reply_to_message"]["message_id"] == number

        fake.react(reply["message_id"], "🔥", who=ANN, chat=GROUP)
        behind = await until(lambda: house.p.ledger.behind(message_key(ACCOUNT, ROOM, str(reply["message_id"]))))
        await until(lambda: _stands(house, behind, ["🔥"]))


async def test_a_group_that_becomes_a_supergroup_keeps_its_persona(redis_url: str, fake: Fake):
    """What was said, how it was liked, and the weights that came of it: it goes on, while a reply is being written."""
    small: dict[str, Any] = {"id": -5, "type": "group", "title": "Crew"}
    large: dict[str, Any] = {"id": -1005, "type": "supergroup", "title": "Crew"}
    fake.chats |= {-5: small, -1005: large}
    rules = msgspec.structs.replace(quick(), scope=Scope(telegram="channel"), telegram=Calls(base_url=fake.url))
    was, now = (PersonaKey(ACCOUNT, "mira", f"telegram:{one}:channel:{one}") for one in (-5, -1005))
    async with house_at(redis_url, rules) as house:
        p = house.p
        joined = await join("telegram", rules, {"TELEGRAM_TOKEN": TOKEN}, p.client)
        bot = joined.adapter
        assert isinstance(bot, Telegram)
        async with at_work(house, bot, Echo(delay=0.02)):
            fake.say("Mira, hello", BOB, small)
            await fake.wait(lambda: fake.shown(small) == ["I heard 1 lines. You said: Bob: Mira, hello"])
            liked = fake.ours(small)[0]["message_id"]
            behind = await until(lambda: p.ledger.behind(message_key(ACCOUNT, place_of(Chat(-5, "group")), str(liked))))
            fake.react(liked, "👍", who=BOB, chat=small)
            await until(lambda: _stands(house, behind, ["👍"]))
            await p.loras.promote(was, "mira-00000000/20260101-1", "night")

            fake.say("Mira, and now?", BOB, small)
            await until(lambda: p.queue.all())
            fake.moved[-5] = -1005
            fake.say("", BOB, small, migrate_to_chat_id=-1005)
            fake.say("", BOB, large, migrate_from_chat_id=-5)
            await fake.wait(lambda: "I heard 2 lines. You said: Bob: Mira, and now?" in fake.shown(large))
            fake.say("Mira, still you?", BOB, large)
            await fake.wait(lambda: "I heard 3 lines. You said: Bob: Mira, still you?" in fake.shown(large))
            late = fake.ours(large)[-1]["message_id"]
            found = await until(
                lambda: p.ledger.behind(message_key(ACCOUNT, place_of(Chat(-1005, "supergroup")), str(late)))
            )
            fake.react(late, "🔥", who=ANN, chat=large)
            await until(lambda: _stands(house, found, ["🔥"]))

        await joined.close()
        assert await p.ledger.personas() == [now]
        assert len(await p.ledger.replies(now)) == 3
        assert await _stands(house, behind, ["👍"])
        assert (await p.loras.serving(now)).live == "mira-00000000/20260101-1"


async def test_whoever_calls_us_by_name_hears_of_a_quota(redis_url: str, fake: Fake, bot: Telegram):
    """Telegram sees no call in it; the engine does."""
    rules = msgspec.structs.replace(quick(), attention=Attention(settle_seconds=0, quick_seconds=0, person_quota=1))
    async with house_at(redis_url, rules) as house, at_work(house, bot, Echo()):
        for _ in range(2):
            fake.say("Mira, what now?", BOB, GROUP)
        await fake.wait(lambda: len(fake.ours(GROUP)) == 2)
    assert sum("I have answered you once" in text for text in fake.shown(GROUP)) == 1


async def test_commands_are_answered(redis_url: str, fake: Fake, bot: Telegram):
    """Who are you? And what is kept of me comes as a file, to me alone."""
    async with house_at(redis_url) as house, at_work(house, bot, Echo()):
        fake.say("/start")
        await fake.wait(lambda: any("(mira)" in text for text in fake.shown()))
        fake.say("/export@MiraBot", ANN, GROUP)
        await fake.wait(lambda: fake.files and fake.shown(GROUP))
    ((chat, name, content),) = fake.files
    assert (chat, name) == (ANN["id"], "limen-export.json")
    assert content.startswith(b"{")
    assert fake.shown(GROUP) == ["I have sent it to you in private."]


async def test_forgetting_is_confirmed_by_a_button(redis_url: str, fake: Fake, bot: Telegram):
    """Once, and only by the one who asked for it."""
    async with house_at(redis_url) as house, at_work(house, bot, Echo()):
        fake.say("/forget", ANN, GROUP)
        await fake.wait(lambda: fake.shown(GROUP))
        fake.press("Erase it", BOB, GROUP)
        await fake.wait(lambda: fake.notes == ["This is not yours to decide."])
        fake.press("Keep it", ANN, GROUP)
        await fake.wait(lambda: "reply_markup" not in fake.ours(GROUP)[-1])
        assert len(fake.shown(GROUP)) == 1

        fake.say("/forget everything", ANN, GROUP)
        await fake.wait(lambda: len(fake.shown(GROUP)) == 2)
        fake.press("Erase it", ANN, GROUP)
        await fake.wait(lambda: len(fake.shown(GROUP)) == 3)
        await fake.wait(lambda: len(fake.notes) == 3 and not any("reply_markup" in one for one in fake.ours(GROUP)))
    assert fake.shown(GROUP)[-1].startswith("Forgotten: ")


async def test_many_talks_at_once_in_bad_weather(redis_url: str, fake: Fake, bot: Telegram):
    """Broken gateways, dropped connections, lost edits: everybody is answered, in order, and nobody hears another."""
    people = [{"id": number, "is_bot": False, "first_name": f"P{number}"} for number in range(20, 28)]
    talks = [{"id": who["id"], "type": "private", "first_name": who["first_name"]} for who in people]
    fake.chats |= {talk["id"]: talk for talk in talks}
    bad = [No(500, "Internal Server Error"), No(502, "Bad Gateway"), No(504, "Gateway Timeout")]
    fake.trouble += [Trouble("sendMessage", no) for no in bad]
    fake.trouble += [Trouble("editMessageText", done=True), Trouble("editMessageText", bad[0])]
    fake.trouble += [Trouble("getUpdates", done=True), Trouble("getUpdates", bad[1])]

    def answered(line: int) -> bool:
        ends = [f"{line} from {who['id']}" for who in people]
        return all(any(text.endswith(end) for text in fake.shown(talk)) for talk, end in zip(talks, ends, strict=True))

    async with house_at(redis_url) as house, at_work(house, bot, Echo(delay=0.002)):
        for line in range(3):
            for who, talk in zip(people, talks, strict=True):
                fake.say(f"{line} from {who['id']}", who, talk)
            await fake.wait(partial(answered, line), 30)

    for who, talk in zip(people, talks, strict=True):
        assert fake.shown(talk) == [f"I heard {line + 1} lines. You said: {line} from {who['id']}" for line in range(3)]


async def test_a_chat_that_floods_holds_up_no_other(redis_url: str, fake: Fake, bot: Telegram):
    """Its own replies wait, in order, for as long as Telegram says; everybody else is answered meanwhile."""
    flood = No(429, "Too Many Requests: retry after 3600", retry_after=3600)
    fake.trouble.append(Trouble("sendMessage", flood))
    async with house_at(redis_url) as house, at_work(house, bot, Echo()):
        for text in ("one", "two"):
            fake.say(text)
        await fake.wait(lambda: fake.called("sendMessage"))
        fake.say("@MiraBot hi", BOB, GROUP, entities=[{"type": "mention", "offset": 0, "length": 8}])
        await fake.wait(lambda: any("You said: Bob: hi" in text for text in fake.shown(GROUP)))
        assert int(fake.called("sendMessage")[0]["chat_id"]) == DM["id"]
        assert fake.shown() == []


# What is heard.


async def test_reactions_come_because_they_are_asked_for(fake: Fake, bot: Telegram):
    """Telegram tells them only to those who name them; from groups, only to administrators."""
    number = fake.say("hm")
    fake.wants = {"message", "message_reaction"}  # as it was told before
    fake.react(number, "👍")
    fake.admin = False
    fake.react(number, "🔥", chat=GROUP, who=BOB)

    events = await heard(bot, fake)

    assert [type(event) for event in events] == [Message, Reaction]
    assert set(fake.called("getUpdates")[0]["allowed_updates"]) > {"message", "message_reaction", "edited_message"}


async def test_what_was_done_with_does_not_come_again(fake: Fake, bot: Telegram):
    """After a clean end the next process begins where this one ended."""
    fake.say("one")
    assert len(await heard(bot, fake)) == 1
    await bot.close()
    assert fake.confirmed == fake._update + 1


async def test_what_a_crash_interrupted_comes_again(fake: Fake):
    """What is not done with is not confirmed, whatever else is asked for. Its id is the same."""
    fake.say("one")
    first, second = adapter(fake), adapter(fake)
    event = await anext(first.listen())
    await first._wire.close()  # killed: nothing is confirmed

    assert [event] == await heard(second, fake)
    await second.close()


async def test_what_takes_long_holds_up_nobody_and_comes_again_after_a_crash(fake: Fake, bot: Telegram):
    """Nothing behind it is confirmed before it, for Telegram would forget it; but it is heard all the same."""
    for number, chat in enumerate((DM, GROUP, GROUP)):
        fake.say(f"line {number}", chat=chat)
    events = bot.listen()
    slow, *quick = [await anext(events) for _ in range(3)]
    for event in quick:
        bot.done(event)
    fake.say("line 3")
    quick.append(await anext(events))
    bot.done(quick[-1])
    assert fake.confirmed <= 1001
    await bot._wire.close()  # killed

    second = adapter(fake)
    assert [slow, *quick] == await heard(second, fake)
    await second.close()
    assert fake.confirmed == fake._update + 1


async def test_no_more_than_telegram_tells_at_once_is_on_its_way(fake: Fake, bot: Telegram):
    """As long as the first is not done with, it tells the same hundred."""
    for number in range(120):
        fake.say(f"line {number}")
    events = bot.listen()
    first = [await anext(events) for _ in range(100)]
    more = asyncio.ensure_future(_next(events))
    for event in first[1:]:
        bot.done(event)
    asked = len(fake.called("getUpdates"))
    await fake.wait(lambda: len(fake.called("getUpdates")) > asked)
    assert not more.done()
    bot.done(first[0])
    event = await more
    assert isinstance(event, Message)
    assert event.text == "line 100"
    await events.aclose()


async def _next(events: AsyncGenerator[AnyEvent, None]) -> AnyEvent:
    return await anext(events)


async def test_updates_that_cannot_be_read_are_passed_over(fake: Fake, bot: Telegram):
    """And what comes after them is heard."""
    fake.pending += [
        {"update_id": 1001, "message": {"message_id": "x"}},
        {"update_id": 1002, "telepathy": {}},
        {"update_id": 1003, "message": {"message_id": 1, "date": 1, "chat": {"id": 7, "type": "private"}}},
    ]
    fake._update = 1003
    fake.say("still here")
    assert [event.text for event in await heard(bot, fake) if isinstance(event, Message)] == ["still here"]


async def test_trouble_while_listening_passes(fake: Fake, bot: Telegram, monkeypatch: pytest.MonkeyPatch):
    """Flood control, a broken gateway, nonsense, another process that polls, a lost answer: nothing is lost."""
    monkeypatch.setattr("adapters.telegram.doors.CONTESTED", 0.01)
    fake.trouble += [
        Trouble("getMe", No(500, "Internal Server Error")),
        Trouble("getUpdates", No(429, "Too Many Requests: retry after 1", retry_after=1)),
        Trouble("getUpdates", raw="<html>Bad Gateway</html>"),
        Trouble("getUpdates", raw='{"ok": true}', status=200),
        Trouble("getUpdates", raw='{"ok": true, "result": [7, {"update_id": "x"}]}', status=200),
        Trouble("getUpdates", No(409, "Conflict: terminated by other getUpdates request")),
        Trouble("getUpdates", done=True),
    ]
    fake.say("still here")
    assert [event.text for event in await heard(bot, fake) if isinstance(event, Message)] == ["still here"]
    assert not fake.trouble


async def test_a_bad_token_is_named(fake: Fake):
    """With where to get a good one, and without the token itself."""
    bot = Telegram("1:revoked", fake.url)
    with pytest.raises(ConfigError, match="does not know the bot's token") as error:
        await anext(bot.listen())
    assert "@BotFather" in error.value.hint
    assert error.value.__cause__ is None
    await bot.close()
    with pytest.raises(ConfigError):
        Telegram("no token")


async def test_the_log_holds_no_token(fake: Fake, bot: Telegram, caplog: pytest.LogCaptureFixture):
    """Not even the library's, which tells every address."""
    caplog.set_level(logging.INFO)
    fake.say("hi")
    await heard(bot, fake)
    assert caplog.records
    assert TOKEN not in caplog.text


async def test_the_menu_is_shown_once(fake: Fake):
    """It is sent only when it differs from what is there."""
    for _ in range(2):
        bot = adapter(fake)
        await heard(bot, fake)
        await bot.close()
    assert len(fake.called("setMyCommands")) == 1
    assert [command["command"] for command in fake.commands] == [name for name, _ in menu()]
    assert "react" not in dict(menu())


async def test_attachments_are_fetched_within_limits(fake: Fake, bot: Telegram):
    """Whatever was said of their size."""
    fake.uploads, fake.lies = {"T": b"Dear Ann", "L": b"x" * 200, "M": b"x" * 200_000}, {"M": 5}
    for file, size in (("T", 8), ("L", 3), ("M", 5), ("L", 200), ("GONE", 5)):
        document = {"file_id": file, "file_unique_id": file, "file_size": size, "file_name": f"{file}.txt"}
        fake.say("", document={**document, "mime_type": "text/plain"})
    files = [event.attachments[0] for event in await heard(bot, fake) if isinstance(event, Message)]

    assert await bot.fetch(files[0], 100) == b"Dear Ann"
    for file, why in zip(
        files[1:],
        ("longer than it was said", "longer than it was said", "too long: 200 bytes", "cannot be fetched"),
        strict=True,
    ):
        with pytest.raises(InputError, match=why):
            await bot.fetch(file, 100)


# A webhook.


@pytest.fixture
async def hooked(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Telegram]:
    """An adapter that Telegram calls."""
    monkeypatch.setattr("adapters.telegram.doors.FIRST_RETRY", 0.01)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    bot = Telegram(TOKEN, fake.url, hook=Hook(url=f"http://127.0.0.1:{port}/hook", port=port))
    yield bot
    await bot.close()


async def test_a_webhook_brings_the_same_in_the_same_order(fake: Fake, hooked: Telegram):
    """Each is confirmed when it is done with; the last one is not, and comes again."""
    fake.trouble.append(Trouble("setWebhook", No(500, "Internal Server Error")))
    for number in range(5):
        fake.say(f"line {number}")
    events = hooked.listen()
    heard = []
    for _ in range(5):
        heard.append(await anext(events))
        if len(heard) < 5:
            hooked.done(heard[-1])
    hooked.stop()
    await events.aclose()
    await fake.wait(lambda: (1005, 503) in fake.pushed)

    assert [event.text for event in heard if isinstance(event, Message)] == [f"line {number}" for number in range(5)]
    assert [update for update, status in fake.pushed if status == 200] == [1001, 1002, 1003, 1004]
    assert [update["update_id"] for update in fake.pending] == [1005]
    assert fake.hook["max_connections"] == 1
    assert "message_reaction" in fake.hook["allowed_updates"]


async def test_nobody_else_can_call_the_webhook(fake: Fake, hooked: Telegram):
    """Without the secret nothing is heard; and what is no update is refused."""
    listening = asyncio.create_task(anext(hooked.listen()))
    await fake.wait(lambda: fake.hook)
    secret, fake.hook["secret_token"] = fake.hook["secret_token"], "guessed"
    fake.say("forged")
    await fake.wait(lambda: (1001, 401) in fake.pushed)
    assert not listening.done()

    fake.hook["secret_token"] = secret
    fake.pending[:] = [{"update_id": "x"}]
    await fake.wait(lambda: ("x", 400) in fake.pushed)
    fake.pending.clear()
    fake.say("true")
    event = await listening
    assert isinstance(event, Message)
    assert event.text == "true"


async def test_polling_takes_the_webhook_away(fake: Fake, bot: Telegram):
    """One of the two, never both."""
    fake.hook = {"url": "https://elsewhere.example/hook"}
    fake.say("hi")
    assert len(await heard(bot, fake)) == 1


async def test_an_address_that_telegram_does_not_take_is_named(fake: Fake):
    """With what it must be."""
    bot = Telegram(TOKEN, fake.url, hook=Hook(url="ftp://example.org", port=0))
    with pytest.raises(ConfigError, match=r"ftp://example\.org.*https url"):
        await anext(bot.listen())
    await bot.close()


# What may be wrong.


async def test_the_doctor_names_each_switch(fake: Fake):
    """Privacy mode, groups, a webhook of somebody else, one that cannot be called, a bad token, no server."""
    said = [(finding.state, finding.step) for finding in await examine(TOKEN, fake.url)]
    assert [step for state, step in said if state == "warn"] == [
        "@BotFather → /setprivacy → @MiraBot → Disable, then take it out of each group and add it again"
    ]
    fake.setup |= {"can_join_groups": False}
    fake.hook, fake.hook_trouble = {"url": "https://a.example/hook"}, "Connection refused"
    assert ["ok", "warn", "ok", "warn"] == [finding.state for finding in await examine(TOKEN, fake.url)]
    assert ["ok", "warn", "ok", "fail"] == [finding.state for finding in await examine(TOKEN, fake.url, hooked=True)]
    assert "@BotFather" in (await examine("1:revoked", fake.url))[0].step
    assert "telegram.base_url" in (await examine(TOKEN, "http://127.0.0.1:1"))[0].step


async def test_a_note_that_must_wait_holds_up_nobody(fake: Fake, bot: Telegram, monkeypatch: pytest.MonkeyPatch):
    """What others say is heard meanwhile; the note comes when it may."""
    monkeypatch.setattr("adapters.telegram.replies.SOON", 0.01)
    hold = asyncio.Event()
    fake.trouble.append(Trouble("sendMessage", hold=hold))
    fake.say("for you")
    (event,) = await heard(bot, fake)
    await bot.refused(event, StoreUnreachable("the store is gone"))
    assert fake.shown() == []
    hold.set()
    await fake.wait(lambda: fake.shown() == ["the store is gone"])


# What is shown.


async def test_a_reply_grows_by_edits(fake: Fake, bot: Telegram, ledger: Ledger):
    """In one message, which has its id from the first words on."""
    reply = Reply(ledger, "Arr, matey! **Welcome**.")
    sending = await reply.sending()
    await bot.draft("Arr", 1, sending)
    (first,) = await reply.ids()
    await bot.draft("Arr, matey!", 1, sending)
    await fake.wait(lambda: fake.shown() == ["Arr, matey!"])
    await bot.final(reply.done(), sending)

    assert fake.shown() == ["Arr, matey! Welcome."]
    assert fake.ours()[0]["entities"] == [{"type": "bold", "offset": 12, "length": 7}]
    assert await reply.ids() == [first]


async def test_edits_keep_to_the_pace_and_the_last_always_lands(fake: Fake, ledger: Ledger):
    """A hundred drafts are a few edits; the whole reply finds a token in reserve."""
    slow = Rate(tokens=4, every=60.0, gap=0.0)
    bot, reply = adapter(fake, Pace(slow, slow, FAST)), Reply(ledger, "x" * 100)
    sending = await reply.sending()
    for length in range(1, 100):
        await bot.draft("x" * length, 1, sending)
        await asyncio.sleep(0)
    await bot.final(reply.done(), sending)
    await bot.close()

    assert fake.shown() == ["x" * 100]
    assert len(fake.called("sendMessage")) + len(fake.called("editMessageText")) <= 4


async def test_ten_times_told_to_wait_it_still_lands(
    fake: Fake, bot: Telegram, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
):
    """Once; and each time the chat's pace was told for how long."""
    waited: list[float] = []
    monkeypatch.setattr(Pace, "hold", lambda pace, chat, seconds: waited.append(seconds))
    fake.trouble += [Trouble("sendMessage", No(429, "Too Many Requests", retry_after=n)) for n in range(1, 11)]
    reply = Reply(ledger)
    await bot.final(reply.done(), await reply.sending())
    assert fake.shown() == [reply.text]
    assert waited == list(range(1, 11))


async def test_a_long_reply_is_several_messages_and_each_counts(fake: Fake, bot: Telegram, ledger: Ledger):
    """A reaction on any of them is one to the reply."""
    reply = Reply(ledger, "The sea was calm that night. 🦜 " * 400)
    await reply.keep()
    await bot.final(reply.done(), await reply.sending())
    await ledger.whole(reply.id)

    assert len(fake.shown()) == len(await reply.ids()) == 4
    assert all(len(text.encode("utf-16-le")) // 2 <= 4096 for text in fake.shown())
    assert [await reply.landed(one, PRIVATE) for one in await reply.ids()] == [("recorded", reply.id)] * 4


async def test_a_shorter_second_attempt_leaves_nothing_of_the_first(fake: Fake, bot: Telegram, ledger: Ledger):
    """Messages that are too many are deleted."""
    reply = Reply(ledger, "Aye.")
    sending = await reply.sending()
    await bot.draft("The sea was", 1, sending)
    await bot.draft("The sea was calm. " * 400, 1, sending)
    await fake.wait(lambda: len(fake.shown()) == 2)
    await bot.draft("Ay", 2, sending)
    await bot.final(reply.done(), sending)
    assert fake.shown() == ["Aye."]


async def test_a_format_that_is_refused_is_left_out(fake: Fake, bot: Telegram, ledger: Ledger):
    """The words come."""
    for method in ("sendMessage", "editMessageText"):
        fake.trouble.append(Trouble(method, No(400, "Bad Request: can't parse entities: unsupported")))
    reply = Reply(ledger, "**Arr**, _matey_")
    sending = await reply.sending()
    await bot.draft("**Arr**", 1, sending)
    await bot.final(reply.done(), sending)
    (message,) = fake.ours()
    assert (message["text"], message.get("entities")) == ("Arr, matey", None)


async def test_a_reply_that_is_there_already_is_not_said_again(fake: Fake, bot: Telegram, ledger: Ledger):
    """Another carrier takes it up; that the message reads so already is no error."""
    reply = Reply(ledger)
    await bot.final(reply.done(), await reply.sending())
    await bot.final(reply.done(), await reply.sending())
    assert fake.shown() == [reply.text]
    assert len(fake.called("editMessageText")) == 1


async def test_a_broken_server_is_asked_again(fake: Fake, bot: Telegram, ledger: Ledger):
    """Until it is mended. An edit whose answer was lost is done once."""
    reply = Reply(ledger, "Arr, matey!")
    sending = await reply.sending()
    await bot.draft("Arr", 1, sending)
    fake.trouble += [
        Trouble("editMessageText", No(500, "Internal Server Error")),
        Trouble("editMessageText", raw="<html>Bad Gateway</html>"),
        Trouble("editMessageText", done=True),
    ]
    await bot.final(reply.done(), sending)
    assert fake.shown() == [reply.text]
    assert len(fake.called("editMessageText")) == 4


async def test_a_message_whose_answer_was_lost_is_said_again(fake: Fake, bot: Telegram, ledger: Ledger):
    """Telegram has no idempotency key. The one that counts is the one whose id we know."""
    fake.trouble.append(Trouble("sendMessage", done=True))
    reply = Reply(ledger)
    await bot.final(reply.done(), await reply.sending())
    assert fake.shown() == [reply.text] * 2
    assert await reply.ids() == [str(fake.ours()[1]["message_id"])]


async def test_an_answer_that_makes_no_sense_ends_it(fake: Fake, bot: Telegram, ledger: Ledger):
    """Asked again and again, such a server might say it again and again."""
    fake.trouble.append(Trouble("sendMessage", raw='{"ok": true}', status=200))
    reply = Reply(ledger)
    await bot.final(reply.done(), await reply.sending())
    assert len(fake.called("sendMessage")) == 1


async def test_a_mark_without_an_id_is_said_again(fake: Fake, bot: Telegram, ledger: Ledger):
    """A carrier died in the middle of sending: Telegram cannot tell whether it got through. Rather twice than never."""
    reply = Reply(ledger)
    await ledger.begin(reply.id, 0, "the dead one")
    await bot.final(reply.done(), await reply.sending())
    assert fake.shown() == [reply.text]
    assert len(await reply.ids()) == 1


async def test_a_message_is_recorded_even_if_redis_was_away(fake: Fake, bot: Telegram, ledger: Ledger):
    """It is said once: who takes it up finds it."""
    reply, away = Reply(ledger), [StoreUnreachable("gone"), StoreUnreachable("gone")]
    sending = await reply.sending()
    record = sending.sent

    async def sent(part: int, ids: tuple[str, ...]) -> None:
        if away:
            raise away.pop()
        await record(part, ids)

    sending.sent = sent  # type: ignore[method-assign]
    await bot.final(reply.done(), sending)
    await bot.final(reply.done(), await reply.sending())
    assert fake.shown() == [reply.text]
    assert not away


async def test_what_is_being_sent_is_sent_to_its_end(fake: Fake, bot: Telegram, ledger: Ledger):
    """The process is told to stop while Telegram takes its time: the message is recorded all the same."""
    hold = asyncio.Event()
    fake.trouble.append(Trouble("sendMessage", hold=hold))
    reply = Reply(ledger)
    carrying = asyncio.create_task(bot.final(reply.done(), await reply.sending()))
    await fake.wait(lambda: fake.called("sendMessage"))
    carrying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await carrying
    closing = asyncio.create_task(bot.close())
    hold.set()
    await closing

    assert fake.shown() == [reply.text]
    assert await reply.ids() == [str(fake.ours()[0]["message_id"])]


async def test_a_message_that_somebody_deleted_is_said_anew(fake: Fake, bot: Telegram, ledger: Ledger):
    """While it grew: the whole reply lands, and counts under its new id."""
    reply = Reply(ledger, "Arr, matey!")
    sending = await reply.sending()
    await bot.draft("Arr", 1, sending)
    fake.delete(int((await reply.ids())[0]))
    await bot.final(reply.done(), sending)
    assert fake.shown() == [reply.text]
    assert await reply.ids() == [str(fake.ours()[0]["message_id"])]


async def test_where_we_may_not_speak_is_said_once(
    fake: Fake, bot: Telegram, ledger: Ledger, caplog: pytest.LogCaptureFixture
):
    """Blocked, thrown out, no such topic: the carrier goes on with what it can do."""
    fake.blocked.add(DM["id"])
    for _ in range(3):
        reply = Reply(ledger)
        sending = await reply.sending()
        await bot.draft("Arr", 1, sending)
        await bot.final(reply.done(), sending)
    gone = Reply(ledger, place=place_of(Chat(GROUP["id"], "supergroup"), 77))
    await bot.final(gone.done(), await gone.sending())

    assert fake.shown() == fake.shown(GROUP) == []
    assert caplog.text.count("bot was blocked by the user") == 1
    assert caplog.text.count("Message thread not found") == 1


async def test_a_group_that_moved_is_found(fake: Fake, bot: Telegram, ledger: Ledger):
    """It has another id: the reply goes there, and reactions to it come from there."""
    fake.chats[-5] = {"id": -5, "type": "group", "title": "Old"}
    fake.moved[-5] = GROUP["id"]
    for _ in range(2):
        reply = Reply(ledger, place=place_of(Chat(-5, "group")))
        await bot.final(reply.done(), await reply.sending())
        assert await reply.ids() == [str(fake.ours(GROUP)[-1]["message_id"])]
        await reply.keep()
        await ledger.whole(reply.id)
        assert await reply.landed((await reply.ids())[0], ROOM) == ("recorded", reply.id)
    assert fake.shown(GROUP) == ["Arr, matey!", "Arr, matey!"]
    assert [asked["chat_id"] for asked in fake.called("sendMessage")] == [-5, GROUP["id"], GROUP["id"]]


async def test_a_reply_that_has_begun_before_its_group_moved_is_said_anew(fake: Fake, bot: Telegram, ledger: Ledger):
    """Its beginning stays behind; nobody has told us yet of the other id."""
    fake.chats[-5] = {"id": -5, "type": "group", "title": "Old"}
    reply = Reply(ledger, place=place_of(Chat(-5, "group")))
    sending = await reply.sending()
    await bot.draft("Arr", 1, sending)
    await fake.wait(lambda: fake.shown(fake.chats[-5]) == ["Arr"])
    fake.moved[-5] = GROUP["id"]
    await bot.final(reply.done(), sending)

    assert fake.shown(GROUP) == ["Arr, matey!"]
    assert await reply.ids() == [str(fake.ours(GROUP)[-1]["message_id"])]


async def test_what_happens_to_a_message_never_happens_to_another_of_the_same_number(
    fake: Fake, bot: Telegram, ledger: Ledger
):
    """A group that moved counts anew: an edit, a reaction or an answer of before finds nothing there."""
    fake.chats[-5] = old = {"id": -5, "type": "group", "title": "Old"}
    asked = fake.say("hi", ANN, old)
    reply, felt = (Reply(ledger, place=place_of(Chat(-5, "group")), answers=str(asked)) for _ in range(2))
    sending = await reply.sending()
    await bot.draft("Arr", 1, sending)
    begun = fake.ours(old)[-1]["message_id"]
    fake.messages[GROUP["id"], begun] = ours = {**fake.messages[-5, begun], "chat": GROUP, "text": "another of ours"}
    fake.messages[GROUP["id"], asked] = {**fake.messages[-5, asked], "chat": GROUP, "text": "somebody else's"}
    fake.moved[-5] = GROUP["id"]
    bot._wire.move("-5", str(GROUP["id"]))
    await bot.final(reply.done(), sending)
    await bot.final(felt.done(act="react", emoji="❤", text=""), await felt.sending())

    assert ours["text"] == "another of ours"
    assert (GROUP["id"], asked, ME["id"]) not in fake.feelings
    assert fake.shown(GROUP)[1:] == ["Arr, matey!", "❤"]
    assert all("reply_to_message" not in one for one in fake.ours(GROUP)[1:])


async def test_whoever_was_away_when_a_group_moved_tells_it_on(fake: Fake, ledger: Ledger):
    """By the first thing that is said there, and once."""
    told: list[tuple[Place, Place]] = []

    async def move(old: Place, new: Place) -> None:
        told.append((old, new))

    fake.chats[-5] = {"id": -5, "type": "group", "title": "Old"}
    fake.moved[-5] = GROUP["id"]
    bot = Telegram(TOKEN, fake.url, move=move)
    for _ in range(2):
        reply = Reply(ledger, place=place_of(Chat(-5, "group")))
        await bot.final(reply.done(), await reply.sending())
    await bot.close()
    assert told == [(place_of(Chat(-5, "group")), place_of(Chat(GROUP["id"], "supergroup")))]


async def test_a_feeling_is_a_reaction(fake: Fake, bot: Telegram, ledger: Ledger):
    """On what was answered; one that Telegram does not let bots use is said."""
    number = fake.say("hi", ANN, GROUP)
    for emoji in ("❤", "🦜"):
        reply = Reply(ledger, "", ROOM, str(number))
        await bot.final(reply.done(act="react", emoji=emoji), await reply.sending())
    assert fake.feelings[GROUP["id"], number, ME["id"]] == [{"type": "emoji", "emoji": "❤"}]
    assert fake.shown(GROUP) == ["🦜"]


async def test_a_feeling_stands_beside_what_is_said(fake: Fake, bot: Telegram, ledger: Ledger):
    """What it does is a line of its own; an emoji that Telegram does not let bots use is left out."""
    number = fake.say("hi", ANN, GROUP)
    for emoji in ("❤", "🦜"):
        reply = Reply(ledger, "Aye.", ROOM, str(number))
        await bot.final(reply.done(emoji=emoji, action="bows"), await reply.sending())
    await fake.wait(lambda: (GROUP["id"], number, ME["id"]) in fake.feelings)
    assert fake.feelings[GROUP["id"], number, ME["id"]] == [{"type": "emoji", "emoji": "❤"}]
    assert fake.shown(GROUP) == ["Aye.\n\nbows"] * 2


async def test_silence_takes_back_what_was_shown(fake: Fake, bot: Telegram, ledger: Ledger):
    """But what somebody stopped stays."""
    for fields in ({"act": "silent", "text": ""}, {"text": "", "cancelled": True}):
        reply = Reply(ledger)
        sending = await reply.sending()
        await bot.draft("Arr", 1, sending)
        await bot.final(reply.done(**fields), sending)
    assert fake.shown() == ["Arr"]


async def test_a_failure_is_told_with_its_reason(fake: Fake, bot: Telegram, ledger: Ledger):
    """In place of what was shown; nothing, if somebody stopped it."""
    stopped, failed = Reply(ledger), Reply(ledger)
    await bot.failed(stopped.failed(cancelled=True), await stopped.sending())
    sending = await failed.sending()
    await bot.draft("Arr", 1, sending)
    await bot.failed(failed.failed(), sending)
    assert fake.shown() == ["There is no reply: no voice"]


async def test_people_without_a_username_can_be_called(fake: Fake, bot: Telegram, ledger: Ledger):
    """By the id that they had when they spoke."""
    fake.say("hi", BOB, GROUP)
    await heard(bot, fake)
    reply = Reply(ledger, "Ask @Bob!", ROOM)
    await bot.final(reply.done(), await reply.sending())
    (entity,) = fake.ours(GROUP)[0]["entities"]
    assert (entity["type"], entity["user"]["id"]) == ("text_mention", BOB["id"])


# Notes, and waiting.


async def test_typing_is_shown_until_the_reply_comes(fake: Fake, bot: Telegram, ledger: Ledger):
    """In its topic."""
    fake.say("hi", BOB, GROUP, is_topic_message=True, message_thread_id=5)
    (event,) = await heard(bot, fake)
    reply = Reply(ledger, place=TOPIC)
    await bot.told(event, Outcome(act=Act.QUEUED, job=f"j-{reply.id}"))
    await fake.wait(lambda: fake.typing == [(GROUP["id"], 5)])
    assert bot._waiting._typing
    await bot.final(reply.done(), await reply.sending())
    assert not bot._waiting._typing


async def test_a_reply_that_is_quicker_than_the_news_of_it(fake: Fake, bot: Telegram, ledger: Ledger):
    """Leaves nobody typing for ever."""
    fake.say("hi")
    (event,) = await heard(bot, fake)
    reply = Reply(ledger)
    await bot.final(reply.done(), await reply.sending())
    await bot.told(event, Outcome(act=Act.QUEUED, job=f"j-{reply.id}"))
    assert not bot._waiting._typing


async def test_notes_reach_those_who_meant_us(fake: Fake, bot: Telegram):
    """A full queue, an absent Redis. For whom there is a note the engine knows: it has our names, Telegram has not."""
    fake.say("for you")
    fake.say("for them", BOB, GROUP)
    fake.say("Mira, for you", BOB, GROUP)
    ours, theirs, by_name = await heard(bot, fake)
    for event, note in ((ours, "there is a long line"), (theirs, ""), (by_name, "I must rest a little")):
        await bot.told(event, Outcome(act=Act.FULL, note=note))
        await bot.refused(event, StoreUnreachable("the store is gone"))
    assert fake.shown() == ["there is a long line", "the store is gone"]
    assert fake.shown(GROUP) == ["I must rest a little"]


async def test_who_cannot_be_written_to_is_told_how(fake: Fake, bot: Telegram):
    """A bot may not begin a private talk; and an administrator who speaks as the group has no private side."""
    fake.blocked.add(ANN["id"])
    number = fake.say("/export", ANN, GROUP)
    for author in (Person("telegram:7"), Person(f"telegram:{GROUP['id']}")):
        command = Command(
            id=f"{GROUP['id']}.{number}", account=ACCOUNT, place=ROOM, author=author, time=1.0, name="export"
        )
        await bot.answered(command, Answer(data={"all": []}))
    assert fake.shown(GROUP) == ["I can send it only to you alone. Write to me in private, and ask me there."] * 2
    assert not fake.files
    assert fake.ours(GROUP)[0]["reply_to_message"]["text"] == "/export"
