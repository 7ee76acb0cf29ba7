"""A talk in the terminal, from the typed line to the ledger: real Redis, and a worker that echoes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.console import ACCOUNT, PERSON, PLACE
from bots import up
from bots.assemble import Parts
from bots.commands.chat import Talk
from bots.run import beside
from core import config
from core.errors import LimenError
from core.events import Person, PersonaKey
from core.feedback import standing
from tests.fakes.commands import opened, working
from tests.fakes.screen import Sheet
from worker.echo import Echo

ROOT = Path(__file__).parents[2]
SCOPE = "console:local:user:me"
OWNER = Person(PERSON, "Tom")
BEN = Person(f"{ACCOUNT}:ben", "Ben")


@pytest.fixture
async def p(redis_url: str, home: Path) -> AsyncIterator[Parts]:
    async with opened(redis_url, home) as found:
        yield found


@asynccontextmanager
async def talking(
    p: Parts, persona: str = "mira", one_by_one: bool = False, who: Person = OWNER
) -> AsyncIterator[Sheet]:  # fmt: skip
    """Somebody at a terminal, until the block ends."""
    sheet = Sheet()
    task = asyncio.create_task(Talk(p, sheet, who, persona, one_by_one).run())
    await sheet.wait(lambda: sheet.said("greeting") or sheet.said("aside"))
    yield sheet
    sheet.type(None)
    await asyncio.wait_for(task, 20)


async def say(sheet: Sheet, text: str) -> str:
    """Say something, and what was replied."""
    count = len(sheet.said("reply"))
    sheet.type(text)
    await sheet.wait(lambda: len(sheet.said("reply")) > count)
    return sheet.said("reply")[-1]


async def ask(sheet: Sheet, text: str) -> str:
    """Ask something of limen, and the answer."""
    count = len(sheet.said("answer"))
    sheet.type(text)
    await sheet.wait(lambda: len(sheet.said("answer")) > count)
    return sheet.said("answer")[-1]


def conversation(card: str = "mira") -> str:
    return PersonaKey(ACCOUNT, card, SCOPE).conversation(PLACE)


async def said(p: Parts, card: str = "mira") -> list[str]:
    """What is kept of a talk."""
    return [line.text for line in await p.conversations.last(conversation(card), 100)]


async def ours(p: Parts, card: str = "mira") -> list[str]:
    """Ids of the replies in a talk."""
    return [line.reply_id for line in await p.conversations.last(conversation(card), 100) if line.ours]


async def test_a_message_is_answered_and_an_emoji_becomes_a_fact(p: Parts):
    """hi → reply → +👍 → a fact in the ledger → /unreact → nothing stands, and both facts are kept."""
    async with working(p), talking(p) as sheet:
        assert await say(sheet, "hi") == "mira: I heard 1 lines. You said: hi"
        assert await ask(sheet, "+👍🏽") == "👍 on “I heard 1 lines. You said: hi”"

        (reply_id,) = await ours(p)
        entry = await p.ledger.get(reply_id)
        assert entry is not None
        assert [(fact.user, fact.emoji) for fact in standing(entry.facts)] == [(PERSON, "👍")]
        assert entry.messages[-1].content == "hi"

        await ask(sheet, "/unreact")
        entry = await p.ledger.get(reply_id)
        assert entry is not None
        assert standing(entry.facts) == []
        assert [fact.removed for fact in entry.facts] == [False, True]


async def test_the_wording_of_consent_is_shown_once(p: Parts):
    """At first use; and a friend is welcomed back."""
    async with working(p), talking(p) as first:
        await say(first, "hi")
    async with talking(p) as second:
        pass
    assert "may train this persona on this machine" in first.said("aside")[0]
    assert len(first.said("greeting")) == 1
    assert second.said("aside") == ["Captain Mira Flint remembers 2 messages. Welcome back."]
    assert await p.privacy.basis(PERSON) == "operator"


async def test_a_guest_is_asked_and_nobody_answers_for_them(p: Parts):
    """Once, in the persona's voice. Who had all forgotten, a no as well, is asked anew: no yes comes of it."""
    async with working(p), talking(p, who=BEN) as sheet:
        await sheet.wait(lambda: sheet.said("aside"))
        before = await ask(sheet, "/privacy")
        await ask(sheet, "/privacy train no")
    async with talking(p, who=BEN) as again:
        no = await ask(again, "/privacy")
        await ask(again, "/forget everything yes")
    async with talking(p, who=BEN) as anew:
        await anew.wait(lambda: anew.said("aside"))
        after = await ask(anew, "/privacy")

    assert p.card("mira").consent.strip() in sheet.said("aside")[0]
    assert "/privacy train yes" in sheet.said("aside")[0]
    assert [1, 0, 1] == [sum("Yes means" in text for text in one.said("aside")) for one in (sheet, again, anew)]
    assert ["Training this character here on it: not allowed"] * 3 == [
        said.splitlines()[2].split(" since")[0].split(". ")[0] for said in (before, no, after)
    ]
    assert "" == await p.privacy.basis(BEN.id)


