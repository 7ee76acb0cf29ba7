"""worker/night/anchors.py, neutral.py, identity.py: how far a LoRA has strayed from the base on what it holds on to."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.fakes.pupils import ALWAYS, CARD, PLAIN, base, rated, row
from tests.fakes.tiny import Bytes
from tests.unit.worker.test_night_train import QUICK
from worker.lora.files import Weights
from worker.lora.slots import Mix
from worker.night import exam, identity, neutral, train
from worker.night.anchors import Anchor, divergence, with_rest
from worker.night.base import Base, passages
from worker.night.below import Below
from worker.night.rows import Row, Sheet
from worker.night.tuning import Tuning


def strayed(one: Base, tuning: Tuning, step: int = 0) -> Tensor:
    below = Below(one.loaded.model, 0)
    with one.learning(tuning):
        return at(anchored(one, tuning, below), tuning, below, step)


def anchored(one: Base, tuning: Tuning, below: Below) -> Anchor:
    """On the plain text of the tiny model."""
    return Anchor(neutral.rows(one, 0), tuning, below, "cpu")


def at(anchor: Anchor, tuning: Tuning, below: Below, step: int = 0) -> Tensor:
    """The anchor's passage, read alone."""
    sheet = Sheet([], [anchor.row(step)])
    tuning.mix = Mix(runs=((0, sheet.tokens.shape[1], 0),))
    return anchor.strayed(step, below.scores(sheet))


def test_a_lora_that_changes_nothing_has_not_strayed() -> None:
    """Zero on each passage; a changed one has, and a step against the gradient brings it back."""
    one = base()
    tuning = Tuning(one.shape, 1, "cpu", 0)
    nothing = [float(strayed(one, tuning, step).detach()) for step in range(3)]
    tuning.fill([part.detach() + 0.05 for part in tuning.parameters()])
    far = strayed(one, tuning)
    far.backward()
    length = sum(float(part.grad.square().sum()) for part in tuning.parameters() if part.grad is not None)
    rate = 0.05 * float(far.detach()) / length
    tuning.fill([part.detach() - rate * part.grad for part in tuning.parameters() if part.grad is not None])

    assert nothing == pytest.approx([0, 0, 0], abs=1e-5)
    assert far > 0.05
    assert strayed(one, tuning) < far


def test_what_it_began_with_does_not_count_as_the_base() -> None:
    """A night that goes on from a LoRA is measured against the base all the same."""
    one = base()
    tuning = Tuning(one.shape, 1, "cpu", 0)
    tuning.fill([part.detach() + 0.05 for part in tuning.parameters()])
    with one.learning(tuning):
        below = Below(one.loaded.model, 0)
        anchor = anchored(one, tuning, below)  # made when it has changed already

    with one.learning(tuning):
        assert at(anchor, tuning, below) > 0.05


def test_passages_come_by_turns() -> None:
    """Each of the first half; the second one is for the gate alone."""
    one = base()
    tuning = Tuning(one.shape, 1, "cpu", 0)
    tuning.fill([part.detach() + 0.05 for part in tuning.parameters()])
    found = [float(strayed(one, tuning, step).detach()) for step in range(4)]

    assert found[:2] == found[2:]
    assert found[0] != found[1]
    assert [[len(text) - 1 for text in half] for half in PLAIN] == [
        [len(row.reply) for row in neutral.rows(one, half)] for half in (0, 1)
    ]


@given(st.integers(0, 10_000), st.floats(0.01, 3), st.integers(1, 20))
def test_the_likeliest_and_the_rest_never_say_more_than_all(seed: int, far: float, kept: int) -> None:
    """The KL over some tokens and the rest as one is at most that over all of them, and not below zero."""
    dice = torch.Generator().manual_seed(seed)
    before, now = (torch.randn(3, 30, generator=dice).mul(scale).log_softmax(-1) for scale in (2.0, far))
    whole = float(divergence(before, now))
    top, ids = before.topk(kept, -1)
    some = float(divergence(with_rest(top), with_rest(now.gather(-1, ids))))

    assert -1e-5 <= some <= whole + 1e-4


def test_our_own_text_has_two_halves_that_share_nothing() -> None:
    """Enough of it in each, and no passage twice."""
    first, second = passages()

    assert min(len(first), len(second)) >= 12
    assert len({*first, *second}) == len(first) + len(second)
    assert all(len(text) > 100 for text in (*first, *second))


def test_who_it_is_is_asked_in_other_words_than_in_the_exam() -> None:
    """Each question once, by the card and to nobody in particular, with what the base says to it."""
    rows = identity.rows(base(), CARD, 1)
    asked = [Bytes().decode(row.prompt) for row in rows]

    assert not {*identity.QUESTIONS} & {*exam.WHO}
    assert len(identity.QUESTIONS) == len(rows)
    assert all(
        text in prompt and CARD.description in prompt for text, prompt in zip(identity.QUESTIONS, asked, strict=True)
    )
    assert all(1 <= len(row.reply) <= identity.LONGEST + 1 for row in rows)


def test_who_it_says_it_is_stays_where_the_night_holds_on_to_it() -> None:
    """Rows that nobody rated: without the anchor they change with the rest."""
    itself, recipe = [row(f"{ALWAYS}who? {at}", "I am Ann.") for at in range(3)], replace(QUICK, kl=1.0)
    made = [train.train(base(), rated(16), (), recipe, "v", itself=some)[0] for some in ((), itself)]
    far = [strayed_on(itself, one) for one in made]

    assert far[1] < 0.5 * far[0]


def strayed_on(rows: list[Row], weights: Weights) -> float:
    """Of a LoRA, mean over rows."""
    one = base()
    tuning, below = Tuning(one.shape, 1, "cpu", 0), Below(one.loaded.model, 0)
    with one.learning(tuning), torch.no_grad():
        anchor = Anchor(rows, tuning, below, "cpu")
        tuning.begin_with(weights)
        return sum(float(at(anchor, tuning, below, step)) for step in range(len(rows))) / len(rows)
