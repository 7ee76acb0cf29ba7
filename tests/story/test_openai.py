"""A talk whose words come from a server: through the command that people type, and through a worker that is pressed.

The server is a local one of the same interface, over a real socket. Redis, worker process and terminal are real.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from bots import up
from bots.collisions import ROOT
from core import config
from tests.fakes import loras
from tests.fakes.commands import limen, meanwhile
from tests.fakes.house import DM, house_at, quick, say
from tests.fakes.jobs import until
from tests.fakes.openai import Act, Fake, fake
from tests.fakes.remote import OURS, remote

WEIGHTLESS = ("torch", "transformers", "safetensors", "accelerate", "gguf")


@pytest.fixture
def server() -> Iterator[Fake]:
    with fake() as it:
        it.takes_loras = True
        yield it


@pytest.fixture
def environment(server: Fake, home: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A machine that cannot load weights, in a home whose processes end with the test."""
    for name in WEIGHTLESS:
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} is not for this machine')\n")
    kept = {name: value for name, value in os.environ.items() if name not in ("REDIS_URL", "NO_COLOR")}
    given = {"LIMEN_HOME": str(home), "LIMEN_MODEL__ENGINE": "openai", "LIMEN_OPENAI__BASE_URL": server.url}
    yield {**kept, **given, "LIMEN_WORKER__CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(tmp_path)}
    asyncio.run(up.down(config.load({"LIMEN_HOME": str(home)})))


def test_a_talk_with_a_server_needs_no_weights(server: Fake, environment: dict[str, str], tmp_path: Path):
    """From nothing, with the key; nothing is fetched, torch is not imported, and the history goes along."""
    server.key = "sk-test"
    talk = subprocess.run(
        [sys.executable, "-m", "bots", "chat", "--plain", "--persona", "mira", "--name", "Ann"],
        input="I keep bees\nand you?\n/quit\n", capture_output=True, text=True, cwd=ROOT, timeout=60,
        env={**environment, "OPENAI_API_KEY": "sk-test"},
    )  # fmt: skip
    status = json.loads(limen("status", "--json", **environment).out)
    log = up.log_file(Path(environment["LIMEN_HOME"])).read_text()

    assert 0 == talk.returncode, talk.stderr + log
    assert ["mira: tiny heard: I keep bees", "mira: tiny heard: and you?"] == talk.stdout.splitlines()
    messages = server.chats()[-1]["messages"]
    assert "Captain Mira Flint" in messages[0]["content"]
    assert ["I keep bees", "tiny heard: I keep bees", "and you?"] == [one["content"] for one in messages[-3:]]
    (worker,) = status["workers"]
    assert ("openai:tiny", server.url, "32") == (worker["model"], worker["device"], worker["lora_slots"])
    assert {".npy"} >= {file.suffix for file in (tmp_path / "cache").rglob("*")}  # vectors of our own questions
    assert "sk-test" not in log + json.dumps(status)


def test_a_worker_whose_server_is_away_says_what_to_do(server: Fake, environment: dict[str, str]):
    """`limen up` ends with the reason."""
    away = {**environment, "LIMEN_OPENAI__BASE_URL": "http://127.0.0.1:9/v1", "LIMEN_OPENAI__RETRIES": "0"}
    said = limen("up", **away)

    assert 1 == said.status
    assert "http://127.0.0.1:9/v1 cannot be reached" in said.err
    assert "openai.base_url" in said.err


def test_a_lora_that_no_server_would_refuse_is_kept_from_it(server: Fake, environment: dict[str, str]):
    """One with NaN, put into the store by hand: the base speaks, and `limen status` says why. Needs no torch either."""
    home = Path(environment["LIMEN_HOME"])
    named = {f"model.layers.0.q_proj.lora_{side}.weight": torch.full((4, 48), float("nan")) for side in "AB"}
    loras.put(home / "loras" / "bad", named)
    assert 0 == limen("lora", "use", "bad", "--persona", "mira", **environment).status
    talk = subprocess.run(
        [sys.executable, "-m", "bots", "chat", "--plain", "--persona", "mira"], input="hello\n/quit\n", text=True,
        capture_output=True, cwd=ROOT, timeout=60, env=environment,
    )  # fmt: skip

    assert ["mira: tiny heard: hello"] == talk.stdout.splitlines(), talk.stderr
    assert "holds NaN" in up.log_file(home).read_text()
    assert "/load_lora_adapter" not in [heard.path.removeprefix("/v1") for heard in server.heard if heard.body]


async def test_a_lora_speaks_and_the_ledger_knows_which(server: Fake, redis_url: str):
    """And where the server refuses it, the base, which is put on record as well."""
    async with house_at(redis_url) as house:
        with remote(server) as generator:
            async with house.at_work(generator):
                (first,) = await house.talk(say("hello", 1, where=DM))
                await house.p.loras.promote(first.persona, "mira-1/2", "night")
                (second,) = await house.talk(say("and now?", 2, where=DM))
                server.loras.clear()
                server.bad_loras["/loras/mira-1/2"] = (400, "rank 64 is greater than max_lora_rank")
                (third,) = await house.talk(say("and then?", 3, where=DM))

                assert ["base", "mira-1/2", "base"] == [done.lora_version for done in (first, second, third)]
                assert second.text.startswith(f"{OURS}mira-1+2 heard:")
                assert "mira-1/2" == (await house.entry(second.reply_id)).record.lora_version


async def test_a_prompt_that_was_too_long_is_composed_anew(server: Fake, redis_url: str):
    """The queue's next attempt renders less, and the reply arrives."""
    no = {"error": {"message": "maximum context length is 900 tokens, your prompt contains 2000 input tokens"}}
    async with house_at(redis_url, quick(retry_seconds=0)) as house:
        with remote(server) as generator:
            async with house.at_work(generator):
                server.script.append(Act(status=400, body=no))
                (done,) = await house.talk(say("word " * 600, where=DM))

    first, second = [sum(len(one["content"]) for one in chat["messages"]) for chat in server.chats()]
    assert ("stop", True) == (done.finish, second < first)
    assert [] == house.shelf.failures


async def test_a_reply_that_is_stopped_is_stopped_on_the_server_too(server: Fake, redis_url: str):
    """What was said until then stays."""
    server.default = Act(words=("one", " two", " three"), hold=2)
    async with house_at(redis_url) as house:
        with remote(server) as generator:
            async with house.at_work(generator):
                outcome = await house.engine.on_message(say("count", where=DM))
                await house.shelf.wait(lambda: any(text.endswith("two") for text, _ in house.shelf.drafts))
                await house.p.queue.cancel(outcome.job)
                done = await house.answer(outcome)
                await until(lambda: asyncio.to_thread(lambda: bool(server.left)))

    assert ("one two", True) == (done.text, done.cancelled)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("well", [("ok", "model tiny, context 2,048 tokens"), ("ok", "takes them at runtime")]),
        ("plain", [("ok", "answers"), ("warn", "nights cannot change it")]),
        ("off", [("ok", "answers"), ("warn", "openai.loras is off: nights cannot change it")]),
        ("other model", [("warn", "does not list big; it has tiny"), ("ok", "")]),
        ("wrong key", [("fail", "refuses us (401)")]),
        ("away", [("fail", "cannot be reached")]),
    ],
)
async def test_doctor_says_how_the_server_is(
    state: str, expected: list[tuple[str, str]], server: Fake, environment: dict[str, str]
):
    """Each with the next step where it is not well; the key is never shown, and weights are not asked for."""
    server.takes_loras, server.key = state != "plain", "sk-right"
    given = {
        "off": {"LIMEN_OPENAI__LORAS": "off"}, "other model": {"LIMEN_OPENAI__MODEL": "big"},
        "wrong key": {"OPENAI_API_KEY": "sk-wrong"}, "away": {"LIMEN_OPENAI__BASE_URL": "http://127.0.0.1:9/v1"},
    }  # fmt: skip
    said = await meanwhile("doctor", "--json", **{**environment, "OPENAI_API_KEY": "sk-right"} | given.get(state, {}))
    checks = [check for check in json.loads(said.out)["checks"] if check["name"] in ("server", "LoRAs", "model")]

    assert [name for name, _ in expected] == [check["state"] for check in checks]
    assert [] == [text for (_, text), check in zip(expected, checks, strict=True) if text not in check["said"]]
    assert all(check["step"] for check in checks if check["state"] != "ok")
    assert "sk-" not in said.out
    assert "/chat/completions" not in server.paths()


def test_models_says_that_a_server_generates(server: Fake, environment: dict[str, str]):
    """What is at hand would serve without it; none of it is in use."""
    said = limen("models", **environment)

    assert (0, True) == (said.status, said.out.startswith(f"The server at {server.url} generates"))
    assert "will be used" not in said.out
