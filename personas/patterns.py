"""Regular expressions that people write into cards: compiled, and searched for no longer than a moment.

Knows no card. Python's own `re` cannot be stopped once it has begun: `(a+)+$` on forty letters takes hours. So these go
through the `regex` package, which takes a time limit. It reads what `re` reads.
"""

import re
from functools import lru_cache
from typing import Any

LIMIT = 0.2  # seconds: what is sound takes a thousandth of it, on a machine that is busy, too
TRIAL = 0.4  # seconds for one message when a card is checked
LONGEST = 8_000  # characters of a message that are looked at


class TooSlow(Exception):
    """A search did not end within its time."""


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Any:
    import regex  # type: ignore[import-untyped]  # late: most processes read cards and search nothing

    return regex.compile(pattern, regex.IGNORECASE | regex.V0)


def fault(pattern: str) -> str:
    """Why this is no expression that we can search for; empty if it is one. Tries it on messages made to be hard."""
    import regex

    try:
        _compiled(pattern)
    except (regex.error, OverflowError, RecursionError, ValueError) as error:
        return f"is not a regular expression: {error}"
    try:
        for text in hard(pattern):
            found(pattern, text, TRIAL)
    except TooSlow:
        return "takes too long on some messages: write it without repeats inside of repeats, such as (a+)+"
    return ""


def found(pattern: str, text: str, limit: float = LIMIT) -> bool:
    """Is it in the text, case ignored? Raises TooSlow."""
    try:
        return _compiled(pattern).search(text[:LONGEST], timeout=limit) is not None
    except TimeoutError as error:
        raise TooSlow(pattern) from error


def hard(pattern: str) -> list[str]:
    """Messages on which an expression that backtracks does so: much of the same, then something that fits nothing, and
    behind it all that the expression asks for, or its absence would be seen at once."""
    plain = re.sub(r"\\[a-zA-Z]", "", pattern)
    letters = sorted({char for char in plain if char.isalnum() or char in " -_.,!?'"})[:12]
    word = "".join(char for char in plain if char.isalnum() or char == " ")[:20] or "a"
    units = dict.fromkeys([*letters, "a", " ", "0", "a ", "aA0 ", word])
    return [f"{unit * (2_000 // len(unit))}\x00{plain}" for unit in units]
