"""What a talk must bear without being broken: people who write in emoji only or in any script, clocks that jump, and
processes that write one persona's state at the same time."""

import asyncio
import json
import math
import sys
import time
from collections.abc import AsyncIterator

import msgspec
import pytest

from bots.collisions import ROOT
from core.commands.desk import Answer
from core.engine import new_id
from core.events import Command, PersonaKey
from core.personality import State, bond, replay
from tests.fakes.families import FAMILIES, tokenizer
from tests.fakes.house import ANN, BOB, BOT, DM, House, house_at, quick, react, say
from worker.embed import HashEmbedder
from worker.embedding import Embedding
from worker.recall import Recall
from worker.render import Renderer

MIRA = PersonaKey(BOT, "mira", "discord:77:user:ann")
EMOJI = ("🦜", "🦀🦀🦀", "❤️‍🔥", "👨‍👩‍👧‍👦", "🏴‍☠️ ⛵ 🌊", "👍🏽", "🇵🇹🇯🇵", "1️⃣2️⃣3️⃣", "☺︎", "🫠")
TONGUES = {
    "Meu papagaio chama-se Pimenta, e não fala.": "papagaio", "Mein Kater heißt Schröder und schläft.": "Kater",
    "Мою собаку зовут Жучка.": "собаку", "私の猫の名前はタマです。": "猫", "我的狗叫小白。": "狗",
    "내 고양이 이름은 나비예요.": "고양이", "اسم قطتي ياسمين": "قطتي", "שם הכלב שלי הוא רקס": "הכלב",
    "मेरी बिल्ली का नाम मीना है।": "बिल्ली", "แมวของฉันชื่อมะลิ": "แมว",
    "Η γάτα μου λέγεται Ψιψίνα.": "γάτα",  # noqa: RUF001
    "Con mèo của tôi tên là Miu.": "mèo", "İstanbul'da yaşıyorum, kedim Işık.": "kedim",  # noqa: RUF001
}  # fmt: skip


@pytest.fixture
async def house(redis_url: str) -> AsyncIterator[House]:
    """A house with a memory."""
    async with house_at(redis_url, quick()) as house:
        embedding = Embedding(HashEmbedder)
        assert await embedding.ready()
        house.recall = Recall(house.p.memories, embedding)
        yield house


async def order(house: House, name: str, args: str = "") -> Answer:
    """What a command answers Ann."""
    command = Command(id=new_id(), account=BOT, place=DM, author=ANN, time=time.time(), name=name, args=args)
    return await house.p.desk(house.engine).answer(command)


async def alive(house: House) -> State:
    """The personality, in which every number is one."""
    state = await house.p.growth.state(MIRA, house.p.card("mira"))
    known = bond(state, ANN.id, time.time())
    numbers = [*state.traits.values(), *state.mood, *known, *state.drift.values()]

    assert all(map(math.isfinite, numbers))
    assert all(0 <= value <= 1 for value in state.traits.values())
    assert 0 <= known[0] <= 1
    assert -1 <= known[1] <= 1
    return state


async def test_emoji_alone_are_talk(house: House) -> None:
    """Each is answered, kept as it was sent, and shown as it was sent to the model; moods stay numbers."""
    async with house.at_work():
        replies = await house.talk(*(say(text, at, where=DM) for at, text in enumerate(EMOJI)))
        told = await house.prompt(replies[-1].reply_id)
        await alive(house)
        seen = (await order(house, "history", "50")).text

    lines = await house.p.conversations.last(MIRA.conversation(DM), 99)
    assert [*EMOJI] == [line.text for line in lines if not line.ours]
    assert all(text in told and text in seen for text in EMOJI)


async def test_any_tongue_is_talk_and_is_remembered(house: House) -> None:
    """A word of it, in its own script, brings back what was said, whoever asks in another room of the same scope."""
    async with house.at_work():
        await house.talk(*(say(text, at, where=DM) for at, text in enumerate(TONGUES)))
        await alive(house)
        assert house.recall
        found = {word: await house.recall.search(MIRA, word, 5) for word in TONGUES.values()}
        listed = {word: (await order(house, "memory", word)).text for word in TONGUES.values()}

    for text, word in TONGUES.items():
        assert text in [hit.memory.text for hit in found[word]], word
        assert text in listed[word], word


