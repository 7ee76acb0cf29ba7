"""worker/halved.py: weights of sixteen bits say what those of 32 do, take half the room, and LoRAs work on top."""

from pathlib import Path

import pytest
import torch
from torch import nn

from core.settings import Lora, Model, Settings, Worker
from tests.fakes.engines import GREEDY, ask, fresh, run
from tests.fakes.loras import ATTENTION, TINY, write
from worker import halved, start
from worker.engine import Engine
from worker.halved import MOST, halve

pytestmark = pytest.mark.skipif(not halved.able("cpu"), reason="this CPU multiplies by them no faster, or not at all")


def assembled(store: Path, **model: str) -> tuple[Engine, nn.Module]:
    """The tiny model in an engine, and itself."""
    loaded = fresh()
    settings = Settings(
        model=Model(**model), worker=Worker(kv_mb=1, step_tokens=32), lora=Lora(slots=2)  # type: ignore[arg-type]
    )  # fmt: skip
    return start.assemble(loaded, settings, lambda version: store / version, ("tiny",)), loaded.model


def as_it_is(weight: torch.Tensor) -> torch.Tensor:
    """What sixteen bits hold of it."""
    return weight.half().float()


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("rows", [1, 5, 70])
def test_a_product_is_that_of_the_rounded_weights(rows: int, biased: bool) -> None:
    """Nothing but they is rounded."""
    torch.manual_seed(1)
    linear = nn.Linear(48, 97, bias=biased)
    x, half = torch.randn(1, rows, 48), halved.halved(linear.weight.detach(), linear.bias)

    assert half is not None
    with torch.inference_mode():
        expected = nn.functional.linear(x, as_it_is(linear.weight), linear.bias)
        torch.testing.assert_close(half(x), expected, rtol=1e-5, atol=1e-5)


def test_weights_that_do_not_fit_stay_as_they_are() -> None:
    """Beyond 65504 there is nothing in sixteen bits."""
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    with torch.no_grad():
        model[1].weight[0, 0] = MOST * 2
    halve(model)

    assert [False, True] == [isinstance(layer, nn.Linear) for layer in model]


def test_a_reply_is_the_one_that_the_rounded_model_gives_with_a_lora_as_without(tmp_path: Path) -> None:
    """Two in one batch, greedy, against an engine whose weights are of 32 bits and hold the same numbers."""
    write(tmp_path / "v", TINY, 4, ATTENTION, seed=5)
    loaded = fresh()
    with torch.no_grad():
        for module in loaded.model.modules():
            if isinstance(module, nn.Linear):
                module.weight.data = as_it_is(module.weight)
    loaded.model.model.embed_tokens.weight.data = fresh().model.model.embed_tokens.weight.data
    settings = Settings(model=Model(dtype="float32"), worker=Worker(kv_mb=1, step_tokens=32), lora=Lora(slots=2))
    whole = start.assemble(loaded, settings, lambda version: tmp_path / version, ("tiny",))
    asked = ask(1, GREEDY, loras=("v",)), ask(2, GREEDY)
    expected, found = run(whole, *asked)[0], run(assembled(tmp_path)[0], *asked)[0]

    assert {"1": "v", "2": "base"} == {name: end.lora for name, end in found.items()}
    assert expected == found


def test_no_weight_is_kept_in_32_bits_as_well(tmp_path: Path) -> None:
    """All linears are packed, the head and those that a LoRA is on among them: what is left are norms, and the table
    of the tokens."""
    model = assembled(tmp_path)[1]

    assert not [name for name, module in model.named_modules() if type(module) is nn.Linear]
    assert {"model.embed_tokens"} == {
        name.removesuffix(".weight") for name, one in model.named_parameters() if "norm" not in name
    }


@pytest.mark.parametrize("given", [{"dtype": "float32"}, {"dtype": "bfloat16"}, {"quantize": "int8"}])
def test_who_says_which_type_weights_shall_have_gets_it(given: dict[str, str]) -> None:
    """Only `auto` is ours to read."""
    assert start.halves(fresh(), Settings())
    assert not start.halves(fresh(), Settings(model=Model(**given)))  # type: ignore[arg-type]


def test_a_machine_that_cannot_multiply_by_them_keeps_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """ARM, say; nor does a GPU."""
    assert not halved.able("cuda")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    assert not start.halves(fresh(), Settings())


def test_how_far_a_step_may_look_does_not_hang_on_how_weights_are_kept(tmp_path: Path) -> None:
    """It counts them, and packed ones are no parameters."""
    assert assembled(tmp_path)[0]._far == assembled(tmp_path, dtype="float32")[0]._far
