"""What a base in eight bits costs in time and saves in memory, with LoRAs on top. Measured where torchao is there."""

from collections.abc import Sequence
from importlib.util import find_spec

from bench.engine.clock import Clock, ratio
from bench.engine.decode import WARM, Figures
from bench.engine.stand import Batch, Stand

SIZES = (1, 8)


def can() -> bool:
    """Is torchao installed?"""
    return find_spec("torchao") is not None


def int8(usual: Stand, small: Stand, clock: Clock, context: int, repeats: int) -> Figures:
    """By batch size, a step of the base as it is over one of the same in int8; megabytes of the weights of both."""
    stands: Sequence[Stand] = (usual, small)
    batches = [Batch(one, one.engine, one.arena, context, one.versions[: max(SIZES)]) for one in stands]
    found = {}
    for count in sorted(SIZES, reverse=True):
        for batch in batches:
            batch.keep(count)
        acts = [batch.step for batch in batches]
        clock.by_turns(acts, WARM)
        found[str(count)] = ratio(*clock.by_turns(acts, repeats))
    for batch in batches:
        batch.keep(0)
    megabytes = [round(one.weight_bytes / 1e6) for one in stands]
    return {"over_int8": dict(reversed(found.items())), "base_mb": megabytes[0], "base_int8_mb": megabytes[1]}
