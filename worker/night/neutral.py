"""Plain text that says nothing about anybody: what a night must not change. One half is held on to while learning, the
other one is what the gate measures."""

import torch
from torch import Tensor

from worker.lora.slots import Mix
from worker.night.base import Base
from worker.night.rows import Row, Sheet, scores
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

    def __init__(self, base: Base, tuning: Tuning) -> None:
        self._model, self._tuning, self._device = base.loaded.model, tuning, base.loaded.device
        self._rows = rows(base, 0)
        with torch.no_grad():
            self._before = [self._kept(self._scores(row, with_lora=False)) for row in self._rows]

    def strayed(self, step: int) -> Tensor:
        """On one of the passages, in nats per token, with gradients."""
        at = step % len(self._rows)
        ids, before = self._before[at]
        logs = self._scores(self._rows[at], with_lora=True).float().log_softmax(-1)
        return divergence(before, with_rest(logs.gather(-1, ids)))

    def _scores(self, row: Row, with_lora: bool) -> Tensor:
        sheet = Sheet([row], device=self._device)
        self._tuning.mix = Mix(runs=((0, sheet.tokens.shape[1], 0),) if with_lora else ())
        return scores(self._model, sheet)

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
