"""core/group/manners.py: whom we hear and where, when we rest, and what makes us stop."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.config import load
from core.errors import ConfigError
from core.events import Addressed, Kind, Message, Person, Place
from core.group.manners import at_home, hears, is_quiet, named, says_stop
from core.settings import Attention

ANN = Person("discord:1", "Ann")
ROOM, THREAD = Place("discord", "77", "901"), Place("discord", "77", "901", "5", Kind.THREAD)
ELSEWHERE, DM = Place("discord", "88", "901"), Place("discord", "dm", "6", kind=Kind.DM)
NAMES = ("Captain Mira", "mira")

words = st.text("abcdef0123456789.-%é", min_size=1, max_size=6)
places = st.builds(Place, words, words, words, st.just("") | words)
people = st.builds(Person, st.builds("{}:{}".format, words, words))


@pytest.mark.parametrize(
    ("ids", "inside"),
    [
        ("discord:77:901", {ROOM, THREAD}),
        ("discord:77:901:5", {THREAD}),
        ("discord:77:*", {ROOM, THREAD}),
        ("discord:77", {ROOM, THREAD}),
        ("discord:*:901", {ROOM, THREAD, ELSEWHERE}),
        ("discord:dm:*, discord:88:9*", {ELSEWHERE, DM}),
        ("discord:*", {ROOM, THREAD, ELSEWHERE, DM}),
        ("discord:7:* discord:77:90 slack:77:901 discord:77:901:55", set()),
        ("discord:77:90.", set()),
    ],
)
def test_a_list_names_servers_channels_and_threads(ids: str, inside: set[Place]) -> None:
    """A channel has its threads in it; a star stands for anything between two colons, other signs for themselves."""
    everywhere = {ROOM, THREAD, ELSEWHERE, DM}

    assert inside == {place for place in everywhere if hears(place, ANN, Attention(allow_places=ids))}
    assert everywhere - inside == {place for place in everywhere if hears(place, ANN, Attention(deny_places=ids))}


def test_a_person_is_named_whole() -> None:
    """The beginning of an id is another id; people of a workspace are named by a star."""
    amy, people = Person("slack:T1:U5"), ("slack:T1:U5", "slack:T1:U55", "slack:T1")

    assert ["slack:T1:U5"] == [ids for ids in people if named(amy.id, ids)]
    assert named(amy.id, "discord:1 slack:T1:*")
    assert not named(amy.id, "slack:T2:*")


@given(places, people)
def test_without_lists_everybody_is_heard_everywhere(place: Place, person: Person) -> None:
    """That is the default."""
    assert hears(place, person, Attention())


@given(places, people, places, people)
def test_a_denial_wins_and_an_allowance_shuts_all_others_out(
    place: Place, person: Person, other: Place, stranger: Person
) -> None:
    """Whatever other signs are in the ids."""
    here, they = str(place), person.id

    assert hears(place, person, Attention(allow_places=here, allow_people=they))
    assert not hears(place, person, Attention(allow_places=here, deny_places=here))
    assert not hears(place, person, Attention(allow_people=they, deny_people=they))
    if stranger != person:
        assert not hears(place, stranger, Attention(allow_people=they))
    if not str(other).startswith(here):
        assert not hears(other, person, Attention(allow_places=here))


@pytest.mark.parametrize("ids", ["901", "discord:77:901,901", "discord: 77", ":77", "discord"])
def test_what_cannot_be_an_id_stops_the_start(ids: str) -> None:
    """A list that matches nothing would let everybody in, or nobody."""
    for name in ("ALLOW_PLACES", "DENY_PLACES", "ALLOW_PEOPLE", "DENY_PEOPLE", "QUOTA_FREE"):
        with pytest.raises(ConfigError, match="ids such as"):
            load({f"LIMEN_ATTENTION__{name}": ids})


@given(st.integers(0, 1439), st.integers(0, 1439), st.integers(0, 1439))
def test_quiet_hours_and_the_hours_turned_round_share_the_day(begin: int, end: int, now: int) -> None:
    """Every minute is in one of `a-b` and `b-a`, over midnight or not; from an hour to itself is all day."""
    a, b, at = _time(begin), _time(end), _stamp(now)

    assert begin == end or is_quiet(f"{a}-{b}", at, "UTC") != is_quiet(f"{b}-{a}", at, "UTC")
    assert is_quiet(f"{a}-{a}", at, "UTC")
    assert begin == end or is_quiet(f"{_time(now)}-{_time(now + 1)}", at, "UTC")
    assert not is_quiet("", at, "UTC")


def test_hours_are_those_of_the_time_zone() -> None:
    """Half past six in Vienna is half past four or five in UTC, by the season."""
    for day, utc in ((datetime(2026, 7, 1, 6, 30, tzinfo=ZoneInfo("Europe/Vienna")), "4:30"),
                     (datetime(2026, 12, 1, 6, 30, tzinfo=ZoneInfo("Europe/Vienna")), "5:30")):  # fmt: skip
        assert is_quiet("06:30-06:31", day.timestamp(), "Europe/Vienna")
        assert is_quiet(f"{utc}-{utc[:-1]}1", day.timestamp(), "UTC")


@pytest.mark.parametrize("hours", ["22-7", "22:00", "24:00-07:00", "22:60-07:00", "22:00 - 07:00"])
def test_hours_that_are_none_stop_the_start(hours: str) -> None:
    """Nobody finds out at night."""
    with pytest.raises(ConfigError, match="22:00-07:30"):
        load({"LIMEN_ATTENTION__QUIET_HOURS": hours})


def said(text: str, to: Addressed = Addressed.NO, who: Person = ANN) -> Message:
    return Message(id="1", account="discord:9", place=ROOM, author=who, time=0.0, text=text, addressed=to)


@pytest.mark.parametrize(
    "text", ["stop", "STOP!!", "Stop.", "stop stop stop", "mira, stop", "Stop, Captain Mira!", " stop 🛑"]
)
def test_the_word_alone_is_an_order(text: str) -> None:
    """Loud, twice, or with our name before or behind."""
    assert says_stop(said(text), NAMES, "halt, stop")


@pytest.mark.parametrize("text", ["stop it", "don't stop", "nonstop", "the bus stop", "", "mira", "stopp", "@Bob stop"])
def test_the_word_among_others_is_talk(text: str) -> None:
    """Nothing is broken off because somebody tells of a bus."""
    assert not says_stop(said(text, Addressed.MENTION), NAMES, "stop")


def test_an_order_may_be_several_words_in_any_language() -> None:
    """As the operator writes them, with commas between."""
    orders = "be quiet, стоп , 止まれ"

    assert [True, True, True, False] == [
        says_stop(said(text), NAMES, orders) for text in ("Be  quiet!", "Стоп", "止まれ。", "stop")
    ]
    assert not says_stop(said("stop"), NAMES, " , ")


def test_a_mention_that_the_platform_left_behind_the_word_is_no_word() -> None:
    """Telegram has `stop @mira_bot`; said of somebody else it is talk."""
    assert says_stop(said("stop @mira_bot", Addressed.MENTION), NAMES, "stop")
    assert not says_stop(said("stop @bob"), NAMES, "stop")


def test_only_people_give_orders() -> None:
    """Two bots that stop each other would be a loop, too."""
    assert not says_stop(said("stop", who=Person("discord:3", is_bot=True)), NAMES, "stop")


@given(st.text(max_size=300))
def test_any_text_can_be_asked_about(text: str) -> None:
    """It is an order only if nothing is left without the order and our name."""
    if says_stop(said(text, Addressed.MENTION), NAMES, "stop"):
        assert "stop" in text.casefold()


def test_at_home_no_rule_of_groups_applies() -> None:
    """The operator's own terminal is neither shut out nor hushed; stop words are heard there, too."""
    strict = Attention(
        allow_places="slack:T1:*", deny_people="console:*", quiet_hours="00:00-00:00", ambient_per_hour=9,
        person_quota=1, channel_quota=1, names=False,
    )  # fmt: skip

    assert Attention(names=False) == at_home(strict)


def _time(minute: int) -> str:
    return f"{minute // 60 % 24:02}:{minute % 60:02}"


def _stamp(minute: int) -> float:
    return 1_700_006_400 + 60.0 * minute  # a midnight of UTC
