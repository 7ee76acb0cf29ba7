"""core/group/quota.py: what an answer has to pass."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from core.events import Kind, Message, Person, Place
from core.group.quota import gate, reset
from core.settings import Attention

PLACES = [
    Place("slack", "T1", "C1"), Place("slack", "T1", "C1", "17.1", Kind.THREAD), Place("slack", "T1", "C2"),
    Place("slack", "T1", "D1", kind=Kind.DM),
]  # fmt: skip
PEOPLE = [Person("slack:T1:U1"), Person("slack:T1:U2"), Person("slack:T1:B1", is_bot=True)]

messages = st.builds(
    Message, id=st.just("1"), account=st.sampled_from(["slack:T1:U9", "slack:T1:U8"]), place=st.sampled_from(PLACES),
    author=st.sampled_from(PEOPLE), time=st.floats(0, 1e9), text=st.just("hi"),
)  # fmt: skip
counts = st.integers(0, 5)
rules = st.builds(
    Attention, ambient_per_hour=st.integers(1, 5), person_quota=counts, channel_quota=counts, bots=st.booleans(),
    quota_minutes=st.floats(1, 1000), quota_free=st.sampled_from(["", "slack:T1:U1"]),
)  # fmt: skip


@given(messages)
def test_by_default_nothing_is_counted_but_bots(message: Message) -> None:
    """Whoever sets nothing pays for nothing: no gate, no key."""
    found = gate(message, Attention())

    assert message.author.is_bot == (found is not None)
    assert found is None or (found.bounds == () and found.turns and 4 == found.turns.most)


@given(messages, rules, st.booleans())
def test_each_bound_holds_where_it_should(message: Message, rules: Attention, overheard: bool) -> None:
    """A person's own quota is for what they ask; the rate for what is overheard; the channel's for both."""
    found = gate(message, rules, overheard)
    bounds = {bound.key.split(":")[1]: bound for bound in found.bounds} if found else {}
    free = message.author.id == rules.quota_free

    assert ("overheard" in bounds) == overheard
    assert ("person" in bounds) == (rules.person_quota > 0 and not overheard and not free)
    is_room = message.place.kind != Kind.DM
    assert ("spoken" in bounds) == (rules.channel_quota > 0 and is_room and (overheard or not free))
    for name, most in (("person", rules.person_quota), ("spoken", rules.channel_quota)):
        assert name not in bounds or most == bounds[name].most


@given(messages, rules)
def test_of_what_is_overheard_nobody_is_told(message: Message, rules: Attention) -> None:
    """Who did not ask is not asked to wait. Whoever did is told by words that fit the rules."""
    asked, overheard = gate(message, rules), gate(message, rules, overheard=True)

    assert overheard
    assert message.time == overheard.alone
    assert not any(bound.told for bound in overheard.bounds)
    for bound in asked.bounds if asked else ():
        assert bound.told
        assert bound.told != bound.key
        assert "must rest a little" in bound.note


@given(messages, messages, rules)
def test_people_channels_and_accounts_are_counted_apart(one: Message, other: Message, rules: Attention) -> None:
    """Only a channel and its threads are counted together."""
    rules = msgspec.structs.replace(rules, person_quota=2, channel_quota=2, quota_free="")
    here, there = gate(one, rules), gate(other, rules)
    assert here
    assert there
    shared = {bound.key for bound in here.bounds} & {bound.key for bound in there.bounds}
    is_same_room = (one.account, one.place.channel) == (other.account, other.place.channel)

    assert any("person" in key for key in shared) == (one.author == other.author)
    assert any("spoken" in key for key in shared) == (is_same_room and one.place.kind != Kind.DM)
    if one.author.is_bot and other.author.is_bot:
        assert here.turns
        assert (here.turns == there.turns) == is_same_room


@given(messages, rules)
def test_people_set_the_count_of_bots_back_where_there_is_one(message: Message, rules: Attention) -> None:
    """In the whole channel; a bot never sets anything back."""
    bot = msgspec.structs.replace(message, author=PEOPLE[2])
    counted = gate(bot, rules)

    assert counted
    assert counted.turns
    assert "" == reset(bot, rules)
    assert (counted.turns.key if rules.bots and not message.author.is_bot else "") == reset(message, rules)


def test_a_note_says_how_much_it_was_in_plain_words() -> None:
    """As people say it."""
    message = Message(id="1", account="slack:T1:U9", place=PLACES[0], author=PEOPLE[0], time=0.0, text="hi")

    def notes(**quota: float) -> list[str]:
        found = gate(message, msgspec.convert(quota, Attention))
        return [bound.note.partition(" and ")[0] for bound in found.bounds] if found else []

    assert ["I have answered you 20 times in an hour"] == notes(person_quota=20)
    assert ["I have spoken 1,000 times here in 24 hours"] == notes(channel_quota=1000, quota_minutes=1440)
    assert ["I have answered you once in 90 minutes"] == notes(person_quota=1, quota_minutes=90)
