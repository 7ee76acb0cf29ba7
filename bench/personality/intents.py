"""Is a message known to mean a rule's phrase? 24 intents of ours with four paraphrases, and three near misses of each.

The threshold (`core.rules.INTENT`) was chosen on every second intent; these figures are of the others. Loads the
embedder, and no language model.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core import config
from core.rules import INTENT
from worker.embed import load
from worker.nearness import Nearness

FILE = Path(__file__).parent / "intents.jsonl"


def measure(seed: int) -> dict[str, Any]:
    """Recall of paraphrases; how often a near miss, or a paraphrase of another intent, is taken for one."""
    nearness = Nearness(load(config.load(os.environ)))
    rows = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()][1::2]
    same, close, others = [], [], []
    for row in rows:
        same += [_held(nearness, text, row["phrases"]) for text in row["same"]]
        close += [_held(nearness, text, row["phrases"]) for text in row["other"]]
        rest = [text for other in rows if other is not row for text in other["same"]]
        others += [_held(nearness, text, row["phrases"]) for text in rest]
    hits, false = sum(same), sum(close) + sum(others)
    return {
        "intent_recall": round(hits / len(same), 3),
        "intent_near_misses_taken": round(sum(close) / len(close), 3),
        "intent_others_taken": round(sum(others) / len(others), 4),
        "intent_precision": round(hits / max(hits + false, 1), 3),
        "intent_asked": len(same) + len(close) + len(others),
    }


def _held(nearness: Nearness, text: str, phrases: Sequence[str]) -> bool:
    return max(nearness.near(nearness.heard(text), phrases).values()) >= INTENT
