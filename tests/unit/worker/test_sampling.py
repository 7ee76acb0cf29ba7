"""worker/sampling.py: what is drawn, against the definitions written out plainly."""

import math
from collections.abc import Sequence

import msgspec
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from personas.sampling import Sampling
from worker.sampling import NUCLEUS, Draw, choose, kept, penalised

LOGITS = st.lists(st.floats(-8, 8, width=32), min_size=2, max_size=40, unique=True).map(torch.tensor)
PLAIN = {"top_p": 1.0, "repetition_penalty": 1.0, "temperature": 1.0}


def one(logits: Tensor, sampling: Sampling, seed: int = 1, said: Sequence[int] = ()) -> int | None:
    return choose(logits[None], [Draw(sampling, said, torch.Generator().manual_seed(seed))])[0]


def drawn(logits: Tensor, sampling: Sampling, times: int, seed: int = 5) -> list[int]:
    """That many throws of the same dice, twenty at a time."""
    draws = [Draw(sampling, (), torch.Generator().manual_seed(seed))] * 20
    tokens = [token for _ in range(times // 20) for token in choose(logits.expand(20, -1), draws)]
    return [token for token in tokens if token is not None]


def allowed(logits: Tensor, sampling: Sampling) -> dict[int, float]:
    """The definition: tokens that may be drawn, and their chances."""
    scores = [score / sampling.temperature for score in logits.tolist()]
    order = sorted(range(len(scores)), key=lambda at: -scores[at])
    order = order[: sampling.top_k] if sampling.top_k else order
    total = math.fsum(math.exp(scores[at]) for at in order)
    chances, before = dict[int, float](), 0.0
    for at in order:
        chance = math.exp(scores[at]) / total
        if chances and (before >= sampling.top_p or chance < sampling.min_p * chances[order[0]]):
            break
        chances[at], before = chance, before + chance
    whole = math.fsum(chances.values())
    return {at: chance / whole for at, chance in chances.items()}


@settings(deadline=None)
@given(LOGITS, st.integers(0, 50), st.floats(0.05, 1), st.floats(0, 1), st.floats(0.2, 2), st.integers(0, 2**32))
def test_only_what_the_settings_allow_is_drawn(
    logits: Tensor, top_k: int, top_p: float, min_p: float, heat: float, seed: int
) -> None:
    """Top-k, then top-p, then min-p. (Tokens on the very edge may go either way.)"""
    sampling = Sampling(temperature=heat, top_k=top_k, top_p=top_p, min_p=min_p, repetition_penalty=1.0)
    wide = Sampling(temperature=heat, top_k=top_k, top_p=min(1.0, top_p + 1e-4), min_p=max(0.0, min_p - 1e-4))

    assert one(logits, sampling, seed) in allowed(logits, wide)


CASES = {
    "plain": {},
    "hot": {"temperature": 1.7},
    "top-k": {"top_k": 3},
    "top-k beyond the vocabulary": {"top_k": 50},
    "top-p": {"top_p": 0.8},
    "min-p": {"min_p": 0.3},
    "all": {"temperature": 0.8, "top_k": 5, "top_p": 0.9, "min_p": 0.05},
}


@pytest.mark.parametrize("case", CASES)
def test_tokens_are_drawn_by_their_chances(case: str) -> None:
    """2,000 throws: each token within four standard deviations of what it should be, and none else."""
    logits = torch.tensor([0.3, -1.0, 2.0, 1.1, 1.7, -0.4, 0.9])
    sampling = Sampling(**{**PLAIN, **CASES[case]})  # type: ignore[arg-type]
    tokens, expected = drawn(logits, sampling, 2000), allowed(logits, sampling)

    assert set(tokens) <= set(expected)
    for token, chance in expected.items():
        assert abs(tokens.count(token) / 2000 - chance) < 4 * math.sqrt(chance * (1 - chance) / 2000) + 1e-9


@pytest.mark.parametrize("case", [{"top_p": 0.9}, {}, {"min_p": 0.5}], ids=str)
def test_a_nucleus_may_be_of_any_size(case: dict[str, float]) -> None:
    """Flat chances need many tokens, more than are looked at first: the least likely that may be drawn is drawn."""
    logits = torch.linspace(0, 2, 10 * NUCLEUS)[
        torch.randperm(10 * NUCLEUS, generator=torch.Generator().manual_seed(1))
    ]
    sampling = Sampling(**{**PLAIN, **case})  # type: ignore[arg-type]
    expected, tokens = allowed(logits, sampling), drawn(logits, sampling, 1500)
    rare = sorted(expected, key=lambda at: expected[at])[: len(expected) // 4]
    share = math.fsum(expected[at] for at in rare)

    assert len(expected) > NUCLEUS
    assert set(tokens) <= set(expected)
    assert abs(sum(token in rare for token in tokens) / 1500 - share) < 4 * math.sqrt(share * (1 - share) / 1500)


def test_few_likely_tokens_cannot_tell_how_many_stay_when_the_last_of_them_does() -> None:
    """Then all must be looked at."""
    values = torch.tensor([3.0, 2.0, 1.0])
    mass = float(torch.tensor([3.0, 2.0, 1.0, 0.5, 0.5]).logsumexp(-1))

    assert kept(values, Sampling(top_p=0.95, temperature=1.0), mass) is None
    assert kept(values, Sampling(top_p=0.6, temperature=1.0), mass) is not None


def test_the_penalty_lowers_what_was_said_whatever_its_sign() -> None:
    """CTRL's rule: positive scores are divided, negative ones multiplied; each row by its own reply."""
    dice, double = torch.Generator(), Sampling(repetition_penalty=2.0)
    draws = [Draw(double, [0, 1, 1], dice), Draw(Sampling(repetition_penalty=1.0), [0], dice), Draw(double, [], dice)]
    row = [2.0, -2.0, 3.0]

    assert [[1.0, -4.0, 3.0], row, row] == penalised(torch.tensor([row] * 3), draws).tolist()


def test_zero_temperature_takes_the_likeliest() -> None:
    """No dice."""
    assert 2 == one(torch.tensor([1.0, 2.0, 3.0]), Sampling(temperature=0))


def test_the_same_seed_draws_the_same_tokens() -> None:
    """And another one others."""
    logits, sampling = torch.linspace(0, 3, 50), Sampling(temperature=1.0)

    assert drawn(logits, sampling, 20, 1) == drawn(logits, sampling, 20, 1)
    assert drawn(logits, sampling, 20, 1) != drawn(logits, sampling, 20, 2)


SETTINGS = [
    Sampling(temperature=0), Sampling(), Sampling(top_k=40), Sampling(top_p=1.0, temperature=1.5), Sampling(min_p=0.1),
    Sampling(top_k=1000, top_p=0.99), Sampling(repetition_penalty=1.5),
]  # fmt: skip


def test_a_row_draws_the_same_in_any_company() -> None:
    """Settings, scores and what was said by others make no difference."""
    scores = torch.randn(len(SETTINGS), 3000, generator=torch.Generator().manual_seed(2)) * 2

    def draw(at: int) -> Draw:
        return Draw(SETTINGS[at], range(at * 7), torch.Generator().manual_seed(at))

    alone = [choose(scores[at : at + 1], [draw(at)])[0] for at in range(len(SETTINGS))]
    for order in (range(len(SETTINGS)), reversed(range(len(SETTINGS)))):
        rows = list(order)
        assert [alone[at] for at in rows] == choose(scores[rows], [draw(at) for at in rows])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("heat", [0, 0.7])
def test_scores_that_are_no_numbers_give_no_token_and_disturb_nobody(bad: float, heat: float) -> None:
    """A model gone wrong must not be taken for one that speaks."""
    sampling = Sampling(temperature=heat)
    sound = torch.tensor([1.0, 0.0, 2.0])
    draws = [Draw(sampling, (), torch.Generator().manual_seed(seed)) for seed in (1, 2)]

    assert [None, one(sound, sampling, 2)] == choose(torch.stack([torch.tensor([1.0, bad, 2.0]), sound]), draws)


def level(row: int) -> Tensor:
    """Scores as bfloat16 gives them: hundreds of tokens are equally likely, and often so the likeliest."""
    dice = torch.Generator().manual_seed(row)
    return (torch.randn(20_000, generator=dice) * 2).bfloat16().float().clamp(max=6.0)


@pytest.mark.parametrize("sampling", [*SETTINGS, Sampling(top_p=0.5, min_p=0.3)], ids=range(len(SETTINGS) + 1))
def test_equally_likely_tokens_are_no_matter_of_company(sampling: Sampling) -> None:
    """Whether others look at more tokens, or at fewer."""
    for row in range(6):
        scores, mine = level(row), Draw(sampling, (), torch.Generator())
        drawn = set()
        for other in SETTINGS:
            mine.dice.manual_seed(row)
            draws = [Draw(other, (), torch.Generator().manual_seed(9)), mine]
            drawn.add(choose(torch.stack([level(row + 50), scores]), draws)[1])

        mine.dice.manual_seed(row)
        assert {choose(scores[None], [mine])[0]} == drawn


@pytest.mark.parametrize("sampling", [Sampling(temperature=0), Sampling(top_k=1), Sampling(top_p=1e-6)], ids=str)
def test_of_the_likeliest_the_first_is_taken(sampling: Sampling) -> None:
    """Of negative scores as of others."""
    for top in (-1.5, 0.0, 4.0):
        scores = torch.full((2000,), -20.0)
        scores[[3, 300, 1999]] = top

        assert 3 == one(scores, Sampling(**{**PLAIN, **msgspec.to_builtins(sampling), "repetition_penalty": 1.0}))


def test_the_nucleus_ends_in_the_same_place_when_it_ends_among_equals() -> None:
    """Of 1,000 that are equally likely, a third may be drawn: the first 300 or so, whatever is looked at first."""
    scores = torch.full((3000,), -30.0)
    scores[torch.arange(1000) * 3] = 1.0
    tokens = drawn(scores, Sampling(temperature=1.0, top_p=0.2995, repetition_penalty=1.0), 1500)

    assert max(tokens) <= 3 * 299
    assert max(tokens) > 3 * NUCLEUS


@pytest.mark.parametrize("row", [[-math.nan, 0.0, 1.0], [-math.inf] * 3], ids=["negative NaN", "nothing is possible"])
def test_other_scores_that_are_no_use_give_no_token(row: list[float]) -> None:
    """A processor's own NaN has a sign."""
    scores = torch.tensor(row)

    assert one(scores, Sampling()) is None
    assert one(scores, Sampling(temperature=0)) is None


def test_what_is_impossible_is_never_drawn() -> None:
    """Even where every token may be."""
    scores = torch.tensor([-math.inf, 1.0, -math.inf, 0.5, -math.inf])

    assert {1, 3} == set(drawn(scores, Sampling(**PLAIN), 200))
    assert {1, 3} == set(drawn(scores, Sampling(**PLAIN, top_k=4), 200))
