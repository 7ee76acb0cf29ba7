"""core/group/attention.py: when to speak."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.events import Addressed, Kind, Message, Person, Place
from core.group.attention import attend
from core.settings import Attention

ROOM, DM = Place("discord", "77", "901"), Place("discord", "77", "5", kind=Kind.DM)
RULES = Attention()
ANN = Person("discord:1", "Ann")


def said(
    text: str, place: Place = ROOM, who: Person = ANN, to: Addressed = Addressed.NO, answers: str = "",
    calls: tuple[Person, ...] = (),
) -> Message:  # fmt: skip
    return Message(
        id="1", account="discord:9", place=place, author=who, time=0.0, text=text, addressed=to, reply_to=answers,
        mentions=calls,
    )  # fmt: skip


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


people = st.sampled_from([ANN, Person("discord:3", "Other", is_bot=True), Person("discord:9", "Mira", is_bot=True)])
messages = st.builds(
    said, st.sampled_from(["hello", "mira?", "  ", "stop"]), st.sampled_from([ROOM, DM]), people,
    st.sampled_from(list(Addressed)), st.sampled_from(["", "m-7"]), st.sampled_from([(), (Person("discord:2"),)]),
)  # fmt: skip
rules = st.builds(
    Attention, names=st.booleans(), bots=st.booleans(), ambient_per_hour=st.sampled_from([0, 3]),
    quiet_for=st.sampled_from(["overheard", "channels", "everything"]),
)  # fmt: skip


@given(messages, rules, st.booleans(), st.booleans())
def test_it_never_answers_itself(message: Message, rules: Attention, settle: bool, quiet: bool) -> None:
    """Whatever the rules are, and however it called itself."""
    if attend(message, ("mira",), rules, settle, quiet).speak:
        assert message.author.id != message.account
        assert not message.author.is_bot or rules.bots


@given(messages, rules, st.booleans())
def test_the_overheard_is_answered_only_to_people_where_a_rate_is_set(
    message: Message, rules: Attention, quiet: bool
) -> None:
    """Not in a DM, where all is for us; not in quiet hours; not between two who answer each other."""
    decision = attend(message, ("mira",), rules, quiet=quiet)
    if decision.overheard:
        assert rules.ambient_per_hour
        assert not quiet
        assert not message.author.is_bot
        assert not message.reply_to
        assert not message.mentions
        assert Kind.CHANNEL == message.place.kind
        assert Addressed.NO == message.addressed
    elif not quiet:
        silent = attend(message, ("mira",), Attention(names=rules.names, bots=rules.bots))
        assert decision.speak == silent.speak


@given(messages, rules)
def test_talk_to_nobody_in_particular_may_be_joined(message: Message, rules: Attention) -> None:
    """Where a rate is set; what replies to somebody else or calls them is between them, unless they call us."""
    joins = bool(message.text.strip()) and rules.ambient_per_hour > 0 and not (message.reply_to or message.mentions)
    if message.author == ANN and attend(message, (), rules).speak != joins:
        assert message.place.kind == Kind.DM or message.addressed != Addressed.NO


@given(messages, rules)
def test_quiet_hours_only_silence(message: Message, rules: Attention) -> None:
    """What is answered in them is answered at any hour."""
    if attend(message, ("mira",), rules, quiet=True).speak:
        assert attend(message, ("mira",), rules).speak


@pytest.mark.parametrize(
    ("left", "spoken"),
    [("overheard", [True, True, False]), ("channels", [True, False, False]), ("everything", [False] * 3)],
)
def test_in_quiet_hours_the_setting_says_who_is_answered(left: str, spoken: list[bool]) -> None:
    """A DM, a mention, and something overheard."""
    quiet = Attention(ambient_per_hour=5, quiet_for=left)  # type: ignore[arg-type]
    tried = [said("hello", DM), said("hello", to=Addressed.MENTION), said("hello")]

    assert spoken == [attend(message, (), quiet, quiet=True).speak for message in tried]
