"""The ledger's replies and a reading of their votes → training rows, with the exact prompt that was served."""

import msgspec

from core.store.ledger import Told


class Example(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A training row: what the model was given (`messages`), what it said (`text`), and what that is worth.

    `weight` (0 to 1) has everything in it: trust, damping, age. `group` is the conversation and session it stood in:
    rows of one group never fall on both sides of a split. `people` are all whose words or votes are in it.
    """

    reply: str
    group: str
    time: float
    messages: tuple[Told, ...]
    text: str
    liked: bool
    weight: float
    people: tuple[str, ...] = ()
    lora: str = "base"
