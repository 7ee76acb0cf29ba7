"""worker/night/below.py: what does not learn is read once."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.fakes.pupils import base, row
from worker.lora.linears import layers
from worker.lora.slots import Mix
from worker.night import below as module
from worker.night.base import Base
from worker.night.below import Below
from worker.night.rows import Row, Sheet, scores
from worker.night.tuning import Tuning

CARD = "You are a pirate captain. "
ROWS = [row(f"{CARD}{text}", reply) for text, reply in (("hi", "Ahoy!"), ("who are you?", "Mira"), ("hi", "No."))]
LONE = [row("something else", "Yes."), row("?", "!")]


def moved(one: Base, first: int) -> Tuning:
    tuning = Tuning(one.shape, 1, "cpu", 0, first)
    dice = torch.Generator().manual_seed(5)
    tuning.fill([part.detach() + 0.1 * torch.randn(part.shape, generator=dice) for part in tuning.parameters()])
    return tuning


def read(one: Base, tuning: Tuning, below: Below, *rows: Sequence[Row]) -> Tensor:
    sheet = Sheet(*rows)
    with one.learning(tuning):
        tuning.mix = Mix(runs=((0, sheet.tokens.shape[1], 0),))
        return below.scores(sheet)


def calls(one: Base, layer: int) -> list[int]:
    """Grows by one whenever a layer reads something."""
    found: list[int] = []
    layers(one.loaded.model)[layer].register_forward_hook(lambda *_: found.append(layer))
    return found


def test_the_second_time_only_the_upper_layers_read() -> None:
    """To the same scores and gradients, in whatever company a row comes; a row that is new is read whole."""
    one = base()
    tuning, below, lower, upper = moved(one, 1), Below(one.loaded.model, 1), calls(one, 0), calls(one, 1)
    read(one, tuning, below, ROWS, LONE)
    assert (1, 2) == (len(lower), len(upper)), "once to learn what comes from below, and a look whether that is all"
    for some in ([ROWS, LONE], [ROWS[:2], LONE[:1]], [ROWS[1:2]], [[], LONE], [[LONE[0], *ROWS]]):
        expected = read(one, tuning, Below(one.loaded.model, 0), *some)
        lower.clear()
        found = read(one, tuning, below, *some)
        wanted = torch.autograd.grad(expected.square().sum(), list(tuning.parameters()))
        grads = torch.autograd.grad(found.square().sum(), list(tuning.parameters()))

        assert [] == lower
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        for mine, theirs in zip(grads, wanted, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max()))
    read(one, tuning, below, [row(f"{CARD}new", "Who?"), *ROWS])
    assert 1 == len(lower)


def test_rows_beyond_the_room_are_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory has a bound, and the scores are the same."""
    one = base()
    monkeypatch.setattr(module, "ROOM", 20 * 4 * one.loaded.model.config.hidden_size)
    tuning, below, lower = moved(one, 1), Below(one.loaded.model, 1), calls(one, 0)
    first = read(one, tuning, below, ROWS)
    again = read(one, tuning, below, ROWS)

    assert 2 == len(lower)
    torch.testing.assert_close(first, again)
    kept = {part.untyped_storage().data_ptr(): part.untyped_storage().nbytes()
            for one in below._kept.values() for part in (one.head, one.rest) if len(part)}  # fmt: skip
    assert sum(kept.values()) == below._size <= module.ROOM + len(CARD) * 4 * one_size(one)


def one_size(one: Base) -> int:
    size: int = one.loaded.model.config.hidden_size
    return size


def test_layers_of_several_kinds_are_read_whole_where_the_kinds_would_not_fit() -> None:
    """transformers looks up by its number what a layer is, its rotary positions say."""
    one = base()
    config = one.loaded.model.config
    for kinds, whole in ((["a", "b"], True), (["a", "a"], False)):
        config.layer_types = kinds
        tuning, below, lower = moved(one, 1), Below(one.loaded.model, 1), calls(one, 0)
        read(one, tuning, below, ROWS)
        read(one, tuning, below, ROWS)
        assert whole == (2 == len(lower))


def test_a_model_that_does_more_than_we_know_is_read_whole() -> None:
    """Here one that scales its embeddings whatever they are, as some do: it is found out by the first sheet."""
    one = base()
    decoder, plain = one.loaded.model.get_decoder(), one.loaded.model.get_decoder().forward

    def scaled(*, inputs_embeds: Tensor | None = None, input_ids: Tensor | None = None, **more: Any) -> Any:
        inputs_embeds = decoder.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        return plain(inputs_embeds=inputs_embeds * 3.0, **more)

    decoder.forward = scaled
    tuning, below = moved(one, 1), Below(one.loaded.model, 1)
    first = read(one, tuning, below, ROWS)
    second = read(one, tuning, below, ROWS)

    assert 0 == below.first
    torch.testing.assert_close(first, second)


def test_scores_are_those_of_the_whole_model() -> None:
    """With nothing kept it is `rows.scores`."""
    one = base()
    tuning = moved(one, 0)
    sheet = Sheet(ROWS)
    with one.learning(tuning):
        tuning.mix = Mix(runs=((0, sheet.tokens.shape[1], 0),))
        torch.testing.assert_close(scores(one.loaded.model, sheet), Below(one.loaded.model, 0).scores(sheet))
