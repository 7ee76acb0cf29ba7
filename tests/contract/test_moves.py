"""A room with another id: everything is there, nothing of the old is left, whatever comes between."""

import re
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import product
from typing import Any

import pytest

from core.errors import StoreUnreachable
from core.events import Line, Message, Person, PersonaKey, Place
from core.feedback import Fact
from core.growth.changes import Born, Dial, Talked
from core.jobs import Generate, Lane
from core.memory import Kind as MemoryKind
from core.memory import Memory, turn_id
from core.moving.room import STAYS, Moving
from core.nights import Night, Outcome
from core.store import keys
from core.store.client import Client, Value
from core.store.conversations import Conversations, compacted, heard, said, spoken
from core.store.ledger import Ledger, Record, Told, message_key
from core.store.loras import Loras, Made, family
from core.store.memories import Memories, noted
from core.store.nights import Nights
from core.store.personalities import Personalities, appended
from core.store.personas import Personas
from core.store.queue import Limits, Offer, Queue

ACCOUNT = "telegram:7"
OLD, NEW = Place("telegram", "-424242", "-424242"), Place("telegram", "-100777", "-100777")
ANN, BOB = Person("telegram:1", "Ann"), Person("telegram:2", "Bob")
WAS = PersonaKey(ACCOUNT, "mira", "telegram:-424242:channel:-424242")
NOW = PersonaKey(ACCOUNT, "mira", "telegram:-100777:channel:-100777")
TALK, TALK_NOW = WAS.conversation(OLD), NOW.conversation(NEW)
VERSIONS = [f"{family(WAS)}/20260101-{n}" for n in (1, 2, 3)]


class Frail(Client):
    """A connection that breaks at the n-th command, before or after it is carried out."""

    def __init__(self, url: str, at: int = -1, after: bool = False) -> None:
        super().__init__(url)
        self.at, self.after, self.said = at, after, 0

    async def _say(self, what: Callable[[], Awaitable[Any]]) -> Any:
        self.said += 1
        if self.said == self.at and not self.after:
            raise StoreUnreachable("the line was cut", "")
        answer = await what()
        if self.said == self.at:
            raise StoreUnreachable("the line was cut", "")
        return answer

    async def do(self, *command: Value) -> Any:
        return await self._say(partial(super().do, *command))

    async def do_all(self, commands: Any, atomic: bool = True) -> list[Any]:
        answers: list[Any] = await self._say(partial(super().do_all, commands, atomic))
        return answers

    async def script(self, source: str, keys: Any, args: Any) -> Any:
        return await self._say(partial(super().script, source, keys, args))


class Watched(Frail):
    """A connection that never breaks, and knows which of its commands changed anything."""

    def __init__(self, url: str, client: Client) -> None:
        super().__init__(url)
        self.client, self.changes, self.was = client, list[int](), dict[str, Any]()

    async def _say(self, what: Callable[[], Awaitable[Any]]) -> Any:
        before = self.was or await everything(self.client)
        answer = await super()._say(what)
        self.was = await everything(self.client)
        self.changes += [self.said] if before != self.was else []
        return answer


class Slow(Client):
    """A connection on which, once each, something else happens just before a script with such words is run."""

    def __init__(self, url: str, meanwhile: dict[Value, Callable[[], Awaitable[object]]]) -> None:
        super().__init__(url)
        self.meanwhile = meanwhile

    async def script(self, source: str, keys: Any, args: Any) -> Any:
        for word in [word for word in self.meanwhile if word in args]:
            await self.meanwhile.pop(word)()
        return await super().script(source, keys, args)


def job(name: str, persona: PersonaKey = WAS, place: Place = OLD, events: tuple[str, ...] = ("12",)) -> Generate:
    return Generate(
        id=name, reply_id=f"r-{name}", persona=persona, conversation=persona.conversation(place), place=place,
        author=ANN, replies=ACCOUNT, card_hash="c", events=events, submitted=1.0,
    )  # fmt: skip


def message(number: str, text: str, who: Person = ANN, place: Place = OLD) -> Message:
    return Message(id=number, account=ACCOUNT, place=place, author=who, time=float(number), text=text)


async def hear(queue: Queue, persona: PersonaKey, *said: Message) -> None:
    await queue.accept([Offer(line=heard(persona, one.place, one, one.text)) for one in said])


