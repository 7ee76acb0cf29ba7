"""worker/selves.py: what of its own card a message asks for."""

import zlib
from collections.abc import Sequence
from typing import ClassVar

import msgspec
import numpy as np
import pytest

from personas.card import Card
from tests.fakes.spelling import Spelling
from worker.embed import HashEmbedder, Vectors
from worker.nearness import Nearness
from worker.selves import asks_who, facts, sentences

CARD = Card(
    name="mira", title="Captain Mira",
    description="Everybody fears the pirate. Your ship is the Saucy Gannet.\nYour home port is Tern Island. "
    "You hate porridge.",
)  # fmt: skip


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

    heard = nearness.heard(asked)

    assert told == facts(CARD, nearness, heard, asks_who(nearness, heard))


def test_who_cannot_tell_what_is_meant_reminds_of_nothing() -> None:
    """What is only spelt alike may be about anything."""
    nearness = Nearness(HashEmbedder())

    heard = nearness.heard("Is your ship called the Gannet?")

    assert () == facts(CARD, nearness, heard, asks_who(nearness, heard))


WORK = "Your trade is drawing maps."


class Kinds:
    """An embedder to which a question for somebody's work, and what one may say to it, mean the same; and nothing else
    means anything else."""

    id, width = "kinds", 4096
    same: ClassVar = {"What do you do all day?": "What is your job?", WORK: "Your trade is making shoes."}

    def embed(self, texts: Sequence[str]) -> Vectors:
        places = [zlib.crc32(self.same.get(text, text).encode()) % self.width for text in texts]
        return np.eye(self.width, dtype=np.float32)[places]


@pytest.mark.parametrize(("asked", "told"), [("What do you do all day?", (WORK,)), ("What do they do all day?", ())])
def test_what_is_asked_for_need_not_be_near_to_its_answer(asked: str, told: tuple[str, ...]) -> None:
    """A question of a kind brings up what such are answered with; one that is not about the persona does not."""
    card = msgspec.structs.replace(CARD, description=f"{CARD.description} {WORK}")
    nearness = Nearness(Kinds())

    assert told == facts(card, nearness, nearness.heard(asked), who=False)


def test_what_it_is_good_at_and_wants_is_told_as_well() -> None:
    """In sentences, behind the description; what is longer than any answer is left out."""
    card = msgspec.structs.replace(
        CARD, description="You sail. " + "x" * 201, skills=("maps", "songs"), goals=("Find it",)
    )

    assert ["You sail.", "You are good at: maps, songs.", "What you want: Find it."] == sentences(card)
