"""worker/weigher.py and the engine around it: likelihoods are those of the whole text, whoever else is in the batch."""

import msgspec
import pytest
import torch

import worker.engine
from tests.fakes.engines import GREEDY, WARM, alone, ask, engine, fresh, run
from tests.fakes.loras import TINY, weights
from tests.fakes.tiny import Bytes
from worker.engine import Engine, Limits
from worker.generator import Request
from worker.packed import Pack

LEAD = "how does somebody feel who says hello to a friend? "
CHOICES = ("a", "ab", "glad", "sad", "gladly so")


def wanted(batch: Engine, name: str = "w", lead: str = LEAD, asked: Request | None = None) -> Request:
    """These choices, for whoever asked."""
    request = batch.weighing(name, lead, CHOICES, asked or ask(0))
    assert request
    return request


def reference(lead: str, choice: str) -> float:
    """By plain transformers: the whole text read at once."""
    before, after = Bytes().encode(lead), Bytes().encode(choice)
    with torch.inference_mode():
        logs = fresh().model(input_ids=torch.tensor([[*before, *after]])).logits[0].float().log_softmax(-1)
    return sum(float(logs[len(before) + at - 1, token]) for at, token in enumerate(after))


@pytest.mark.parametrize("together", [False, True], ids=["one by one", "together"])
@pytest.mark.parametrize("lead", [LEAD, "hi "], ids=["long", "too short to be copied"])
def test_choices_are_as_likely_as_in_the_whole_text(together: bool, lead: str) -> None:
    """Of one token, of several, and one that another begins with."""
    batch = engine(together=together)
    ends, streamed = run(batch, wanted(batch, lead=lead))

    assert [reference(lead, choice) for choice in CHOICES] == pytest.approx(ends["w"].scores, abs=1e-4)
    assert ("weighed", "", {}) == (ends["w"].finish, ends["w"].text, streamed)


def test_nobody_else_in_the_batch_notices() -> None:
    """Replies are what they are alone, and so are scores."""
    batch = engine(limits=Limits(8, 24))
    ends, _ = run(batch, ask(0, WARM), wanted(batch), ask(1), ask(3))

    assert [alone(ask(0, WARM)), alone(ask(1)), alone(ask(3))] == [ends["0"], ends["1"], ends["3"]]
    assert [reference(LEAD, choice) for choice in CHOICES] == pytest.approx(ends["w"].scores, abs=1e-4)


def test_it_is_weighed_with_the_lora_that_speaks() -> None:
    """And not with the base."""
    batch = engine({"v1": weights(TINY, 4, alpha=16.0, version="v1")})
    ends, _ = run(batch, wanted(batch), wanted(batch, "v", asked=ask(0, loras=["v1"])))

    assert "v1" == ends["v"].lora
    assert max(abs(a - b) for a, b in zip(ends["w"].scores, ends["v"].scores, strict=True)) > 0.01


def test_where_there_is_no_room_there_are_no_scores_and_others_speak() -> None:
    """All the room is for one conversation."""
    batch = engine(room=128)
    ends, _ = run(batch, wanted(batch), ask(0))

    assert ("error", "no room" in ends["w"].error) == (ends["w"].finish, True)
    assert alone(ask(0)) == ends["0"]
    assert run(batch, ask(1))[0]["1"] == alone(ask(1))  # nothing is left of it


def test_what_cannot_be_weighed_is_not_asked() -> None:
    """No text before it, an empty choice, more than the context holds."""
    batch = engine(context=64)

    assert batch.weighing("w", "", CHOICES, ask(0)) is None
    assert batch.weighing("w", "so", ("a", ""), ask(0)) is None
    assert batch.weighing("w", "x" * 63, CHOICES, ask(0)) is None


def test_a_prompt_is_read_once_for_all_who_have_it() -> None:
    """The others wait for the first, and copy what was read; each says what it says alone."""
    first = ask(3, WARM, "first")
    others = [msgspec.structs.replace(first, id=f"other{at}", seed=first.seed + at, after="first") for at in (1, 2, 3)]
    batch = engine(limits=Limits(8, 32))
    ends, _ = run(batch, *others, first)

    apart = [alone(msgspec.structs.replace(other, after="")) for other in others]
    assert [ends[other.id] for other in others] == apart
    assert ends["first"] == alone(first)
    assert batch.about()["prompt_reused"] == pytest.approx(3 * 99 / 400, abs=0.01)


def test_nobody_waits_for_one_who_is_gone() -> None:
    """The first was cancelled before its prompt was read."""
    batch = engine()
    first = ask(0, name="first")
    batch.add(msgspec.structs.replace(ask(1), after="first"))
    batch.add(first)
    batch.cancel("first")
    ends, _ = run(batch)

    assert alone(ask(1)) == ends["1"]
    assert GREEDY == ask(1).sampling


def test_the_prompt_of_candidates_is_looked_at_once_in_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever else is there, and though one of them came later: they lie side by side, and say what they say alone."""
    seen = list[list[int]]()

    class Watched(Pack):
        def __post_init__(self) -> None:
            super().__post_init__()
            seen.append([len(spans) for spans, common in self.groups if common])

    monkeypatch.setattr(worker.engine, "Pack", Watched)
    first = ask(3, WARM, "first")
    others = [msgspec.structs.replace(first, id=f"other{at}", seed=first.seed + at, after="first") for at in (1, 2, 3)]
    batch = engine()
    ends, _ = run(batch, first, ask(0, WARM, "middle"), *others, ask(1, WARM, "second"))

    assert [4] in seen
    assert all(len(groups) <= 1 for groups in seen)
    apart = [alone(msgspec.structs.replace(other, after="")) for other in others]
    assert [ends[other.id] for other in others] == apart
