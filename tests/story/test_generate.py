"""Somebody has a file of prompts and wants a persona's replies to it: whole, in order, whatever happens meanwhile."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bots import generation
from bots.assemble import Parts
from bots.collisions import ROOT
from bots.generation import Asker, Prompt, Take
from core.events import PersonaKey
from core.prompt import Prompt as Composed
from core.store import keys
from core.store.queue import Depths
from tests.fakes.commands import jsonl, limen, loaded, meanwhile, opened, working
from tests.fakes.jobs import until
from worker.echo import Echo
from worker.generator import Rendered

IDLE = Depths(live=0, background=0, conversations=0, delayed=0, leased=0, dead=0)


@pytest.fixture(autouse=True)
def _here(redis_url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("LIMEN_HOME", str(home))


@pytest.fixture
async def p(redis_url: str, home: Path) -> AsyncIterator[Parts]:
    async with opened(redis_url, home) as found:
        yield found


class Moody(Echo):
    """Cannot bear one word."""

    def render(self, prompt: Composed, reserve: int) -> Rendered:
        if "thunder" in prompt.message.text:
            raise ValueError("not that word")
        return super().render(prompt, reserve)


def prompts(folder: Path, *texts: str) -> Path:
    rows = [{"id": f"p{number}", "author": "anna", "text": text} for number, text in enumerate(texts)]
    return jsonl(folder / "prompts.jsonl", *rows)


def part_of(out: Path) -> Path:
    return Path(f"{out}.part")


async def idle(p: Parts) -> bool:
    return await p.queue.depths() == IDLE


async def waiting(p: Parts) -> bool:
    return (await p.queue.depths()).background > 0


async def test_every_line_is_answered_in_order_and_recorded(p: Parts, home: Path):
    """K replies to each line, in the order of the file, each with an id under which the ledger has its prompt."""
    source, out = prompts(home, "How are you?", "Any tea left?"), home / "replies.jsonl"

    async with working(p):
        said = await meanwhile("generate", "--persona", "orrin", "--in", source, "--out", out, "--n", "3")

    rows = loaded(out)
    assert (0, "") == (said.status, said.out)
    assert [("p0", "How are you?")] * 3 + [("p1", "Any tea left?")] * 3 == [
        (row["id"], row["text"].removeprefix("I heard 1 lines. You said: ")) for row in rows
    ]
    assert {"id", "reply_id", "text", "lora_version", "persona_version"} == set(rows[0])
    entries = await p.ledger.entries([row["reply_id"] for row in rows])
    assert [row["text"] for row in rows] == [entry.record.text for entry in entries]
    assert {PersonaKey("console:local", "orrin", "console:local:user:me")} == {e.record.persona for e in entries}
    assert {("file", ("anna",))} == {(entry.record.source, entry.record.people) for entry in entries}
    assert [] == loaded(part_of(out))


async def test_it_changes_no_history(p: Parts, home: Path):
    """Nothing of it is in any conversation, and no stream is left behind."""
    source = prompts(home, "I am called Tom.")

    async with working(p):
        await meanwhile("generate", "--in", source, "--out", home / "out.jsonl")

    assert [] == await p.client.scan(keys.ORDER("*"))
    assert [] == await p.client.scan(keys.REPLIES("*"))
    assert IDLE == await p.queue.depths()


async def test_the_same_command_gives_the_same_replies_and_another_seed_gives_others(p: Parts, home: Path):
    """Each reply's seed comes from the run's seed, the line's id and its number, and from nothing else."""
    source = prompts(home, "Hello", "Hello")
    texts = []

    async with working(p, Echo(words=2)):
        for seed in ("7", "7", "8"):
            await meanwhile("generate", "--in", source, "--out", home / "out.jsonl", "--n", "2", "--seed", seed)
            texts.append([row["text"] for row in loaded(home / "out.jsonl")])

    assert texts[0] == texts[1]
    assert 8 == len({*texts[0], *texts[2]})


