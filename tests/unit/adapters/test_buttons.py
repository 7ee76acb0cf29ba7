"""Choices as buttons on each platform: what fits is drawn, what does not can still be typed, and a press says which."""

import pytest

pytest.importorskip("discord")
pytest.importorskip("slack_bolt")
pytest.importorskip("telegram")

from adapters.discord import buttons as discord
from adapters.slack import buttons as slack
from adapters.telegram.client import buttons as telegram
from core.commands.answers import Answer, Choice, below, handed
from core.events import PersonaKey, Place
from core.jobs import Done

MANY = tuple(Choice(f"Card {number}", "switch", f"card-{number}") for number in range(30))
LONG = Choice("Long", "switch", "ü" * 100)
DONE = Done(
    job="j", reply_id="abc", conversation="c", place=Place("discord", "7", "9"), persona=PersonaKey("a", "b", "c"),
    text="Arr!",
)  # fmt: skip


def test_discord_has_five_in_a_row_and_five_rows() -> None:
    """What its identifier cannot hold is left out."""
    rows = discord.rows((LONG, *MANY))
    ids = [one["custom_id"] for row in rows for one in row["components"]]

    assert [5] * 5 == [len(row["components"]) for row in rows]
    assert [f"limen:switch:card-{number}" for number in range(25)] == ids
    assert [] == discord.rows(())


def test_slack_has_twenty_five_in_a_block() -> None:
    """Each with an id of its own."""
    (block,) = slack.blocks((LONG, *MANY))

    assert 25 == len(block["elements"]) == len({one["action_id"] for one in block["elements"]})
    assert [] == slack.blocks(())


def test_telegram_counts_bytes_and_lays_two_beside_each_other() -> None:
    """And says whose they are."""
    rows = telegram((LONG, *MANY), "telegram:7")

    assert [2] * 15 == [len(row) for row in rows]
    assert "7:switch:card-0" == rows[0][0][1]
    assert [2] == [len(row) for row in telegram(MANY[:2])]
    assert "*:switch:card-0" == telegram(MANY[:1])[0][0][1]
    assert [] == telegram((LONG,))


@pytest.mark.parametrize(
    ("value", "asks"),
    [
        ("limen:forget:everything yes", ("forget", "everything yes")),
        ("limen::", ("", "")),
        ("limen:react:👍:x", ("react", "👍:x")),
        ("theirs:1", None),
        ("", None),
    ],
)
def test_a_press_on_slack_says_what_it_asks_for(value: str, asks: tuple[str, str] | None) -> None:
    """Buttons of others say nothing to us."""
    assert asks == slack.pressed({"type": "block_actions", "actions": [{"value": value}]})
    assert slack.pressed({"type": "block_actions", "actions": []}) is None
    assert slack.pressed({}) is None


def test_an_answer_never_takes_the_place_of_a_reply() -> None:
    """Only of what one person alone sees, or of a question in their DM."""
    alone, public = {"flags": 64}, {"flags": 0}
    privacy, again = {"custom_id": "limen:privacy:train yes"}, {"custom_id": "limen:regenerate:abc"}

    assert discord.is_theirs({"message": alone, "data": privacy, "guild_id": "7"})
    assert discord.is_theirs({"message": public, "data": privacy})
    assert not discord.is_theirs({"message": public, "data": privacy, "guild_id": "7"})
    assert not discord.is_theirs({"message": public, "data": again})
    assert not discord.is_theirs({"data": privacy})


def test_a_reply_has_a_button_only_where_the_setting_says_so() -> None:
    """And only one that says something."""
    from msgspec.structs import replace

    assert (Choice("↻ Another", "regenerate", "abc"),) == below(DONE, "regenerate")
    for done, setting in ((DONE, "off"), (replace(DONE, cancelled=True), "regenerate")):
        assert () == below(done, setting)
    for act in ("react", "silent"):
        assert () == below(replace(DONE, act=act), "regenerate")


def test_what_is_long_or_data_is_handed_over() -> None:
    """Short words are said; where there is no limit, all are."""
    assert handed("help", Answer(text="x" * 10), 10) is None
    assert handed("help", Answer(text="x" * 11), 0) is None
    long = handed("help", Answer(text="ü" * 11), 10)
    assert long is not None
    assert ("limen-help.txt", "ü" * 11) == (long.name, long.content.decode())
    data = handed("export", Answer(data={"ä": 1}), 0)
    assert data is not None
    assert ("limen-export.json", "application/json", '{\n  "ä": 1\n}') == (
        data.name,
        data.media_type,
        data.content.decode(),
    )
