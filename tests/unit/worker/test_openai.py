"""worker/openai/: replies from a server over a real socket; what it refuses, and how it fails."""

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from msgspec.structs import replace

from core.errors import ConfigError, ModelError
from tests.fakes.openai import Act, Fake, fake
from tests.fakes.remote import asking, ended, events, remote, until
from worker.generator import Finished, Piece
from worker.openai.generator import Remote


@pytest.fixture
def server() -> Iterator[Fake]:
    with fake() as it:
        yield it


@pytest.fixture
def generator(server: Fake) -> Iterator[Remote]:
    with remote(server) as it:
        yield it


def test_a_reply_streams_in_order(server: Fake, generator: Remote):
    """Each word as it comes, then the end with all of it."""
    told = events(generator, asking("hello there"))

    assert ["tiny", " heard:", " hello", " there"] == [event.text for event in told if isinstance(event, Piece)]
    assert Finished(id="r1", text="tiny heard: hello there", finish="stop", tokens=4, lora="base") == told[-1]
    assert (0, []) == (generator.active, generator.step())


def test_the_server_is_told_what_the_card_says(server: Fake, generator: Remote):
    """Messages as they are, every number, no more stop strings than OpenAI takes, and a seed that any server holds."""
    stop = tuple("abcde")
    ended(generator, asking("hi", temperature=0.3, top_k=9, min_p=0.2, stop=stop, max_tokens=50))

    (body,) = server.chats()
    expected = {
        "model": "tiny", "messages": [{"role": "user", "content": "hi"}], "stream": True, "temperature": 0.3,
        "top_p": 0.9, "top_k": 9, "min_p": 0.2, "repetition_penalty": 1.1, "max_tokens": 50, "seed": 7,
        "stop": list("abcd"), "stream_options": {"include_usage": True},
    }  # fmt: skip
    assert expected == body


def test_a_stop_string_that_the_server_lets_pass_ends_the_reply(server: Fake, generator: Remote):
    """Nothing of it is told, and the server need not go on."""
    server.script.append(Act(words=("one", " tw", "o", " three", " four"), hold=4))
    told = events(generator, asking(stop=("two th",)))

    assert "one" == "".join(event.text for event in told if isinstance(event, Piece))
    assert Finished(id="r1", text="one", finish="stop", tokens=4) == told[-1]
    until(lambda: server.left)


def test_a_reply_that_is_cut_says_so(server: Fake, generator: Remote):
    """And is counted as the server counts."""
    server.script.append(Act(words=("a b",), finish="length", usage={"prompt_tokens": 9, "completion_tokens": 2}))

    end = ended(generator, asking())["r1"]

    assert ("length", 2) == (end.finish, end.tokens)


def test_many_speak_at_once(server: Fake, generator: Remote):
    """None waits for another, and each gets its own words."""
    server.default = Act(hold=2)
    requests = [asking(f"word{number}", f"r{number}") for number in range(12)]
    for request in requests:
        generator.add(request)
    told: list[object] = []
    until(lambda: len(told) == 24, lambda: told.extend(generator.step()))
    assert (12, 12) == (server.open, generator.active)

    until(lambda: not generator.active, lambda: (server.let_go(), told.extend(generator.step())))

    texts = {end.id: end.text for end in told if isinstance(end, Finished)}
    assert {f"r{number}": f"tiny heard: word{number}" for number in range(12)} == texts


def test_a_cancelled_reply_ends_at_once_with_what_it_has(server: Fake, generator: Remote):
    """The server sees its client go, and can stop; asking twice or for strangers does no harm."""
    server.script.append(Act(words=("one", " two", " three"), hold=2))
    generator.add(asking())
    told: list[Piece | Finished] = []
    until(lambda: len(told) == 2, lambda: told.extend(generator.step()))
    for name in ("r1", "r1", "stranger"):
        generator.cancel(name)
    until(lambda: not generator.active, lambda: told.extend(generator.step()))

    assert Finished(id="r1", text="one two", finish="cancelled", tokens=2) == told[-1]
    until(lambda: server.left)


def test_one_that_is_cancelled_before_it_began_ends_too(server: Fake, generator: Remote):
    """With nothing: its thread was busy while both were asked for."""
    both_asked = threading.Event()
    generator._background.loop.call_soon_threadsafe(both_asked.wait)
    generator.add(asking())
    generator.cancel("r1")
    both_asked.set()
    told: list[Piece | Finished] = []
    until(lambda: not generator.active, lambda: told.extend(generator.step()))

    assert [Finished(id="r1", text="", finish="cancelled")] == told
    assert [] == server.chats()


