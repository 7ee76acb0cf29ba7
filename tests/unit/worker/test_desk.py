"""worker/lora/desk.py: each request gets the first of its wishes that can be had."""

import threading

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


def test_one_that_waits_for_a_slot_comes_before_those_who_ask_later() -> None:
    """However often the versions that have one are asked for again; whoever needs none goes on."""
    desk = Disk("a", "b").desk(slots=1)
    assert "a" == claimed(desk, "a")
    while not desk._coming.get("b"):
        desk.take()
        assert desk.claim(("b",)) is None
        desk.wait()
    desk.take()

    assert [None, None, (BASE, None)] == [desk.claim(("b",)), desk.claim(("a",)), desk.claim(())]
    desk.release("a")
    assert "b" == claimed(desk, "b")
    desk.release("b")
    assert "a" == claimed(desk, "a")


def test_nobody_waits_for_the_loading_of_another_s() -> None:
    """While one hangs on its disk, those who are there are served."""
    gate, disk = threading.Event(), Disk("slow", "b")

    def read(version: str) -> Weights:
        assert version != "slow" or gate.wait(10)
        return disk.read(version)

    desk = Desk(Slots(TINY, 2, torch.float32, "cpu"), Loading(read))
    assert "b" == claimed(desk, "b")
    assert desk.claim(("slow", "b")) is None
    assert "b" == claimed(desk, "b")
    assert BASE == claimed(desk)
    gate.set()

    assert "slow" == claimed(desk, "slow", "b")


def test_more_loras_than_slots_are_served_in_turn_and_each_is_read_once() -> None:
    """What has been read for the first in line is not put out again for the next."""
    disk, reads = Disk(*"abcde"), list[str]()

    def read(version: str) -> Weights:
        reads.append(version)
        return disk.read(version)

    desk, served = Desk(Slots(TINY, 1, torch.float32, "cpu"), Loading(read)), list[str]()
    for _ in range(200):
        desk.take()
        speaking = [version for version in "abcde" if version not in served and desk.claim((version,))]
        for version in speaking:
            desk.release(version)
        served += speaking
        if len(served) == 5:
            break
        desk.wait()

    assert ([*"abcde"], [*"abcde"]) == (served, reads)


def test_no_more_loras_lie_ready_than_there_are_slots() -> None:
    """However many are asked for: they would fill the memory."""
    asked, now = list[str](), list[tuple[str, Weights | LoraError]]()

    class Instantly(Loading):
        def ask(self, version: str) -> None:
            asked.append(version)
            now.append((version, weights(TINY, 2, version=version)))

        def ready(self) -> list[tuple[str, Weights | LoraError]]:
            return [now.pop() for _ in range(len(now))]

    desk = Desk(Slots(TINY, 2, torch.float32, "cpu"), Instantly(Disk().read))
    assert ["a", "b"] == [claimed(desk, version) for version in "ab"]
    for _ in range(3):
        assert [None] * 5 == [desk.claim((version,)) for version in "cdefg"]
        desk.take()

    assert [*"abcd"] == asked


def test_those_that_nobody_came_for_are_in_nobody_s_way() -> None:
    """Who asked for them has gone."""
    desk = Disk(*"abc").desk(slots=1)
    assert desk.claim(("a",)) is None

    assert "b" == claimed(desk, "b")
    assert desk.claim(("c",)) is None
    desk.release("b")
    assert "a" == claimed(desk, "a")
