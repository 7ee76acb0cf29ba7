"""worker/night/rows.py: many rows in one forward, against plain transformers row by row."""

import copy
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from tests.fakes.pupils import row
from worker.night.rows import NAME, WORTH, Row, Sheet, common, likelihoods, scores

SIZES: dict[str, Any] = {
    "vocab_size": 258, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": 256, "initializer_range": 0.3,
}  # fmt: skip
CARD = "You are a pirate captain. "  # more than the windows below
TALK = [row(f"{CARD}{text}", reply) for text, reply in (("hi", "Ahoy!"), ("who are you?", "Mira"), ("hi", "No."))]
LONE = [row("something else entirely, and long enough to be more than a window", "Yes, it is."), row("?", "!")]


def model(kind: str) -> Any:
    torch.manual_seed(3)
    if kind == "windows":
        return MistralForCausalLM(MistralConfig(**SIZES, num_key_value_heads=2, sliding_window=10)).double()
    heads = {"groups": 2, "one for all": 1, "plain": 4}[kind]
    return LlamaForCausalLM(LlamaConfig(**SIZES, num_key_value_heads=heads)).double()


def alone(model: Any, one: Row) -> Tensor:
    """The log-probability of a reply, as transformers computes it."""
    tokens = torch.tensor([one.tokens])
    logs = model(input_ids=tokens, use_cache=False).logits[0].log_softmax(-1)
    asked = range(len(one.prompt) - 1, len(one.tokens) - 1)
    return torch.stack([logs[at, one.tokens[at + 1]] for at in asked]).sum()


def found(model: Any, value: Tensor, weights: Sequence[float]) -> tuple[Tensor, list[Tensor]]:
    """Log-probabilities, and the gradients of their weighted sum."""
    (value * torch.tensor(weights)).sum().backward()
    return value.detach(), [part.grad for part in model.parameters()]


@pytest.mark.parametrize("kind", ["plain", "groups", "one for all", "windows"])
@pytest.mark.parametrize("rows", [(TALK, LONE), (TALK, ()), (TALK[:1], LONE), ((), LONE)])
def test_a_sheet_is_read_as_each_row_alone(kind: str, rows: tuple[Sequence[Row], Sequence[Row]]) -> None:
    """Likelihoods and gradients of all weights, with the beginning read once and without."""
    ours = model(kind)
    theirs = copy.deepcopy(ours)
    theirs.set_attn_implementation("eager")
    ours.set_attn_implementation(NAME)
    sheet = Sheet(*rows)
    weights = [0.5, -1.0, 2.0, 0.25, -0.7][: len(rows[0]) + len(rows[1])]
    value, grads = found(ours, likelihoods(scores(ours, sheet), sheet).double(), weights)
    each = torch.stack([alone(theirs, one) for one in (*rows[0], *rows[1])])
    expected, wanted = found(theirs, each, weights)

    assert (len(rows[0]) > 1) == (sheet.shared >= len(CARD))
    torch.testing.assert_close(value, expected, rtol=0, atol=2e-4)  # they are summed in float32
    for mine, yours in zip(grads, wanted, strict=True):
        torch.testing.assert_close(mine, yours, rtol=1e-4, atol=2e-5)


def test_what_rows_share_is_read_once() -> None:
    """And a few tokens are not worth it."""
    tokens = sum(len(one.tokens) for one in TALK)
    short = [row("You? hi", "a"), row("You? no", "b")]

    assert tokens - 2 * Sheet(TALK).shared == Sheet(TALK).tokens.shape[1]
    assert (0, 16) == (Sheet(short).shared, Sheet(short).tokens.shape[1])


@given(st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=40), min_size=2, max_size=5), st.integers(0, 40))
def test_the_common_beginning_leaves_each_prompt_its_last_token(rows: list[list[int]], head: int) -> None:
    """It is the longest one, against looking at every token; the last token is asked for the reply's first."""
    rows = [[7] * head + one for one in rows]
    most = min(map(len, rows)) - 1
    same = next((at for at in range(most) if len({one[at] for one in rows}) > 1), most)

    assert (same if same >= WORTH else 0) == common(rows)
