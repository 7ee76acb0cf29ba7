"""One LoRA from one persona's examples: what people liked becomes likelier, what they disliked less likely, and the
rest stays as it was.

Each reply is judged alone, for nobody rates pairs: a row's reward is how much likelier it has become than under the
weights that the night began with (KTO, Ethayarajh et al. 2024; APO-zero, D'Oosterlinck et al. 2024). Three things keep
that from breaking the language, each of which broke in our first runs without it: liked and disliked rows weigh the
same in sum; liked replies are learned for themselves, too; and on neutral text the model goes on speaking as the base.
"""

import hashlib
import logging
import math
import pickle
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import torch
from torch import Tensor

from core.errors import LimenError
from core.nights import Point
from worker.lora.files import Weights
from worker.lora.slots import Mix
from worker.night.base import Base
from worker.night.neutral import Anchor
from worker.night.rows import Row, Sheet, likelihoods, scores
from worker.night.tuning import Tuning

log = logging.getLogger("limen.night")

# What torch and msgspec say of a file that is broken, or of something else.
UNREADABLE = (
    *(OSError, EOFError, RuntimeError, LookupError, TypeError, ValueError, AttributeError),
    *(pickle.UnpicklingError, msgspec.MsgspecError),
)
BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # by bytes: sums of bits are exact
EVERY = 30.0  # seconds between two times that progress is kept
WARM_UP = 5  # steps
CLIP = 1.0  # the longest gradient
TOKENS = 4096  # of one forward; a batch that is longer is read in parts


@dataclass(frozen=True, eq=False)
class Rated:
    """A row with what people thought of it. `weight` 0 to 1."""

    row: Row
    liked: bool
    weight: float = 1.0


@dataclass(frozen=True)
class Recipe:
    """How it is learned: see the settings of `night`. `batch` in rows, `patience` in looks at the rows held back."""

    rate: float = 1e-3
    beta: float = 0.5
    anchor: float = 0.1
    kl: float = 1.0
    passes: int = 3
    batch: int = 8
    looks: int = 3  # per pass
    patience: int = 4
    seed: int = 0


@dataclass(eq=False)
class Course:
    """Where a training stands, so that it can go on after a kill."""

    step: int = 0
    curve: list[Point] = field(default_factory=list)
    lowest: list[float] = field(default_factory=list)  # what rows held back cost, when they cost least
    since: int = 0  # looks at which it was surely worse


Tell = Callable[[int, int], None]  # steps done, steps in all


def train(
    base: Base, rows: Sequence[Rated], held: Sequence[Rated], recipe: Recipe, version: str,
    parent: Weights | None = None, tell: Tell = lambda done, steps: None, kept: Path | None = None,
) -> tuple[Weights, tuple[Point, ...]]:  # fmt: skip
    """A LoRA for these rows, and how it came about; `held` says when to stop. Begins with `parent`, if there is one.

    `kept`: a file from which it goes on if it was ended in the middle. Raises Diverged.
    """
    tuning = Tuning(base.shape, 1, base.loaded.device, recipe.seed)
    if parent:
        tuning.begin_with(parent)
    with base.learning(tuning):
        lesson = Lesson(base, tuning, balanced(rows), balanced(held), recipe)
        lesson.run(tell, Checkpoint(kept, lesson) if kept else None)
    if not all(bool(part.isfinite().all()) for part in tuning.parameters()):  # no loss tells of the last step
        raise Diverged(f"the weights after step {lesson.course.step} are no numbers")
    return lesson.best.weights(version) if lesson.best else tuning.weights(version), tuple(lesson.course.curve)


def balanced(rows: Sequence[Rated]) -> list[Rated]:
    """The same, so that liked and disliked weigh the same in sum, and a row 1 on average."""
    rows = [row for row in rows if row.weight > 0]
    sums = {liked: sum(row.weight for row in rows if row.liked == liked) for liked in (True, False)}
    kinds = sum(total > 0 for total in sums.values())
    return [replace(row, weight=row.weight * len(rows) / kinds / sums[row.liked]) for row in rows]


