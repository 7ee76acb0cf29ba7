"""Continuous batching over a causal model's forward: requests join at the next step and leave when they are done.

Rows are padded on the left to the longest; keys and values lie in one transformers cache, which is rebuilt only when
somebody joins or leaves. Every row counts its own positions, so a row gets the same tokens alone or in company.
"""

import logging
from collections import deque
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from core.prompt import Prompt
from worker.generator import Finished, Piece, Rendered, Request
from worker.model import Loaded
from worker.render import Renderer
from worker.sampling import choose
from worker.streaming import Stream

Item = TypeVar("Item")
log = logging.getLogger("limen.worker")


class _Row:
    """A request in the batch."""

    def __init__(self, request: Request, stream: Stream) -> None:
        self.request, self.stream = request, stream
        self.dice = torch.Generator().manual_seed(request.seed)
        self.next = 0  # the token that was chosen last and has not been seen by the model yet

    @property
    def length(self) -> int:
        """Tokens that the model has seen."""
        return len(self.request.tokens) + len(self.stream.ids) - 1


class Batch:
    """A Generator (see `generator.py`) over one loaded model."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._renderer = Renderer(loaded.tokenizer, loaded.context)
        self._joining: deque[Request] = deque()
        self._unwanted: deque[str] = deque()  # like `_joining` filled by other threads: only append and popleft
        self._rows: list[_Row] = []
        self._cache: list[tuple[Tensor, Tensor]] = []  # by layer: keys, values [rows, heads, tokens, size]

    def render(self, prompt: Prompt, reserve: int) -> Rendered:
        """Fit a prompt into the context, with room for `reserve` tokens of reply."""
        return self._renderer.render(prompt, reserve)

    def add(self, request: Request) -> None:
        """Let a request join at the next step."""
        self._joining.append(request)

    def cancel(self, request_id: str) -> None:
        """Let a request end, with what it has, at the next step."""
        self._unwanted.append(request_id)

    @property
    def active(self) -> int:
        """How many requests have not ended."""
        return len(self._rows) + len(self._joining)

    def about(self) -> dict[str, str | int | float]:
        """Nothing that changes."""
        return {}

    @torch.inference_mode()
    def step(self) -> list[Piece | Finished]:
        """One token for everybody; joiners get their first one."""
        events: list[Piece | Finished] = []
        unwanted = set(_drained(self._unwanted))  # before the joiners: nobody is cancelled who was not added before
        joiners = _drained(self._joining)
        self._leave([row for row in self._rows if row.request.id in unwanted], "cancelled", events)
        self._advance(events)
        for request in joiners:
            if request.id in unwanted:
                events.append(Finished(id=request.id, text="", finish="cancelled"))
            else:
                self._admit(request, events)
        return events

    def _leave(self, gone: Sequence[_Row], finish: str, events: list[Piece | Finished], error: str = "") -> None:
        if not gone:
            return
        for row in gone:
            if rest := row.stream.rest():
                events.append(Piece(row.request.id, rest, len(row.stream.ids)))
            text, tokens = row.stream.text, len(row.stream.ids)
            events.append(Finished(id=row.request.id, text=text, finish=finish, tokens=tokens, error=error))
        stay = [at for at, row in enumerate(self._rows) if row not in gone]
        self._rows = [self._rows[at] for at in stay]
        self._cache = _narrowed(self._cache, stay, max((row.length for row in self._rows), default=0))

    def _advance(self, events: list[Piece | Finished]) -> None:
        """The next token of every row. What breaks the whole batch (no memory left, say) ends all that are in it."""
        if not self._rows:
            return
        try:
            logits = self._read_last()
        except Exception as error:
            log.exception("the batch of %d could not go on", len(self._rows))
            self._leave(list(self._rows), "error", events, _reason(error))
            return
        self._choose(self._rows, logits, events)

    def _read_last(self) -> Tensor:
        """Let the model see every row's last token. Logits [rows, vocab]."""
        device = self._loaded.device
        tokens = torch.tensor([[row.next] for row in self._rows], device=device)
        lengths = torch.tensor([row.length for row in self._rows], device=device)
        width = self._cache[0][0].shape[2]
        mask = (torch.arange(width + 1, device=device)[None] >= (width - lengths)[:, None]).long()
        logits, self._cache = self._forward(tokens, mask, lengths[:, None], self._cache)
        return logits

    def _admit(self, request: Request, events: list[Piece | Finished]) -> None:
        """Read a prompt, and let its row join."""
        try:
            row = _Row(request, Stream(self._loaded.decode, request.sampling.stop))
            logits, cache = self._prefill(request)
            joined = _joined(self._cache, cache)
        except Exception as error:
            log.exception("request %s could not be read", request.id)
            events.append(Finished(id=request.id, text="", finish="error", error=_reason(error)))
            return
        self._rows, self._cache = [*self._rows, row], joined
        self._choose([row], logits, events)

    def _prefill(self, request: Request) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        tokens = torch.tensor([request.tokens], device=self._loaded.device)
        positions = torch.arange(tokens.shape[1], device=self._loaded.device)[None]
        return self._forward(tokens, torch.ones_like(tokens), positions, [])

    def _forward(
        self, tokens: Tensor, mask: Tensor, positions: Tensor, cache: list[tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Logits of the last token [rows, vocab], and the cache grown by these tokens."""
        past = DynamicCache(cache) if cache else DynamicCache()
        out: Any = self._loaded.model(
            input_ids=tokens, attention_mask=mask, position_ids=positions, past_key_values=past, use_cache=True,
            logits_to_keep=1,
        )  # fmt: skip
        return out.logits[:, -1], [(layer.keys, layer.values) for layer in out.past_key_values.layers]

    def _choose(self, rows: Sequence[_Row], logits: Tensor, events: list[Piece | Finished]) -> None:
        """Choose a token for each of these rows; those that are done leave."""
        done: dict[str, list[_Row]] = {"stop": [], "length": []}
        broken: list[tuple[_Row, str]] = []
        for row, scores in zip(rows, logits, strict=True):
            try:
                self._say(row, scores, events, done)
            except Exception as error:
                log.exception("request %s could not be sampled", row.request.id)
                broken.append((row, _reason(error)))
        for finish, gone in done.items():
            self._leave(gone, finish, events)
        for row, reason in broken:
            self._leave([row], "error", events, reason)

    def _say(self, row: _Row, scores: Tensor, events: list[Piece | Finished], done: dict[str, list[_Row]]) -> None:
        stream, sampling = row.stream, row.request.sampling
        token = choose(scores, stream.ids, sampling, row.dice)
        if token in self._loaded.ends:
            done["stop"].append(row)
            return
        row.next = token
        events.append(Piece(row.request.id, stream.push(token), len(stream.ids)))
        if stream.stopped:
            done["stop"].append(row)
        elif len(stream.ids) >= sampling.max_tokens or row.length + 1 >= self._loaded.context:
            done["length"].append(row)


def _drained(waiting: deque[Item]) -> list[Item]:
    """Take out what is there. Safe while other threads append, which iterating is not."""
    return [waiting.popleft() for _ in range(len(waiting))]


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _joined(ours: list[tuple[Tensor, Tensor]], theirs: list[tuple[Tensor, Tensor]]) -> list[tuple[Tensor, Tensor]]:
    """Both batches as one: the shorter is padded on the left."""
    if not ours:
        return theirs
    width = max(ours[0][0].shape[2], theirs[0][0].shape[2])
    return [
        (torch.cat([_padded(k, width), _padded(k2, width)]), torch.cat([_padded(v, width), _padded(v2, width)]))
        for (k, v), (k2, v2) in zip(ours, theirs, strict=True)
    ]


def _padded(part: Tensor, width: int) -> Tensor:
    return torch.nn.functional.pad(part, (0, 0, width - part.shape[2], 0))


def _narrowed(cache: list[tuple[Tensor, Tensor]], stay: Sequence[int], width: int) -> list[tuple[Tensor, Tensor]]:
    """Only these rows, and no more columns than the longest of them needs."""
    if not stay:
        return []
    return [(k[list(stay)][:, :, -width:], v[list(stay)][:, :, -width:]) for k, v in cache]
