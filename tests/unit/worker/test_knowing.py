"""worker/knowing.py: what is asked, about whom, and what a card says it does not know. Meaning: bench.personality."""

from collections.abc import Sequence

import numpy as np
import pytest

from personas.card import Card, Detail, Knowledge, World
from worker.embed import HashEmbedder, Vectors
from worker.knowing import Knowing, asks, asks_back, gist, named, personal
from worker.nearness import Nearness, common

SAILOR = Card(
    name="sailor", title="Old Tom", description="You are a sailor. You sail the cold sea.",
    knowledge=Knowledge(domains=("ships and sailing", "knots", "storms at sea"), era="around 1720",
                        unknowns=("Farming and cows, which is for others",)),
    world=World(details=(Detail(about=("anchor",), text="The anchor is called Bess."),)),
)  # fmt: skip


class Topics:
    """An embedder that knows four topics by a few words each; whatever else there is lies apart from everything."""

    id, width = "topics", 64
    words = (
        {"ship", "ships", "sail", "sailing", "sailor", "sea", "knot", "knots", "storm", "storms", "anchor", "bowline"},
        {"farming", "cow", "cows", "barley"}, {"opera", "music", "song"}, {"planet", "planets", "star"},
    )  # fmt: skip

    def embed(self, texts: Sequence[str]) -> Vectors:
        rows = np.zeros((len(texts), self.width), np.float32)
        for row, text in zip(rows, texts, strict=True):
            found = {word.strip("?.,!").casefold() for word in text.split()}
            row[:4] = [3 * len(found & topic) for topic in self.words]
            row[4 + sum(map(ord, text)) % (self.width - 4)] += 1
            row /= np.linalg.norm(row)
        return rows


def look(text: str, card: Card = SAILOR, nearness: Nearness | None = None):  # type: ignore[no-untyped-def]
    nearness = nearness or Nearness(Topics())
    return Knowing(nearness).look(card, nearness.heard(text))


@pytest.mark.parametrize(
    ("text", "does"),
    [
        ("What is my cat called?", True), ("Hm. Where do I live?", True), ("What did Ben tell you of her?", True),
        ("Which ship did you say that was?", True), ("My cat is called Momo", False), ("What is your name?", False),
        ("Remember to feed the cat.", False),
    ],
)  # fmt: skip
def test_who_asks_for_what_was_told(text: str, does: bool) -> None:
    """About themselves, or about what others said."""
    assert does == asks_back(text)


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("Hello! How do I tie a bowline?", "How do I tie a bowline?"),
        ("Tell me about knots.", "Tell me about knots."),
        ("please explain the tides to me", "please explain the tides to me"),
        ("I like the sea. It is cold.", ""),
        ("What is my sister's name?", ""),
        ("Where do I live?", ""),
        ("When is the wedding of my sister?", ""),
        ("What did Einstein say about gravity?", "What did Einstein say about gravity?"),
        ("Which instrument do I play?", ""),
        ("Do you remember what I told you?", ""),
        ("", ""),
        ("🌊🌊", ""),
    ],
)
def test_what_asks_for_knowledge_is_told_from_talk(text: str, question: str):
    """What somebody asks about themselves is for the memory, and no question of knowledge."""
    assert question == asks(text)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What do you like?", True),
        ("Where is your boot?", True),
        ("Do you know how a fridge works?", False),
        ("Can you tell me who Beyonce is?", False),
        ("How do fish breathe?", False),
    ],
)
def test_a_question_about_the_persona_is_told_from_one_put_to_it(question: str, expected: bool):
    """The "you" of "do you know" is only polite."""
    assert expected == personal(question)


def test_a_name_counts_that_is_not_in_the_card():
    """In the midst of a question; those of the card, and what only begins a sentence, do not."""
    words = frozenset({"gerald"})

    assert [True, False, False, False] == [
        named(text, words) for text in ("who is Beyonce?", "is Gerald old?", "Where is it?", "what is DNA?")
    ]


def test_a_remark_is_no_part_of_what_is_not_known():
    """It would say why, or who knows instead."""
    assert "Computers" == gist("Computers, which Finn sees to")
    assert "Films, music and games" == gist("Films, music and games")


@pytest.mark.parametrize(
    ("text", "known", "why"),
    [
        ("How do I tie a bowline in a storm?", True, "near what the card tells"),
        ("How many planets has a star?", False, "near what the card tells"),
        ("Which cows give milk in farming?", False, "knowledge.unknowns[0]"),
        ("Is there wifi on a ship?", False, "came in 2000"),
        ("I ate barley today.", True, "nothing is asked"),
    ],
)
def test_a_verdict_says_why(text: str, known: bool, why: str):
    """By its domains, by what it denies, by its era; and not where nothing is asked."""
    verdict = look(text)

    assert (known, True) == (verdict.known, why in verdict.why)


def test_a_card_without_limits_knows_everything():
    """Who says nothing of what it knows is never made to say that it does not."""
    free = Card(name="free", title="Free", description="You are free.")

    assert look("How many planets has a star?", free).known


def test_spelling_alone_does_not_judge_meaning():
    """With `embedder: hash` only the era and the card's own words count."""
    nearness = Nearness(HashEmbedder())

    assert look("How many planets has a star?", nearness=nearness).known
    assert not look("Is there wifi on a ship?", nearness=nearness).known


def test_the_common_questions_are_questions_each_once():
    """They are what "elsewhere" means."""
    asked = common()

    assert len(asked) == len(set(asked)) > 200
    assert all(line.endswith("?") for line in asked)
