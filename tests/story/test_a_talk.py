"""The whole path with the real weights, through the commands that people type.

Message → streamed reply → 👍 → fact in the ledger → taken back; and what was said is still known after `limen down`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bots.collisions import ROOT

pytestmark = pytest.mark.real


def limen(home: Path, *words: str, say: str = "") -> subprocess.CompletedProcess[str]:
    """One `limen` command, as a process of its own."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("LIMEN_") or "CACHE" in key}
    environ.pop("REDIS_URL", None)
    command = [sys.executable, "-m", "bots", "--home", str(home), *words]
    return subprocess.run(command, cwd=ROOT, env=environ, input=say, capture_output=True, text=True, timeout=300)


def chat(home: Path, say: str) -> list[str]:
    """A piped talk with Mira: what was printed, by line."""
    done = limen(home, "chat", "--persona", "mira", "--plain", "--name", "Ann", say=say)
    assert 0 == done.returncode, done.stderr
    return done.stdout.splitlines()


def ledger(home: Path) -> list[dict[str, Any]]:
    """`limen feedback export`, oldest first."""
    done = limen(home, "feedback", "export", "-")
    assert 0 == done.returncode, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.timeout(420)  # it starts every process twice, beside others that do
def test_a_talk_a_reaction_and_a_memory_that_outlives_every_process(home: Path) -> None:
    """One story, one model, two sittings."""
    first = chat(home, "My name is Ann and I keep bees.\n+👍\n/quit\n")
    (row,) = ledger(home)
    said = next(line for line in first if line.startswith("mira: ") and row["reply"].splitlines()[0] in line)

    assert said
    assert row["reply"].strip()
    assert [("👍", False)] == [(r["emoji"], r["removed"]) for r in row["reactions"]]
    assert {"role": "user", "content": "My name is Ann and I keep bees."} == row["messages"][-1]
    assert "Captain Mira Flint" in row["messages"][0]["content"]

    down = limen(home, "down")
    assert "Stopped the worker and Redis." in down.stdout

    chat(home, "/unreact\nWhat do I keep?\n/quit\n")
    before, after = ledger(home)

    assert [("👍", False), ("👍", True)] == [(r["emoji"], r["removed"]) for r in before["reactions"]]
    told = [message["content"] for message in after["messages"]]
    assert ["My name is Ann and I keep bees.", before["reply"], "What do I keep?"] == told[-3:]
    assert after["lora_version"] == "base"
    limen(home, "down")
