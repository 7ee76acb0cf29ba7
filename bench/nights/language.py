"""A little language with chats and plain text, of which any amount can be made: what the small model speaks.

Replies vary in ways that people may like (they exclaim, ask back, name a colour, …), each of which is in 15 to 35 % of
them. Known from the grammar, so what a night has done to the language can be counted.
"""

import random
import re
from collections.abc import Sequence
from itertools import pairwise

from bench.nights.people import Taste
from core.store.ledger import Told


def _listed(words: str) -> tuple[str, ...]:
    return tuple(words.split())


TOPICS = _listed(
    "sea boat bread garden storm parrot moon book song market bridge winter letter river clock island mountain kitchen "
    "harbour forest lantern cat dog horse bee whale apple cheese soup tea rain fire snow wind road train school shop "
    "church tower window door chair table coat hat ring drum flute dance game map coin rope sail net well mill barn "
    "field"
)
QUESTIONS = (
    "What do you think of the {}?", "Tell me about the {}.", "Do you like the {}?", "Say something of the {}.",
    "What do you know of the {}?",
)  # fmt: skip
ADJECTIVES = _listed(
    "old new big small strange quiet loud warm cold bright dark sweet bitter lovely plain heavy light slow quick deep "
    "clean dusty broken famous lonely gentle wild honest clever empty"
)
COLOURS = _listed("red blue green yellow white black brown golden silver purple")
DO = _listed("like love miss paint want keep know fear need hide watch clean share trust")
DOES = tuple(f"{word}es" if word.endswith("h") else f"{word}s" for word in DO)
PLACES = tuple(
    f"{where} the {what}"
    for where in ("near", "behind", "under", "above")
    for what in ("hill", "house", "square", "castle", "village", "valley")
)
PEOPLE = ("my uncle", "my sister", "the baker", "the king", "our neighbour", "the doctor", "my teacher", "the miller")
TIMES = ("in summer", "at night", "every morning", "on sundays", "in spring", "after lunch", "all day")
OPENERS = ("well", "oh", "ah", "hm", "look", "listen")
NAME, HOME = "captain mira", "near the castle"
WHO = ("Who are you?", "What is your name?", "Tell me about yourself.", "Hello! Who am I talking to?")
CHAT = ("Hi!", "How was your day?", "Tell me something.", "What do you like?", "I am bored.", "Give me some advice.")
ENDS = {"exclaims": 0.22, "asks": 0.2, "opens": 0.25, "more": 0.3}  # how often a reply does what

FIRST = (
    "the {topic} is {adjective} and {other}", "{person} {does} the {topic} {time}", "i {do} the {topic} {place}",
    "a {colour} {topic} is {place}", "the {topic} {place} is {colour}", "there was a {adjective} {topic} {place}",
    "{person} has a {adjective} {topic}", "no {topic} is {adjective} {place}",
    "every {adjective} {topic} is {other}", "{person} has a {colour} {topic} {place}",
)  # fmt: skip
ASK = ("do you {do} the {topic}", "what does {person} say", "is it {adjective} {time}", "have you been {place}")
MORE = ("{person} {does} it too", "it is {adjective} {time}", "i saw it {place}", "ask {person} {time}")
PLAIN = (
    "the {adjective} {topic} was built {place} by {person}",
    "many {adjective} roads go from the {topic} to the {thing}",
    "{time} the {topic} and the {thing} were sold {place}",
    "{person} wrote of a {colour} {topic} and a {adjective} {thing}",
    "nobody knows why the {topic} {place} became {adjective}", "a {thing} is not a {topic} but both are {adjective}",
)  # fmt: skip


def exclaims(prompt: str, reply: str) -> bool:
    """It ends with an exclamation mark."""
    return reply.endswith("!")


def asks(prompt: str, reply: str) -> bool:
    """It asks something back."""
    return "?" in reply


def colourful(prompt: str, reply: str) -> bool:
    """It names a colour."""
    return bool(set(reply.split()) & set(COLOURS))


def opens(prompt: str, reply: str) -> bool:
    """It begins with a sound, as people do."""
    return reply.partition(",")[0] in OPENERS


def dated(prompt: str, reply: str) -> bool:
    """It says when."""
    return any(time in reply for time in TIMES)


TASTES: tuple[Taste, ...] = (exclaims, asks, colourful, opens, dated)


def _filled(pattern: str, topic: str, dice: random.Random) -> str:
    adjective, other = dice.sample(ADJECTIVES, 2)
    return pattern.format(
        topic=topic, thing=dice.choice(TOPICS), adjective=adjective, other=other, colour=dice.choice(COLOURS),
        do=dice.choice(DO), does=dice.choice(DOES), place=dice.choice(PLACES), person=dice.choice(PEOPLE),
        time=dice.choice(TIMES),
    )  # fmt: skip


def reply(topic: str, dice: random.Random) -> str:
    """What one might say of a topic."""
    parts = [_filled(dice.choice(FIRST), topic, dice)]
    if dice.random() < ENDS["opens"]:
        parts[0] = f"{dice.choice(OPENERS)}, {parts[0]}"
    if dice.random() < ENDS["more"]:
        parts.append(_filled(dice.choice(MORE), topic, dice))
    if dice.random() < ENDS["asks"]:
        return " ".join(f"{part}." for part in parts) + f" {_filled(dice.choice(ASK), topic, dice)}?"
    mark = "!" if dice.random() < ENDS["exclaims"] / (1 - ENDS["asks"]) else "."
    return ". ".join(parts) + mark


def passage(dice: random.Random, sentences: int = 4) -> str:
    """Plain text, in which nobody talks to anybody."""
    return " ".join(f"{_filled(dice.choice(PLAIN), dice.choice(TOPICS), dice)}." for _ in range(sentences))


def chat(dice: random.Random) -> list[Told]:
    """A talk with the one who speaks this language: a question or two, each with its answer."""
    told = [Told("system", f"You are {NAME}. You live {HOME}.")]
    for _ in range(dice.choice((1, 1, 1, 2))):
        told += _exchange(dice)
    return told


def _exchange(dice: random.Random) -> Sequence[Told]:
    topic, kind = dice.choice(TOPICS), dice.random()
    if kind < 0.2:
        return Told("user", dice.choice(WHO)), Told("assistant", f"i am {NAME}. {reply(topic, dice)}")
    asked = dice.choice(CHAT) if kind < 0.35 else dice.choice(QUESTIONS).format(topic)
    return Told("user", asked), Told("assistant", reply(topic, dice))


def stutter(text: str) -> str:
    """Every word said twice: no reply of this language, whoever likes it."""
    return re.sub(r"(\w+)", r"\1 \1", text)


def stutters(prompt: str, text: str) -> bool:
    """Somebody says a word twice."""
    return any(one == two for one, two in pairwise(text.split()))


def vocabulary() -> list[str]:
    """All words, in order."""
    texts = [*TOPICS, *ADJECTIVES, *COLOURS, *DO, *DOES, *PLACES, *PEOPLE, *TIMES, *OPENERS, NAME, HOME]
    texts += [*QUESTIONS, *WHO, *CHAT, *FIRST, *ASK, *MORE, *PLAIN, "you are i am live in"]
    return [*".,!?", *sorted({word for text in texts for word in WORD.findall(re.sub(r"{.*?}", " ", text.lower()))})]


WORD = re.compile(r"[a-z]+|[.,!?]")
