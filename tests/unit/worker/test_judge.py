"""worker/judge.py: what of its own description a message asks for."""

from collections.abc import Sequence

import pytest

from personas.card import Card
from worker.embed import HashEmbedder, Vectors
from worker.judge import facts
from worker.nearness import Nearness

CARD = Card(
    name="mira", title="Captain Mira",
    description="Everybody fears the pirate. Your ship is the Saucy Gannet.\nYour home port is Tern Island. "
    "You hate porridge.",
)  # fmt: skip


class Spelling:
    """An embedder that takes what is spelt alike for what means the same."""

    id, width = "spelling", HashEmbedder().width

    def embed(self, texts: Sequence[str]) -> Vectors:
        return HashEmbedder().embed(texts)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("Is your ship called the Gannet?", ("Your ship is the Saucy Gannet.",)),
        ("Is your home port Tern Island, and is your ship the Saucy Gannet?", (
            "Your ship is the Saucy Gannet.", "Your home port is Tern Island.",
        )),
        ("Hello! Who are you?", ("You are Captain Mira.",)),
        ("Who are you? Is your ship the Saucy Gannet?", ("You are Captain Mira.", "Your ship is the Saucy Gannet.")),
        ("What is my name?", ()),
        ("Nice weather.", ()),
    ],
)  # fmt: skip
def test_it_is_told_once_more_what_is_asked_about_itself(asked: str, told: tuple[str, ...]) -> None:
    """In the card's order, two sentences at most, and its name first where that is asked."""
    nearness = Nearness(Spelling())

    assert told == facts(CARD, nearness, nearness.heard(asked))


def test_who_cannot_tell_what_is_meant_reminds_of_nothing() -> None:
    """What is only spelt alike may be about anything."""
    nearness = Nearness(HashEmbedder())

    assert () == facts(CARD, nearness, nearness.heard("Is your ship called the Gannet?"))
