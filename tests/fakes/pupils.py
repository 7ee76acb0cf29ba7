"""The tiny model as nights have it: it speaks with LoRAs, and learns one. Rows and a card for it."""

import random
from collections.abc import Sequence

from core.store.ledger import Told
from personas.card import Card, Exchange, Voice
from personas.sampling import Sampling
from tests.fakes.engines import fresh
from tests.fakes.tiny import Bytes
from worker.night.base import Base, prepare
from worker.night.examples import Example
from worker.night.rows import Row
from worker.night.train import Rated

PLAIN = (["the rain fell on the roof all night", "a train left at noon"], ["two men walked home", "it was cold"])
ALWAYS = "You are Ann. You answer in a word. "
CARD = Card(
    name="ann", title="Ann", names=("Annie",), description="You are Ann.",
    sampling=Sampling(temperature=1.0, max_tokens=12, repetition_penalty=1.0),
    voice=Voice(examples=(Exchange(user="Who?", reply="I am Ann."),)),
)  # fmt: skip


def base(plain: tuple[Sequence[str], Sequence[str]] = PLAIN, targets: str = "all") -> Base:
    """A model of its own each time: to learn changes nobody else's."""
    return prepare(fresh(), ("tiny",), targets, 8, plain)


def row(prompt: str, reply: str) -> Row:
    """As bytes."""
    return Row(tuple(Bytes().encode(prompt)), tuple(Bytes().encode(reply)))


def rated(count: int, seed: int = 0) -> list[Rated]:
    """Replies of one of two kinds to prompts that begin alike: people like the one that says yes."""
    dice = random.Random(seed)
    words = [("yes", "aye", "sure"), ("no", "nay", "never")]
    return [
        Rated(row(f"{ALWAYS}{dice.random():.3f}?", f"{dice.choice(words[at % 2])}!"), at % 2 == 0)
        for at in range(count)
    ]


def example(number: int, text: str, liked: bool, group: str = "", asked: str = "") -> Example:
    """A rated reply, the older the lower its number."""
    told = (Told("system", "You are Ann."), Told("user", asked or f"what of {number}?"))
    return Example(
        reply=f"r{number}", group=group or f"g{number}", time=float(number), messages=told, text=text, liked=liked,
        weight=1.0, people=("ben",),
    )  # fmt: skip
