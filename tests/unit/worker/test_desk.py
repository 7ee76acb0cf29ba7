"""worker/lora/desk.py: each request gets the first of its wishes that can be had."""

import torch

from core.errors import LoraError
from core.jobs import BASE
from tests.fakes.loras import TINY, weights
from worker.lora.desk import AGAIN, Desk
from worker.lora.files import Weights
from worker.lora.loading import Loading
from worker.lora.slots import Slots


class Disk:
    """Versions that can be read; the others cannot."""

    def __init__(self, *versions: str) -> None:
        self.there, self.now = set(versions), 0.0

    def read(self, version: str) -> Weights:
        if version not in self.there:
            raise LoraError(f"no {version}")
        return weights(TINY, 2, version=version)

    def desk(self, slots: int = 2) -> Desk:
        return Desk(Slots(TINY, slots, torch.float32, "cpu"), Loading(self.read), lambda: self.now)


def claimed(desk: Desk, *versions: str) -> str:
    """What is given in the end."""
    for _ in range(400):
        desk.take()
        if found := desk.claim(versions):
            return found[0]
        desk.wait()
    raise AssertionError(f"{versions} are waited for, for ever")


def test_the_first_wish_that_can_be_read_is_given() -> None:
    """The base comes last, and is given where nobody asks for more."""
    disk = Disk("b")

    assert "b" == claimed(disk.desk(), "a", "b")
    assert BASE == claimed(disk.desk(), "a", "c")
    assert BASE == claimed(disk.desk())
    assert BASE == claimed(disk.desk(), BASE, "b")


def test_without_slots_everybody_gets_the_base() -> None:
    """For models that take no LoRAs."""
    desk = Desk(None, None)
    desk.take()

    assert (BASE, None) == desk.claim(("a",))


def test_what_could_not_be_read_is_left_alone_for_a_while_and_then_tried_again() -> None:
    """The file may have been mended."""
    disk = Disk("old")
    desk = disk.desk()
    assert "old" == claimed(desk, "new", "old")
    disk.there.add("new")

    assert "old" == claimed(desk, "new", "old")
    assert {"new": "no new"} == desk.faults()
    disk.now = AGAIN + 1
    assert "new" == claimed(desk, "new", "old")
    assert {} == desk.faults()


def test_one_that_finds_no_free_slot_waits_until_one_is_released() -> None:
    """Nothing is read twice for it."""
    desk = Disk("a", "b").desk(slots=1)
    assert "a" == claimed(desk, "a")
    for _ in range(3):
        assert desk.claim(("b",)) is None
        desk.wait()
        desk.take()
    desk.release("a")

    assert "b" == claimed(desk, "b")
    assert {"loras": 1, "lora_slots": 1, "lora_trouble": ""} == desk.about()
