"""Numbers as people read them in a terminal: sizes, spans of time, counts; and what they may have meant. Pure."""

from collections.abc import Iterable


def size(count: float) -> str:
    """Bytes: `1.9 MB`, in steps of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 99.5 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def span(seconds: float) -> str:
    """A while: `12 s`, `3 min`, `2 h 5 min`, `4 d 3 h`."""
    seconds = max(0, int(seconds))
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if days:
        return f"{days} d {hours % 24} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def many(number: int, word: str) -> str:
    """`1 reply`, `2 replies`, `1,200 lines`."""
    plural = f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
    return f"{number:,} {word if number == 1 else plural}"


def meant(others: Iterable[str]) -> str:
    """` Did you mean discord:901?`, if there is anything else that may have been meant."""
    said = " or ".join(others)
    return f" Did you mean {said}?" if said else ""
