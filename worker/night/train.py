"""One LoRA from one persona's examples: what people liked becomes likelier, what they disliked less likely, and the
rest stays as it was.

Each reply is judged alone, for nobody rates pairs: a row's reward is how much likelier it has become than under the
weights that the night began with (KTO, Ethayarajh et al. 2024; APO-zero, D'Oosterlinck et al. 2024). Three things keep
that from breaking the language, each of which broke in our first runs without it: liked and disliked rows weigh the
same in sum; liked replies are learned for themselves, too; and on neutral text, and when it is asked who it is, the
model goes on speaking as the base.
"""

import hashlib
import itertools
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
from worker.night import neutral
from worker.night.anchors import Anchor
from worker.night.base import Base
from worker.night.below import Shelf
from worker.night.rows import Row, Sheet, by_row, leanings, likelihoods, token_logs
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
    """How it is learned: see the settings of `night`. `depth`: the share of the layers, from the top, that learn;
    `batch` in rows; `looks` in all at the rows held out. However few rows there are, `fewest` visits are made to them;
    however many, `visits` at most, but one to each: it is the replay that grows, and not the night. `practice`: answers
    that are made to learn from besides (see `practice.py`); 0: none."""

    rate: float = 1e-3
    beta: float = 0.5
    anchor: float = 0.1
    kl: float = 1.0
    depth: float = 0.5
    passes: int = 3
    fewest: int = 400
    visits: int = 600
    batch: int = 8
    looks: int = 3
    practice: int = 0
    seed: int = 0

    def steps(self, rows: int) -> int:
        """Updates for so many rows."""
        return math.ceil(min(max(self.passes * rows, self.fewest), max(self.visits, rows)) / self.batch)


class Look(msgspec.Struct, frozen=True):
    """What the rows held out have gained, each, in nats: how much likelier its reply has become, and how much the LoRA
    leans to it (see `rows.leanings`)."""

    gains: list[float] = []
    leanings: list[float] = []


@dataclass(eq=False)
class Course:
    """Where a training stands, so that it can go on after a kill."""

    step: int = 0
    curve: list[Point] = field(default_factory=list)
    looks: list["Look"] = field(default_factory=list)


Tell = Callable[[int, int], None]  # steps done, steps in all


def train(
    base: Base, rows: Sequence[Rated], held: Sequence[Rated], recipe: Recipe, version: str,
    parent: Weights | None = None, tell: Tell = lambda done, steps: None, kept: Path | None = None, upto: float = 1.0,
    shelf: Shelf | None = None, itself: Sequence[Row] = (),
) -> tuple[Weights, tuple[Point, ...], list[Look]]:  # fmt: skip
    """A LoRA for these rows, how it came about, and looks at `held`, from which nothing is learned.

    Begins with `parent`, if there is one; ends after the part `upto` of the steps.

    `kept`: a file from which it goes on if it was ended in the middle. `shelf`: what other trainings have found out of
    the same rows. `itself`: who it says it is (`identity.rows`). Raises Diverged.
    """
    tuning = Tuning(base.shape, 1, base.loaded.device, recipe.seed, lowest(base.shape.layers, recipe.depth, parent))
    if parent:
        tuning.begin_with(parent)
    with base.learning(tuning):
        counted = balanced([row for row in rows if row.weight > 0])
        lesson = Lesson(base, tuning, counted, held, recipe, shelf or Shelf(), itself, own=parent is not None)
        lesson.run(tell, Checkpoint(kept, lesson, upto) if kept else None, upto)
    if not all(bool(part.isfinite().all()) for part in tuning.parameters()):  # no loss tells of the last step
        raise Diverged(f"the weights after step {lesson.course.step} are no numbers")
    return tuning.weights(version), tuple(lesson.course.curve), lesson.course.looks


def lowest(layers: int, depth: float, parent: Weights | None = None) -> int:
    """The first layer that learns: some from the top, and whatever was learned before."""
    first = min(layers - 1, layers - round(layers * depth))
    return min(first, *(layer for layer, _ in parent.parts)) if parent else first


def balanced(rows: Sequence[Rated]) -> list[Rated]:
    """The same, so that liked and disliked weigh the same in sum, and a row 1 on average."""
    sums = {liked: sum(row.weight for row in rows if row.liked == liked) for liked in (True, False)}
    each = sum(row.weight > 0 for row in rows) / max(1, sum(total > 0 for total in sums.values()))
    return [replace(row, weight=row.weight * each / sums[row.liked]) if row.weight else row for row in rows]


