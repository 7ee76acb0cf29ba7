"""Texts that a character may look things up in: brought by a command, found by meaning, cited, and taken away again."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import pytest

from bots import shelving
from core.events import Command
from core.store import keys
from core.store.knowledge import Knowledge, read
from tests.fakes.commands import limen, meanwhile
from tests.fakes.house import ANN, BOT, ROOM, House, house_at, quick, say
from tests.fakes.jobs import until
from worker.embed import HashEmbedder, Vectors
from worker.judge import Judge
from worker.nearness import Nearness
from worker.shelf import Shelf

TIDES = """# Tides of the bay

High water at Skerry Point comes fifty minutes later each day.

The lowest tide of the year bares the wreck of the Marigold.

# Lamps

The lamp burns whale oil.
"""


class Slow(HashEmbedder):
    """Another embedder, by its name."""

    def __init__(self) -> None:
        super().__init__(64)
        self.id = "other-64"

    def embed(self, texts: Sequence[str]) -> Vectors:
        return super().embed(texts)


@pytest.fixture
async def house(redis_url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """A house whose persona has a shelf."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("LIMEN_HOME", str(home))
    (home / "tides.md").write_text(TIDES, encoding="utf-8")
    async with house_at(redis_url, msgspec.structs.replace(quick(), home=home, persona="orrin")) as house:
        house.judge = Judge(house.p.conversations, Nearness(HashEmbedder()), shelf=Shelf(Knowledge(house.p.client)))
        yield house


async def sources(house: House, args: str = "") -> str:
    command = Command(id=f"c-{args}", account=BOT, place=ROOM, author=ANN, time=1001.0, name="sources", args=args)
    return (await house.p.desk(house.engine).answer(command)).text


async def has_vectors(house: House, embedder: str) -> bool:
    return bool(await Knowledge(house.p.client).vectors("orrin", embedder))


async def test_a_text_is_found_and_cited(house: House, home: Path) -> None:
    """From the command to the prompt, and what /sources shows of it; once removed, it is drawn on no more."""
    added = await meanwhile("persona", "knowledge", "add", "orrin", home / "tides.md")
    question = "High water at Skerry Point comes later each day, and the lowest tide of the year bares what?"
    async with house.at_work():
        (early,) = await house.talk(say(question, 1))
        await until(lambda: has_vectors(house, HashEmbedder().id))
        (cited,) = await house.talk(say(question, 2))
        shown, before = await sources(house), await sources(house, "2")
        removed = await meanwhile("persona", "knowledge", "remove", "orrin", "tides.md")
        (after,) = await house.talk(say(question, 3))

    assert "tides.md: 2 passages" in added.out
    assert 'From tides.md: "Tides of the bay: High water' in await house.prompt(cited.reply_id)
    assert "tides.md#1: Tides of the bay: High water" in shown
    assert "drew on" in before
    assert "tides.md is gone" in removed.out
    assert "From tides.md" not in await house.prompt(after.reply_id)
    assert early.reply_id != cited.reply_id


async def test_another_embedder_reads_it_anew(house: House) -> None:
    """Vectors of two embedders are never compared."""
    shelf = Knowledge(house.p.client)
    await shelf.add("orrin", read("tides.md", TIDES, 1.0))
    for embedder in (HashEmbedder(), Slow()):
        nearness, place = Nearness(embedder), Shelf(shelf)
        heard = nearness.heard("the lowest tide of the year")
        await place.find("orrin", heard, nearness)
        await place.ready("orrin")
        (best, *_) = await place.find("orrin", heard, nearness)
        assert "Marigold" in best.text

    assert 2 == len(set(await house.p.client.scan(keys.PASSAGES("orrin", "*"))))