class Lesson:
    """One training. Everything that changes is here."""

    def __init__(
        self, base: Base, tuning: Tuning, rows: Sequence[Rated], held: Sequence[Rated], recipe: Recipe
    ) -> None:
        self.base, self.tuning, self.rows, self.held, self.recipe = base, tuning, rows, held, recipe
        self.model = base.loaded.model
        self.anchor = Anchor(base, tuning) if recipe.kl else None
        self.before = self._reference(rows)
        self.held_before = self._reference(held)
        self.course = Course()
        self.best: Tuning | None = None
        self.steps = recipe.passes * math.ceil(len(rows) / recipe.batch)
        self.optimizer = torch.optim.AdamW(list(tuning.parameters()), lr=recipe.rate, weight_decay=0.0)

    def run(self, tell: Tell, checkpoint: "Checkpoint | None" = None) -> None:
        """To the end, or until the rows held back have not improved for a while."""
        every = max(1, self.steps // (self.recipe.passes * self.recipe.looks))
        for step, batch in enumerate(self._batches()):
            if step < self.course.step:
                continue  # before we were ended
            loss, margin = self._step(step, batch)
            if not math.isfinite(loss):
                raise Diverged(f"the loss of step {step + 1} is {loss}")
            self.course.step = step + 1
            self._note(step + 1, loss, margin, bool(self.held) and (step + 1) % every == 0)
            tell(step + 1, self.steps)
            if self.course.since >= self.recipe.patience:
                return
            if checkpoint:
                checkpoint.now_and_then()

    def _note(self, step: int, loss: float, margin: float, looks: bool) -> None:
        costs, held_margin = self._look() if looks else ([], None)
        held_loss = sum(costs) / len(costs) if costs else None
        self.course.curve.append(Point(step, loss, margin, held_loss, held_margin))
        if costs:
            self._compare(costs)

    def _compare(self, costs: list[float]) -> None:
        """Is this still better than before? A few noisy rows are soon a little worse by luck: what is given up for an
        earlier state must be worse beyond the standard error of the difference, row by row."""
        lowest = self.course.lowest
        if lowest and surely_worse(costs, lowest):
            self.course.since += 1
            return
        self.best, self.course.since = self.tuning.copy(), 0
        if not lowest or sum(costs) < sum(lowest):
            self.course.lowest = costs

    def _batches(self) -> Iterator[list[int]]:
        """Rows by number, each once in a pass, liked and disliked spread evenly."""
        dice = random.Random(self.recipe.seed)
        for _ in range(self.recipe.passes):
            order = spread([row.liked for row in self.rows], dice)
            for at in range(0, len(order), self.recipe.batch):
                yield order[at : at + self.recipe.batch]

    def _step(self, step: int, batch: Sequence[int]) -> tuple[float, float]:
        """One update. Its loss, and how much further liked rows are than disliked ones."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate * schedule(step, self.steps)
        total = 0.0
        gains: list[tuple[int, float]] = []
        for part in parts([self.rows[at].row for at in batch], TOKENS):
            picked = [batch[at] for at in part]
            likelihood = self._read([self.rows[at] for at in picked])
            gain = likelihood - self.before[picked]
            loss = objective([self.rows[at] for at in picked], gain, likelihood, self.recipe).sum() / len(batch)
            loss.backward()  # type: ignore[no-untyped-call]
            total, gains = total + float(loss.detach()), [*gains, *zip(picked, gain.tolist(), strict=True)]
        if self.anchor:
            strayed = self.recipe.kl * self.anchor.strayed(step)
            strayed.backward()  # type: ignore[no-untyped-call]
            total += float(strayed.detach())
        torch.nn.utils.clip_grad_norm_(list(self.tuning.parameters()), CLIP)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return total, spread_of([(self.rows[at].liked, gain) for at, gain in gains])

    def _read(self, rows: Sequence[Rated]) -> Tensor:
        """Log-probability of each reply."""
        sheet = Sheet([rated.row for rated in rows], device=self.base.loaded.device)
        self.tuning.mix = Mix(runs=((0, sheet.tokens.shape[1], 0),))
        return likelihoods(scores(self.model, sheet), sheet)

    @torch.no_grad()
    def _reference(self, rows: Sequence[Rated]) -> Tensor:
        """Log-probability of each reply as things stand."""
        found = torch.zeros(len(rows))
        for part in parts([rated.row for rated in rows], TOKENS):
            found[part] = self._read([rows[at] for at in part]).cpu()
        return found.to(self.base.loaded.device)

    def _look(self) -> tuple[list[float], float]:
        """(what each of the rows held back costs, their margin)"""
        now = self._reference(self.held)
        gain = now - self.held_before
        plain = replace(self.recipe, anchor=0.0)
        costs: list[float] = objective(self.held, gain, now, plain).tolist()
        return costs, spread_of(list(zip([row.liked for row in self.held], gain.tolist(), strict=True)))


def surely_worse(now: Sequence[float], then: Sequence[float]) -> bool:
    """Has the mean risen by more than the standard error of the paired difference? Of one row nothing can be said."""
    rises = [a - b for a, b in zip(now, then, strict=True)]
    mean, count = sum(rises) / len(rises), len(rises)
    if count < 2 or mean <= 0:
        return False
    variance = sum((rise - mean) ** 2 for rise in rises) / (count - 1)
    return mean > math.sqrt(variance / count)


class Diverged(LimenError):
    """The training left all numbers behind: the weights are worth nothing."""


class Checkpoint:
    """Keeps a lesson in a file every so often, and lets it go on from there. One of another lesson is passed over."""

    def __init__(self, file: Path, lesson: Lesson) -> None:
        self._file, self._lesson, self._last = file, lesson, time.monotonic()
        self._about = fingerprint(lesson)
        if file.exists():
            self._go_on()

    def now_and_then(self) -> None:
        """Keep it if it is time. A disk that is full costs a later start, and not the night."""
        if time.monotonic() - self._last < EVERY:
            return
        self._last, one = time.monotonic(), self._lesson
        state = {
            "about": self._about,
            "step": one.course.step,
            "course": msgspec.msgpack.encode((one.course.curve, one.course.lowest, one.course.since)),
            "parts": [part.detach().cpu() for part in one.tuning.parameters()],
            "best": [part.cpu() for part in one.best.parameters()] if one.best else [],
            "optimizer": one.optimizer.state_dict(),
        }
        new = self._file.with_suffix(".new")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            torch.save(state, new)
            new.replace(self._file)
        except (OSError, RuntimeError) as error:
            new.unlink(missing_ok=True)
            log.warning("the night's progress could not be kept: %s", error)

    def _go_on(self) -> None:
        try:
            state = torch.load(self._file, weights_only=True)
            if state["about"] != self._about:
                return
            curve, lowest, since = msgspec.msgpack.decode(state["course"], type=tuple[list[Point], list[float], int])
        except UNREADABLE as error:
            log.warning("%s cannot be gone on from: %s", self._file, error)
            return
        one = self._lesson
        one.optimizer.load_state_dict(state["optimizer"])
        one.tuning.fill(state["parts"])
        one.course = Course(state["step"], curve, lowest, since)
        if state["best"]:
            one.best = one.tuning.copy()
            one.best.fill(state["best"])
        log.info("going on from step %d of %d", one.course.step, one.steps)


def fingerprint(lesson: Lesson) -> str:
    """What must be the same for a training to go on: the lesson as it begins. What rows weigh is not: it fades by the
    minute."""
    digest = hashlib.sha256(repr((lesson.recipe, lesson.base.loaded.ref, lesson.base.shape)).encode())
    for part in (*lesson.model.parameters(), *lesson.tuning.parameters()):
        digest.update(repr(int(part.detach().contiguous().view(BITS[part.element_size()]).sum())).encode())
    for rated in (*lesson.rows, *lesson.held):
        digest.update(repr((rated.row.prompt, rated.row.reply, rated.liked)).encode())
    return digest.hexdigest()


def objective(rows: Sequence[Rated], gain: Tensor, likelihood: Tensor, recipe: Recipe) -> Tensor:
    """What each row costs. `gain`: how much likelier its reply has become, in nats; `likelihood`: log-probability."""
    sign = gain.new_tensor([1.0 if row.liked else -1.0 for row in rows])
    weight = gain.new_tensor([row.weight for row in rows])
    cost = 1 - torch.sigmoid(recipe.beta * sign * gain)
    if recipe.anchor:
        lengths = gain.new_tensor([float(len(row.row.reply)) for row in rows])
        cost = cost - recipe.anchor * (sign > 0) * likelihood / lengths
    return weight * cost


def schedule(step: int, steps: int) -> float:
    """The rate over its highest: a short warm-up, then down a quarter of a circle."""
    return min(1.0, (step + 1) / WARM_UP) * 0.5 * (1 + math.cos(math.pi * step / max(steps, 1)))


def spread(liked: Sequence[bool], dice: random.Random) -> list[int]:
    """Row numbers in a random order in which liked ones come at even distances."""
    kinds = [[at for at, is_liked in enumerate(liked) if is_liked == kind] for kind in (True, False)]
    places = []
    for kind in kinds:
        dice.shuffle(kind)
        places += [((rank + dice.random()) / len(kind), at) for rank, at in enumerate(kind)]
    return [at for _, at in sorted(places)]


def parts(rows: Sequence[Row], most: int) -> list[list[int]]:
    """Row numbers, rows of like length together, in parts of so many tokens at most (but one row at least)."""
    order = sorted(range(len(rows)), key=lambda at: len(rows[at].tokens))
    found: list[list[int]] = [[]]
    room = most
    for at in order:
        size = len(rows[at].tokens)
        if size > room and found[-1]:
            found.append([])
            room = most
        found[-1].append(at)
        room -= size
    return [part for part in found if part]


def spread_of(gains: Sequence[tuple[bool, float]]) -> float:
    """Mean gain of the liked minus mean gain of the disliked; 0 where there are not both."""
    kinds = [[gain for is_liked, gain in gains if is_liked == kind] for kind in (True, False)]
    return sum(kinds[0]) / len(kinds[0]) - sum(kinds[1]) / len(kinds[1]) if all(kinds) else 0.0