@pytest.mark.parametrize(
    "act",
    [
        Act(status=429, headers={"retry-after": "0"}),
        Act(status=500),
        Act(status=503, body="upstream is away"),
        Act(words=(), raw="data: {not json\n\n"),
        Act(words=(), raw='data: {"error": {"message": "out of memory", "code": 500}}\n\n'),
    ],
)
def test_what_passes_is_tried_again_before_the_first_word(server: Fake, generator: Remote, act: Act):
    """People see a reply that came a little later."""
    if act.raw:
        act.words = ("",)
    server.script += [act, act]

    assert "tiny heard: hello there" == ended(generator, asking())["r1"].text
    assert 3 == len(server.chats())


def test_a_server_that_never_gets_well_is_given_up(server: Fake):
    """After `openai.retries`, with what it said."""
    server.default = Act(status=503, body={"error": {"message": "overloaded"}})
    with remote(server, openai__retries="2") as generator:
        end = ended(generator, asking())["r1"]

    assert ("error", 3) == (end.finish, len(server.chats()))
    assert "says 503: overloaded" in end.error


def test_a_server_that_is_away_is_tried_until_it_is_back(caplog: pytest.LogCaptureFixture):
    """A refused connection costs nobody a reply."""
    caplog.set_level(logging.INFO)
    life = ExitStack()
    first = life.enter_context(fake())
    with remote(first, openai__retries="10") as generator:
        life.close()
        generator.add(asking())
        until(lambda: "cannot be reached" in caplog.text)
        with fake(int(first.url.split(":")[2].removesuffix("/v1"))):
            assert "tiny heard: hello there" == ended(generator)["r1"].text


@pytest.mark.parametrize("act", [Act(end="dies"), Act(end="quiet"), Act(raw="data: oh no\n\n")])
def test_what_breaks_after_the_first_word_is_an_error(server: Fake, generator: Remote, act: Act):
    """The job is tried anew as a whole: nobody hears half a reply twice."""
    server.script.append(act)
    end = ended(generator, asking())["r1"]

    assert ("error", "tiny heard: hello there") == (end.finish, end.text)
    assert 1 == len(server.chats())


def test_a_server_that_falls_silent_is_given_up(server: Fake):
    """After `openai.timeout_seconds`; its connection is closed."""
    server.script.append(Act(words=("one",), end="silent"))
    with remote(server, openai__timeout_seconds="1") as generator:
        end = ended(generator, asking())["r1"]

    assert ("error", "one") == (end.finish, end.text)
    assert "was silent for 1 s → look at the server's log" in end.error
    until(lambda: server.left)


def test_an_end_that_was_told_needs_no_farewell(server: Fake, generator: Remote):
    """`finish_reason` came, `[DONE]` did not."""
    last = 'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n'
    server.script.append(Act(words=("one",), raw=last, end="dies"))

    end = ended(generator, asking())["r1"]

    assert ("stop", "one") == (end.finish, end.text)


def test_fields_that_a_server_does_not_know_are_left_out_from_then_on(
    server: Fake, generator: Remote, caplog: pytest.LogCaptureFixture
):
    """It is told once what is lost, and shown in `limen status`."""
    server.refuses = {"top_k", "min_p", "repetition_penalty"}
    first = ended(generator, asking())["r1"]
    tries = len(server.chats())
    second = ended(generator, asking())["r1"]

    assert ("stop", "stop", 4, 5) == (first.finish, second.finish, tries, len(server.chats()))
    assert not server.refuses & set(server.chats()[-1])
    assert "min_p, repetition_penalty, top_k" == generator.about()["refused"]
    lost = [record.message for record in caplog.records if "is lost" in record.message]
    assert ["min_p", "repetition_penalty", "top_k"] == [text.split()[4].rstrip(":") for text in lost]


def test_a_server_that_counts_completion_tokens_is_asked_in_its_way(server: Fake, generator: Remote):
    """OpenAI's newer models."""
    server.refuses = {"max_tokens"}

    assert "stop" == ended(generator, asking(max_tokens=30))["r1"].finish
    assert 30 == server.chats()[-1]["max_completion_tokens"]


