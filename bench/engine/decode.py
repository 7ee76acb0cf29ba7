"""Decode steps with as many LoRAs as replies: over the same replies with none, and over peft's mixed batch."""

from collections.abc import Sequence
from typing import Any

from bench.engine.clock import Clock, ms, ratio
from bench.engine.rivals import Mixed, Peft
from bench.engine.stand import Batch, Stand
from bench.report import say
from worker.kv import shape
from worker.lora.slots import Slots

Figures = dict[str, Any]
WARM = 2  # steps before any is measured


def steps(stand: Stand, peft: Peft, clock: Clock, context: int, sizes: Sequence[int], repeats: int) -> Figures:
    """By batch size: `lora_ratio`, `over_peft`, the ratio that the memory's speed allows at best, and milliseconds."""
    found: dict[str, Figures] = {"lora_ratio": {}, "over_peft": {}, "lora_ratio_limit": {}, "step_ms": {}}
    engine, arena = stand.twin()
    none = Batch(stand, engine, arena, context, [""] * max(sizes))
    ours = Batch(stand, stand.engine, stand.arena, context, stand.versions[: max(sizes)])
    for count in sorted(sizes, reverse=True):
        none.keep(count)
        ours.keep(count)
        with Mixed(peft, context, count) as theirs:
            acts = (none.step, ours.step, theirs.step)
            clock.by_turns(acts, WARM)
            base, mine, rival = clock.by_turns(acts, repeats)
        name = str(count)
        found["lora_ratio"][name], found["over_peft"][name] = ratio(base, mine), ratio(rival, mine)
        found["lora_ratio_limit"][name] = round(limit(stand, count, context), 3)
        found["step_ms"][name] = {"none": ms(base), "loras": ms(mine), "peft": ms(rival)}
        say(f"  {count} replies, ms: {found['step_ms'][name]}")
    none.keep(0)
    ours.keep(0)
    return {figure: dict(reversed(values.items())) for figure, values in found.items()}


def limit(stand: Stand, count: int, context: int) -> float:
    """The best ratio there can be if a step takes as long as reading all that it needs from memory once."""
    model, dtype = stand.loaded.model, stand.loaded.model.dtype
    read = sum(weight.nbytes for weight in model.parameters())
    if not model.config.tie_word_embeddings:  # of a table that is only looked up, next to nothing is read
        read -= model.get_input_embeddings().weight.nbytes
    layers, heads, size = shape(model.config)
    read += count * context * 2 * layers * heads * size * dtype.itemsize
    return float(read / (read + count * Slots.bytes_each(stand.shape, dtype)))
