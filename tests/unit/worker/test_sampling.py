"""worker/sampling.py: each filter against its definition, written out plainly."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from personas.sampling import Sampling
from worker.sampling import NUCLEUS, choose, keep_min_p, keep_top_k, keep_top_p, penalise

LOGITS = st.lists(st.floats(-8, 8, width=32), min_size=2, max_size=40, unique=True).map(torch.tensor)


def kept(logits: Tensor) -> set[int]:
    return {at for at, value in enumerate(logits.tolist()) if value > -math.inf}


@given(LOGITS, st.integers(1, 50))
def test_top_k_keeps_the_k_likeliest(logits: Tensor, k: int) -> None:
    """And nothing else."""
    best = sorted(range(len(logits)), key=lambda at: -logits[at].item())[:k]

    assert set(best) == kept(keep_top_k(logits, k))


@given(LOGITS, st.floats(0.05, 0.99))
def test_top_p_keeps_the_fewest_that_reach_p(logits: Tensor, p: float) -> None:
    """The one that crosses p is among them."""
    chances = logits.softmax(-1).tolist()
    held = kept(keep_top_p(logits, p))
    total = sum(chances[at] for at in held)

    assert total >= p - 1e-4
    assert total - min(chances[at] for at in held) < p + 1e-4
    assert min(chances[at] for at in held) >= max(
        (chances[at] for at in range(len(chances)) if at not in held), default=0
    )


def test_top_p_finds_a_nucleus_of_any_size() -> None:
    """Flat chances need many tokens, more than are looked at first."""
    logits = torch.linspace(0, 2, 10 * NUCLEUS)[
        torch.randperm(10 * NUCLEUS, generator=torch.Generator().manual_seed(1))
    ]
    ordered, at = logits.softmax(-1).sort(descending=True)
    needed = int((ordered.cumsum(-1) < 0.9).sum()) + 1

    assert needed > NUCLEUS
    assert set(at[:needed].tolist()) == kept(keep_top_p(logits, 0.9))


@given(LOGITS, st.floats(0.01, 1))
def test_min_p_keeps_what_is_likely_enough_beside_the_likeliest(logits: Tensor, p: float) -> None:
    """Relative to the best one."""
    chances = logits.softmax(-1)
    clear = (chances - p * chances.max()).abs() > 1e-6

    assert {at for at in range(len(logits)) if clear[at] and chances[at] > p * chances.max()} == {
        at for at in kept(keep_min_p(logits, p)) if clear[at]
    }


def test_the_penalty_lowers_what_was_said_whatever_its_sign() -> None:
    """CTRL's rule: positive scores are divided, negative ones multiplied."""
    assert [1.0, -4.0, 3.0] == penalise(torch.tensor([2.0, -2.0, 3.0]), [0, 1, 1], 2.0).tolist()
    assert [2.0, -2.0] == penalise(torch.tensor([2.0, -2.0]), [0], 1.0).tolist()


def test_zero_temperature_takes_the_likeliest() -> None:
    """No dice."""
    dice = torch.Generator().manual_seed(1)

    assert 2 == choose(torch.tensor([1.0, 2.0, 3.0]), [], Sampling(temperature=0), dice)


def test_the_same_seed_draws_the_same_tokens() -> None:
    """And another one others."""
    logits, sampling = torch.linspace(0, 3, 50), Sampling(temperature=1.0)

    def draw(seed: int) -> list[int]:
        dice = torch.Generator().manual_seed(seed)
        return [choose(logits, [], sampling, dice) for _ in range(20)]

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_tokens_are_drawn_by_their_chances() -> None:
    """2,000 throws: within four standard deviations of what they should be."""
    chances, dice = [0.5, 0.3, 0.15, 0.05], torch.Generator().manual_seed(5)
    sampling = Sampling(temperature=1.0, top_p=1.0, repetition_penalty=1.0)
    drawn = [choose(torch.tensor(chances).log(), [], sampling, dice) for _ in range(2000)]

    for token, chance in enumerate(chances):
        assert abs(drawn.count(token) / 2000 - chance) < 4 * math.sqrt(chance * (1 - chance) / 2000)


@pytest.mark.parametrize("temperature", [0, 0.7])
def test_scores_that_are_no_numbers_are_refused(temperature: float) -> None:
    """A model gone wrong must not be taken for one that speaks."""
    logits = torch.tensor([1.0, math.nan, 2.0])

    with pytest.raises(ValueError, match="no usable scores"):
        choose(logits, [], Sampling(temperature=temperature), torch.Generator().manual_seed(1))


def test_high_temperature_is_flatter() -> None:
    """Measured over draws with a fixed seed."""
    logits = torch.tensor([0.0, 2.0])

    def share(temperature: float) -> float:
        dice = torch.Generator().manual_seed(3)
        sampling = Sampling(temperature=temperature, top_p=1.0, repetition_penalty=1.0)
        return sum(choose(logits, [], sampling, dice) for _ in range(400)) / 400

    assert share(0.5) > 0.95 > 0.8 > share(2.0) > 0.6
