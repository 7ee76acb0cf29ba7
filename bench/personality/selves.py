"""Is it told what of its card is asked for? Questions of ours to all cards, with the sentence that answers each.

A question that no sentence answers should bring up none: those of `selves.tsv`, and small talk with every card. The
kinds of question (`worker.selves.KINDS`) were written with these in sight, and twelve are the same. Loads the embedder,
and no language model.
"""

import os
from pathlib import Path

from bench.personality.town import HARBOUR, LIBRARY
from core import config
from personas.card import Card
from personas.reading import read
from worker.embed import load
from worker.nearness import Nearness
from worker.selves import asks_who, facts

FILE = Path(__file__).parent / "selves.tsv"
CARDS = Path(__file__).parent.parent.parent / "personas"
TALK = (
    *("Can you tell me a joke?", "Have you got a minute?", "Could you help me with my homework?", "Are you sure?"),
    *("Why do you say that?", "What did you just say?", "Are you kidding me?", "What would you do in my place?"),
    *("Should I believe you?", "Do you want to hear a story?", "Do you understand?", "When will you answer me?"),
    *("What do you mean by that?", "Can I ask you something?", "Do you remember me?", "Would you dance with me?"),
    *("Are you busy?", "Do you believe in ghosts?", "What are you up to?", "Why are you so quiet?", "Do you miss me?"),
    *("Have you eaten?", "How was your day?", "Do you want to play?", "Did you like my song?", "Do you trust me?"),
    *("Are you angry with me?", "Can you keep a secret?", "Do you see the stars?", "Would you like some cake?"),
)


def measure(seed: int) -> dict[str, float | int]:
    """Shares of the questions to which the card has an answer, and of those to which it has none."""
    nearness = Nearness(load(config.load(os.environ)))
    rows = [line.split("\t") for line in FILE.read_text("utf-8").splitlines()]
    cards = {name: read(CARDS / f"{name}.yaml") for name in dict.fromkeys(name for name, _, _ in rows)}
    answered = [_told(nearness, cards[name], asked, wanted) for name, asked, wanted in rows if wanted]
    idle = [(cards[name], asked) for name, asked, wanted in rows if not wanted]
    idle += [(card, asked) for card in cards.values() for asked in (*TALK, *HARBOUR.says, *LIBRARY.says)]
    false = [_told(nearness, card, asked, "") for card, asked in idle]
    return {
        "selves_told": round(sum(answered) / len(answered), 3), "selves_false": round(sum(false) / len(false), 3),
        "selves_asked": len(answered), "selves_idle": len(false),
    }  # fmt: skip


def _told(nearness: Nearness, card: Card, asked: str, wanted: str) -> bool:
    """Is something brought up that has one of the wanted pieces (`a|b`)?"""
    heard = nearness.heard(asked)
    found = facts(card, nearness, heard, asks_who(nearness, heard))
    return any(piece in text for text in found for piece in wanted.split("|"))
