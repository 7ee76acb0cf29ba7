"""The history of each personality: an append-only stream of changes, snapshots that keep it short, and closed days.

A state is the latest snapshot and what followed, folded. Writers only append, so two of them lose nothing; snapshots
only save work, so it does not matter who writes them. How many changes were ever written is counted beside the stream:
if some are missing, or cannot be read, that is noticed, said in the history itself, and it goes on from what is there.
"""

import logging
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from itertools import groupby
from typing import Any

import msgspec

from core.events import PersonaKey
from core.growth.changes import AnyChange, Mended, Reflected, Relation, decode, encode, redacted
from core.personality import State, replay
from core.store import keys
from core.store.client import Client, Effect
from core.store.swap import swap

log = logging.getLogger("limen.personality")

SCRIPT = "#!lua flags=allow-oom\n" + files("core.store").joinpath("personalities.lua").read_text()
PAGE = 500  # changes read at once: some milliseconds
EVERY = 100  # changes after which there is a new snapshot
_pack = msgspec.msgpack.Encoder().encode
_state = msgspec.msgpack.Decoder(State).decode


class Entry(msgspec.Struct, frozen=True):
    """A change and where it stands in the stream."""

    id: str
    change: AnyChange


class Seen(msgspec.Struct, frozen=True):
    """A personality as it was read: its state, where its stream ended (empty: nowhere yet), and the ids of replies
    whose reactions have not been weighed yet. `lost`: changes that were found missing just now."""

    state: State
    end: str = ""
    felt: tuple[str, ...] = ()
    lost: int = 0


class Closed(msgspec.Struct, frozen=True):
    """A state at the end of a day, and where the stream stood then."""

    end: str
    state: State


