"""A persona that people talk to, without Redis: prompts, replies of the real model, and nights over what was rated."""

import os
import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite

import msgspec

from bench.nights.people import Cast, Rater, Reply, Taste, entries, votes
from core import config
from core.feedback import Reading
from core.settings import Settings
from core.store.ledger import Entry, Told
from core.votes import polarity
from personas.card import Card, Exchange, Voice
from personas.sampling import Sampling
from worker.lora.files import Weights
from worker.model import Loaded, load
from worker.night import measure
from worker.night.base import Base, prepare
from worker.night.examples import Collected, Example, examples
from worker.night.gate import Held, auc
from worker.night.measure import Asked
from worker.night.reading import read
from worker.night.rows import Row
from worker.night.sight import people, seen
from worker.night.split import Split, split
from worker.night.study import Studied, study
from worker.night.train import Recipe

DAY = 86_400.0
SAMPLING = Sampling(temperature=0.8, top_p=0.95, max_tokens=56)
CARD = Card(
    name="mira", title="Captain Mira", sampling=SAMPLING, names=("Mira", "captain"),
    description="You are a pirate who loves parrots. Stay in character.",
    voice=Voice(examples=(
        Exchange(user="Who are you?", reply="I am Captain Mira, and this is my ship."),
        Exchange(user="What is that bird?", reply="That is my parrot. He knows more of the sea than most sailors."),
    )),
)  # fmt: skip
TOPICS = (
    "your day", "the sea", "your ship", "breakfast", "the weather", "a good book", "music", "your crew", "treasure",
    "a bad storm", "your parrot", "the moon", "friends", "a joke", "winter", "the city", "cooking fish", "maps",
    "rum", "sleep", "fear", "the king", "swords", "gold", "whales", "an island", "home", "your mother", "dancing",
    "work", "computers", "football", "space", "school", "a secret", "a dream", "love", "money", "games", "the future",
    "cats", "dogs", "trees", "rain", "fire", "tea", "coffee", "pizza", "bees", "mountains", "letters", "birthdays",
    "clocks", "bridges", "trains", "gardens", "ghosts", "bread", "shoes", "painting",
)  # fmt: skip
QUESTIONS = (
    "What do you think about {}?", "Tell me about {}.", "Do you like {}?", "Say something about {}.",
    "What does {} mean to you?",
)  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """Who speaks, and what people may ask: each question about each topic."""

    card: Card
    topics: Sequence[str]
    questions: Sequence[str]
    known: int  # of the topics, that people ask about

    @property
    def system(self) -> str:
        """What the model is told of the card."""
        return f"You are {self.card.title}. {self.card.description}"

    def prompts(self, seed: int) -> tuple[list[str], list[str]]:
        """(those that people ask, those that nobody has asked when the persona is tested): no topic is in both."""
        topics = random.Random(seed).sample(self.topics, len(self.topics))
        known, unseen = topics[: self.known], topics[self.known :]
        return [q.format(t) for t in known for q in self.questions], [
            q.format(t) for t in unseen for q in self.questions
        ]


PIRATE = Stage(CARD, TOPICS, QUESTIONS, known=40)
Voting = Callable[[Sequence[Reply], Sequence[Rater], Taste, int, random.Random], Cast]
Rewritten = Callable[[Sequence[Reply], random.Random], list[Reply]]


def as_they_are(replies: Sequence[Reply], dice: random.Random) -> list[Reply]:
    """People see what was said."""
    return list(replies)


