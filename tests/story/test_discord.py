"""A persona on Discord: from what people write there to the edits they see, over discord.py and a real queue."""

import asyncio
import json
import os
import re
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

pytest.importorskip("aiohttp")

from adapters.discord import api, growing, typing
from adapters.discord.checkup import RIGHTS, examine
from adapters.discord.client import Discord, account_of
from bots.platforms import hides
from bots.run import beside, converse
from core.commands.answers import Answer, Choice, below
from core.delivery import Delivery, Sending
from core.engine import Act, Outcome
from core.errors import ConfigError, InputError, StoreUnreachable
from core.events import (
    AnyEvent,
    Attachment,
    Command,
    Deletion,
    Joined,
    Kind,
    Message,
    Person,
    PersonaKey,
    Place,
    Reaction,
)
from core.files import File
from core.intake import Intake
from core.jobs import Done, Failed
from core.settings import Attention, Scope, Settings
from core.store import keys
from core.store.client import Client
from core.store.ledger import Entry, Ledger
from tests.fakes.discord import ANN, BOT, CHANNEL, DM, GUILD, ME, OTHER, OTHER_BOT, TOKEN, TOM, Call, Fake
from tests.fakes.house import House, house_at, quick
from worker.compose import Composer
from worker.echo import Echo
from worker.serve import Server