class Lesson:
    """One training. Everything that changes is here. `own`: it does not begin with the base."""

    def __init__(
        self, base: Base, tuning: Tuning, rows: Sequence[Rated], held: Sequence[Rated], recipe: Recipe,
        shelf: Shelf, itself: Sequence[Row] = (), own: bool = False,
    ) -> None:  # fmt: skip
        self.base, self.tuning, self.rows, self.held, self.recipe = base, tuning, rows, held, recipe
        self.itself = itself
        self.below = shelf.below(base.loaded.model, tuning.first)
        held_on = [neutral.rows(base, 0), itself] if recipe.kl else []
        self.anchors = [Anchor(some, tuning, self.below, base.loaded.device) for some in held_on if some]
        logs = self._logs([one.row for one in (*rows, *held)], {} if own else shelf.logs)
        self.before = torch.stack([one.sum() for one in logs[: len(rows)]]) if rows else torch.zeros(0)
        self.held_parts = parts([one.row for one in held], TOKENS)
        self.held_before = [torch.cat([logs[len(rows) + at] for at in part]) for part in self.held_parts]
        self.course = Course()
        self.steps = recipe.steps(len(rows))
        self.optimizer = torch.optim.AdamW(list(tuning.parameters()), lr=recipe.rate, weight_decay=0.0)

    def run(self, tell: Tell, checkpoint: "Checkpoint | None" = None, upto: float = 1.0) -> None:
        """To the end, or to a part of the way."""
        last = max(1, round(self.steps * upto))
        looks = {max(1, round(self.steps * (at + 1) / self.recipe.looks)) for at in range(self.recipe.looks)}
        for step, batch in enumerate(itertools.islice(self._batches(), last)):
            if step < self.course.step:
                continue  # before we were ended
            loss, margin = self._step(step, batch)
            if not math.isfinite(loss):
                raise Diverged(f"the loss of step {step + 1} is {loss}")
            self.course.step = step + 1
            self.course.curve.append(Point(step + 1, loss, margin))
            if self.held and step + 1 in looks:
                self.course.looks.append(self._look())
            tell(step + 1, last)
            if checkpoint:
                checkpoint.now_and_then(done=step + 1 == last)
        while self.held and len(self.course.looks) < self.recipe.looks:  # fewer steps than looks
            self.course.looks.append(self.course.looks[-1])

    def _batches(self) -> Iterator[list[int]]:
        """Rows by number, each once in a pass, liked and disliked spread evenly; without end."""
        dice = random.Random(self.recipe.seed)
        while True:
            order = spread([row.liked for row in self.rows], dice)
            for at in range(0, len(order), self.recipe.batch):
                yield order[at : at + self.recipe.batch]

    def _step(self, step: int, batch: Sequence[int]) -> tuple[float, float]:
        """One update. Its loss, and how much further liked rows are than disliked ones."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate * schedule(step, self.steps)
        total = 0.0
        gains: list[tuple[int, float]] = []
        for number, part in enumerate(parts([self.rows[at].row for at in batch], TOKENS)):
            picked = [batch[at] for at in part]
            anchors = self.anchors if number == 0 else []
            likelihood, strayed = self._read([self.rows[at] for at in picked], anchors, step)
            gain = likelihood - self.before[picked]
            loss = objective([self.rows[at] for at in picked], gain, likelihood, self.recipe).sum() / len(batch)
            loss = loss + self.recipe.kl * strayed
            loss.backward()  # type: ignore[no-untyped-call]
            total, gains = total + float(loss.detach()), [*gains, *zip(picked, gain.tolist(), strict=True)]
        torch.nn.utils.clip_grad_norm_(list(self.tuning.parameters()), CLIP)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return total, spread_of([(self.rows[at].liked, gain) for at, gain in gains])

    def _read(self, rows: Sequence[Rated], anchors: Sequence[Anchor] = (), step: int = 0) -> tuple[Tensor, Tensor]:
        """(log-probability of each reply, how far it has strayed on what it holds on to, which is read with them)"""
        plain, itself = [anchor.row(step) for anchor in anchors[:1]], [anchor.row(step) for anchor in anchors[1:]]
        sheet = Sheet([*(rated.row for rated in rows), *itself], plain, self.base.loaded.device)
        self.tuning.mix = Mix(runs=((0, sheet.tokens.shape[1], 0),))
        logits = self.below.scores(sheet)
        likelihood = likelihoods(logits, sheet)[: len(rows)]
        strayed, rest = likelihood.new_zeros(()), logits[sum(len(rated.row.reply) for rated in rows) :]
        for anchor, row in zip((*anchors[1:], *anchors[:1]), (*itself, *plain), strict=True):
            strayed = strayed + anchor.strayed(step, rest[: len(row.reply)])
            rest = rest[len(row.reply) :]
        return likelihood, strayed

    def _logs(self, rows: Sequence[Row], known: dict[Row, Tensor]) -> list[Tensor]:
        """Log-probability of each token of the replies as things stand, where it is not `known`."""
        new = [row for row in dict.fromkeys(rows) if row not in known]
        for part in parts(new, TOKENS):
            sheet, logs = self._token_logs([new[at] for at in part])
            known |= {new[at]: logs[sheet.whose == number] for number, at in enumerate(part)}
        return [known[row] for row in rows]

    def _look(self) -> Look:
        """At the rows held out, as things stand."""
        look = Look([0.0] * len(self.held), [0.0] * len(self.held))
        for part, before in zip(self.held_parts, self.held_before, strict=True):
            sheet, now = self._token_logs([self.held[at].row for at in part])
            found = by_row(now - before, sheet).tolist(), leanings(now - before, sheet).tolist()
            for at, gain, leaning in zip(part, *found, strict=True):
                look.gains[at], look.leanings[at] = gain, leaning
        return look

    @torch.no_grad()
    def _token_logs(self, rows: Sequence[Row]) -> tuple[Sheet, Tensor]:
        """Rows on a sheet, and the log-probability of each token of their replies."""
        sheet = Sheet(rows, device=self.base.loaded.device)
        self.tuning.mix = Mix(runs=((0, sheet.tokens.shape[1], 0),))
        return sheet, token_logs(self.below.scores(sheet), sheet)


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

    def __init__(self, file: Path, lesson: Lesson, upto: float = 1.0) -> None:
        self._file, self._lesson, self._last = file, lesson, time.monotonic()
        self._about = f"{fingerprint(lesson)} {upto}"
        if file.exists():
            self._go_on()

    def now_and_then(self, done: bool = False) -> None:
        """Keep it if it is time, or all is done. A disk that is full costs a later start, and not the night."""
        if time.monotonic() - self._last < EVERY and not done:
            return
        self._last, one = time.monotonic(), self._lesson
        state = {
            "about": self._about,
            "step": one.course.step,
            "course": msgspec.msgpack.encode((one.course.curve, one.course.looks)),
            "parts": [part.detach().cpu() for part in one.tuning.parameters()],
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
            curve, looks = msgspec.msgpack.decode(state["course"], type=tuple[list[Point], list[Look]])
        except UNREADABLE as error:
            log.warning("%s cannot be gone on from: %s", self._file, error)
            return
        one = self._lesson
        one.optimizer.load_state_dict(state["optimizer"])
        one.tuning.fill(state["parts"])
        one.course = Course(state["step"], curve, looks)
        log.info("going on from step %d of %d", one.course.step, one.steps)


def fingerprint(lesson: Lesson) -> str:
    """What must be the same for a training to go on: the lesson as it begins. What rows weigh is not: it fades by the
    minute."""
    sizes = len(lesson.rows), len(lesson.held)
    digest = hashlib.sha256(repr((lesson.recipe, sizes, lesson.base.loaded.ref, lesson.base.shape)).encode())
    for part in (*lesson.base.loaded.model.parameters(), *lesson.tuning.parameters()):
        digest.update(repr(int(part.detach().contiguous().view(BITS[part.element_size()]).sum())).encode())
    for row in lesson.itself:
        digest.update(repr((row.prompt, row.reply)).encode())
    for rated in (*lesson.rows, *lesson.held):
        digest.update(repr((rated.row.prompt, rated.row.reply, rated.liked)).encode())
    return digest.hexdigest()


def cost(rows: Sequence[Rated], gains: Sequence[float], recipe: Recipe) -> list[float]:
    """What each row costs with such gains, in nats, but for its anchor."""
    gain = torch.tensor(gains)
    found: list[float] = objective(balanced(rows), gain, gain, replace(recipe, anchor=0.0)).tolist()
    return found


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