class Personalities:
    """Every method raises StoreError."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def read(self, persona: PersonaKey) -> Seen:
        """The personality as it stands, in one round trip unless there is something to keep or to mend."""
        written, at, body, felt, rows = await self._run("read", persona)
        base, after = _snapshot(body), at.decode()
        if base is None and (after or len(rows) != int(written or 0)):
            base, after, rows = await self._from_days(persona)
        entries, broken = _entries(rows)
        state, days = fold(base or State(), entries, after)
        lost = int(written or 0) - state.events
        end = rows[-1][0].decode() if rows else after
        seen = Seen(state, end, tuple(sorted(reply.decode() for reply in felt)), max(lost, broken, 0))
        if lost or broken:
            return await self._mend(persona, seen, days)
        if days or len(entries) >= EVERY:
            await self._keep(persona, seen, days)
        return seen

    async def _run(self, op: str, persona: PersonaKey, *args: str | bytes | int) -> Any:
        return await self._client.script(SCRIPT, [], [op, *_names(persona), *args])

    async def _keep(self, persona: PersonaKey, seen: Seen, days: Mapping[int, Closed]) -> None:
        """Put a snapshot away, and the days that are over."""
        pairs = [word for day, closed in days.items() for word in (str(day), _shut(closed))]
        oldest = _oldest()
        await self._run("snap", persona, seen.end, _pack(seen.state), keys.CHANGES_KEPT, oldest, *pairs)

    async def _from_days(self, persona: PersonaKey) -> tuple[State | None, str, list[Any]]:
        """The latest closed day that can be read, and what followed."""
        closed = max((await self._days(persona)).items(), default=(0, None))[1]
        after = closed.end if closed else ""
        rows = await self._client.do("XRANGE", keys.SELF(str(persona)), f"({after}" if after else "-", "+")
        return closed.state if closed else None, after, rows

    async def _mend(self, persona: PersonaKey, seen: Seen, days: Mapping[int, Closed]) -> Seen:
        """Go on from what is there, and say so. If somebody writes meanwhile, whoever reads next does it."""
        end, done = seen.end or "0-0", False
        note = Mended(id=f"mended:{end}", time=time.time(), day=seen.state.day, lost=seen.lost)
        stream, at = keys.SELF(str(persona)), keys.SELF_AT(str(persona))

        def decide(found: list[Any]) -> list[Effect]:
            nonlocal done
            done = _last(found[0]) in ("", seen.end)
            if not done:
                return []
            state, written = ("HSET", at, "id", end, "state", _pack(seen.state)), seen.state.events + 1
            return [state, ("XADD", stream, "*", "b", encode(note)), ("HSET", at, "written", written)]

        await swap(self._client, [("XREVRANGE", stream, "+", "-", "COUNT", 1)], decide)
        if done:
            log.warning("%s: %d changes are missing in its history; it goes on without them", persona, seen.lost)
            await self._keep(persona, msgspec.structs.replace(seen, end=end), days)
            return msgspec.structs.replace(seen, state=replay(seen.state, [note]))
        return seen

    async def append(self, persona: PersonaKey, changes: Sequence[AnyChange]) -> None:
        """Add to a history."""
        await self._client.do_all(appended(persona, changes))

    async def begin(self, persona: PersonaKey, change: AnyChange, end: str) -> bool:
        """Add a change if nothing was added behind `end`, where the writer saw the stream end. False: there was."""
        stream, done = keys.SELF(str(persona)), False

        def decide(found: list[Any]) -> list[Effect]:
            nonlocal done
            done = _last(found[0]) in ("", end)
            return appended(persona, [change]) if done else []

        await swap(self._client, [("XREVRANGE", stream, "+", "-", "COUNT", 1)], decide)
        return done

    async def history(self, persona: PersonaKey, since: float = 0.0) -> list[Entry]:
        """Changes that were written at `since` (seconds UTC, by the server's clock) or later, oldest first. A page at a
        time, so that a long life holds up nobody else."""
        stream, found, start = keys.SELF(str(persona)), list[Entry](), str(max(0, int(since * 1000)))
        while rows := await self._client.do("XRANGE", stream, start, "+", "COUNT", PAGE):
            found += _entries(rows)[0]
            start = f"({rows[-1][0].decode()}"
        return found

    async def on(self, persona: PersonaKey, day: int) -> State | None:
        """The state at the end of a day; None before the first day that is kept."""
        seen = await self.read(persona)
        if seen.state.events and day >= seen.state.day:
            return seen.state
        past = [(one, closed) for one, closed in (await self._days(persona)).items() if one <= day]
        return max(past)[1].state if past else None

    async def days(self, persona: PersonaKey) -> list[int]:
        """The days that are over and can be gone back to, oldest first."""
        await self.read(persona)
        return sorted(await self._days(persona))

    async def _days(self, persona: PersonaKey) -> dict[int, Closed]:
        found = await self._client.do("HGETALL", keys.SELF_DAYS(str(persona)))
        pairs = found.items() if isinstance(found, dict) else zip(found[::2], found[1::2], strict=True)
        opened = {int(day): _opened(body) for day, body in pairs}
        return {day: closed for day, closed in opened.items() if closed}

    # Whose data it is.

    async def about(self, person: str) -> list[PersonaKey]:
        """The personas to whom somebody is somebody."""
        names = await self._client.do("SMEMBERS", keys.SELVES(person))
        return [PersonaKey.parse(name) for name in sorted(name.decode() for name in names)]

    async def part(self, person: str, persona: PersonaKey) -> dict[str, Any]:
        """What a personality holds of somebody, as plain data."""
        seen, entries = await self.read(persona), await self.history(persona)
        relation = seen.state.people.get(person)
        theirs = [msgspec.to_builtins(entry.change) for entry in entries if entry.change.person == person]
        known = {name: getattr(relation, name) for name in Relation.__struct_fields__} if relation else {}
        return {"persona": str(persona), "relationship": known, "changes": theirs}

    async def forget(self, person: str, persona: PersonaKey) -> int:
        """Take somebody out of a history, its snapshot and its days; replay goes on from a new snapshot. What their
        talk and ratings have made of the traits stays, as numbers. How many changes were theirs."""
        name, theirs = str(persona), 0
        stream, at, days = keys.SELF(name), keys.SELF_AT(name), keys.SELF_DAYS(name)
        await self.read(persona)  # whatever is wrong with it is mended first

        def decide(found: list[Any]) -> list[Effect]:
            nonlocal theirs
            entries, (body,), shut = _entries(found[0])[0], found[1], found[2]
            theirs = sum(entry.change.person == person for entry in entries)
            bare = [Entry(entry.id, redacted(entry.change, person)) for entry in entries]
            effects: list[Effect] = [("DEL", stream)]
            effects += [("XADD", stream, entry.id, "b", encode(entry.change)) for entry in bare]
            if state := _snapshot(body or b""):
                effects.append(("HSET", at, "state", _pack(without(state, person))))
            for day, one in zip(shut[::2], shut[1::2], strict=True):
                if closed := _opened(one):
                    state = without(closed.state, person)
                    effects.append(("HSET", days, day, _shut(msgspec.structs.replace(closed, state=state))))
            return [*effects, ("SREM", keys.SELVES(person), name)]

        await swap(self._client, [("XRANGE", stream, "-", "+"), ("HMGET", at, "state"), ("HGETALL", days)], decide)
        seen = await self.read(persona)
        if seen.end:
            await self._keep(persona, seen, {})
        return theirs


def appended(persona: PersonaKey, changes: Iterable[AnyChange]) -> list[Effect]:
    """The writes that add changes to a history: for whoever writes them together with something else."""
    name, effects = str(persona), list[Effect]()
    for change in changes:
        effects.append(("XADD", keys.SELF(name), "*", "b", encode(change)))
        effects.append(("HINCRBY", keys.SELF_AT(name), "written", 1))
        people = {change.person, *(change.bonds if isinstance(change, Reflected) else ())} - {""}
        effects += [("SADD", keys.SELVES(person), name) for person in sorted(people)]
    return effects


def fold(state: State, entries: Sequence[Entry], after: str) -> tuple[State, dict[int, Closed]]:
    """The state after these entries, and each day that was over on the way, as it ended."""
    days: dict[int, Closed] = {}
    for day, run in groupby(entries, key=lambda entry: entry.change.day):
        some = list(run)
        if state.events and day != state.day:
            days[state.day] = Closed(after, state)
        state, after = replay(state, [entry.change for entry in some]), some[-1].id
    return state, days


def without(state: State, person: str) -> State:
    """A state to which somebody is nobody. Its words about itself go too: they may be about them."""
    if person not in state.people and not state.about:
        return state
    people = {name: one for name, one in state.people.items() if name != person}
    return msgspec.structs.replace(state, people=people, about="")


def _names(persona: PersonaKey) -> list[str]:
    return [key(str(persona)) for key in (keys.SELF, keys.SELF_AT, keys.SELF_DAYS, keys.FELT)]


def _oldest() -> int:
    """The oldest day that is kept, as a number (see `core/days.py`)."""
    gone = time.gmtime(time.time() - keys.DAYS_KEPT)
    return gone.tm_year * 10_000 + gone.tm_mon * 100 + gone.tm_mday


def _entries(rows: Iterable[Any]) -> tuple[list[Entry], int]:
    """Entries of a stream, and how many of them cannot be read."""
    entries, broken = list[Entry](), 0
    for id, fields in rows:
        try:
            body = fields[b"b"] if isinstance(fields, dict) else fields[1]  # redis-py, or Lua
            entries.append(Entry(id.decode(), decode(body)))
        except (msgspec.MsgspecError, LookupError):
            broken += 1
    return entries, broken


def _last(rows: Sequence[Any]) -> str:
    return str(rows[0][0].decode()) if rows else ""


def _snapshot(body: bytes) -> State | None:
    try:
        return _state(body) if body else None
    except msgspec.MsgspecError:
        return None


def _shut(closed: Closed) -> bytes:
    return zlib.compress(_pack(closed), 6)


def _opened(body: bytes) -> Closed | None:
    try:
        return msgspec.msgpack.decode(zlib.decompress(body), type=Closed)
    except (msgspec.MsgspecError, zlib.error):
        return None