class Beside(HashEmbedder):
    """Works where nobody waits."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        assert threading.current_thread() is not threading.main_thread()
        return super().embed(texts)


async def test_nothing_is_compared_where_everybody_waits(house: House) -> None:
    """Not even the first time, when it must be found out how near two questions are anyway."""
    shelf, nearness = Knowledge(house.p.client), Nearness(Beside())
    await shelf.add("orrin", read("tides.md", TIDES, 1.0))
    heard = await asyncio.to_thread(nearness.heard, "The lamp burns whale oil.")
    for place in (Shelf(shelf), Shelf(shelf)):
        await place.find("orrin", heard, nearness)
        await place.ready("orrin")
        found = await place.find("orrin", heard, nearness)

    assert ["tides.md"] == [passage.file for passage in found][:1]


async def test_trying_a_card_sees_what_its_first_talk_would(house: House, home: Path) -> None:
    """Without a scope, too: what was brought by hand, with the vectors that a worker has made, and it keeps none."""
    await meanwhile("persona", "knowledge", "add", "orrin", home / "tides.md")
    question = "The lowest tide of the year bares the wreck of the Marigold?"

    said = await meanwhile("persona", "try", "orrin", question, "--json", LIMEN_MODEL__REF="echo:")

    assert ["tides.md#1"] == [one["from"] for one in json.loads(said.out)["passages"]]
    assert [] == await house.p.client.scan(keys.PASSAGES("orrin", "*"))


async def test_shelves_are_walls(house: House) -> None:
    """What one character may look up, another does not see."""
    shelf = Knowledge(house.p.client)
    await shelf.add("orrin", read("tides.md", TIDES, 1.0))
    nearness, place = Nearness(HashEmbedder()), Shelf(shelf)
    heard = nearness.heard("High water at Skerry Point")
    await place.find("mira", heard, nearness)

    assert () == await place.find("mira", heard, nearness)


async def test_a_card_brings_its_own_texts(house: House, home: Path) -> None:
    """As they are when a bot starts; what the card no longer names goes, what a command brought stays."""
    (home / "personas").mkdir()
    card = home / "personas" / "ada.yaml"
    (home / "personas" / "trains.txt").write_text("The night train leaves at ten.", encoding="utf-8")
    text = "name: ada\ntitle: Ada\ndescription: You drive a train.\n"
    card.write_text(f"{text}knowledge: {{files: [trains.txt, missing.txt]}}\n", encoding="utf-8")
    await meanwhile("persona", "knowledge", "add", "ada", home / "tides.md")

    await shelving.bring(house.p)
    both = [(file.name, file.of_card) for file in await Knowledge(house.p.client).files("ada")]
    refused = await meanwhile("persona", "knowledge", "remove", "ada", "trains.txt")
    kept = [file.name for file in await Knowledge(house.p.client).files("ada")]
    card.write_text(text, encoding="utf-8")
    await shelving.bring(house.p)
    left = [file.name for file in await Knowledge(house.p.client).files("ada")]

    assert [("tides.md", False), ("trains.txt", True)] == both
    assert (1, True) == (refused.status, "take it out of `knowledge.files`" in refused.err), "it would come back"
    assert ["tides.md", "trains.txt"] == kept
    assert ["tides.md"] == left


async def test_the_list_names_what_there_is(house: House, home: Path) -> None:
    """For people and for machines."""
    empty = await meanwhile("persona", "knowledge", "list", "orrin")
    await meanwhile("persona", "knowledge", "add", "orrin", home / "tides.md")
    rows = json.loads((await meanwhile("persona", "knowledge", "list", "orrin", "--json")).out)

    assert "orrin has no texts" in empty.out
    assert [("tides.md", 2)] == [(row["name"], row["passages"]) for row in rows]


@pytest.mark.parametrize(
    ("name", "body", "trouble"),
    [
        ("a.pdf", b"x", "does not end in .txt or .md"),
        ("a.txt", b"\xff\xfe\x00x", "is not UTF-8 text"),
        ("a.txt", b"a\0b", "holds NUL bytes"),
        ("a.txt", b"  \n\n", "there is nothing in"),
        ("a.md", b"word " * 50_000, "has more than 200,000 characters"),
        ("none.txt", None, "cannot be read"),
    ],
)
def test_what_is_no_text_is_refused(
    name: str, body: bytes | None, trouble: str, home: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what is wrong, before anything is kept."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("LIMEN_HOME", str(home))
    if body is not None:
        (home / name).write_bytes(body)

    said = limen("persona", "knowledge", "add", "orrin", home / name)

    assert (1, True) == (said.status, trouble in said.err)
