"""Lines of a ratings file."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bots import ratings
from bots.files import Row
from core.errors import InputError

VIENNA = ZoneInfo("Europe/Vienna")
OURS: dict[str, Any] = {"reply_id": "r1", "user": "ben", "emoji": "👍"}
THEIRS: dict[str, Any] = {
    "persona": "Mira", "scope": "discord:77:channel:901", "messages": [{"role": "user", "content": "Ahoy"}],
    "reply": "Arr", "user": "ben", "emoji": ":heart:",
}  # fmt: skip


def read(data: dict[str, Any], now: float = 50.0) -> ratings.Rating:
    return ratings.read(Row(1, data), now, VIENNA)


def test_a_rating_of_ours_names_the_reply():
    """Not removed and now, unless it says so; on the operator's word."""
    rating = read(OURS)

    assert ("r1", None, {"ben"}) == (rating.reply_id, rating.record, rating.people)
    assert ("ben", "👍", 50.0, False, "operator") == (
        rating.fact.user, rating.fact.emoji, rating.fact.time, rating.fact.removed, rating.fact.basis
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (1000, 1000.0),
        (1000.5, 1000.5),
        ("2026-05-01T12:00:00Z", 1777636800.0),
        ("2026-05-01T12:00:00+02:00", 1777629600.0),
        ("2026-05-01T12:00:00", 1777629600.0),
        ("2026-05-01", 1777586400.0),
    ],
)
def test_times_are_seconds_or_iso(given: object, seconds: float):
    """Where no zone is named, the operator's holds."""
    assert seconds == read({**OURS, "time": given}).fact.time


def test_the_facts_id_is_the_lines_content():
    """The same line is the same fact at any hour and in any spelling of the emoji; any other is another."""
    same = [read(OURS, 1.0), read({**OURS, "emoji": ":thumbsup:", "removed": False}, 2.0)]
    others = [
        read({**OURS, **change})
        for change in ({"user": "cy"}, {"emoji": "👎"}, {"removed": True}, {"time": 1}, {"reply_id": "r2"})
    ]

    assert 1 == len({rating.fact.id for rating in same})
    assert 6 == len({rating.fact.id for rating in [*same, *others]})


def test_a_reply_from_elsewhere_becomes_a_record():
    """As that persona's, in a conversation of its own, with the prompt as it was given."""
    rating = read({**THEIRS, "author": "anna"})

    assert rating.record
    assert ("console:local", "mira", "discord:77:channel:901") == (
        rating.record.persona.account, rating.record.persona.card, rating.record.persona.scope
    )  # fmt: skip
    assert ("import", "Arr", ("anna",), "❤") == (
        rating.record.source, rating.record.text, rating.record.people, rating.fact.emoji
    )  # fmt: skip
    assert ("discord", "77") == (rating.record.place.platform, rating.record.place.workspace)
    assert [("user", "Ahoy")] == [(told.role, told.content) for told in rating.messages]
    assert {"anna", "ben"} == rating.people


def test_the_id_of_such_a_reply_is_what_was_said():
    """Whoever rates it and whenever: one reply. Another scope, prompt, text or account is another."""
    same = [read(THEIRS), read({**THEIRS, "user": "cy", "emoji": "👎", "time": 3}, 9.0)]
    changes: list[dict[str, Any]] = [
        {"scope": "discord:77:channel:902"}, {"reply": "Aye"}, {"account": "discord:1"}, {"persona": "plum"},
        {"messages": [{"role": "user", "content": "Hi"}]},
    ]  # fmt: skip

    assert 1 == len({rating.reply_id for rating in same})
    assert 6 == len({read({**THEIRS, **change}).reply_id for change in [{}, *changes]})


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({**OURS, "user": ""}, '"user" must be text'),
        ({"reply_id": "r1", "emoji": "👍"}, '"user" must be text'),
        ({**OURS, "reply_id": 7}, '"reply_id" must be text'),
        ({"reply_id": "r1", "user": "ben"}, '"emoji" must be text'),
        ({**OURS, "emoji": "nice"}, "'nice' is not an emoji"),
        ({**OURS, "removed": 1}, '"removed" must be true or false'),
        ({**OURS, "time": "noon"}, "\"time\" is 'noon'"),
        ({**OURS, "time": True}, "\"time\" is 'True'"),
        ({**OURS, "time": 1777636800000}, "\"time\" is '1777636800000'"),
        ({**OURS, "time": -1}, "\"time\" is '-1'"),
        ({"user": "ben", "emoji": "👍"}, '"persona" must be a name'),
        ({**THEIRS, "scope": "here"}, "is not a scope"),
        ({**THEIRS, "account": "x"}, "is not a bot account"),
        ({**THEIRS, "messages": []}, '"messages" must be a list'),
        ({**THEIRS, "messages": [{"role": "bot", "content": ""}]}, "message 1 must be"),
        ({**THEIRS, "messages": [{"role": ["user"], "content": ""}]}, "message 1 must be"),
        ({**THEIRS, "reply": " "}, '"reply" must be the text'),
        ({**THEIRS, "author": 5}, '"author" must be text'),
    ],
)
def test_what_is_no_rating_says_why(data: dict[str, Any], why: str):
    """In a sentence that names the field."""
    with pytest.raises(InputError) as refused:
        read(data)

    assert why in str(refused.value)


def test_a_fault_of_the_line_is_passed_on():
    """A line that was not even JSON."""
    with pytest.raises(InputError, match="is not JSON"):
        ratings.read(Row(1, fault="is not JSON"), 0.0, VIENNA)
