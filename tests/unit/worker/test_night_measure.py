"""worker/night/measure.py: what the gate is told of a LoRA, against plain transformers."""

from personas.sampling import Sampling
from tests.fakes.loras import weights
from tests.fakes.pupils import base, row
from worker.night import measure
from worker.night.measure import Asked

GREEDY = Sampling(temperature=0, repetition_penalty=1.0, max_tokens=16)


def test_two_nights_that_call_theirs_alike_speak_with_their_own() -> None:
    """Slots, keys and values of the first are not taken for the second's; the same weights are loaded once."""
    asked = [Asked("hi", row("a prompt of some length", "").prompt)]
    first, second = (weights(base().shape, 4, ("q_proj", "o_proj"), seed, version="new") for seed in (1, 2))
    one = base()
    said = [measure.speak(one, asked, lora, GREEDY, 0) for lora in (first, second, first, None)]

    assert [measure.speak(base(), asked, lora, GREEDY, 0) for lora in (first, second, first, None)] == said
    assert 3 == len({text for (text,) in said})
    assert 2 == len(one.loras)
