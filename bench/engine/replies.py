"""Whole replies, with the reading of their prompts: over one request at a time, and over transformers' `generate`."""

import statistics
from collections.abc import Sequence
from functools import partial

from bench.engine.clock import Clock
from bench.engine.decode import Figures
from bench.engine.rivals import Peft, Plain
from bench.engine.shapes import prompts
from bench.engine.stand import Stand
from bench.report import say

NEW = 32  # tokens of a reply
WARM = 2  # of a reply that is not measured
TOGETHER, GENERATED = 16, 8
EVEN, UNEVEN = [64], [40, 47, 54, 61, 67, 74, 81, 88]  # tokens of prompts


def sequential(stand: Stand, peft: Peft, clock: Clock, repeats: int, part: int = 1) -> Figures:
    """16 requests with a LoRA each: peft's `set_adapter` and `generate` one by one, over all at once.

    They are alike, so that of those one by one a `part`th may stand for all.
    """
    _together(stand, prompts(TOGETHER, EVEN, stand.vocabulary, seed=8999), stand.versions, WARM)
    peft.alone(peft.names[0], range(100, 164), WARM)
    ratios = []
    for repeat in range(repeats):
        talks = prompts(TOGETHER, EVEN, stand.vocabulary, seed=9000 + repeat)
        theirs = clock.of(partial(_one_by_one, peft, talks[: TOGETHER // part])) * part
        ours = clock.of(partial(_together, stand, talks, stand.versions))
        say(f"  {TOGETHER} replies: one by one {theirs:.2f} s, together {ours:.2f} s")
        ratios.append(theirs / ours)
    return {f"over_sequential_{TOGETHER}": round(statistics.median(ratios), 2)}


def generated(stand: Stand, plain: Plain, clock: Clock, repeats: int, even: bool) -> Figures:
    """8 requests without LoRA: over `generate`, with prompts of many lengths and, if `even`, of one as well."""
    warm = prompts(GENERATED, UNEVEN, stand.vocabulary, seed=7999)
    plain.generate(warm, WARM)
    _together(stand, warm, [""] * GENERATED, WARM)
    cases = {f"over_generate_{GENERATED}": UNEVEN} | ({f"over_generate_{GENERATED}_even": EVEN} if even else {})
    return {name: _generated(stand, plain, clock, repeats, name, lengths) for name, lengths in cases.items()}


def _generated(stand: Stand, plain: Plain, clock: Clock, repeats: int, name: str, lengths: list[int]) -> float:
    ratios = []
    for repeat in range(repeats):
        talks = prompts(GENERATED, lengths, stand.vocabulary, seed=8000 + repeat)
        theirs = clock.of(partial(plain.generate, talks, NEW))
        ours = clock.of(partial(_together, stand, talks, [""] * GENERATED))
        say(f"  {name}: generate {theirs:.2f} s, ours {ours:.2f} s")
        ratios.append(theirs / ours)
    return round(statistics.median(ratios), 2)


def _one_by_one(peft: Peft, talks: Sequence[Sequence[int]]) -> None:
    for name, talk in zip(peft.names, talks, strict=False):
        peft.alone(name, talk, NEW)


def _together(stand: Stand, talks: Sequence[Sequence[int]], loras: Sequence[str], new: int = NEW) -> None:
    stand.arena.forget_idle()
    ends = stand.answer([stand.request(talk, new, lora) for talk, lora in zip(talks, loras, strict=False)])
    assert all(end.tokens == new for end in ends), "every reply is as long as was asked for"
