"""A file of prompts → jobs → replies: what is asked, with which seed, and what comes back. Knows no terminal.

Each line is a conversation of its own, so all of them batch. They go behind those who talk, and a bounded number at a
time; replies come back on a stream of this run's own.
"""

import hashlib
import json
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec

from bots.assemble import Parts
from bots.files import Row
from core.engine import new_id
from core.errors import StoreError
from core.events import Kind, Line, Person, PersonaKey, Place, unquote
from core.jobs import Chunk, Done, Failed, Generate, Lane
from core.privacy import FILES
from core.store import keys
from core.store.client import patiently
from core.store.queue import Offer, What, decode_result
from core.text import clean
from personas.card import Card

ANONYMOUS = "file:anon"
IN_FLIGHT = 64
PATIENCE = 60.0  # seconds that Redis may be away
LOOK = 2.0  # seconds between two looks, where nothing comes
LONGEST_NAME = 200


class Prompt(msgspec.Struct, frozen=True):
    """One line of the file: `line` is its number, `id` is given back as it came."""

    line: int
    id: str | int
    author: str
    text: str


class Take(msgspec.Struct, frozen=True):
    """One reply that is wanted: the `k`-th to a prompt, from 1."""

    prompt: Prompt
    k: int

    @property
    def key(self) -> tuple[int, int]:
        """Where it stands in the output."""
        return self.prompt.line, self.k


def read(row: Row, author: str, longest: int) -> Prompt | str:
    """A line as a prompt, or why it is none. `author` where it names none; `longest` in characters."""
    if row.fault:
        return row.fault
    given, who, text = row.data.get("id", row.number), row.data.get("author") or author, row.data.get("text")
    if isinstance(given, bool) or not isinstance(given, str | int):
        return '"id" must be text or a whole number'
    if fault := name_fault("author", who):
        return fault
    if not isinstance(text, str):
        return '"text" is missing' if text is None else '"text" must be text'
    text = clean(text)
    if len(text) > longest:
        return f'"text" has {len(text):,} characters; at most {longest:,} are taken'
    return Prompt(row.number, given, clean(who), text) if text.strip() else '"text" is empty'


def name_fault(field: str, given: object) -> str:
    """Why this names nobody; empty if it does."""
    if not isinstance(given, str) or not given.strip() or len(given) > LONGEST_NAME:
        return f'"{field}" must be text of 1 to {LONGEST_NAME} characters'
    return ""


def seed_for(seed: int, prompt: str | int, k: int) -> int:
    """31 bits that depend on nothing but the run's seed, the line's id, and which of its replies this is."""
    told = json.dumps([seed, prompt, k])
    return int.from_bytes(hashlib.sha256(told.encode()).digest()[:4]) & 0x7FFFFFFF


def written(take: Take, done: Done) -> dict[str, Any]:
    """A reply as the output has it."""
    return {
        "id": take.prompt.id,
        "reply_id": done.reply_id,
        "text": done.text,
        "lora_version": done.lora_version,
        "persona_version": done.persona_version,
    }


class Asker:
    """Asks for replies as one persona. `tell` hears on what basis the prompts' authors are taken in, once if ever."""

    def __init__(self, parts: Parts, persona: PersonaKey, card: Card, seed: int, tell: Callable[[str], None]) -> None:
        self._parts, self._persona, self._card, self._seed, self._tell = parts, persona, card, seed, tell
        self._run = new_id()
        self._session = f"{persona.account}:file:{self._run}"
        self._most = max(IN_FLIGHT, 2 * parts.settings.worker.batch)
        self._flying: dict[str, Take] = {}
        self._known: set[str] = set()
        self._told = False
        self._after = "0"
        self._missed: set[str] = set()

    async def replies(self, takes: Iterable[Take]) -> AsyncGenerator[tuple[Take, Done | str], None]:
        """The answer to each as it comes: a reply, or why there is none. Raises StoreError if Redis stays away."""
        card_hash = await self._patiently(lambda: self._parts.personas.publish(self._card))
        waiting = deque(takes)
        while waiting or self._flying:
            await self._submit(waiting, card_hash)
            for take, answer in await self._collect():
                yield take, answer

    async def close(self) -> None:
        """Cancel what is still asked for, and leave no stream behind."""
        with suppress(StoreError):  # it is being left anyway; streams and leases end by themselves
            for job in self._flying:
                await self._parts.queue.cancel(job)
            await self._parts.client.do("DEL", keys.REPLIES(self._session))

    async def _patiently(self, act: Callable[[], Any]) -> Any:
        return await patiently(act, PATIENCE)

    async def _submit(self, waiting: deque[Take], card_hash: str) -> None:
        """Ask for as many as may be in flight. What the queue refuses, because it is full, goes on waiting."""
        takes = [waiting.popleft() for _ in range(min(self._most - len(self._flying), len(waiting)))]
        if not takes:
            return
        for author in {take.prompt.author for take in takes} - self._known:
            await self._consent(author)
        jobs = [self._job(take, card_hash) for take in takes]
        answers = await self._patiently(lambda: self._parts.queue.accept([Offer(job=job) for job in jobs]))
        refused = []
        for take, job, answer in zip(takes, jobs, answers, strict=True):
            if answer.what == What.FULL:
                refused.append(take)
            else:
                self._flying[job.id] = take
        waiting.extendleft(reversed(refused))

    async def _consent(self, author: str) -> None:
        first = await self._patiently(lambda: self._parts.privacy.consent(author, "operator", FILES))
        if first and not self._told:
            self._tell(FILES)
            self._told = True
        self._known.add(author)

    def _job(self, take: Take, card_hash: str) -> Generate:
        prompt, persona = take.prompt, self._persona
        platform, workspace, _, _ = persona.scope.split(":")
        name = f"file-{self._run}-{prompt.line}-{take.k}"
        place = Place(unquote(platform), unquote(workspace), name, kind=Kind.DM)
        author, now, seed = Person(prompt.author), time.time(), seed_for(self._seed, prompt.id, take.k)
        said = Line(name, author, prompt.text, now)
        return Generate(
            id=new_id(), reply_id=new_id(), persona=persona, conversation=persona.conversation(place), place=place,
            author=author, replies=self._session, card_hash=card_hash, events=(name,), submitted=now,
            lane=Lane.BACKGROUND, seed=seed, overrides={"seed": seed}, ephemeral=(said,),
        )  # fmt: skip

    async def _collect(self) -> list[tuple[Take, Done | str]]:
        """What came back, after waiting a little for something."""
        client, stream = self._parts.client, keys.REPLIES(self._session)
        entries = await self._patiently(lambda: client.read_stream(stream, self._after, LOOK))
        if not entries:
            return await self._lost()
        self._after = entries[-1][0]
        await self._patiently(lambda: client.do("XDEL", stream, *(entry for entry, _ in entries)))
        return [answer for _, body in entries for answer in self._answer(decode_result(body))]

    def _answer(self, result: Chunk | Done | Failed) -> Sequence[tuple[Take, Done | str]]:
        if isinstance(result, Chunk) or result.job not in self._flying:
            return ()
        take = self._flying.pop(result.job)
        return ((take, result if isinstance(result, Done) else result.reason),)

    async def _lost(self) -> list[tuple[Take, Done | str]]:
        """Jobs that nobody has any more, seen twice: somebody dropped them, or Redis lost its memory."""
        queue = self._parts.queue
        gone = {job for job in self._flying if await self._patiently(partial(queue.get, job)) is None}
        lost, self._missed = gone & self._missed, gone
        return [(self._flying.pop(job), "its job is no longer in the queue") for job in sorted(lost)]
