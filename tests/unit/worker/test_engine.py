"""worker/engine.py: whoever is in the batch, everybody gets the reply that they would get alone."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
import torch
from msgspec.structs import replace

import worker.engine
from personas.sampling import Sampling
from tests.fakes.engines import GREEDY, WARM, alone, ask, engine, run, take
from tests.fakes.tiny import Bytes, tiny
from worker import packed
from worker.generator import Finished, Request
from worker.sampling import Draw, choose


def tidy(text: str) -> str:
    """Without what no reply begins or ends with: white space, and half a character at its end."""
    return text.lstrip().rstrip("\ufffd \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0")


@pytest.mark.parametrize("sampling", [GREEDY, WARM], ids=["greedy", "sampled"])
def test_a_batch_says_what_each_would_say_alone(sampling: Sampling) -> None:
    """Exact tokens in float32: padding, positions, cache and dice do not leak between rows."""
    batch = engine()
    for number in range(4):
        batch.add(ask(number, sampling))
    ends, _ = run(batch)

    assert {str(n): alone(ask(n, sampling)) for n in range(4)} == ends
    assert 4 == len({end.text for end in ends.values()})


def test_the_cache_gives_what_reading_everything_anew_gives() -> None:
    """The reference has no cache at all: the whole text is read for every token."""
    request, said = ask(1), list[int]()
    while len(said) < request.sampling.max_tokens and 257 not in said:
        with torch.inference_mode():
            logits = tiny().model(input_ids=torch.tensor([[*request.tokens, *said]])).logits[0, -1]
        said.append(int(logits.argmax()))

    assert tidy(Bytes().decode([token for token in said if token != 257])) == alone(request).text


def test_requests_join_and_leave_a_running_batch() -> None:
    """Whoever comes later is not kept waiting, and disturbs nobody."""
    batch, ends, streamed = engine(), dict[str, Finished](), dict[str, str]()
    batch.add(ask(1, WARM))
    for number in (0, 2, 3):
        for _ in range(3):
            take(batch.step(), ends, streamed)
        batch.add(ask(number, WARM))
    later, _ = run(batch)

    assert {str(n): alone(ask(n, WARM)).text for n in range(4)} == {
        name: end.text for name, end in (ends | later).items()
    }


def test_what_is_streamed_is_what_the_reply_says() -> None:
    """Nothing twice, nothing missing, no half characters."""
    batch = engine()
    for number in range(4):
        batch.add(ask(number, WARM))
    ends, streamed = run(batch)

    assert {name: end.text for name, end in ends.items()} == streamed


def test_what_it_is_told_is_not_recited_unless_that_is_switched_off() -> None:
    """Alone and in company, streamed and whole."""
    usual, off = WARM.merged({"repetition_penalty": 1.0}), WARM.merged({"repetition_penalty": 1.0, "dry_multiplier": 0})
    plain = alone(ask(1, usual)).text
    told = tuple(pair for pair in itertools.pairwise(plain.encode()) if max(pair) < 128)
    requests = [replace(ask(at, sampling), told=told) for at, sampling in ((1, usual), (2, usual))]
    batch = engine()
    for request in requests:
        batch.add(request)
    ends, streamed = run(batch)

    assert told
    assert [] == [text for text in streamed.values() if {*itertools.pairwise(text.encode())} & {*told}]
    assert {name: end.text for name, end in ends.items()} == streamed
    assert plain == alone(replace(ask(1, off), told=told)).text


def test_a_cancelled_request_ends_within_a_step_and_the_others_go_on() -> None:
    """With what it has said so far."""
    batch = engine()
    batch.add(ask(0))
    batch.add(ask(1))
    for _ in range(4):
        batch.step()
    batch.cancel("0")
    (end,) = [event for event in batch.step() if isinstance(event, Finished)]

    assert ("0", "cancelled") == (end.id, end.finish)
    assert alone(ask(0)).text.startswith(end.text)
    assert alone(ask(1)) == run(batch)[0]["1"]


def test_one_may_be_cancelled_before_it_has_begun() -> None:
    """It never joins."""
    batch = engine()
    batch.add(ask(0))
    batch.cancel("0")

    assert [Finished(id="0", text="", finish="cancelled")] == batch.step()
    assert 0 == batch.active


def test_a_stop_string_ends_the_reply_before_it() -> None:
    """Even where it spans tokens (here: bytes)."""
    whole = alone(ask(1)).text
    stop = whole[4:7]
    batch = engine()
    batch.add(ask(1, Sampling(temperature=0, repetition_penalty=1.0, max_tokens=24, stop=(stop,))))
    ends, streamed = run(batch)

    assert (tidy(whole[: whole.index(stop)]), "stop") == (ends["1"].text, ends["1"].finish)
    assert ends["1"].text == streamed["1"]


def test_the_context_is_never_overrun() -> None:
    """The reply ends as one that is too long does."""
    batch = engine(context=64)
    batch.add(Request(id="1", tokens=tuple(range(40)), sampling=Sampling(temperature=0, max_tokens=400), seed=1))
    end = run(batch)[0]["1"]

    assert end.finish in ("length", "stop")
    assert 40 + end.tokens <= 64


def test_a_request_that_cannot_be_read_fails_alone() -> None:
    """Here: a token that the model does not have."""
    batch = engine()
    batch.add(Request(id="bad", tokens=(9999,), sampling=GREEDY, seed=1))
    batch.add(ask(1))
    ends, _ = run(batch)

    assert "error" == ends["bad"].finish
    assert ends["bad"].error
    assert alone(ask(1)) == ends["1"]


@pytest.mark.parametrize("count", [0, 64, 200, 600])
def test_a_prompt_that_can_never_be_read_fails_and_is_in_nobody_s_way(count: int) -> None:
    """Empty, more than all the room there is, more than the context: it does not wait for ever."""
    batch = engine(room=64)
    batch.add(Request(id="bad", tokens=(7,) * count, sampling=GREEDY, seed=1))
    ends, _ = run(batch, ask(0))

    assert "error" == ends["bad"].finish
    assert f"a prompt of {count} tokens" in ends["bad"].error
    assert alone(ask(0)) == ends["0"]


def test_scores_that_are_no_numbers_end_that_row_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others never notice."""

    def broken(*given: Any) -> Any:
        logits = packed.forward(*given)
        return logits.index_fill(0, torch.tensor([0]), float("nan")) if len(logits) == 2 else logits

    monkeypatch.setattr(worker.engine, "forward", broken)
    for sampling in (GREEDY, WARM):
        ends, _ = run(engine(), ask(0, sampling), ask(1, sampling))

        assert "error" == ends["0"].finish
        assert "no usable scores" in ends["0"].error
        assert alone(ask(1, sampling)) == ends["1"]


