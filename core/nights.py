"""What a night found, measured and decided, as plain data: the worker writes it, commands and reports read it. Pure.

A *night* is one training run of one persona: collect → split → train → gate → promote or reject → report.
"""

from enum import StrEnum

import msgspec

from core.events import PersonaKey


class Outcome(StrEnum):
    """How a night ended. Everything but PROMOTED and TRIAL leaves the live version as it was."""

    PROMOTED = "promoted"
    TRIAL = "trial"  # it passed the gate, and serves a share of the sessions until reactions decide
    REJECTED = "rejected"  # the gate found something worse
    UNDECIDED = "undecided"  # neither shown better nor worse: the next night has more to go by
    WAITING = "waiting"  # a trial is on, or nothing could judge a new one yet: nothing was trained
    NOT_ENOUGH = "not enough"  # too few labels: nothing was trained
    PINNED = "pinned"  # somebody fixed the version: nothing was trained
    FAILED = "failed"  # something went wrong; `notes` say what
    DRY_RUN = "dry run"  # as asked: trained and judged, and nothing kept


class Check(msgspec.Struct, frozen=True):
    """One row of the gate's table: what was measured, what it must be, and whether it is. `why` in plain words."""

    name: str
    value: float
    bound: str
    passed: bool
    why: str = ""


class Point(msgspec.Struct, frozen=True, omit_defaults=True):
    """A point of the training curves. `margin`: mean log-ratio of liked minus disliked rows, in nats; on rows that were
    trained on and on those held out by the LoRAs that judge."""

    step: int
    loss: float
    margin: float
    held_loss: float | None = None
    held_margin: float | None = None


class Tried(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of the settings that a sweep tried. `held`: what a row held out cost, on average, by look, at even distances
    of its way; none if it came to no end, and `why` says so. `taken`: with these it was learned."""

    rate: float
    anchor: float
    held: tuple[float, ...] = ()
    taken: bool = False
    why: str = ""


class Sample(msgspec.Struct, frozen=True):
    """The same question, answered before and after."""

    prompt: str
    before: str
    after: str


class Shift(msgspec.Struct, frozen=True):
    """Something about the voice that can be counted (words a reply, questions a reply, …), before and after."""

    name: str
    before: float
    after: float


class Count(msgspec.Struct, frozen=True, omit_defaults=True):
    """One person's part in a night. `trust` and `share` (of the night's weight) are 0 to 1; `notes` in plain words."""

    user: str
    votes: int
    likes: int
    trust: float
    share: float
    notes: tuple[str, ...] = ()


class Ratings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came in: all that is kept, and not the last day's alone. `reactions` stand, and are of people who agreed.

    `effective`: labels that the votes are worth together; `unknown` emoji are recorded, not counted. `heard`: how many
    people voted, of whom `people` are the weightiest; 0 where only these were kept.
    `refused`: rows that were not used, by reason (`no consent`, `deleted`, `edited`, …).
    """

    reactions: int = 0
    replies: int = 0
    liked: int = 0
    disliked: int = 0
    effective: float = 0.0
    needed: float = 0.0
    unknown: dict[str, int] = {}
    refused: dict[str, int] = {}
    people: tuple[Count, ...] = ()
    heard: int = 0

    @property
    def voters(self) -> int:
        """How many people voted."""
        return max(self.heard, len(self.people))


class Rows(msgspec.Struct, frozen=True, omit_defaults=True):
    """How many examples were learned from, and how many of them `held` out first, to judge LoRAs made without them."""

    train: int = 0
    held: int = 0


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a LoRA comes from, kept beside its weights for as long as they are: which replies it was trained on
    (`rows`, by id), whose words or votes are in them (`people`), on which base (its name and the hash of its weights),
    with which settings, seed and code, and what the gate found. `parent`: the version whose weights it began with."""

    version: str
    persona: str
    night: str
    made: float
    base: str
    base_hash: str
    rows: tuple[str, ...]
    people: tuple[str, ...]
    seed: int = 0
    code: str = ""
    parent: str = ""
    settings: dict[str, float | int | str] = {}
    scores: dict[str, float] = {}


class Night(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One night of one persona. Times in seconds UTC; `day` is the operator's (`20261127`).

    `before` served until then; `version` is the new one, empty if none was made. `reasons` say why it ended so, and
    `notes` what was odd about the ratings or the run; both are for people. `settings` are those it was trained with.
    """

    id: str
    persona: PersonaKey
    title: str
    day: str
    began: float
    ended: float
    outcome: Outcome
    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    before: str = "base"
    version: str = ""
    ratings: Ratings = Ratings()
    rows: Rows = Rows()
    curve: tuple[Point, ...] = ()
    tried: tuple[Tried, ...] = ()
    checks: tuple[Check, ...] = ()
    samples: tuple[Sample, ...] = ()
    voice: tuple[Shift, ...] = ()
    settings: dict[str, float | int | str] = {}
    base: str = ""
    seed: int = 0
    cpu_seconds: float = 0.0
