"""How often we may speak: within Telegram's limits, and what must be said never waits behind what need not."""

import pytest

from adapters.telegram.pace import ALL, GROUP, PRIVATE, Pace, Rate

CHAT, ROOM = "7", "-100500"


class Clock:
    """Time as a test wants it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def said_in(pace: Pace, clock: Clock, chat: str, seconds: float, spare: bool) -> int:
    """How often something is said if it always may be as soon as it can."""
    end, count = clock.now + seconds, 0
    while True:
        clock.now += pace.wait(chat, spare)
        if clock.now >= end:
            return count
        pace.take(chat)
        count += 1


@pytest.mark.parametrize(("chat", "most"), [(CHAT, 65), (ROOM, 20)])
def test_a_minute_holds_no_more_than_telegram_allows(chat: str, most: int):
    """Twenty messages in a group; in private one a second, with a short burst."""
    clock = Clock()
    assert said_in(Pace(clock=clock), clock, chat, 60, spare=False) <= most


def test_a_long_stream_of_edits_settles_at_the_rate():
    """A second apart in private, four in a group."""
    for chat, every in ((CHAT, PRIVATE.every), (ROOM, GROUP.every)):
        clock = Clock()
        pace = Pace(clock=clock)
        said_in(pace, clock, chat, 60, spare=True)
        assert said_in(pace, clock, chat, 600, spare=True) == pytest.approx(600 / every, abs=2)


def test_a_reply_begins_briskly():
    """The first edits of a quiet group need not wait for its long rate."""
    clock = Clock()
    assert said_in(Pace(clock=clock), clock, ROOM, 5, spare=True) >= 3


def test_the_last_word_never_waits_behind_edits():
    """However many there were: they leave a reserve."""
    clock = Clock()
    pace = Pace(clock=clock)
    said_in(pace, clock, ROOM, 300, spare=True)
    assert pace.wait(ROOM, spare=False) == 0


def test_a_chat_that_was_told_to_wait_waits_and_is_slower():
    """For as long as it was told; others do not."""
    clock = Clock()
    pace = Pace(clock=clock)
    before = said_in(pace, clock, CHAT, 100, spare=True)
    pace.hold(CHAT, 30)

    assert pace.wait(CHAT, spare=False) == 30
    assert pace.wait("8", spare=False) == 0
    clock.now += 30
    assert said_in(pace, clock, CHAT, 20, spare=True) < before / 5


def test_all_chats_together_keep_to_a_rate():
    """Thirty a second, whatever each of them may."""
    clock = Clock()
    pace = Pace(clock=clock)
    for number in range(int(ALL.tokens)):
        assert pace.wait(str(number), spare=False) == 0
        pace.take(str(number))
    assert 0 < pace.wait("new", spare=False) <= ALL.every
    assert pace.wait("new", spare=True) > ALL.every


async def test_a_turn_takes_a_token():
    """Or waits for one."""
    clock, rate = Clock(), Rate(tokens=2, every=60, gap=0)
    pace = Pace(rate, rate, clock=clock)
    await pace.turn(CHAT)
    await pace.turn(CHAT)
    assert pace.wait(CHAT, spare=False) == pytest.approx(60)


def test_few_chats_are_remembered():
    """One that was quiet longest has all its tokens again."""
    clock = Clock()
    pace = Pace(clock=clock)
    for number in range(10_000):
        pace.take(str(number))
        clock.now += 1
    assert len(pace._chats) == 4096
