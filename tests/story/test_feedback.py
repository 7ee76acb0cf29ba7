"""Ratings come in from files and go out again: facts about replies, each kept once, with whose they are and why."""

import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bots.assemble import Parts
from core import privacy
from core.feedback import standing
from core.store.consents import Purpose
from tests.fakes.commands import jsonl, limen, loaded, meanwhile, opened, working

ELSEWHERE: dict[str, Any] = {
    "persona": "mira",
    "scope": "discord:77:channel:901",
    "messages": [{"role": "system", "content": "You are Mira."}, {"role": "user", "content": "Ahoy"}],
    "reply": "Arr, matey!",
    "user": "discord:5",
    "emoji": "👍",
}


@pytest.fixture(autouse=True)
def _here(redis_url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("LIMEN_HOME", str(home))


@pytest.fixture
async def p(redis_url: str, home: Path) -> AsyncIterator[Parts]:
    async with opened(redis_url, home) as found:
        yield found


async def generated(p: Parts, home: Path, *texts: str) -> list[str]:
    """Ids of fresh replies to these."""
    source = jsonl(home / "prompts.jsonl", *({"id": text, "author": "anna", "text": text} for text in texts))
    async with working(p):
        await meanwhile("generate", "--persona", "mira", "--in", source, "--out", home / "replies.jsonl")
    return [row["reply_id"] for row in loaded(home / "replies.jsonl")]


async def test_a_rating_from_a_file_is_a_fact_about_the_reply(p: Parts, home: Path):
    """Whoever reacted, with what, when, and on whose word; emoji in any spelling are one."""
    (reply,) = await generated(p, home, "Hello")
    rating = {"reply_id": reply, "user": "ben", "emoji": ":+1:", "time": "2026-05-01T12:00:00+02:00"}

    said = await meanwhile("feedback", "import", jsonl(home / "in.jsonl", rating))

    assert (0, "recorded 1 · seen before 0 · unknown reply 0 · bad 0") == (said.status, said.err.splitlines()[-1])
    entry = await p.ledger.get(reply)
    assert entry
    assert [("ben", "👍", False, 1777629600.0, "operator")] == [
        (fact.user, fact.emoji, fact.removed, fact.time, fact.basis) for fact in entry.facts
    ]
    assert "operator" == await p.privacy.basis("ben")


async def test_what_was_rated_is_exported_with_its_exact_prompt(p: Parts, home: Path):
    """A line for each reply: persona, prompt, text and reactions, emoji as they are."""
    rated, other = await generated(p, home, "Tea?", "Coffee?")
    ratings = [{"reply_id": rated, "user": user, "emoji": "👍🏽", "time": 1.5e9} for user in ("ben", "cy")]
    await meanwhile("feedback", "import", jsonl(home / "in.jsonl", *ratings))
    out = home / "out.jsonl"

    said = await meanwhile("feedback", "export", out)

    rows = {row["reply_id"]: row for row in loaded(out)}
    entry = await p.ledger.get(rated)
    assert entry
    assert {rated, other} == set(rows)
    assert [{"role": told.role, "content": told.content} for told in entry.messages] == rows[rated]["messages"]
    assert {"role": "user", "content": "Tea?"} == rows[rated]["messages"][-1]
    assert ("mira", "console:local:user:me", "base") == tuple(
        rows[rated][k] for k in ("persona", "scope", "lora_version")
    )
    assert "I heard 1 lines. You said: Tea?" == rows[rated]["reply"]
    assert [("ben", "👍", False), ("cy", "👍", False)] == [
        (one["user"], one["emoji"], one["removed"]) for one in rows[rated]["reactions"]
    ]
    assert "👍" in out.read_text("utf-8")
    assert 0o600 == stat.S_IMODE(out.stat().st_mode)
    assert "2 replies, 1 of them rated" in said.err


async def test_a_reaction_taken_back_leaves_the_balance_and_stays_a_fact(p: Parts, home: Path):
    """Both lines are kept, in the order of their times; nothing stands."""
    (reply,) = await generated(p, home, "Hello")
    added = {"reply_id": reply, "user": "ben", "emoji": "👎", "time": 1000}
    removed = {**added, "removed": True, "time": 2000}

    await meanwhile("feedback", "import", jsonl(home / "in.jsonl", added, removed))
    row = (await meanwhile("feedback", "export", "-")).rows[0]

    entry = await p.ledger.get(reply)
    assert entry
    assert [False, True] == [one["removed"] for one in row["reactions"]]
    assert [] == standing(entry.facts)


async def test_importing_a_file_twice_changes_nothing(p: Parts, home: Path):
    """Lines with and without a time, of ours and of others' replies: seen before."""
    (reply,) = await generated(p, home, "Hello")
    file = jsonl(home / "in.jsonl", {"reply_id": reply, "user": "ben", "emoji": "👍"}, ELSEWHERE)
    await meanwhile("feedback", "import", file)
    before = (await meanwhile("feedback", "export", "-")).out

    said = await meanwhile("feedback", "import", file)

    assert "recorded 0 · seen before 2" in said.err
    assert before == (await meanwhile("feedback", "export", "-")).out


async def test_lines_that_cannot_be_used_are_named_and_the_rest_go_on(p: Parts, home: Path):
    """By number, with what is wrong; a reply that nobody knows is named too. The status is 1."""
    (reply,) = await generated(p, home, "Hello")
    good = {"reply_id": reply, "user": "ben", "emoji": "👍"}
    bad = [
        "{",
        [1],
        {**good, "user": 7},
        {**good, "emoji": "meh"},
        {**good, "removed": "yes"},
        {**good, "time": "soon"},
    ]
    bad += [
        {**ELSEWHERE, "persona": "mirra"},
        {**ELSEWHERE, "scope": "here"},
        {**ELSEWHERE, "messages": [{"role": "x"}]},
    ]
    file = jsonl(home / "in.jsonl", *bad, {**good, "reply_id": "nobody's"}, good)

    said = await meanwhile("feedback", "import", file)

    numbers = [int(line.split(":")[1]) for line in said.err.splitlines() if line.startswith(str(file))]
    assert (1, list(range(1, 11))) == (said.status, numbers)
    assert "did you mean mira?" in said.err
    assert f'{file}:10: no reply "nobody\'s" is kept' in said.err
    assert "recorded 1 · seen before 0 · unknown reply 1 · bad 9" in said.err


async def test_ratings_of_one_reply_from_elsewhere_meet(p: Parts, home: Path):
    """Two people who rated the same words to the same prompt rated one reply; another scope's is another."""
    file = jsonl(
        home / "in.jsonl", ELSEWHERE, {**ELSEWHERE, "user": "discord:6", "emoji": "👎"},
        {**ELSEWHERE, "scope": "discord:77:channel:902"},
    )  # fmt: skip

    await meanwhile("feedback", "import", file)

    rows = (await meanwhile("feedback", "export", "-", "--persona", "mira")).rows
    assert [2, 1] == sorted((len(row["reactions"]) for row in rows), reverse=True)
    assert {"discord:77:channel:901", "discord:77:channel:902"} == {row["scope"] for row in rows}
    assert {("import", "Arr, matey!")} == {(row["source"], row["reply"]) for row in rows}
    assert ELSEWHERE["messages"] == rows[0]["messages"]


async def test_the_export_can_be_narrowed(p: Parts, home: Path):
    """By persona, by scope, by date; a persona that nobody ever had is told."""
    await generated(p, home, "Hello")
    await meanwhile("feedback", "import", jsonl(home / "in.jsonl", {**ELSEWHERE, "persona": "orrin"}))

    async def exported(*which: str) -> list[str]:
        return [row["persona"] for row in (await meanwhile("feedback", "export", "-", *which)).rows]

    assert ["orrin"] == await exported("--persona", "Orrin")
    assert ["mira"] == await exported("--scope", "console:local:user:me")
    assert [] == await exported("--persona", "plum")
    assert [] == await exported("--since", "2999-01-01")
    assert 2 == len(await exported("--since", "2020-01-01T00:00:00Z"))
    wrong = await meanwhile("feedback", "export", "-", "--persona", "orin")
    assert (1, "", True) == (wrong.status, wrong.out, "did you mean orrin?" in wrong.err)
    assert 2 == (await meanwhile("feedback", "export", "-", "--since", "yesterday")).status


MESSAGE = {"role", "content"}


def two_opinions(reply: str = "Arr, matey!", **changes: Any) -> list[dict[str, Any]]:
    """Two replies to one prompt: one was liked, the other disliked."""
    liked = {**ELSEWHERE, "reply": reply, **changes}
    return [liked, {**liked, "reply": "Go away.", "emoji": "👎"}]


async def test_the_export_has_the_formats_that_trl_documents(p: Parts, home: Path):
    """Conversational: `prompt`, `completion` and `label` for KTO; `prompt`, `chosen` and `rejected` for DPO."""
    await meanwhile("feedback", "import", jsonl(home / "in.jsonl", *two_opinions()))

    told = await meanwhile("feedback", "export", "-", "--format", "trl-unpaired")
    (pair,) = (await meanwhile("feedback", "export", "-", "--format", "trl-pairs")).rows

    assert (0, "2 rows") == (told.status, told.err.splitlines()[-1])
    for row in told.rows:
        assert {"prompt", "completion", "label", "weight"} == set(row)
        assert all(MESSAGE == set(one) for one in (*row["prompt"], *row["completion"]))
        assert ["assistant"] == [one["role"] for one in row["completion"]]
        assert 0 < row["weight"] <= 1
    assert {("Arr, matey!", True), ("Go away.", False)} == {
        (row["completion"][0]["content"], row["label"]) for row in told.rows
    }
    assert {"prompt", "chosen", "rejected", "weight"} == set(pair)
    assert ELSEWHERE["messages"] == pair["prompt"] == told.rows[0]["prompt"]
    assert [{"role": "assistant", "content": "Arr, matey!"}] == pair["chosen"]
    assert [{"role": "assistant", "content": "Go away."}] == pair["rejected"]


async def test_what_is_exported_for_training_is_consented_and_redacted(p: Parts, home: Path):
    """The ledger's own export has it all; a no takes the rows out of the other one, and says why."""
    rows = two_opinions("Write to ann@example.org, <@42>!", author="ann")
    await meanwhile("feedback", "import", jsonl(home / "in.jsonl", *rows))

    before = await meanwhile("feedback", "export", "-", "--format", "trl-unpaired")
    await p.privacy.say("ann", False, Purpose.TRAIN)
    after = await meanwhile("feedback", "export", "-", "--format", "trl-unpaired")

    assert "Write to [email], @person1!" in before.out
    assert "ann@example.org" not in before.out
    assert "ann@example.org" in (await meanwhile("feedback", "export", "-")).out
    assert ("", "0 rows; refused: no consent 2") == (after.out, after.err.splitlines()[-1])


async def test_the_operator_answers_for_pooling_only_when_asked_to(p: Parts, home: Path):
    """`--pool` says so, once; without it imported people train their own scope only."""
    file = jsonl(home / "in.jsonl", *two_opinions())
    await meanwhile("feedback", "import", file)
    assert "" == await p.privacy.basis("discord:5", Purpose.POOL)

    said = await meanwhile("feedback", "import", "--pool", file)

    assert 1 == said.err.count(privacy.POOLED)
    assert "operator" == await p.privacy.basis("discord:5", Purpose.POOL)
    assert privacy.POOLED == (await p.privacy.export("discord:5"))["consent"]["pool_wording"]


async def test_an_export_that_fails_leaves_the_old_file(p: Parts, home: Path, monkeypatch: pytest.MonkeyPatch):
    """What was there stays whole until the new file is whole."""
    await generated(p, home, "Hello")
    out = jsonl(home / "out.jsonl", {"old": True})
    monkeypatch.setattr("os.fsync", _no_space)

    said = await meanwhile("feedback", "export", out)

    assert (1, True) == (said.status, f"{out} cannot be written: No space left on device" in said.err)
    assert [{"old": True}] == loaded(out)
    assert ["out.jsonl", "prompts.jsonl", "replies.jsonl"] == sorted(os.listdir(home))


def _no_space(_: int) -> None:
    raise OSError(28, "No space left on device")


def test_a_file_that_is_not_there_is_told(home: Path):
    """A clear error, and the status is 1."""
    said = limen("feedback", "import", home / "nowhere.jsonl")

    assert (1, True) == (said.status, "nowhere.jsonl cannot be read: No such file or directory" in said.err)
