"""bots/thrift: told to the C library where it is one that listens."""

import ctypes
import platform

import pytest

from bots import thrift


def test_glibc_takes_it() -> None:
    """Every value of it; elsewhere nothing happens."""
    assert thrift.thrifty() == (platform.libc_ver()[0] == "glibc")


def test_a_library_that_knows_nothing_of_it_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """musl, macOS, Windows."""
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert not thrift.thrifty()
