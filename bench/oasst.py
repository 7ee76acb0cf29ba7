"""Do ratings order replies as people did who ranked them? On threads of OpenAssistant: `python -m bench.oasst FILE`.

Each reply there has counts of thumbs, and a rank among its siblings that others gave it. For every pair of siblings:
is the better rated one the better ranked? Beside it: net thumbs, and "the longer one wins". There are no user ids, so
each thumb is somebody else's: trust and habits cannot help here, only length is controlled for. Intervals are by
bootstrap over threads.
"""

import json
import os
import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec

from bench.report import emit
from bots.collisions import ROOT
from core.feedback import Fact, Seen, read
from core.votes import polarity

SHARED = Path(os.environ.get("LIMEN_SHARED", ROOT.parent / "shared"))
FILE = SHARED / "data" / "feedback" / "oasst_threads_half_a.jsonl"
EMOJI = {"+1": "👍", "-1": "👎", "red_flag": "🚩"}
SAMPLES = 1000
SURE = 4
Scores = dict[str, float]
Pair = tuple[str, str]


class Reply(msgspec.Struct, frozen=True):
    """An assistant's reply: `rank` among its siblings (0 is best), `thumbs` by emoji."""

    id: str
    rank: int
    length: int
    thumbs: dict[str, int]

    @property
    def net(self) -> int:
        """Thumbs up less thumbs down."""
        return self.thumbs.get("👍", 0) - self.thumbs.get("👎", 0)


def agreement(path: str | Path, seed: int = 0) -> dict[str, float | int]:
    """How often each way to order two replies agrees with their rank, with its interval, and on how many pairs it says
    anything; a tie says nothing. `…_sure` is net thumbs where they differ by four or more."""
    threads = [list(_siblings(json.loads(line))) for line in Path(path).read_text("utf-8").splitlines() if line]
    replies = {reply.id: reply for thread in threads for group in thread for reply in group}
    pairs = [[pair for group in thread for pair in _pairs(group)] for thread in threads]
    net = {name: float(reply.net) for name, reply in replies.items()}
    rated = _rated(replies.values())
    found: dict[str, float | int] = {"threads": len(threads), "pairs": sum(map(len, pairs))}
    for name, scores, margin in (
        ("rating", rated, 0.0),
        ("rating_length_ignored", _rated([msgspec.structs.replace(one, length=1) for one in replies.values()]), 0.0),
        ("net_thumbs", net, 0.0),
        ("net_thumbs_sure", net, SURE),
        ("longer_wins", {name: float(reply.length) for name, reply in replies.items()}, 0.0),
    ):
        found |= _figures(name, pairs, scores, margin, seed)
    both = [[pair for pair in thread if net[pair[0]] != net[pair[1]]] for thread in pairs]
    return found | _figures("rating_where_net_decides", both, rated, 0.0, seed)


def _siblings(message: dict[str, Any]) -> Iterator[list[Reply]]:
    """Ranked replies to the same message, anywhere in the thread."""
    ranked = [one for one in message["replies"] if one["role"] == "assistant" and one["rank"] is not None]
    if len(ranked) > 1:
        yield [
            Reply(
                one["message_id"],
                one["rank"],
                len(one["text"]),
                {EMOJI[name]: count for name, count in (one["emojis"] or {}).items() if name in EMOJI},
            )
            for one in ranked
        ]
    for one in message["replies"]:
        yield from _siblings(one)


def _pairs(group: Sequence[Reply]) -> Iterator[Pair]:
    """The better ranked one first."""
    for one, other in combinations(sorted(group, key=lambda reply: reply.rank), 2):
        if one.rank != other.rank:
            yield one.id, other.id


def _rated(replies: Iterable[Reply]) -> Scores:
    """Our verdicts as signed weights; a reply without a vote is neither liked nor disliked."""
    seen = [Seen(reply=reply.id, time=0, length=reply.length, facts=tuple(_facts(reply))) for reply in replies]
    reading = read(seen, polarity.ours(), shared=True, now=0)
    weights = {one.reply: one.weight if one.liked else -one.weight for one in reading.verdicts}
    return {one.reply: weights.get(one.reply, 0.0) for one in seen}


def _facts(reply: Reply) -> Iterator[Fact]:
    for emoji, count in reply.thumbs.items():
        for number in range(count):
            name = f"{reply.id}{emoji}{number}"
            yield Fact(name, name, emoji, 0)


def _figures(
    name: str, threads: Sequence[Sequence[Pair]], scores: Scores, margin: float, seed: int
) -> dict[str, float | int]:
    """Agreement over the pairs whose scores differ (by `margin` at least), and its 95 % interval."""
    counts = [_count(pairs, scores, margin) for pairs in threads]
    dice = random.Random(seed)
    shares = sorted(_share(dice.choices(counts, k=len(counts))) for _ in range(SAMPLES))
    return {
        name: round(_share(counts), 4),
        f"{name}_low": round(shares[int(0.025 * SAMPLES)], 4),
        f"{name}_high": round(shares[int(0.975 * SAMPLES)], 4),
        f"{name}_pairs": sum(decided for _, decided in counts),
    }


def _count(pairs: Sequence[Pair], scores: Scores, margin: float) -> tuple[int, int]:
    leads = [scores[better] - scores[worse] for better, worse in pairs]
    decided = [lead for lead in leads if abs(lead) > 1e-12 and abs(lead) >= margin]
    return sum(lead > 0 for lead in decided), len(decided)


def _share(counts: Sequence[tuple[int, int]]) -> float:
    return sum(right for right, _ in counts) / max(1, sum(decided for _, decided in counts))


def main() -> None:
    """One JSON object last."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    if not path.is_file():
        sys.exit(f"there is no {path}: python -m bench.oasst FILE")
    emit(agreement(path))


if __name__ == "__main__":
    main()
