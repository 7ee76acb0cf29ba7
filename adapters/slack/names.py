"""Slack's names for emoji, both ways. Pure."""

import re

from adapters.emoji import canonical, custom
from core.errors import InputError

_CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)
_SHORT = re.compile(r":(?!\d+:)[\w+'&-]+:(?::skin-tone-[2-6](?:-[2-6])?:)?")


def key(name: str) -> str:
    """The canonical key of `+1`, `thumbsup::skin-tone-3` or a workspace's own `partyparrot`."""
    try:
        return canonical(name)
    except InputError:
        return custom("slack", name.strip(":").split("::")[0])


def drawn(text: str) -> str:
    """`text` with `:wave:` as 👋, but not in code. Names that no table knows, a workspace's own, stay."""
    if ":" not in text:
        return text
    parts = _CODE.split(text)
    parts[::2] = [_SHORT.sub(_drawn, part) for part in parts[::2]]
    return "".join(parts)


def _drawn(found: re.Match[str]) -> str:
    try:
        return canonical(found[0])
    except InputError:
        return found[0]


def spellings(emoji: str) -> list[str]:
    """What Slack may call this emoji, likeliest first: it takes names only. Empty if it is another platform's own."""
    platform, _, name = emoji.partition(":")
    if name:
        return [name] if platform == "slack" else []
    if len(emoji) == 2 and all("🇦" <= letter <= "🇿" for letter in emoji):
        return ["flag-" + "".join(chr(ord(letter) - ord("🇦") + ord("a")) for letter in emoji)]
    from emoji import EMOJI_DATA

    known = EMOJI_DATA.get(emoji) or EMOJI_DATA.get(emoji + "\ufe0f") or {}
    names = [*known.get("alias", ()), known.get("en", "")]
    return list(dict.fromkeys(name.strip(":").lower().replace("’", "") for name in names if name))
