"""Whatever a platform calls an emoji, it is one key."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import emoji
import pytest

from adapters.emoji import canonical, custom
from core.errors import InputError

SHARED = Path(os.environ.get("LIMEN_SHARED", Path(__file__).parents[4] / "shared"))
TONE = re.compile("[\U0001f3fb-\U0001f3ff]")
SELECTOR = re.compile("[\ufe0e\ufe0f]")


@pytest.mark.parametrize(
    "spelling",
    ["👍", "👍🏽", " 👍🏿 ", ":thumbsup:", ":+1:", "+1", "thumbsup", "ThumbsUp", "+1::skin-tone-3", ":+1::skin-tone-3:",
     ":thumbsup_tone2:"],
)  # fmt: skip
def test_a_thumb_is_a_thumb_however_it_is_spelled(spelling):
    """Skin, names of several platforms and capitals do not matter."""
    assert canonical(spelling) == "👍"


@pytest.mark.parametrize(
    ("spelling", "key"),
    [
        ("❤️", "❤"),
        ("❤", "❤"),
        (":heart:", "❤"),
        ("1️⃣", "1\u20e3"),
        ("🏴‍☠️", "🏴\u200d☠"),
        ("👩🏽‍💻", "👩\u200d💻"),
        ("👨‍👩‍👧‍👦", "👨\u200d👩\u200d👧\u200d👦"),
        ("🇦🇹", "🇦🇹"),
        (":flag-at:", "🇦🇹"),
        (":flag_at:", "🇦🇹"),
        ("🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"),
        (":flag-england:", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"),
        ("🫱🏻‍🫲🏿", "🤝"),
        ("handshake::skin-tone-2-6", "🤝"),
        ("🏽", "🏽"),
        ("🇦", "🇦"),
        ("piñata", "🪅"),
        (":male-doctor:", "👨\u200d⚕"),
        ("\U0001faff", "\U0001faff"),
    ],
)
def test_sequences_flags_and_keycaps_survive(spelling, key):
    """Only skin and variation selectors go; an emoji too new for our tables is taken as it is."""
    assert canonical(spelling) == key


@pytest.mark.parametrize(
    "spelling",
    [
        "",
        "  ",
        "xyzzy",
        ":xyzzy:",
        "1",
        "👍👍",
        "👍 👎",
        "über",
        ":",
        "::",
        "🇦🇦",
        "-1️",
        "a" * 9999,
        "\u200d",
        "\ufe0f",
    ],
)
def test_what_is_no_emoji_is_refused(spelling):
    """The error says what to type instead, and is short however long the input was."""
    with pytest.raises(InputError) as error:
        canonical(spelling)
    assert "👍" in error.value.hint
    assert len(str(error.value)) < 80


def test_custom_emoji_are_named_by_platform_and_id():
    """Discord's own spelling of them is understood, and a key is its own key."""
    assert canonical("<:blob:1234>") == canonical("<a:blob:1234>") == custom("discord", "1234") == "discord:1234"
    assert canonical("discord:1234") == "discord:1234"
    assert canonical(custom("slack", "party-parrot")) == "slack:party-parrot"


def test_every_emoji_there_is_has_one_bare_key():
    """A key is an emoji, has no skin and no selector, and is its own key."""
    for known in emoji.EMOJI_DATA:
        key = canonical(known)
        assert canonical(key) == key
        assert emoji.is_emoji(key)
        assert len(key) == 1 or not (TONE.search(key) or SELECTOR.search(key))


def spoken(name):
    """(name, emoji) pairs of one platform's names."""
    file = SHARED / "data" / "emoji" / f"shortcodes_{name}.json"
    if not file.exists():
        pytest.skip(f"{file} is not here")
    for points, names in json.loads(file.read_text("utf-8")).items():
        known = "".join(chr(int(point, 16)) for point in points.split("-"))
        yield from ((each, known) for each in ([names] if isinstance(names, str) else names))


def other(name, known):
    """Is this name not known, or known for something else?"""
    try:
        return canonical(f":{name}:") != canonical(known)
    except InputError:
        return True


def test_slack_names_are_all_known():
    """Every name that Slack sends, but for the bare skin tones, which nobody can react with."""
    assert [name for name, known in spoken("iamcal") if "skin-tone" not in name and other(name, known)] == []


def test_github_names_are_known_but_for_those_that_slack_means_otherwise():
    """Eight names; Slack's sense wins, for Slack sends names and GitHub does not."""
    assert {name for name, known in spoken("github") if other(name, known)} == {
        *("umbrella", "bride_with_veil", "email", "guardsman", "man_with_turban", "ok_woman", "satellite", "snowman")
    }


def test_discord_names_are_known_but_for_a_few():
    """Beside spelled-out skin and bare country codes, only names that Slack or GitHub gave to another emoji."""
    by_rule = re.compile(r".*tone.*|[a-z]{2}|regional_indicator_.")
    missed = {name for name, known in spoken("joypixels") if not by_rule.fullmatch(name) and other(name, known)}
    assert missed == {
        *("umbrella", "pouting_face", "snowman", "medal", "beach_umbrella", "city_sunset", "satellite", "email")
    }


def test_a_bot_starts_without_the_tables():
    """The emoji package comes with the first emoji, not with the adapter."""
    code = "import sys, adapters.emoji; assert 'emoji' not in sys.modules; adapters.emoji.canonical('👍')"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