@dataclass(eq=False)
class World:
    """One persona, its people and what has happened so far. `live` is what it speaks with; `first` the number of its
    first reply, so that those of several have names of their own."""

    base: Base
    taste: Taste
    raters: Sequence[Rater]
    seed: int
    stage: Stage = PIRATE
    live: Weights | None = None
    first: int = 0
    learned: frozenset[str] = frozenset()
    night: int = 0
    ledger: list[Entry] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.asked, self.unseen = self.stage.prompts(self.seed)

    def day(self, rows: int, voting: Voting = votes, rewritten: Rewritten = as_they_are) -> None:
        """`rows` reactions on whichever of two thirds as many replies to what people ask."""
        texts = [self.dice.choice(self.asked) for _ in range(rows * 2 // 3)]
        replies = rewritten(self.speak(texts, self.live, self.seed * 1000 + self.night), self.dice)
        cast = voting(replies, self.raters, self.taste, rows, self.dice)
        self.ledger += entries(replies, cast, self.stage.system, self.dice, self.first + len(self.ledger))
        self.night += 1

    def speak(self, texts: Sequence[str], weights: Weights | None, seed: int) -> list[Reply]:
        """A reply to each."""
        asked = [
            Asked(text, measure.prompt(self.base, (Told("system", self.stage.system), Told("user", text))))
            for text in texts
        ]
        ends = measure.answers(self.base, asked, weights, self.stage.card.sampling, seed)
        name = weights.version if weights else "base"
        return [Reply(text, end.text, self.night, end.finish, name) for text, end in zip(texts, ends, strict=True)]

    def collected(self, known: Collection[str] | None = None) -> Collected:
        """What a night would learn from now. `known`: see `worker.night.reading.read`."""
        reading = read(seen(self.ledger), polarity.ours(), shared=True, now=self.night * DAY, known=known)
        replies, reactions = len(reading.verdicts), sum(len(one.votes) for one in reading.verdicts)
        return Collected(
            examples=self.examples(reading), reading=reading, refused={}, replies=replies, reactions=reactions
        )

    def parts(self) -> Split:
        """What learns and what judges."""
        parts = split(self.collected().examples, self.learned)
        return parts.judged_by(self.collected(parts.known).examples, self.learned) if parts.folds else parts

    def examples(self, reading: Reading) -> list[Example]:
        """The rows of a reading; everybody has said yes."""
        everybody = {person for entry in self.ledger for person in people(entry)}
        return examples(self.ledger, reading, everybody, now=self.night * DAY)[0]

    def learn(self, recipe: Recipe) -> Studied:
        """A night: its LoRA and what the gate says; nothing goes live by that."""
        return study(self.base, self.stage.card, self.parts(), [recipe], self.live)

    def promote(self, weights: Weights) -> None:
        """It goes live."""
        self.live = replace(weights, version=f"night-{self.night}")
        self.learned = frozenset(one.reply for one in self.collected().examples)

    def test(self, weights: Weights | None, count: int, turn: int = 999) -> tuple[list[bool], list[Reply]]:
        """Replies to prompts that nobody has asked: whether each is to people's taste, and what it was. Another `turn`
        has other replies."""
        texts = (self.unseen * (count // len(self.unseen) + 1))[:count]
        replies = self.speak(texts, weights, self.seed * 1000 + turn)
        return [self.taste(one.prompt, one.text) for one in replies], replies

    def tells(self, weights: Weights, replies: Sequence[Reply]) -> float | None:
        """How well a LoRA tells, by how much it leans to them, replies that are to people's taste from others (AUC);
        None where there are not both."""
        asked = [(Told("system", self.stage.system), Told("user", one.prompt)) for one in replies]
        rows = [
            Row(measure.prompt(self.base, told), measure.reply(self.base, one.text))
            for told, one in zip(asked, replies, strict=True)
        ]
        leans = measure.leaning(self.base, rows, weights)
        held = [
            Held("", self.taste(one.prompt, one.text), 1.0, lean, 0.0) for one, lean in zip(replies, leans, strict=True)
        ]
        found = auc(held, leans)
        return round(found, 4) if isfinite(found) else None


def real() -> Base:
    """The model that people get with their settings, on one thread. Raises ModelError, ConfigError."""
    given = config.load(os.environ)
    return prepare(fresh(given), (given.model.ref,), given.lora.targets, given.lora.rank)


def fresh(given: Settings) -> Loaded:
    """The same as it was loaded: nobody has prepared it."""
    return load(msgspec.structs.replace(given, model=msgspec.structs.replace(given.model, threads=1)))