async def live(client: Client, running: bool = True) -> None:
    """A life: a talk with a summary, a rated reply, weights, a night, and jobs of every sort."""
    queue, ledger, loras, nights = Queue(client, Limits(attempts=1)), Ledger(client), Loras(client), Nights(client)
    await Personas(client).choose(ACCOUNT, WAS.scope, "mira")
    await hear(queue, WAS, message("10", "hello"), message("11", "again", BOB))
    ours = Line("r1", Person(ACCOUNT, "Mira", True), "Arr", 10.5, True, "r1", ("10",))
    record = Record(
        id="r1", persona=WAS, conversation=TALK, place=OLD, author=ANN, answers=("10",), time=1e9, text="Arr",
        sections=(), roles=(), people=(ANN.id,),
    )  # fmt: skip
    effects = [*said(TALK, ours, 1.0), *compacted(TALK, 1.5, "They met.", [ANN.id]), *spoken(TALK, 3, 10.5)]
    await client.do_all([*effects, *ledger.record(record, [Told("user", "hello")])])
    await ledger.sent("r1", 0, [message_key(ACCOUNT, OLD, "99")])
    await ledger.whole("r1")
    await ledger.react("s1", message_key(ACCOUNT, OLD, "99"), Fact("f1", BOB.id, "👍", 11.0))
    await loras.made(VERSIONS[0], Made(str(WAS), "base"), [ANN.id])
    for version in VERSIONS[:2]:
        await loras.promote(WAS, version, "night")
    await loras.canary(WAS, VERSIONS[2], 0.5)
    await nights.keep(
        Night(id=f"{family(WAS)}/20260101-a", persona=WAS, title="Mira", day="20260101", began=1.8e9, ended=1.8e9 + 1,
              outcome=Outcome.PROMOTED)
    )  # fmt: skip
    await nights.leave([WAS])
    heard_it = Talked(id="10", time=10.0, person=ANN.id, causes=("10",), where=TALK, name="Ann", known=1.0)
    born = Born(id="card:c", time=9.0, card="c", dials={"warmth": Dial(0.5, 0.0, 1.0)})
    grown = [[*effect] for effect in appended(WAS, [born, heard_it])]
    for number, effect in enumerate(grown):
        effect[2:3] = [f"{number + 1}-1"] if effect[0] == "XADD" else effect[2:3]
    await client.do_all(tuple(effect) for effect in grown)
    await client.do("ZADD", keys.SPOKEN(f"{ACCOUNT}|telegram:-424242:-424242"), 5, "j0")
    await hear(queue, WAS, message("12", "and you?"))
    await queue.submit(job("dead"))
    ((claim,), _) = await queue.claim("w1", 1)
    assert await queue.fail(claim, "no voice", final=True) == "dead"
    await client.do("DEL", keys.REPLIES(ACCOUNT))
    await queue.accept([Offer(job=job(name)) for name in ("first", "second")])
    if running:
        await queue.claim("w1", 1)


async def everything(client: Client) -> dict[str, Any]:
    """All of Redis that does not only tell the time."""
    reads = {"string": ("GET",), "hash": ("HGETALL",), "set": ("SMEMBERS",), "list": ("LRANGE", 0, -1),
             "zset": ("ZRANGE", 0, -1, "WITHSCORES"), "stream": ("XRANGE", "-", "+")}  # fmt: skip
    names = await client.scan("*")
    kinds = [kind.decode() for kind in await client.do_all([("TYPE", name) for name in names])]
    commands = [(reads[kind][0], name, *reads[kind][1:]) for name, kind in zip(names, kinds, strict=True)]
    bodies = await client.do_all(commands)
    return {
        name: sorted(body) if kind == "set" else body for name, kind, body in zip(names, kinds, bodies, strict=True)
    }


PASSING = (
    "limen:q:job:",
    "limen:q:ready",
    "limen:q:tick",
    "limen:q:bell",
    "limen:q:dead",
    "limen:lora:",
    "limen:q:fence",
    "limen:rated-of:",
)


def lasting(found: dict[str, Any]) -> dict[str, Any]:
    """What is the same however often something was tried."""
    return {name: body for name, body in found.items() if not name.startswith(PASSING)}


def stays(name: str) -> bool:
    patterns = [keys.every()[key].pattern.partition("{}") for key in STAYS]
    return any(name.startswith(before) and name.endswith(behind) for before, _, behind in patterns)