SHARED = Path(os.environ.get("LIMEN_SHARED", Path(__file__).parents[3] / "shared"))
SPEC = SHARED / "data/payloads/discord_openapi.json"
PING = f"<@{ME}>"
ROOM = Place("discord", GUILD, CHANNEL)
LONG = "\n\n".join(f"{number}. " + "And then the kraken sang. " * 12 for number in range(16))


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Edits follow each other at once, and so do tries."""
    monkeypatch.setattr(growing, "PACE", 0.01)
    monkeypatch.setattr(api, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(api, "LONGEST_WAIT", 0.05)


@pytest.fixture(autouse=True)
def _no_heart_beats_on() -> Iterator[None]:
    """The library beats from a thread of its own: one that outlives its connection would call into a closed loop."""
    yield
    hearts = [thread for thread in threading.enumerate() if thread.name.startswith("keep-alive-handler")]
    for heart in hearts:
        heart.join(5)  # told to stop, it is gone at once
    assert [] == [heart.name for heart in hearts if heart.is_alive()]


@pytest.fixture
async def fake() -> AsyncIterator[Fake]:
    """A server with people."""
    it = await Fake().start()
    yield it
    await it.stop()


@pytest.fixture
async def house(redis_url: str) -> AsyncIterator[House]:
    """Engine and worker, as everywhere."""
    async with house_at(redis_url, quick()) as it:
        yield it


@pytest.fixture
async def ledger(redis_url: str) -> AsyncIterator[Ledger]:
    """A real one, for where no worker is needed."""
    client = Client(redis_url)
    yield Ledger(client)
    await client.close()


@pytest.fixture
async def adapter(fake: Fake) -> AsyncIterator[Discord]:
    """Nobody listens yet."""
    it = Discord(TOKEN, api_base=fake.url, gateway_url=fake.gateway)
    yield it
    await it.close()


@dataclass
class Ears:
    """What an adapter has told so far."""

    events: list[AnyEvent] = field(default_factory=list)

    def of(self, kind: type) -> list:
        return [event for event in self.events if isinstance(event, kind)]

    def texts(self) -> list[str]:
        return [event.text for event in self.of(Message)]


@asynccontextmanager
async def listening(fake: Fake, adapter: Discord) -> AsyncIterator[Ears]:
    """Somebody takes its events, for as long as the block lasts."""
    ears = Ears()

    async def listen() -> None:
        async for event in adapter.listen():
            ears.events.append(event)

    task = asyncio.create_task(listen())
    try:
        await fake.wait(lambda: any(session.out for session in fake.sessions.values()) or task.done())
        yield ears
    finally:
        adapter.stop()
        await asyncio.wait_for(task, 10)


@dataclass
class Bot:
    """One process of the bot, and how it is doing."""

    fake: Fake
    house: House
    adapter: Discord
    life: asyncio.Task[None]

    async def reply(self, channel: str = CHANNEL, number: int = 0, holds: str = "You said") -> dict:
        """Our message there, once it reads so."""
        await self.fake.wait(lambda: len(self.fake.ours(channel)) > number)
        message = self.fake.ours(channel)[number]
        await self.fake.wait(lambda: holds in message["content"])
        return message

    async def entry(self, holds: Callable[[Entry], object]) -> Entry:
        """The last reply in the ledger, once it is so."""
        async with asyncio.timeout(15):
            while True:
                for persona in await self.house.p.ledger.personas():
                    entries = await self.house.p.ledger.entries(await self.house.p.ledger.replies(persona))
                    if entries and holds(entries[-1]):
                        return entries[-1]
                await asyncio.sleep(0.005)

    async def delivered(self) -> None:
        """Until no reply is on its way."""
        async with asyncio.timeout(15):
            while await self.house.p.client.do("XLEN", keys.REPLIES(self.adapter.account)):
                await asyncio.sleep(0.005)


@asynccontextmanager
async def bot(fake: Fake, house: House) -> AsyncIterator[Bot]:
    """A bot process with a delivery of its own; its end is the end that `limen run` makes."""
    adapter = Discord(TOKEN, api_base=fake.url, gateway_url=fake.gateway)
    account = await adapter.login()
    intake, desk = Intake(house.engine.handle), house.p.desk(house.engine)
    delivery = Delivery(house.p.client, house.p.ledger, adapter, account)
    life = asyncio.create_task(beside(converse(adapter, intake, desk), intake.run(), delivery.run()))
    try:
        await fake.wait(lambda: any(session.out for session in fake.sessions.values()) or life.done())
        yield Bot(fake, house, adapter, life)
    finally:
        adapter.stop()
        with suppress(asyncio.CancelledError):
            await life
        await delivery.release()
        await adapter.close()


@asynccontextmanager
async def worker(house: House, model: Echo | None = None) -> AsyncIterator[None]:
    """Somebody who answers."""
    model, p = model or Echo(), house.p
    composer = Composer(p.conversations, p.ledger, p.personas, p.loras, model, p.growth, False)
    server = Server(p.client, p.queue, composer, model, 4, {"model": "echo"})
    task = asyncio.create_task(server.run())
    try:
        yield
    finally:
        server.stop()
        await task


class Reply:
    """A reply of ours, as a carrier brings it."""

    def __init__(self, ledger: Ledger, place: Place = ROOM, answers: tuple[str, ...] = ()) -> None:
        self.id, self.ledger, self.place, self.answers = secrets.token_hex(10), ledger, place, answers
        self.account = f"discord:{ME}"

    async def sending(self) -> Sending:
        """As a new carrier has it."""
        made = Sending(self.ledger, self.account, self.id, secrets.token_hex(4))
        made.place, made.answers = self.place, self.answers
        await made.recall()
        return made

    def done(self, text: str, **more: object) -> Done:
        """The end of it."""
        key = PersonaKey(self.account, "mira", "scope")
        return Done(
            job="j", reply_id=self.id, conversation="c", place=self.place, persona=key, text=text,
            answers=self.answers, **more,
        )  # fmt: skip

    def failed(self, **more: object) -> Failed:
        """No end of it."""
        return Failed(job="j", reply_id=self.id, conversation="c", place=self.place, reason="it has no voice", **more)


# The whole path.


async def test_a_mention_is_answered_and_a_thumb_lands(fake: Fake, house: House) -> None:
    """Message → streamed reply → 👍 → rating on the right reply → removed → gone."""
    async with bot(fake, house) as it, worker(house, Echo(delay=0.01, words=20)):
        asked = fake.say(f"{PING} hello there 👋")
        reply = await it.reply(holds="-19")
        await it.delivered()
        assert "You said: Tom: hello there 👋" in reply["content"]
        assert asked == reply["message_reference"]["message_id"]
        assert len(fake.made("PATCH", "/messages/")) > 2

        fake.react(reply["id"], "👍🏽")
        entry = await it.entry(lambda entry: entry.facts)
        assert [("👍", False, f"discord:{TOM['id']}")] == [
            (fact.emoji, fact.removed, fact.user) for fact in entry.facts
        ]
        fake.react(reply["id"], "👍🏽", removed=True)
        entry = await it.entry(lambda entry: len(entry.facts) == 2)
        assert entry.facts[-1].removed
        assert CHANNEL in fake.typing
    assert [] == fake.rung
    assert 1 == len(fake.ours())


async def test_a_dm_a_thread_and_a_channel_each_have_their_own(fake: Fake, house: House) -> None:
    """A reply goes where it was asked for, and nothing leaks from one to the other."""
    async with bot(fake, house) as it, worker(house):
        thread = fake.thread()
        fake.say("a secret", DM)
        assert "message_reference" not in await it.reply(DM)
        fake.say(f"{PING} hello", thread)
        fake.react((await it.reply(thread))["id"], "🔥", thread)
        await it.entry(lambda entry: [fact.emoji for fact in entry.facts] == ["🔥"])
        fake.say(f"hello {PING}")
        assert "I heard 1 lines" in (await it.reply())["content"]
        await it.delivered()
        scopes = {persona.scope for persona in await house.p.ledger.personas()}
    assert {f"discord:dm:user:{TOM['id']}", f"discord:{GUILD}:channel:{CHANNEL}"} == scopes


async def test_a_reply_a_name_and_an_edit_count(fake: Fake, house: House) -> None:
    """Nobody works yet; what was taken back is not answered, and a pin is no edit."""
    async with bot(fake, house) as it:
        asked = fake.say(f"{PING} frist")
        gone = fake.say(f"{PING} never mind", OTHER, ANN)
        fake.dispatch("MESSAGE_UPDATE", {**fake.messages[CHANNEL][asked], "pinned": True})
        fake.edit(asked, f"{PING} first")
        fake.delete(gone, channel=OTHER)
        fake.say("now", DM)
        await fake.wait(lambda: DM in fake.typing)  # so all of it has been taken in
        async with worker(house):
            assert "You said: Tom: first" in (await it.reply(holds="first"))["content"]
            await it.reply(DM)
            await it.delivered()
            reference = {"type": 19, "message_reference": {"message_id": fake.ours()[0]["id"]}}
            fake.say("and then?", author=ANN, referenced_message={"author": BOT}, **reference)
            assert "Ann: and then?" in (await it.reply(number=1, holds="then?"))["content"]
    assert [] == fake.ours(OTHER)


async def test_bots_and_what_is_only_overheard_are_not_answered(fake: Fake, house: House) -> None:
    """Another bot, a webhook, our own words, people among themselves."""
    async with bot(fake, house) as it, worker(house):
        fake.say(f"{PING} beep", author=OTHER_BOT)
        fake.say(f"{PING} boop", webhook_id="5")
        fake.say(f"{PING} me", author=BOT)
        fake.say("nice weather", author=ANN)
        fake.say("hello", DM)
        await it.reply(DM)
    assert [f"{PING} me"] == fake.shown()


async def test_slash_commands_are_acknowledged_and_answered_to_one_person(fake: Fake, house: House) -> None:
    """At once, and only to whoever asked; a reply that comes of it is an ordinary message."""
    async with bot(fake, house) as it, worker(house):
        helped = fake.command("help")
        await fake.wait(lambda: fake.responses[helped])
        assert {"type": 5, "data": {"flags": 64}} == fake.callbacks[helped]
        assert "/switch" in fake.responses[helped][0]["content"]
        fake.say(f"{PING} hello")
        await it.reply()
        await it.delivered()
        again = fake.press("limen:regenerate")
        await it.reply(number=1)
        exported = fake.command("export", DM)
        await fake.wait(lambda: fake.responses[exported] and fake.responses[again])
        assert "limen-export.json" in fake.files
        assert b"hello" in fake.files["limen-export.json"]
    assert [] == fake.rung


async def test_a_long_line_is_told_and_typing_ends(redis_url: str, fake: Fake) -> None:
    """A full queue and a message too long are answered with a note; nobody else hears of it."""
    async with house_at(redis_url, quick(max_per_conversation=1)) as house, bot(fake, house) as it:
        fake.say(f"{PING} one")
        fake.say(f"{PING} two", author=ANN)
        await it.reply(holds="long line")
        async with worker(house):
            await it.reply(number=1)
            await it.delivered()
    settings = msgspec.structs.replace(quick(), attention=Attention(settle_seconds=0, max_message_chars=200))
    async with house_at(redis_url, settings) as house, bot(fake, house) as it:
        fake.say(f"{PING} {'a' * 300}", OTHER)
        await it.reply(OTHER, holds="I can take in 200")


async def test_the_socket_is_dropped_and_nothing_is_lost(fake: Fake, house: House) -> None:
    """It resumes: what was said meanwhile is answered, once. A session that is gone begins anew."""
    async with bot(fake, house) as it, worker(house):
        fake.say("one", DM)
        await it.reply(DM)
        fake.drop()
        fake.say("two", DM)
        await it.reply(DM, 1)
        assert ["identify", "resume"] == fake.handshakes
        assert 2 == len(fake.ours(DM))


async def test_a_bot_that_is_killed_between_sending_and_recording_says_it_once(
    fake: Fake, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one sends it under the same nonce, and Discord answers with what it has."""
    sent = asyncio.Event()

    async def die(self: Sending, part: int, ids: tuple[str, ...]) -> None:
        sent.set()
        raise StoreUnreachable("killed")

    async with worker(house):
        with monkeypatch.context() as patched:
            patched.setattr(Sending, "sent", die)
            async with bot(fake, house) as it:
                fake.say("one", DM)
                await asyncio.wait_for(sent.wait(), 10)
        async with bot(fake, house) as it:
            reply = await it.reply(DM)
            await it.delivered()
            fake.react(reply["id"], "👎", DM)
            await it.entry(lambda entry: [fact.emoji for fact in entry.facts] == ["👎"])
    assert 1 == len(fake.ours(DM))


