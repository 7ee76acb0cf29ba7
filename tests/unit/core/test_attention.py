"""core/attention.py: when to speak."""

import pytest

from core.attention import attend
from core.events import Addressed, Kind, Message, Person, Place
from core.settings import Attention

ROOM, DM = Place("discord", "77", "901"), Place("discord", "77", "5", kind=Kind.DM)
RULES = Attention()
ANN = Person("discord:1", "Ann")


def said(text: str, place: Place = ROOM, who: Person = ANN, to: Addressed = Addressed.NO) -> Message:
    return Message(id="1", account="discord:9", place=place, author=who, time=0.0, text=text, addressed=to)


@pytest.mark.parametrize(
    ("message", "speak"),
    [
        (said("hello", DM), True),
        (said("hello"), False),
        (said("hello", to=Addressed.MENTION), True),
        (said("yes", to=Addressed.REPLY), True),
        (said("what does mira think?"), True),
        (said("MIRA!"), True),
        (said("the miracle"), False),
        (said("   ", DM), False),
        (said("hello", DM, Person("discord:9")), False),
        (said("mira?", who=Person("discord:3", "Other", is_bot=True)), False),
    ],
)
def test_it_answers_what_is_meant_for_it(message: Message, speak: bool) -> None:
    """DM, mention, reply or name; never itself, other bots, or nothing."""
    assert speak == attend(message, ("Captain Mira", "mira"), RULES).speak


def test_bots_are_answered_only_where_the_operator_wants_it() -> None:
    """A setting, off by default."""
    message = said("mira?", who=Person("discord:3", "Other", is_bot=True))

    assert attend(message, ("mira",), Attention(bots=True)).speak


def test_a_terminal_does_not_wait_for_more() -> None:
    """Where every message is whole there is nothing to settle."""
    assert 0 < attend(said("hi", DM), (), RULES).delay
    assert 0 == attend(said("hi", DM), (), RULES, settle=False).delay