async def test_nothing_of_the_old_room_is_left(client: Client) -> None:
    """Neither in a name nor in what is kept under it, except where it is said why."""
    await live(client)
    whole = await Moving(client).move(ACCOUNT, OLD, NEW)

    assert whole
    found = {name: body for name, body in (await everything(client)).items() if not stays(name)}
    assert len(found) > 20
    own = re.compile(r"-424242\.\d+")  # a message of the old room, by its name in the talk of the new one
    assert [] == [name for name, body in found.items() if "424242" in own.sub("", f"{name} {body!r}")]


async def test_the_persona_goes_on(client: Client) -> None:
    """Its card, talk, summary, reply with its rating, weights with their past, nights, and what is owed."""
    await live(client)
    await Moving(client).move(ACCOUNT, OLD, NEW)

    assert ["mira", ""] == await Personas(client).chosen(ACCOUNT, [NOW.scope, WAS.scope])
    assert [["mira"], []] == [await Personas(client).played(ACCOUNT, scope) for scope in (NOW.scope, WAS.scope)]
    talk = await Conversations(client).talk(TALK_NOW)
    assert ["Arr", "again", "and you?"] == [line.text for line in talk.lines]
    assert ("They met.", (ANN.id,), 3, 10.5) == (talk.summary, talk.people, talk.session, talk.spoke)
    hello, arr = (await Conversations(client).last(TALK_NOW, 10))[:2]
    assert ("hello", "Arr", (hello.id,), "-424242.10") == (hello.text, arr.text, arr.answers, hello.id)
    for person in (ANN, BOB):
        assert [TALK_NOW] == await Conversations(client).of_person(person.id, NOW)
    ledger = Ledger(client)
    assert (["r1"], []) == (await ledger.replies(NOW, since=1e9), await ledger.replies(WAS))
    entry = await ledger.get("r1")
    assert entry
    assert (NOW, TALK_NOW, NEW) == (entry.record.persona, entry.record.conversation, entry.record.place)
    assert ((hello.id,), ["👍"]) == (entry.record.answers, [fact.emoji for fact in entry.facts])
    assert 1 == (await ledger.fresh())[NOW]
    assert [NOW] == await ledger.personas()
    serving = await Loras(client).serving(NOW)
    assert (VERSIONS[1], VERSIONS[2], (VERSIONS[0],)) == (serving.live, serving.canary, serving.before)
    assert [VERSIONS[0]] == await Loras(client).of_person(ANN.id, NOW)
    assert {str(NOW)} == {(await _origin(client, version)).persona for version in VERSIONS}
    assert [NOW] == [night.persona for night in await Nights(client).of(NOW)]
    assert [NOW] == await Nights(client).left()
    selves = Personalities(client)
    talked = [entry.change for entry in await selves.history(NOW) if isinstance(entry.change, Talked)]
    assert [(hello.id,)] == [change.causes for change in talked]
    assert [TALK_NOW] == [change.where for change in talked]
    assert ([NOW], 1.0) == (await selves.about(ANN.id), (await selves.read(NOW)).state.people[ANN.id].known)
    assert (("r1",), ()) == ((await selves.read(NOW)).felt, (await selves.read(WAS)).felt)


async def _origin(client: Client, version: str) -> Made:
    origin = await Loras(client).origin(version)
    assert origin
    return origin


async def test_jobs_end_well(client: Client) -> None:
    """The one that runs begins anew, first in line and at no cost; dead letters go with it."""
    await live(client, running=False)
    queue = Queue(client, Limits(attempts=1))
    ((before,), _) = await queue.claim("w1", 1)
    await Moving(client).move(ACCOUNT, OLD, NEW)

    assert ["stale"] == await queue.beat([before])
    ((again,), _) = await queue.claim("w1", 4)
    assert ("first", 1, NOW, TALK_NOW, NEW) == (
        again.job.id, again.attempt, again.job.persona, again.job.conversation, again.job.place
    )  # fmt: skip
    lines = {line.id: line.text for line in (await Conversations(client).talk(TALK_NOW)).lines}
    assert ["and you?"] == [lines[event] for event in again.job.events]
    assert await queue.release([again]) == 1
    assert ["first", "second"] == await queue.jobs(TALK_NOW)
    assert [] == await queue.jobs(TALK)
    await queue.requeue(["dead"])
    assert ["first", "second", "dead"] == await queue.jobs(TALK_NOW)
    assert 3 == (await queue.depths()).live
    order = []
    for _ in range(3):
        ((claim,), _) = await queue.claim("w1", 4)
        order.append(claim.job.id)
        await queue.drop(claim.job.id, running=True)
    assert ["first", "second", "dead"] == order
    assert (0, 0, 0) == (
        (await queue.depths()).live,
        (await queue.depths()).conversations,
        (await queue.depths()).leased,
    )
    assert Lane.LIVE == again.job.lane


