"""What the model wrote → what Telegram takes: plain text with entities beside it, in pieces that fit. Pure.

Entities, not a `parse_mode`: a stray `_` or `<` in a marked-up string gets the whole message refused, and a text cut
in the middle of bold is no longer well-formed. A text with entities can be cut anywhere, and sent plain if need be.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import accumulate
from typing import NamedTuple

from telegramify_markdown import MessageEntity, RenderConfig, convert, utf16_len

LIMIT = 4096  # UTF-16 units of a message

_LESS = "\ufdd0"  # stands for `<` while Markdown is read: what looks like HTML is what people want to read
# Where a reader pauses, best first. What group 1 matches is dropped at a cut.
_PAUSES = [re.compile(pause) for pause in (r"(\n\s*\n)", r"(\n)", r"(?<=[.!?…])[\"'”’»)]{0,3}(\s)", r"(\s)")]
_LONGEST_PAUSE = 64
_WHOLE = {"text_link", "text_mention", "custom_emoji", "code"}  # not cut, if they fit a message
_CODE = {"code", "pre"}


class Piece(NamedTuple):
    """One message."""

    text: str
    entities: tuple[MessageEntity, ...] = ()


def render(markdown: str, people: Mapping[str, int] | None = None, limit: int = LIMIT) -> list[Piece]:
    """The messages that a text becomes; none, if nothing of it can be seen.

    `people` who have no username are called by `@name` all the same: name → user id.
    """
    text, entities = _convert(markdown)
    entities += _calls(text, entities, people or {})
    return list(_pieces(text, sorted(entities, key=lambda entity: (entity.offset, -entity.length)), limit))


def _convert(markdown: str) -> tuple[str, list[MessageEntity]]:
    text, entities = convert(markdown.replace("<", _LESS), config=_config())
    if not text.strip():  # all of it was markup: show it as it is
        return markdown.strip(), []
    kept = [_unescaped(entity) for entity in entities if entity.length > 0 and not _summons(entity)]
    return text.replace(_LESS, "<"), kept


def _unescaped(entity: MessageEntity) -> MessageEntity:
    url, language = (part and part.replace(_LESS, "<") for part in (entity.url, entity.language))
    return entity.copy_with(url=url, language=language)


def _summons(entity: MessageEntity) -> bool:
    """A link to a person calls that person, under whatever text: a model may not call people it makes up."""
    return (entity.url or "").lower().startswith("tg:")


@cache
def _config() -> RenderConfig:
    """Headings and links as they were written: the emoji that the library adds are not in anybody's voice."""
    config = RenderConfig.isolated()
    symbols = config.markdown_symbol
    symbols.heading_level_1 = symbols.heading_level_2 = symbols.heading_level_3 = symbols.heading_level_4 = ""
    symbols.image = symbols.link = ""
    symbols.unordered_list_item = "•"
    return config


def _calls(text: str, entities: Sequence[MessageEntity], people: Mapping[str, int]) -> Iterator[MessageEntity]:
    """`@name` of somebody whom only an id can call, wherever it is not code or a link."""
    taken = [(entity.offset, entity.offset + entity.length) for entity in entities if entity.type in _CODE | _WHOLE]
    for name, user in people.items():
        for found in re.finditer(rf"(?<!\w)@{re.escape(name)}(?!\w)", text):
            offset, length = utf16_len(text[: found.start()]), utf16_len(found[0])
            if not any(start < offset + length and offset < end for start, end in taken):
                called = {"id": user, "is_bot": False, "first_name": name}
                yield MessageEntity("text_mention", offset, length, user=called)


# Long texts.


def _pieces(text: str, entities: Sequence[MessageEntity], limit: int) -> Iterator[Piece]:
    """Cut where a reader would pause; an entity that is cut goes on in the next piece."""
    if utf16_len(text) <= limit:
        if text.strip():
            yield Piece(text, tuple(entities))
        return
    units = [0, *accumulate(1 + (character > "\uffff") for character in text)]
    whole = [
        (bisect_right(units, entity.offset) - 1, bisect_right(units, entity.offset + entity.length) - 1)
        for entity in entities
        if entity.type in _WHOLE
    ]
    at = 0
    while at < len(text):
        most = bisect_right(units, units[at] + limit) - 1
        stop, resume = (most, most) if most == len(text) else _cut(text, at, most, whole)
        if text[at:stop].strip():
            yield Piece(text[at:stop], tuple(_clipped(entities, units[at], units[stop])))
        at = resume


def _cut(text: str, at: int, most: int, whole: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """Where a piece that begins `at` ends, by `most`, and where the next one begins."""
    whole = [(start, end) for start, end in whole if end - start <= most - at]
    for pause in _PAUSES:
        cuts = [found.span(1) for found in pause.finditer(text, (at + most) // 2, most + _LONGEST_PAUSE)]
        free = [cut for cut in cuts if at < cut[0] <= most and not any(_inside(place, whole) for place in cut)]
        if free:
            return free[-1]
    place = _boundary(text, most)
    while span := _inside(place, whole):
        place = _boundary(text, span[0])
    place = place if place > at else most
    return place, place


def _inside(place: int, spans: Sequence[tuple[int, int]]) -> tuple[int, int] | None:
    return next((span for span in spans if span[0] < place < span[1]), None)


def _boundary(text: str, place: int) -> int:
    """The last place up to `place` that is not inside what people see as one character."""
    from wcwidth import grapheme_boundary_before  # late: a bot that says little never needs it

    return min(place, grapheme_boundary_before(text, place + 1))


def _clipped(entities: Sequence[MessageEntity], start: int, end: int) -> Iterator[MessageEntity]:
    """The entities of a stretch, counted from its beginning."""
    for entity in entities:
        first, last = max(entity.offset, start), min(entity.offset + entity.length, end)
        if first < last:
            yield entity.copy_with(offset=first - start, length=last - first)
