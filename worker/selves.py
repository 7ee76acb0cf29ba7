"""What a card says of what somebody asks the persona about itself: its name, its home, what it does and likes. Blocks.

A question and its answer need not be near: "Where do you live?" is hardly nearer to "Your home port is Tern Island."
than to any other sentence. So it is told first of what kind a question is, and what such are usually answered with is
compared with the card (hypothetical document embeddings, Gao et al. 2022; written down here, and not by a model).
"""

import re
from typing import NamedTuple

from personas.card import Card
from worker.knowing import asks, personal
from worker.nearness import Heard, Nearness

REMINDS = 0.3  # how near a question must be to a sentence of the card, for that to be said once more
OF_A_KIND = 0.5  # and to a question of a kind, to be one
ANSWERS = 0.2  # and what such are answered with, to a sentence of the card
BEHIND = 0.1  # the nearest of them: two things that are told confuse a small model more than one
FACTS = 2  # of these, at most
# Whoever asks this asks for the name, and hardly any word of it stands in a description.
WHO = ("Who are you?", "What is your name?", "What do people call you?", "Who am I talking to?")
ASKS_WHO = 0.6
SKILLS = 6  # that are told at once
LONGEST_FACT = 200  # characters: what is longer is more than what was asked
_ENDS = re.compile(r"(?<=[.!?])\s+|(?<=[\u3002\uff01\uff1f])|\n+")
_MY = re.compile(r"\bmy\b", re.IGNORECASE)  # "What is my name?" is as near


class Kind(NamedTuple):
    """Questions for one thing, and how a card might put the answers."""

    asked: tuple[str, ...]
    answers: tuple[str, ...]


# Measured by `python -m bench.personality --parts selves`.
KINDS = (
    Kind(
        ("What are you?", "What kind of being are you?"),
        ("You are a grey horse, 9 years old.", "You are a machine that helps people."),
    ),
    Kind(
        ("Where is your house?", "What town are you from?", "Where did you grow up?", "Where are you right now?"),
        ("Your home is a small town by the sea.", "You live in a house on Mill Street.",
         "You live with a friend in a room under the stairs."),
    ),
    Kind(
        ("What is your job?", "How do you make a living?", "What do you do for work?", "What did you work as?"),
        ("Your trade is making shoes.", "You run a small shop and sell bread.", "You are a baker, 40 years old.",
         "You teach children and keep a school.", "You repair cars."),
    ),
    Kind(
        ("What can you do well?", "What are your talents?"),
        ("You are good at: cooking, singing and telling jokes.",),
    ),
    Kind(
        ("What are your hobbies?", "What do you do in the evening?"),
        ("You paint and collect stamps.", "You like films and football."),
    ),
    Kind(
        ("What are your favourite things?", "What do you enjoy?", "What pleases you?"),
        ("You love music, tea and long walks.", "You like films and football."),
    ),
    Kind(
        ("What do you not like?", "What gets on your nerves?", "What can you not bear?"),
        ("You hate noise and cold soup.", "You dislike queues."),
    ),
    Kind(("How old are you?", "When were you born?"), ("You are a baker, 40 years old.",)),
    Kind(
        ("What is your dream?", "What is your goal in life?", "What do you wish for?"),
        ("Your one dream is to see the world.", "You are saving up for a new car.", "What you want: Write a book."),
    ),
    Kind(
        ("Who is your best friend?", "Do you have friends?", "Who do you live with?"),
        ("Your best friend is Tom, the postman.", "You live with Anna, an old friend."),
    ),
    Kind(
        ("Who is your enemy?", "Who do you not get along with?"),
        ("Your old rival is Jack.", "Your enemy is a man named Jack."),
    ),
    Kind(
        ("Do you have a pet?", "Do you keep animals?"),
        ("Your dog is called Rex.", "You live with Rex, a fat brown dog."),
    ),
    Kind(
        ("Are you married?", "Do you have children?", "Tell me about your family."),
        ("Your wife Anna is a teacher.", "Your son is called Tom.", "Your grandmother taught you to cook."),
    ),
    Kind(
        ("What do you look like?", "What clothes do you have on?"),
        ("You have blue eyes and a long nose.", "You wear a red coat."),
    ),
)  # fmt: skip


def asks_who(nearness: Nearness, heard: Heard) -> bool:
    """Does somebody ask for its name?"""
    if not nearness.means or _MY.search(heard.texts[0]):
        return False
    return max(nearness.near(heard, WHO).values()) >= ASKS_WHO


def facts(card: Card, nearness: Nearness, heard: Heard, who: bool) -> tuple[str, ...]:
    """What the card says of what was asked, in its order; `who` it is comes first. Nothing where nobody can tell what a
    text means."""
    if not nearness.means:
        return ()
    told = sentences(card)
    near = nearness.near(heard, told)
    over = {text: near[text] - REMINDS for text in told}
    question = asks(heard.texts[0])
    if personal(question) and (kind := _kind(nearness, heard.only(question))):
        usual = [nearness.near(Heard([answer], nearness.rows([answer])), told) for answer in kind.answers]
        best = {text: max(one[text] for one in usual) for text in told}
        over = {text: max(over[text], best[text] - ANSWERS + near[text] / 2) for text in told}
    least = max(0.0, max(over.values(), default=0.0) - BEHIND)
    kept = set(sorted((text for text in told if over[text] >= least), key=over.__getitem__)[-(FACTS - who) :])
    return (*([f"You are {card.title}."] if who else []), *(text for text in told if text in kept))


def sentences(card: Card) -> list[str]:
    """All that a card tells of the persona itself, each short enough to be said once more."""
    told = [text.strip() for text in _ENDS.split(card.description)]
    told += [f"You are good at: {', '.join(card.skills[:SKILLS])}."] if card.skills else []
    told += [f"What you want: {goal.rstrip('.')}." for goal in card.goals]
    return [text for text in told if 0 < len(text) <= LONGEST_FACT]


def warm(nearness: Nearness) -> None:
    """Make ready what questions are compared with."""
    nearness.rows([*WHO, *(text for kind in KINDS for text in (*kind.asked, *kind.answers))])


def _kind(nearness: Nearness, question: Heard) -> Kind | None:
    """What is asked for, if that can be told."""
    near = [max(nearness.near(question, kind.asked).values()) for kind in KINDS]
    best = max(range(len(KINDS)), key=near.__getitem__)
    return KINDS[best] if near[best] >= OF_A_KIND else None