async def test_what_came_into_the_new_room_meanwhile_is_kept(client: Client) -> None:
    """Behind what is older; what was decided there holds, and a message of the same number is another one."""
    await live(client)
    queue, loras = Queue(client), Loras(client)
    await hear(queue, NOW, message("12", "we moved", BOB, NEW))
    await queue.submit(job("later", NOW, NEW, ("12",)))
    await loras.promote(NOW, "mira-ffffffff/20260102-1", "command")
    born = Born(id="card:c", time=20.0, card="c", dials={"warmth": Dial(0.5, 0.0, 1.0)})
    heard_it = Talked(id="12", time=21.0, person=ANN.id, known=1.0, pushes={"warmth": 0.1})
    await Personalities(client).append(NOW, [born, heard_it])
    await Moving(client).move(ACCOUNT, OLD, NEW)

    talk = await Conversations(client).talk(TALK_NOW)
    assert ["Arr", "again", "and you?", "we moved"] == [line.text for line in talk.lines]
    assert ["first", "second", "later"] == await queue.jobs(TALK_NOW)
    serving = await loras.serving(NOW)
    assert ("mira-ffffffff/20260102-1", (VERSIONS[1], VERSIONS[0])) == (serving.live, serving.before)
    assert serving.history[0].version == serving.live
    assert 3 == len(serving.history)
    grown = await Personalities(client).read(NOW)
    assert (4, 0, pytest.approx(0.6)) == (grown.state.events, grown.lost, grown.state.traits["warmth"])
    assert pytest.approx(2.0) == grown.state.people[ANN.id].known


async def test_a_taste_finds_what_was_rated(client: Client) -> None:
    """Under its new name, and nothing under the old one."""
    await live(client)
    old, new = (PersonaKey(ACCOUNT, "mira", f"telegram:{room.workspace}:channel:{room.channel}") for room in (OLD, NEW))
    before = await Ledger(client).rated(old, 9)
    assert before
    await Moving(client).move(ACCOUNT, OLD, NEW)

    assert ({}, before) == (await Ledger(client).rated(old, 9), await Ledger(client).rated(new, 9))


async def test_told_twice_is_told_once(client: Client) -> None:
    """Telegram says it in the old room, and in the new one."""
    await live(client)
    await Moving(client).move(ACCOUNT, OLD, NEW)
    once = await everything(client)
    await Moving(client).move(ACCOUNT, OLD, NEW)

    assert once == await everything(client)


async def test_a_crash_anywhere_in_it_is_gone_on_from(client: Client, redis_url: str) -> None:
    """By whoever starts next, or is told again. What only reads leaves all as the command before it did."""
    await live(client)
    watched = Watched(redis_url, client)
    await Moving(watched).move(ACCOUNT, OLD, NEW)
    expected = lasting(watched.was)
    await watched.close()

    assert 20 < len(watched.changes) < watched.said
    for at, after in product(watched.changes, (False, True)):
        await client.do("FLUSHALL")
        await live(client)
        frail = Frail(redis_url, at, after)
        with pytest.raises(StoreUnreachable):
            await Moving(frail).move(ACCOUNT, OLD, NEW)
        await frail.close()
        await _no_leases(client)
        if (at, after) == (1, False):
            assert await Moving(client).move(ACCOUNT, OLD, NEW)
        assert await Moving(client).go_on(ACCOUNT)
        assert expected == lasting(await everything(client)), (at, after)


async def _no_leases(client: Client) -> None:
    """A minute later."""
    for name in await client.scan(keys.NIGHT_LEASE("*")):
        await client.do("DEL", name)


async def test_a_night_is_waited_for(client: Client) -> None:
    """What was said goes on at once; what is learned from, when the night is over."""
    await live(client)
    night = await Nights(client).lease(str(WAS), "w1")
    assert night
    assert not await Moving(client).move(ACCOUNT, OLD, NEW)
    assert not await Moving(client).go_on(ACCOUNT)
    assert ["r1"] == await Ledger(client).replies(WAS)
    assert ["mira"] == await Personas(client).chosen(ACCOUNT, [NOW.scope])
    await night.end()

    assert await Moving(client).go_on(ACCOUNT)
    assert ["r1"] == await Ledger(client).replies(NOW)
    assert {} == await client.do("HGETALL", keys.MOVING(ACCOUNT))


