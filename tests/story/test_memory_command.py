"""`limen memory`: what a persona remembers, from the shell."""

import json
from pathlib import Path

import pytest

from tests.fakes.commands import jsonl, limen

FAR = "zzzqqq beekeeping"


@pytest.fixture(autouse=True)
def _here(redis_url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("LIMEN_HOME", str(home))


@pytest.fixture
def turns(tmp_path: Path) -> Path:
    return jsonl(
        tmp_path / "turns.jsonl",
        {"id": "a1", "author": "Ann", "time": "2026-05-01T10:00:00Z", "text": "My sister Clara moved to Lisbon"},
        {"id": "a2", "author": "Bob", "time": "2026-05-02T10:00:00Z", "text": "I keep bees behind the house"},
        {"id": "a3", "author": "mira", "time": 1777716010, "text": "Bees! How many hives?"},
    )


def test_turns_come_in_from_a_file_and_questions_find_them(turns: Path, tmp_path: Path):
    """In the order of the questions; adding the file again adds nothing."""
    first, again = limen("memory", "add", "--in", turns), limen("memory", "add", "--in", turns)
    questions = jsonl(
        tmp_path / "queries.jsonl", {"id": 7, "text": "Where did Clara move?"}, {"id": "q", "text": "bees"}
    )
    out = tmp_path / "hits.jsonl"
    found = limen("memory", "search", "--in", questions, "-k", "2", "--out", out)
    hits = [json.loads(line) for line in out.read_text().splitlines()]

    assert (0, "3 turns new or changed; mira remembers 3.\n") == (first.status, first.out)
    assert "0 turns new or changed; mira remembers 3.\n" == again.out
    assert (0, [7, "q"], "a1") == (found.status, [row["id"] for row in hits], hits[0]["hits"][0])
    assert {"a2", "a3"} == set(hits[1]["hits"])
    assert 0 == len(limen("memory", "search", "bees", "--scope", "discord:77:channel:1").out.splitlines()[1:])


def test_what_nothing_touches_finds_nothing(turns: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As /memory does in a chat; a name and a day are touched. A question of a file always has its hits."""
    monkeypatch.setenv("LIMEN_EMBEDDER", "hash")
    limen("memory", "add", "--in", turns)
    questions = jsonl(tmp_path / "q.jsonl", {"id": "q", "text": FAR})
    far = limen("memory", "search", "--in", questions).rows[0]["hits"]

    assert far, "it has something in common with one, or this proves nothing"
    assert "Nothing that it remembers touches that.\n" == limen("memory", "search", FAR).out
    assert [] == json.loads(limen("memory", "search", FAR, "--json").out)
    assert (1, True) == (limen("memory", "search", "").status, "say what" in limen("memory", "search", " ").err)
    assert "My sister Clara" in limen("memory", "search", "Ann").out.splitlines()[0]
    assert "I keep bees" in limen("memory", "search", "on May 2nd 2026").out


def test_what_is_remembered_is_listed_and_deleted(turns: Path):
    """Notes beside turns; ours bear the persona's name."""
    limen("memory", "add", "--in", turns)
    limen("memory", "add", "Ann is allergic to nuts", "--person", "discord:77:ann")
    page, notes = limen("memory", "list").out, json.loads(limen("memory", "list", "--kind", "note", "--json").out)
    gone = limen("memory", "delete", "a2", "zz")
    found = limen("memory", "search", "bees", "behind", "--json")

    assert "[a1] 1 May, Ann: My sister Clara moved to Lisbon" in page
    assert "[a3] 2 May, Captain Mira Flint: Bees! How many hives?" in page
    assert [("note", "discord:77:ann", "Ann is allergic to nuts")] == [
        (one["kind"], one["author"]["id"], one["text"]) for one in notes
    ]
    assert (1, "1 memory deleted.\n", "zz is not remembered.\n") == gone
    assert "a2" not in [hit["id"] for hit in json.loads(found.out)]
    assert "3 memories deleted.\n" == limen("memory", "delete", "--all", "--yes").out
    assert "It remembers nothing.\n" == limen("memory", "list").out


def test_lines_that_cannot_be_used_are_named(tmp_path: Path):
    """The others are taken; the status is 1."""
    rows: list[dict[str, object] | str] = [
        {"id": "a", "author": "Ann", "text": "fine"}, "{", {"id": "b", "author": "Ann"}, {"author": "", "text": "x"},
        {"id": [], "author": "Ann", "text": "x"}, {"id": "c", "author": "Ann", "text": "x", "time": "soon"},
    ]  # fmt: skip
    said = limen("memory", "add", "--in", jsonl(tmp_path / "bad.jsonl", *rows))
    asked = limen("memory", "search", "--in", jsonl(tmp_path / "q.jsonl", {"id": "q"}, {"id": "r", "text": "fine"}))

    assert (1, 5) == (said.status, said.err.count("bad.jsonl:"))
    assert "1 turn new or changed; mira remembers 1, 5 lines could not be used.\n" == said.out
    assert "bad.jsonl:6: \"time\" is 'soon'" in said.err
    assert (1, [{"id": "r", "hits": ["a"]}]) == (asked.status, asked.rows)


@pytest.mark.parametrize(
    "words", [["add"], ["search"], ["delete"], ["add", "x", "--in", "y"], ["add", "--in", "nowhere"]]
)
def test_what_is_missing_is_said(words: list[str]):
    """With the next step."""
    said = limen("memory", *words)

    assert (1, True) == (said.status, "→" in said.err)
