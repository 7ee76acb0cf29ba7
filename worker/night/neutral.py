"""Plain text that says nothing about anybody: what a night must not change. One half is held on to while learning, the
other one is what the gate measures."""

import torch
from torch import Tensor

from worker.lora.slots import Mix
from worker.night.base import Base
from worker.night.below import Below
from worker.night.rows import Row, Sheet
from worker.night.tuning import Tuning

LONGEST = 64  # tokens of a passage
KEPT = 64  # of the base's likeliest tokens; all others count as one


def rows(base: Base, half: int) -> list[Row]:
    """The passages as rows: one token to begin with, then all that is asked for."""
    tokenizer = base.loaded.tokenizer
    encoded = [tokenizer.encode(text, add_special_tokens=False)[:LONGEST] for text in base.plain[half]]
    return [Row(tuple(ids[:1]), tuple(ids[1:])) for ids in encoded if len(ids) > 1]


class Anchor:
    """How far a LoRA has strayed from the base on neutral text: KL(base || LoRA) per token, over the base's likeliest
    tokens and the rest as one."""

    def __init__(self, base: Base, tuning: Tuning, below: Below) -> None:
        self._rows = rows(base, 0)
        tuning.mix = Mix()
        self._before: list[tuple[Tensor, Tensor]] = []
        for row in self._rows:
            with torch.no_grad():
                self._before.append(self._kept(below.scores(Sheet([], [row], base.loaded.device))))

    def row(self, step: int) -> Row:
        """The passage whose turn it is."""
        return self._rows[step % len(self._rows)]

    def strayed(self, step: int, logits: Tensor) -> Tensor:
        """In nats per token, with gradients. `logits`: the last of them are of `row(step)`."""
        ids, before = self._before[step % len(self._rows)]
        logs = logits[-len(ids) :].float().log_softmax(-1)
        return divergence(before, with_rest(logs.gather(-1, ids)))

    @staticmethod
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
