"""A persona in Slack: from what people type there to the edits they see, over the real libraries and a real queue."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from msgspec.structs import replace

pytest.importorskip("slack_bolt")

from adapters.slack.client import Listening, Slack
from adapters.slack.view import Us
from bots.run import beside, converse
from core.delivery import Delivery, Sending
from core.errors import ConfigError, StoreUnreachable
from core.events import Addressed, Kind, Line, Message, Person, PersonaKey, Place, Reaction
from core.intake import Intake
from core.jobs import Done, Failed
from core.store import keys
from core.store.ledger import Entry, message_key
from tests.fakes.house import House, house_at, quick
from tests.fakes.jobs import until
from tests.fakes.listening import each
from tests.fakes.slack import APP_TOKEN, BOT_TOKEN, BOT_USER, SECRET, TEAM, Fake, slack
from worker.compose import Composer
from worker.echo import Echo
from worker.serve import Server

ME = f"<@{BOT_USER}>"
SOCKET = Listening(app_token=APP_TOKEN, ping=1.0)  # half of it without an answer, and the library hangs up


@pytest.fixture
async def fake() -> AsyncIterator[Fake]:
    """A workspace."""
    async with slack() as it:
        yield it


@pytest.fixture
async def house(redis_url: str) -> AsyncIterator[House]:
    """Engine and worker, as everywhere."""
    async with house_at(redis_url, quick()) as it:
        yield it


@dataclass
class Bot:
    """One process of the bot, and how it is doing."""

    fake: Fake
    house: House
    adapter: Slack
    life: asyncio.Task[None] | None = None
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def reply(self, channel: str = "C1", number: int = 0, holds: str = "You said") -> dict:
        """Our message there, once it reads so."""

        def there() -> dict | None:
            ours = self.fake.replies(channel)
            return ours[number] if len(ours) > number and holds in self.fake.revisions[ours[number]["ts"]][-1] else None

        return await self.fake.wait(there)

    async def entry(self, holds: Callable[[Entry], object]) -> Entry:
        """The one reply in the ledger, once it is so."""
        async with asyncio.timeout(15):
            while True:
                (persona,) = await self.house.p.ledger.personas() or [None]
                ids = await self.house.p.ledger.replies(persona) if persona else []
                entries = await self.house.p.ledger.entries(ids)
                if entries and holds(entries[-1]):
                    return entries[-1]
                await asyncio.sleep(0.005)

    def sending(self, channel: str, text: str, thread: str = "", reply: str = "r") -> tuple[Done, Sending]:
        """A reply, and its way there, as a carrier would take it up."""
        kind = Kind.DM if channel.startswith("D") else Kind.THREAD
        place = Place("slack", TEAM, channel, thread, kind)
        persona = PersonaKey(self.adapter.account, "mira", "scope")
        sending = Sending(self.house.p.ledger, self.adapter.account, reply, "me")
        sending.place = place
        return Done(job="j", reply_id=reply, conversation="c", place=place, persona=persona, text=text), sending

    async def heard(self, thread: str, holds: Callable[[list[Line]], bool]) -> None:
        """Until the history of a thread in C1 is so."""
        persona = PersonaKey(self.adapter.account, "mira", f"slack:{TEAM}:channel:C1")
        talk = persona.conversation(Place("slack", TEAM, "C1", thread))
        async with asyncio.timeout(15):
            while not holds(await self.house.p.conversations.last(talk, 10)):
                await asyncio.sleep(0.005)

    async def delivered(self) -> None:
        """Until no reply is on its way."""
        async with asyncio.timeout(15):
            while await self.house.p.client.do("XLEN", keys.REPLIES(self.adapter.account)):
                await asyncio.sleep(0.005)


@asynccontextmanager
async def bot(fake: Fake, house: House, listening: Listening | None = None, every: float = 0.0) -> AsyncIterator[Bot]:
    """A bot process with a delivery of its own; its end is the end that `limen run` makes."""
    listening = listening or SOCKET
    adapter = await Slack.sign_in(BOT_TOKEN, listening, f"{fake.url}/api/", every)
    intake, desk = Intake(house.engine.handle), house.p.desk(house.engine)
    delivery = Delivery(house.p.client, house.p.ledger, adapter, adapter.account)
    it = Bot(fake, house, adapter)
    it.life = asyncio.create_task(beside(converse(adapter, intake, desk), intake.run(), delivery.run()))
    try:
        if listening.app_token:
            await fake.wait(lambda: fake.sockets or it.life.done())
        yield it
    finally:
        adapter.close()
        try:
            with suppress(asyncio.CancelledError):
                await it.life
        finally:
            await delivery.release()
            await adapter.leave()


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


async def test_a_mention_is_answered_in_a_thread_and_a_thumb_lands(fake: Fake, house: House) -> None:
    """Message → streamed reply → 👍 → rating on the right reply → removed → gone."""
    async with bot(fake, house) as it, worker(house, Echo(delay=0.01, words=20)):
        asked = fake.say("C1", "UANN", f"{ME} hello there 👋")
        reply = await it.reply(holds="-19")
        assert asked == reply["thread_ts"]
        assert "You said: Ann: hello there 👋" in fake.shown("C1")[-1]

        grown = fake.revisions[reply["ts"]]
        assert len(grown) > 2
        assert all(later.startswith(sooner) for sooner, later in pairwise(grown))
        await it.delivered()

        fake.react("C1", reply["ts"], "UANN", "+1::skin-tone-3")
        entry = await it.entry(lambda entry: entry.facts)
        assert [("👍", False, f"slack:{TEAM}:UANN")] == [(fact.emoji, fact.removed, fact.user) for fact in entry.facts]
        fake.react("C1", reply["ts"], "UANN", "+1::skin-tone-3", removed=True)
        entry = await it.entry(lambda entry: len(entry.facts) == 2)
        assert entry.facts[-1].removed
        assert [("C1", asked, "is typing…")] == fake.statuses
    assert [] == fake.pinged


async def test_a_thread_goes_on_without_a_mention(fake: Fake, house: House) -> None:
    """It remembers the beginning, and so does the next process; what others say elsewhere is only heard."""
    async with worker(house):
        async with bot(fake, house) as it:
            asked = fake.say("C1", "UANN", f"{ME} one")
            await it.reply()
            await it.delivered()
            fake.say("C1", "UBOB", "two", thread=asked)
            assert "I heard 2 lines" in (await it.reply(number=1))["text"]
            await it.delivered()
        async with bot(fake, house) as it:
            fake.say("C1", "UBOB", "nobody asked you")
            fake.say("C1", "UANN", "three", thread=asked)
            reply = await it.reply(number=2, holds="three")
            assert ("I heard 3 lines. You said: Ann: three", asked) == (reply["text"], reply["thread_ts"])
    assert 3 == len(fake.replies("C1"))


async def test_a_dm_is_answered_where_it_was_said(fake: Fake, house: House) -> None:
    """No thread; and what was said there does not leak into the channel."""
    async with bot(fake, house) as it, worker(house):
        fake.say("DANN", "UANN", "a secret")
        assert "thread_ts" not in await it.reply("DANN")
        fake.say("C1", "UANN", f"{ME} hello")
        assert "I heard 1 lines" in (await it.reply("C1"))["text"]
        scopes = {persona.scope for persona in await house.p.ledger.personas()}
        assert {f"slack:{TEAM}:user:UANN", f"slack:{TEAM}:channel:C1"} == scopes


async def test_what_slack_tells_twice_is_answered_once(fake: Fake, house: House) -> None:
    """`message` and `app_mention`, and a retry of each."""
    async with bot(fake, house) as it, worker(house):
        fake.say("C1", "UANN", f"{ME} hello")
        await it.reply()
        for envelope in list(fake.envelopes.values())[:2]:
            fake.again(envelope)
        fake.say("C1", "UANN", f"{ME} once more")
        await it.reply(number=1)
        await fake.wait(lambda: all(envelope.acked for envelope in fake.envelopes.values()))
        await it.delivered()
    assert 2 == len(fake.replies("C1"))


async def test_edits_and_deletions_count_while_an_answer_waits(fake: Fake, house: House) -> None:
    """Nobody works yet; what was taken back is not answered, and an unfurled link is no edit."""
    async with bot(fake, house) as it:
        asked = fake.say("C1", "UANN", f"{ME} frist")
        gone = fake.say("C1", "UBOB", f"{ME} never mind")
        fake.unfurl("C1", asked)
        fake.delete("C1", gone)
        fake.edit("C1", asked, f"{ME} first")  # the last of them: events are taken one after the other
        await it.heard(asked, lambda lines: [line.text for line in lines] == ["first"])
        async with worker(house):
            assert "You said: Ann: first" in (await it.reply(holds="first"))["text"]
            await it.delivered()
    assert 1 == len(fake.replies("C1"))


async def test_bots_and_notices_are_not_answered(fake: Fake, house: House) -> None:
    """Our own echo, a bot that lacks a bot id, somebody who joins."""
    fake.person("UROB", "Rob", is_bot=True)
    async with bot(fake, house) as it, worker(house):
        fake.say("C1", "UROB", f"{ME} beep")
        fake.say("C1", "UBOB", f"{ME} joined", subtype="channel_join")
        fake.say("C1", BOT_USER, f"{ME} me")
        fake.join("C1", "UBOB")
        fake.say("DANN", "UANN", "hello")
        await it.reply("DANN")
    assert not [message for message in fake.replies("C1") if "You said" in message["text"]]


async def test_slash_commands_are_answered_to_one_person(fake: Fake, house: House) -> None:
    """Acknowledged at once, meant for the thread where they talked last, spelled as Slack wants them."""
    async with bot(fake, house) as it, worker(house):
        fake.command("C1", "UANN", "help")
        whisper = await fake.wait(lambda: fake.whispers)
        assert ("UANN", True, False) == (whisper[0]["user"], "/limen switch" in whisper[0]["text"], "UBOB" in whisper)
        asked = fake.say("C1", "UANN", f"{ME} hello")
        await it.reply()
        await it.delivered()
        fake.command("C1", "UANN", "regenerate")
        assert asked == (await it.reply(number=1))["thread_ts"]
        fake.say("C1", "UANN", f"{ME} /stop", thread=asked)
        await fake.wait(lambda: len(fake.whispers) == 2)
        assert ("Nothing is being written.", asked) == (fake.whispers[1]["text"], fake.whispers[1]["thread"])
        await fake.wait(lambda: all(envelope.acked for envelope in fake.envelopes.values()))


async def test_the_page_of_the_app_says_who_it_is(fake: Fake, house: House) -> None:
    """And what can be asked, by the name that the command has there."""
    async with bot(fake, house):
        fake.command("C1", "UBOB", "help", command="/mira")
        fake.open_home("UANN", tab="messages")
        fake.open_home("UANN")
        await fake.wait(lambda: fake.homes and fake.whispers)
    assert {"UANN"} == set(fake.homes)
    assert "Captain Mira Flint" in fake.homes["UANN"]
    assert "/mira help" in fake.homes["UANN"]
    assert ["UBOB"] == [whisper["user"] for whisper in fake.whispers]


async def test_an_export_comes_as_a_file_in_a_dm(fake: Fake, house: House) -> None:
    """Or the reason why it does not."""
    async with bot(fake, house) as it, worker(house):
        fake.say("DANN", "UANN", "remember me")
        await it.reply("DANN")
        fake.command("C1", "UANN", "export")
        await fake.wait(lambda: fake.whispers)
        (file,) = fake.files
        assert ("DANN", True) == (file["channel"], "remember me" in json.dumps(json.loads(file["content"])))
        fake.scopes_missing.add("files.getUploadURLExternal")
        fake.command("C1", "UANN", "export")
        await fake.wait(lambda: len(fake.whispers) == 2)
        assert "missing_scope" in fake.whispers[1]["text"]


async def test_a_long_reply_is_several_messages_and_a_thumb_on_any_counts(fake: Fake, house: House) -> None:
    """All of them in the thread, all of them recorded; a shorter one takes back what is too much."""
    async with bot(fake, house) as it:
        asked = fake.say("C1", "UANN", "hello")
        done, sending = it.sending("C1", "", asked)
        words = " ".join(f"word{number}" for number in range(3_000))
        await it.adapter.draft(words[:15_000], 1, sending)
        await it.adapter.final(replace(done, text=words), sending)

        parts = fake.replies("C1")
        assert ([asked] * 3, words) == ([part["thread_ts"] for part in parts], " ".join(fake.shown("C1")[1:]))
        for part in parts:
            key = message_key(it.adapter.account, Place("slack", TEAM, "C1"), part["ts"])
            assert "r" == (await house.p.ledger.behind(key))

        await it.adapter.final(replace(done, text="short"), sending)
        assert ["hello", "short"] == fake.shown("C1")


async def test_a_channel_in_which_slack_makes_us_wait_holds_up_no_other(fake: Fake, house: House) -> None:
    """Its own reply waits; everybody else is answered meanwhile."""
    async with bot(fake, house) as it, worker(house):
        fake.limit("chat.postMessage", 1, after=3600)
        fake.say("C1", "UANN", f"{ME} one")
        await fake.wait(lambda: any(asked.method == "chat.postMessage" for asked in fake.asked))
        fake.say("DANN", "UANN", "two")
        await it.reply("DANN", holds="You said: two")
        assert [] == fake.replies("C1")


async def test_nothing_it_says_pings_a_channel(fake: Fake, house: House) -> None:
    """Whatever people make it say."""
    async with bot(fake, house) as it, worker(house):
        for number, bait in enumerate(
            ("<!channel>", "`&lt;!here&gt;`", "[x](!everyone)", "&amp;lt;!channel&amp;gt; @here")
        ):
            fake.say("DANN", "UANN", bait + " end")
            await it.reply("DANN", number, "end")
        await it.delivered()
    assert [] == fake.pinged


async def test_only_those_who_mean_us_hear_of_trouble(fake: Fake, house: House) -> None:
    """A message that is too long, or that Redis could not take."""
    async with bot(fake, house) as it:
        fake.say("C1", "UBOB", "x" * 21_000)
        fake.say("C1", "UANN", ME + "y" * 21_000)
        (whisper,) = await fake.wait(lambda: fake.whispers)
        assert ("UANN", True) == (whisper["user"], "21,000 characters" in whisper["text"])
        place, ann = Place("slack", TEAM, "C1"), Person(f"slack:{TEAM}:UANN")
        common = {"id": "1.0", "account": it.adapter.account, "place": place, "author": ann, "time": 1.0}
        gone = StoreUnreachable("Redis is away", "It comes back by itself")
        await it.adapter.refused(Message(**common, text="hi"), gone)
        await it.adapter.refused(Reaction(**common, message_id="1.0", emoji="👍"), gone)
        await it.adapter.refused(Message(**common, text="hi", addressed=Addressed.NAME), gone)
        assert ["Redis is away\nIt comes back by itself"] == [whisper["text"] for whisper in fake.whispers[1:]]


async def test_an_emotion_is_a_reaction(fake: Fake, house: House) -> None:
    """On what it answers, by the name that Slack has for it; where it has none, the emoji is said."""
    async with bot(fake, house) as it:
        asked = fake.say("DANN", "UANN", "hello")
        done, sending = it.sending("DANN", "")
        done = replace(done, act="react", emoji="❤", answers=(asked,))
        await it.adapter.draft("Aw", 1, sending)
        await it.adapter.final(done, sending)
        await it.adapter.final(done, sending)  # carried again
        assert (["hello"], {"heart": [BOT_USER]}) == (fake.shown("DANN"), fake.messages["DANN", asked]["reactions"])

        done, sending = it.sending("DANN", "", reply="r2")
        await it.adapter.final(replace(done, act="react", emoji="discord:123", answers=(asked,)), sending)
        fake.delete("DANN", asked)
        done, sending = it.sending("DANN", "", reply="r3")
        await it.adapter.final(replace(done, act="react", emoji="❤", answers=(asked,)), sending)
        assert ["discord:123"] == fake.shown("DANN")


async def test_a_feeling_stands_beside_what_is_said(fake: Fake, house: House) -> None:
    """What it does is a line of its own; an emoji that Slack has no name for is left out."""
    async with bot(fake, house) as it:
        asked = fake.say("DANN", "UANN", "hello")
        done, sending = it.sending("DANN", "Aw, matey.")
        await it.adapter.final(replace(done, emoji="❤", action="bows", answers=(asked,)), sending)
        await fake.wait(lambda: fake.messages["DANN", asked].get("reactions") == {"heart": [BOT_USER]})
        done, sending = it.sending("DANN", "Me too.", reply="r2")
        await it.adapter.final(replace(done, emoji="discord:123", answers=(asked,)), sending)
        assert ["hello", "Aw, matey.\n\n*bows*", "Me too."] == fake.shown("DANN")


async def test_silence_takes_its_first_words_back_and_a_failure_replaces_them(fake: Fake, house: House) -> None:
    """One that was stopped stays as it was."""
    async with bot(fake, house) as it:
        done, sending = it.sending("DANN", "")
        await it.adapter.draft("Well", 1, sending)
        await it.adapter.final(replace(done, act="silent"), sending)
        assert [] == fake.shown("DANN")

        for reply, cancelled in (("r2", False), ("r3", True)):
            done, sending = it.sending("DANN", "", reply=reply)
            await it.adapter.draft("I think", 1, sending)
            failed = Failed(job="j", reply_id=reply, conversation="c", place=done.place, reason="it has no voice",
                            cancelled=cancelled)  # fmt: skip
            await it.adapter.failed(failed, sending)
        assert ["There is no reply: it has no voice", "I think"] == fake.shown("DANN")


async def test_a_burst_keeps_its_order(fake: Fake) -> None:
    """Fifty at once, of people nobody has met; and closing tells what came before."""
    adapter = await Slack.sign_in(BOT_TOKEN, SOCKET, f"{fake.url}/api/")
    for number in range(50):
        fake.say("C1", fake.person(f"U{number}", f"name{number}"), f"line {number}")
    heard = []
    async for event in each(adapter):
        heard.append(event)
        if event.text == "line 25":
            adapter.close()
    await adapter.leave()
    assert [(f"line {number}", f"name{number}") for number in range(50)] == [(e.text, e.author.name) for e in heard]


async def test_what_is_not_taken_is_not_acknowledged(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that Slack brings it again, should we die; but for what takes long, which Slack would not wait for."""
    adapter = await Slack.sign_in(BOT_TOKEN, SOCKET, f"{fake.url}/api/")
    fake.say("C1", "UANN", "one")
    fake.say("C1", "UANN", "two")
    one, two = fake.envelopes.values()
    events = adapter.listen()
    heard = [await anext(events), await anext(events)]
    adapter.done(heard[1])
    await fake.wait(lambda: two.acked)
    assert not one.acked
    fake.drop()  # as if the process had died
    await fake.wait(lambda: one.attempt == 1)
    adapter.done(heard[0])
    await fake.wait(lambda: one.acked)
    assert two.attempt == 0

    monkeypatch.setattr("adapters.slack.doors.LATEST", 0.05)
    fake.say("C1", "UANN", "three")
    await anext(events)
    await fake.wait(lambda: all(envelope.acked for envelope in fake.envelopes.values()))
    adapter.close()
    assert [] == [event async for event in events]
    await adapter.leave()


