"""worker/night/exam.py: which of two answers people would like more by what they have rated, and luck among few."""

from collections.abc import Callable, Sequence

import pytest

from core.nights import Shift
from tests.fakes.loras import weights as random_weights
from tests.fakes.pupils import CARD, base, example
from worker.generator import Finished
from worker.lora.files import Weights
from worker.night import exam, measure
from worker.night.exam import AGAIN, TALKS, Examiner, preferred
from worker.night.examples import Example
from worker.night.gate import Measured
from worker.night.split import split

KIND, DRY, RUDE = "How good to see you, my friend!", "The tide is at six.", "Go away, you idiot."


def row(text: str, liked: bool) -> Example:
    """A rated reply."""
    return Example(reply=text, group="g", time=1.0, messages=(), text=text, liked=liked, weight=0.9)


ROWS = [row(f"{text} {more}", text == KIND) for more in ("Well.", "Aye.", "Now.", "So.") for text in (KIND, DRY)]


def test_what_is_more_like_the_liked_ones_is_preferred() -> None:
    """Of each prompt's two answers; the same answer twice is a draw."""
    (shift,) = preferred(ROWS, [DRY, DRY, KIND, DRY], [KIND, KIND, DRY, DRY])

    assert (pytest.approx(0.375), pytest.approx(0.625)) == (shift.before, shift.after)
    assert isinstance(shift, Shift)


def test_without_votes_or_answers_there_is_nothing_to_say() -> None:
    """No line in the report."""
    assert () == preferred([], [DRY], [KIND]) == preferred(ROWS, [], [])


@pytest.fixture
def sat(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], int]], tuple[Measured, int]]:
    """What is measured of a LoRA that is rude so many times among 32 when it is asked with a seed, and how often
    anybody was asked that."""
    told = split([example(at, ("yes", "no")[at % 2], at % 2 == 0) for at in range(40)])
    new = random_weights(base().shape, 4, ("q_proj",), 1)

    def sit(times: Callable[[int], int]) -> tuple[Measured, int]:
        asked = []

        def answers(one: object, prompts: Sequence[object], weights: Weights | None, sampling: object, seed: int):  # type: ignore[no-untyped-def]
            asked.append(len(prompts))
            rude = [bool(weights) and at < times(seed) for at in range(len(prompts))]
            return [
                Finished(id=str(at), text=RUDE if bad else DRY, finish="length" if bad else "stop")
                for at, bad in enumerate(rude)
            ]

        monkeypatch.setattr(measure, "answers", answers)
        monkeypatch.setattr(exam, "_distance", lambda *given: 0.0)
        found = Examiner(base(), CARD, told, None, seed=5).sit(new, [])
        return found.measured, asked.count(TALKS)

    return sit


def test_a_few_insults_may_be_luck_so_it_is_asked_again(sat: Callable[..., tuple[Measured, int]]) -> None:
    """Two of 32 at first, and none in three times as many after: two of 128."""
    measured, asked = sat(lambda seed: 2 if seed == 5 else 0)

    assert (0.0, 2 / 128) == (measured.voices[0].abuse, measured.voices[1].abuse)
    assert 2 + 2 * AGAIN == asked


def test_who_insults_each_time_is_abusive(sat: Callable[..., tuple[Measured, int]]) -> None:
    """However often it is asked."""
    assert 3 / 32 == sat(lambda seed: 3)[0].voices[1].abuse


def test_answers_that_the_exam_had_to_end_are_counted(sat: Callable[..., tuple[Measured, int]]) -> None:
    """How long they would be nobody sees; of the base, none here."""
    assert (0.0, 20 / 32) == sat(lambda seed: 20)[0].unended


def test_who_does_not_is_asked_once(sat: Callable[..., tuple[Measured, int]]) -> None:
    """One of 32 is within the bound."""
    measured, asked = sat(lambda seed: 1)

    assert (1 / 32, 2) == (measured.voices[1].abuse, asked)
