"""What the gate wants to know of a LoRA, measured on the model: likelihood, perplexity, distance, and how it talks."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec
import torch
from torch import Tensor

from core.events import Line, Person
from core.prompt import Scene, compose, speakers
from core.speakers import NOBODY, Speakers
from core.store.ledger import Told
from personas.card import Card, Exchange
from personas.sampling import Sampling
from worker.generator import Finished, Request
from worker.lora.files import Weights
from worker.lora.slots import Mix
from worker.night import neutral
from worker.night.base import Base
from worker.night.examples import Example
from worker.night.rows import Row, Sheet, leanings, likelihoods, scores, token_logs
from worker.night.train import TOKENS, parts
from worker.night.tuning import Tuning

LONGEST = 64  # tokens of a reply that is only looked at
SEEDS = 7_000_003
MOST = 700.0  # the loss of which e to it is still a number
SOMEBODY = Person("console:night:somebody", "Somebody")


@dataclass(frozen=True)
class Asked:
    """A prompt: what people read of it, its tokens, and for whom an answer must not speak."""

    text: str
    tokens: tuple[int, ...]
    speakers: Speakers = NOBODY


def row(base: Base, one: Example) -> Row:
    """A prompt and the reply to it, as the model is given them when it serves."""
    said = reply(base, one.text)
    return Row(prompt(base, one.messages)[-(base.loaded.context - len(said)) :], ended(said, one.cut))


def prompt(base: Base, messages: Sequence[Told]) -> tuple[int, ...]:
    """The tokens of a prompt, its end rather than its beginning if the model's context is too short for it."""
    told = [{"role": one.role, "content": base.renderer.safe(one.content)} for one in messages]
    return tuple(base.renderer.tokens(told)[-(base.loaded.context - LONGEST) :])


def reply(base: Base, text: str) -> tuple[int, ...]:
    """The tokens of a reply and of its end."""
    end = base.loaded.tokenizer.eos_token_id
    ends = (end if end in base.loaded.ends else min(base.loaded.ends),)
    ids = base.loaded.tokenizer.encode(base.renderer.safe(text), add_special_tokens=False)
    return (*ids[: base.loaded.context // 2], *ends)


def ended(said: tuple[int, ...], cut: bool) -> tuple[int, ...]:
    """The tokens of a reply without its end, if it was `cut` off and came to none."""
    return said[:-1] if cut and len(said) > 1 else said


def examples(base: Base, card: Card) -> list[Row]:
    """A card's own example lines, as replies to what they answer, with everything else of the card before them."""
    return [Row(asked(base, card, one).tokens, reply(base, one.reply.strip())) for one in card.voice.examples]


def asked(base: Base, card: Card, about: Exchange | str) -> Asked:
    """A question to a card that has met nobody yet. One of its own examples is left out of what it is told."""
    left = tuple(one for one in card.voice.examples if one != about)
    text = about.user if isinstance(about, Exchange) else about
    line = Line("night", SOMEBODY, text.strip(), 0.0)
    voice = msgspec.structs.replace(card.voice, examples=left)
    told = compose(Scene(card=msgspec.structs.replace(card, voice=voice), lines=(), new=(line,)))
    return Asked(text, base.engine.render(told, LONGEST).tokens)


def again(base: Base, card: Card, messages: Sequence[Told]) -> Asked:
    """A prompt that was given once."""
    lines = [(one.role, one.content) for one in messages]
    return Asked(messages[-1].content, prompt(base, messages), speakers(card, lines))


def speak(
    base: Base, prompts: Sequence[Asked], weights: Weights | None, sampling: Sampling, seed: int
) -> list[str]:  # fmt: skip
    """The texts of `answers`."""
    return [end.text.strip() for end in answers(base, prompts, weights, sampling, seed)]


def answers(
    base: Base, prompts: Sequence[Asked], weights: Weights | None, sampling: Sampling, seed: int
) -> list[Finished]:  # fmt: skip
    """An answer to each prompt; the same seeds for every LoRA."""
    loras = (base.known(weights),) if weights else ()
    requests = [
        Request(
            id=f"{seed}:{at}",
            tokens=one.tokens,
            sampling=sampling,
            seed=seed * SEEDS + at,
            loras=loras,
            speakers=one.speakers,
        )
        for at, one in enumerate(prompts)
    ]
    ends = base.speak(requests)
    return [ends[request.id] for request in requests]


def leaning(base: Base, rows: Sequence[Row], weights: Weights | None) -> list[float]:
    """How much a LoRA leans to each reply, beside the base, in nats: see `rows.leanings`; none leans at all."""
    found = [0.0] * len(rows)
    with reading(base, weights) as read:
        for part in parts(rows, TOKENS) if weights else ():
            sheet = Sheet([rows[at] for at in part], device=base.loaded.device)
            new, old = (token_logs(read.logits(sheet, with_lora), sheet) for with_lora in (True, False))
            for at, value in zip(part, leanings(new - old, sheet).tolist(), strict=True):
                found[at] = value
    return found


def perplexity(base: Base, rows: Sequence[Row], weights: Weights | None) -> float:
    """e to the mean loss per token of these replies; NaN if there are none, and no error however wrong it is."""
    tokens = sum(len(one.reply) for one in rows)
    return math.exp(min(-sum(totals(base, rows, weights)) / tokens, MOST)) if tokens else float("nan")


def plain_text(base: Base, weights: Weights | None) -> float:
    """Perplexity of neutral text that nothing was learned from."""
    return perplexity(base, neutral.rows(base, 1), weights)


def totals(base: Base, rows: Sequence[Row], weights: Weights | None) -> list[float]:
    """The log-probability of each reply."""
    found = [0.0] * len(rows)
    with reading(base, weights) as read:
        for part in parts(rows, TOKENS):
            sheet = Sheet([rows[at] for at in part], device=base.loaded.device)
            for at, value in zip(part, likelihoods(read.logits(sheet), sheet).tolist(), strict=True):
                found[at] = value
    return found


def distance(base: Base, rows: Sequence[Row], weights: Weights) -> float:
    """KL(LoRA || base) per token in nats over these rows, which the LoRA should have said itself. Exact."""
    total, count = 0.0, 0
    with reading(base, weights) as read:
        for part in parts(rows, TOKENS // 4):
            sheet = Sheet([rows[at] for at in part], device=base.loaded.device)
            new, old = (read.logits(sheet, with_lora).float().log_softmax(-1) for with_lora in (True, False))
            total += float((new.exp() * (new - old)).sum())
            count += len(new)
    return total / count if count else 0.0


class Reader:
    """Reads sheets with a LoRA or without."""

    def __init__(self, base: Base, tuning: Tuning, has_lora: bool) -> None:
        self._model, self._tuning, self._has_lora = base.loaded.model, tuning, has_lora

    def logits(self, sheet: Sheet, with_lora: bool = True) -> Tensor:
        """For every token of the replies."""
        runs = ((0, sheet.tokens.shape[1], 0),) if with_lora and self._has_lora else ()
        self._tuning.mix = Mix(runs=runs)
        return scores(self._model, sheet)


@contextmanager
def reading(base: Base, weights: Weights | None) -> Iterator[Reader]:
    """A reader for as long as the block lasts."""
    tuning = Tuning(base.shape, 1, base.loaded.device, 0)
    if weights:
        tuning.begin_with(weights)
    with torch.no_grad(), base.learning(tuning):
        yield Reader(base, tuning, weights is not None)
