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
SMALL = (
    24 << 20
)  # bytes of a layer's attention weights, which are kept until the gradients: up to so many are written out
SHARP = 2.0  # of the soft maximum over tokens: 1 is the log of the mean ratio, without end the largest ratio alone
CHUNK = 8  # tokens whose logits are float32 at a time


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
    blocks: list["Block"] = field(init=False)
    order: Tensor = field(init=False)  # where each place is in the blocks, one after the other
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
        self._lay_out()

    def _lay_out(self) -> None:
        """Spans of one kind as a block, the short ones filled up."""
        head = [(0, self.shared, False)] if self.shared else []
        kinds = (head, [span for span in self.spans if span[2]], [span for span in self.spans if not span[2]])
        order = [0] * self.tokens.shape[1]
        self.blocks, room = [], 0
        for kind in filter(None, kinds):
            longest = max(count for _, count, _ in kind)
            places = [[first + min(at, count - 1) for at in range(longest)] for first, count, _ in kind]
            for number, (first, count, _) in enumerate(kind):
                begin = room + number * longest
                order[first : first + count] = range(begin, begin + count)
            room += len(kind) * longest
            self.blocks.append(Block(kind, torch.tensor(places, device=self.device), kind[0][2]))
        self.order = torch.tensor(order, device=self.device)

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


@dataclass(frozen=True, eq=False)
class Block:
    """Spans with their places, [spans, longest]; what is beyond a span's end repeats its last token, and is dropped."""

    spans: Sequence[tuple[int, int, bool]]
    places: Tensor
    shares: bool


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
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    made = [_block(query, key, value, sheet, block, window, scale) for block in sheet.blocks]
    return torch.cat(made, 1).index_select(1, sheet.order).transpose(0, 1)[None], None


def _block(
    query: Tensor, key: Tensor, value: Tensor, sheet: Sheet, block: Block, window: int, scale: float
) -> Tensor:  # fmt: skip
    """What a block's tokens see, [heads, spans * longest, size]. On a CPU, written out as products of matrices where
    that fits into memory: eight rows of 70 tokens take a sixth of the time of torch's fused attention and its
    gradients."""
    rows, longest = block.places.shape
    past = sheet.shared if block.shares else 0
    if query.device.type != "cpu" or query.shape[1] * rows * longest * (past + longest) * query.element_size() > SMALL:
        return torch.cat([_one(query, key, value, sheet, span, longest, window, scale) for span in block.spans], 1)
    places, laid = block.places.flatten(), (query.shape[1], rows, longest, -1)
    q, k, v = (part[0].index_select(1, places).view(laid) for part in (query, key, value))
    q = q * scale
    mask = sheet.mask(longest, past, window, q.dtype)
    seen = q @ k.transpose(-1, -2) + mask[:, past:]
    if not past:
        near: Tensor = (seen.softmax(-1) @ v).flatten(1, 2)
        return near
    far = (q.flatten(1, 2) @ key[0, :, :past].transpose(-1, -2)).view(laid)
    share = torch.cat([far + mask[:, :past] if window else far, seen], -1).softmax(-1)
    found: Tensor = share[..., :past].flatten(1, 2) @ value[0, :, :past] + (share[..., past:] @ v).flatten(1, 2)
    return found


def _one(
    query: Tensor, key: Tensor, value: Tensor, sheet: Sheet, span: tuple[int, int, bool], longest: int, window: int,
    scale: float,
) -> Tensor:  # fmt: skip
    """What one span's tokens see, [heads, longest, size], without anything written out."""
    first, count, shares = span
    mine = slice(first, first + count)
    q, k, v, past = query[:, :, mine], key[:, :, mine], value[:, :, mine], 0
    if shares:
        past = sheet.shared
        k, v = torch.cat([key[:, :, :past], k], 2), torch.cat([value[:, :, :past], v], 2)
    plain = not past and not (window and count > window)
    mask = None if plain else sheet.mask(count, past, window, q.dtype)
    found = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=plain, scale=scale)
    return F.pad(found[0], (0, 0, 0, longest - count))


ALL_ATTENTION_FUNCTIONS.register(NAME, attend)


def scores(model: Any, sheet: Sheet, hidden: Tensor | None = None) -> Tensor:
    """Logits for every token of the replies, [answers, vocab]. The model's attention must be `NAME`.

    `hidden` [1, T, size]: what stands in the place of the tokens' embeddings.
    """
    given = {"input_ids": sheet.tokens} if hidden is None else {"inputs_embeds": hidden}
    out = model(**given, position_ids=sheet.positions, use_cache=False, sheet=sheet, logits_to_keep=sheet.asked)
    logits: Tensor = out.logits[0]
    return logits


def token_logs(logits: Tensor, sheet: Sheet) -> Tensor:
    """Log-probability of each token of the replies, [answers], in nats, float32."""
    found: Tensor = Logs.apply(logits, sheet.answers)  # type: ignore[no-untyped-call]
    return found


def by_row(values: Tensor, sheet: Sheet) -> Tensor:
    """What the tokens of each reply have together, [answers] → [rows]."""
    return values.new_zeros(len(sheet.rows) + len(sheet.lone)).index_add(0, sheet.whose, values)


def likelihoods(logits: Tensor, sheet: Sheet) -> Tensor:
    """Log-probability of each row's reply, [rows], in nats, float32."""
    return by_row(token_logs(logits, sheet), sheet)


def leanings(ratios: Tensor, sheet: Sheet) -> Tensor:
    """How much a LoRA leans to each reply, [rows], in nats: a soft maximum over its tokens of `ratios` [answers], how
    much likelier each has become (the log of the mean of e to twice that, halved).

    What people like in a reply is a few of its tokens. In the sum over all of them, which is how much likelier the
    whole reply has become, that drowns in what every reply gains and loses by chance: for three tastes the AUC was .71,
    .76 and .69 by the sum, and .94, .83 and .84 by this.
    """
    counts = torch.bincount(sheet.whose, minlength=len(sheet.rows) + len(sheet.lone))
    return (by_row((SHARP * ratios).exp(), sheet) / counts).log() / SHARP


class Logs(torch.autograd.Function):
    """Log-probability of one token each, [T] float32, of logits [T, vocab]. A few tokens are float32 at a time, and
    what the gradients need is worked out again: nothing as large as the logits is made but their gradient."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, answers: Tensor) -> Tensor:
        """`answers` [T]."""
        norms = torch.cat([part.float().logsumexp(-1) for part in torch.split(logits, CHUNK)])
        ctx.save_for_backward(logits, answers, norms)
        return logits.gather(-1, answers[:, None])[:, 0].float() - norms

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, None]:
        """The token itself less the probability of each."""
        logits, answers, norms = ctx.saved_tensors
        made = torch.empty_like(logits)
        pieces = (torch.split(all, CHUNK) for all in (logits, answers, norms, *grads, made))
        for part, answer, norm, grad, out in zip(*pieces, strict=True):
            share = (part.float() - norm[:, None]).exp_().mul_(-grad[:, None])
            out.copy_(share.scatter_add_(-1, answer[:, None], grad[:, None]))
        return made, None