async def test_many_talks_in_bad_weather(fake: Fake, house: House) -> None:
    """Sockets drop, calls are refused or their answers lost: everybody is answered once, and where they asked."""
    for method in ("POST", "PATCH"):
        for status in (429, 503):
            fake.fail(method, "/messages", status, times=8)
            fake.fail(method, "/messages", status, times=8, after=True)
    places = [*(fake.thread(f"talk {number}") for number in range(4)), CHANNEL, OTHER, DM]
    async with bot(fake, house) as it, worker(house, Echo(words=3)):
        for turn in range(5):
            for place in places:
                fake.say(f"{PING} turn {turn} in {place}", place)
            if turn % 2:
                fake.drop()
            await fake.wait(lambda turn=turn: all(len(fake.ours(place)) == turn + 1 for place in places))
        await it.delivered()
        for place in places:
            assert [f"turn {turn} in {place}" for turn in range(5)] == [
                re.search(r"turn \d+ in \d+", text)[0] for text in fake.shown(place)
            ]
    assert [] == fake.rung
    assert sum(trouble.times for trouble in fake.troubles) < 16


async def test_a_channel_that_discord_slows_down_delays_no_other(fake: Fake, house: House) -> None:
    """Others are answered meanwhile; what was said there waits, and comes in order when Discord lets it."""
    fake.fail("POST", f"/channels/{CHANNEL}/messages", 429, times=1_000_000)
    (slow,) = fake.troubles
    async with bot(fake, house) as it, worker(house):
        fake.say(f"{PING} one")
        await fake.wait(lambda: fake.made("POST", f"/channels/{CHANNEL}/messages"))
        fake.say(f"{PING} two")
        for place in (OTHER, DM, fake.thread()):
            fake.say(f"{PING} hello", place)
            await it.reply(place)
        assert [] == fake.shown()
        slow.times = 0
        await it.reply(number=1)
        await it.delivered()
    assert ["one", "two"] == [text.rpartition(" ")[2] for text in fake.shown()]


# What happens there.


async def test_reactions_in_a_thread_that_was_archived_are_placed(fake: Fake, adapter: Discord) -> None:
    """Where it belongs is asked once; custom emoji are known by their id."""
    thread = fake.thread(tell=False)
    async with listening(fake, adapter) as ears:
        fake.react("11", "party:99", thread)
        fake.react("11", "party:99", thread, removed=True)
        await fake.wait(lambda: len(ears.events) == 2)
    assert [("discord:99", False), ("discord:99", True)] == [(e.emoji, e.removed) for e in ears.of(Reaction)]
    assert {Place("discord", GUILD, CHANNEL, thread, Kind.THREAD)} == {event.place for event in ears.events}
    assert 1 == len(fake.made("GET", "/channels/"))


async def test_a_thread_that_discord_does_not_tell_of_holds_up_nobody_else(fake: Fake, adapter: Discord) -> None:
    """It is asked for again until it is told; and what happens in it keeps its order."""
    thread = fake.thread(tell=False)
    fake.fail("GET", f"/channels/{thread}", 503, times=3)
    async with listening(fake, adapter) as ears:
        first, second = fake.say("one", thread), fake.say("two", thread)
        fake.say("meanwhile")
        await fake.wait(lambda: len(ears.events) == 3)
    assert ["meanwhile", "one", "two"] == ears.texts()
    assert [first, second] == [event.id for event in ears.events[1:]]
    assert {Place("discord", GUILD, CHANNEL, thread, Kind.THREAD)} == {event.place for event in ears.events[1:]}


async def test_a_deletion_in_a_dm_is_that_persons(fake: Fake, adapter: Discord) -> None:
    """Even one of a message from before we came; several at once are several."""
    old = fake.say("old", DM)
    fake._waiting.clear()
    async with listening(fake, adapter) as ears:
        fake.delete(old, channel=DM)
        one, two = fake.say("one"), fake.say("two", author=ANN)
        fake.delete(one, two)
        await fake.wait(lambda: len(ears.of(Deletion)) == 3)
    gone = {event.message_id: event.author.id for event in ears.of(Deletion)}
    assert {old: f"discord:{TOM['id']}", one: f"discord:{TOM['id']}", two: f"discord:{ANN['id']}"} == gone


