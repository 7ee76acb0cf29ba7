"""worker/engine.py with LoRAs: everybody speaks as if their LoRA were merged into the weights, and nobody else's."""

import itertools
import threading
from collections.abc import Mapping

import msgspec
import pytest
import torch

from core.jobs import BASE, Lane
from personas.sampling import Sampling
from tests.fakes.engines import GREEDY, WARM, alone, ask, engine, fresh, renamed, run, steps, take
from tests.fakes.loras import ALL, TINY, weights
from tests.fakes.tiny import Bytes
from worker import packed
from worker.engine import Limits
from worker.generator import Finished, Request
from worker.lora.files import PLACES, Shape, Weights
from worker.lora.loading import Loading
from worker.sampling import Draw

EVERYTHING = msgspec.structs.replace(TINY, targets=ALL)
LORAS = {f"v{n}": weights(EVERYTHING, 1 + n, ALL, seed=n, alpha=4.0, version=f"v{n}") for n in range(6)}


def merged(request: Request, lora: Weights | None) -> str:
    """The reference: this LoRA merged into the weights, the whole text read anew for each token, plain transformers."""
    model, said = fresh().model, list[int]()
    for (layer, target), (a, b) in lora.parts.items() if lora else ():
        model.model.layers[layer].get_submodule(PLACES[target]).weight.data += b @ a
    while len(said) < request.sampling.max_tokens and 257 not in said:
        with torch.inference_mode():
            said.append(int(model(input_ids=torch.tensor([[*request.tokens, *said]])).logits[0, -1].argmax()))
    return (
        Bytes()
        .decode([token for token in said if token != 257])
        .lstrip()
        .rstrip("\ufffd \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f")
    )


@pytest.mark.parametrize("together", [False, True], ids=["one by one", "together"])
@pytest.mark.parametrize("shape", [TINY, EVERYTHING], ids=["attention", "all linears"])
def test_a_mixed_batch_says_what_each_says_with_its_lora_merged(shape: Shape, together: bool) -> None:
    """Exact tokens in float32: several LoRAs of several ranks, one of them twice, and the base, in pieces of prompt."""
    loras = {v: _held(lora, shape) for v, lora in LORAS.items()}
    wishes = [(), ("v0",), ("v1",), ("v5",), ("v1",), (), ("v3",)]
    requests = [ask(n, GREEDY, loras=wish) for n, wish in enumerate(wishes)]
    batch = engine(loras, slots=6, lora_shape=shape, together=together, limits=Limits(8, 24))
    ends, _ = run(batch, *requests)

    expected = {r.id: merged(r, loras[r.loras[0]] if r.loras else None) for r in requests}
    assert expected == {name: end.text for name, end in ends.items()}
    assert {r.id: r.loras[0] if r.loras else BASE for r in requests} == {n: end.lora for n, end in ends.items()}
    assert len(set(expected.values())) >= 6


def _held(lora: Weights, shape: Shape) -> Weights:
    """What of a LoRA these slots hold."""
    parts = {place: pair for place, pair in lora.parts.items() if place[1] in shape.targets}
    return Weights(lora.version, lora.rank, parts)


def test_more_loras_than_slots_take_turns() -> None:
    """Nobody fails, nobody gets another's, and versions that are in use stay."""
    requests = [ask(n, WARM, f"{n}-{turn}", (f"v{n}",)) for turn in range(2) for n in range(6)]
    ends, _ = run(engine(LORAS, slots=2, lora_shape=EVERYTHING, limits=Limits(4, 64)), *requests)

    assert {f"v{n}": 2 for n in range(6)} == _count(ends)
    assert all(ends[f"{n}-0"].text == ends[f"{n}-1"].text for n in range(6))


def _count(ends: Mapping[str, Finished]) -> dict[str, int]:
    versions = sorted(end.lora for end in ends.values())
    return {version: versions.count(version) for version in versions}


def test_a_version_that_cannot_be_loaded_gives_way_to_an_earlier_one() -> None:
    """Deleted between claim and load, say; without an earlier one the base speaks. No other job notices."""
    known = {"v1": LORAS["v1"]}
    batch = engine(known, lora_shape=EVERYTHING)
    ends, _ = run(
        batch,
        ask(0, loras=("gone", "v1"), name="a"),
        ask(1, loras=("gone",), name="b"),
        ask(2, loras=("v1",), name="c"),
    )

    assert {"a": "v1", "b": BASE, "c": "v1"} == {name: end.lora for name, end in ends.items()}
    assert merged(ask(0), LORAS["v1"]) == ends["a"].text
    assert merged(ask(1), None) == ends["b"].text
    assert "gone: there is no gone" == batch.about()["lora_trouble"]


