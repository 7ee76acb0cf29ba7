"""A text too long for one message → pieces that fit, cut where a reader would pause. Pure; knows no platform.

A piece never ends inside a link, a mention, an emoji or a surrogate pair, unless that alone is longer than the limit.
A code fence that is cut is closed in the piece and opened again, with its language, in the next.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import Literal, NamedTuple

Unit = Literal["characters", "utf-16"]

_FENCE = re.compile(r"^[ \t]*(`{3,16}|~{3,16})([^`\n]{0,40})$", re.MULTILINE)
# What must stay whole: inline code, a Markdown link or image, something between < and >, a bare address.
_WHOLE = re.compile(
    r"(?<!`)(`{1,3})(?!`)[^\n]{1,300}?(?<!`)\1(?!`)"
    r"|!?\[[^\]\n]{0,300}\]\((?:[^()\s]|\([^()\s]*\))*\)"
    r"|<[^<>\s]{1,300}>"
    r"|https?://[^\s<>\[\]`]+"
)
# Where a reader pauses, best first. A cut falls behind the match, and what matched is dropped at the end of a piece.
_PARAGRAPH = re.compile(r"(?<![ \t])[ \t]*\n(?:[ \t]*\n)+")
_LINE = re.compile(r"(?<![ \t])[ \t]*\n")
_SENTENCE = re.compile(r"(?<=[.!?…。\uff01\uff1f])[\"'”’»)\]*_]{0,3}()(?:[ \t]+|(?<=[。\uff01\uff1f]))")
_WORD = re.compile(r"[ \t]+")


class _Cut(NamedTuple):
    """A piece may end before `stop`, and the next one begins at `resume`."""

    stop: int
    resume: int


class _Code(NamedTuple):
    """A fenced block: its first line begins at `begin`, its code at `body`, its closing line at `close`; `end`s there.

    One that was open already where the text begins has its code there; one that is not closed has no end in sight.
    """

    begin: int
    body: int
    close: int
    end: int
    marker: str
    language: str

    @property
    def opening(self) -> str:
        return f"{self.marker}{self.language}\n"

    @property
    def closing(self) -> str:
        return f"\n{self.marker}"


def size(text: str, unit: Unit = "characters") -> int:
    """How long a platform that counts in `unit` finds `text`."""
    return len(text) if unit == "characters" else len(text.encode("utf-16-le", "surrogatepass")) // 2


def split(text: str, limit: int, unit: Unit = "characters") -> list[str]:
    """`text` as pieces of at most `limit` units: none empty, and nothing lost but the white space at the cuts."""
    if limit < 2:
        raise ValueError(f"a limit of {limit} has no room for every character")
    if size(text, unit) <= limit:
        return [text] if text.strip() else []
    return [piece for piece in _pieces(text, limit, unit) if piece.strip()]


def _pieces(text: str, limit: int, unit: Unit) -> Iterator[str]:
    at, open_code = 0, None
    while at < len(text):
        opening = open_code.opening if open_code else ""
        if size(opening, unit) + size(text[at : at + limit + 1], unit) <= limit:
            yield opening + text[at:] if text[at:].strip() else ""
            return
        codes = [code for code in _codes(text, at, at + limit, open_code) if _room(code, unit) <= limit // 2]
        room = limit - size(opening, unit) - max((size(code.closing, unit) for code in codes), default=0)
        cut = _cut(text, at, _reach(text, at, room, unit), codes)
        code = next((code for code in codes if code.begin < cut.resume < code.end), None)
        piece = opening + text[at : cut.stop]
        if code:
            piece += code.closing
            if cut.resume == code.close:  # the line that we have just added
                cut, code = _Cut(cut.stop, code.end + 1), None
        yield piece if code or open_code else piece.rstrip()
        at, open_code = cut.resume, code


def _reach(text: str, at: int, room: int, unit: Unit) -> int:
    """How far a piece of `room` units that begins `at` can go."""
    end = min(len(text), at + room)
    while (over := size(text[at:end], unit) - room) > 0:
        end -= (over + 1) // 2  # a character is two units at most: this never goes too far
    return end


def _room(code: _Code, unit: Unit) -> int:
    """What its two fences take of a piece. A block that would take most of it is cut like any text."""
    return size(code.opening + code.closing, unit)


def _codes(text: str, at: int, end: int, open_code: _Code | None) -> list[_Code]:
    """The fenced blocks that can be seen between `at` and the end of the line at `end`."""
    codes: list[_Code] = []
    never = len(text) + 1
    line_end = text.find("\n", end)
    code = open_code and open_code._replace(begin=at - 1, body=at, close=never, end=never)
    for line in _FENCE.finditer(text, at, line_end if line_end >= 0 else len(text)):
        marker, language = line[1], line[2].strip()
        if code is None:
            code = _Code(line.start(), line.end() + 1, never, never, marker, language)
        elif marker.startswith(code.marker) and not language:
            codes.append(code._replace(close=line.start(), end=line.end()))
            code = None
    return [*codes, code] if code else codes


def _cut(text: str, at: int, most: int, codes: list[_Code]) -> _Cut:
    """The best place to end a piece that begins `at` and can go as far as `most`."""
    spans = [found.span() for found in _WHOLE.finditer(text, at, min(len(text), 2 * most - at + 64))]
    spans = [span for span in spans if span[1] - span[0] <= most - at]
    spans += [(code.begin, code.body + 1) for code in codes if code.begin >= at]  # no piece ends with an opening line
    spans += [(code.close, code.end) for code in codes]
    half = (at + most) // 2
    for pause, in_code, least in (
        (_PARAGRAPH, False, half),
        (_LINE, False, half),
        (_LINE, True, half),
        (_SENTENCE, False, half),
        (_WORD, False, half),
        (_LINE, None, at),
        (_WORD, False, at),
    ):
        cuts = sorted(_pauses(pause, text, least, most, codes, in_code), reverse=True)
        if best := next((cut for cut in cuts if cut.stop > at and _is_free(text, cut, spans)), None):
            return best
    return _hard(text, at, most, spans)


def _pauses(
    pause: re.Pattern[str], text: str, least: int, most: int, codes: list[_Code], in_code: bool | None
) -> Iterator[_Cut]:
    """Every such pause that lets a piece end between `least` and `most`; in code only a line end is dropped."""
    begins = [code.begin for code in codes]  # in order, and no block is in another
    for found in pause.finditer(text, least, min(len(text), most + 64)):
        stop = found.end(1) if found.re.groups else found.start()
        before = bisect_left(begins, found.end())
        inside = before > 0 and found.end() < codes[before - 1].end
        if inside and found.re is _LINE:
            stop = found.end() - 1
        if stop <= most and in_code in (None, inside):
            yield _Cut(stop, found.end())


def _is_free(text: str, cut: _Cut, spans: list[tuple[int, int]]) -> bool:
    whole = all(not start < place < end for start, end in spans for place in cut)
    return whole and _boundary(text, cut.resume) == cut.resume


def _hard(text: str, at: int, most: int, spans: list[tuple[int, int]]) -> _Cut:
    """No pause anywhere: between two things that must stay whole, else between two emoji, else anywhere."""
    for ends in (spans, []):
        place = _boundary(text, most)
        while place > at and (inside := [start for start, end in ends if start < place < end]):
            place = _boundary(text, min(inside))
        if place > at:
            return _Cut(place, place)
    most = max(most, at + 1)
    return _Cut(most, most)


def _boundary(text: str, place: int) -> int:
    """The last place up to `place` that is not inside what people see as one character."""
    if place >= len(text) or (text[place].isascii() and text[place] != "\n"):
        return min(place, len(text))
    from wcwidth import grapheme_boundary_before  # late: a bot that says little never needs it

    return min(place, grapheme_boundary_before(text, place + 1))
