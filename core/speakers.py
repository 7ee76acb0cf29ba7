"""Who says what in a prompt: a name for everybody, and no line that could pass for somebody else's. Pure.

Knows names and text; where they stand in a prompt is for `core/prompt.py` to say.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

import msgspec

from core.events import Line

ROLES = ("system", "user", "assistant", "developer", "tool", "you")  # nobody is called that
LONGEST = 40  # letters of a name that are shown

_COLONS = ":\u02d0\u02f8\u0589\u05c3\u2236\ua789\ufe13\ufe55\uff1a"  # and what looks like one
_SPEAKS = re.compile(rf"[^{_COLONS}]{{1,60}}[{_COLONS}]")
# Letters of other scripts that look like Latin ones, and signs that look like letters; for comparing names only.
_ALIKE = str.maketrans("аеорсухіјѕһԁвнкмтգοανειρτυχκμβη01|", "aeopcyxijshdbhkmtgoavelptuxkmbholl")  # noqa: RUF001


class Speakers(msgspec.Struct, frozen=True):
    """Whose names may stand before lines of a talk: `ours` are the persona's, `others` people's, as they are shown."""

    ours: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


NOBODY = Speakers()


def show_names(lines: Sequence[Line], ours: Iterable[str] = ()) -> dict[str, str]:
    """A name for each person by id: those of the same name are told apart by a number, in the order they first spoke.

    Names that only look the same count as the same, and so do those that are `ours`, or a role of a chat template.
    """
    latest = {line.author.id: _tidy(line.author.name) for line in lines if not line.ours}
    taken = {looks(name) for name in (*ROLES, *ours)}
    names = {}
    for person, name in latest.items():
        shown, number = name, 1
        while looks(shown) in taken:
            number += 1
            shown = f"{name} ({number})"
        taken.add(looks(shown))
        names[person] = shown
    return names


@lru_cache(maxsize=4096)
def _tidy(name: str) -> str:
    """On one line, short, with no colon and nothing that is not seen."""
    seen = "".join(letter for letter in name if letter not in _COLONS and unicodedata.category(letter) != "Cf")
    return " ".join(seen.split())[:LONGEST].strip() or "Somebody"


@lru_cache(maxsize=4096)
def looks(name: str) -> str:
    """What a name looks like: the same for all that people would take for one another."""
    plain = unicodedata.normalize("NFKD", name).casefold().translate(_ALIKE)
    seen = (letter for letter in plain if unicodedata.category(letter) not in ("Mn", "Me", "Cf"))
    return "".join(seen).replace("i", "l").strip()


def named(name: str, text: str) -> str:
    """What somebody says, with their name before it, and before each further line that looks as if somebody spoke."""
    first, *rest = text.splitlines() or [""]
    return "\n".join([f"{name}: {first}", *(f"{name}: {line}" if _SPEAKS.match(line) else line for line in rest)])


def quoted(text: str, most: int = 0) -> str:
    """Somebody's words on one line between quotation marks, out of which they cannot break; `most` letters of them."""
    line = " ".join(text.split()).replace('"', "'")
    return f'"{line}"' if not most or len(line) <= most else f'"{line[: most - 1]}…"'