def test_no_script_is_taken_apart() -> None:
    """What keeps control tokens away leaves everything else as it is, for every family of models."""
    for family in FAMILIES:
        renderer = Renderer(tokenizer(family), 1000)
        assert [*EMOJI, *TONGUES] == [renderer.safe(text) for text in (*EMOJI, *TONGUES)]


YEAR = 365.0 * 86_400
JUMPS = (0.0, -YEAR, 20 * YEAR, 19 * YEAR, -30 * YEAR, 3600.0, 0.0)


async def test_a_clock_that_jumps_costs_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Back and forth by years: all is answered, in its order; numbers stay numbers, and everything can be shown."""
    real, off = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + off[0])
    async with house.at_work():
        for at, jump in enumerate(JUMPS):
            off[0] = jump
            said = msgspec.structs.replace(say(f"My parrot is number {at}", at, where=DM), time=time.time())
            (done,) = await house.talk(said)
            await house.engine.on_reaction(
                msgspec.structs.replace(react(done.reply_id, "👍", where=DM), time=time.time())
            )
            await alive(house)
            assert done.text.endswith(f"My parrot is number {at}")
        answers = {
            name: await order(house, name) for name in ("why", "history", "memory", "persona", "export", "privacy")
        }
        state = await alive(house)

    lines = [line.text for line in await house.p.conversations.last(MIRA.conversation(DM), 99) if not line.ours]
    changes = [entry.change for entry in await house.p.growth.store.history(MIRA)]
    assert [f"My parrot is number {at}" for at in range(len(JUMPS))] == lines
    assert {} == {name: answer.text for name, answer in answers.items() if answer.error}
    assert msgspec.msgpack.encode(replay(State(), changes)) == msgspec.msgpack.encode(state)
    assert json.dumps(answers["export"].data)


WRITER = """
import asyncio, os, sys
from bots.assemble import parts
from core.growth.changes import Talked
from core.events import Person, PersonaKey, Place
from core.memory import Memory
from core.settings import Settings

async def main(name, url, start):
    persona = PersonaKey("discord:b1", "mira", "discord:77:user:ann")
    async with parts(Settings(), url) as p:
        print("ready", flush=True)
        sys.stdin.readline()
        for at in range(40):
            await p.growth.tune(persona, p.card("mira"), name, "warmth", 0.001)
            await p.memories.add(persona, [Memory(id=f"{name}-{at}", text=f"{name} says {at}", time=float(at),
                                                  author=Person(name, name))])

asyncio.run(main(*sys.argv[1:]))
"""


async def test_two_processes_write_one_state_and_nothing_is_lost(house: House) -> None:
    """Every change of both is in the history, which replays to the same state bit for bit; so is every memory."""
    names = [ANN.id, BOB.id]
    both = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", WRITER, name, house.p.client.url, "", cwd=ROOT, stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for name in names
    ]  # fmt: skip
    for one in both:
        assert one.stdout
        assert b"ready\n" == await one.stdout.readline()
    ended = await asyncio.gather(*(one.communicate(b"\n") for one in both))
    state = await house.p.growth.state(MIRA, house.p.card("mira"))
    changes = [entry.change for entry in await house.p.growth.store.history(MIRA)]
    memories = [memory.id for memory in await house.p.memories.every(MIRA)]

    assert [0, 0] == [one.returncode for one in both], ended
    assert dict.fromkeys(names, 40) == {name: sum(one.person == name for one in changes) for name in names}
    assert len(changes) == state.events
    assert msgspec.msgpack.encode(replay(State(), changes)) == msgspec.msgpack.encode(state)
    assert {f"{name}-{at}" for name in names for at in range(40)} <= {*memories}
