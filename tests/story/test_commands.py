"""The commands that look at a home, tidy it up, and give people what is theirs."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bots.assemble import Parts
from core.events import Person, PersonaKey
from core.memory import note
from core.store import server
from core.store.queue import Offer
from tests.fakes.commands import jsonl, limen, loaded, meanwhile, opened, working
from tests.fakes.jobs import job

MIRA = PersonaKey("console:local", "mira", "console:local:user:me")


@pytest.fixture
def _here(redis_url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("LIMEN_HOME", str(home))


@pytest.fixture
async def p(redis_url: str, home: Path, _here: None) -> AsyncIterator[Parts]:
    async with opened(redis_url, home) as found:
        yield found


@pytest.fixture
def alone(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home where nothing runs."""
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("LIMEN_HOME", str(home))
    return home


async def die(p: Parts, *names: str) -> None:
    """Jobs that fail for good."""
    await p.queue.accept([Offer(job=job(name, name)) for name in names])
    for claim in (await p.queue.claim("worker", 10))[0]:
        await p.queue.fail(claim, f"no {claim.job.id}", final=True)


@pytest.mark.parametrize("asked", [["status"], ["deadletters", "list"], ["deadletters", "requeue", "--all"]])
def test_looking_starts_nothing(asked: list[str], alone: Path):
    """Where nothing runs, it is said, with the next step; the status is 1, and the home stays empty."""
    said = limen(*asked)

    assert (1, True) == (said.status, "`limen up` starts" in said.out + said.err)
    assert [] == list(alone.iterdir())


def test_doctor_starts_nothing_either(alone: Path):
    """It says what would be started, and leaves the home as it is."""
    said = limen("doctor", "--json")

    checks = {check["name"]: check for check in json.loads(said.out)["checks"]}
    assert ("ok", True) == (checks["Redis"]["state"], "not running" in checks["Redis"]["said"])
    assert [] == list(alone.iterdir())


def test_status_finds_the_redis_of_the_home(alone: Path):
    """One that `limen up` started is found by its socket."""
    server.ensure(alone)

    seen = json.loads(limen("status", "--json").out)

    assert (True, str(alone)) == (seen["running"], seen["home"])
    assert f"unix://{alone}/redis/redis.sock" == seen["redis"]["url"]
    assert seen["redis"]["memory_bytes"] > 100_000
    assert seen["disk"]["home_bytes"] > 0


async def test_status_shows_queue_workers_and_terminals(p: Parts):
    """Every number that an operator asks for, in 80 columns."""
    await die(p, "lost")
    await p.presence.here("session")
    async with working(p):
        seen = json.loads((await meanwhile("status", "--json")).out)
        page = await meanwhile("status")

    assert {"live": 0, "background": 0, "conversations": 0, "delayed": 0, "leased": 0, "dead": 1} == seen["queue"]
    assert [("ready", "echo:", "none", "0")] == [
        tuple(worker[key] for key in ("state", "model", "device", "jobs")) for worker in seen["workers"]
    ]
    assert 1 == seen["talking"]
    assert 0 == page.status
    assert "1 dead letter" in page.out
    assert "ready · 0 jobs" in page.out
    assert max(map(len, page.out.splitlines())) <= 80


async def test_a_password_is_never_shown(p: Parts):
    """Neither by status nor by doctor, even where Redis refuses it."""
    address = "redis://somebody:hunter2@127.0.0.1:1/0"
    for command in ("status", "doctor"):
        said = await meanwhile(command, REDIS_URL=address)

        assert (1, False) == (said.status, "hunter2" in said.out + said.err)


async def test_dead_letters_are_listed_shown_and_dropped(p: Parts):
    """Oldest first, with the reason; one that is dropped is gone."""
    await die(p, "one", "two")

    listed = await meanwhile("deadletters", "list", "--json")
    shown = await meanwhile("deadletters", "show", "one")
    dropped = await meanwhile("deadletters", "drop", "one")

    assert [("one", "no one"), ("two", "no two")] == [(row["id"], row["reason"]) for row in json.loads(listed.out)]
    assert "e-one" == json.loads(shown.out)["job"]["events"][0]
    assert 0 == dropped.status
    assert ["two"] == [letter.job.id for letter in await p.queue.dead()]
    assert max(map(len, (await meanwhile("deadletters", "list")).out.splitlines())) <= 80


async def test_dead_letters_are_tried_again(p: Parts):
    """By id or all; with no worker there, that is said too."""
    await die(p, "one", "two", "three")

    one = await meanwhile("deadletters", "requeue", "one")
    rest = await meanwhile("deadletters", "requeue", "--all")

    assert ("1 job back in the queue. No worker is running; `limen up` starts one.\n", 0) == (one.out, one.status)
    assert "2 jobs back" in rest.out
    assert (0, 3) == ((await p.queue.depths()).dead, (await p.queue.depths()).live)


@pytest.mark.parametrize("act", ["show", "drop", "requeue"])
async def test_an_id_that_is_no_dead_letter_is_told(act: str, p: Parts):
    """A clear error, and nothing is done to the others."""
    await die(p, "one")

    said = await meanwhile("deadletters", act, "won")

    assert (1, True) == (said.status, "no dead letter is called won" in said.err)
    assert 1 == (await p.queue.depths()).dead


