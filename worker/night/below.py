"""The layers below the first that learns: what they make of a row never changes, so it is worked out once and kept.

With the upper half of the layers learning, a step costs half; the first time that a row is read, nothing more.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from worker.lora.linears import layers
from worker.night.rows import Row, Sheet, scores

log = logging.getLogger("limen.night")

ROOM = 512 << 20  # bytes that are kept; rows beyond it are read from their tokens each time
NEAR = 0.1  # how far the logits of both ways may be apart, in bfloat16: far less than any model's that adds something


@dataclass(frozen=True, eq=False)
class _Kept:
    """What layer `first` is given for a row, [tokens, size], in two pieces: the first is shared with other rows."""

    head: Tensor
    rest: Tensor

    def beyond(self, skip: int) -> Tensor:
        """Without the first tokens."""
        head = len(self.head)
        return torch.cat([self.head[skip:], self.rest]) if skip < head else self.rest[skip - head :]


@dataclass(eq=False)
class Below:
    """Scores of sheets, from layer `first` on where their rows have been read before; 0: always all layers.

    Nothing below may have changed in between. A model of another build than we know is found out by one row.
    """

    model: Any
    first: int
    _kept: dict[Row, _Kept] = field(default_factory=dict, init=False)
    _size: int = field(default=0, init=False)
    _checked: bool = field(default=False, init=False)

    def scores(self, sheet: Sheet) -> Tensor:
        """As `rows.scores`."""
        if not self.first or not _alike(self.model, self.first):
            return scores(self.model, sheet)
        rows = (*sheet.rows, *sheet.lone)
        if all(row in self._kept for row in rows):
            return self._above(sheet)
        logits = self._whole(sheet)
        if not self._trusted(sheet, logits):
            log.info("%s is read from its first layer on each time", type(self.model).__name__)
            self.first, self._kept = 0, {}
        return logits

    def _whole(self, sheet: Sheet) -> Tensor:
        """All layers; what the first that learns is given is kept."""
        given: list[Tensor] = []
        layer = layers(self.model)[self.first]
        hook = layer.register_forward_pre_hook(lambda _, args: given.append(args[0].detach()[0]))
        try:
            logits = scores(self.model, sheet)
        finally:
            hook.remove()
        self._keep(sheet, given[0])
        return logits

    def _keep(self, sheet: Sheet, hidden: Tensor) -> None:
        head, none, counted = hidden[: sheet.shared].clone(), hidden[:0].clone(), False
        for row, (first, count, shares) in zip((*sheet.rows, *sheet.lone), sheet.spans, strict=True):
            size = count * hidden.shape[1] * hidden.element_size()
            if row not in self._kept and self._size + size <= ROOM:
                if shares and not counted:
                    self._size, counted = self._size + head.numel() * head.element_size(), True
                self._kept[row] = _Kept(head if shares else none, hidden[first : first + count].clone())
                self._size += size

    def _above(self, sheet: Sheet) -> Tensor:
        """Only the layers that learn, and those above."""
        rows: Sequence[Row] = (*sheet.rows, *sheet.lone)
        pieces = [self._kept[row].beyond(sheet.shared if at < len(sheet.rows) else 0) for at, row in enumerate(rows)]
        if sheet.shared:
            kept = self._kept[rows[0]]
            pieces.insert(0, torch.cat([kept.head, kept.rest])[: sheet.shared])
        with _only(self.model, self.first):
            return scores(self.model, sheet, torch.cat(pieces)[None])

    @torch.no_grad()
    def _trusted(self, sheet: Sheet, logits: Tensor) -> bool:
        """Is it the same both ways? Some models do more with the first layer's input than hand it on."""
        if self._checked or not all(row in self._kept for row in (*sheet.rows, *sheet.lone)):
            return True
        self._checked = True
        apart = (self._above(sheet).float() - logits.detach().float()).abs().mean()
        return bool(apart <= NEAR)


@dataclass(eq=False)
class Shelf:
    """What is found out once of the rows of a night, and is the same for all its trainings that begin with the base.

    `logs`: log-probability of each token of a row's reply under the base, [tokens], in nats.
    """

    logs: dict[Row, Tensor] = field(default_factory=dict)
    _below: dict[int, Below] = field(default_factory=dict, init=False)

    def below(self, model: Any, first: int) -> Below:
        """What lies below layer `first`."""
        return self._below.setdefault(first, Below(model, first))


def _alike(model: Any, first: int) -> bool:
    """Is the upper part of the model a whole one? Where layers are of several kinds, transformers looks up by number
    what a layer is, so the kinds must come in the same order."""
    kinds = getattr(model.config.get_text_config(), "layer_types", None)
    return not kinds or kinds[first:] == kinds[: len(kinds) - first]


@contextmanager
def _only(model: Any, first: int) -> Iterator[None]:
    """The model without its first layers, for as long as the block lasts."""
    decoder, whole = model.get_decoder(), layers(model)
    decoder.layers = whole[first:]
    try:
        yield
    finally:
        decoder.layers = whole
