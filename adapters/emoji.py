"""Any spelling of an emoji → one canonical key: the bare Unicode emoji, or `platform:id` for a custom one. Pure.

Knows the names of GitHub, Slack and Discord (the `emoji` package, and `shortcodes.json` where that lacks or differs);
knows nothing of what an emoji means. The package is loaded with the first emoji: a bot starts without it.
"""

import json
import re
from functools import cache
from importlib.resources import files

from core.errors import InputError

_DISCORD = re.compile(r"<a?:\w+:(\d+)>")
_CUSTOM = re.compile(r"(?:discord|slack|telegram):[\w+-]+")
_NAME = re.compile(r":?([^\s:]+?)(?:::skin-tone-[2-6](?:-[2-6])?|_tone[1-5](?:_tone[1-5])?)?:?")
_FLAG = re.compile(r"flag[-_]([a-z]{2})")
_SELECTORS = re.compile("[\ufe0e\ufe0f]")
_TONES = re.compile("[\U0001f3fb-\U0001f3ff]")
# What a platform may send before our tables know it: one pictograph, or several joined.
_NEWER = re.compile("[\U0001f000-\U0001faff](?:\u200d[\u2600-\u27bf\U0001f000-\U0001faff])*")
# Two people of different skin are written as a pair; without their skin they are the one emoji again.
_PAIRS = {
    "🫱‍🫲": "🤝",
    "👩‍🤝‍👨": "👫",
    "👩‍🤝‍👩": "👭",
    "👨‍🤝‍👨": "👬",
    "🧑‍❤‍🧑": "💑",
    "🧑‍❤‍💋‍🧑": "💏",
    "🧑‍🐰‍🧑": "👯",
    "👨‍🐰‍👨": "👯‍♂",
    "👩‍🐰‍👩": "👯‍♀",
    "🧑‍🫯‍🧑": "🤼",
    "👨‍🫯‍👨": "🤼‍♂",
    "👩‍🫯‍👩": "🤼‍♀",
}


def canonical(spelling: str) -> str:
    """One key for `👍🏽`, `:thumbsup:`, `+1`, `+1::skin-tone-3`. Raises InputError if it is no emoji."""
    text = spelling.strip()
    if found := _DISCORD.fullmatch(text):
        return custom("discord", found[1])
    if _CUSTOM.fullmatch(text):
        return text
    emoji = _unicode(text) or _named(text)
    if not emoji:
        raise InputError(f"{text[:40]!r} is not an emoji", "type one, such as 👍, or its name: :thumbsup:")
    return emoji


def custom(platform: str, emoji_id: str) -> str:
    """The key of an emoji that somebody uploaded to a platform."""
    return f"{platform}:{emoji_id}"


def _unicode(text: str) -> str:
    """`text` without variation selectors and skin, if it is an emoji; else empty."""
    if not text or text.isascii():
        return ""
    from emoji import is_emoji

    bare = _SELECTORS.sub("", text)
    bare = _TONES.sub("", bare) or bare  # a skin tone by itself stays
    bare = _PAIRS.get(bare, bare)
    return bare if is_emoji(bare) or is_emoji(text) or _NEWER.fullmatch(bare) else ""


def _named(text: str) -> str:
    found = _NAME.fullmatch(text.lower())
    if not found:
        return ""
    name = found[1]
    if flag := _FLAG.fullmatch(name):
        return _unicode("".join(chr(0x1F1E6 + ord(letter) - ord("a")) for letter in flag[1]))
    if name in _ours():
        return _unicode(_ours()[name])
    from emoji import emojize

    return _unicode(emojize(f":{name}:", language="alias"))


@cache
def _ours() -> dict[str, str]:
    table: dict[str, str] = json.loads(files("adapters").joinpath("shortcodes.json").read_text(encoding="utf-8"))
    return table