async def test_what_there_is_no_room_for_the_log_counts_and_messages_are_asked_for(
    fake: Fake, adapter: Discord, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Once for each such time, and then what was said there is heard after all. Whoever gave a command sees by Discord
    that nobody responds: it is not acknowledged."""
    monkeypatch.setattr("adapters.reading.WAITING", 2)
    events = adapter.listen()
    first = asyncio.create_task(anext(events))
    await fake.wait(lambda: any(session.out for session in fake.sessions.values()))
    fake.say("one")
    heard = [await first]  # and now nobody asks for more
    for text in ("two", "three", "four", "five"):
        fake.say(text)
    fake.command("help")
    while adapter._reading._refused < 3:
        await asyncio.sleep(0.005)
    async with asyncio.timeout(10):
        heard += [await anext(events) for _ in range(4)]
    assert ["one", "two", "three", "four", "five"] == [event.text for event in heard if isinstance(event, Message)]
    said = [row.message.partition(": ")[2] for row in caplog.records if row.levelname == "WARNING"]
    assert said == [
        "too many events wait to be heard, and what comes now is lost",
        "events are heard again; 3 were lost",
    ]
    assert [] == [call for call in fake.calls if call.path.endswith("/callback")]
    adapter.stop()
    assert [] == [event async for event in events]


async def test_nonsense_is_passed_over(fake: Fake, adapter: Discord, caplog: pytest.LogCaptureFixture) -> None:
    """Malformed, unknown, of the wrong type: what comes after it is still heard."""
    async with listening(fake, adapter) as ears:
        for kind in (
            "MESSAGE_CREATE",
            "MESSAGE_REACTION_ADD",
            "GUILD_CREATE",
            "INTERACTION_CREATE",
            "THREAD_CREATE",
            "NEW",
        ):
            for data in ({}, {"id": 1, "type": {}}, [], None, "text", {"channel_id": ["x"], "author": {"id": 3}}):
                fake.dispatch(kind, data)
        fake.say("still here", DM)
        await fake.wait(lambda: ears.texts())
    assert ["still here"] == ears.texts()
    assert "cannot be read" in caplog.text


async def test_a_gateway_that_talks_nonsense_is_opened_anew(fake: Fake, adapter: Discord) -> None:
    """The library ends on what is no JSON; we do not."""
    async with listening(fake, adapter) as ears:
        for session in fake.sessions.values():
            assert session.out
            session.out.put_nowait("{no json")
        await fake.wait(lambda: 2 == len(fake.handshakes))
        fake.say("still here", DM)
        await fake.wait(lambda: ears.texts())
    assert ["still here"] == ears.texts()


async def test_whoever_leaves_while_a_connection_is_being_made_leaves_none_behind(fake: Fake, adapter: Discord) -> None:
    """A new session has to wait for its turn, and its heart beats already."""
    async with listening(fake, adapter):
        await fake.read()
        fake.invalidate()
        await fake.wait(lambda: not fake._beats.empty())
    assert ["identify"] == fake.handshakes
    await fake.wait(lambda: not fake._sockets)


async def test_a_discord_that_is_away_for_a_while_is_waited_for(
    fake: Fake, adapter: Discord, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing listens at its address; when it is back the session is resumed, and nothing was missed."""
    async with listening(fake, adapter) as ears:
        await fake.away()
        fake.say("are you there?", DM)
        await fake.wait(lambda: "Attempting a reconnect" in caplog.text)
        await fake.back()
        await fake.wait(lambda: ears.texts())
    assert ["are you there?"] == ears.texts()
    assert "identify" not in fake.handshakes[1:]


async def test_many_reactions_at_once_are_all_heard(fake: Fake, adapter: Discord) -> None:
    """In order."""
    async with listening(fake, adapter) as ears:
        for number in range(54):
            fake.react(str(number), "🔥")
        await fake.wait(lambda: len(ears.events) == 54)
    assert [str(number) for number in range(54)] == [event.message_id for event in ears.of(Reaction)]


async def test_a_server_that_invites_us_is_told_from_one_that_was_away(fake: Fake, adapter: Discord) -> None:
    """Only the first has been joined."""
    async with listening(fake, adapter) as ears:
        guild = fake._guild()
        fake.dispatch("GUILD_CREATE", guild)
        fake.dispatch("GUILD_CREATE", {**{k: v for k, v in guild.items() if k != "unavailable"}, "id": "8"})
        await fake.wait(lambda: ears.events)
    assert [(f"discord:{ME}", "8")] == [(event.author.id, event.place.workspace) for event in ears.of(Joined)]


async def test_a_token_or_intent_that_is_missing_is_named(fake: Fake, adapter: Discord) -> None:
    """With the page and the switch."""
    fake.allows_content = False
    with pytest.raises(ConfigError) as refused:
        async with asyncio.timeout(10):
            _ = [event async for event in adapter.listen()]
    assert "Message Content Intent" in refused.value.hint

    fake.allows_content, fake.token = True, "another"
    with pytest.raises(ConfigError, match="token") as refused:
        await Discord(TOKEN, api_base=fake.url).login()
    assert "Reset Token" in refused.value.hint


async def test_the_gateway_is_the_one_that_discord_names(fake: Fake) -> None:
    """Where no other is set; and whose token it is, is read from it, or asked."""
    adapter = Discord(TOKEN, api_base=fake.url)
    fake.say("hello", DM)
    async with listening(fake, adapter) as ears:
        await fake.wait(lambda: ears.texts())
    await adapter.close()
    fake.token = "opaque"
    other = Discord("opaque", api_base=fake.url.removesuffix("/v10"))

    assert (f"discord:{ME}", "discord:") == (account_of(TOKEN), other.account)
    assert f"discord:{ME}" == await other.login() == other.account
    await other.close()


async def test_a_session_that_is_lost_is_caught_up_with(
    fake: Fake, adapter: Discord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was said between the two is asked for, where we have heard somebody lately; each is heard once by its id."""
    monkeypatch.setattr(api, "IDENTIFY_WAIT", 0.01)
    async with listening(fake, adapter) as ears:
        fake.say("one <@&66> <#901> <#5>", DM)
        first = fake.say("uno <@&77> <#901>")
        await fake.wait(lambda: len(ears.events) == 2)
        fake.invalidate()
        fake.say("two", DM)
        fake.say("dos", author=ANN)
        await fake.wait(lambda: {"two", "dos"} <= set(ears.texts()))
    assert ["identify", "identify"] == fake.handshakes
    assert {(TOM["id"], "dm"), (ANN["id"], GUILD)} == {
        (event.author.id.split(":")[1], event.place.workspace) for event in ears.of(Message)[2:]
    }
    assert first in {event.id for event in ears.of(Message)[:2]}
    assert {"one @66 #general #5", "uno @limen #general"} == set(ears.texts()[:2])


async def test_a_large_bot_has_a_connection_for_each_shard(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as Discord advises; or those that this process is to hold."""
    monkeypatch.setattr(api, "IDENTIFY_WAIT", 0.01)
    fake.shards = 2
    whole = Discord(TOKEN, api_base=fake.url)
    async with listening(fake, whole) as ears:
        await fake.wait(lambda: {0, 1} == {session.shard for session in fake.sessions.values()})
        fake.say("in a DM", DM)
        fake.say("in a server")
        fake.react("11", "👍", by=ANN)
        await fake.wait(lambda: len(ears.events) == 3)
    await whole.close()
    assert ["in a DM", "in a server"] == ears.texts()

    fake.sessions.clear()
    part = Discord(TOKEN, api_base=fake.url, gateway_url=fake.gateway, shards=(1, 2, 2))
    async with listening(fake, part) as ears:
        fake.dispatch(
            "MESSAGE_CREATE", {**fake.messages[CHANNEL][max(fake.messages[CHANNEL])], "guild_id": str(1 << 22)}
        )
        await fake.wait(lambda: ears.events)
    await part.close()
    assert {1} == {session.shard for session in fake.sessions.values()}


async def test_a_token_that_is_revoked_ends_it(fake: Fake, adapter: Discord) -> None:
    """In the middle of everything; what was heard before is still told."""
    heard = []

    async def listen() -> None:
        async for event in adapter.listen():
            heard.append(event)
            fake.hang_up(4004)

    fake.say("last words", DM)
    with pytest.raises(ConfigError, match="token"):
        await asyncio.wait_for(listen(), 10)
    assert ["last words"] == [event.text for event in heard]


async def test_typing_is_shown_until_the_reply_is_there(
    fake: Fake, adapter: Discord, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Again and again; two that wait in one channel are one sign."""
    monkeypatch.setattr(typing, "AGAIN", 0.01)
    reply = Reply(ledger)
    message = Message(id="1", account="a", place=ROOM, author=Person("p"), time=1.0, text="hi")
    await adapter.told(message, Outcome(act=Act.QUEUED, job="j"))
    await adapter.told(message, Outcome(act=Act.MERGED, job="j2"))
    await fake.wait(lambda: len(fake.typing) > 3)
    await adapter.final(reply.done("Arr!"), await reply.sending())
    seen = len(fake.typing)
    await fake.wait(lambda: len(fake.typing) > seen + 3)
    await adapter.failed(
        msgspec.structs.replace(Reply(ledger).failed(cancelled=True), job="j2"), await Reply(ledger).sending()
    )
    assert {} == adapter._typing._tasks


# What limen says.


async def test_a_long_reply_is_several_messages_of_one_reply(fake: Fake, adapter: Discord, ledger: Ledger) -> None:
    """Each is recorded; the first alone is a reply to what was said."""
    reply = Reply(ledger, answers=(fake.say("tell me"),))
    sending = await reply.sending()
    for end in range(0, len(LONG), 600):
        await adapter.draft(LONG[:end], 1, sending)
    await adapter.final(reply.done(LONG), sending)

    shown = fake.ours()
    assert "".join(LONG.split()) == "".join("".join(fake.shown()).split())
    assert [message["id"] for message in shown] == [id for ids in (await reply.sending()).ids.values() for id in ids]
    assert [True] + [False] * (len(shown) - 1) == ["message_reference" in message for message in shown]


async def test_another_attempt_takes_the_place_of_the_first(fake: Fake, adapter: Discord, ledger: Ledger) -> None:
    """What the first said too much is taken away, which is no deletion of the reply; that by somebody else is."""
    reply = Reply(ledger)
    sending = await reply.sending()
    async with listening(fake, adapter) as ears:
        await adapter.draft(LONG, 1, sending)
        await fake.wait(lambda: len(fake.ours()) > 2)
        await adapter.draft("No", 2, sending)
        await adapter.final(reply.done("No."), sending)
        fake.delete(fake.ours()[0]["id"])
        await fake.wait(lambda: ears.events)

    assert [(await reply.sending()).ids[0][0]] == [event.message_id for event in ears.of(Deletion)]


async def test_edits_keep_discords_pace_and_the_last_one_lands(
    fake: Fake, adapter: Discord, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However fast text comes; the end does not wait its turn."""
    monkeypatch.setattr(growing, "PACE", 60.0)
    monkeypatch.setattr(growing, "SLOWEST", 60.0)
    reply = Reply(ledger)
    sending = await reply.sending()
    for number in range(200):
        await adapter.draft("word " * (number + 1), 1, sending)
    await asyncio.wait_for(adapter.final(reply.done("word " * 200 + "end"), sending), 10)

    assert ["word " * 200 + "end"] == fake.shown()
    assert 1 == len(fake.made("PATCH", "/messages/"))


@pytest.mark.parametrize("status", [429, 503])
async def test_ten_refusals_lose_nothing(fake: Fake, adapter: Discord, ledger: Ledger, status: int) -> None:
    """Discord says when to come back, or says nothing: it is tried until it is taken."""
    fake.fail("POST", "/messages", status, times=10)
    fake.fail("PATCH", "/messages", status, times=10)
    reply = Reply(ledger)
    sending = await reply.sending()
    await adapter.draft("Arr", 1, sending)
    await adapter.final(reply.done("Arr, matey!"), sending)

    assert ["Arr, matey!"] == fake.shown()


async def test_an_answer_that_got_lost_is_not_said_twice(fake: Fake, adapter: Discord, ledger: Ledger) -> None:
    """It was taken, but we were told that it was not: the nonce makes the second try the first."""
    fake.fail("POST", "/messages", 429, times=2, after=True)
    reply = Reply(ledger)
    await adapter.final(reply.done("Arr!"), await reply.sending())

    assert ["Arr!"] == fake.shown()
    assert len({call.body["nonce"] for call in fake.made("POST", "/messages")}) == 1


async def test_the_pace_gives_way_to_a_slow_discord(fake: Fake, adapter: Discord, ledger: Ledger) -> None:
    """What an edit had to wait is asked of the next one too; then the pace comes back."""
    reply = Reply(ledger)
    sending = await reply.sending()
    await adapter.draft("Arr", 1, sending)
    pace = adapter._replies[reply.id]
    fake.fail("PATCH", "/messages", 429, retry_after=0.1)
    await adapter.draft("Arr, ma", 1, sending)
    await fake.wait(lambda: ["Arr, ma"] == fake.shown() and pace.task is None)
    assert pace._pace == 0.02
    await adapter.draft("Arr, matey", 1, sending)
    await fake.wait(lambda: ["Arr, matey"] == fake.shown() and pace.task is None)
    assert pace._pace < 0.02
    await adapter.final(reply.done("Arr, matey!"), sending)


async def test_a_slow_channel_holds_up_nobody(fake: Fake, adapter: Discord, ledger: Ledger) -> None:
    """A draft that cannot be sent yet is only noted."""
    fake.fail("POST", f"/channels/{CHANNEL}/messages", 429, times=1, retry_after=1.5)
    slow, quick_ = Reply(ledger), Reply(ledger, Place("discord", GUILD, OTHER))
    sending = await slow.sending()
    await adapter.draft("Arr", 1, sending)
    await adapter.final(quick_.done("Aye!"), await quick_.sending())
    assert (["Aye!"], []) == (fake.shown(OTHER), fake.shown())
    await adapter.final(slow.done("Arr!"), sending)
    assert ["Arr!"] == fake.shown()


async def test_what_an_earlier_carrier_began_is_brought_to_its_end(
    fake: Fake, adapter: Discord, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had sent the first words, and died before it could record them: Discord gives the same message back."""
    reply, sent = Reply(ledger), Sending.sent
    dying = Discord(TOKEN, api_base=fake.url, gateway_url=fake.gateway)

    async def away(self: Sending, part: int, ids: tuple[str, ...]) -> None:
        raise StoreUnreachable("killed")

    monkeypatch.setattr(Sending, "sent", away)
    await dying.draft("Arr", 1, await reply.sending())
    await dying.close()
    monkeypatch.setattr(Sending, "sent", sent)
    await adapter.final(reply.done("Arr, matey!"), await reply.sending())

    assert ["Arr, matey!"] == fake.shown()
    assert {0: (fake.ours()[0]["id"],)} == (await reply.sending()).ids


async def test_what_redis_could_not_record_is_recorded_later(
    fake: Fake, adapter: Discord, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message is there: it is not sent again, however long that takes."""
    reply, sent = Reply(ledger), Sending.sent

    async def away(self: Sending, part: int, ids: tuple[str, ...]) -> None:
        raise StoreUnreachable("Redis is away")

    monkeypatch.setattr(Sending, "sent", away)
    with pytest.raises(StoreUnreachable):
        await adapter.final(reply.done("Arr!"), await reply.sending())
    monkeypatch.setattr(Sending, "sent", sent)
    fake.nonces.clear()
    await adapter.final(reply.done("Arr!"), await reply.sending())

    assert ["Arr!"] == fake.shown()
    assert {0: (fake.ours()[0]["id"],)} == (await reply.sending()).ids


async def test_a_right_that_comes_back_is_used(fake: Fake, adapter: Discord, ledger: Ledger) -> None:
    """It was taken away while we streamed; the whole reply is tried once more."""
    reply = Reply(ledger)
    sending = await reply.sending()
    await adapter.draft("Arr", 1, sending)
    fake.fail("PATCH", "/messages", 403, code=50013)
    await adapter.draft("Arr, ma", 1, sending)
    await fake.wait(lambda: adapter._replies[reply.id].task is None)
    await adapter.final(reply.done("Arr, matey!"), sending)

    assert ["Arr, matey!"] == fake.shown()


async def test_what_is_refused_as_it_is_comes_as_plain_text(fake: Fake, adapter: Discord, ledger: Ledger) -> None:
    """Better without bold than not at all."""
    fake.fail("POST", "/messages", 400, code=50035)
    reply = Reply(ledger, answers=(fake.say("a line of the server's own", type=7),))
    await adapter.final(reply.done("**Arr**, [here](https://e.org)"), await reply.sending())

    assert ["Arr, here (https://e.org)"] == fake.shown()
    assert "message_reference" not in fake.ours()[0]


@pytest.mark.parametrize("trouble", ["channel", "message", "permission"])
async def test_where_nothing_can_be_said_any_more_it_ends(
    fake: Fake, adapter: Discord, ledger: Ledger, trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A channel deleted while we stream, our message, our right to write: said once, and nobody waits."""
    reply = Reply(ledger)
    sending = await reply.sending()
    await adapter.draft("Arr", 1, sending)
    if trouble == "channel":
        fake.remove_channel(CHANNEL)
    elif trouble == "message":
        fake.delete(fake.ours()[0]["id"])
    else:
        fake.fail("PATCH", "/messages", 403, times=99, code=50013)
    await adapter.draft("Arr, ma", 1, sending)
    await adapter.final(reply.done("Arr, matey!"), sending)

    assert 1 == caplog.text.count("a reply cannot be shown")
    assert fake.shown() in ([], ["Arr"])


async def test_an_emotion_is_a_reaction_or_else_a_line(fake: Fake, adapter: Discord, ledger: Ledger) -> None:
    """On what was answered, spelled as Discord wants it."""
    asked = fake.say("I love you")
    first, second = Reply(ledger, answers=(asked,)), Reply(ledger, answers=(asked,))
    await adapter.final(first.done("", act="react", emoji="❤"), await first.sending())
    assert (["❤️"], []) == (fake.messages[CHANNEL][asked]["reactions"], fake.shown())

    fake.fail("PUT", "/reactions/", 403, code=90001)
    await adapter.final(second.done("", act="react", emoji="❤"), await second.sending())
    assert ["❤"] == fake.shown()


async def test_a_feeling_stands_beside_what_is_said(fake: Fake, adapter: Discord, ledger: Ledger) -> None:
    """What it does is a line of its own. Where Discord wants no reaction, the words are there all the same."""
    asked = fake.say("I love you")
    first, second = Reply(ledger, answers=(asked,)), Reply(ledger, answers=(asked,))
    sending = await first.sending()
    await adapter.draft("Aw, ma", 1, sending)
    await adapter.final(first.done("Aw, matey.", emoji="❤", action="bows"), sending)
    fake.fail("PUT", "/reactions/", 403, code=90001)
    await adapter.final(second.done("Me too.", emoji="❤"), await second.sending())

    assert (["❤️"], ["Aw, matey.\n\n*bows*", "Me too."]) == (fake.messages[CHANNEL][asked]["reactions"], fake.shown())


async def test_who_has_nothing_to_say_says_nothing(fake: Fake, adapter: Discord, ledger: Ledger) -> None:
    """What was begun is taken back."""
    reply = Reply(ledger)
    sending = await reply.sending()
    await adapter.draft("Arr", 1, sending)
    await adapter.final(reply.done("", act="silent"), sending)

    assert [] == fake.shown()


async def test_a_failure_is_told_and_a_stop_is_not(fake: Fake, adapter: Discord, ledger: Ledger) -> None:
    """What was said until then stays."""
    broken, stopped, silent = Reply(ledger), Reply(ledger), Reply(ledger)
    for reply in (broken, stopped):
        await adapter.draft("Arr", 1, await reply.sending())
    await adapter.failed(broken.failed(), await broken.sending())
    await adapter.failed(stopped.failed(cancelled=True), await stopped.sending())
    await adapter.failed(silent.failed(cancelled=True), await silent.sending())

    assert ["Arr\n-# The rest is missing: it has no voice", "Arr"] == fake.shown()


async def test_no_mass_mention_rings(fake: Fake, adapter: Discord, ledger: Ledger) -> None:
    """Not when it is sent, not when it is edited in, and not for the one replied to."""
    reply = Reply(ledger, answers=(fake.say("shout"),))
    sending = await reply.sending()
    await adapter.draft("@everyone", 1, sending)
    await adapter.final(reply.done(f"@everyone @here <@&77> <@{TOM['id']}>"), sending)

    assert [] == fake.rung
    assert all(
        {"parse": [], "replied_user": False} == call.body["allowed_mentions"]
        for call in fake.calls
        if "content" in call.body
    )


async def test_a_shutdown_finishes_what_is_being_sent(fake: Fake, ledger: Ledger) -> None:
    """The carrier is gone; the message and its record still get there."""
    adapter = Discord(TOKEN, api_base=fake.url, gateway_url=fake.gateway)
    fake.fail("POST", "/messages", 429, times=2, retry_after=0.2)
    reply = Reply(ledger)
    carrier = asyncio.create_task(adapter.final(reply.done("Arr, matey!"), await reply.sending()))
    await fake.wait(lambda: fake.made("POST", "/messages"))
    carrier.cancel()
    await asyncio.wait({carrier})
    await adapter.close()

    assert ["Arr, matey!"] == fake.shown()
    assert {0: (fake.ours()[0]["id"],)} == (await reply.sending()).ids


async def test_commands_are_registered_once(fake: Fake, adapter: Discord) -> None:
    """A second start finds them there; a change is made known."""
    assert [True, False] == [await adapter.register(), await adapter.register()]
    fake.commands.pop()
    assert await adapter.register()
    assert 2 == len(fake.made("PUT", "/commands"))
    assert {"persona", "switch", "forget", "help"} <= {command["name"] for command in fake.commands}


async def test_what_takes_an_operator_is_hidden_from_others(fake: Fake) -> None:
    """In a server, and only if Discord's rights alone decide; what can also be looked at is shown to all."""
    adapter = Discord(TOKEN, api_base=fake.url, gateway_url=fake.gateway, hides=True)
    assert [True, False] == [await adapter.register(), await adapter.register()]
    await adapter.close()
    hidden = {one["name"] for one in fake.commands if one.get("default_member_permissions") == "32"}
    assert "switch" in hidden
    assert not hidden & {"persona", "forget", "help", "privacy", "regenerate", "stop"}
    for named in (Settings(operators="discord:5"), Settings(scope=Scope(discord="user"))):
        assert not hides(named)
    assert hides(Settings(operators="slack:T1:U5"))


async def test_what_cannot_be_undone_is_confirmed_by_a_button(fake: Fake, house: House) -> None:
    """Pressed, it is the command with a yes."""
    async with bot(fake, house) as it, worker(house):
        fake.say("remember me", DM)
        await it.reply(DM)
        await it.delivered()
        asked = fake.command("forget", DM, everything=True)
        await fake.wait(lambda: fake.responses[asked])
        (row,) = fake.responses[asked][0]["components"]
        assert "limen:forget:everything yes" == row["components"][0]["custom_id"]
        pressed = fake.press(row["components"][0]["custom_id"], DM)
        await fake.wait(lambda: fake.responses[pressed])
        assert [] == fake.responses[pressed][0]["components"]
        assert [[]] == [await house.p.ledger.replies(persona) for persona in await house.p.ledger.personas()]


async def test_names_are_offered_while_somebody_types(fake: Fake) -> None:
    """Those that begin so come first; it is no command yet."""
    adapter = Discord(TOKEN, api_base=fake.url, gateway_url=fake.gateway, cards=lambda: ["orrin", "Mira", "admiral"])
    async with listening(fake, adapter) as ears:
        token = fake.type("switch", "name", "mir")
        await fake.wait(lambda: fake.callbacks)
        choices = fake.callbacks[token]["data"]["choices"]
    await adapter.close()
    assert (["Mira", "admiral"], []) == ([choice["value"] for choice in choices], ears.events)


# Files.


async def test_files_are_fetched_within_their_limits(fake: Fake, adapter: Discord) -> None:
    """Under a new address where the old one has run out; not if they are longer than they say, or not Discord's."""
    fresh, old = fake.attachment("a.txt", b"hello"), fake.attachment("b.txt", b"long " * 50_000, is_fresh=False)

    assert b"hello" == await adapter.fetch(Attachment("a.txt", "text/plain", 5, fresh))
    assert b"long " * 50_000 == await adapter.fetch(Attachment("b.txt", "text/plain", 250_000, old))
    for attachment, why in (
        (Attachment("a.txt", "text/plain", 5_000, fresh), "too long"),
        (Attachment("b.txt", "text/plain", 5, old), "longer than it was said"),
        (Attachment("c.txt", "text/plain", 5, fresh.replace("a.txt", "c.txt")), "no longer there"),
        (Attachment("d.txt", "text/plain", 5, "https://cdn.discordapp.com.e.org/a.txt"), "not at Discord's"),
        (Attachment("e.txt", "text/plain", 5, "http://cdn.discordapp.com/a.txt"), "not at Discord's"),
        (Attachment("f.txt", "text/plain", 5, ""), "not at Discord's"),
    ):
        with pytest.raises(InputError, match=why):
            await adapter.fetch(attachment, 1_000)


@pytest.mark.parametrize("told", [{}, {"refreshed_urls": []}, None])
async def test_a_file_that_gets_no_new_address_cannot_be_had(
    fake: Fake, adapter: Discord, monkeypatch: pytest.MonkeyPatch, told: object
) -> None:
    """Whatever Discord says instead."""

    async def call(*_: object) -> object:
        return told

    old = fake.attachment("b.txt", b"hello", is_fresh=False)
    monkeypatch.setattr(adapter._api, "call", call)
    with pytest.raises(InputError, match="no new address"):
        await adapter.fetch(Attachment("b.txt", "text/plain", 5, old))


# How it is set up.


async def test_a_checkup_names_what_is_missing(fake: Fake) -> None:
    """A token, an intent, a right, a server: each with the page and the switch; it begins no session."""
    assert [("token", "ok"), ("message content", "ok"), ("servers", "ok")] == await states(fake)

    fake.allows_content, fake.permissions = False, {"The Garden": 1 << 10 | 1 << 11 | 1 << 16, "Home": 0}
    fake.app = {"interactions_endpoint_url": "https://e.org"}
    found = await examine(TOKEN, fake.url)
    assert ["ok", "fail", "warn", "warn", "warn"] == [finding.state for finding in found]
    assert f"{ME}/bot → Privileged Gateway Intents → Message Content Intent" in found[1].step
    assert "The Garden: it may not Send Messages in Threads, Add Reactions, Attach Files" == found[3].said

    fake.permissions = {}
    assert f"client_id={ME}&scope=bot+applications.commands&permissions=" in (await examine(TOKEN, fake.url))[-1].step
    fake.token = "another"
    assert [("token", "fail")] == await states(fake)
    assert [] == fake.handshakes


@pytest.mark.parametrize("right", RIGHTS)
async def test_each_right_that_is_missing_is_named(fake: Fake, right: str) -> None:
    """Alone, with where it is given."""
    fake.permissions = {"The Garden": sum(RIGHTS.values()) - RIGHTS[right]}
    *_, last = await examine(TOKEN, fake.url)

    assert ("warn", f"The Garden: it may not {right}") == (last.state, last.said)
    assert "Server Settings → Roles" in last.step


async def states(fake: Fake) -> list[tuple[str, str]]:
    """What a checkup finds."""
    return [(finding.name, finding.state) for finding in await examine(TOKEN, fake.url)]


# What is said, checked against Discord's own description of it.


@pytest.mark.skipif(not SPEC.exists(), reason="Discord's description of its API is not here")
async def test_every_call_and_every_message_is_as_discord_describes_it(
    fake: Fake, adapter: Discord, ledger: Ledger
) -> None:
    """What we send, and what the fake answers: messages, edits, reactions, commands and their menu."""
    spec = json.loads(SPEC.read_text())
    registry = Registry().with_resource("spec:", Resource.from_contents(spec, DRAFT202012))
    async with listening(fake, adapter) as ears:
        token = fake.command("help", DM)
        asked = fake.say(
            "hello", DM, attachments=[{"id": "5", "filename": "a.txt", "size": 3, "url": "u", "proxy_url": "p"}]
        )
        await fake.wait(lambda: len(ears.events) == 2)
        fake.type("switch", "name", "mi", DM)
        command = msgspec.structs.replace(ears.of(Command)[0], name="forget")
        await adapter.answered(command, Answer(text="help " * 600))
        await fake.wait(lambda: len(fake.responses[token]) == 2)
        for place, text in ((ROOM, LONG), (Place("discord", "dm", DM, kind=Kind.DM), "Arr!")):
            reply = Reply(ledger, place, (asked,))
            sending = await reply.sending()
            await adapter.draft(text[:300], 1, sending)
            await adapter.final(reply.done(text), sending)
        loved = Reply(ledger, Place("discord", "dm", DM, kind=Kind.DM), (asked,))
        await adapter.final(loved.done("", act="react", emoji="❤"), await loved.sending())
        await adapter.register()

    checked = as_described(spec, registry, fake)
    for message in [*fake.messages[CHANNEL].values(), *fake.messages[DM].values()]:
        whole = {key: value for key, value in message.items() if key not in ("reactions", "member")}
        schema = {"$ref": "spec:#/components/schemas/MessageResponse"}
        Draft202012Validator(schema, registry=registry).validate(whole)
    assert len(checked) == 6


@pytest.mark.skipif(not SPEC.exists(), reason="Discord's description of its API is not here")
async def test_buttons_and_files_are_as_discord_describes_them(fake: Fake, adapter: Discord, ledger: Ledger) -> None:
    """A question, what is pressed below it, a button below a reply, a picture, a long answer."""
    spec = json.loads(SPEC.read_text())
    registry = Registry().with_resource("spec:", Resource.from_contents(spec, DRAFT202012))
    adapter._below = lambda done: below(done, "regenerate")
    there = Place("discord", "dm", DM, kind=Kind.DM)
    async with listening(fake, adapter) as ears:
        reply = Reply(ledger, there, (fake.say("hello", DM),))
        sending, done = await reply.sending(), reply.done("Arr!")
        await adapter.final(done, sending)
        choices = (Choice("Yes", "privacy", "train yes", "good"), Choice("No", "privacy", "train no"), Choice("Later"))
        await adapter.ask(done, Person("discord:1"), Answer(text="May I?", choices=choices))
        await adapter.hand(there, File("map.png", b"0", "image/png"), "Here", fake.ours(DM)[0]["id"])
        question = next(message for message in fake.ours(DM) if message["content"] == "May I?")
        fake.press("limen::", DM, below=question)
        await fake.wait(lambda: [] == question["components"])
        for custom_id, flags in (("limen:privacy:train yes", 6), ("limen:regenerate:1", 5)):
            token = fake.press(custom_id, DM, below=question)
            await fake.wait(lambda token=token: token in fake.callbacks)
            assert flags == fake.callbacks[token]["type"]
            await fake.wait(lambda flags=flags: len(ears.of(Command)) == 1 + (flags == 5))
            await adapter.answered(ears.of(Command)[-1], Answer(text="long " * 2_000))
        await fake.wait(lambda: "limen-privacy.txt" in fake.files and "limen-regenerate.txt" in fake.files)

    assert {"map.png", "limen-privacy.txt", "limen-regenerate.txt"} <= set(fake.files)
    assert 4 == len(as_described(spec, registry, fake))


def as_described(spec: dict, registry: Registry, fake: Fake) -> set[tuple[str, str]]:
    """Which calls were made; all that had a body are as Discord wants them."""
    checked = set()
    for call in fake.calls:
        assert call.status < 300
        if call.body:
            path, method = described(spec, call), call.method.lower()
            pointer = quote(f"/paths/{path.replace('/', '~1')}/{method}/requestBody/content/application~1json/schema")
            body = call.body.get("list", call.body)
            Draft202012Validator({"$ref": f"spec:#{pointer}"}, registry=registry).validate(body)
            checked.add((method, path))
    return checked


def described(spec: dict, call: Call) -> str:
    """The path of the description that a call is made to."""

    def fits(path: str) -> bool:
        return bool(re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", path), call.path))

    return next(path for path in sorted(spec["paths"], key=lambda path: path.count("{")) if fits(path))
