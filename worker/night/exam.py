"""The new LoRA is put to the test beside what serves now: on the held-out replies, on plain text, and by talking."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from core.jobs import BASE
from core.nights import Sample, Shift
from core.taste import MOST, Head
from personas.card import Card
from worker.lora.files import Weights
from worker.night import measure
from worker.night.base import Base
from worker.night.cross import Learned
from worker.night.evidence import Earlier, Spoken, looks
from worker.night.examples import Example
from worker.night.gate import Held, Measured
from worker.night.measure import Asked
from worker.night.rows import Row
from worker.night.split import Split
from worker.night.train import Tell
from worker.night.voice import Voice, knows, voices

TALKS = 32  # prompts that both answer
TIMES = 4  # that they are asked who they are: sixteen answers, for eight were too few to judge by
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


def examine(
    base: Base, card: Card, parts: Split, held: Sequence[Held], learned: Learned, live: Weights | None, seed: int,
    tell: Tell = lambda done, of: None,
) -> Exam:  # fmt: skip
    """All are asked the same, with the same seeds: what people asked last, and who they are. Those that judge are asked
    the first as well.

    What people like is compared with the live one; whether it is still the same character is compared with the base,
    lest it drift away night by night.
    """
    rows, new, steps = parts.rows, learned.weights, len(learned.learners) + 5
    shortest = min(card.sampling.max_tokens, measure.LONGEST)
    sampling = msgspec.structs.replace(card.sampling, max_tokens=shortest, seed=None)
    prompts = talks(base, card, rows)
    who = [measure.asked(base, card, text) for text in WHO] * TIMES
    said: dict[Weights | None, list[str]] = {}
    for one in dict.fromkeys((None, live, new, *learned.learners)):
        tell(len(said), steps)
        said[one] = measure.speak(base, prompts, one, sampling, seed)
    before, after = said[live], said[new]
    spoken = _spoken(parts, before, [said[one] for one in learned.learners])
    tell(steps - 2, steps)
    knew, known = (_knows(card, measure.speak(base, who, one, sampling, seed + 1)) for one in (None, new))
    tell(steps - 1, steps)
    measured = Measured(
        held=held, live=live.version if live else BASE, seed=seed,
        perplexity=(measure.plain_text(base, None), measure.plain_text(base, new)), card=_card(base, card, new),
        kl=_distance(base, prompts, after, new), voices=voices(said[None], after), knows=(knew, known),
        spoken=spoken,
    )  # fmt: skip
    tell(steps, steps)
    samples = tuple(
        Sample(asked.text, was, now) for asked, was, now in zip(prompts, before, after, strict=True) if was != now
    )
    return Exam(measured, samples[:SHOWN], (*preferred(rows, before, after), *_shifts(*voices(before, after))))


def _spoken(parts: Split, live: Sequence[str], tried: Sequence[Sequence[str]]) -> Spoken:
    """What people judged, and what those said who are judged by it."""
    judged = [one for fold in parts.folds for one in fold]
    known = {one.reply for one in judged}
    earlier = [Earlier(one.text, one.liked, one.weight) for one in parts.rows if one.reply not in known]
    return Spoken(earlier, [one.text for one in judged], live, tried)


def talks(base: Base, card: Card, rows: Sequence[Example]) -> list[Asked]:
    """What people asked lately, each once, and openers until there is enough."""
    latest = rows[-4 * TALKS :]
    prompts = {one.messages: Asked(one.messages[-1].content, measure.prompt(base, one.messages)) for one in latest}
    asked = list(prompts.values())[-TALKS:]
    questions = (*OPENERS, *(one.user for one in card.voice.examples))
    return (asked + [measure.asked(base, card, text) for text in questions])[:TALKS] * (1 if len(asked) > SHOWN else 2)


def preferred(rows: Sequence[Example], before: Sequence[str], after: Sequence[str]) -> tuple[Shift, ...]:
    """Of two answers to one prompt, which would be liked more by the people whose votes are in `rows`? The shares of
    the old ones and of the new ones; nothing if there are no votes. For people to see: the gate does not look at it.
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


def _knows(card: Card, replies: Sequence[str]) -> float:
    """How often it says who it is."""
    names = (card.title, card.name, *card.names)
    return sum(knows(reply, names) for reply in replies) / len(replies)


def _shifts(before: Voice, after: Voice) -> tuple[Shift, ...]:
    names = {
        "words a reply": "words", "variety (distinct-2)": "distinct", "questions": "questions",
        "exclamations": "exclamations", "same beginning": "opening", "repetition": "repeated",
    }  # fmt: skip
    return tuple(Shift(name, getattr(before, field), getattr(after, field)) for name, field in names.items())
