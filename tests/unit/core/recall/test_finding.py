"""core/recall/finding.py: which memories a question touches."""

import numpy as np
import pytest

from core.events import Person
from core.memory import Kind, Memory
from core.recall.finding import Index
from core.recall.question import Hit, Question, Weights, near, spoken_by
from core.recall.terms import words
from worker.embed import HashEmbedder

ANN, BOB, MIRA = Person("p:ann", "Ann"), Person("p:bob", "Bob"), Person("bot", "Mira", True)
EMBED, DAY = HashEmbedder(), 86_400.0
PLAIN = Weights(near=0, speaker=0, spoken_to=0, span=0, recent=0, important=0, alike=0)


def index(*rows: tuple[str, Person, float], vectors: bool = True) -> Index:
    """Memories `0`, `1`, … of these texts, each said by somebody on a day."""
    made = Index(EMBED.width if vectors else 0)
    for at, (text, who, day) in enumerate(rows):
        memory = Memory(id=str(at), text=text, time=day * DAY, author=who, ours=who is MIRA, talk="t")
        made.put(memory, EMBED.embed([text])[0] if vectors else None)
    return made


def ids(made: Index, text: str, count: int = 3, weights: Weights | None = None, **more: object) -> list[str]:
    vector = EMBED.embed([text])[0] if made.width else None
    asked = Question(text=text, now=100 * DAY, vector=vector, **more)  # type: ignore[arg-type]
    return [hit.memory.id for hit in made.search(asked, count, weights)]


def test_words_and_meaning_both_count() -> None:
    """The best first; what is not touched is left out."""
    made = index(("I keep bees", ANN, 1), ("My hives stand behind the house", ANN, 20), ("Tea, please", BOB, 40))

    assert ["0"] == ids(made, "bees", weights=PLAIN)[:1]
    assert "1" == ids(made, "the house behind", weights=PLAIN)[0]
    assert [] == ids(index(), "bees")
    assert [] == ids(made, "bees", 0)


def test_without_vectors_words_alone_find() -> None:
    """Rare words more than frequent ones."""
    made = index(*[("I like tea", ANN, day) for day in range(9)], ("I like coffee", ANN, 9), vectors=False)

    assert "9" == ids(made, "like coffee?", weights=PLAIN)[0]


def test_whoever_is_named_is_meant() -> None:
    """By any part of the name; "I" is who asks, "you told me" is us."""
    rows = ("I had soup", ANN), ("I had soup", BOB), ("I had soup", MIRA)
    made = index(*[(text, who, 5.0 * at) for at, (text, who) in enumerate(rows)])

    assert "0" == ids(made, "What soup did Ann have?", 1)[0]
    assert "1" == ids(made, "What soup did I have?", 1, asker="p:bob")[0]
    assert "2" == ids(made, "Which soup did you recommend?", 1)[0]


def test_a_name_that_is_a_word_is_meant_only_as_a_name() -> None:
    """By its capital, within a sentence."""
    made = index(("I had soup", Person("p:will", "Will"), 1.0), ("I had soup", ANN, 2.0))

    assert [["p:will"], ["p:ann"], []] == [
        made.meant(text) for text in ("What does Will eat?", "Will Ann eat?", "Will you eat, if I will?")
    ]


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("What did you tell me about tea?", (True, False)),
        ("What did I say?", (False, True)),
        ("Your advice on tea", (True, False)),
        ("Is tea good?", (False, False)),
    ],
)
def test_who_is_asked_about_stands_before_the_verb(text: str, who: tuple[bool, bool]) -> None:
    """(us, whoever asks)"""
    assert who == spoken_by(words(text))


def test_a_time_that_is_named_counts() -> None:
    """What was said then comes first."""
    made = index(("We ate pizza", ANN, 10), ("We ate pizza", ANN, 50), ("We ate pizza", ANN, 90))

    assert "1" == ids(made, "pizza", 1, span=(49.5 * DAY, 50.5 * DAY))[0]
    assert "2" == ids(made, "pizza", 1)[0]


def test_an_answer_stands_beside_its_question() -> None:
    """Of the same conversation, within the hour."""
    rows = [("What is your parrot's name?", MIRA, 1.0), ("Pepper", ANN, 1.001), ("Salt", BOB, 3.0)]
    made = index(*rows)

    assert ["0", "1"] == ids(made, "name of the parrot", 2, Weights(speaker=0, recent=0, alike=0))


def test_no_two_alike_are_told() -> None:
    """The second of the same gives way to another."""
    made = index(*[("My parrot is called Pepper", ANN, 1.0)] * 3, ("A parrot eats seeds", ANN, 2.0))

    assert "3" in ids(made, "parrot", 2, Weights(alike=0.9))
    assert "3" not in ids(made, "is my parrot called Pepper", 2, PLAIN)


def test_what_is_superseded_or_unwanted_is_not_found() -> None:
    """Nor what is gone; what is put again reads anew."""
    made = index(("Ann lives in Lyon", ANN, 1), ("Ann lives in Rome", ANN, 2), ("Ann lives in Bonn", ANN, 3))
    made.put(Memory(id="0", text="Ann lives in Lyon", time=DAY, author=ANN, kind=Kind.FACT, superseded_by="1"))
    made.remove("2")
    made.remove("unknown")

    assert ["1"] == ids(made, "where does Ann live")
    assert [] == ids(made, "where does Ann live", skip={"1"})
    made.put(Memory(id="1", text="Ann lives in Oslo", time=DAY, author=ANN))
    assert ["1"] == ids(made, "Oslo")
    assert [] == ids(made, "Rome", weights=PLAIN)
    assert {"0", "1"} == made.ids()


def test_an_index_is_worn_when_a_quarter_is_dead() -> None:
    """And tells what has no vector yet, newest first."""
    made = Index(4)
    for at in range(400):
        made.put(Memory(id=str(at), text="x", time=float(at), author=ANN))
    before = made.worn
    for at in range(110):
        made.remove(str(at))
    made.set_vector("399", np.ones(4, np.float32) / 2)
    made.set_vector("398", np.ones(3, np.float32))

    assert (False, True) == (before, made.worn)
    assert (290, 289, "398") == (len(made), len(made.bare()), made.bare()[0].id)


@pytest.mark.parametrize(
    ("said", "meant", "is_near"), [(0.6, 0, True), (0, 0.6, True), (0.25, 0.4, True), (0.25, 0.3, False), (0, 0, False)]
)
def test_only_what_is_near_is_told_unasked(said: float, meant: float, is_near: bool) -> None:
    """By either sign, or a little of both."""
    memory = Memory(id="a", text="x", time=0.0, author=ANN)

    assert is_near == near(Hit(memory, 1.0, said, meant))
