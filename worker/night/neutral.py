"""Plain text that says nothing about anybody: what a night must not change. One half is held on to while learning, the
other one is what the gate measures."""

from worker.night.base import Base
from worker.night.rows import Row

LONGEST = 64  # tokens of a passage


def rows(base: Base, half: int) -> list[Row]:
    """The passages as rows: one token to begin with, then all that is asked for."""
    tokenizer = base.loaded.tokenizer
    encoded = [tokenizer.encode(text, add_special_tokens=False)[:LONGEST] for text in base.plain[half]]
    return [Row(tuple(ids[:1]), tuple(ids[1:])) for ids in encoded if len(ids) > 1]
