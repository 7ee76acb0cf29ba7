"""What servers complain of, read; and prompts fitted by an estimate that learns."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from core.prompt import Prompt, Said, Section
from worker.controls import FAMILIES
from worker.openai.fitting import DENSE, Fitting, size
from worker.openai.trouble import complaint, refusal

FIELDS = ("top_k", "min_p", "seed", "stop", "temperature")


def read(body: Any) -> Any:
    return complaint(body.encode() if isinstance(body, str) else json.dumps(body).encode())


@pytest.mark.parametrize(
    ("body", "blamed"),
    [
        ({"error": {"message": "Unrecognized request arguments supplied: min_p, top_k"}}, {"min_p", "top_k"}),
        (
            {"error": {"message": "Unknown parameter: 'top_k'.", "param": "top_k", "code": "unknown_parameter"}},
            {"top_k"},
        ),
        ({"error": {"message": "bad value", "param": "seed"}}, {"seed"}),
        ({"detail": [{"loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]}, {"seed"}),
        ({"error": {"message": "property 'stop' is unsupported"}}, {"stop"}),
        ({"error": {"message": "'temperature' does not support 0.7 with this model."}}, {"temperature"}),
        ({"message": 'Unknown name "top_k": Cannot find field.', "code": 400}, {"top_k"}),
        ({"error": {"message": "please stop, the seed is bad"}}, set()),
        ({"error": "[{'type': 'missing', 'loc': ('body', 'x'), 'input': {'top_k': 1, 'seed': 'unknown'}}]"}, set()),
        ("<html>Bad Request: unknown field seed</html>", {"seed"}),
        ({"error": {"message": "top_kinds is unknown"}}, set()),
    ],
)
def test_the_fields_that_a_server_will_not_take(body: Any, blamed: set[str]):
    """Named by themselves, in words, or in FastAPI's list; what people wrote is no complaint."""
    assert blamed == read(body).blames(FIELDS)


@pytest.mark.parametrize(
    ("body", "length", "limit"),
    [
        ("maximum context length is 2048 tokens. However, you requested 99 tokens (89 in the messages, 10", 89, 2048),
        ("maximum context length is 2048 tokens, your prompt contains at least 2000 input tokens", 2000, 2048),
        ("maximum context length is 4097 tokens. However, your messages resulted in 5000 tokens.", 5000, 4097),
        ({"error": {"type": "exceed_context_size_error", "message": "the request exceeds the available context size",
                    "n_prompt_tokens": 700, "n_ctx": 512}}, 700, 512),
        ("The decoder prompt (length 90) is longer than the maximum model length of 64.", 90, 64),
        ({"error": {"message": "too big", "code": "context_length_exceeded"}}, 0, 0),
    ],
)  # fmt: skip
def test_a_prompt_that_is_too_long_is_known_with_its_numbers(body: Any, length: int, limit: int):
    """vLLM, OpenAI, llama.cpp."""
    said = read(body)

    assert (True, length, limit) == (said.too_long, said.length, said.limit)


@pytest.mark.parametrize(
    ("status", "body", "again", "step"),
    [
        (401, {"error": {"message": "no"}}, False, "OPENAI_API_KEY"),
        (404, {"error": {"message": "The model `x` does not exist"}}, False, "openai.model"),
        (404, {"detail": "Not Found"}, False, "base_url"),
        (429, {"error": {"message": "slow down"}}, True, "ask it less"),
        (429, {"error": {"message": "pay", "code": "insufficient_quota"}}, False, "account"),
        (502, "<html>", True, "log"),
        (302, "", False, "base_url"),
    ],
)
def test_what_a_refusal_means(status: int, body: Any, again: bool, step: str):
    """Whether another try may help, and what people can do."""
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    trouble = refusal("http://it", status, data)

    assert (again, True) == (trouble.again, step in trouble.hint)


def test_how_long_a_server_wants_to_be_left_alone():
    """Seconds, or a date."""
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    waits = [refusal("it", 429, b"", text).wait for text in ("7", "-1", "soon", "", soon)]

    assert ([7.0, 0.0, 0.0, 0.0], True) == (waits[:4], 50 < waits[4] <= 60)


def prompt(lines: int, message: str = "and now?") -> Prompt:
    history = tuple(Said("user" if number % 2 else "assistant", f"line {number} " * 10) for number in range(lines))
    return Prompt((Section("card", "You are Mira."),), (), history, (), Said("user", message))


def told(fitting: Fitting, asked: Prompt) -> int:
    return sum(size(message["content"]) for message in fitting.render(asked, 100).messages)


def test_a_long_history_is_trimmed_by_estimate():
    """The oldest goes; the card and the message stay."""
    fitting = Fitting(1000)
    rendered = fitting.render(prompt(100), 100)

    assert 0 < rendered.history_dropped < 100
    assert ("You are Mira.", "and now?") == (rendered.messages[0]["content"], rendered.messages[-1]["content"])
    assert len(rendered.tokens) <= 900
    assert fitting.room(rendered.tokens) >= 100


def test_the_estimate_learns_from_what_the_server_counts():
    """More than thought counts at once, less little by little; short prompts teach nothing."""
    messages = [{"role": "user", "content": "x" * 1000}]
    dense, thin, short = Fitting(1000), Fitting(1000), Fitting(1000)
    before = told(dense, prompt(100))
    dense.learn(messages, 600)
    thin.learn(messages, 100)
    first = thin.density
    for _ in range(50):
        thin.learn(messages, 100)
    short.learn([{"role": "user", "content": "x"}], 90)

    assert told(dense, prompt(100)) < before < told(thin, prompt(100))
    assert 0.09 < thin.density < 0.11 < first < DENSE == short.density


def test_a_prompt_that_did_not_fit_is_smaller_the_next_time():
    """By the server's numbers, or by a guess where it gives none."""
    messages = [{"role": "user", "content": "x" * 1000}]
    named, silent, misread = Fitting(4000), Fitting(1000), Fitting(1000)
    before = told(silent, prompt(100))
    named.shrink(messages, 800, 900)
    silent.shrink(messages, 0, 0)
    misread.shrink(messages, 4, 1000)  # of "Error (4): …", say

    assert (900, True) == (named.context, named.density >= 0.8)
    assert told(silent, prompt(100)) < before
    assert told(misread, prompt(100)) < before


def test_nobody_speaks_in_control_tokens():
    """Those of every common family of models are taken apart."""
    said = Fitting(4000).render(prompt(0, " ".join(FAMILIES)), 100).messages[-1]["content"]

    assert [] == [token for token in FAMILIES if token in said]