def test_nobody_waits_while_a_lora_is_being_read() -> None:
    """Who needs it joins when it is there."""
    slow = threading.Event()
    batch = engine(lora_shape=EVERYTHING)

    def read(version: str) -> Weights:
        assert slow.wait(60)
        return LORAS[version]

    batch._loras._loading = Loading(read)
    batch.add(ask(0, loras=("v2",), name="slow"))
    batch.add(ask(1, name="quick"))
    ends: dict[str, Finished] = {}
    for events in steps(batch):
        take(events, ends, {})
        if "quick" in ends:
            slow.set()

    assert ["quick", "slow"] == list(ends)
    assert "v2" == ends["slow"].lora


TALK = Sampling(temperature=0, repetition_penalty=1.0, max_tokens=8)


def _talk(turns: int, loras: tuple[str, ...] = ()) -> list[Request]:
    """The same conversation as it grows, with what was really said."""
    text, requests = "once upon a time there was a fox.", []
    for turn in range(turns):
        requests.append(Request(id=f"t{turn}", tokens=tuple(Bytes().encode(text)), sampling=TALK, seed=1, loras=loras))
        text += alone(requests[-1], LORAS, EVERYTHING).text + f" and then {turn}?"
    return requests


def test_a_talk_goes_on_from_what_was_read_and_says_the_same() -> None:
    """Only what is new is read; greedy tokens are those of a fresh start."""
    talk, batch = _talk(5), engine(LORAS, lora_shape=EVERYTHING)
    texts = [run(batch, request)[0][request.id].text for request in talk]

    assert [alone(request).text for request in talk] == texts
    assert batch.about()["prompt_reused"] > 0.6  # type: ignore[operator]


def test_nothing_read_under_one_lora_is_used_under_another() -> None:
    """A promotion starts the conversation's cache anew."""
    batch = engine(LORAS, lora_shape=EVERYTHING)
    first, second = ask(1), renamed(ask(1, loras=("v4",)), "2")
    run(batch, first)
    end = run(batch, second)[0]["2"]

    assert alone(second, LORAS, EVERYTHING).text == end.text
    assert merged(second, LORAS["v4"]) == end.text
    assert 0 == batch.about()["prompt_reused"]


def test_two_versions_of_one_persona_serve_at_once() -> None:
    """A canary beside the live one."""
    ends, _ = run(
        engine(LORAS, lora_shape=EVERYTHING), ask(0, loras=("v4",), name="a"), ask(0, loras=("v5",), name="b")
    )

    assert [merged(ask(0), LORAS["v4"]), merged(ask(0), LORAS["v5"])] == [ends["a"].text, ends["b"].text]
    assert ends["a"].text != ends["b"].text


def test_the_youngest_yields_when_room_is_short_and_resumes() -> None:
    """Nobody fails, and everybody says what they would have said with room enough. Files yield before people."""
    long = msgspec.structs.replace(WARM, max_tokens=40)
    requests = [ask(n, long, loras=(f"v{n % 3}",)) for n in range(5)]
    file = msgspec.structs.replace(ask(0, long, "file"), lane=Lane.BACKGROUND, seed=9)
    batch = engine(LORAS, room=192, lora_shape=EVERYTHING, limits=Limits(6, 64))
    ends, streamed = run(batch, file, *requests)

    assert {r.id: alone(r, LORAS, EVERYTHING) for r in (file, *requests)} == ends
    assert {name: end.text for name, end in ends.items()} == streamed
    assert batch.about()["yielded"] > 1  # type: ignore[operator]


def test_a_long_prompt_is_read_in_pieces_while_others_talk() -> None:
    """Its pieces never fill a step, and a short one that comes later is answered first."""
    tokens = tuple(Bytes().encode("a long story. " * 30))
    long = Request(id="long", tokens=tokens, sampling=GREEDY, seed=1)
    batch, ends = engine(room=2048, limits=Limits(4, 32)), dict[str, Finished]()
    batch.add(long)
    batch.step()
    batch.add(ask(0, name="short"))
    order: list[str] = []
    for events in steps(batch):
        take(events, ends, {})
        order += [event.id for event in events if event.id not in order]

    assert ["short", "long"] == order
    assert merged(long, None) == ends["long"].text
    assert merged(ask(0), None) == ends["short"].text


