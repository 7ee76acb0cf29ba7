"""worker/night/reading.py and who is to be heard: what a night makes of reactions."""

import pytest

from core.events import PersonaKey
from core.feedback import Fact, Seen
from core.votes import polarity
from worker.night.reading import read
from worker.night.sight import shared

OWNER, GUEST = "console:local:me", "console:local:ben"
OWN, CHANNEL = (PersonaKey("console:local", "mira", f"console:local:{kind}:me") for kind in ("user", "channel"))


def seen(number: int, *given: tuple[str, str]) -> Seen:
    """A reply with these reactions."""
    facts = tuple(Fact(f"{number}-{at}", user, emoji, float(number)) for at, (user, emoji) in enumerate(given))
    return Seen(reply=f"r{number}", time=float(number), length=20, facts=facts, text=f"Reply {number}.")


@pytest.mark.parametrize("emoji", [["🪨"], ["👍", "👎"]])
@pytest.mark.parametrize("known", [None, (), ("r1",)])
def test_reactions_that_are_no_votes_are_read(emoji: list[str], known: tuple[str, ...] | None) -> None:
    """One that means nothing, and two that cancel out."""
    reading = read([seen(1, *((OWNER, one) for one in emoji))], polarity.ours(), shared=True, now=9.0, known=known)

    assert 0.0 == reading.effective


def test_a_guest_leaves_the_owner_of_a_scope_their_say() -> None:
    """One reaction of somebody else makes no crowd, in which all would weigh the same."""
    told = [*(seen(at, (OWNER, "👍" if at % 2 else "👎")) for at in range(40)), seen(40, (GUEST, "👍"))]
    reading = read(told, polarity.ours(), shared=shared(OWN, told), now=99.0)

    assert 35 < reading.effective
    assert (False, True) == (shared(OWN, told), shared(CHANNEL, told))
    assert shared(OWN, [seen(at, (f"file:{at % 9}", "👍")) for at in range(18)])