async def test_lines_that_cannot_be_used_are_named_and_the_rest_go_on(p: Parts, home: Path):
    """Not JSON, no text, not text, too long: each by its number. The status is 1."""
    source = jsonl(
        home / "in.jsonl", {"id": 1, "text": "Hi"}, "{", {"id": 2}, {"id": 3, "text": 7}, "",
        {"id": 4, "text": "x" * 30_000}, {"id": 5, "text": " \n"}, '{"text": "a\\u0000b \\ud800"}',
    )  # fmt: skip

    async with working(p):
        said = await meanwhile("generate", "--in", source, "--out", "-")

    assert 1 == said.status
    assert ["2", "3", "4", "6", "7"] == [line.split(":")[1] for line in said.err.splitlines() if "in.jsonl:" in line]
    assert [(1, "Hi"), (8, "ab �")] == [(row["id"], row["text"].split("said: ")[1]) for row in said.rows]


async def test_a_pipe_may_be_read_and_written(p: Parts):
    """`-` is standard input and output: what is printed is the replies, and nothing else."""
    async with working(p):
        said = await meanwhile("generate", "--in", "-", "--out", "-", stdin='{"id": "a", "text": "Grüß dich 👋"}\n')

    assert (0, ["a"]) == (said.status, [row["id"] for row in said.rows])
    assert "Grüß dich 👋" in said.out


async def test_a_full_disk_is_told(p: Parts, home: Path):
    """No traceback, and the status is 1."""
    async with working(p):
        said = await meanwhile("generate", "--in", prompts(home, "Hello"), "--out", "/dev/full")

    assert (1, True) == (said.status, "/dev/full cannot be written: No space left on device" in said.err)


async def test_a_queue_that_is_full_is_waited_for(p: Parts, home: Path):
    """More lines than may wait at once: all are answered."""
    source, out = prompts(home, *(f"Number {n}" for n in range(40))), home / "out.jsonl"

    async with working(p):
        said = await meanwhile("generate", "--in", source, "--out", out, LIMEN_QUEUE__MAX_DEPTH="3")

    assert (0, [f"p{n}" for n in range(40)]) == (said.status, [row["id"] for row in loaded(out)])


async def test_what_could_not_be_answered_is_named_and_tried_again_with_resume(p: Parts, home: Path):
    """A line that fails for good leaves the others whole; --resume asks for it alone, and puts it in its place."""
    source, out = prompts(home, "One", "thunder", "Three"), home / "out.jsonl"
    order = ("generate", "--in", source, "--out", out)

    async with working(p, Moody()):
        first = await meanwhile(*order, LIMEN_QUEUE__ATTEMPTS="1")
    before = loaded(out)
    async with working(p):
        second = await meanwhile(*order, "--resume")

    assert (1, 0) == (first.status, second.status)
    assert f"{source}:2: reply 1 failed: ValueError: not that word" in first.err
    assert ["p0", "p2"] == [row["id"] for row in before]
    assert ["p0", "p1", "p2"] == [row["id"] for row in loaded(out)]
    assert before == [row for row in loaded(out) if row["id"] != "p1"]
    assert [] == loaded(part_of(out))


async def test_ctrl_c_cancels_what_waits_and_resume_goes_on(p: Parts, home: Path):
    """Interrupted, it leaves no job behind, keeps what there is, and says how to go on."""
    source, out = prompts(home, *(f"Number {n}" for n in range(200))), home / "out.jsonl"
    order = ("generate", "--in", source, "--out", out)

    async with working(p, Echo(delay=0.05, words=20)):
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bots", *map(str, order), cwd=ROOT, stderr=asyncio.subprocess.PIPE
        )
        await until(lambda: asyncio.to_thread(lambda: len(loaded(part_of(out))) >= 4))
        child.send_signal(signal.SIGINT)
        _, err = await child.communicate()
        await until(lambda: idle(p))

    kept = [row["reply_id"] for row in loaded(part_of(out))[1:]]
    assert 130 == child.returncode
    assert "--resume goes on" in err.decode()
    assert "Traceback" not in err.decode()
    assert [] == loaded(out)
    assert 3 <= len(kept) < 200
    async with working(p):
        said = await meanwhile(*order, "--resume")
    assert (0, [f"p{n}" for n in range(200)]) == (said.status, [row["id"] for row in loaded(out)])
    assert set(kept) < {row["reply_id"] for row in loaded(out)}


