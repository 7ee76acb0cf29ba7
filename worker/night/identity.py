"""Who the persona says it is, by its card alone: what a night must not change, whatever people like.

People rarely ask, so nothing in the rows of a night holds on to it, and a taste for something else takes its place: of
seven good nights of a small model that were not let in, five had learned to say what is liked instead of a name. None
is a question of the exam (`worker.night.exam.WHO`), but some are near to one: they ask for the same.
"""

from msgspec.structs import replace

from personas.card import Card
from worker.night import measure
from worker.night.base import Base
from worker.night.rows import Row

QUESTIONS = (
    "And who are you?", "What are you called?", "What should I call you?", "Who am I talking to?",
    "Tell me your name.", "Tell me who you are.", "Hello, who is there?", "You are?",
)  # fmt: skip
LONGEST = 32  # tokens of an answer: who it is comes first


def rows(base: Base, card: Card, seed: int) -> list[Row]:
    """The questions, each with an answer of the base."""
    asked = [measure.asked(base, card, text) for text in QUESTIONS]
    sampling = replace(card.sampling, max_tokens=min(card.sampling.max_tokens, LONGEST), seed=None)
    said = measure.speak(base, asked, None, sampling, seed)
    pairs = zip(asked, (measure.reply(base, text) for text in said), strict=True)
    return [Row(one.tokens, reply) for one, reply in pairs]
