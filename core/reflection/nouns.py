"""The steps of reflection, and what one of them made. Light: bot processes know these, too."""

from enum import StrEnum

import msgspec


class Step(StrEnum):
    """In the order in which they are made."""

    SUMMARY = "summary"
    FACTS = "facts"
    BONDS = "relationships"
    SELF = "self-description"


class Output(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one step made. `sources`: ids of the memories it was made of. `why`: what speaks against it, if it is
    dropped.

    `person` and `name`: whom it is about. `by`: `rules` or `model`. `weight`: importance from 0 to 1. `known` and
    `warmth`: what a relationship gains.
    """

    step: Step
    text: str
    sources: tuple[str, ...] = ()
    why: str = ""
    person: str = ""
    name: str = ""
    by: str = "rules"
    slot: str = ""
    weight: float = 0.0
    time: float = 0.0
    known: float = 0.0
    warmth: float = 0.0

    @property
    def kept(self) -> bool:
        """Was nothing found against it?"""
        return not self.why
