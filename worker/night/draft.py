"""A night's page while it is being written: what was found, learned and decided, bit by bit."""

import secrets
import time

from core.events import PersonaKey
from core.nights import Check, Count, Night, Outcome, Point, Ratings, Rows, Sample, Shift, Tried
from core.settings import Settings
from core.store.loras import family
from worker.night.cross import Learned
from worker.night.exam import Exam
from worker.night.examples import Collected
from worker.night.gate import Judgement
from worker.night.leftovers import Begun
from worker.night.split import Split

RECIPE = (
    "rate",
    "beta",
    "anchor",
    "kl",
    "depth",
    "passes",
    "fewest",
    "visits",
    "batch",
    "practice",
)  # that a manifest names
PEOPLE = 1000  # that a report names; the others are counted


class Draft:
    """Whatever happens, `night()` says how far it came."""

    def __init__(self, persona: PersonaKey, day: str, settings: Settings, seed: int) -> None:
        self.persona, self.day, self.seed, self._settings = persona, day, seed, settings
        self.began, self._cpu = time.time(), time.process_time()
        self.asof = Begun(self.began, 0)  # what it is about
        self.id = f"{family(persona)}/{day}-{secrets.token_hex(3)}"
        self.title, self.before, self.version, self.base = persona.card, "base", "", ""
        self.outcome = Outcome.FAILED
        self.settled = False  # has what came in had its verdict?
        self.notes: list[str] = []
        self.settings: dict[str, float | int | str] = {}
        self._reasons: tuple[str, ...] = ()
        self._ratings, self._rows = Ratings(), Rows()
        self._curve: tuple[Point, ...] = ()
        self._tried: tuple[Tried, ...] = ()
        self._checks: tuple[Check, ...] = ()
        self._samples: tuple[Sample, ...] = ()
        self._voice: tuple[Shift, ...] = ()

    def count(self, found: Collected) -> None:
        """What came in."""
        reading = found.reading
        people = sorted(reading.voters, key=lambda voter: -voter.share)[:PEOPLE]
        self._ratings = Ratings(
            reactions=found.reactions, replies=found.replies,
            liked=sum(one.liked for one in found.examples), disliked=sum(not one.liked for one in found.examples),
            effective=found.effective, needed=self._settings.night.least,
            unknown=reading.unknown, refused=found.refused,
            people=tuple(Count(v.user, v.votes, v.likes, v.trust, v.share, v.notes) for v in people),
            heard=len(reading.voters),
        )  # fmt: skip
        self.notes += reading.notes

    def divide(self, parts: Split) -> None:
        """How many examples there are, and how many judge."""
        self._rows = Rows(len(parts.taught), sum(map(len, parts.folds)))
        self.notes += parts.notes

    def teach(self, learned: Learned, base: str) -> None:
        """How it was learned."""
        self._curve, self._tried, self.base, recipe = learned.curve, learned.tried, base, learned.recipe
        self.settings = {
            **{name: getattr(recipe, name) for name in RECIPE},
            "strength": learned.strength,
            "rank": self._settings.lora.rank, "targets": self._settings.lora.targets,
            "canary": self._settings.night.canary, "pool": self._settings.night.pool,
        }  # fmt: skip
        self.notes += learned.notes

    def show(self, exam: Exam) -> None:
        """How it talks."""
        self._samples, self._voice = exam.samples, exam.voice

    def judge(self, judgement: Judgement) -> None:
        """What the gate says."""
        self._checks, self.settled = judgement.checks, True
        self.end(judgement.outcome, *judgement.reasons)

    def end(self, outcome: Outcome, *reasons: str) -> None:
        """How it ended, and why."""
        self.outcome, self._reasons = outcome, reasons

    def night(self) -> Night:
        """The page."""
        return Night(
            id=self.id, persona=self.persona, title=self.title, day=self.day, began=self.began, ended=time.time(),
            outcome=self.outcome, reasons=self._reasons, notes=tuple(self.notes), before=self.before,
            version=self.version, ratings=self._ratings, rows=self._rows, curve=self._curve, tried=self._tried,
            checks=self._checks, samples=self._samples, voice=self._voice, settings=self.settings,
            base=self.base, seed=self.seed, cpu_seconds=round(time.process_time() - self._cpu, 1),
        )  # fmt: skip
