"""Who is read how far in the next step. Policy only: no tensors, no clock; plain numbers in, plain numbers out.

Everybody who is being answered gets a token. What room is left reads prompts, people before files and the short before
the long, so that a greeting need not wait for a novel; every fourth step is the longest-waiting one's, so that the
novel is read as well (and a file's prompt is, however many people talk).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from core.jobs import Lane

TURN = 4  # every so many steps the oldest prompt goes first
REMAINDER, ALONE = 1.25, 3.0  # times what a step holds: a prompt that ends so soon is read to its end
LEAST = 16  # tokens of prompts that a step reads even when it is full of replies


@dataclass(frozen=True)
class Want:
    """A row that goes on: `left` tokens still to read after `past` (one: it is being answered). `order`: by arrival."""

    left: int
    past: int
    lane: Lane
    order: int


def shares(wants: Sequence[Want], room: int, far: float, step: int) -> list[int]:
    """How many tokens of each to read in this step. `room`: tokens that a step may hold; `step` counts steps.

    `far`: after so many tokens of past, a token takes twice the time: attention looks at all of it.
    """
    given = [1 if want.left == 1 else 0 for want in wants]
    rest = max(float(room - sum(given)), LEAST)
    oldest = step % TURN == 0
    for at in sorted(range(len(wants)), key=lambda at: _rank(wants[at], oldest, far)):
        want = wants[at]
        if want.left > 1 and rest >= 1:
            given[at] = _affordable(want, rest, far, ALONE if len(wants) == 1 else REMAINDER)
            rest -= given[at] * (1 + want.past / far)
    return given


def _rank(want: Want, oldest: bool, far: float) -> tuple[bool, float, int]:
    """The least work first: the end of a long prompt is dearer than it is long."""
    if oldest:
        return (False, 0.0, want.order)
    return (want.lane != Lane.LIVE, want.left * (1 + want.past / far), want.order)


def _affordable(want: Want, rest: float, far: float, remainder: float) -> int:
    """Tokens of this row that cost no more than `rest`; at least one, so that it never stands still.

    A remainder is read with them if it is small, for a step of its own would cost more, or if nobody else waits.
    """
    most = rest / (1 + want.past / far)
    return want.left if want.left <= remainder * most else max(1, int(most))


def youngest(wants: Sequence[Want]) -> int:
    """Who yields when room is short: background before live, the latest before those who were there."""
    return max(range(len(wants)), key=lambda at: (wants[at].lane != Lane.LIVE, wants[at].order))


def first(orders: Sequence[tuple[Lane, int]]) -> list[int]:
    """Whose turn it is to be let in: live before background, then by arrival."""
    return sorted(range(len(orders)), key=lambda at: (orders[at][0] != Lane.LIVE, orders[at][1]))
