"""What this machine has, as its own tools tell it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bots import machine
from bots.machine import Gpu, Torch


def tool(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An nvidia-smi that does this."""
    file = folder / "nvidia-smi"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_cards_are_what_the_driver_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Name and memory of each; a line that is something else is passed over."""
    tool(tmp_path, "echo 'NVIDIA H200, 143771'; echo 'NVIDIA T4, 15360'; echo '[N/A], [N/A]'", monkeypatch)

    assert [Gpu("NVIDIA H200", 143771 * 1024**2), Gpu("NVIDIA T4", 15360 * 1024**2)] == machine.gpus()


def test_a_driver_that_fails_has_no_cards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As on a machine where the driver is installed and the card is not."""
    tool(tmp_path, "echo 'No devices were found'; exit 6", monkeypatch)

    assert [] == machine.gpus()


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("__version__ = '2.13.0+cpu'\ncuda: Optional[str] = None\n", Torch("2.13.0+cpu")),
        ("__version__ = '2.13.0+cu128'\ncuda: Optional[str] = '12.8'\n", Torch("2.13.0+cu128", "12.8")),
    ],
)
def test_torch_is_known_by_its_version_file(lines: str, found: Torch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Which version, and built for which CUDA."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise ImportError('nobody may import this')")
    (tmp_path / "torch" / "version.py").write_text(lines)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.syspath_prepend(tmp_path)

    assert found == machine.torch()


def test_looking_imports_no_torch():
    """A look at the machine is quick, with torch installed or not."""
    code = "import sys; from bots import machine; machine.torch(); machine.gpus(); print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "False" == said.stdout.strip()


def test_some_memory_is_there():
    """Bytes, not pages or kilobytes."""
    assert 2**26 < machine.memory() < 2**50
