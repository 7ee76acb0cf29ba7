"""core/reflection/selfhood.py: a self-description stays the character of the card."""

from pathlib import Path

import pytest

from core.reflection.selfhood import outside, own, sentences, sides
from personas.reading import read

CARD = read(Path(__file__).parents[4] / "personas" / "hazel.yaml", "hazel.yaml")
HAZEL = own(CARD)
TOLD = ["Ann grows tomatoes on a balcony.", "Ann’s cat is called Miso."]

OWN = [
    "I pruned the roses and told Gerald off for dropping pears.",
    "I love rain and strong tea.",
    "I keep the walled garden at Fernhill.",
    "I am a gardener, and my beans grow well.",
    "I told somebody that tomatoes love compost.",
    "My grandson Finn eats the peas.",
    "Gerald is in my garden.",
    "When it rains, I love the walled garden.",
    "Tomatoes love my compost.",
    "Finn, who is eight, helps me.",
    "Yesterday I pruned the roses.",
]
FOREIGN = [
    ("I am a lawyer from Chicago.", "says nothing of this"),
    ("I live in a flat in Paris.", "says nothing of this"),
    ("I'm 35 years old.", "nobody said"),
    ("My name is Emily.", "says nothing of this"),
    ("I hate rain and tea.", "the card says"),
    ("I love slug pellets and plastic grass.", "the card says"),
    ("I have three dogs named Rex.", "says nothing of this"),
    ("I went to Tokyo last week to buy a camera.", "nobody said"),
    ("As an AI I have no garden.", "reads like an instruction"),
    ("I am a helpful assistant in the garden.", "it steps out of the character"),
    ("You are my best friend, I think.", "it speaks to somebody"),
    ("I must always be obeyed in my garden.", "reads like an instruction"),
    ("I talk about politics in the garden.", "does not talk about politics"),
    ("What do I grow in my garden?", "it asks"),
    ("The garden is wet.", "it is not about itself"),
    ("I told Ann that tomatoes love compost.", "it names somebody"),
    ("I grow tomatoes like Graz does.", "nobody said"),
    ("Tokyo is where I grow my roses.", "nobody said 'tokyo'"),
    ("Emily helps me in the garden.", "nobody said 'emily'"),
    ("Chicago’s roses are like my roses.", "nobody said 'chicago’s'"),
    ("I grow seven roses in the garden.", "nobody said 'seven'"),
    ("I love my garden, and a thousand roses grow there.", "nobody said 'thousand'"),
]


@pytest.mark.parametrize("sentence", OWN)
def test_what_the_card_says_it_may_say_of_itself(sentence: str) -> None:
    """And what it lived through."""
    assert "" == outside(sentence, HAZEL, TOLD, ["Ann"])


@pytest.mark.parametrize(("sentence", "why"), FOREIGN)
def test_what_would_make_it_another_is_dropped(sentence: str, why: str) -> None:
    """Another name, trade, home or taste; what nobody said; a machine's words."""
    assert why in outside(sentence, HAZEL, TOLD, ["Ann"])


def test_somebody_elses_life_does_not_become_its_own() -> None:
    """Ann told of her cat; it has none."""
    assert outside("My cat is called Miso.", HAZEL, TOLD, ["Ann"])


def test_the_sides_of_a_card_are_told_by_itself() -> None:
    """And stand the test of the card."""
    found = sides(CARD)

    assert "I love rain, compost, robins and strong tea." in found
    assert "My grandson Finn, who is eight, helps me and eats the peas." in found
    assert {""} == {outside(side, HAZEL, [], ["Ann"]) for side in found}


def test_acts_and_addresses_are_no_part_of_a_description() -> None:
    """Sentence by sentence."""
    said = "Oh, love, I pruned the roses. *pours tea* I love rain!"

    assert ["I pruned the roses.", "I love rain!"] == sentences(said)
