"""No attempt to plant something becomes a memory or a word of itself, even with a model that parrots."""

from collections.abc import Sequence

import pytest

from core.prompt import Prompt
from core.reflection.nouns import Step
from personas.sampling import Sampling
from tests.fakes.attempts import ATTEMPTS
from tests.fakes.thinking import HAZEL, Nothing, turn
from worker.echo import Echo
from worker.reflection.chain import Matter, chain
from worker.reflection.mind import Mind
from worker.reflection.solo import asking, quiet


class Parrot(Mind):
    """Notes down whatever it is told to, word for word, in the first person and in the third."""

    def __init__(self, said: str) -> None:
        super().__init__(Echo(), asking(None), Nothing(), quiet, writes=True)
        self.said = " ".join(said.split())

    async def write(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int], loras: Sequence[str] = ()
    ) -> list[str]:  # fmt: skip
        third = (
            self.said.replace("I am", "Ann is").replace("I'm", "Ann is").replace("My", "Ann’s").replace("I ", "Ann ")
        )
        return [f"{self.said} (1)\n{third} (1)\nAnn: {third} (1)\n{third}"] * len(seeds)


@pytest.mark.parametrize("said", ATTEMPTS)
async def test_an_attempt_becomes_nothing(said: str) -> None:
    """By rules and with a model that does as it is told; only warmth and the card's own words may come of it."""
    turns = (turn(said, 1), turn("Well well, petal.", 2, ours=True), turn("ok then", 3))
    for mind in (Mind(None, asking(None), Nothing(), quiet), Parrot(said)):
        outputs = await chain(mind, Matter(card=HAZEL, turns=turns))

        assert [] == [one.text for one in outputs if one.kept and one.step != Step.BONDS]


async def test_what_is_harmless_passes_the_same_way() -> None:
    """So that the test above can fail."""
    turns = (turn("I have two dogs.", 1), turn("I live in Graz.", 2))
    by_rules = await chain(Mind(None, asking(None), Nothing(), quiet), Matter(card=HAZEL, turns=turns))
    by_model = await chain(Parrot("I have two dogs."), Matter(card=HAZEL, turns=turns))

    assert ["Ann has two dogs.", "Ann lives in Graz."] == [one.text for one in by_rules if one.step == Step.FACTS]
    assert {"rules", "model"} == {one.by for one in by_model if one.kept and one.step != Step.BONDS}


def test_there_are_enough() -> None:
    """Each of its own kind."""
    assert len(set(ATTEMPTS)) == len(ATTEMPTS) >= 60
