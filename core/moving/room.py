"""A room gets another id from its platform (a Telegram group that becomes a supergroup): its personas go on in it.

Everything that bears the old id becomes the new one's, piece by piece; each piece is moved as a whole or not at all,
and where all of it is moved is noted, so that whoever is told again goes on behind a crash. What has happened under
the new id meanwhile stays, behind what is older. Message ids count anew in the new room: those of the old one bear
its id from then on, wherever talk names them.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from core.errors import LimenError
from core.events import Line, PersonaKey, Place, quote, unquote
from core.jobs import BASE, Generate
from core.moving.memory import carry, remembering
from core.moving.personality import become
from core.nights import Night
from core.store import keys
from core.store.client import Client, Effect
from core.store.conversations import Conversations
from core.store.ledger import Record
from core.store.loras import FORGOTTEN, Loras, Made, Past, Serving, family
from core.store.nights import Nights
from core.store.queue import Queue, View
from core.store.swap import swap

log = logging.getLogger("limen.moving")

AGAIN = 30.0  # seconds between two looks for what could not be moved yet
BATCH = 100  # replies or nights that are moved at once

# What keeps the old id, and why. `tests/unit/core/moving/test_room.py` knows no third way.
STAYS = {
    "SEEN": "what Telegram tells again bears the id that it had; gone within a day",
    "MESSAGE": "a message is still the old room's, where its id means it alone: reactions to it that come late say so",
    "SENT": "names those messages; goes with its reply",
    "PARKED": "waits for such a message",
    "PARKED_BY": "names what waits",
    "REPLIES": "on its way: the adapter knows where the room is now",
    "HINTED": "the new room may read it once more; gone within hours",
    "MEMORY_BIN": "to undo what was forgotten a moment ago; gone within a day",
    "NIGHT_GONE": "hashes, for nights that are going on: a persona has none while it is moved",
    "NIGHT_LEASE": "held while a persona is moved, and ended then",
}

_encode = msgspec.msgpack.Encoder().encode


class Route(msgspec.Struct, frozen=True):
    """From where to where, for one bot account."""

    account: str
    old: Place
    new: Place

    def place(self, place: Place) -> Place:
        """Where a place is from now on; threads keep their own id."""
        if not _holds(self.old, place):
            return place
        return msgspec.structs.replace(place, workspace=self.new.workspace, channel=self.new.channel)

    def scope(self, scope: str) -> str:
        """The same of a scope. All of a workspace moves that the room is."""
        platform, workspace, kind, one = scope.split(":")
        if [platform, workspace] != [quote(self.old.platform), quote(self.old.workspace)]:
            return scope
        there = quote(self.new.workspace)
        was, now = quote(self.old.channel), quote(self.new.channel)
        if kind == "channel":
            return f"{platform}:{there}:channel:{now}" if one == was else scope
        if kind == "thread":
            channel, _, thread = one.partition(".")
            return f"{platform}:{there}:thread:{now}.{thread}" if channel == was.replace(".", "%2E") else scope
        if self.old.workspace == self.new.workspace:  # a room of many
            return scope
        return f"{platform}:{there}:{kind}:{there if kind == 'server' else one}"

    def persona(self, persona: PersonaKey) -> PersonaKey:
        """Who a persona is from now on."""
        if persona.account != self.account or persona.scope.count(":") != 3:
            return persona
        return msgspec.structs.replace(persona, scope=self.scope(persona.scope))

    def talk(self, conversation: str) -> str:
        """What a conversation is called from now on."""
        account, _, rest = conversation.partition("|")
        card, _, where = rest.partition("|")
        parts = [unquote(part) for part in where.split(":")]
        if account != self.account or parts[:3] != [self.old.platform, self.old.workspace, self.old.channel]:
            return conversation
        platform, workspace, channel, *thread = parts
        return f"{account}|{card}|{self.place(Place(platform, workspace, channel, ''.join(thread)))}"

    def message(self, message: str) -> str:
        """A message of the old room, as talk in the new one names it."""
        return f"{self.old.channel}.{message}"

    def answers(self, messages: Sequence[str]) -> tuple[str, ...]:
        """Several of them."""
        return tuple(self.message(message) for message in messages)

    def job(self, job: Generate) -> Generate:
        """A job, with what it points at."""
        return msgspec.structs.replace(
            job, persona=self.persona(job.persona), conversation=self.talk(job.conversation),
            place=self.place(job.place), events=self.answers(job.events),
        )  # fmt: skip

    def line(self, line: Line) -> Line:
        """A line of talk. Ours are known by the ids of replies, which are the same everywhere."""
        return msgspec.structs.replace(
            line, id=line.id if line.ours else self.message(line.id), answers=self.answers(line.answers)
        )

    def record(self, body: bytes) -> bytes:
        """A reply on record."""
        record = msgspec.msgpack.decode(body, type=Record)
        talk = self.talk(record.conversation)
        answers = self.answers(record.answers) if talk != record.conversation else record.answers
        persona, place = self.persona(record.persona), self.place(record.place)
        return _encode(
            msgspec.structs.replace(record, persona=persona, place=place, conversation=talk, answers=answers)
        )

    def night(self, body: bytes) -> bytes:
        """What a night found."""
        night = msgspec.msgpack.decode(body, type=Night)
        return _encode(msgspec.structs.replace(night, persona=self.persona(night.persona)))


class Moving:
    """Every method raises StoreError."""

    def __init__(self, client: Client, queue: Queue | None = None) -> None:
        self._client, self._queue = client, queue or Queue(client)
        self._nights, self._loras, self._conversations = Nights(client), Loras(client), Conversations(client)

    async def move(self, account: str, old: Place, new: Place) -> bool:
        """The room `old` is `new` from now on, for a bot account. False: a night is at one of its personas, which
        follows when that is over (`go_on`). Saying it twice is harmless."""
        await self.begin(account, old, new)
        return await self._go(Route(account, old, new))

    async def begin(self, account: str, old: Place, new: Place) -> None:
        """Note that it is to be done: whatever comes, `go_on` knows of it."""
        await self._client.do("HSET", keys.MOVING(account), str(old), _encode((old, new)))

    async def go_on(self, account: str) -> bool:
        """Finish what was begun. False: something of it has to wait still."""
        begun = await self._client.do("HGETALL", keys.MOVING(account))
        bodies = begun.values() if isinstance(begun, dict) else begun[1::2]
        ways = [msgspec.msgpack.decode(body, type=tuple[Place, Place]) for body in bodies]
        return all([await self._go(Route(account, *way)) for way in ways])

    async def keep_on(self, account: str) -> None:
        """Until cancelled: go on with what a night or a crash has held up."""
        while True:
            await self.tried(account)
            await asyncio.sleep(AGAIN)

    async def tried(self, account: str) -> None:
        """Go on as far as it gets. Trouble with one room must not end what is heard in the others."""
        try:
            await self.go_on(account)
        except LimenError as error:
            log.warning("a room of %s that has moved has to wait: %s", account, error)
        except Exception:
            log.exception("%s: a fault in limen keeps back a room that has moved", account)

    async def _go(self, route: Route) -> bool:
        """What is said next goes by the cast, so that comes first; then talk, whose jobs make the replies."""
        await self._cast(route)
        await self._talks(route)
        await self._counts(route)
        whole = all([await self._persona(route, persona) for persona in await self._personas(route)])
        if whole:
            await self._client.do("HDEL", keys.MOVING(route.account), str(route.old))
            log.info("%s is %s from now on, with all that was there", route.old, route.new)
        return whole

    # Who plays, and how often we have spoken.

    async def _cast(self, route: Route) -> None:
        """Whoever was chosen under the new id was chosen later."""
        cast = keys.CAST(route.account)
        for scope, card in await self._hash(cast):
            there = route.scope(scope.decode())
            if there != scope.decode():
                old, new = (keys.PLAYED(f"{route.account}|{of}") for of in (scope.decode(), there))
                await self._client.do_all([("SUNIONSTORE", new, old, new), ("DEL", old)])
                await self._client.do_all([("HSETNX", cast, there, card), ("HDEL", cast, scope)])

    async def _counts(self, route: Route) -> None:
        """What is counted there already holds."""
        for key in (keys.SPOKEN, keys.SPOKEN_TOLD, keys.OVERHEARD, keys.BOT_TURNS):
            old, new = key(_room(route.account, route.old)), key(_room(route.account, route.new))
            await swap(self._client, [("EXISTS", old), ("EXISTS", new)], _taken_over(old, new))

    # What was said, and what is to be said.

    async def _talks(self, route: Route) -> None:
        """Each conversation with its jobs. Who spoke in it is noted before, and unsaid after: forgetting finds it."""
        talks = await self._conversations_of(route)
        spoke = [
            (name, talk)
            for name in (await self._client.scan(keys.SPOKE_IN("*")) if talks else [])
            for talk in await self._members(name, talks)
        ]
        await self._client.do_all(("SADD", name, route.talk(talk)) for name, talk in spoke)
        for talk in talks:
            await self._talk(route, talk)
        await self._client.do_all(("SREM", name, talk) for name, talk in spoke)
        for name in await self._client.scan(keys.TALKS(f"{_literal(route.account)}|*")):
            await swap(self._client, [("SMEMBERS", name)], self._indexed(route, name))

    async def _conversations_of(self, route: Route) -> list[str]:
        """Every conversation of the old room, whatever there is of it."""
        every = f"{_literal(route.account)}|*"
        names = {job.conversation for job in await self._queue.all()}
        for key in (keys.ORDER, keys.TALK, keys.SEQUENCE):
            before, _, behind = key.pattern.partition("{}")
            names |= {name.removeprefix(before).removesuffix(behind) for name in await self._client.scan(key(every))}
        for name in await self._client.scan(keys.TALKS(every)):
            names |= {talk.decode() for talk in await self._client.do("SMEMBERS", name)}
        return sorted(name for name in names if route.talk(name) != name)

    async def _members(self, name: str, talks: Sequence[str]) -> list[str]:
        among = await self._client.do("SMISMEMBER", name, *talks)
        return [talk for talk, there in zip(talks, among, strict=True) if there]

    async def _talk(self, route: Route, talk: str) -> None:
        """Tried again should something happen in it meanwhile."""
        moved = False
        while not moved:
            view = await self._queue.view(talk, route.talk(talk))
            jobs = [(route.job(job), route.answers(more)) for job, more in view.jobs]
            moved = await self._queue.move(view, jobs, _lines(route, view))

    def _indexed(self, route: Route, name: str) -> Callable[[list[Any]], list[Effect]]:
        """The conversations of a persona, under their names of now, as whoever it is now."""
        persona = PersonaKey.parse(name.removeprefix(keys.TALKS("")))
        there = keys.TALKS(str(route.persona(persona)))

        def decide(found: list[Any]) -> list[Effect]:
            talks = [talk.decode() for talk in found[0]]
            if not talks or (there == name and all(route.talk(talk) == talk for talk in talks)):
                return []
            return [("DEL", name), ("SADD", there, *(route.talk(talk) for talk in talks))]

        return decide

    # Personas: what they said, what people felt about it, and what they have become.

    async def _personas(self, route: Route) -> list[PersonaKey]:
        """Every persona of the old room, whatever there is of it."""
        names = {name for key in (keys.PERSONAS, keys.LORAS) for name in await self._set(key.pattern)}
        names |= {field.decode() for field, _ in await self._hash(keys.FRESH.pattern)}
        names |= {str(persona) for persona in await self._nights.left()}
        for key in (keys.REPLIES_OF, keys.NIGHTS_OF, keys.SELF):
            found = await self._client.scan(key(f"{_literal(route.account)}|*"))
            names |= {name.removeprefix(key("")) for name in found}
        names |= {*await remembering(self._client, f"{_literal(route.account)}|*")}
        personas = [PersonaKey.parse(name) for name in sorted(names)]
        return [persona for persona in personas if route.persona(persona) != persona]

    async def _persona(self, route: Route, persona: PersonaKey) -> bool:
        """False while a night is at it, or at the one that it becomes."""
        async with self._alone(persona, route.persona(persona)) as alone:
            if not alone:
                return False
            old, new = str(persona), str(route.persona(persona))
            await self._shelf(keys.REPLIES_OF(old), keys.REPLIES_OF(new), _reply_key, route.record)
            await self._shelf(keys.NIGHTS_OF(old), keys.NIGHTS_OF(new), _night_key, route.night)
            if await self._client.do("EXISTS", keys.NIGHTS_OF(new)):
                await self._client.do("EXPIRE", keys.NIGHTS_OF(new), keys.NIGHT_FOR)
            await self._weights(persona, route.persona(persona))
            await become(self._client, route, old, new)
            await carry(self._client, route, persona)
            await self._names(old, new)
        return True

    @asynccontextmanager
    async def _alone(self, *personas: PersonaKey) -> AsyncIterator[bool]:
        """No night begins at them for as long as the block lasts. False: one is going on."""
        holder = f"moving:{secrets.token_hex(4)}"
        leases = [await self._nights.lease(str(persona), holder) for persona in personas]
        try:
            yield all(leases)
        finally:
            for lease in leases:
                if lease:
                    await lease.end()

    async def _shelf(self, old: str, new: str, key: Callable[[str], str], change: Callable[[bytes], bytes]) -> None:
        """What one list names goes to another, changed; both keep their time."""

        def decide(found: list[Any]) -> list[Effect]:
            effects: list[Effect] = []
            for name, score, body in zip(names, found[0], found[1:], strict=True):
                effects += [("SET", key(name), change(body), "KEEPTTL")] if body else []
                effects += [("ZADD", new, score, name)] if score else []
                effects += [("ZREM", old, name)]
            return effects

        while rows := await self._client.do("ZRANGE", old, 0, BATCH - 1):
            names = [row.decode() for row in rows]
            await swap(self._client, [("ZMSCORE", old, *names), *(("GET", key(name)) for name in names)], decide)

    async def _weights(self, old: PersonaKey, new: PersonaKey) -> None:
        """What it speaks with. Versions keep their names, so it must be known whose they are."""
        made = [(v, msgspec.msgpack.decode(body, type=Made)) for v, body in await self._hash(keys.LORAS_MADE.pattern)]
        theirs = {version.decode(): about for version, about in made if about.persona == str(old)}
        known = {version.decode() for version, _ in made}
        for version in _versions(await self._loras.serving(old)):
            if version.rpartition("/")[0] == family(old) and version not in known:
                theirs[version] = Made(str(old))
        for version, about in theirs.items():
            now = msgspec.structs.replace(about, persona=str(new))
            await self._client.do("HSET", keys.LORAS_MADE.pattern, version, _encode(now))
        await swap(self._client, [("GET", keys.LORA(str(old))), ("GET", keys.LORA(str(new)))], _served(old, new))

    async def _names(self, old: str, new: str) -> None:
        """Where personas are listed."""
        for key in (keys.PERSONAS.pattern, keys.LORAS.pattern):
            await swap(self._client, [("SISMEMBER", key, old)], _listed(key, old, new))
        fresh, left = keys.FRESH.pattern, keys.NIGHTS_LEFT.pattern
        await swap(self._client, [("HGET", fresh, old)], _counted(fresh, old, new))
        rated = keys.RATED_OF(old), keys.RATED_OF(new)
        await swap(self._client, [("ZCARD", rated[0])], _joined(*rated))
        await swap(self._client, [("LRANGE", left, 0, -1)], _left(left, old, new))
        await self._client.do("HDEL", keys.NIGHTS_CUT.pattern, old)

    async def _set(self, key: str) -> list[str]:
        return [name.decode() for name in await self._client.do("SMEMBERS", key)]

    async def _hash(self, key: str) -> list[tuple[bytes, bytes]]:
        fields = await self._client.do("HGETALL", key)
        return list(fields.items() if isinstance(fields, dict) else zip(fields[::2], fields[1::2], strict=True))


def _reply_key(reply: str) -> str:
    return keys.REPLY(reply)


def _night_key(night: str) -> str:
    return keys.NIGHT(quote(night))


def _holds(room: Place, place: Place) -> bool:
    return (room.platform, room.workspace, room.channel) == (place.platform, place.workspace, place.channel)


def _room(account: str, place: Place) -> str:
    """A room as `core/group/quota.py` counts in it."""
    return f"{account}|" + ":".join(quote(part) for part in (place.platform, place.workspace, place.channel))


def _literal(name: str) -> str:
    """A name that stands for itself in a pattern."""
    return "".join(f"\\{one}" if one in "\\*?[]" else one for one in name)


def _lines(route: Route, view: View) -> list[Effect]:
    """The writes that put a conversation's lines before those of the other one, and what is known of both together."""
    order, lines = keys.ORDER(view.new), keys.LINES(view.new)
    effects: list[Effect] = []
    last = max([score for _, score, _ in view.lines], default=0.0)
    shift = min(0.0, view.first) - last - 2.0
    for name, score, body in view.lines:
        if body:
            line = route.line(msgspec.msgpack.decode(body, type=Line))
            effects += [("ZADD", order, score + shift, line.id), ("HSET", lines, line.id, _encode(line))]
        else:
            effects += [("ZREM", keys.ORDER(view.old), name)]
    if about := _about(view, shift):
        effects += [("DEL", keys.TALK(view.new)), ("HSET", keys.TALK(view.new), *about)]
    gone = [key(view.old) for key in (keys.ORDER, keys.LINES, keys.SEQUENCE, keys.TALK)]
    return [*effects, ("DEL", *gone)]


