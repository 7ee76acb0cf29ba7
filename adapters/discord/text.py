"""What a persona says → what Discord shows. Pure.

Discord knows bold, italics, code, quotes, lists, links and three sizes of heading. What it lacks becomes what comes
nearest: a table is set as code, an image is a link, a rule is a line. Nothing we say calls everyone or a role.
"""

import re
from functools import cache

from adapters.pieces import size, split
from core.text import clean

LENGTH = 2_000  # counted as UTF-16, which is never less than what Discord counts

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})", re.MULTILINE)
_MASS = re.compile(r"@(?=everyone|here)|(?<=<)@(?=&)", re.IGNORECASE)
_DEEP = re.compile(r"^(#{4,6})[ \t]+(.+?)[ \t]*#*$")
_RULE = re.compile(r"^[ \t]*([-*_])(?:[ \t]*\1){2,}[ \t]*$")
_IMAGE = re.compile(r"!\[([^\]\n]*)\]\(([^()\s]+)\)")
_TASK = re.compile(r"^([ \t]*[-*+][ \t]+)\[([ xX])\][ \t]+")
_CELLS = re.compile(r"^[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_LINK = re.compile(r"\[([^\]\n]+)\]\(<?([^()\s<>]+)>?\)")
_MARKS = re.compile(r"\*\*|__|~~|\|\||`+|^#{1,6} |^-# |^>{1,3} ", re.MULTILINE)


def render(text: str) -> str:
    """Markdown as Discord understands it, with every mass mention broken."""
    lines, fence = list[str](), ""
    for line in clean(text).split("\n"):
        found = _FENCE.match(line)
        if found and (not fence or found[1].startswith(fence)):
            fence = "" if fence else found[1]
            line = line.replace(found[1], "`" * len(found[1]), 1)
        elif not fence:
            line = _line(line)
        lines.append(line)
    return _MASS.sub("@\u200b", "\n".join(_tables(lines)))


def _line(line: str) -> str:
    if _RULE.match(line):
        return "─" * 12
    line = _DEEP.sub(r"**\2**", line)
    line = _TASK.sub(lambda found: found[1] + ("☐ " if found[2] == " " else "☑ "), line)
    return _IMAGE.sub(lambda found: f"[{found[1] or 'image'}]({found[2]})", line)


def _tables(lines: list[str]) -> list[str]:
    """Tables, set as code: there at least the columns stand."""
    made, at, in_code = list[str](), 0, False
    while at < len(lines):
        if _FENCE.match(lines[at]):
            in_code = not in_code
        if in_code or not _is_table(lines, at):
            made.append(lines[at])
            at += 1
            continue
        end = at
        while end < len(lines) and "|" in lines[end]:
            end += 1
        made += ["```", *_columns(lines[at:end]), "```"]
        at = end
    return made


def _is_table(lines: list[str], at: int) -> bool:
    return "|" in lines[at] and at + 1 < len(lines) and "|" in lines[at + 1] and bool(_CELLS.match(lines[at + 1]))


def _columns(lines: list[str]) -> list[str]:
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines if not _CELLS.match(line)]
    width = max(len(row) for row in rows)
    rows = [row + [""] * (width - len(row)) for row in rows]
    widths = [max(len(row[column]) for row in rows) for column in range(width)]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows]


def pieces(text: str) -> list[str]:
    """A whole reply, as messages that Discord takes."""
    return split(render(text), LENGTH, "utf-16")


def growing(text: str) -> list[str]:
    """A reply that is still being written, as messages: code that is open is shown as code."""
    made = pieces(text)
    if made and len([line for line in _FENCE.findall(made[-1]) if line]) % 2:
        closed = made[-1].rstrip() + "\n```"
        made[-1] = closed if size(closed, "utf-16") <= LENGTH else made[-1]
    return made


def plain(piece: str) -> str:
    """A message without markup, for where Discord would not take it as it was."""
    bare = _MASS.sub("@\u200b", _MARKS.sub("", _LINK.sub(r"\1 (\2)", piece)).strip())  # marks may have stood within
    return split(bare, LENGTH, "utf-16")[0] if bare else "…"


def spelled(emoji: str) -> str:
    """One of our keys as Discord wants it in a reaction: with the selectors that we leave out."""
    if emoji.startswith("discord:"):
        return f"emoji:{emoji.removeprefix('discord:')}"  # it goes by the id; any name will do
    return _qualified().get(emoji, emoji)


@cache
def _qualified() -> dict[str, str]:
    from emoji import EMOJI_DATA, STATUS  # late: most bots never react

    whole = (emoji for emoji, data in EMOJI_DATA.items() if data["status"] == STATUS["fully_qualified"])
    return {emoji.replace("\ufe0f", ""): emoji for emoji in whole if "\ufe0f" in emoji}