def test_one_that_no_token_can_be_chosen_for_ends_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not wait for ever: here, a fault in drawing."""

    def broken(logits: torch.Tensor, draws: list[Draw]) -> list[int | None]:
        if any(draw.sampling.temperature for draw in draws):
            raise RuntimeError("no dice")
        return choose(logits, draws)

    monkeypatch.setattr(worker.engine, "choose", broken)
    ends, _ = run(engine(), ask(0, WARM), ask(1))

    assert ("error", "RuntimeError: no dice") == (ends["0"].finish, ends["0"].error)
    assert alone(ask(1)) == ends["1"]


def test_a_batch_that_cannot_go_on_ends_all_its_rows_and_serves_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here: a device that fails in the middle of two replies."""
    batch = engine()
    batch.add(ask(0))
    batch.add(ask(1))
    batch.step()
    with monkeypatch.context() as patch:

        def gone(*_: Any) -> Any:
            raise RuntimeError("the device is gone")

        patch.setattr(worker.engine, "forward", gone)
        events = batch.step()

    assert ["error", "error"] == [event.finish for event in events if isinstance(event, Finished)]
    assert 0 == batch.active
    assert alone(ask(2)) == run(batch, ask(2))[0]["2"]


class Interrupted(deque[Any]):
    """A queue in which, whenever an item is taken or looked at, another thread gets its turn first."""

    def __init__(self, items: Iterable[Any], other: Callable[[], None]) -> None:
        super().__init__(items)
        self._other = other

    def popleft(self) -> Any:
        self._other()
        return super().popleft()

    def __iter__(self) -> Iterator[Any]:
        for item in super().__iter__():
            self._other()
            yield item


def test_another_thread_may_add_and_cancel_in_the_middle_of_a_step() -> None:
    """Nothing is lost: who came and was cancelled while others were let in ends as cancelled."""
    batch, todo = engine(), [ask(1)]

    def other() -> None:
        while todo:
            batch.add(todo[0])
            batch.cancel(todo.pop().id)

    batch._joining = Interrupted([ask(0)], other)
    ends, _ = run(batch)

    assert {"0": alone(ask(0)), "1": Finished(id="1", text="", finish="cancelled")} == ends
