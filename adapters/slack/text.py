"""What we say, as Slack takes it. Pure: the Markdown of a model goes in, messages come out that fit and ping nobody.

A piece is sent as a `markdown` block, which Slack lays out itself and whose edits it does not mark as such; beside it
goes `text`, in Slack's own mrkdwn, which notifications and screen readers use. Should Slack refuse the block, the same
piece goes out as plain text.
"""

import re
from collections.abc import Callable
from typing import Any

from slackify_markdown import slackify_markdown  # type: ignore[import-untyped]

from adapters.pieces import split
from core.commands.desk import COMMANDS

LENGTH = 11_000  # of a piece: Slack takes 12,000 in the markdown blocks of a message, and counts some of them twice
_SECTION = 3_000  # of a plain section
_PREVIEW = 1_200  # of a piece's beginning, for the preview
_PREVIEW_BYTES = 3_800  # `chat.update` refuses a `text` over 4,000
_GAP = "\u200b"  # has no width; stands where two characters would otherwise be a mention together

# A `<` before what makes it a mention, a link to one, and the bare words: however Markdown lets one write them.
_OPENING = re.compile(r"(<|&lt;?|&#0*60;?|&#x0*3c;?)(?=\\*[!@#]|&#|&excl|&commat|&num)", re.IGNORECASE)
_TARGET = re.compile(r"(\]\(\s*<?|\]:\s*<?)(?=\\*[!@#])")
_BARE = re.compile(
    r"((?<![\w.+-])@|&commat;?|&#0*64;?|&#x0*40;?)(?=\\*(?:channel|here|everyone|group)\b)", re.IGNORECASE
)
_COMMAND = re.compile(rf"(?<![\w/])/({'|'.join(COMMANDS)})\b")

Json = dict[str, Any]


def pieces(markdown: str) -> list[str]:
    """A reply as the texts of the messages it takes, harmless already. None is empty."""
    return split(disarmed(markdown), LENGTH)


def disarmed(text: str) -> str:
    """`text` in which nothing is a mention any more, of one or of all; it looks the same."""
    for pattern in (_OPENING, _TARGET, _BARE):
        text = pattern.sub(rf"\1{_GAP}", text)
    return text


def spelled(text: str, slash: str) -> str:
    """Our commands in a text as Slack wants them given: `/limen switch NAME`."""
    return _COMMAND.sub(rf"{slash} \1", text)


def message(piece: str) -> Json:
    """What `chat.postMessage` and `chat.update` want for a piece."""
    return _whole(_beginning(piece, _mrkdwn), [{"type": "markdown", "text": piece}])


def plain(piece: str) -> Json:
    """The same with its signs and without its looks, for when Slack refuses the other."""
    return _whole(_beginning(piece, _escaped), _sections(piece))


def page(text: str, slash: str) -> list[Json]:
    """The blocks of an App Home, where Slack takes no Markdown."""
    more = f"Write to me under Messages, or call my name in a channel. {slash} help lists what you can ask."
    return [*_sections(disarmed(text))[:90], {"type": "divider"}, *_sections(more)]


def _sections(text: str) -> list[Json]:
    texts = split(text, _SECTION)
    return [{"type": "section", "text": {"type": "plain_text", "text": text, "emoji": False}} for text in texts]


def _whole(text: str, blocks: list[Json]) -> Json:
    """`parse` and `link_names` are said each time: `chat.update` would look for names and addresses by itself."""
    return {"text": text, "blocks": blocks, "parse": "none", "link_names": False}


def _beginning(piece: str, written: Callable[[str], str]) -> str:
    """As much of a piece as an edit may have for a preview."""
    most = _PREVIEW
    while True:
        text = disarmed(written(piece[:most].strip() + ("…" if len(piece) > most else "")))
        if len(text.encode(errors="replace")) <= _PREVIEW_BYTES:
            return text
        most //= 2


def _mrkdwn(markdown: str) -> str:
    """The library lets mentions through (as text, as code, as the target of a link): mind its result."""
    try:
        return slackify_markdown(markdown).strip() or _escaped(markdown)
    except (RecursionError, ValueError, IndexError):  # quotes in quotes in quotes …
        return _escaped(markdown)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
