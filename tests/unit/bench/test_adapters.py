"""bench/adapters: what its figures are made of, and that its payloads are what they seem."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("discord")
pytest.importorskip("telegram")
pytest.importorskip("slack_bolt")

from adapters.discord.events import Room as DiscordRoom
from adapters.discord.events import to_events as of_discord
from adapters.slack.events import to_event as of_slack
from adapters.slack.view import Us, View
from adapters.telegram.events import Me
from adapters.telegram.events import to_events as of_telegram
from adapters.telegram.payloads import read
from bench.adapters.__main__ import options
from bench.adapters.dispatch import Round, figures
from bench.adapters.payloads import PEOPLE, RECORDED, SAID, payloads
from bench.adapters.weather import Room, count
from core.events import Addressed, Message, Place
from tests.fakes import discord, slack, telegram


class World:
    """Nothing but who we are, and that channels are in a server."""

    account = f"discord:{discord.ME}"

    def room(self, channel: str) -> DiscordRoom:
        return DiscordRoom(channel, discord.GUILD)

    def channel_name(self, guild: str, channel: str) -> str:
        return ""

    def own_role(self, guild: str) -> str:
        return ""

    def author(self, message: str) -> str:
        return ""


def heard(platform: str, payload: str) -> Message:
    """The message that a payload is."""
    raw: dict[str, Any] = json.loads(payload)
    if platform == "discord":
        (event,) = of_discord(raw["t"], raw["d"], World(), stamp="s", now=1.0)
    elif platform == "telegram":
        update = read(raw)
        assert update
        (event,) = of_telegram(update, Me(telegram.ME["id"], telegram.ME["username"]))
    else:
        event = of_slack(raw["payload"], View(Us(slack.TEAM, slack.BOT_USER)), 1.0)
    assert isinstance(event, Message)
    return event


@pytest.mark.parametrize("platform", ["discord", "telegram", "slack"])
@pytest.mark.parametrize("recorded", [True, False])
def test_a_payload_is_a_message_that_calls_us_or_does_not(platform: str, recorded: bool, tmp_path: Path) -> None:
    """By the recorded shape and by our servers': the same words, each in a room and by a person of its own."""
    if recorded and not RECORDED.is_dir():
        pytest.skip("the recorded payloads are not here")
    given = payloads(RECORDED if recorded else tmp_path / "none")
    payload = given._asdict()[platform]

    calls, overheard, next_to = (heard(platform, payload(number, number < 2)) for number in (1, PEOPLE + 1, 2))

    assert recorded == given.recorded
    assert (Addressed.MENTION, Addressed.NO) == (calls.addressed, overheard.addressed)
    assert SAID == overheard.text
    assert SAID in calls.text
    assert calls.author == overheard.author != next_to.author
    assert calls.place.channel == overheard.place.channel != next_to.place.channel
    assert 3 == len({calls.id, overheard.id, next_to.id})


def test_what_we_add_is_told_from_what_the_library_takes() -> None:
    """Round by round, and then the median: one bad round says nothing, nor does a machine that grows slow."""
    quiet = Round(
        library=30, shared=10, ours=60, library_ignored=28, ours_ignored=44, core_ignored=25, alone_ignored=90
    )
    slow = Round(*(2 * value for value in quiet))
    broken = quiet._replace(ours=900, ours_ignored=900)

    found = figures([quiet, slow, broken])

    assert (60, 30, 32) == (found["added_us"], found["library_us"], found["ignored_us"])
    assert (30, 16, 50, 34, 25) == tuple(
        figures([quiet] * 3)[name] for name in ("added_us", "ignored_us", "own_us", "own_ignored_us", "core_ignored_us")
    )


def room(name: str) -> Room:
    """One that nobody talks in."""
    return Room("slack:b", Place("slack", "T1", name), say=str, shown=dict, like=print, forget=print)


def test_a_reply_is_lost_doubled_or_in_the_wrong_room() -> None:
    """A reply is there when its last word is; one that broke off is lost, though it was begun."""
    shown: dict[Room, list[str]] = {}
    one, other = (room(name) for name in ("one", "other"))
    said = dict.fromkeys(("tide1x", "tide11x", "tide2x", "tide3x", "tide4x"), one) | {"tide5x": other}
    shown[one] = ["You said: tide1x 7-0 7-5", "tide11x 7-5", "tide11x 7-5", "tide2x 7-0", "tide5x 7-5"]
    shown[other] = ["tide4x 7-5", "tide5x 7-5"]

    assert {"slack": {"said": 6, "lost": 3, "doubled": 1, "crossed": 2}} == {
        name: dict(tally) for name, tally in count(said, shown).items()
    }


def test_nothing_can_be_measured_in_no_time() -> None:
    """What is asked for must be more than none."""
    assert (5, None) == (options([]).repeats, options([]).soak)
    assert 0.5 == options(["--soak", "0.5"]).soak
    for wrong in (["--repeats", "0"], ["--soak", "0"], ["--soak", "-1"]):
        with pytest.raises(SystemExit):
            options(wrong)
