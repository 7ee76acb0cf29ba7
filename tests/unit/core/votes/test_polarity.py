"""core/votes/polarity.py: what an emoji means, by our table and the operator's."""

import csv
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.emoji import canonical
from core.errors import ConfigError
from core.votes import polarity
from core.votes.polarity import Polarity

TELEGRAM = [
    *"❤👍👎🔥🥰👏😁🤔🤯😱🤬😢🎉🤩🤮💩🙏👌🕊🤡🥱🥴😍🐳🌚🌭💯🤣⚡🍌🏆💔🤨😐🍓🍾💋🖕😈😴😭🤓👻👀🎃🙈😇😨🤝✍🤗🫡🎅🎄☃💅🤪🗿🆒💘🙉🦄😘💊🙊😎👾🤷😡",
    *("❤\u200d🔥", "👨\u200d💻", "🤷\u200d♂", "🤷\u200d♀"),
]
SLACK = [
    "white_check_mark",
    "eyes",
    "raised_hands",
    "+1",
    "-1",
    "heart",
    "joy",
    "tada",
    "pray",
    "clap",
    "100",
    "thinking_face",
]
DISCORD = ["thumbsup", "heart", "joy", "open_mouth", "cry", "tada", "fire", "thumbsdown", "rage", "skull", "sob"]
SHARED = Path(os.environ.get("LIMEN_SHARED", Path(__file__).parents[5] / "shared"))
EMOTAG = SHARED / "data" / "feedback" / "emotag1200-scores.csv"

Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Puts text into a file of an operator and gives its path."""

    def put(text: str) -> str:
        (tmp_path / "ours.yaml").write_text(text, encoding="utf-8")
        return str(tmp_path / "ours.yaml")

    return put


def weight(table: Polarity, emoji: str, server: str = "") -> float:
    value, confidence = table.of(emoji, server) or (0.0, 0.0)
    return value * confidence


@pytest.mark.parametrize("emoji", TELEGRAM + [canonical(name) for name in SLACK + DISCORD])
def test_what_the_platforms_offer_is_known(emoji: str) -> None:
    """Telegram's 73 reactions, and what Slack and Discord put first."""
    assert 73 == len(TELEGRAM)
    assert polarity.ours().of(emoji) is not None


def test_every_key_is_canonical() -> None:
    """Else it would never be found."""
    known = polarity.ours().known()

    assert 200 <= len(known)
    assert [] == [key for key in known if canonical(key) != key]


def test_a_thumb_down_is_as_bad_as_a_thumb_up_is_good() -> None:
    """Not -0.19, as in the sentiment of tweets."""
    assert (1.0, -1.0) == (weight(polarity.ours(), "👍"), weight(polarity.ours(), "👎"))


@pytest.mark.parametrize("emoji", ["😂", "🤣", "💀", "👀", "😭", "🤔", "😮", "🙃"])
def test_what_may_mean_two_things_says_little(emoji: str) -> None:
    """A wrong certainty costs more than a vote that is lost."""
    assert abs(weight(polarity.ours(), emoji)) < 0.2


def test_an_unknown_emoji_has_no_meaning() -> None:
    """None, which is not the same as neutral."""
    assert polarity.ours().of("🪿") is None
    assert polarity.ours().of("discord:8123") is None


def test_the_operator_has_the_last_word_and_a_server_its_own(write: Write) -> None:
    """Server over operator over ours; what nobody changed stays. A value by itself is certain."""
    table = polarity.load(
        write('emoji: {🦜: 1.0, 👎: -0.5, "discord:8123": [0.8, 0.9]}\nservers: {"discord:77": {👎: [0.5, 0.5]}}')
    )

    assert (1.0, 1.0) == table.of("🦜", "discord:77")
    assert (0.8, 0.9) == table.of("discord:8123")
    assert (-0.5, 1.0) == table.of("👎", "discord:78")
    assert (0.5, 0.5) == table.of("👎", "discord:77")
    assert (1.0, 1.0) == table.of("👍", "discord:77")


