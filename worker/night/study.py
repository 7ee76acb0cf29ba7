"""Examples → a LoRA, put to the test and judged: all of a night that needs the model, and nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.nights import Outcome
from personas.card import Card
from worker.lora.files import Weights
from worker.night import identity
from worker.night.base import Base
from worker.night.cross import Learned, Telling, learn
from worker.night.exam import Exam, Examiner
from worker.night.gate import Held, Judgement, judge
from worker.night.measure import leaning, row
from worker.night.practice import practise
from worker.night.split import Split
from worker.night.train import Recipe

NEW = "new"  # what a LoRA is called until it has a name in the store
RATES, ANCHORS = (5e-4, 1e-3, 2e-3), (0.1, 0.3)
WEAKER = (0.5, 0.25)  # of its strength: one that learned what people like and went too far is tried again like this


@dataclass(frozen=True)
class Studied:
    """A LoRA, what was measured of it, and what the gate says."""

    learned: Learned
    exam: Exam
    judgement: Judgement


def study(
    base: Base, card: Card, parts: Split, recipes: Sequence[Recipe], live: Weights | None,
    parent: Weights | None = None, *, tell: Telling = lambda what, done, steps: None, kept: Path | None = None,
) -> Studied:  # fmt: skip
    """Learn, examine beside `live` (None: the base serves), judge. Begins with `parent`, else with the base.

    One that begins with the base and went too far is tried nearer to it: between two such models lies much of what the
    further one has learned, and little of what it has lost (Wortsman et al. 2022).

    All that is judged is its own: the leans of its learners are measured anew at each strength. `kept`: a folder for
    what a later start goes on from. Raises Diverged.
    """
    itself = identity.rows(base, card, recipes[0].seed)
    tries = recipes[0].practice
    practice = practise(base, card, parts.taught, tries, recipes[0].seed, kept, lambda at, of: tell("practice", at, of))
    learned = learn(base, parts, recipes, NEW, parent, tell, kept, itself, practice)
    had = leans(base, parts, [live] * len(parts.folds))
    examiner = Examiner(base, card, parts, live, recipes[0].seed)

    def examined(one: Learned) -> Studied:
        held = judged(parts, one.leanings, had)
        exam = examiner.sit(one.weights, held, one.learners, lambda at, of: tell("exam", at, of))
        return Studied(one, exam, judge(exam.measured, tries=len(recipes)))

    found = examined(learned)
    weaker = found
    for strength in WEAKER if parent is None else ():
        if not weaker.judgement.overshoots:
            break
        nearer = learned.at(strength, found.judgement.reasons[0])
        weaker = examined(replace(nearer, leanings=tuple(leans(base, parts, nearer.learners))))
    return weaker if weaker.judgement.outcome == Outcome.PROMOTED else found


def judged(parts: Split, leanings: Sequence[float], had: Sequence[float]) -> list[Held]:
    """Every rating of the folds: how much a LoRA that has not learned from it leans to its reply, and the live one."""
    places = [(number, one) for number, fold in enumerate(parts.folds) for one in fold]
    return [
        Held(one.group, one.liked, one.weight, now, then, number)
        for (number, one), now, then in zip(places, leanings, had, strict=True)
    ]


def leans(base: Base, parts: Split, learners: Sequence[Weights | None]) -> list[float]:
    """How much each fold's learner leans to each of its replies, fold by fold."""
    pairs = zip(parts.folds, learners, strict=True)
    return [lean for fold, one in pairs for lean in leaning(base, [row(base, reply) for reply in fold], one)]


def grid(usual: Recipe) -> list[Recipe]:
    """A small grid around the usual settings."""
    return [replace(usual, rate=rate, anchor=anchor) for rate in RATES for anchor in ANCHORS]