def _about(view: View, shift: float) -> list[str]:
    """A summary stands for what lies before its start: the older one's holds, and what follows is all there."""
    if not view.lines and not view.about:
        return []
    about = {field: view.about[field] for field in ("summary", "people") if view.about.get(field)}
    if start := view.about.get("start"):
        about["start"] = repr(float(start) + shift)
    for field in ("session", "spoke"):
        if known := [one for one in (view.about.get(field), view.about_new.get(field)) if one]:
            about[field] = max(known, key=float)
    return [word for pair in about.items() for word in pair]


def _taken_over(old: str, new: str) -> Callable[[list[Any]], list[Effect]]:
    def decide(found: list[Any]) -> list[Effect]:
        there, here = found
        return [("DEL", old) if here else ("RENAME", old, new)] if there else []

    return decide


def _served(old: PersonaKey, new: PersonaKey) -> Callable[[list[Any]], list[Effect]]:
    def decide(found: list[Any]) -> list[Effect]:
        if not found[0]:
            return []
        was, now = (msgspec.msgpack.decode(body, type=Serving) if body else Serving() for body in found)
        return [("SET", keys.LORA(str(new)), _encode(_together(was, now))), ("DEL", keys.LORA(str(old)))]

    return decide


def _together(was: Serving, now: Serving) -> Serving:
    """Whatever was decided under the new id was decided later; if nothing was, all is as before."""
    history: list[Past] = sorted((*now.history, *was.history), key=lambda past: -past.time)[:50]
    touched = max(was.touched, now.touched)
    if now.untaught and not now.canary and (not now.history or now.history[0].why in ("removed", FORGOTTEN)):
        return msgspec.structs.replace(was, history=tuple(history), touched=touched)
    earlier = dict.fromkeys([*now.before, *([was.live] if was.live != BASE else []), *was.before])
    earlier.pop(now.live, None)
    return msgspec.structs.replace(now, history=tuple(history), before=tuple(earlier)[:10], touched=touched)