async def test_an_owner_who_said_no_is_asked_once_that_is_forgotten(p: Parts):
    """The statement that stood in for them does so no more; what they say then holds."""
    async with working(p), talking(p) as sheet:
        await ask(sheet, "/privacy train no")
        await ask(sheet, "/forget everything yes")
    async with talking(p) as anew:
        await anew.wait(lambda: "Yes means" in " ".join(anew.said("aside")))
        forgotten = await p.privacy.basis(PERSON)
        await ask(anew, "/privacy train yes")
    async with talking(p) as later:
        pass

    assert ("", "asked") == (forgotten, await p.privacy.basis(PERSON))
    assert "may train this persona on this machine" not in " ".join(anew.said("aside"))
    assert "Yes means" not in " ".join(later.said("aside"))


async def test_another_reply_takes_the_place_of_the_last(p: Parts):
    """It has an id and ratings of its own; the first one stays in the ledger."""
    async with working(p, Echo(words=2)), talking(p) as sheet:
        await say(sheet, "hi")
        (first,) = await ours(p)
        await ask(sheet, "+👎")
        await say(sheet, "/regenerate")
        (second,) = await ours(p)
        assert second != first
        entries = await p.ledger.entries([first, second])
        assert [len(entry.facts) for entry in entries] == [1, 0]
        assert (await said(p))[0] == "hi"
        assert len(await said(p)) == 2


async def test_an_emoji_on_a_growing_reply_lands_when_it_is_whole(p: Parts):
    """It is parked until then."""
    async with working(p, Echo(delay=0.02, words=60)), talking(p) as sheet:
        sheet.type("hi")
        await sheet.wait(lambda: sheet.drafts)
        assert "is saying" in await ask(sheet, "+🎉")
        await sheet.wait(lambda: sheet.said("reply"))
        (reply_id,) = await ours(p)
        async with asyncio.timeout(10):
            while not (await p.ledger.entries([reply_id]))[0].facts:
                pass
        assert [fact.emoji for fact in (await p.ledger.entries([reply_id]))[0].facts] == ["🎉"]


async def test_a_reply_can_be_stopped(p: Parts):
    """What was said until then is shown and kept; a second /stop has nothing to stop."""
    async with working(p, Echo(delay=0.02, words=500)), talking(p) as sheet:
        sheet.type("hi")
        await sheet.wait(lambda: sheet.drafts)
        assert (await say(sheet, "/stop")).endswith("(stopped)")
        assert len((await said(p))[1]) < 3000
        sheet.type("/stop")
        await sheet.wait(lambda: sheet.said("complaint"))
        assert sheet.said("complaint") == ["Nothing is being written."]


async def test_a_message_can_be_stopped_before_anybody_answers(p: Parts):
    """Without a worker, too."""
    async with talking(p) as sheet:
        sheet.type("hi")
        await sheet.wait(lambda: sheet.jobs == 1)
        assert await say(sheet, "/stop") == "mira: (stopped)"
        assert sheet.jobs == 0


async def test_each_character_has_its_own_memory(p: Parts):
    """/switch keeps their histories apart, is kept for next time, and works in the middle of a talk."""
    async with working(p), talking(p) as sheet:
        await say(sheet, "my name is Tom")
        sheet.type("/switch orrin")
        await sheet.wait(lambda: len(sheet.said("greeting")) == 2)
        assert await say(sheet, "hi") == "orrin: I heard 1 lines. You said: hi"
        sheet.type("/switch mira")
        await sheet.wait(lambda: len(sheet.said("aside")) == 2)
        assert await say(sheet, "hi") == "mira: I heard 2 lines. You said: hi"
    assert await said(p, "orrin") == ["hi", "I heard 1 lines. You said: hi"]
    assert await p.personas.chosen(ACCOUNT, [SCOPE]) == ["mira"]


