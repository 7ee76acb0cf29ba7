"""The seam between serving and the model: what goes in, what comes out, step by step. Imports no torch.

`serve.py` knows only this page, so that engines may be exchanged behind it.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from core.jobs import BASE, Lane
from core.prompt import Prompt
from core.speakers import NOBODY, Speakers
from personas.sampling import Sampling


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt that fits. `messages` (role, content) are what the model is given, exactly; the ledger keeps them.

    `history_dropped` counts the oldest history lines that were left out; `dropped` names sections and lines that were.
    The first `own` messages are the card's: its character, and its examples. `spoken`, in tokens: what a reply should
    not copy, which is the persona's earlier replies and the stage directions; `told`: how what is never said begins,
    each with the token that must not follow. `speakers`: for whom it must not speak.
    """

    messages: tuple[dict[str, str], ...]
    tokens: tuple[int, ...]
    dropped: tuple[str, ...] = ()
    history_dropped: int = 0
    own: int = 0
    spoken: tuple[tuple[int, ...], ...] = ()
    told: tuple[tuple[int, ...], ...] = ()
    speakers: Speakers = NOBODY


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One reply to generate. `id` is unique per attempt.

    `tokens` and `messages` are the same prompt: engines of our own read tokens, servers are given messages.
    `loras` are versions in order of preference (the one that serves, then earlier good ones); the base comes last
    without being named. `after` is the id of a request with the same prompt: whoever keeps what was read of a prompt
    may let this one wait for that. With `choices` no reply is wanted, but how likely each of them is to come next.
    `spoken`, `told`, `speakers`: see `Rendered`.
    """

    id: str
    tokens: tuple[int, ...]
    sampling: Sampling
    seed: int
    messages: tuple[dict[str, str], ...] = ()
    loras: tuple[str, ...] = ()
    lane: Lane = Lane.LIVE
    after: str = ""
    choices: tuple[tuple[int, ...], ...] = ()
    spoken: tuple[tuple[int, ...], ...] = ()
    told: tuple[tuple[int, ...], ...] = ()
    speakers: Speakers = NOBODY


class Piece(msgspec.Struct, frozen=True):
    """Text that is final now (it may be empty), after `tokens` generated tokens."""

    id: str
    text: str
    tokens: int = 0


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a request. `finish`: `stop`, `length`, `weighed`, `cancelled` or `error` (then `error` says why).

    `lora` is the version that spoke: `base`, or one of those that were asked for. `scores`, once weighed: the log of
    each choice's chance.
    """

    id: str
    text: str
    finish: str
    tokens: int = 0
    lora: str = BASE
    error: str = ""
    scores: tuple[float, ...] = ()


class Generator(Protocol):
    """Generates replies for many requests at once.

    `step` may run in a thread of its own; `add` and `cancel` may be called from another one meanwhile, and take
    effect with the next step.
    """

    def render(self, prompt: Prompt, reserve: int) -> Rendered:
        """Fit a prompt into the context, with room for `reserve` tokens of reply."""

    def weighing(self, request_id: str, lead: str, choices: Sequence[str], asked: Request) -> Request | None:
        """A request for how likely each choice is to follow the text `lead`, for whoever `asked`; None: that cannot be
        told here."""

    def add(self, request: Request) -> None:
        """Let a request join at the next step."""

    def cancel(self, request_id: str) -> None:
        """Let a request end, with what it has, at the next step. Unknown ids are none of our business."""

    def step(self) -> list[Piece | Finished]:
        """One token for everybody."""

    @property
    def active(self) -> int:
        """How many requests have not ended."""

    def about(self) -> dict[str, str | int | float]:
        """What `limen status` shows of the engine as it is now. Names are the same from call to call."""

    def faults(self) -> dict[str, str]:
        """LoRA versions that cannot be loaded now, and why."""
