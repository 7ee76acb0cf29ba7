"""worker/start.py: an engine that fits its machine, and models that it cannot serve."""

import logging
from pathlib import Path

import psutil
import pytest
import torch

from core.errors import LoraError, ModelError
from core.settings import Lora, Settings, Worker
from personas.sampling import Sampling
from tests.fakes.engines import fresh, run
from worker import kv, packed, start
from worker.engine import Engine
from worker.generator import Request
from worker.lora.store import LoraStore
from worker.model import Loaded

TINY_ROOM = {"kv_mb": 1, "step_tokens": 32}


def assembled(store: Path, **more: object) -> Engine:
    settings = Settings(worker=Worker(**{**TINY_ROOM, **more}), lora=Lora(slots=2))  # type: ignore[arg-type]
    return start.assemble(fresh(), settings, LoraStore(str(store), store).folder, ("tiny",))


def test_memory_and_steps_are_as_told(tmp_path: Path) -> None:
    """One megabyte of keys and values; a token takes 384 bytes here."""
    about = assembled(tmp_path).about()

    assert (32, 1, 2) == (about["step_tokens"], about["kv_mb"], about["lora_slots"])


def test_memory_and_steps_are_found_where_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of what is free, and a power of two."""
    free = type("Free", (), {"available": 16_000_000})
    monkeypatch.setattr(psutil, "virtual_memory", lambda: free)
    about = assembled(tmp_path, kv_mb=0, step_tokens=0).about()
    steps = int(about["step_tokens"])

    assert 2 == about["kv_mb"]
    assert start.SMALLEST_STEP <= steps <= start.LARGEST_STEP
    assert 0 == steps & (steps - 1)


@pytest.mark.parametrize(("there", "found"), [(3000, 2560), (1000, 640), (150, 128), (127, None)])
def test_room_is_halved_until_the_device_has_it_but_holds_a_whole_context(
    there: int, found: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In whole blocks: one of 80 tokens takes 128."""
    arena = kv.Arena

    def tight(layers: int, heads: int, size: int, tokens: int, dtype: torch.dtype, device: str) -> kv.Arena:
        if tokens > there:
            raise torch.OutOfMemoryError("no memory left")
        return arena(layers, heads, size, tokens, dtype, device)

    monkeypatch.setattr(kv, "Arena", tight)
    if found:
        assert found == start._arena(fresh(80), 1).capacity
    else:
        with pytest.raises(ModelError, match="no memory for one conversation of 80 tokens"):
            start._arena(fresh(80), 1)


@pytest.mark.parametrize(("tokens", "found"), [(0.3, 64), (100, 64), (128, 128), (1000, 512), (10**6, 8192)])
def test_a_step_is_a_power_of_two_within_what_is_sensible(tokens: float, found: int) -> None:
    """The next below."""
    assert found == start.power_of_two(tokens)


def test_a_version_that_is_nowhere_falls_back_to_the_base(tmp_path: Path) -> None:
    """Through the real store and the real reading."""
    engine = assembled(tmp_path)
    request = Request(id="1", tokens=(5, 6, 7), sampling=Sampling(temperature=0, max_tokens=4), seed=1, loras=("a/1",))
    ends, _ = run(engine, request)

    assert "base" == ends["1"].lora
    assert ["a/1"] == list(engine.faults())


def test_a_model_that_would_say_something_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than to talk nonsense: here, attention that sees nothing of the past."""
    attend = packed._alone

    def forgetful(*given: object, **more: object) -> torch.Tensor:
        return attend(*given, **more) * 0  # type: ignore[arg-type]

    monkeypatch.setattr(packed, "_alone", forgetful)
    with pytest.raises(ModelError, match="cannot be batched by this engine") as caught:
        assembled(tmp_path)
    assert "vLLM" in caught.value.hint


def test_a_model_that_does_not_compute_here_is_refused_with_the_next_step(tmp_path: Path) -> None:
    """Kernels for four bits, say, that this device has not."""
    loaded = fresh()
    loaded.model.forward = lambda **_: torch.ones(2) @ torch.ones(3)

    with pytest.raises(ModelError, match=r"tiny does not compute on cpu \(RuntimeError: ") as caught:
        start.assemble(loaded, Settings(), LoraStore(str(tmp_path), tmp_path).folder, ())
    assert "model.quantize" in caught.value.hint


@pytest.mark.parametrize(("device", "tokens"), [("cpu", 12_500), ("mps", 12_500), ("cuda", 80_000)])
def test_only_memory_that_nobody_else_needs_is_nearly_all_taken(
    device: str, tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Apple's GPUs share it with all programs. A token takes 384 bytes here."""
    asked = list[int]()
    monkeypatch.setattr(start, "free", lambda _: 384 * 100_000)
    monkeypatch.setattr(kv, "Arena", lambda *given: asked.append(given[3]))
    start._arena(Loaded(**{**vars(fresh(2048)), "device": device}), 0)

    assert [tokens // kv.BLOCK * kv.BLOCK] == asked


def test_a_model_that_takes_no_loras_talks_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And says so."""

    def none(*_: object) -> None:
        raise LoraError("tiny takes no LoRA: it has no layers")

    monkeypatch.setattr(start, "of", none)
    with caplog.at_level(logging.WARNING):
        engine = assembled(tmp_path)

    assert "takes no LoRA" in caplog.text
    assert 0 == engine.about()["lora_slots"]


def test_fewer_slots_are_made_where_memory_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At least one."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Free", (), {"available": 1000}))

    assert 1 == assembled(tmp_path).about()["lora_slots"]