def test_a_template_that_allows_less_gets_the_same_words_in_another_order(server: Fake, generator: Remote):
    """System messages join the user's, where there is no system role."""
    no = {"error": {"message": "System role not supported", "code": 400}}
    server.script += [Act(status=400, body=no), Act(status=400, body=no)]
    request = asking("hi")
    messages = ({"role": "system", "content": "Be kind."}, *request.messages)
    end = ended(generator, replace(request, messages=messages))["r1"]

    assert "stop" == end.finish
    assert [{"role": "user", "content": "Be kind.\n\nhi"}] == server.chats()[-1]["messages"]


def test_a_model_that_is_gone_is_named_with_the_next_step(server: Fake, generator: Remote):
    """Somebody started the server with another one."""
    server.models = [{"id": "other"}]
    error = ended(generator, asking())["r1"].error

    assert "The model `tiny` does not exist. → set openai.model" in error


def test_a_prompt_that_was_too_long_is_rendered_shorter_the_next_time(server: Fake, generator: Remote):
    """The error says so; the job's next attempt composes anew."""
    said = "This model's maximum context length is 1000 tokens. However, your prompt contains 1100 input tokens."
    server.script.append(Act(status=400, body={"error": {"message": said, "code": 400}}))
    end = ended(generator, asking("word " * 400))["r1"]

    assert ("error", 1000, 1) == (end.finish, generator.about()["context"], len(server.chats()))
    assert "the next attempt gives it less" in end.error
    assert "stop" == ended(generator, asking("x"))["r1"].finish


def test_the_key_is_sent_and_never_told(server: Fake, caplog: pytest.LogCaptureFixture):
    """Not in the log, at any level, and in no error."""
    caplog.set_level(logging.DEBUG)
    server.key = "sk-right"
    with remote(server, key="sk-right") as generator:
        assert "stop" == ended(generator, asking())["r1"].finish
        server.key = "sk-other"
        error = ended(generator, asking())["r1"].error

    assert "refuses us (401)" in error
    assert "export OPENAI_API_KEY=" in error
    assert "sk-right" not in error + caplog.text + repr(generator.about())


def test_a_wrong_key_stops_the_start_with_the_next_step(server: Fake):
    """It is no use to try again."""
    server.key = "sk-right"
    with pytest.raises(ModelError, match="refuses us") as refused, remote(server, key="sk-wrong"):
        pass

    assert "set its key in the environment: export OPENAI_API_KEY=…" == refused.value.hint
    assert ["/models"] == server.paths()


def test_a_key_that_is_none_is_refused_before_it_is_sent(server: Fake):
    """Half a paragraph that was pasted, say."""
    with pytest.raises(ConfigError, match="characters that no key has"), remote(server, key="sk-…"):
        pass

    assert [] == server.heard


def test_a_server_without_a_model_stops_the_start(server: Fake):
    """Ollama then lists null; one that is named need not be listed."""
    server.models = None
    with pytest.raises(ModelError, match="lists no model") as refused, remote(server):
        pass
    with remote(server, openai__model="tiny") as generator:
        assert 4096 == generator.about()["context"]

    assert "load one there, or name it with openai.model" == refused.value.hint


def test_a_server_that_is_not_there_stops_the_start():
    """With the next step; the worker's keeper tries again later."""
    with fake() as gone:
        pass
    with pytest.raises(ModelError, match="cannot be reached") as refused, remote(gone, openai__retries="1"):
        pass

    assert "openai.base_url" in refused.value.hint


def test_the_context_is_the_servers(server: Fake):
    """vLLM's, llama.cpp's, else what the settings say; never more than `model.context`."""
    found = []
    for model in ({"id": "a", "max_model_len": 3000}, {"id": "a", "meta": {"n_ctx": 500}}, {"id": "a"}):
        server.models = [model]
        with remote(server, openai__context="900") as generator:
            found.append(generator.about()["context"])
    with remote(server, openai__context="900", model__context="300") as generator:
        found.append(generator.about()["context"])

    assert [3000, 500, 900, 300] == found


def test_a_reply_is_never_longer_than_the_context_has_room(server: Fake):
    """vLLM would refuse the whole request."""
    server.models = [{"id": "tiny", "max_model_len": 300}]
    with remote(server) as generator:
        ended(generator, asking("x" * 200, max_tokens=4000))

    assert 100 == server.chats()[0]["max_tokens"]


def test_a_finished_stream_leaves_its_connection_to_the_next(server: Fake, generator: Remote):
    """One after the other, on one connection."""
    for _ in range(5):
        ended(generator, asking())

    assert 1 == server.connections