async def test_a_person_gets_all_that_is_kept_of_them(p: Parts, home: Path):
    """Messages, replies, ratings and consent as JSON, in a file that is theirs alone to read."""
    source = jsonl(home / "in.jsonl", {"id": 1, "author": "anna", "text": "Grüß dich"})
    async with working(p):
        await meanwhile("generate", "--in", source, "--out", home / "out.jsonl")
    reply = loaded(home / "out.jsonl")[0]["reply_id"]
    await meanwhile("feedback", "import", jsonl(home / "r.jsonl", {"reply_id": reply, "user": "anna", "emoji": "👍"}))

    printed = json.loads((await meanwhile("export", "--user", "anna")).out)
    filed = await meanwhile("export", "--user", "anna", "--out", home / "anna.json")

    assert [reply] == [row["reply_id"] for row in printed["replies"]]
    assert [("👍", False)] == [(row["emoji"], row["removed"]) for row in printed["ratings"]]
    assert "operator" == printed["consent"]["basis"]
    assert printed == json.loads((home / "anna.json").read_text("utf-8"))
    assert "Grüß dich" in (home / "anna.json").read_text("utf-8")
    assert "1 reply, 1 rating, 0 memories, in " in filed.err


async def test_of_a_stranger_nothing_is_kept(p: Parts):
    """That is said, and is no error."""
    said = await meanwhile("export", "--user", "nobody")

    assert (0, "Nothing is kept of 'nobody'.\n") == (said.status, said.err)


async def test_what_is_only_remembered_of_somebody_is_kept_of_them(p: Parts, home: Path):
    """Nobody is told that there is nothing while there is."""
    await p.memories.add(MIRA, [note("note/1", "Ben likes bees", Person("console:local:ben", "Ben"), 1.0)])

    said = await meanwhile("export", "--user", "console:local:ben", "--out", home / "ben.json")

    assert (0, False) == (said.status, "Nothing is kept" in said.err)
    assert "0 replies, 0 ratings, 1 memory, in " in said.err
    assert "bees" in (home / "ben.json").read_text("utf-8")


async def test_an_id_that_is_written_otherwise_is_named(p: Parts):
    """By what gives and by what erases: else it seems that there is nothing to erase."""
    for name in ("console:local:ben", "console:local:reuben"):
        await p.memories.add(MIRA, [note(f"note/{name}", "I like bees", Person(name, "Ben"), 1.0)])

    said = [
        await meanwhile("export", "--user", "console:local:Ben"), await meanwhile("export", "--user", "ben"),
        await meanwhile("forget", "--user", "console:local:Ben", "--yes"),
    ]  # fmt: skip

    assert ["Did you mean console:local:ben?"] * 3 == [one.err.strip().partition(". ")[2] for one in said]
    assert 1 == (await p.privacy.forget("console:local:ben"))["memories"]
    assert "Did you mean" not in (await meanwhile("forget", "--user", "console:local:ben", "--yes")).err


async def test_a_person_is_forgotten_once_somebody_says_yes(p: Parts, home: Path):
    """Without a yes nothing goes; with one, everything does, and what went is counted."""
    source = jsonl(
        home / "in.jsonl", {"id": 1, "author": "anna", "text": "Hello"}, {"id": 2, "author": "ben", "text": "Hi"}
    )
    async with working(p):
        await meanwhile("generate", "--in", source, "--out", home / "out.jsonl")

    no = await meanwhile("forget", "--user", "anna", stdin="n\n")
    silence = await meanwhile("forget", "--user", "anna")
    kept = len((await p.privacy.export("anna"))["replies"])
    yes = await meanwhile("forget", "--user", "anna", stdin="y\n")

    assert (1, 1, 1) == (no.status, silence.status, kept)
    assert "add --yes" in silence.err
    assert (0, "Forgotten: 0 jobs, 0 messages, 1 replies, 0 rated, 0 memories, 0 LoRAs.\n") == (yes.status, yes.out)
    assert 0 == len((await p.privacy.export("anna"))["replies"])
    assert 1 == len((await p.privacy.export("ben"))["replies"])


async def test_one_persona_can_be_made_to_forget(p: Parts, home: Path):
    """What the others keep of the person stays."""
    source = jsonl(home / "in.jsonl", {"id": 1, "author": "anna", "text": "Hello"})
    async with working(p):
        for name in ("mira", "orrin"):
            await meanwhile("generate", "--persona", name, "--in", source, "--out", home / "out.jsonl")

    scope = "console:local:user:me"
    said = await meanwhile("forget", "--user", "anna", "--persona", "mira", "--scope", scope, "--yes")

    assert (0, True) == (said.status, "1 replies" in said.out)
    assert ["orrin"] == [row["persona"] for row in (await p.privacy.export("anna"))["replies"]]


@pytest.mark.parametrize(
    ("wrong", "status", "why"),
    [
        (["--persona", "mira"], 2, "say both, or neither"),
        (["--persona", "mirra", "--scope", "console:local:user:me"], 1, "did you mean mira?"),
        (["--persona", "mira", "--scope", "here"], 2, "expected platform:workspace:kind:id"),
    ],
)
async def test_who_is_to_forget_must_be_clear(wrong: list[str], status: int, why: str, p: Parts):
    """A half or misspelt persona is told, and nothing is erased."""
    said = await meanwhile("forget", "--user", "anna", "--yes", *wrong)

    assert (status, True) == (said.status, why in said.err)


def test_a_redis_that_is_gone_is_a_message_and_not_a_traceback(alone: Path):
    """Whatever needs it says so, and the status is 1."""
    for command in (["status"], ["export", "--user", "x"], ["deadletters", "list"], ["feedback", "export", "-"]):
        said = limen(*command, REDIS_URL=f"unix://{alone}/nowhere.sock")

        assert (1, True) == (said.status, "Redis does not answer" in said.err)
