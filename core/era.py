"""What somebody of a past time cannot have heard of: `1720` and "telephone" do not go together. Pure.

Knows a list of things with the years in which they came into people's talk (`inventions.txt`, in English); how people
write of times is known to `personas/eras.py`. What is not on the list is not found.
"""

import re
from functools import cache
from importlib.resources import files

from personas.eras import TODAY

GRACE = 5  # years: people speak of what is coming, and a decade is no exact date


def unheard(text: str, last: int) -> tuple[str, int] | None:
    """The first thing or year in a text that is later than the year `last`, and when it came; None if there is none."""
    words = _TOKEN.findall(text.casefold().replace("’", "'"))
    for word in words:
        if word.isdecimal() and len(word) == 4 and last + GRACE < int(word) < TODAY + 70:
            return word, int(word)
    spaced = f" {' '.join(words)} "
    later = ((thing, came) for thing, came in _things().items() if came > last + GRACE)
    return next(((thing, came) for thing, came in later if f" {thing} " in spaced), None)


_TOKEN = re.compile(r"[^\W_]+(?:[-'/.][^\W_]+)*")


@cache
def _things() -> dict[str, int]:
    """Each thing on the list, in lower case, and its year; of several years the first."""
    found: dict[str, int] = {}
    for line in files("core").joinpath("inventions.txt").read_text(encoding="utf-8").splitlines():
        came, _, things = line.partition(" ")
        for thing in things.split(","):
            found.setdefault(thing.strip(), int(came))
    return found
