"""One forward over tokens of many conversations: packed into one row, each attending to its own keys and values.

Nothing is padded: a step may hold one token of each reply and a piece of somebody's long prompt side by side. Knows
tensors and places in memory, not who they belong to. transformers lets an attention function be registered by name;
this is one, so that any model that uses that interface can be batched without code of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from core.errors import ModelError

NAME = "limen_packed"
ODD = ("s_aux", "softcap", "position_bias", "indices", "block_indices")  # what some models ask of their attention
SHARED = 64  # tokens: to read fewer of them once is not worth it
LAYERS = ("full_attention", "sliding_attention")


@dataclass(frozen=True)
class Span:
    """Tokens of one conversation in this step: `count` new ones after `past` that lie in the arena from `at` on.

    The first `same` of the past are also those of the span before it, as candidates of one reply have them.
    """

    at: int
    past: int
    count: int
    same: int = 0

    @property
    def total(self) -> int:
        return self.past + self.count


@dataclass(frozen=True, eq=False)
class Storage:
    """Keys and values by layer, [heads, tokens, size] each."""

    keys: list[Tensor]
    values: list[Tensor]


@dataclass(eq=False)
class Pack:
    """One step. `together`: the spans of one token attend in one padded call, as GPUs like it; else one by one."""

    spans: Sequence[Span]
    storage: Storage
    together: bool
    writes: Tensor = field(init=False)  # [T] places in the arena
    positions: Tensor = field(init=False)  # [1, T]
    last: Tensor = field(init=False)  # [spans] each one's last token
    _masks: dict[Any, Any] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.device = self.storage.keys[0].device
        self.exact = self.storage.keys[0].dtype == torch.float32  # in fewer bits it was not measured, and is coarser
        ones = next((at for at, span in enumerate(self.spans) if span.count > 1), len(self.spans))
        assert all(span.count > 1 for span in self.spans[ones:]), "spans of one token come first"
        self.ones = ones
        places = [place for span in self.spans for place in range(span.past, span.total)]
        starts = [span.at for span in self.spans for _ in range(span.count)]
        positions = torch.tensor(places)
        self.writes = (positions + torch.tensor(starts)).to(self.device)
        self.positions = positions[None].to(self.device)
        self.last = (torch.tensor([span.count for span in self.spans]).cumsum(0) - 1).to(self.device)

    @cached_property
    def groups(self) -> list[tuple[Sequence[Span], int]]:
        """The spans, those together that have the same beginning, and how long that is (0: it is worth nothing)."""
        found: list[tuple[list[Span], int]] = []
        for span in self.spans:
            if found and span.count == 1 and span.same >= SHARED and self.exact:
                spans, same = found[-1]
                found[-1] = ([*spans, span], min(same or span.same, span.same))
            else:
                found.append(([span], 0))
        return [*found]

    def mask(self, span: Span, window: int, dtype: torch.dtype) -> Tensor:
        """What a span's tokens may not see, [count, total] of 0 and -inf."""
        key = (span, window)
        if key not in self._masks:
            new = torch.arange(span.past, span.total, device=self.device)[:, None]
            old = torch.arange(span.total, device=self.device)[None]
            hidden = (old > new) | (old <= new - window) if window else old > new
            self._masks[key] = torch.zeros(hidden.shape, dtype=dtype, device=self.device).masked_fill_(
                hidden, float("-inf")
            )
        found: Tensor = self._masks[key]
        return found

    def reach(self, window: int) -> tuple[Tensor, Tensor]:
        """For all spans of one token: the arena's places that each sees [ones, width], and whether it really does."""
        if window not in self._masks:
            totals = torch.tensor([span.total for span in self.spans[: self.ones]], device=self.device)
            seen = totals.clamp(max=window) if window else totals
            first = torch.tensor([span.at for span in self.spans[: self.ones]], device=self.device) + totals - seen
            steps = torch.arange(int(seen.max()), device=self.device)
            real = steps[None] < seen[:, None]
            self._masks[window] = (torch.where(real, first[:, None] + steps[None], first[:, None]), real)
        found: tuple[Tensor, Tensor] = self._masks[window]
        return found


def attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, scaling: float | None = None,
    sliding_window: int | None = None, *, pack: Pack, **more: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    """The attention of a layer, as transformers calls it. Raises ModelError if more is asked of it than it does.

    `query` [1, heads, T, size], `key` and `value` [1, kv heads, T, size]; returns [1, T, heads, size].
    """
    if odd := [name for name in ODD if more.get(name) is not None]:
        raise _unable(module.config.model_type, odd[0])
    keys, values = pack.storage.keys[module.layer_idx], pack.storage.values[module.layer_idx]
    keys.index_copy_(1, pack.writes, key[0])
    values.index_copy_(1, pack.writes, value[0])
    heads, tokens, size = query.shape[1:]
    shared = keys.shape[0]
    grouped = query[0].transpose(0, 1).reshape(tokens, shared, heads // shared, size)
    out = torch.empty_like(grouped)
    window, first = sliding_window or 0, 0
    if pack.together and pack.ones:
        out[: pack.ones] = _together(grouped[: pack.ones], keys, values, pack, window, scaling)
        first = pack.ones
    start = 0
    for spans, same in pack.groups:
        if same and start >= first and not (window and max(span.total for span in spans) > window):
            end = start + len(spans)
            out[start:end] = _beside(grouped[start:end], keys, values, spans, same, scaling)
            start = end
            continue
        for span in spans:
            if start >= first:
                rows = grouped[start : start + span.count]
                out[start : start + span.count] = _alone(rows, keys, values, pack, span, window, scaling)
            start += span.count
    return out.view(1, tokens, heads, size), None


def _beside(
    query: Tensor, keys: Tensor, values: Tensor, spans: Sequence[Span], same: int, scaling: float | None
) -> Tensor:  # fmt: skip
    """Spans of one token that have the first `same` keys and values in common: those are read once, for all of them.
    `query` [spans, kv heads, group, size]; the same is returned."""
    count, heads, group, size = query.shape
    scale = size**-0.5 if scaling is None else scaling
    asked = (query * scale).transpose(0, 1).reshape(heads, count * group, size)
    tails = [(slice(at * group, (at + 1) * group), span.at + same, span.total - same) for at, span in enumerate(spans)]
    scores = asked.new_full((heads, count * group, max(span.total for span in spans)), float("-inf"))
    scores[..., :same] = torch.bmm(asked, keys[:, spans[0].at : spans[0].at + same].transpose(1, 2))
    for own, at, left in tails:
        scores[:, own, same : same + left] = torch.bmm(asked[:, own], keys[:, at : at + left].transpose(1, 2))
    weights = scores.softmax(-1)
    out = torch.bmm(weights[..., :same], values[:, spans[0].at : spans[0].at + same])
    for own, at, left in tails:
        out[:, own] += torch.bmm(weights[:, own, same : same + left], values[:, at : at + left])
    return out.view(heads, count, group, size).transpose(0, 1)


def _alone(
    query: Tensor, keys: Tensor, values: Tensor, pack: Pack, span: Span, window: int, scaling: float | None
) -> Tensor:
    """One span. `query` [count, kv heads, group, size]; the same is returned. No key is copied."""
    if span.count == 1:
        seen = min(span.total, window) if window else span.total
        place = span.at + span.total - seen
        folded = query.transpose(0, 1)  # a group's heads take the place of the one token: nothing to mask
        out = F.scaled_dot_product_attention(
            folded, _view(keys, place, seen), _view(values, place, seen), scale=scaling
        )
        return out.transpose(0, 1)
    asked, k, v = query.permute(1, 2, 0, 3), _view(keys, span.at, span.total), _view(values, span.at, span.total)
    whole = not window or span.total <= window
    if query.dtype == torch.bfloat16 and query.device.type == "cpu":
        hidden = pack.mask(span, window, query.dtype)[:, span.past if whole else 0 :]
        return _by_products(asked, k[:, 0], v[:, 0], hidden, scaling).permute(2, 0, 1, 3)
    shape = (-1, query.shape[2], -1, -1)
    plain = whole and not span.past
    mask = None if plain else pack.mask(span, window, query.dtype)
    out = F.scaled_dot_product_attention(
        asked, k.expand(shape), v.expand(shape), attn_mask=mask, is_causal=plain, scale=scaling
    )
    return out.permute(2, 0, 1, 3)


def _by_products(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor, scaling: float | None) -> Tensor:
    """Attention as two products: torch's own kernel for CPUs does not compute in bfloat16 (71 tokens after 1,500 took
    3.6 ms instead of 1.1). `query` [kv heads, group, count, size]; the same is returned. `mask` is of the last tokens;
    those before are seen."""
    heads, group, count, size = query.shape
    rows = (query * (size**-0.5 if scaling is None else scaling)).reshape(heads, group * count, size)
    scores = rows.new_empty(heads, group * count, keys.shape[1])
    for head in range(heads):  # a third faster than `bmm`, which copies the keys
        torch.mm(rows[head], keys[head].T, out=scores[head])
    scores.view(heads, group, count, -1)[..., -mask.shape[1] :] += mask
    return torch.bmm(scores.softmax(-1), values).view(heads, group, count, size)


def _view(storage: Tensor, at: int, count: int) -> Tensor:
    """[kv heads, 1, count, size] of the arena, without copying."""
    heads, capacity, size = storage.shape
    return storage.as_strided((heads, 1, count, size), (capacity * size, 0, size, 1), at * size)


def _together(
    query: Tensor, keys: Tensor, values: Tensor, pack: Pack, window: int, scaling: float | None
) -> Tensor:  # fmt: skip
    """All spans of one token in one call. `query` [spans, kv heads, group, size]; the same is returned."""
    places, real = pack.reach(window)
    k, v = keys[:, places].transpose(0, 1), values[:, places].transpose(0, 1)
    return F.scaled_dot_product_attention(query, k, v, attn_mask=real[:, None, None, :], scale=scaling)


def prepare(model: Any) -> None:
    """Let a transformers model use this attention. Raises ModelError if its attention has parts that we have not."""
    config = model.config.get_text_config()
    odd = [name for name in ("attn_logit_softcapping", "sink_token_length") if getattr(config, name, None)]
    odd += [name for name in getattr(config, "layer_types", None) or () if name not in LAYERS]
    if odd or getattr(model, "is_encoder_decoder", False):
        raise _unable(config.model_type, odd[0] if odd else "an encoder")
    ALL_ATTENTION_FUNCTIONS.register(NAME, attend)
    model.set_attn_implementation(NAME)


def _unable(kind: str, what: str) -> ModelError:
    said = f"{kind} models need {what}, which this engine has not"
    return ModelError(said, "serve it with vLLM and set model.engine to openai")


def forward(model: Any, tokens: Tensor, pack: Pack, ends: Sequence[int]) -> Tensor:
    """Read these tokens [1, T]. The logits after the last token of each of the spans `ends`, [ends, vocab]."""
    return forward_at(model, tokens, pack, pack.last[list(ends)])


def forward_at(model: Any, tokens: Tensor, pack: Pack, places: Tensor) -> Tensor:
    """The same, with the logits after the tokens at these `places` of the step, [places, vocab]."""
    out = model(input_ids=tokens, position_ids=pack.positions, use_cache=False, pack=pack, logits_to_keep=places)
    logits: Tensor = out.logits[0]
    return logits