async def test_forgetting_erases_the_talk_and_what_waits(p: Parts):
    """Only after a yes; and nothing hangs for a message that is gone."""
    async with talking(p) as sheet:
        async with working(p):
            await say(sheet, "my secret")
            await ask(sheet, "+👍")
        sheet.type("another secret")
        await sheet.wait(lambda: sheet.jobs == 1)
        assert "/forget yes" in await ask(sheet, "/forget")
        assert len(await said(p)) == 3
        assert await ask(sheet, "/forget yes") == "Forgotten: 2 messages, 1 replies, 1 ratings."
        await sheet.wait(lambda: sheet.jobs == 0)
        assert sheet.said("reply")[-1] == "mira: (withdrawn)"
    assert await said(p) == []
    assert await p.queue.all() == []
    assert await p.ledger.about(PERSON) == ([], [])


def exported(home: Path) -> dict[str, Any]:
    """The one export there is."""
    (file,) = home.glob("export-*.json")
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found


async def test_an_export_holds_what_was_said(p: Parts, home: Path):
    """As JSON, in the home."""
    async with working(p), talking(p) as sheet:
        await say(sheet, "remember the lighthouse")
        await ask(sheet, "/export")
    data = exported(home)
    assert "remember the lighthouse" in json.dumps(data["conversations"])
    assert len(data["replies"]) == 1


async def test_two_terminals_do_not_take_each_others_replies(p: Parts):
    """Each has its own stream and its own character, at the same time."""
    async with working(p, Echo(delay=0.005, words=20)), talking(p, "mira") as one, talking(p, "orrin") as two:
        one.type("first")
        two.type("second")
        await one.wait(lambda: one.said("reply"))
        await two.wait(lambda: two.said("reply"))
        await say(one, "third")
    assert [row.split(" ")[0] for row in one.said("reply")] == ["mira:", "mira:"]
    assert [row.split(" ")[0] for row in two.said("reply")] == ["orrin:"]
    assert {card for card, _, _ in one.drafts} == {"mira"}
    assert {card for card, _, _ in two.drafts} == {"orrin"}


async def test_switching_in_one_terminal_leaves_the_other_alone(p: Parts):
    """Each keeps to the character it began with."""
    async with working(p), talking(p) as one, talking(p) as two:
        one.type("/switch orrin")
        await one.wait(lambda: len(one.said("greeting")) == 2)
        assert (await say(one, "hi")).startswith("orrin:")
        assert (await say(two, "hi")).startswith("mira:")


async def test_a_message_that_is_too_long_is_refused_and_given_back(p: Parts):
    """With its length and the limit."""
    async with talking(p) as sheet:
        sheet.type("x" * 200_000)
        await sheet.wait(lambda: sheet.returned)
        assert sheet.said("complaint") == ["That is 200,000 characters; I can take in 20,000 at once."]
        assert sheet.jobs == 0


async def test_a_full_queue_says_so_and_gives_the_message_back(redis_url: str, home: Path):
    """The person can try again."""
    settings = config.load(
        {"REDIS_URL": redis_url, "LIMEN_QUEUE__MAX_DEPTH": "1", "LIMEN_ATTENTION__QUICK_SECONDS": "0"}, home=home
    )
    async with opened(redis_url, home) as base:
        p = Parts(settings, base.client)
        async with talking(p) as sheet:
            sheet.type("one", "two")
            await sheet.wait(lambda: sheet.returned)
            assert sheet.returned == ["two"]
            assert "long line" in sheet.said("complaint")[0]
            await say(sheet, "/stop")


async def test_the_queue_and_the_worker_show_in_the_status(p: Parts):
    """No worker yet, then a ready one."""
    async with talking(p) as sheet:
        sheet.type("hi")
        await sheet.wait(lambda: sheet.status and sheet.status.waiting == 1)
        assert (sheet.status.worker, sheet.status.place, sheet.status.lora) == ("none", 1, "base")
        async with working(p):
            await sheet.wait(lambda: sheet.status.worker == "ready")


async def test_a_terminal_is_present_until_it_is_closed(p: Parts):
    """A worker stays awake for it."""
    async with talking(p) as sheet:
        await sheet.wait(lambda: sheet.status)
        async with asyncio.timeout(10):
            while not await p.presence.anyone():
                pass
    assert not await p.presence.anyone()


