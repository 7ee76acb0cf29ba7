"""People with a hidden taste who react to replies, some of them at random, some of them against it. No model here."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.events import Person, PersonaKey, Place
from core.feedback import Fact
from core.store.ledger import Entry, Record, Told

Taste = Callable[[str, str], bool]
PERSONA = PersonaKey("discord:bench", "mira", "discord:77:channel:901")
ROOM = Place("discord", "77", "901")
LIKES, DISLIKES = ("👍", "❤️", "🔥", "🎉"), ("👎", "💩", "😡")
SLIPS = 0.03  # how often somebody who has the taste hits the wrong emoji
DAY = 86_400.0


@dataclass(frozen=True)
class Rater:
    """Somebody who reacts. `kind`: `honest`, `random`, or `clique`, which votes against the taste."""

    name: str
    kind: str


@dataclass(frozen=True)
class Reply:
    """A prompt with the reply to it; `night` counts from 0. `finish`: `stop` or `length`."""

    prompt: str
    text: str
    night: int
    finish: str = "stop"
    lora: str = "base"


def crowd(random_share: float = 0.3, clique_share: float = 0.0, size: int = 20, named: str = "p") -> list[Rater]:
    """So many people, of whom some rate at random and some against the taste; `named` so, with a number."""
    kinds = ["random"] * round(size * random_share) + ["clique"] * round(size * clique_share)
    kinds += ["honest"] * (size - len(kinds))
    return [Rater(f"discord:77:{named}{at:02}", kind) for at, kind in enumerate(kinds)]


Cast = list[tuple[int, Rater, bool]]
"""Votes: on which reply, whose, and whether they like it."""


def votes(replies: Sequence[Reply], raters: Sequence[Rater], taste: Taste, count: int, dice: random.Random) -> Cast:
    """`count` reactions: which reply, who, and whether they like it. Nobody reacts twice to one reply."""
    pairs = [(at, rater) for at in range(len(replies)) for rater in raters]
    chosen = dice.sample(pairs, min(count, len(pairs)))
    return [(at, rater, likes(rater, taste(replies[at].prompt, replies[at].text), dice)) for at, rater in chosen]


def likes(rater: Rater, is_to_taste: bool, dice: random.Random) -> bool:
    """Does somebody like a reply that is to the taste, or is not?"""
    if rater.kind == "random":
        return dice.random() < 0.5
    if dice.random() < SLIPS:
        return not is_to_taste
    return is_to_taste != (rater.kind == "clique")


def entries(replies: Sequence[Reply], cast: Cast, system: str, dice: random.Random, first: int = 0) -> list[Entry]:
    """Replies as the ledger gives them back, with the reactions on them. `first`: number of the first reply."""
    facts: dict[int, list[Fact]] = {}
    for number, (at, rater, likes) in enumerate(cast):
        begin = replies[at].night * DAY + first_second(at, len(replies))
        emoji = dice.choice(LIKES if likes else DISLIKES)
        facts.setdefault(at, []).append(
            Fact(f"f{first + at}-{number}", rater.name, emoji, begin + 60 + dice.random() * 3600)
        )
    return [
        Entry(_record(first + at, one, replies[at].night * DAY + first_second(at, len(replies))), _told(one, system),
              tuple(sorted(facts.get(at, ()), key=lambda fact: fact.time)))
        for at, one in enumerate(replies)
    ]  # fmt: skip


def first_second(at: int, of: int) -> float:
    """When in its day a reply is given: spread over sixteen hours."""
    return 8 * 3600 + at * 16 * 3600 / of


def _told(reply: Reply, system: str) -> tuple[Told, ...]:
    return Told("system", system), Told("user", reply.prompt)


def _record(number: int, reply: Reply, time: float) -> Record:
    who = Person(f"discord:77:p{number % 20:02}", "Somebody")
    return Record(
        id=f"r{number:06}", persona=PERSONA, conversation=f"{PERSONA}|{number}", place=ROOM, author=who,
        answers=(f"m{number}",), time=time, text=reply.text, sections=(), roles=(), people=(who.id,),
        lora_version=reply.lora, finish=reply.finish,
    )  # fmt: skip
