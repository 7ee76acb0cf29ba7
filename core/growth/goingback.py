"""Back to an earlier day: the personality, and the LoRA that served then. Memories stay.

Both go back by a note that is added to a history, so that this too can be seen and undone.
"""

import datetime as dt
from zoneinfo import ZoneInfo

import msgspec

from core import days
from core.errors import LoraError
from core.events import PersonaKey
from core.growth.growing import Growth
from core.growth.telling import moves
from core.jobs import BASE
from core.personality import State
from core.store.loras import LOST, Loras, Serving
from personas.card import Card


class Back(msgspec.Struct, frozen=True):
    """How it was and is. `lora`: what it speaks with now; `note`: why that is not what it spoke with then. `turned`: it
    spoke with something else before."""

    before: State
    now: State
    lora: str = BASE
    note: str = ""
    turned: bool = False


async def go_back(
    growth: Growth, loras: Loras, persona: PersonaKey, card: Card, person: str, day: int, zone: str
) -> Back:  # fmt: skip
    """Make it as it was at the end of a day. Raises InputError for a card that does not evolve, StoreError."""
    before = await growth.state(persona, card)
    now = await growth.rollback(persona, card, person, day)
    serving = await loras.serving(persona)
    then = spoke_with(serving, ends(day, zone))
    if then == serving.live:
        return Back(before, now, serving.live)
    try:
        await loras.promote(persona, then, f"rollback to {days.date(day)}")
    except LoraError as error:
        return Back(before, now, serving.live, str(error))
    return Back(before, now, then, turned=True)


def told(back: Back, day: str) -> str:
    """What it came to, for people. `day`: how they call it."""
    found = moves(back.before, back.now, (), lambda change: "")
    dials = ", ".join(f"{move.dial} {move.before:.2f} → {move.now:.2f}" for move in found)
    at = "at the end of " if day[0].isdigit() else ""
    rows = [f"I am as I was {at}{day}{': ' + dials if dials else ''}."]
    if back.turned:
        rows.append(f"I speak with {'the base' if back.lora == BASE else back.lora} again.")
    if back.note:
        rows.append(f"I go on speaking with {back.lora}: {back.note}.")
    return "\n".join([*rows, "Memories stay."])


def ends(day: int, zone: str) -> float:
    """When a day is over, in seconds UTC."""
    morning = dt.datetime.combine(days.date(day) + dt.timedelta(days=1), dt.time(), ZoneInfo(zone)) + days.NIGHT
    return morning.timestamp()


def spoke_with(serving: Serving, moment: float) -> str:
    """The version that was live at a moment (seconds UTC), as far as that is known."""
    past = (one.version for one in serving.history if one.time <= moment and not one.why.startswith(LOST))
    return next(past, BASE)
