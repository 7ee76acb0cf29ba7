"""What a LoRA costs: from a file on the disk into its slot, and the memory that slots take beyond the weights."""

import ctypes
import gc
import random
from contextlib import suppress
from functools import partial

import psutil
import torch

from bench.engine.clock import Clock, ms
from bench.engine.decode import Figures
from bench.engine.stand import Stand, copy_loras
from bench.report import say
from worker.lora.files import read
from worker.lora.slots import Slots


def loads(stand: Stand, clock: Clock, versions: int, samples: int, linked: bool = False) -> Figures:
    """Milliseconds from the wish for a LoRA that is not in a slot until it is there: with twice as many on the disk
    as slots, and with `versions`, any of which may be asked for (`linked`: few of them are files of their own)."""
    few = [*stand.versions, *copy_loras(stand.folder, stand.versions, stand.rows, 2 * stand.rows)]
    for version in few:
        stand.hold(version)
    by_turns = [few[at % len(few)] for at in range(samples)]  # the least recently used of all: never in a slot
    one = [clock.of(partial(stand.hold, version)) for version in by_turns]
    if versions <= len(few):
        return {"load_ms": ms(one)}
    many = [*few, *copy_loras(stand.folder, stand.versions, len(few), versions, linked)]
    dice = random.Random(5)
    some = [clock.of(partial(stand.hold, version)) for version in dice.sample(many[2 * stand.rows :], samples)]
    say(f"  into its slot: {ms(one)} ms; any of {versions}: {ms(some)} ms")
    return {"load_ms": ms(one), f"load_ms_{versions}": ms(some), "load_flat": round(ms(some) / ms(one), 2)}


def memory(stand: Stand) -> Figures:
    """Bytes of all slots beyond those of the weights in them, counted; and by what the process grew, measured."""
    slots = stand.desk._slots
    assert slots is not None
    dtype = stand.loaded.model.dtype
    weights = read(stand.folder / stand.versions[0], stand.shape, "one")
    own = stand.rows * sum(a.numel() + b.numel() for a, b in weights.parts.values()) * dtype.itemsize
    counted, before = slots.bytes(), taken(stand.loaded.device)
    more = Slots(stand.shape, stand.rows, dtype, stand.loaded.device)
    for version in stand.versions:
        more.load(read(stand.folder / version, stand.shape, version))
    grown = taken(stand.loaded.device) - before
    assert len(more.resident) == stand.rows
    say(f"  {stand.rows} LoRAs of {own / stand.rows / 1e6:.2f} MB: slots {counted / 1e6:.1f}, grown {grown / 1e6:.1f}")
    return {
        "slot_memory_overhead": round(counted / own - 1, 4),
        "slot_memory_overhead_measured": round(grown / own - 1, 4),
        "lora_mb": round(own / stand.rows / 1e6, 2),
    }


def taken(device: str) -> int:
    """Memory that is in use there, in bytes, after what is free was given back."""
    gc.collect()
    if device.startswith("cuda"):
        return int(torch.cuda.memory_allocated())
    with suppress(OSError, AttributeError):  # not everybody has glibc
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    return int(psutil.Process().memory_info().rss)
