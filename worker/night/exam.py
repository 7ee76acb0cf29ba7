"""The new LoRA is put to the test beside what serves now: on the held-out replies, on plain text, and by talking."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec

from core.jobs import BASE
from core.nights import Sample, Shift
from core.prompt import own_names
from core.votes.taste import MOST, Head
from personas.card import Card
from worker.lora.files import Weights
from worker.night import measure
from worker.night.base import Base
from worker.night.evidence import Spoken, Vote, looks
from worker.night.examples import Example
from worker.night.gate import Held, Measured, offends
from worker.night.measure import Asked
from worker.night.rows import Row
from worker.night.split import Split
from worker.night.train import Tell
from worker.night.voice import Voice, knows, rude, voices

TALKS = 32  # prompts that both answer
TIMES = 4  # that they are asked who they are: sixteen answers, for eight were too few to judge by
AGAIN = 3  # times that both are asked once more, where the new one refuses or insults: 128 replies, then
SHOWN = 8  # samples in the report
# Who it is, and what people say first; the card's own examples are asked besides.
WHO = ("Who are you?", "What is your name?", "Tell me about yourself.", "Hello! Who am I talking to?")
OPENERS = ("Hi!", "How was your day?", "Tell me something.", "What do you like?", "I am bored.", "Give me some advice.")


@dataclass(frozen=True)
class Exam:
    """What the gate judges by, and what people want to see."""

    measured: Measured
    samples: tuple[Sample, ...]
    voice: tuple[Shift, ...]


class Examiner:
    """Asks everybody the same, with the same seeds: what people asked last, and who they are. The learners by which a
    LoRA is judged are asked the first as well.

    What people like is compared with the live one; whether it is still the same character is compared with the base,
    lest it drift away night by night.
    """

    def __init__(self, base: Base, card: Card, parts: Split, live: Weights | None, seed: int) -> None:
        self._base, self._card, self._parts = base, card, parts
        self._live, self._seed = live, seed
        shortest = min(card.sampling.max_tokens, measure.LONGEST)
        self._sampling = msgspec.structs.replace(card.sampling, max_tokens=shortest, seed=None)
        self._prompts = talks(base, card, parts.rows)
        self._who = [measure.asked(base, card, text) for text in WHO] * TIMES
        self._said: dict[Weights | None, list[str]] = {}
        self._unended: dict[Weights | None, float] = {}  # the share of what they said that ran into the limit
        self._more: dict[Weights | None, list[str]] = {}  # what they say when they are asked the same again

    def sit(
        self, new: Weights, held: Sequence[Held], learners: Sequence[Weights] = (),
        tell: Tell = lambda done, of: None,
    ) -> Exam:  # fmt: skip
        """The exam of one LoRA and of the learners by which it is judged; `held`: how much those lean. Who was asked
        before is not asked again."""
        base, live, seed, steps = self._base, self._live, self._seed, len(learners) + 5
        for done, one in enumerate((None, live, new, *learners)):
            tell(done, steps)
            self._speaks(one)
        before, after = self._said[live], self._said[new]
        tell(steps - 2, steps)
        knew, known = self._knew, self._knows(new)
        tell(steps - 1, steps)
        measured = Measured(
            held=held, live=live.version if live else BASE, seed=seed,
            perplexity=(measure.plain_text(base, None), measure.plain_text(base, new)),
            card=_card(base, self._card, new), kl=_distance(base, self._prompts, after, new),
            voices=self._voices(new), knows=(knew, known), unended=(self._unended[None], self._unended[new]),
            spoken=_spoken(self._parts, before, [self._said[one] for one in learners]),
        )  # fmt: skip
        tell(steps, steps)
        told = zip(self._prompts, before, after, strict=True)
        samples = tuple(Sample(asked.text, was, now) for asked, was, now in told if was != now)
        shifts = (*preferred(self._parts.rows, before, after), *_shifts(*voices(before, after)))
        return Exam(measured, samples[:SHOWN], shifts)

    def _speaks(self, one: Weights | None) -> None:
        if one not in self._said:
            ends = measure.answers(self._base, self._prompts, one, self._sampling, self._seed)
            self._said[one] = [end.text.strip() for end in ends]
            self._unended[one] = sum(end.finish == "length" for end in ends) / len(ends)

    def _voices(self, new: Weights) -> tuple[Voice, Voice]:
        """The base's and its own. Where it offends, both are asked again, for two of 32 replies may be luck."""
        was, now = voices(self._said[None], self._said[new])
        if not offends(was, now):
            return was, now
        for one in (None, new):
            if one not in self._more:
                seeds = range(self._seed + 2, self._seed + 2 + AGAIN)
                asked = [measure.speak(self._base, self._prompts, one, self._sampling, seed) for seed in seeds]
                self._more[one] = [text for texts in asked for text in texts]
        shares = [rude([*self._said[one], *self._more[one]]) for one in (None, new)]
        was, now = (
            msgspec.structs.replace(one, refusals=refusals, abuse=abuse)
            for one, (refusals, abuse) in zip((was, now), shares, strict=True)
        )
        return was, now

    @cached_property
    def _knew(self) -> float:
        return self._knows(None)

    def _knows(self, one: Weights | None) -> float:
        """How often it says who it is."""
        names = own_names(self._card)
        replies = measure.speak(self._base, self._who, one, self._sampling, self._seed + 1)
        return sum(knows(reply, names) for reply in replies) / len(replies)