def test_a_device_that_runs_out_of_memory_takes_smaller_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps of more than 20 tokens, or of three rows, do not fit here: all is said nevertheless."""
    import worker.engine

    forward = worker.engine.forward

    def tight(model: object, tokens: torch.Tensor, pack: object, ends: list[int]) -> torch.Tensor:
        if tokens.shape[1] > 20 or len(ends) > 2:
            raise torch.OutOfMemoryError("no memory left")
        return forward(model, tokens, pack, ends)  # type: ignore[arg-type]

    monkeypatch.setattr(worker.engine, "forward", tight)
    batch = engine(limits=Limits(8, 128))
    ends, _ = run(batch, *(ask(n) for n in range(4)))

    monkeypatch.undo()
    assert {str(n): alone(ask(n)) for n in range(4)} == ends
    assert 16 == batch.about()["step_tokens"]


@pytest.mark.parametrize("sampling", [GREEDY, WARM], ids=["greedy", "sampled"])
def test_memory_that_runs_out_while_tokens_are_chosen_loses_none(
    sampling: Sampling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose scores are lost are read again; here, of three rows or more."""
    import worker.engine

    choose = worker.engine.choose

    def tight(logits: torch.Tensor, draws: list[Draw]) -> list[int | None]:
        if len(draws) > 2:
            raise torch.OutOfMemoryError("no memory left")
        return choose(logits, draws)

    monkeypatch.setattr(worker.engine, "choose", tight)
    ends, _ = run(engine(limits=Limits(8, 128)), *(ask(n, sampling) for n in range(4)))

    monkeypatch.undo()
    assert {str(n): alone(ask(n, sampling)) for n in range(4)} == ends


def test_memory_that_is_short_of_replies_does_not_slow_down_the_reading_of_prompts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a GPU, the keys of all replies lie side by side for a moment: what counts is how many they are."""
    import worker.engine

    forward = worker.engine.forward

    def tight(model: object, tokens: torch.Tensor, pack: packed.Pack, ends: list[int]) -> torch.Tensor:
        if pack.ones > 2:
            raise torch.OutOfMemoryError("no memory left")
        return forward(model, tokens, pack, ends)

    monkeypatch.setattr(worker.engine, "forward", tight)
    batch = engine(limits=Limits(8, 256))
    ends, _ = run(batch, *(ask(n) for n in range(4)))

    monkeypatch.undo()
    assert {str(n): alone(ask(n)) for n in range(4)} == ends
    assert 256 == batch.about()["step_tokens"]


def test_a_single_reply_that_does_not_fit_ends_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the next one is served."""
    import worker.engine

    def full(*_: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("no memory left")

    with monkeypatch.context() as patch:
        patch.setattr(worker.engine, "forward", full)
        batch = engine()
        ends, _ = run(batch, ask(0))

    assert "error" == ends["0"].finish
    assert "not enough memory" in ends["0"].error
    assert alone(ask(1)) == run(batch, ask(1))[0]["1"]


def test_memory_that_runs_out_while_a_fault_is_looked_for_fails_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that yield for it are not looked at any more, and the others get their own scores."""
    import worker.engine

    forward, read = worker.engine.forward, itertools.count(1)

    def broken(model: object, tokens: torch.Tensor, pack: packed.Pack, ends: list[int]) -> torch.Tensor:
        if len(pack.spans) > 1:
            raise RuntimeError("no more than one at a time")
        if next(read) == 3 + 2:  # the second one's second token
            raise torch.OutOfMemoryError("no memory left")
        return forward(model, tokens, pack, ends)

    monkeypatch.setattr(worker.engine, "forward", broken)
    batch = engine(limits=Limits(8, worker.engine.SMALLEST))
    ends, _ = run(batch, *(ask(0, name=str(n)) for n in range(3)))

    monkeypatch.undo()
    assert {n: msgspec.structs.replace(alone(ask(0)), id=n) for n in "012"} == ends
    assert 2 == batch.about()["yielded"]