def test_ours_is_not_changed_by_the_operators(write: Write) -> None:
    """Tables are immutable: two bots in one process may have different ones."""
    polarity.load(write("emoji: {👍: -1}"))

    assert (1.0, 1.0) == polarity.ours().of("👍")


def test_how_an_emoji_is_written_makes_no_difference(write: Write) -> None:
    """Skin and variation selectors are taken off, as the adapters do."""
    table = polarity.load(write("emoji: {✌🏽: -1, ❤️: -1}"))

    assert (-1.0, 1.0) == table.of("✌") == table.of("❤")


def test_without_a_file_ours_stands() -> None:
    """`night.polarity` is empty by default."""
    assert polarity.load("") is polarity.ours()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("emoji: {🦜: 1.5}", "1: emoji.'🦜': 1.5 is not allowed; expected a value from -1 to 1"),
        ("emoji:\n  🦜: .nan", "2: emoji.'🦜': nan is not allowed"),
        ("emoji: {🦜: yes}", "'yes' is not allowed; expected a value from -1 to 1"),
        ("emoji: {🦜: true}", "true is not allowed"),
        ("emoji: {🦜: [1, 2]}", "[1, 2] is not allowed; expected a value from -1 to 1, or [value, confidence] with a"),
        ("emoji: {🦜: [1, 1, 1]}", "[1, 1, 1] is not allowed"),
        ("emoji: {🦜: }", "nothing is not allowed"),
        ("emoji: {':parrot:': 1}", "is not an emoji; write the emoji itself, or platform:id"),
        ("emoji: {Papagei: 1, größer: 1}", "emoji.größer: is not an emoji"),
        ("emoji: {👍🏽: 1, 👍: 1}", "is the same emoji as"),
        ("servers: {77: {👍: 1}}", "servers.77: is not a server; expected platform:workspace"),
        ("servers: {'discord:77': {👍: -3}}", "'discord:77'.'👍': -3 is not allowed"),
        ("servers: {'discord:77': 3}", "expected a mapping"),
        ("emojis: {👍: 1}", "emojis: is not a field here (did you mean emoji?)"),
        ("emoji: 5", "expected a mapping of emoji to values"),
        ("emoji: [", "not YAML"),
    ],
)
def test_a_fault_is_named_with_its_file_its_place_and_what_is_allowed(write: Write, text: str, fault: str) -> None:
    """A wrong value stops the start; it is never passed over."""
    path = write(text)

    with pytest.raises(ConfigError) as error:
        polarity.load(path)

    assert fault in str(error.value)
    assert all(line.startswith(path) for line in str(error.value).splitlines())


def test_all_faults_are_named_at_once(write: Write) -> None:
    """Nobody wants to find them one by one."""
    with pytest.raises(ConfigError) as error:
        polarity.load(write("emoji:\n  🦜: 2\n  👍: -2\n"))

    assert 2 == len(str(error.value).splitlines())


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The path is in the message."""
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        polarity.load(str(tmp_path / "nowhere.yaml"))


@pytest.mark.skipif(not EMOTAG.exists(), reason="the EmoTag scores are not here")
def test_ours_agrees_in_direction_with_what_people_said_emoji_express() -> None:
    """EmoTag: emotions by annotators. Where they are sure and we are sure, hardly ever does the sign differ."""
    rows = list(csv.DictReader(EMOTAG.read_text(encoding="utf-8").splitlines()))
    theirs = {
        canonical(row["emoji"]): max(float(row["joy"]), float(row["trust"]))
        - max(float(row[name]) for name in ("anger", "disgust", "sadness", "fear"))
        for row in rows
        if row["emoji"] not in "↩↪▶◀➡"
    }
    both = [
        (mine, theirs[key]) for key in theirs if abs(mine := weight(polarity.ours(), key)) > 0.25 < abs(theirs[key])
    ]

    assert 50 <= len(both)
    assert 0.95 <= sum((mine > 0) == (score > 0) for mine, score in both) / len(both)