async def test_what_there_is_no_room_for_is_left_to_slack(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An event comes again; whoever gives a command is told by Slack that nobody responds."""
    monkeypatch.setattr("adapters.reading.WAITING", 1)
    adapter = await Slack.sign_in(BOT_TOKEN, SOCKET, f"{fake.url}/api/")
    events = adapter.listen()
    first = asyncio.create_task(anext(events))
    await fake.wait(lambda: fake.sockets)
    fake.say("C1", "UANN", "one")
    heard = [await first]  # and now nobody asks for more
    fake.say("C1", "UANN", "two")
    fake.say("C1", "UANN", "three")
    fake._send("slash_commands", fake._command("C1", "UANN", "help", "/limen"))
    _, two, three, command = fake.envelopes.values()
    while adapter._reading._refused < 2:
        await asyncio.sleep(0.005)
    heard.append(await anext(events))
    for event in heard:
        adapter.done(event)
    await fake.wait(lambda: two.acked)
    assert [three.acked, command.acked] == [False, False]
    fake.again(three)
    heard.append(await anext(events))
    assert ["one", "two", "three"] == [event.text for event in heard]
    said = [row.message.partition(": ")[2] for row in caplog.records if row.levelname == "WARNING"]
    assert said == [
        "too many events wait to be heard, and what comes now is left to Slack",
        "events are heard again; 2 were not, and Slack brings them again",
    ]
    adapter.done(heard[-1])
    adapter.close()
    assert [] == [event async for event in events]
    await adapter.leave()


async def test_what_there_is_no_room_for_is_refused_over_http(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    """So that Slack does what it does over a socket: it calls again, or says that nobody responds."""
    monkeypatch.setattr("adapters.reading.WAITING", 0)
    listening = Listening(signing_secret=SECRET, port=unused_tcp_port)
    adapter = await Slack.sign_in(BOT_TOKEN, listening, f"{fake.url}/api/")
    events = asyncio.create_task(anext(adapter.listen(), None))
    await until(lambda: is_open(unused_tcp_port))
    url = f"http://127.0.0.1:{unused_tcp_port}/slack/events"
    event = {"type": "message", "channel": "C1", "user": "UANN", "text": "hello", "ts": "1.1", "event_ts": "1.1"}
    assert 503 == await fake.call(url, event)
    assert 503 == await fake.call_command(url, "C1", "UANN", "help")
    adapter.close()
    assert await events is None
    await adapter.leave()


async def test_one_app_in_two_workspaces_hears_each_for_itself(fake: Fake) -> None:
    """Slack tells an app's connections in turn, whichever workspace it is about: events, commands and buttons."""
    there = Us("T2", "UTWO")
    two = [Slack(us, BOT_TOKEN, SOCKET, f"{fake.url}/api/") for us in (Us(TEAM, BOT_USER, "BBOT"), there)]
    told: dict[str, list[str]] = {TEAM: [], "T2": []}

    def about(us: Us, at: str) -> dict:
        talk = {"type": "message", "channel": "C1", "user": "UANN", "text": "hi", "ts": at, "event_ts": at}
        whose = {"team_id": us.team, "authorizations": [{"team_id": us.team, "user_id": us.user}]}
        return {**fake._body(talk), **whose}

    async def listen(adapter: Slack) -> None:
        async for event in each(adapter):
            told[adapter.us.team].append(f"{type(event).__name__} {event.account}")

    tasks = [asyncio.create_task(listen(adapter)) for adapter in two]
    await fake.wait(lambda: len(fake.sockets) == 2)
    for us in (two[0].us, there):
        for _ in fake.sockets:
            fake.sockets.reverse()
            fake._send("events_api", about(us, fake.ts()))
            fake._send("slash_commands", fake._command("C1", "UANN", "help", "/limen") | {"team_id": us.team})
    await fake.wait(lambda: all(envelope.acked for envelope in fake.envelopes.values()))
    for adapter in two:
        adapter.close()
    await asyncio.gather(*tasks)
    for adapter in two:
        await adapter.leave()
    for adapter in two:
        assert sorted(told[adapter.us.team]) == [f"Command {adapter.account}"] * 2 + [f"Message {adapter.account}"] * 2


async def test_what_is_not_as_slack_documents_it_is_passed_over(fake: Fake) -> None:
    """And acknowledged: else it would come again, and end the bot again."""
    adapter = await Slack.sign_in(BOT_TOKEN, SOCKET, f"{fake.url}/api/")
    for broken in ({"actions": [5]}, {"actions": {"a": 1}}, {"actions": [{"value": 7}], "container": 5}):
        fake._send("interactive", {"type": "block_actions", "user": {"id": "UANN"}, **broken})
    fake._send("events_api", fake._body({"type": "message", "text": 5, "user": [], "channel": {}, "thread_ts": "1"}))
    fake.say("C1", "UANN", "after that")
    heard = []
    async for event in each(adapter):
        heard.append(event.text)
        adapter.close()
    await adapter.leave()
    assert heard == ["after that"]
    assert all(envelope.acked for envelope in fake.envelopes.values())


async def test_messages_that_we_take_back_ourselves_are_no_deletions(fake: Fake, house: House) -> None:
    """Else a reply that began anew would train nothing; one that a person deletes trains nothing indeed."""
    async with bot(fake, house) as it, worker(house):
        fake.edits_allowed = False  # so that the first words are taken back
        fake.say("C1", "UANN", f"{ME} hello")
        await it.reply()
        await it.delivered()
        fake.edits_allowed = True
        fake.say("DANN", "UANN", "hello")
        await it.reply("DANN")
        await it.delivered()
        entries = [entry async for entry in house.p.ledger.everything(await house.p.ledger.personas())]
        assert [False, False] == [entry.record.deleted for entry in entries]

        (reply,) = fake.replies("C1")
        fake.delete("C1", reply["ts"])

        async def retracted() -> bool:
            told = [entry async for entry in house.p.ledger.everything(await house.p.ledger.personas())]
            return [True] == [entry.record.deleted for entry in told if "C1" in entry.record.conversation]

        await until(retracted)


async def test_answers_find_their_way_when_slack_is_busy(fake: Fake, house: House) -> None:
    """Other events do not wait for them; an address that is no good is not the only one."""
    async with bot(fake, house) as it, worker(house):
        fake.limit("chat.postEphemeral", 1)
        fake.say("C1", "UANN", f"{ME} /history")
        fake.command("C1", "UANN", "persona")
        fake.envelopes[next(reversed(fake.envelopes))].payload["response_url"] = f"{fake.url}/gone"
        await fake.wait(lambda: len(fake.whispers) == 2)
        assert any("Mira" in whisper["text"] for whisper in fake.whispers)
        assert it.adapter


# Bad days.


async def test_a_dropped_socket_loses_nothing(fake: Fake, house: House) -> None:
    """What was said meanwhile is told on the next one; Slack may also ask for a new one itself."""
    async with bot(fake, house) as it, worker(house):
        fake.drop()
        await fake.wait(lambda: not fake.sockets)
        fake.say("C1", "UANN", f"{ME} while you were away")
        await it.reply()
        await fake.refresh()
        await fake.wait(lambda: len(fake.calls("apps.connections.open")) == 3 and fake.sockets)
        fake.say("C1", "UANN", f"{ME} and after")
        await it.reply(number=1)


async def test_too_many_requests_are_waited_out(fake: Fake, house: House) -> None:
    """Ten times in a row, for the first words and for the last edit."""
    fake.limit("chat.postMessage", 10)
    fake.limit("chat.update", 10)
    async with bot(fake, house) as it, worker(house, Echo(delay=0.005, words=10)):
        fake.say("C1", "UANN", f"{ME} hello")
        await it.reply(holds="-9")
        await it.delivered()
    assert 1 == len(fake.replies("C1"))


async def test_a_lost_answer_doubles_nothing(fake: Fake, house: House) -> None:
    """The message was posted, and nobody told us: we look before we say it again. So with a proxy's error page."""
    async with bot(fake, house) as it, worker(house):
        fake.lose("chat.postMessage")
        fake.fail("chat.update", "html")
        asked = fake.say("C1", "UANN", f"{ME} hello")
        await it.reply()
        await it.delivered()
        (reply,) = fake.replies("C1")
        fake.react("C1", reply["ts"], "UANN", "+1")
        assert await it.entry(lambda entry: entry.facts)
    assert asked == reply["thread_ts"]
    assert fake.calls("conversations.replies")


async def test_a_message_that_was_there_says_the_newest(fake: Fake, house: House) -> None:
    """Its first words were posted without our knowing, and next comes the whole reply."""
    async with bot(fake, house) as it:
        done, sending = it.sending("DANN", "Arr, matey!")
        fake.lose("chat.postMessage")
        await it.adapter.draft("Arr", 1, sending)
        assert (["Arr"], {}) == (fake.shown("DANN"), sending.ids)
        await it.adapter.final(done, sending)
        assert ["Arr, matey!"] == fake.shown("DANN")
        assert {0: (fake.replies("DANN")[0]["ts"],)} == sending.ids


async def test_a_process_that_dies_while_sending_doubles_nothing(fake: Fake, house: House) -> None:
    """Killed between sending and recording: the next one finds what is there."""
    async with worker(house):
        async with bot(fake, house) as it:
            began = asyncio.Event()

            async def dies(*_: object) -> None:
                began.set()
                await asyncio.Event().wait()

            sent, house.p.ledger.sent = house.p.ledger.sent, dies  # type: ignore[method-assign]
            fake.say("DANN", "UANN", "hello")
            await began.wait()
            assert it.life
            for task in [it.life, *it.adapter._work._tasks]:
                task.cancel()
            house.p.ledger.sent = sent  # type: ignore[method-assign]
        assert 1 == len(fake.replies("DANN"))
        async with bot(fake, house) as it:
            await it.delivered()
            (reply,) = fake.replies("DANN")
            assert "You said: hello" in reply["text"]
            fake.react("DANN", reply["ts"], "UANN", "+1")
            assert await it.entry(lambda entry: entry.facts)


async def test_a_carrier_that_is_told_to_stop_while_slack_is_busy_stops_at_once(fake: Fake, house: House) -> None:
    """It would say the reply only after the next carrier has: that one says it, once."""
    async with bot(fake, house) as it:
        fake.limit("chat.postMessage", 1, after=3600)
        done, sending = it.sending("DANN", "Arr!")
        carrier = asyncio.create_task(it.adapter.final(done, sending))
        async with asyncio.timeout(15):
            while not it.adapter._web.pace.barred(time.monotonic()):
                await asyncio.sleep(0.005)
        carrier.cancel()
        async with asyncio.timeout(2):
            await asyncio.wait([carrier])
        assert carrier.cancelled()
        assert not it.adapter._work._tasks
        _, sending = it.sending("DANN", "Arr!")
        await it.adapter.final(done, sending)
    assert ["Arr!"] == fake.shown("DANN")
    assert 2 == len(fake.calls("chat.postMessage"))


async def test_a_carrier_that_lost_its_lease_while_redis_was_away_says_nothing_more(fake: Fake, house: House) -> None:
    """It had only marked what it was about to say."""
    async with bot(fake, house) as it:
        done, sending = it.sending("DANN", "Arr!")
        asked, back, begin = asyncio.Event(), asyncio.Event(), sending.begin

        async def away(part: int) -> str:
            asked.set()
            await back.wait()
            return await begin(part)

        sending.begin = away  # type: ignore[method-assign]
        carrier = asyncio.create_task(it.adapter.final(done, sending))
        await asked.wait()
        carrier.cancel()
        asyncio.get_running_loop().call_soon(back.set)
        await asyncio.wait([carrier])
        assert (True, []) == (carrier.cancelled(), fake.calls("chat.postMessage"))


async def test_what_is_being_sent_when_it_is_stopped_is_finished(fake: Fake, house: House) -> None:
    """A clean end: the message goes out, and is recorded."""
    async with worker(house):
        async with bot(fake, house) as it:
            gate = fake.hold("chat.postMessage")
            fake.say("DANN", "UANN", "hello")
            await fake.wait(lambda: fake.calls("chat.postMessage"))
            it.adapter.close()
            asyncio.get_running_loop().call_later(0.05, gate.set)
        async with bot(fake, house) as it:
            await it.delivered()
    assert 1 == len(fake.calls("chat.postMessage")) == len(fake.replies("DANN"))


async def test_a_channel_that_is_gone_or_closed_breaks_nothing(fake: Fake, house: House, caplog) -> None:
    """In the middle of a reply: it is said once in the log, and the next conversation goes on."""
    fake.channel("C2", "UANN")
    fake.channel("C3", "UANN")
    async with bot(fake, house) as it, worker(house):
        fake.fail("chat.postMessage", *["is_archived"] * 40)
        fake.say("C2", "UANN", f"{ME} hello")
        await fake.wait(lambda: fake.calls("chat.postMessage"))
        await it.delivered()
        fake._fails.clear()
        gone = fake.say("C3", "UANN", f"{ME} hello")
        del fake.channels["C3"]
        assert gone
        fake.say("C1", "UANN", f"{ME} hello")
        await it.reply()
        await it.delivered()
    told = [record.message for record in caplog.records if "could not be shown" in record.message]
    assert ["C2", "C3"] == [one.split(" in ")[1].split(":")[0] for one in told]


async def test_where_edits_are_forbidden_a_reply_comes_whole(fake: Fake, house: House) -> None:
    """The workspace says so with the first edit; the fragment is taken back."""
    fake.edits_allowed = False
    async with bot(fake, house) as it, worker(house, Echo(delay=0.01, words=10)):
        for number in range(2):
            fake.say("DANN", "UANN", f"hello {number}")
            await it.reply("DANN", number, "-9")
        await it.delivered()
        assert ["hello 0", "hello 1"] == [text for text in fake.shown("DANN") if text.startswith("hello")]
    assert 2 == len(fake.replies("DANN"))


async def test_a_message_whose_looks_are_refused_goes_out_plain(fake: Fake, house: House) -> None:
    """With every word."""
    async with bot(fake, house) as it, worker(house):
        fake.fail("chat.postMessage", "invalid_blocks")
        fake.say("DANN", "UANN", "hello")
        await it.reply("DANN")
        assert "section" == fake.calls("chat.postMessage")[1]["blocks"][0]["type"]


async def test_a_reaction_without_an_author_counts(fake: Fake, house: House) -> None:
    """Slack often leaves `item_user` out; one on a stranger's message counts for nothing."""
    fake.quiet_about_authors = True
    async with bot(fake, house) as it, worker(house):
        asked = fake.say("C1", "UANN", f"{ME} hello")
        reply = await it.reply()
        await it.delivered()
        fake.react("C1", asked, "UBOB", "-1")
        fake.react("C1", reply["ts"], "UBOB", "tada")
        entry = await it.entry(lambda entry: entry.facts)
        assert ["🎉"] == [fact.emoji for fact in entry.facts]


async def test_over_http_only_slack_itself_is_heard(fake: Fake, house: House, unused_tcp_port: int) -> None:
    """By its signature, and its clock."""
    listening = Listening(signing_secret=SECRET, port=unused_tcp_port)
    url = f"http://127.0.0.1:{unused_tcp_port}/slack/events"
    async with bot(fake, house, listening) as it, worker(house):
        event = {"type": "message", "channel": "DANN", "channel_type": "im", "user": "UANN", "text": "hello"}
        event["ts"] = event["event_ts"] = fake.ts()
        await until(lambda: is_open(unused_tcp_port))
        assert 401 == await fake.call(url, event, secret="wrong")
        assert 401 == await fake.call(url, event, age=600)
        assert 200 == await fake.call(url, event)
        await it.reply("DANN")
        assert "3eZbrw1a" in await fake.verify(url)
        assert 200 == await fake.call_command(url, "C1", "UANN", "persona")
        await fake.wait(lambda: fake.whispers)


async def is_open(port: int) -> bool:
    """Does somebody listen there?"""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def test_a_button_is_heard_over_http_too(fake: Fake, house: House, unused_tcp_port: int) -> None:
    """As a form, and signed; the answer takes the place of the question."""
    listening = Listening(signing_secret=SECRET, port=unused_tcp_port)
    url = f"http://127.0.0.1:{unused_tcp_port}/slack/events"
    async with bot(fake, house, listening):
        async with asyncio.timeout(10):
            while True:
                with suppress(OSError):
                    assert 200 == await fake.call_command(url, "DANN", "UANN", "privacy")
                    break
                await asyncio.sleep(0.01)
        (asked,) = await fake.wait(lambda: fake.whispers)
        (yes,) = [button for label, button in fake.buttons(asked) if label.startswith("Yes")]
        assert 401 == await fake.call_button(url, "DANN", "UANN", asked, yes, secret="guessed")
        assert 200 == await fake.call_button(url, "DANN", "UANN", asked, yes)
        await fake.wait(lambda: "Noted" in asked["text"])
        assert [] == fake.buttons(asked)
    assert "asked" == await house.p.privacy.basis(f"slack:{TEAM}:UANN")


async def test_a_token_that_is_revoked_ends_the_bot_and_loses_nothing(fake: Fake, house: House) -> None:
    """It says so, and what is not said yet waits for a better one."""
    async with worker(house):
        ended = None
        with suppress(ConfigError):
            async with bot(fake, house) as it:
                fake.fail("chat.postMessage", *["token_revoked"] * 20)
                fake.say("DANN", "UANN", "hello")
                assert it.life
                await asyncio.wait([it.life], timeout=15)
                ended = it.life.exception()
        assert isinstance(ended, ConfigError)
        assert "token_revoked" in str(ended)
        fake._fails.clear()
        async with bot(fake, house) as it:
            await it.reply("DANN")


async def test_a_day_on_which_everything_goes_wrong_loses_nothing(fake: Fake, house: House) -> None:
    """Thirty talks, while sockets break, answers are lost, and Slack has had enough: each is answered, and once."""
    talks = [fake.dm(fake.person(f"U{number}", f"n{number}")) for number in range(30)]
    async with bot(fake, house), worker(house):
        fake.limit("chat.postMessage", 5)
        fake.limit("chat.update", 5)
        fake.lose("chat.postMessage", 2)
        fake.fail("chat.update", "html", "internal_error")
        for number, talk in enumerate(talks):
            fake.say(talk, f"U{number}", f"hello {number}")
            if number in (5, 15):
                fake.drop()
            if number == 25:
                await fake.refresh()
            await asyncio.sleep(0)
        await fake.wait(lambda: all(len(fake.shown(talk)) > 1 for talk in talks))
        expected = [f"I heard 1 lines. You said: hello {number}" for number in range(30)]
        await fake.wait(lambda: expected == [fake.shown(talk)[-1] for talk in talks])
    assert [2] * 30 == [len(fake.shown(talk)) for talk in talks]


async def test_the_environment_is_not_read_behind_our_back(fake: Fake, monkeypatch, caplog) -> None:
    """bolt would make a server for OAuth of it; and without any way to hear, nothing begins."""
    for name in ("SLACK_BOT_TOKEN", "SLACK_CLIENT_ID", "SLACK_CLIENT_SECRET", "SLACK_SIGNING_SECRET"):
        monkeypatch.setenv(name, "x")
    adapter = await Slack.sign_in(BOT_TOKEN, SOCKET, f"{fake.url}/api/")
    adapter.close()
    assert [] == [event async for event in adapter.listen()]
    await adapter.leave()
    assert [] == [record.message for record in caplog.records if record.levelname == "WARNING"]
    adapter = await Slack.sign_in(BOT_TOKEN, Listening(), f"{fake.url}/api/")
    with pytest.raises(ConfigError, match="neither an app-level token nor a signing secret"):
        await anext(adapter.listen())
    await adapter.leave()


async def test_a_bad_token_is_named(fake: Fake) -> None:
    """With what to do about it, for either of them."""
    with pytest.raises(ConfigError, match="invalid_auth") as said:
        await Slack.sign_in("xoxb-wrong", Listening(app_token=APP_TOKEN), f"{fake.url}/api/")
    assert "OAuth & Permissions" in said.value.hint
    adapter = await Slack.sign_in(BOT_TOKEN, Listening(app_token=BOT_TOKEN), f"{fake.url}/api/")
    with pytest.raises(ConfigError, match="not_allowed_token_type"):
        await anext(adapter.listen())
    await adapter.leave()
