"""The figures beside their goals, for people. Knows numbers only."""

from collections.abc import Iterator, Mapping
from typing import Any

# label, key, the batch size it is for, goal: at least, or ("-") at most
GOALS = (
    ("8 LoRAs in a step, over none", "lora_ratio", "8", 0.90),
    ("16 LoRAs", "lora_ratio", "16", 0.85),
    ("32 LoRAs", "lora_ratio", "32", 0.75),
    ("64 LoRAs", "lora_ratio", "64", 0.80),
    ("over peft's mixed batch, 8 LoRAs", "over_peft", "8", 2.0),
    ("16 LoRAs", "over_peft", "16", 2.4),
    ("32 LoRAs", "over_peft", "32", 2.7),
    ("over set_adapter + generate, 16 requests", "over_sequential_16", "", 6.0),
    ("over generate, 8 prompts without LoRA", "over_generate_8", "", 1.0),
    ("loading a LoRA, ms", "load_ms", "", -10.0),
    ("any of 1,000 on the disk, ms", "load_ms_1000", "", -10.0),
    ("first token, turn 20 over turn 2", "ttft_turn20_over_turn2", "", -1.5),
    ("first token under a long prompt, over idle", "ttft_under_prefill", "", -3.0),
    ("memory of slots beyond the LoRAs", "slot_memory_overhead", "", -0.05),
)
CASES = {"": "q k v o, context 64", "_512": "q k v o, 512", "_all": "all linears, 64", "_all_512": "all linears, 512"}


def table(figures: Mapping[str, Any], other: str) -> str:
    """A row for each goal and case that was measured. `other` is the second dtype."""
    cases = {**CASES, f"_{other}": f"q k v o, 64, {other}", f"_all_{other}": f"all linears, 64, {other}"}
    rows = [row for goal in GOALS for row in _rows(figures, cases, *goal)]
    width = max((len(label) for label, *_ in rows), default=0)
    lines = [f"{label:<{width}}  {goal:>8}  {found:>9}  {word}" for label, goal, found, word in rows]
    return "\n".join([f"{'':<{width}}  {'goal':>8}  {'measured':>9}", *lines])


def _rows(
    figures: Mapping[str, Any], cases: Mapping[str, str], label: str, key: str, size: str, goal: float
) -> Iterator[tuple[str, str, str, str]]:
    for suffix, case in cases.items():
        found = figures.get(key + suffix)
        found = found.get(size) if size and found is not None else found
        if found is not None:
            shown = f"{label} ({case})" if size or suffix else label
            yield shown, f"{'≥' if goal > 0 else '≤'} {abs(goal):g}", f"{found:g}", "" if met(found, goal) else "missed"


def met(found: float, goal: float) -> bool:
    """A goal below zero is one not to exceed."""
    return found >= goal if goal > 0 else found <= -goal
