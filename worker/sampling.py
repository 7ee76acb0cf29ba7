"""From logits to the next tokens, for rows that each have their own settings. Pure functions on tensors.

Only the likeliest tokens of a row are looked at one by one: to sort 49,152 takes 3 ms, to find 256 takes 0.2. What
they leave out is counted exactly, and where it matters all are sorted. A row gets the same token in any company, even
where several are equally likely (in bfloat16, one row in thirty has two that are the likeliest): the lower id is first.

The repetition penalty looks at the reply's own tokens, not at the prompt: over the prompt it makes a character avoid
its own examples (measured on SmolLM2-135M, 96 replies: 40 in voice with it over all, 61 over the reply alone).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from personas.sampling import Sampling
from worker.copying import Copies

NUCLEUS = 256


@dataclass(frozen=True)
class Draw:
    """One row's wish: its settings, what its reply holds so far, its own dice, and what it should not copy."""

    sampling: Sampling
    said: Sequence[int]
    dice: torch.Generator
    copies: Copies | None = None

    @property
    def looks_at(self) -> int:
        """How many of the likeliest tokens decide, nearly always."""
        return 1 if self.sampling.temperature == 0 else self.sampling.top_k or NUCLEUS


def choose(logits: Tensor, draws: Sequence[Draw]) -> list[int | None]:
    """The next token of every row; None where the model gave no usable scores (NaN). `logits`: [rows, vocab]."""
    scores = uncopied(penalised(logits.float(), draws), draws)
    most = min(max(draw.looks_at for draw in draws), scores.shape[1])
    values, ids = _likeliest(scores, most)
    masses = _masses(scores, draws)
    sound = scores.amax(-1).isfinite().tolist()  # what is not a number counts as the greatest
    values, ids = values.cpu(), ids.cpu()
    return [
        _one(scores[row], values[row], ids[row], masses[row], draw) if sound[row] else None
        for row, draw in enumerate(draws)
    ]


def penalised(logits: Tensor, draws: Sequence[Draw]) -> Tensor:
    """Make tokens that were said less likely (CTRL, Keskar et al. 2019). `logits`: [rows, vocab]."""
    marks = [
        (row, token, draw.sampling.repetition_penalty)
        for row, draw in enumerate(draws)
        if draw.sampling.repetition_penalty != 1.0
        for token in sorted(set(draw.said))
    ]
    if not marks:
        return logits
    rows, tokens, penalties = zip(*marks, strict=True)
    at = (torch.tensor(rows, device=logits.device), torch.tensor(tokens, device=logits.device))
    penalty = torch.tensor(penalties, device=logits.device)
    score = logits[at]
    return logits.index_put(at, torch.where(score > 0, score / penalty, score * penalty))


def uncopied(logits: Tensor, draws: Sequence[Draw]) -> Tensor:
    """Hold back the tokens that would go on with a copy (see `copying.py`). `logits`: [rows, vocab]."""
    marks = [
        (row, token, penalty)
        for row, draw in enumerate(draws)
        if draw.copies
        for token, penalty in draw.copies.penalties(draw.said).items()
    ]
    if not marks:
        return logits
    rows, tokens, penalties = zip(*marks, strict=True)
    at = (torch.tensor(rows, device=logits.device), torch.tensor(tokens, device=logits.device))
    return logits.index_put(at, logits[at] - torch.tensor(penalties, device=logits.device))


def kept(values: Tensor, sampling: Sampling, mass: float) -> Tensor | None:
    """Chances of the tokens that may be drawn, of those that are given (the likeliest, in order). Not normalised.

    `values`: [n] logits over temperature; `mass`: the log of the sum of all tokens' exp, or of those that top-k leaves.
    Top-p is nucleus sampling (Holtzman et al. 2020): the likeliest that together reach p. Min-p (Nguyen et al. 2024):
    those with at least p times the likeliest one's chance. None: that cannot be told from so few.
    """
    chances = (values.double() - mass).exp()
    before = chances.cumsum(-1) - chances
    stays = (before < sampling.top_p) & (chances >= sampling.min_p * chances[0])
    stays[0] = True
    return None if stays[-1] else chances[stays]


def _likeliest(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The greatest `count` of each row and their ids, in order, the lower id first of equal ones. `topk` alone takes
    any of equal ones, and others when it is asked for more."""
    return _in_one(scores, count) if scores.is_cuda else _by_bound(scores, count)


def _in_one(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Score and id as one number: a few large steps, as GPUs like it."""
    bits = scores.contiguous().view(torch.int32)
    order = (bits ^ (bits >> 31 & 0x7FFFFFFF)).long()  # as integers, floats below zero stand in reverse
    ids = ((order << 32) - torch.arange(scores.shape[1], device=scores.device)).topk(count, dim=-1).indices
    return scores.gather(1, ids), ids


def _by_bound(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """`topk` says how great they must be, and the few that are get sorted. (96 rows of 49,152 scores, one thread: 23
    ms; as one number 80.)"""
    least = scores.topk(count, dim=-1).values[:, -1]
    found = []
    for row, bound in zip(scores, least, strict=True):
        ids = (row < bound).logical_not().nonzero()[:, 0]  # what is no number stays, and is seen to later
        found.append(ids[row[ids].sort(descending=True, stable=True).indices[:count]])
    ids = torch.stack(found)
    return scores.gather(1, ids), ids


def _masses(scores: Tensor, draws: Sequence[Draw]) -> list[float]:
    """By row: what all tokens weigh together, where it is needed (see `kept`)."""
    if not any(draw.sampling.temperature > 0 and not draw.sampling.top_k for draw in draws):
        return [0.0] * len(draws)
    heats = torch.tensor([draw.sampling.temperature or 1.0 for draw in draws], device=scores.device)
    masses: list[float] = (scores / heats[:, None]).logsumexp(-1).tolist()
    return masses


def _one(scores: Tensor, values: Tensor, ids: Tensor, mass: float, draw: Draw) -> int:
    sampling = draw.sampling
    if sampling.temperature == 0:
        return int(ids[0])
    if sampling.top_k:
        values, ids = values[: sampling.top_k] / sampling.temperature, ids[: sampling.top_k]
        mass = float(values.double().logsumexp(-1))
        return _drawn(_sure(values, sampling, mass), ids, draw.dice)
    chances = kept(values[:NUCLEUS] / sampling.temperature, sampling, mass)
    if chances is None:
        values, ids = (part.cpu() for part in scores.sort(descending=True, stable=True))
        chances = _sure(values / sampling.temperature, sampling, mass)
    return _drawn(chances, ids, draw.dice)


def _sure(values: Tensor, sampling: Sampling, mass: float) -> Tensor:
    """As `kept`, where these are all that there are."""
    nothing = torch.full((1,), float("-inf"))
    chances = kept(torch.cat([values, nothing]), sampling, mass)
    if chances is None:  # even the impossible one may stay (top_p 1, min_p 0): it is never drawn
        return (values.double() - mass).exp()
    return chances


def _drawn(chances: Tensor, ids: Tensor, dice: torch.Generator) -> int:
    """A token by its chance, with one throw of the dice, so that rows never depend on each other."""
    upto = chances.cumsum(-1)
    mark = torch.rand(1, generator=dice, dtype=torch.float64) * upto[-1]
    return int(ids[min(int(torch.searchsorted(upto, mark, right=True)), len(upto) - 1)])