async def test_what_fails_beside_the_talk_ends_it():
    """With its own error; and what ran beside is ended, however stubborn."""
    ended = []

    async def forever() -> None:
        for _ in range(2):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ended.append("told")
        raise asyncio.CancelledError

    async def fails() -> None:
        raise LimenError("no worker")

    with pytest.raises(LimenError, match="no worker"):
        await beside(forever(), fails())
    assert ended == ["told", "told"]


# The command itself, in a process of its own.


@pytest.fixture
def environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """What `limen chat` needs to echo, in a home whose processes end with the test."""
    kept = {name: value for name, value in os.environ.items() if name not in ("REDIS_URL", "NO_COLOR")}
    yield {**kept, "LIMEN_HOME": str(home), "LIMEN_TESTING": "1", "LIMEN_MODEL__REF": "echo:0.005x10"}
    asyncio.run(up.down(config.load({"LIMEN_HOME": str(home)})))


def chat(environment: dict[str, str], typed: str | bytes, *args: str) -> subprocess.CompletedProcess[str]:
    """`printf TYPED | limen chat ARGS`"""
    data = typed if isinstance(typed, bytes) else typed.encode()
    ran = subprocess.run(
        [sys.executable, "-m", "bots", "chat", *args],
        input=data,
        capture_output=True,
        env=environment,
        cwd=ROOT,
        timeout=60,
    )
    return subprocess.CompletedProcess(ran.args, ran.returncode, ran.stdout.decode(), ran.stderr.decode())


def test_a_scripted_talk_is_answered_line_by_line(environment: dict[str, str]):
    """From nothing, with everything started; the next talk remembers it, and whose words are whose if another sits
    there by now; a failure is in the exit status."""
    first = chat(environment, b"hi \xff\n\n+\xf0\x9f\x91\x8d\nagain\n/quit\nnever\n", "--persona", "orrin", "--plain")
    rows = first.stdout.splitlines()
    assert first.returncode == 0, first.stderr
    assert len(rows) == 3
    assert rows[0].startswith("orrin: I heard 1 lines. You said: hi \ufffd ")
    assert rows[1].startswith("👍 on “I heard 1 lines.")
    assert rows[2].startswith("orrin: I heard 2 lines. You said: again ")

    second = chat(environment, "/nonsense\nstill there?", "--name", "Tom")
    assert second.returncode == 1
    assert second.stdout.startswith("orrin: I heard 3 lines. You said: Tom: still there? ")
    assert len(second.stdout.splitlines()) == 1
    assert "remembers 4 messages" in second.stderr
    assert "limen: There is no /nonsense" in second.stderr


def test_an_unknown_persona_starts_nothing(environment: dict[str, str], home: Path):
    """It is told with what was probably meant, and the names there are."""
    ran = chat(environment, "hi\n", "--persona", "mirra")
    assert ran.returncode == 1
    assert "mira" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert list(home.iterdir()) == []


@asynccontextmanager
async def half_way(environment: dict[str, str], home: Path) -> AsyncIterator["asyncio.subprocess.Process"]:
    """A scripted talk whose first reply has begun. At the end of the block it has come, once and whole."""
    talk = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bots", "chat", "--plain",
        cwd=ROOT, env={**environment, "LIMEN_MODEL__REF": "echo:0.03x60"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert talk.stdin is not None
    talk.stdin.write(b"hi\n")
    async with asyncio.timeout(30):
        while not (url := await up.redis_url_if_running(config.load({}, home=home))):
            await asyncio.sleep(0.05)
        async with opened(url, home) as p:
            while not (await p.queue.depths()).leased:
                await asyncio.sleep(0.05)
    yield talk
    out, err = await asyncio.wait_for(talk.communicate(b"still there?\n"), 60)
    first, second = out.decode().splitlines()
    assert first.startswith("mira: I heard 1 lines. You said: hi ")
    assert len(first.split()) == 68
    assert second.startswith("mira: I heard 2 lines. You said: still there? ")
    assert talk.returncode == 0, err


async def test_a_worker_that_is_killed_costs_no_reply(environment: dict[str, str], home: Path):
    """Another one begins it anew; the reply comes once, whole."""
    async with half_way(environment, home):
        os.kill(up.worker_pid(home), signal.SIGKILL)


async def test_a_redis_that_is_killed_costs_no_talk(environment: dict[str, str], home: Path):
    """It is brought back, and nothing is lost."""
    async with half_way(environment, home):
        os.kill(int((home / "redis" / "redis.pid").read_text()), signal.SIGKILL)
