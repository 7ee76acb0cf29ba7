"""More to learn from than people can rate: what they asked is answered anew, and a model of their taste says which of
these answers they would like most, and which least.

A night has a few dozen likes, and of a liked reply a few words are what was liked; a LoRA learns such rows by heart,
and little of the taste. The head of `core/votes/taste.py`, taught by the same votes in milliseconds, finds what it
knows in as many answers as one cares to make. (Reward-ranked fine-tuning, RAFT: Dong et al. 2023; here the answers that
are ranked last are learned, too.)

The base answers, so that nothing is learned of how another voice speaks. A learner that is judged gets only answers to
prompts of its own rows, ranked by a head that knows only their votes, so no vote sways who is judged by it.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from core.votes.taste import MOST, Head
from personas.card import Card
from worker.night import measure
from worker.night.base import Base
from worker.night.evidence import looks
from worker.night.examples import Example
from worker.night.gate import Held, auc
from worker.night.rows import Row
from worker.night.train import Rated

log = logging.getLogger("limen.night")

EACH = 4  # answers to one prompt, at most
LIKED, DISLIKED = 0.1, 0.25  # shares of the answers that are learned from
LUCK, KNOWS = (
    0.55,
    0.7,
)  # AUC of the head on votes that it has not seen: no word of it counts up to one, all from the other
PARTS = 5  # of the votes, each foretold from the others
FILE = "practice.json"


@dataclass(frozen=True)
class Try:
    """An answer to the prompt of the rated reply `of`, as a row and as text."""

    of: str
    row: Row
    text: str


class Practice:
    """The answers of one night, which all its learners share."""

    def __init__(self, tries: Sequence[Try] = (), most: float = 1.0) -> None:
        self._tries, self._most = tries, most

    def trust(self, known: Sequence[Example]) -> float:
        """What the word of a head counts that knows these votes, 0 to 1."""
        return min(self._most, max(0.0, (skill(known) - LUCK) / (KNOWS - LUCK)))

    def no_surer(self, known: Sequence[Example]) -> "Practice":
        """The same, in which no head counts more than the one that knows these votes: who serves is to be learned as
        those were by whom it is judged, though more is known by then."""
        return Practice(self._tries, self.trust(known) if known else 0.0)

    def rated(self, known: Sequence[Example]) -> list[Rated]:
        """Answers to the prompts of these rows that their people would like most or least; none where that cannot be
        told."""
        wanted = {one.reply for one in known}
        mine = [one for one in self._tries if one.of in wanted]
        trust = self.trust(known) if mine else 0.0
        if not trust:
            return []
        mean = _head(known).judge(looks([one.text for one in mine])).mean
        best = [mine[at] for at in np.argsort(-mean, kind="stable")]
        weight = trust * sum(one.weight for one in known) / len(known)
        liked, disliked = round(LIKED * len(best)), round(DISLIKED * len(best))
        return [
            *(Rated(one.row, True, weight) for one in best[:liked]),
            *(Rated(one.row, False, weight) for one in best[len(best) - disliked :]),
        ]


NONE = Practice()


def practise(
    base: Base, card: Card, rows: Sequence[Example], count: int, seed: int, kept: Path | None = None,
    tell: Callable[[int, int], None] = lambda done, of: None,
) -> Practice:  # fmt: skip
    """About `count` answers of the base to the prompts of these rows; where those are many, to some at even distances,
    so that who knows the first ones only has answers, too. `kept`: a folder where they are found again."""
    if not count or not rows:
        return NONE
    each = min(EACH, max(1, count // len(rows)))
    prompts = min(len(rows), count // each)
    chosen = [rows[at * len(rows) // prompts] for at in range(prompts) for _ in range(each)]
    asked = [measure.again(base, card, one.messages) for one in chosen]
    shortest = min(card.sampling.max_tokens, measure.LONGEST)
    sampling = msgspec.structs.replace(card.sampling, max_tokens=shortest, seed=None)
    about = hashlib.sha256(repr((base.loaded.ref, sampling, seed, [one.tokens for one in asked])).encode()).hexdigest()
    said = _left(kept, about) if kept else None
    if said is None:
        tell(0, 1)
        ends = measure.answers(base, asked, None, sampling, seed)
        good = ("stop", "length")
        said = [(end.text.strip() if end.finish in good else "", end.finish == "length") for end in ends]
        _keep(kept, about, said)
        tell(1, 1)
    found: dict[tuple[str, str], Try] = {}
    for one, prompt, (text, cut) in zip(chosen, asked, said, strict=True):
        if text:
            row = Row(prompt.tokens, measure.ended(measure.reply(base, text), cut))
            found.setdefault((one.reply, text), Try(one.reply, row, text))
    return Practice(list(found.values()))


def skill(known: Sequence[Example]) -> float:
    """How well a head foretells votes that it has not seen (AUC, by weight): each part of them from all others."""
    latest = known[-MOST:]
    means = np.zeros(len(latest))
    for part in range(PARTS):
        others = [one for at, one in enumerate(latest) if at % PARTS != part]
        mine = [one for at, one in enumerate(latest) if at % PARTS == part]
        if mine and others:
            means[part::PARTS] = _head(others).judge(looks([one.text for one in mine])).mean
    found = auc([Held(one.group, one.liked, one.weight, 0.0, 0.0) for one in latest], means.tolist())
    return found if found == found else 0.5  # not a number: there are not both kinds


def _head(known: Sequence[Example]) -> Head:
    latest = known[-MOST:]
    usual = sum(one.weight for one in latest) / len(latest) or 1.0  # the head takes a usual vote for 1
    values = [1.0 if one.liked else -1.0 for one in latest]
    return Head(looks([one.text for one in latest]), values, [one.weight / usual for one in latest])


def _left(kept: Path, about: str) -> list[tuple[str, bool]] | None:
    """What was answered before this night was cut off."""
    try:
        was, said = msgspec.json.decode((kept / FILE).read_bytes(), type=tuple[str, list[tuple[str, bool]]])
    except (OSError, msgspec.MsgspecError):
        return None
    return said if was == about else None


def _keep(kept: Path | None, about: str, said: Sequence[tuple[str, bool]]) -> None:
    """A disk that is full costs a later start, and not the night."""
    if kept is None:
        return
    try:
        kept.mkdir(parents=True, exist_ok=True)
        (kept / FILE).write_bytes(msgspec.json.encode((about, said)))
    except OSError as error:
        log.warning("what was practised could not be kept: %s", error)
