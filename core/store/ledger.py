"""The ledger: every reply with the prompt it was given, and every reaction to it, as facts.

A prompt is kept as the hashes of its messages; each text is kept once, compressed, however many replies were given
on top of it. Feelings are read elsewhere (`core/feedback.py`).
"""

import hashlib
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

import msgspec

from core.events import Person, PersonaKey, Place, quote
from core.feedback import Fact
from core.store import keys
from core.store.client import Client, Effect

SCRIPT = files("core.store").joinpath("ledger.lua").read_text()
FORGOTTEN = "[forgotten]"
_encode = msgspec.msgpack.Encoder().encode
_KEYS = _encode(
    {
        "reply": keys.REPLY.pattern,
        "section": keys.SECTION.pattern,
        "reactions": keys.REACTIONS.pattern,
        "rated_by": keys.RATED_BY.pattern,
        "seen": keys.SEEN.pattern,
        "message": keys.MESSAGE.pattern,
        "parked": keys.PARKED.pattern,
        "parked_by": keys.PARKED_BY.pattern,
        "sent": keys.SENT.pattern,
        "fresh": keys.FRESH.pattern,
        "felt": keys.FELT.pattern,
        "rated_of": keys.RATED_OF.pattern,
        "replies_of": keys.REPLIES_OF.pattern,
    }
)


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One reply: what was said to whom, as whom, with which weights. `roles` and `sections` are the prompt.

    `people` are the ids of everybody whose words are in the prompt. Its first `own` messages are the card's own, as in
    the prompts of all who talk to it; `summed`: but for the system message, which quotes people too.
    `source` is chat, file or import. `by`: what gave these words if the model did not, such as `rules[2]` of the card;
    then they train nothing. `limit`: it was told to say that it does not know (`unknown`) or does not discuss this
    (`declined`), which trains nothing either: the card decides that, not votes. Of so many `candidates` taste picked
    it, by that `score`. `emotion` and `action` were shown beside it. `deleted`: the reply, or something in its prompt,
    was deleted. `edited`: something in its prompt reads differently now. `recalled`: ids of memories in its prompt.
    """

    id: str
    persona: PersonaKey
    conversation: str
    place: Place
    author: Person
    answers: tuple[str, ...]
    time: float
    text: str
    sections: tuple[str, ...]
    roles: tuple[str, ...]
    people: tuple[str, ...] = ()
    own: int = 0
    summed: bool = False
    source: str = "chat"
    card_hash: str = ""
    persona_version: str = ""
    lora_version: str = "base"
    model: str = ""
    sampling: dict[str, Any] = {}
    seed: int = 0
    finish: str = "stop"
    tokens: int = 0
    regenerates: str = ""
    by: str = ""
    limit: str = ""
    sources: tuple[str, ...] = ()
    candidates: int = 1
    score: float = 0.0
    emotion: str = ""
    action: str = ""
    deleted: bool = False
    edited: bool = False
    recalled: tuple[str, ...] = ()

    @property
    def dictated(self) -> bool:
        """Did the card decide what it says, so that nothing is to be learned from it?"""
        return bool(self.by or self.limit)


class Told(msgspec.Struct, frozen=True):
    """One message of a prompt, exactly as the model was given it."""

    role: str
    content: str


class Entry(msgspec.Struct, frozen=True):
    """A reply as the ledger gives it back: with its prompt in full and its facts, oldest first."""

    record: Record
    messages: tuple[Told, ...]
    facts: tuple[Fact, ...]


class Kept(msgspec.Struct, frozen=True):
    """How long, in seconds: an unrated reply's prompt, and a rated one's."""

    unrated: int = 30 * keys.DAY
    rated: int = 70 * keys.DAY


_record = msgspec.msgpack.Decoder(Record).decode
_fact = msgspec.msgpack.Decoder(Fact).decode


def section(text: str, of: str = "") -> tuple[str, bytes]:
    """The name and the compressed body under which a text is kept: once for all, or once for all replies `of` one
    persona. What people said is never shared further, for it goes when one of them is forgotten."""
    raw = text.encode()
    return hashlib.sha256(f"{of}\0".encode() + raw if of else raw).hexdigest()[:24], zlib.compress(raw, 6)


def shared(record: Record, roles: Sequence[str]) -> list[bool]:
    """Of each message of a prompt: does it stand in everybody's, because it is the card's own and quotes nobody?"""
    own = max(record.own, 1 if roles[:1] and roles[0] == "system" else 0)
    return [at < own and not (record.summed and at == 0) for at in range(len(roles))]


def message_key(account: str, place: Place, message: str) -> str:
    """A platform message id, unique over accounts and channels (Telegram counts anew in every chat).

    The thread is no part of it: everywhere an id means one message of a channel, whichever thread that is in, and
    Slack and Telegram tell of a reaction without naming the thread. (On Discord, where a thread has an id like a
    channel, `place.channel` is the channel that it belongs to.)
    """
    where = ":".join(quote(part) for part in (place.platform, place.workspace, place.channel))
    return f"{account}|{where}|{quote(message)}"


def _scored(rows: Sequence[Any]) -> Iterator[tuple[str, float]]:
    """Members with their scores, in either shape that a server answers in."""
    flat = rows if not rows or isinstance(rows[0], bytes) else [part for row in rows for part in row]
    for member, score in zip(flat[::2], flat[1::2], strict=True):
        yield member.decode(), float(score)


def _told(record: Record, texts: Mapping[str, str]) -> tuple[Told, ...]:
    return tuple(Told(role, texts[name]) for role, name in zip(record.roles, record.sections, strict=True))


class Ledger:
    """Every method raises StoreError."""

    def __init__(self, client: Client, kept: Kept | None = None) -> None:
        self._client = client
        self.kept = kept or Kept()

    def record(self, record: Record, messages: Sequence[Told]) -> list[Effect]:
        """The writes that keep a reply with its prompt: `messages` fill in `record.sections` and `.roles`.

        The list of its persona's replies is trimmed when one was sent (`whole`) or rated, by the clock of Redis.
        """
        ttl, persona, roles = self.kept.unrated, str(record.persona), tuple(told.role for told in messages)
        alike = shared(record, roles)
        pairs = [section(told.content, "" if all_ else persona) for told, all_ in zip(messages, alike, strict=True)]
        texts = dict(pairs)
        record = msgspec.structs.replace(record, sections=tuple(name for name, _ in pairs), roles=roles)
        name = keys.REPLY(record.id)
        effects: list[Effect] = [("SET", name, _encode(record), "KEEPTTL")]  # it may be there already, and rated
        effects += [("EXPIRE", name, ttl, when) for when in ("NX", "GT")]
        for name, body in texts.items():
            effects.append(("SET", keys.SECTION(name), body, "NX", "EX", ttl))
            effects.append(("EXPIRE", keys.SECTION(name), ttl, "GT"))
        effects.append(("SADD", keys.PERSONAS.pattern, persona))
        effects.append(("ZADD", keys.REPLIES_OF(persona), record.time, record.id))
        effects.extend(("ZADD", keys.REPLIED_TO(person), record.time, record.id) for person in record.people)
        return effects

    async def keep(self, record: Record, messages: Sequence[Told]) -> None:
        """Keep a reply that was made elsewhere."""
        await self._client.do_all(self.record(record, messages))

    async def _run(self, op: str, *args: str | bytes | float) -> Any:
        return await self._client.script(SCRIPT, [], [op, _KEYS, *args])

    async def react(self, seen: str, message: str, fact: Fact) -> tuple[str, str]:
        """A reaction to a platform message (`message_key`): (what, reply id), where what is `recorded`, `parked`
        (that message is not known yet), `gone` (its reply is no longer kept) or `seen` (delivered before)."""
        what, reply = await self._run(
            "react", seen, message, _encode(fact), fact.user, fact.time, self.kept.rated, keys.PARKED_FOR
        )
        return what.decode(), reply.decode()

    async def rate(self, reply: str, fact: Fact) -> str:
        """A reaction to a reply known by its id: `recorded`, `gone` or `seen`."""
        what, _ = await self._run("import", fact.id, reply, _encode(fact), fact.user, fact.time, self.kept.rated)
        return str(what.decode())

    async def begin(self, reply: str, part: int, by: str) -> str:
        """Mark that `by` is about to send a part. `mine`, `again` (marked before, fate unknown) or `sent`."""
        name = keys.SENT(reply)
        fresh, mark, _ = await self._client.do_all(
            [("HSETNX", name, f"mark:{part}", by), ("HGET", name, str(part)), ("EXPIRE", name, self.kept.rated)]
        )
        if mark:
            return "sent"
        return "mine" if fresh else "again"

    async def sent(self, reply: str, part: int, messages: Sequence[str]) -> None:
        """A part was sent as these platform messages (`message_key`s)."""
        await self._run("sent", reply, str(part), _encode(messages), self.kept.rated)

    async def whole(self, reply: str) -> int:
        """All parts were sent. How many parked reactions landed by that."""
        return int(await self._run("whole", reply, self.kept.rated))

    async def parts(self, reply: str) -> dict[int, tuple[str, ...]]:
        """The platform messages of a reply, by part."""
        fields = await self._client.do("HGETALL", keys.SENT(reply))
        pairs = fields.items() if isinstance(fields, dict) else zip(fields[::2], fields[1::2], strict=True)
        return {int(k): tuple(msgspec.msgpack.decode(v, type=list[str])) for k, v in pairs if k.isdigit()}

    async def get(self, reply: str) -> Entry | None:
        """One reply, or None when it is not kept."""
        return next(iter(await self.entries([reply])), None)

    async def entries(self, replies: Sequence[str]) -> list[Entry]:
        """These replies, as far as they are kept."""
        outlines = await self.outlines(replies)
        names = sorted({name for outline in outlines for name in outline.record.sections})
        texts = dict(zip(names, await self._sections(names), strict=True))
        return [msgspec.structs.replace(outline, messages=_told(outline.record, texts)) for outline in outlines]

    async def outlines(self, replies: Sequence[str]) -> list[Entry]:
        """The same without their prompts (`messages` is empty): what it takes to look at very many."""
        bodies = await self._client.do_all([("GET", keys.REPLY(reply)) for reply in replies], atomic=False)
        records = [_record(body) for body in bodies if body]
        facts = await self._client.do_all([("LRANGE", keys.REACTIONS(r.id), 0, -1) for r in records], atomic=False)
        return [
            Entry(record, (), tuple(_fact(body) for body in rows)) for record, rows in zip(records, facts, strict=True)
        ]

    async def _sections(self, names: Sequence[str]) -> list[str]:
        bodies = await self._client.do_all([("GET", keys.SECTION(name)) for name in names], atomic=False)
        return [zlib.decompress(body).decode() if body else FORGOTTEN for body in bodies]

    async def personas(self) -> list[PersonaKey]:
        """Every persona that ever replied, by name."""
        names = await self._client.do("SMEMBERS", keys.PERSONAS.pattern)
        return [PersonaKey.parse(name) for name in sorted(name.decode() for name in names)]

    async def fresh(self) -> dict[PersonaKey, int]:
        """How many reactions each persona got since it last learned; nobody who got none. Under the scope `*`: how many
        all scopes of a card got since they last learned together."""
        fields = await self._client.do("HGETALL", keys.FRESH.pattern)
        pairs = fields.items() if isinstance(fields, dict) else zip(fields[::2], fields[1::2], strict=True)
        return {PersonaKey.parse(name.decode()): int(count) for name, count in pairs if int(count) > 0}

    async def learned(self, persona: PersonaKey, reactions: int) -> None:
        """So many of them have been learned from."""
        if await self._client.do("HINCRBY", keys.FRESH.pattern, str(persona), -reactions) <= 0:
            await self._client.do("HDEL", keys.FRESH.pattern, str(persona))

    async def replies(self, persona: PersonaKey, since: float = 0.0) -> list[str]:
        """Ids of a persona's replies, oldest first; only those given at `since` or later."""
        rows = await self._client.do("ZRANGE", keys.REPLIES_OF(str(persona)), since, "+inf", "BYSCORE")
        return [row.decode() for row in rows]

    async def rated(self, persona: PersonaKey, most: int) -> dict[str, float]:
        """The replies of a persona that somebody reacted to last, with a number that is another one after any change
        in what people feel about that reply."""
        name = keys.RATED_OF(str(persona))
        rows = await self._client.do("ZRANGE", name, 0, most - 1, "REV", "WITHSCORES")
        return dict(_scored(rows))

    async def everything(self, personas: Iterable[PersonaKey], batch: int = 200) -> AsyncIterator[Entry]:
        """Every reply of these personas, oldest first within each."""
        for persona in personas:
            ids = await self.replies(persona)
            for at in range(0, len(ids), batch):
                for entry in await self.entries(ids[at : at + batch]):
                    yield entry

    async def about(self, person: str) -> tuple[list[str], list[str]]:
        """(replies with somebody's words in their prompt, replies they rated), oldest first."""
        rows = await self._client.do_all(
            [("ZRANGE", keys.REPLIED_TO(person), 0, -1), ("ZRANGE", keys.RATED_BY(person), 0, -1)]
        )
        return [r.decode() for r in rows[0]], [r.decode() for r in rows[1]]

    async def erase(self, entry: Entry) -> None:
        """A reply, its reactions and what it was sent as. Its prompt's texts go with `redact`."""
        record = entry.record
        parts = await self.parts(record.id)
        messages = [keys.MESSAGE(message) for ids in parts.values() for message in ids]
        own = [key(record.id) for key in (keys.REPLY, keys.REACTIONS, keys.SENT, keys.WEIGHED)]
        names = [*own, *messages]
        raters = {fact.user for fact in entry.facts}
        await self._client.do_all(
            [
                ("DEL", *names),
                ("ZREM", keys.REPLIES_OF(str(record.persona)), record.id),
                ("ZREM", keys.RATED_OF(str(record.persona)), record.id),
                *(("ZREM", keys.REPLIED_TO(person), record.id) for person in record.people),
                *(("ZREM", keys.RATED_BY(user), record.id) for user in raters),
            ]
        )

    async def redact(self, entry: Entry) -> None:
        """The talk in a reply's prompt, and what was remembered for it: all but the card. Shown as `[forgotten]`."""
        record = entry.record
        pairs = zip(record.sections, shared(record, record.roles), strict=True)
        names = [keys.SECTION(name) for name, all_ in pairs if not all_]
        if names:
            await self._client.do("DEL", *names)

    async def disclaim(self, entry: Entry, person: str) -> None:
        """Somebody is no longer one of those whose words a reply was given on: its prompt was redacted."""
        others = tuple(other for other in entry.record.people if other != person)
        record = msgspec.structs.replace(entry.record, people=others)
        await self._client.do_all(
            [
                ("SET", keys.REPLY(record.id), _encode(record), "XX", "KEEPTTL"),
                ("ZREM", keys.REPLIED_TO(person), record.id),
            ]
        )

    async def behind(self, message: str) -> str:
        """Id of the reply behind a platform message (`message_key`); empty if it is none of ours."""
        reply = await self._client.do("GET", keys.MESSAGE(message))
        return reply.decode() if reply else ""

    async def retract(self, entries: Iterable[Entry], edited: bool = False) -> None:
        """Note that these replies, or what they were given on, were deleted, or `edited`: they train nothing any
        more."""
        gone = [
            msgspec.structs.replace(one, edited=edited or one.edited, deleted=not edited or one.deleted)
            for one in (entry.record for entry in entries)
        ]
        await self._client.do_all(
            effect
            for one in gone
            for effect in (
                ("SET", keys.REPLY(one.id), _encode(one), "XX", "KEEPTTL"),
                ("ZREM", keys.RATED_OF(str(one.persona)), one.id),
            )
        )

    async def withdraw(self, reply: str, user: str) -> None:
        """Every reaction of somebody to a reply, as if it had never been."""
        bodies = await self._client.do("LRANGE", keys.REACTIONS(reply), 0, -1)
        gone = [body for body in bodies if _fact(body).user == user]
        persona = next((str(entry.record.persona) for entry in await self.outlines([reply])), "")
        changed = [("ZINCRBY", keys.RATED_OF(persona), 1, reply)] if gone and persona else []
        await self._client.do_all(
            [
                *changed,
                *(("LREM", keys.REACTIONS(reply), 0, body) for body in gone),
                ("ZREM", keys.RATED_BY(user), reply),
                ("HDEL", keys.WEIGHED(reply), user),
            ]
        )

    async def unpark(self, person: str) -> None:
        """Forget the reactions of somebody that still wait for their reply."""
        await self._run("unpark", person)
