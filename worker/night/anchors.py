"""What a night must not change, held on to while it learns: plain text, and who the persona says it is."""

from collections.abc import Sequence

import torch
from torch import Tensor

from worker.lora.slots import Mix
from worker.night.below import Below
from worker.night.rows import Row, Sheet
from worker.night.tuning import Tuning

KEPT = 64  # of the base's likeliest tokens; all others count as one
TOGETHER = 8  # rows that are read at once, when it begins


class Anchor:
    """How far a LoRA has strayed from the base on some rows, of which each has its turn: KL(base || LoRA) per token,
    over the base's likeliest tokens and the rest as one."""

    def __init__(self, rows: Sequence[Row], tuning: Tuning, below: Below, device: str) -> None:
        self._rows = rows
        tuning.mix = Mix()
        self._before: list[tuple[Tensor, Tensor]] = []
        for at in range(0, len(rows), TOGETHER):
            some = rows[at : at + TOGETHER]
            with torch.no_grad():
                logits = below.scores(Sheet(some, device=device))
            self._before += map(_kept, torch.split_with_sizes(logits, [len(row.reply) for row in some]))

    def row(self, step: int) -> Row:
        """The one whose turn it is."""
        return self._rows[step % len(self._rows)]

    def strayed(self, step: int, logits: Tensor) -> Tensor:
        """In nats per token, with gradients. `logits` [tokens, vocab]: those of `row(step)`'s reply."""
        ids, before = self._before[step % len(self._rows)]
        logs = logits.float().log_softmax(-1)
        return divergence(before, with_rest(logs.gather(-1, ids)))


def _kept(logits: Tensor) -> tuple[Tensor, Tensor]:
    logs, ids = logits.float().log_softmax(-1).topk(min(KEPT, logits.shape[-1] - 1), -1)
    return ids, with_rest(logs)


def with_rest(logs: Tensor) -> Tensor:
    """Log-probabilities of some tokens, and of all the others together."""
    rest = (1 - logs.exp().sum(-1, keepdim=True)).clamp_min(1e-6).log()
    return torch.cat([logs, rest], -1)


def divergence(before: Tensor, now: Tensor) -> Tensor:
    """KL(before || now), mean over tokens."""
    return (before.exp() * (before - now)).sum(-1).mean()
