"""worker/night/tuning.py: LoRAs that are being learned act as they will when they serve."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector

from personas.sampling import Sampling
from tests.fakes.engines import fresh
from tests.fakes.pupils import base, row
from worker.lora.files import PLACES, Weights, read, write
from worker.lora.slots import Mix
from worker.night import measure
from worker.night.base import Base
from worker.night.measure import Asked
from worker.night.rows import Row, Sheet, scores
from worker.night.tuning import Tuning

ROW = row("You are Ann, and you like rain. Hi!", "Hello there, Ann.")


def moved(base: Base, count: int = 1, seed: int = 0) -> Tuning:
    """LoRAs that have learned something: B is no longer zero."""
    tuning = Tuning(base.shape, count, "cpu", seed)
    dice = torch.Generator().manual_seed(seed)
    tuning.fill([part.detach() + 0.2 * torch.randn(part.shape, generator=dice) for part in tuning.parameters()])
    return tuning


def learning(base: Base, tuning: Tuning, one: Row, slot: int = 0) -> Tensor:
    sheet = Sheet([one])
    with base.learning(tuning):
        tuning.mix = Mix(runs=((0, sheet.tokens.shape[1], slot),))
        return scores(base.loaded.model, sheet)


def merged(weights: Weights) -> Any:
    """The base itself with the LoRA added to its linears."""
    model = fresh().model
    for (layer, target), (a, b) in weights.parts.items():
        model.model.layers[layer].get_submodule(PLACES[target]).weight.data += b @ a
    return model


def plain(model: Any, one: Row) -> Tensor:
    logits = model(input_ids=torch.tensor([one.tokens])).logits[0]
    found: Tensor = logits[len(one.prompt) - 1 : -1]
    return found


def close(mine: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(mine.detach(), theirs.detach(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("targets", ["attention", "all"])
def test_what_is_learned_serves_as_it_was_learned(targets: str, tmp_path: Path) -> None:
    """Learning, merged into the base, in a serving slot, and from a file in peft's format: the same scores."""
    one = base(targets=targets)
    tuning = moved(one)
    weights = tuning.weights("v")
    write(tmp_path / "v", weights, "tiny")
    again = read(tmp_path / "v", one.shape, "v")
    learned = learning(one, tuning, ROW)
    slots, sheet = one.both.slots, Sheet([ROW])
    slots.load(again)
    slots.mix = Mix(runs=((0, sheet.tokens.shape[1], slots.pin("v") or 0),))
    with one._attention("limen_rows"):
        served = scores(one.loaded.model, sheet)

    close(learned, plain(merged(weights), ROW))
    close(learned, served)
    assert not torch.allclose(learned, learning(one, Tuning(one.shape, 1, "cpu", 0), ROW), atol=0.1)
    slots.mix = Mix()


def test_it_speaks_as_if_it_were_merged() -> None:
    """The engine's greedy tokens, against plain transformers alone; and the base again afterwards."""
    one = base()
    weights = moved(one).weights("v")
    greedy = Sampling(temperature=0, repetition_penalty=1.0, max_tokens=12)
    said, none = (measure.answers(one, [Asked("hi", ROW.prompt)], lora, greedy, 0)[0] for lora in (weights, None))
    model, prompt = merged(weights), torch.tensor([ROW.prompt])
    expected = model.generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=12, do_sample=False, pad_token_id=0,
        eos_token_id=257,
    )  # fmt: skip

    assert one.loaded.decode(expected[0, prompt.shape[1] :].tolist()).rstrip("\ufffd") == said.text
    assert said.text != none.text


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft asks for it
def test_peft_reads_what_was_learned(tmp_path: Path) -> None:
    """The library itself, over a model of its own, gives the same scores."""
    from peft import PeftModel

    one = base()
    tuning = moved(one)
    write(tmp_path / "v", tuning.weights("v"), "tiny")
    theirs = PeftModel.from_pretrained(fresh().model, str(tmp_path / "v"))

    close(learning(one, tuning, ROW), plain(theirs, ROW))


def test_two_side_by_side_are_each_as_alone() -> None:
    """In one forward, each run of tokens with its own: scores, and gradients that stay apart."""
    one, other = base(), row("What else is there?", "Nothing.")
    tuning = moved(one, 2)
    with one.learning(tuning):
        sheet = Sheet([], [ROW, other])
        (first, _), (second, _) = ((start, count) for start, count, _ in sheet.spans)
        tuning.mix = Mix(runs=((first, second, 0), (second, sheet.tokens.shape[1] - second, 1)))
        both = scores(one.loaded.model, sheet)
        both[sheet.whose == 1].sum().backward()

    close(both[sheet.whose == 0], learning(one, tuning, ROW, 0))
    close(both[sheet.whose == 1], learning(one, tuning, other, 1))
    assert not torch.allclose(learning(one, tuning, ROW, 0), learning(one, tuning, ROW, 1), atol=0.1)
    grads = [part.grad for part in tuning.parameters()]
    assert all(grad is not None and not grad[0].any() and grad[1].any() for grad in grads)


def test_gradients_are_those_of_the_merged_weights() -> None:
    """Of A and of B, in every linear: what autograd gives for W + scale * B A, element by element."""
    one = base()
    tuning = moved(one)
    learning(one, tuning, ROW).square().sum().backward()
    model = merged(tuning.weights("v")).requires_grad_(True)
    plain(model, ROW).square().sum().backward()

    for (layer, target), (a, b) in tuning._parts.items():
        whole = model.model.layers[layer].get_submodule(PLACES[target]).weight.grad
        for mine, theirs in ((a.grad, whole.T @ b[0].T * 2.0), (b.grad, (whole @ a[0]).T * 2.0)):
            assert mine is not None
            torch.testing.assert_close(mine[0], theirs, rtol=1e-3, atol=1e-3 * float(theirs.detach().abs().max()))


def test_it_goes_on_from_a_smaller_one() -> None:
    """A LoRA of lower rank, of some linears, is the same at the start, and what is added to it can learn."""
    one = base()
    source = moved(one).weights("v")
    few = {place: (a[:3], b[:, :3]) for place, (a, b) in source.parts.items() if place[1] != "up_proj"}
    tuning = Tuning(one.shape, 1, "cpu", 9)
    tuning.begin_with(Weights("v", 3, few))
    scored = learning(one, tuning, ROW)
    learning(one, tuning, ROW).sum().backward()

    close(scored, plain(merged(Weights("v", 3, few)), ROW))
    assert all(b.grad is not None and b.grad[0, 3:].any() for _, b in tuning._parts.values())


def test_nothing_is_changed_at_the_start() -> None:
    """Whatever the seed, and the seed alone decides what A is."""
    one = base()
    first, second, third = (Tuning(one.shape, 1, "cpu", seed) for seed in (1, 1, 2))

    assert torch.equal(learning(one, first, ROW), learning(one, third, ROW))
    assert torch.equal(parameters_to_vector(first.parameters()), parameters_to_vector(second.parameters()))
    assert not torch.equal(parameters_to_vector(first.parameters()), parameters_to_vector(third.parameters()))


def test_after_learning_the_slots_serve_again() -> None:
    """Also where a lesson ends in an error."""
    one, tuning = base(), Tuning(base().shape, 1, "cpu", 0)

    def lesson() -> None:
        with one.learning(tuning):
            assert one.both.now is tuning
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        lesson()
    assert one.both.now is one.both.slots
    assert "limen_packed" == one.loaded.model.config._attn_implementation
