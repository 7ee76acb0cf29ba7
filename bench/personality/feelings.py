"""Feelings and actions beside replies: are they the right ones, and what do they cost? Loads the real model.

Sentences of our own in the voices of the eight cards, each with the one feeling (`felt.tsv`) or action (`acted.tsv`) of
its card that it was written for. Beside it: likelihoods as they are, and nearness in meaning alone. How the words are
led up to was chosen on these same sentences, so other sentences will be a little worse. The cost is CPU time over that
of the reply, in one run; so is that of four candidates over one.
"""

import csv
import os
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import msgspec
import numpy as np

from bench.nights.world import real
from bench.report import Spent
from core import config
from core.growth.feelings import action, likeliest, usual
from personas import library
from personas.card import Card
from personas.sampling import Sampling
from worker.embed import Embedder, load
from worker.feeling import Sign, actions, emotions
from worker.generator import Finished, Request
from worker.night import measure as asking
from worker.night.base import Base
from worker.tasting import several

QUESTIONS = ("What do you think about storms?", "How was your day?", "Tell me about your best friend.", "Are you busy?")
FOUR = 4


def measure(seed: int) -> dict[str, Any]:
    """`feelings_accuracy` and `actions_accuracy`: shares right; the costs as ratios."""
    base, embedder = real(), load(config.load(os.environ))
    cards = {card.name: card for card in map(_card, sorted({card for card, _, _ in _rows("felt.tsv")}))}
    felt = [_judged(base, embedder, emotions(cards[card]), cards[card], *row) for card, *row in _rows("felt.tsv")]
    acted = [_judged(base, embedder, actions(cards[card]), cards[card], *row) for card, *row in _rows("acted.tsv")]
    return {
        **{f"feelings_{name}": _share(felt, at) for at, name in enumerate(("accuracy", "raw", "near", "chance"))},
        **{f"actions_{name}": _share(acted, at) for at, name in enumerate(("accuracy", "raw", "near", "chance"))},
        **_done(acted), **_costs(base, cards["mira"], seed),
    }  # fmt: skip


Judged = tuple[float, float, float, float, int | None]
"""Right by likelihood over the usual, by likelihood as it is, by nearness; chance; and if it would be done, rightly?"""


def _judged(base: Base, embedder: Embedder, sign: Sign | None, card: Card, wanted: str, text: str) -> Judged:
    assert sign is not None
    names = [choice.strip() for choice in sign.choices]
    right = names.index(wanted)
    now = _weighed(base, sign, text)
    above = np.array(now) - np.array(_usually(base, sign, card))
    vectors = embedder.embed([text, *names])
    near = [float(vectors[0] @ row) for row in vectors[1:]]
    hits = [float(likeliest(list(scores))[0] == right) for scores in (above.tolist(), now, near)]
    done = action(above.tolist(), near)
    return hits[0], hits[1], hits[2], 1 / len(names), None if done is None else int(done == right)


_KNOWN: dict[tuple[str, str], list[float]] = {}


def _usually(base: Base, sign: Sign, card: Card) -> list[float]:
    key = (card.name, sign.kind)
    if key not in _KNOWN:
        _KNOWN[key] = usual([_weighed(base, sign, one.reply) for one in card.voice.examples[:5]])
    return _KNOWN[key]


def _weighed(base: Base, sign: Sign, text: str) -> list[float]:
    request = base.engine.weighing("w", sign.lead(text), sign.choices, _ANY)
    assert request is not None
    return list(base.speak([request])["w"].scores)


_ANY = Request(id="any", tokens=(1,), sampling=Sampling(), seed=1)


def _costs(base: Base, card: Card, seed: int) -> dict[str, float]:
    """CPU time over that of one reply: of what is felt, of what is felt and done, and of four replies to pick from.
    `warm`: all of the prompt but its end had been read for the turn before."""
    emotion, act = emotions(card), actions(card)
    assert emotion is not None
    assert act is not None
    spent: dict[str, float] = dict.fromkeys(("one", "warm", "felt", "acted", "four"), 0.0)
    for at, question in enumerate(QUESTIONS):
        tokens = asking.asked(base, card, question).tokens
        request = Request(id=f"c{at}", tokens=tokens, sampling=card.sampling, seed=seed + at)
        base.arena.forget_idle()
        end = _spent(base, [request], "one", spent)[request.id]
        _spent(base, [msgspec.structs.replace(request, id=f"w{at}")], "warm", spent)
        for name, sign in (("felt", emotion), ("acted", act)):
            weighing = base.engine.weighing("w", sign.lead(end.text), sign.choices, request)
            assert weighing is not None
            _spent(base, [weighing], name, spent)
        base.arena.forget_idle()
        _spent(base, several(msgspec.structs.replace(request, id=f"d{at}"), FOUR), "four", spent)
    return {
        "emotion_cost": round(spent["felt"] / spent["one"], 3),
        "emotion_cost_warm": round(spent["felt"] / spent["warm"], 3),
        "both_cost": round((spent["felt"] + spent["acted"]) / spent["one"], 3),
        "both_cost_warm": round((spent["felt"] + spent["acted"]) / spent["warm"], 3),
        "candidates_cost": round(spent["four"] / spent["one"], 2),
    }


def _spent(base: Base, requests: Sequence[Request], name: str, spent: dict[str, float]) -> dict[str, Finished]:
    """Answer them, with what the engine still knows; the CPU time goes on the account of `name`."""
    ends: dict[str, Finished] = {}
    with Spent() as one:
        for request in requests:
            base.engine.add(request)
        while base.engine.active:
            ends |= {event.id: event for event in base.engine.step() if isinstance(event, Finished)}
    spent[name] += one.cpu
    return ends


def _done(acted: Sequence[Judged]) -> dict[str, float]:
    shown = [done for *_, done in acted if done is not None]
    return {"actions_done": round(len(shown) / len(acted), 3), "actions_done_right": round(float(np.mean(shown)), 3)}


def _share(judged: Sequence[Judged], at: int) -> float:
    return round(float(np.mean([one[at] for one in judged])), 3)


def _rows(name: str) -> list[tuple[str, str, str]]:
    """(card, what it is, sentence)."""
    lines = files("bench.personality").joinpath(name).read_text("utf-8").splitlines()
    return [(card, what, text) for card, what, text in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)]


def _card(name: str) -> Card:
    from core import cards

    return cards.load(name, library.folders(config.load(os.environ).home))