async def test_what_happens_in_the_middle_of_it_is_not_lost(client: Client, redis_url: str) -> None:
    """A word that is said, and a reply that is deleted, just when they are about to be moved."""
    await live(client)
    queue, ledger = Queue(client), Ledger(client)

    async def deleted() -> None:
        await ledger.retract(await ledger.entries(["r1"]))

    async def word() -> None:
        await hear(queue, WAS, message("13", "wait"))

    slow = Slow(redis_url, {"move": word, "KEEPTTL": deleted})
    assert await Moving(slow).move(ACCOUNT, OLD, NEW)
    await slow.close()

    assert {} == slow.meanwhile
    assert "wait" == (await Conversations(client).talk(TALK_NOW)).lines[-1].text
    entry = await ledger.get("r1")
    assert entry
    assert (True, NOW) == (entry.record.deleted, entry.record.persona)


async def test_a_fault_is_tried_again(client: Client) -> None:
    """A record that cannot be read, say: nobody else's talk ends by it, and it goes on once that is mended."""
    await live(client)
    whole = await client.do("GET", keys.REPLY("r1"))
    await client.do("SET", keys.REPLY("r1"), b"\xc1", "KEEPTTL")
    moving = Moving(client)
    await moving.begin(ACCOUNT, OLD, NEW)
    await moving.tried(ACCOUNT)
    assert ["r1"] == await Ledger(client).replies(WAS)
    await client.do("SET", keys.REPLY("r1"), whole, "KEEPTTL")

    await moving.tried(ACCOUNT)
    assert ["r1"] == await Ledger(client).replies(NOW)
    assert {} == await client.do("HGETALL", keys.MOVING(ACCOUNT))


async def test_what_is_remembered_is_remembered_in_the_new_room(client: Client) -> None:
    """With vectors, what answers what, and which fact holds; edits and deletions in the new room still find it."""
    memories, queue = Memories(client), Queue(client)
    await hear(queue, WAS, message("10", "I keep bees"), message("11", "I keep goats", BOB))
    ours = Line("r1", Person(ACCOUNT, "Mira", True), "Bees!", 10.5, True, "r1", ("10",))
    await client.do_all([*said(TALK, ours, 1.0), *noted(WAS, TALK, "r1")])
    await memories.take_in(WAS)
    facts = [
        Memory(
            id=f"f{n}", text=text, time=float(n), author=ANN, kind=MemoryKind.FACT, slot="home",
            sources=(turn_id(TALK, "10"),),
        )
        for n, text in ((1, "Ann lives in Lyon"), (2, "Ann lives in Rome"))
    ]  # fmt: skip
    await memories.add(WAS, facts)
    numbers = {change.id: change.seq for change in await memories.since(WAS)}
    await memories.keep_vectors(WAS, {(name, seq): name.encode() for name, seq in numbers.items()})
    await hear(queue, WAS, message("12", "not taken in yet"))
    await Moving(client, queue).move(ACCOUNT, OLD, NEW)
    await memories.take_in(NOW)
    found = {change.memory.text: change for change in await memories.since(NOW)}
    bees, there = found["I keep bees"], "-424242.10"

    assert (turn_id(TALK_NOW, there), turn_id(TALK, "10").encode()) == (bees.id, bees.vector)
    assert {
        "I keep bees",
        "I keep goats",
        "Bees!",
        "Ann lives in Lyon",
        "Ann lives in Rome",
        "not taken in yet",
    } == set(found)
    assert (bees.id,) == found["Bees!"].memory.sources == found["Ann lives in Rome"].memory.sources
    assert ("f2", "") == tuple(found[f"Ann lives in {town}"].memory.superseded_by for town in ("Lyon", "Rome"))
    assert ([], [NOW]) == (await memories.every(WAS), await memories.of_person(BOB.id))
    assert await memories.edit(NOW, TALK_NOW, there, "I keep wasps")
    assert await memories.unsay(NOW, TALK_NOW, "-424242.11")
    assert [] == [
        name for name in await client.scan("limen:memories*") if "-424242|" in name or name.endswith("-424242")
    ]
