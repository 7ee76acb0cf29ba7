"""Which of the eight cards speaks? Replies of the real model to questions that anybody may be asked. Loads a model.

Half of the questions make a centroid of reply vectors for each card; a reply to one of the other half is given to the
nearest. Chance is one in eight.
"""

import os

import numpy as np
from numpy.typing import NDArray

from bench.report import say
from core import cards, config
from core.events import Line, Person
from core.prompt import Scene, compose
from core.settings import Settings
from personas import library
from personas.card import Card
from worker.embed import load
from worker.generator import Finished, Generator, Request
from worker.start import generator

NAMES = ("bram", "hazel", "iris", "mira", "noa", "orrin", "plum", "rack")
QUESTIONS = (
    "What did you do today?", "Can you help me?", "I feel tired.", "What makes you laugh?", "Tell me a secret.",
    "What is for dinner?", "Do you believe in luck?", "How do you spend the evening?", "What do you think of me?",
    "I have good news.", "What should I learn next?", "Where would you like to go?", "What is the best season?",
    "I lost my keys.", "Do you like music?", "What are you afraid of?", "Give me some advice.", "What is love?",
    "I am bored.", "How was your childhood?", "What do you see right now?", "Say something nice.",
    "Who is your friend?",
    "What would you do with a lot of money?", "I made a mistake.", "Do you ever get lonely?", "What time is it?",
    "What is your favourite place?", "Tell me a story.", "I cannot decide.", "What do you collect?", "Good morning!",
)  # fmt: skip


def measure(seed: int) -> dict[str, object]:
    """`speaker_accuracy` over all cards and unseen questions, with its 95 % interval, and for each card."""
    settings = config.load(os.environ)
    model, _ = generator(settings, lambda version: settings.home / version)
    said = {name: replies(model, _card(name, settings), seed) for name in NAMES}
    embedder = load(settings)
    vectors = np.stack([embedder.embed(texts) for texts in said.values()])
    right = nearest(vectors)
    share = float(right.mean())
    error = 1.96 * (share * (1 - share) / right.size) ** 0.5
    return {
        "speaker_accuracy": round(share, 3), "speaker_interval": [round(share - error, 3), round(share + error, 3)],
        "speaker_cards": {name: round(float(row.mean()), 3) for name, row in zip(said, right, strict=True)},
    }  # fmt: skip


def nearest(vectors: NDArray[np.float32]) -> NDArray[np.bool_]:
    """`vectors` [cards, questions, width] → [cards, half of the questions]: is the nearest centroid, of the other half,
    that of its own card?"""
    centroids = vectors[:, 0::2].mean(1)
    centroids /= np.linalg.norm(centroids, axis=-1, keepdims=True)
    guessed = (vectors[:, 1::2] @ centroids.T).argmax(-1)
    found: NDArray[np.bool_] = guessed == np.arange(len(vectors))[:, None]
    return found


def replies(model: Generator, card: Card, seed: int) -> list[str]:
    """One to each question, as somebody hears it who has just met them; all in one batch."""
    for number, text in enumerate(QUESTIONS):
        line = Line(f"m{number}", Person("bench:you", "Sam"), text, 0.0)
        rendered = model.render(compose(Scene(card=card, lines=(), new=(line,))), card.sampling.max_tokens)
        model.add(Request(
            id=str(number), tokens=rendered.tokens, messages=rendered.messages, sampling=card.sampling,
            seed=seed * 10_007 + number,
        ))  # fmt: skip
    ends = _ends(model)
    say(f"{card.name}: {len(ends)} replies, such as “{ends['0']}”")
    return [ends[str(number)] for number in range(len(QUESTIONS))]


def _ends(model: Generator) -> dict[str, str]:
    found: dict[str, str] = {}
    while model.active:
        found |= {event.id: event.text for event in model.step() if isinstance(event, Finished)}
    return found


def _card(name: str, settings: Settings) -> Card:
    return cards.load(name, library.folders(settings.home))
