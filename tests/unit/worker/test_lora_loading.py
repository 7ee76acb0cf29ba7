"""Loading in the background: once each, in order, without ever keeping the caller waiting."""

import threading
import time

import pytest

from core.errors import LoraError
from tests.fakes.loras import weights
from worker.lora.loading import Loading

SOON = 20.0  # seconds: what no test should ever need


class Disk:
    """Reads when it is told to, and counts."""

    def __init__(self):
        self.open = threading.Event()
        self.begun = threading.Event()
        self.read = []
        self.faults = {}

    def __call__(self, version):
        self.read.append(version)
        self.begun.set()
        assert self.open.wait(SOON)
        if version in self.faults:
            raise self.faults[version]
        return weights(version=version)


@pytest.fixture
def disk():
    """A disk that is slow until `disk.open` is set."""
    return Disk()


@pytest.fixture
def loading(disk):
    """What is tested."""
    one = Loading(disk)
    yield one
    disk.open.set()
    one.close()


def take(loading, count):
    """The next answers."""
    found = []
    while len(found) < count:
        assert loading.wait(SOON)
        found += loading.ready()
    return found


def test_what_is_asked_for_becomes_ready_in_order(loading, disk):
    """Each version with its weights, once."""
    disk.open.set()
    for version in "abc":
        loading.ask(version)

    found = take(loading, 3)

    assert [(version, got.version) for version, got in found] == [("a", "a"), ("b", "b"), ("c", "c")]
    assert loading.ready() == []


def test_nobody_waits_for_a_slow_disk(loading, disk):
    """Asking and looking return at once while a read is under way."""
    loading.ask("a")
    assert disk.begun.wait(SOON)

    loading.ask("b")

    assert loading.ready() == []
    assert not loading.wait(0)
    assert disk.read == ["a"]


def test_asking_twice_reads_once(loading, disk):
    """While it waits, is being read, or lies ready, a version is not read again; after it was taken it is."""
    for version in "abab":
        loading.ask(version)
    disk.open.set()
    assert loading.wait(SOON)
    loading.ask("a")
    take(loading, 2)
    assert disk.read == ["a", "b"]

    loading.ask("a")

    assert [version for version, _ in take(loading, 1)] == ["a"]
    assert disk.read == ["a", "b", "a"]


def test_a_refusal_is_handed_on(loading, disk):
    """It comes as it was raised, and the next version is read as if nothing had been."""
    disk.open.set()
    disk.faults["bad"] = LoraError("of another rank", "another hint")
    loading.ask("bad")
    loading.ask("good")

    (_, error), (_, good) = take(loading, 2)

    assert error is disk.faults["bad"]
    assert good.version == "good"


@pytest.mark.parametrize("fault", [ValueError("odd"), MemoryError("much"), KeyError("what")])
def test_a_surprise_becomes_a_refusal_and_is_logged(loading, disk, caplog, fault):
    """Its type is named, its trace is in the log, and the thread lives on."""
    disk.open.set()
    disk.faults["bad"] = fault
    loading.ask("bad")
    loading.ask("good")

    (_, error), (_, good) = take(loading, 2)

    assert isinstance(error, LoraError)
    assert f"LoRA bad could not be read ({type(fault).__name__}: {fault})" in str(error)
    assert error.__cause__ is fault
    assert "Traceback" in caplog.text
    assert good.version == "good"


def test_what_failed_may_be_asked_for_again(loading, disk):
    """The file may have been mended meanwhile."""
    disk.open.set()
    disk.faults["a"] = LoraError("broken")
    loading.ask("a")
    take(loading, 1)
    disk.faults.clear()

    loading.ask("a")

    ((_, got),) = take(loading, 1)
    assert got.version == "a"


def test_waiting_ends_when_something_is_ready(loading, disk):
    """And stays true until it is taken."""
    loading.ask("a")
    assert not loading.wait(0.01)

    disk.open.set()

    assert loading.wait(SOON)
    assert loading.wait(0)
    loading.ready()
    assert not loading.wait(0)


def test_closing_ends_the_thread_and_reads_nothing_more(loading, disk):
    """What is asked for afterwards, or still waits, is left alone; closing twice is no fault."""
    loading.ask("a")
    loading.ask("b")
    assert disk.begun.wait(SOON)
    closing = threading.Thread(target=loading.close)
    closing.start()
    assert not loading.wait(SOON)  # it returns because of the closing
    disk.open.set()
    closing.join(SOON)

    loading.close()
    loading.ask("c")

    assert not loading._thread.is_alive()
    assert disk.read == ["a"]


def test_closing_wakes_who_waits_and_does_not_wait_for_a_disk_that_hangs(loading, disk):
    """The end of a worker is not delayed by either."""
    loading.ask("a")
    assert disk.begun.wait(SOON)
    woken = threading.Thread(target=loading.wait, args=(SOON,))
    woken.start()
    began = time.monotonic()

    loading.close()
    woken.join(SOON)

    assert time.monotonic() - began < SOON / 2
    assert loading._thread.daemon