def _versions(serving: Serving) -> set[str]:
    past = (one.version for one in serving.history)
    return {serving.live, serving.canary, *serving.before, *past} - {BASE, ""}


def _listed(key: str, old: str, new: str) -> Callable[[list[Any]], list[Effect]]:
    return lambda found: [("SREM", key, old), ("SADD", key, new)] if found[0] else []


def _joined(old: str, new: str) -> Callable[[list[Any]], list[Effect]]:
    """What one list names is named by the other as well, each once."""

    def decide(found: list[Any]) -> list[Effect]:
        return [("ZUNIONSTORE", new, 2, new, old, "AGGREGATE", "MAX"), ("DEL", old)] if found[0] else []

    return decide


def _counted(key: str, old: str, new: str) -> Callable[[list[Any]], list[Effect]]:
    return lambda found: [("HDEL", key, old), ("HINCRBY", key, new, found[0])] if found[0] else []


def _left(key: str, old: str, new: str) -> Callable[[list[Any]], list[Effect]]:
    def decide(found: list[Any]) -> list[Effect]:
        names = [name.decode() for name in found[0]]
        if old not in names:
            return []
        rest = dict.fromkeys(new if name == old else name for name in names)
        return [("DEL", key), ("RPUSH", key, *rest)]

    return decide