def test_a_part_file_is_never_lost_by_accident(home: Path):
    """One that is there is neither overwritten nor mixed with the replies of another command."""
    source, out = prompts(home, "Hello"), home / "out.jsonl"
    part = jsonl(part_of(out), {"persona": "somebody else"}, {"line": 1, "k": 1, "id": "p0"})
    before = part.read_text()

    fresh = limen("generate", "--in", source, "--out", out)
    other = limen("generate", "--in", source, "--out", out, "--resume")

    assert (1, 1) == (fresh.status, other.status)
    assert "a run was broken off" in fresh.err
    assert "is of another run" in other.err
    assert before == part.read_text()


async def test_the_operators_word_is_recorded_for_each_author_and_shown_once(p: Parts, home: Path):
    """Everybody in the file is taken in on the operator's basis, and can be exported and forgotten like anyone."""
    rows = [{"id": n, "author": who, "text": "Hi"} for n, who in enumerate(["anna", "ben", "anna", ""])]
    source = jsonl(home / "in.jsonl", *rows)

    async with working(p):
        said = await meanwhile("generate", "--in", source, "--out", home / "out.jsonl")

    assert ["operator"] * 3 == [await p.privacy.basis(who) for who in ("anna", "ben", "file:anon")]
    assert 1 == said.err.count("answers for the right to train on it")
    assert 2 == len((await p.privacy.export("anna"))["replies"])
    went = await p.privacy.forget("anna")
    assert (2, []) == (went["replies"], (await p.privacy.export("anna"))["replies"])


async def test_a_job_that_nobody_has_any_more_is_not_waited_for(p: Parts, monkeypatch: pytest.MonkeyPatch):
    """Dropped by an operator, it comes back as a failure, and the run ends."""
    monkeypatch.setattr(generation, "LOOK", 0.02)
    card, told = p.card("mira"), []
    persona = PersonaKey("console:local", "mira", "console:local:user:me")
    asker = Asker(p, persona, card, 0, told.append)
    found: list[str] = []

    async def ask() -> None:
        async for take, answer in asker.replies([Take(Prompt(1, "a", "anna", "Hello"), 1)]):
            found.append(f"{take.prompt.id}: {answer}")

    asking = asyncio.create_task(ask())
    await until(lambda: waiting(p))
    await p.queue.drop((await p.queue.all())[0].id)
    await asking

    assert ["a: its job is no longer in the queue"] == found


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (("--persona", "mirra"), "did you mean mira?"),
        (("--scope", "me"), "expected platform:workspace:kind:id"),
        (("--account", "console"), "expected platform:id"),
        (("--n", "0"), "0 is not in the range"),
        (("--in", "/nowhere.jsonl"), "/nowhere.jsonl cannot be read"),
        (("--out", "/nowhere/out.jsonl"), "/nowhere/out.jsonl.part cannot be written"),
        (("--out", "/tmp"), "/tmp cannot be written: Is a directory"),
    ],
)
def test_a_wrong_command_is_told_before_anything_is_started(
    wrong: tuple[str, str], why: str, home: Path, monkeypatch: pytest.MonkeyPatch
):
    """A clear error, a status that is not 0, and neither Redis nor a worker in the home."""
    monkeypatch.delenv("REDIS_URL")
    source = prompts(home, "Hello")

    said = limen("generate", "--in", source, "--out", home / "out.jsonl", *wrong)

    assert said.status in (1, 2)
    assert why in said.err
    assert {"prompts.jsonl"} == {file.name for file in home.iterdir()}


def test_the_input_is_not_written_over(home: Path):
    """The same file for both is refused, by whatever name."""
    source = prompts(home, "Hello")
    (home / "link.jsonl").symlink_to(source)

    said = limen("generate", "--in", source, "--out", home / "link.jsonl")

    assert (1, True) == (said.status, "are the same file" in said.err)


def test_a_file_with_nothing_in_it_needs_no_worker(home: Path, monkeypatch: pytest.MonkeyPatch):
    """The output is empty, and nothing was started for it."""
    monkeypatch.delenv("REDIS_URL")
    source = jsonl(home / "in.jsonl")

    said = limen("generate", "--in", source, "--out", home / "out.jsonl")

    assert (0, "") == (said.status, (home / "out.jsonl").read_text())
    assert {"in.jsonl", "out.jsonl"} == {file.name for file in home.iterdir()}
