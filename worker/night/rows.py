"""Rows of tokens in one forward: what they have in common at the beginning is read once, nothing is padded.

All rows of a persona begin with its card, so most of what they hold is the same: with prompts of 700 tokens, of which
500 are the card, eight rows are read as 2,100 tokens instead of 5,600. Gradients flow through the shared part as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from worker.packed import ODD

NAME = "limen_rows"
WORTH = 16  # tokens: to share fewer is not worth it


@dataclass(frozen=True, eq=False)
class Row:
    """A prompt and what followed, in tokens; the model is asked only about what followed."""

    prompt: tuple[int, ...]
    reply: tuple[int, ...]

    @property
    def tokens(self) -> tuple[int, ...]:
        return self.prompt + self.reply


@dataclass(eq=False)
class Sheet:
    """Rows laid out in one line of tokens: the common beginning of `shared` tokens, then the rest of each row, one
    after the other. `lone` rows stand behind them and share nothing."""

    rows: Sequence[Row]
    lone: Sequence[Row] = ()
    device: str = "cpu"
    shared: int = field(init=False)
    tokens: Tensor = field(init=False)  # [1, T]
    positions: Tensor = field(init=False)  # [1, T]
    asked: Tensor = field(init=False)  # places whose next token is one of a reply
    answers: Tensor = field(init=False)  # those tokens
    whose: Tensor = field(init=False)  # the row of each answer
    spans: list[tuple[int, int, bool]] = field(init=False)  # (first place, count, whether it sees the shared tokens)
    masks: dict[Any, Tensor] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.shared = common([row.prompt for row in self.rows]) if len(self.rows) > 1 else 0
        head = list(self.rows[0].tokens[: self.shared]) if self.shared else []
        tokens, positions = head, list(range(self.shared))
        asked: list[int] = []
        answers: list[int] = []
        whose: list[int] = []
        self.spans = []
        for at, row in enumerate((*self.rows, *self.lone)):
            skip = self.shared if at < len(self.rows) else 0
            first, rest = len(tokens), row.tokens[skip:]
            tokens += rest
            positions += range(skip, skip + len(rest))
            begin = first + len(row.prompt) - skip - 1  # the place that is asked for the reply's first token
            asked += range(begin, begin + len(row.reply))
            answers += row.reply
            whose += [at] * len(row.reply)
            self.spans.append((first, len(rest), skip > 0))
        self.tokens = torch.tensor([tokens], device=self.device)
        self.positions = torch.tensor([positions], device=self.device)
        self.asked = torch.tensor(asked, device=self.device)
        self.answers = torch.tensor(answers, device=self.device)
        self.whose = torch.tensor(whose, device=self.device)

    def mask(self, count: int, past: int, window: int, dtype: torch.dtype) -> Tensor:
        """What tokens after `past` may not see, [count, past + count] of 0 and -inf."""
        key = (count, past, window, dtype)
        if key not in self.masks:
            new = torch.arange(past, past + count, device=self.device)[:, None]
            old = torch.arange(past + count, device=self.device)[None]
            hidden = (old > new) | (old <= new - window) if window else old > new
            self.masks[key] = torch.zeros(hidden.shape, dtype=dtype, device=self.device).masked_fill_(
                hidden, float("-inf")
            )
        return self.masks[key]


def common(rows: Sequence[Sequence[int]]) -> int:
    """How many tokens all of them begin with; one less than the shortest at most, and none if it is not worth it."""
    first, last = (
        min(map(tuple, rows)),
        max(map(tuple, rows)),
    )  # in order of the alphabet: what these two share, all share
    most = min(len(row) for row in rows) - 1
    same = next((at for at in range(most) if first[at] != last[at]), most)
    return same if same >= WORTH else 0


def attend(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, scaling: float | None = None,
    sliding_window: int | None = None, *, sheet: Sheet, **more: Any,
) -> tuple[Tensor, None]:  # fmt: skip
    """The attention of a layer, as transformers calls it: each row to the shared tokens and to itself.

    `query` [1, heads, T, size], `key` and `value` [1, kv heads, T, size]; returns [1, T, heads, size].
    """
    assert not any(more.get(name) is not None for name in ODD), "such models are refused when they are prepared"
    window, groups = sliding_window or 0, query.shape[1] // key.shape[1]
    key, value = (part.repeat_interleave(groups, 1) if groups > 1 else part for part in (key, value))
    made = []
    if sheet.shared:
        made.append(_one(query, key, value, sheet, (0, sheet.shared, False), window, scaling))
    made += [_one(query, key, value, sheet, span, window, scaling) for span in sheet.spans]
    return torch.cat(made, 2).transpose(1, 2), None


def _one(
    query: Tensor, key: Tensor, value: Tensor, sheet: Sheet, span: tuple[int, int, bool], window: int,
    scaling: float | None,
) -> Tensor:  # fmt: skip
    first, count, shares = span
    mine = slice(first, first + count)
    q, k, v, past = query[:, :, mine], key[:, :, mine], value[:, :, mine], 0
    if shares:
        past = sheet.shared
        k, v = torch.cat([key[:, :, :past], k], 2), torch.cat([value[:, :, :past], v], 2)
    plain = not past and not (window and count > window)
    mask = None if plain else sheet.mask(count, past, window, q.dtype)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=plain, scale=scaling)


ALL_ATTENTION_FUNCTIONS.register(NAME, attend)


def scores(model: Any, sheet: Sheet) -> Tensor:
    """Logits for every token of the replies, [answers, vocab]. The model's attention must be `NAME`."""
    out = model(
        input_ids=sheet.tokens, position_ids=sheet.positions, use_cache=False, sheet=sheet, logits_to_keep=sheet.asked
    )
    logits: Tensor = out.logits[0]
    return logits


def likelihoods(logits: Tensor, sheet: Sheet) -> Tensor:
    """Log-probability of each row's reply, [rows], in nats, float32."""
    each = -F.cross_entropy(logits.float(), sheet.answers, reduction="none")
    count = len(sheet.rows) + len(sheet.lone)
    return each.new_zeros(count).index_add(0, sheet.whose, each)