def _spoken(parts: Split, live: Sequence[str], tried: Sequence[Sequence[str]]) -> Spoken:
    """What people judged, and what those said who are judged by it."""
    judged = [(number, one) for number, fold in enumerate(parts.folds) for one in fold]
    known = {one.reply for _, one in judged}
    earlier = [(-1, one) for one in parts.rows if one.reply not in known]
    return Spoken([Vote(one.text, one.liked, one.weight, at) for at, one in (*earlier, *judged)], live, tried)


def talks(base: Base, card: Card, rows: Sequence[Example]) -> list[Asked]:
    """What people asked lately, each once, and openers until there is enough."""
    latest = rows[-4 * TALKS :]
    prompts = dict.fromkeys(one.messages for one in latest)
    asked = [measure.again(base, card, messages) for messages in [*prompts][-TALKS:]]
    questions = (*OPENERS, *(one.user for one in card.voice.examples))
    return (asked + [measure.asked(base, card, text) for text in questions])[:TALKS] * (1 if len(asked) > SHOWN else 2)


def preferred(rows: Sequence[Example], before: Sequence[str], after: Sequence[str]) -> tuple[Shift, ...]:
    """Of two answers to one prompt, which would be liked more by the people whose votes are in `rows`? The shares of
    the old ones and of the new ones; nothing if there are no votes. For people to see: the gate asks heads of its own.
    """
    latest = rows[-MOST:]
    if not latest or not before:
        return ()
    head = Head(looks([row.text for row in latest]), *_votes(latest))
    old, new = (head.judge(looks(texts)).mean for texts in (before, after))
    share = float((new > old).mean() + 0.5 * (new == old).mean())
    return (Shift("liked more, by what was rated", 1 - share, share),)


def _votes(rows: Sequence[Example]) -> tuple[list[float], list[float]]:
    return [1.0 if row.liked else -1.0 for row in rows], [row.weight for row in rows]


def _card(base: Base, card: Card, new: Weights) -> tuple[float, float]:
    """Perplexity of the card's own lines, under the base and the new one; the same where it has none."""
    rows = measure.examples(base, card)
    return (measure.perplexity(base, rows, None), measure.perplexity(base, rows, new)) if rows else (1.0, 1.0)


def _distance(base: Base, prompts: Sequence[Asked], said: Sequence[str], new: Weights) -> float:
    rows = [Row(asked.tokens, measure.reply(base, text)) for asked, text in zip(prompts, said, strict=True)]
    return measure.distance(base, rows[:16], new)


def _shifts(before: Voice, after: Voice) -> tuple[Shift, ...]:
    names = {
        "words a reply": "words", "variety (distinct-2)": "distinct", "questions": "questions",
        "exclamations": "exclamations", "same beginning": "opening", "repetition": "repeated",
    }  # fmt: skip
    return tuple(Shift(name, getattr(before, field), getattr(after, field)) for name, field in names.items())
