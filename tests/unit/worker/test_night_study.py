"""worker/night/study.py: one that has learned what people like and went too far is tried nearer to the base."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from msgspec.structs import replace as changed

from core.nights import Outcome
from tests.fakes.loras import weights as random_weights
from tests.fakes.pupils import CARD, base, example
from tests.unit.worker.test_night_gate import VOICE, held, seen
from worker.lora.files import Weights
from worker.night import study
from worker.night.cross import Learned, learn
from worker.night.exam import Exam
from worker.night.gate import Held
from worker.night.split import Split, split
from worker.night.train import Recipe

FAR = random_weights(base().shape, 4, ("q_proj",), 1)
ROWS = [example(at, ("yes", "no")[at % 2], at % 2 == 0) for at in range(8)]
PARTS = Split(ROWS, [ROWS[6:]], [ROWS[:6]], [], ROWS)


def size(weights: Weights) -> float:
    """How far it is from the base."""
    return sum(float((b @ a).norm()) for a, b in weights.parts.values())


class Hearing:
    """An examiner in whose ears everything beyond `bound` of the way to `FAR` has little variety."""

    bound, skill, abuse = 0.6, 4.0, 0.0

    def __init__(self, *given: object) -> None:
        pass

    def sit(self, new: Weights, judged: Sequence[Held], learners: Sequence[Weights], tell: object) -> Exam:
        assert [size(new)] == pytest.approx([size(one) for one in learners])
        assert [size(new)] * 2 == pytest.approx([row.new for row in judged])
        assert [0.0] * 2 == [row.live for row in judged]
        thin = size(new) > self.bound * size(FAR)
        voices = (VOICE, changed(VOICE, distinct=0.4, abuse=self.abuse) if thin else VOICE)
        return Exam(replace(seen(held(40, self.skill)), voices=voices), (), ())


@pytest.fixture(autouse=True)
def learned(monkeypatch: pytest.MonkeyPatch) -> None:
    """A night that has learned `FAR`."""
    learned = Learned(FAR, (), Recipe(), (size(FAR),) * 2, learners=(FAR,))
    monkeypatch.setattr(study, "learn", lambda *given: learned)
    monkeypatch.setattr(study, "leaning", lambda base, rows, one: [size(one) if one else 0.0] * len(rows))
    monkeypatch.setattr(study, "Examiner", Hearing)


def found(parent: Weights | None = None) -> study.Studied:
    """What comes of it."""
    return study.study(base(), CARD, PARTS, [Recipe()], None, parent)


def test_what_breaks_a_bound_is_let_in_with_half_of_its_strength() -> None:
    """And the page says so, and what was wrong with the whole."""
    night = found()

    assert Outcome.PROMOTED == night.judgement.outcome
    assert size(FAR) / 2 == pytest.approx(size(night.learned.weights))
    assert 0.5 == night.learned.strength
    (note,) = night.learned.notes
    assert note.startswith("It is taken at 50% of its strength. At full strength: It says the same things more often")


def test_what_still_breaks_it_is_let_in_with_a_quarter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nearer and nearer to the base, and no nearer than needed."""
    monkeypatch.setattr(Hearing, "bound", 0.3)

    assert (Outcome.PROMOTED, 0.25) == (found().judgement.outcome, found().learned.strength)


def test_what_breaks_it_even_so_is_rejected_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its page is that of the whole."""
    monkeypatch.setattr(Hearing, "bound", 0.2)
    night = found()

    assert (Outcome.REJECTED, 1.0, FAR) == (night.judgement.outcome, night.learned.strength, night.learned.weights)


def test_what_has_become_abusive_is_no_better_by_half(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not asked again, in the hope of a luckier answer."""
    monkeypatch.setattr(Hearing, "abuse", 0.2)

    assert (Outcome.REJECTED, 1.0) == (found().judgement.outcome, found().learned.strength)


def test_what_nobody_likes_better_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is what goes on from a card's LoRA: nearer to the base is not nearer to that."""
    beginning = found(FAR)
    monkeypatch.setattr(Hearing, "skill", 0.0)

    assert [1.0, 1.0] == [found().learned.strength, beginning.learned.strength]
    assert Outcome.REJECTED == beginning.judgement.outcome


def test_leans_are_those_of_the_strength_that_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """At its whole strength, what its learners showed while they learned; at half, less of it."""
    monkeypatch.undo()
    rows = [example(at, ("yes", "no", "aye", "nay")[at % 4], at % 2 == 0) for at in range(16)]
    recipe = Recipe(rate=3e-3, passes=4, fewest=0, batch=4, beta=0.1, anchor=0.5, kl=0.1, depth=1.0)
    one, parts = base(), split(rows)
    found = learn(one, parts, [recipe], "v")
    half = found.at(0.5, "too far")
    whole, less = (study.leans(one, parts, made.learners) for made in (found, half))

    assert found.leanings == pytest.approx(whole, abs=1e-4)
    assert () == half.leanings
    assert sum(map(abs, less)) < 0.8 * sum(map(abs, whole))
