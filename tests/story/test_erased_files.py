"""Whoever is forgotten is gone from the files of our own Redis, too. A real server, real files."""

import time
from pathlib import Path
from typing import Any

import pytest

from bots.assemble import parts
from core import config
from core.errors import StoreError
from core.events import Command, Kind, Person, PersonaKey, Place
from core.memory import note
from core.store import keys, server
from core.store.damage import LOG, MANIFEST
from core.store.erasing import erase_log

SECRET = "xylophone-7431"
MIRA = PersonaKey("console:local", "mira", "console:local:user:me")


def times(home: Path) -> int:
    """How often it is in files that the server still counts on. (One that is of the past is just being removed.)"""
    folder = home / "redis" / LOG
    rows = [row.split() for row in (folder / MANIFEST).read_text("utf-8").splitlines()]
    return sum((folder / row[1]).read_bytes().count(SECRET.encode()) for row in rows if row[-1] != "h")


def standing(home: Path) -> bool:
    """Is it in any of them?"""
    return times(home) > 0


@pytest.mark.parametrize("embedded", [True, False])
async def test_the_words_of_who_is_forgotten_leave_the_files(embedded: bool, home: Path, redis_binary: Path) -> None:
    """Of our own server; a Redis of one's own is not told when to write its files."""
    url = server.ensure(home, redis_binary)
    given = {} if embedded else {"REDIS_URL": url}
    async with parts(config.load(given, home=home), url) as p:
        await p.memories.add(MIRA, [note("note/1", "I like bees", Person(f"console:local:{SECRET}", "Ben"), 1.0)])
        before = standing(home)
        await p.privacy.forget(f"console:local:{SECRET}")

    assert (True, not embedded) == (before, standing(home))


@pytest.mark.parametrize("embedded", [True, False])
async def test_what_is_forgotten_by_itself_leaves_the_files(embedded: bool, home: Path, redis_binary: Path) -> None:
    """`/forget that`: at once, but for the copy that may be had back for a day; after that, this too."""
    url = server.ensure(home, redis_binary)
    given = {} if embedded else {"REDIS_URL": url}
    async with parts(config.load(given, home=home), url) as p:
        desk = p.desk(p.engine())

        async def late(days: float) -> int:
            await p.privacy.erase_late(time.time() + days * keys.DAY)
            return times(home)

        await desk.answer(said("remember", SECRET))
        before = times(home)
        await desk.answer(said("forget", "that"))
        to_be_had_back = [times(home), await late(0.5), await late(1.5)]
        await p.client.do("DEL", *await p.client.scan(keys.MEMORY_BIN("*")))  # its day is over
        gone = await late(3)

    assert before
    assert ([1, 1, 1], 0) == (to_be_had_back, gone) if embedded else gone > before


def said(name: str, args: str) -> Command:
    """A command in the owner's terminal."""
    place, ben = Place("console", "local", "me", kind=Kind.DM), Person("console:local:me", "Ben")
    return Command(id=name, account="console:local", place=place, author=ben, time=1.0, name=name, args=args)


class Busy:
    """A server that is writing its log already, when it is first asked to."""

    def __init__(self, refusal: str) -> None:
        self.refusal, self.said = refusal, list[str]()

    async def do(self, *command: str) -> Any:
        self.said.append(command[0])
        if self.said == ["BGREWRITEAOF"]:
            raise StoreError(self.refusal)
        return {"aof_rewrite_in_progress": 0, "aof_rewrite_scheduled": 0, "aof_last_bgrewrite_status": "ok"}


async def test_a_rewriting_that_had_begun_before_does_not_count() -> None:
    """It is asked for once more. Any other refusal is raised."""
    busy, broken = Busy("Background append only file rewriting already in progress"), Busy("unknown command")

    assert await erase_log(busy)  # type: ignore[arg-type]
    assert ["BGREWRITEAOF", "BGREWRITEAOF", "INFO"] == busy.said
    with pytest.raises(StoreError):
        await erase_log(broken)  # type: ignore[arg-type]
