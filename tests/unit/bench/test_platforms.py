"""bench/platforms.py: what it finds in a room, and when memory counts as flat."""

import pytest

pytest.importorskip("discord")
pytest.importorskip("telegram")
pytest.importorskip("slack_bolt")

from bench.adapters.weather import Room, word_of
from bench.platforms import Tally, around, judge
from core.events import Place

ROOM = Room("slack:b", Place("slack", "T1", "D1"), say=str, shown=dict, like=print, forget=print)


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        (["You said: {0} 7-0 7-5"], (0, 0, 0)),
        ([], (1, 0, 0)),
        (["You said: {0} 7-0"], (1, 0, 0)),
        (["{0} 7-5", "{0} 7-5"], (0, 1, 0)),
        (["{0} 7-5", "tideslackD1x3x 7-5"], (0, 1, 0)),
        (["{0} 7-5", "tideslackD2x3x 7-5"], (0, 0, 1)),
        (["{0} 7-5", "tidetelegram-77x3x 7-5"], (0, 0, 1)),
        (["I heard 3 lines. You"], (1, 0, 0)),
    ],
)
def test_a_room_holds_one_whole_reply_and_nothing_else(shown: list[str], found: tuple[int, int, int]) -> None:
    """What is older was said twice; what nobody asked for here is another room's."""
    word = word_of(ROOM, 4)

    counts = judge({str(at): text.format(word) for at, text in enumerate(shown)}, word, ROOM)

    assert found == (counts["lost"], counts["doubled"], counts["crossed"])


def test_memory_is_compared_with_what_it_was_when_warm() -> None:
    """Not with the start, when every process grows; a single sample says little."""
    tally = Tally(messages=100)
    tally.rss["slack"] = [(0.0, 10), (0.22, 100), (0.25, 100), (0.3, 900), (0.6, 5000), (0.92, 101), (1.0, 101)]

    assert 1.0 == tally.growth("slack")
    assert 10 == around(tally.rss["slack"], 0.05)
    assert 5000 == around([(0.6, 5000)], 0.1)
