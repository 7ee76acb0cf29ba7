"""MemoryBank's dialogues as a file for `python -m bench.memory`: `python -m bench.memory.memorybank FOLDER OUT`.

`labels.jsonl` beside this is ours: for each of its fifteen people questions, and ids of the turns that answer them.
Some questions are MemoryBank's own probes, by number; its text is read from the folder and is not kept here
(https://github.com/zhongwanjun/MemoryBank-SiliconFriend, MIT). Ids: month-day/number, then `u` or `a` for who speaks.
"""

import argparse
import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

DIALOGUES, PROBES = "memorybank_memory_bank_en.json", "memorybank_probing_questions_en.jsonl"
HALVES = ("all", "dev", "test")


def scopes(folder: Path, half: str = "all") -> Iterator[dict[str, Any]]:
    """One scope for each person. Every second of them is of the test half, which nothing was tuned on."""
    people = {name.strip(): told for name, told in json.loads((folder / DIALOGUES).read_text("utf-8")).items()}
    lines = (folder / PROBES).read_text("utf-8").splitlines()
    probes = {name.strip(): asked for line in lines if line.strip() for name, asked in json.loads(line).items()}
    labels = files("bench.memory").joinpath("labels.jsonl").read_text("utf-8").splitlines()
    for at, line in enumerate(labels):
        label = json.loads(line)
        if half in ("all", HALVES[1 + at % 2]):
            name = label["user"]
            yield _scope(name, people[name]["history"], probes[name], label["queries"])


def _scope(
    name: str, history: dict[str, Any], probes: list[str], labels: list[dict[str, Any]]
) -> dict[str, Any]:  # fmt: skip
    turns = [turn for day, told in history.items() for turn in _day(name, day, told)]
    last = max(datetime.fromisoformat(turn["time"]) for turn in turns)
    asked = (last + timedelta(days=1)).isoformat()
    queries = [
        {
            "id": f"{name}/{at}", "text": label.get("text") or probes[label["probe"]].strip('"'), "time": asked,
            "author": name, "evidence": label["evidence"],
        }
        for at, label in enumerate(labels)
    ]  # fmt: skip
    return {"scope": name, "turns": turns, "queries": queries}


def _day(name: str, day: str, told: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """A day's talk, from ten in the morning, a line a minute: the data have no hours."""
    moment = datetime.fromisoformat(day).replace(hour=10, tzinfo=UTC)
    for at, pair in enumerate(told):
        for who, letter, field in ((name, "u", "query"), ("assistant", "a", "response")):
            time = (moment + timedelta(minutes=2 * at + (letter == "a"))).isoformat()
            yield {"id": f"{day[5:]}/{at}{letter}", "author": who, "time": time, "text": pair[field]}


def room(told: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The same people in one room, one after the other every day; their questions are asked by somebody else."""
    turns, queries = [], []
    for at, scope in enumerate(told):
        name = scope["scope"].split()[0]
        for turn in scope["turns"]:
            time = (datetime.fromisoformat(turn["time"]) + timedelta(hours=at - 1)).isoformat()
            turns.append({**turn, "id": f"{name}:{turn['id']}", "time": time})
        for query in scope["queries"]:
            evidence = [f"{name}:{one}" for one in query["evidence"]]
            queries.append({**query, "text": of(name, query["text"]), "author": "", "evidence": evidence})
    return {"scope": "room", "turns": sorted(turns, key=lambda turn: turn["time"]), "queries": queries}


def of(name: str, text: str) -> str:
    """A question about oneself as others ask it: `What do I like?` → `What does Ann like?`"""
    for pattern, by in _OTHERS:
        text = re.sub(pattern, by.format(name), text)
    return text


_OTHERS = (
    (r"\b([dD])o I\b", r"\1oes {}"), (r"\b(did|Did|was|should) I\b", r"\1 {}"), (r"\bam I\b", "is {}"),
    (r"\bhave I\b", "has {}"), (r"\bI am\b", "{} is"), (r"\bI(?: ha|\')ve\b", "{} has"),
    (r"\bI don\'t\b", "{} doesn\'t"), (r"\bI can\'t\b", "{} cannot"), (r"\b(?:I|me|myself)\b", "{}"),
    (r"\b[mM]y\b", "{}\'s"),
)  # fmt: skip


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help=f"where {DIALOGUES} and {PROBES} lie")
    parser.add_argument("out", type=Path)
    parser.add_argument("--half", choices=HALVES, default="test", help="which people: test, unless you tune")
    parser.add_argument("--room", action="store_true", help="all of them in one scope, asked about by name")
    given = parser.parse_args()
    told = list(scopes(given.folder, given.half))
    rows = [json.dumps(scope, ensure_ascii=False) for scope in ([room(told)] if given.room else told)]
    given.out.write_text("".join(row + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
