"""What somebody of a past time cannot have heard of: `1720` and "telephone" do not go together. Pure.

Knows a list of things with the years in which they came into people's talk (`inventions.txt`, in English), and how
people write of times. What is not on the list is not found; a time that lies ahead of us knows everything.
"""

import re
from functools import cache
from importlib.resources import files

GRACE = 5  # years: people speak of what is coming, and a decade is no exact date
TODAY = 2030
_NUMBERS = re.compile(r"(?<![\d.,])([1-9]\d{2,3})(s?)(?![\d.,%]\d|\d)")
_CENTURY = re.compile(r"\b(\d{1,2})(?:st|nd|rd|th)[ -]centur")
_BEFORE = re.compile(r"\b(\d{1,4}) ?(?:bc|bce|before christ)\b")
_NAMED = (  # the first that stands in the text decides
    (r"\b(future|space ?age|cyber|sci-?fi|starship|post-apocalyptic)", None),
    (r"\b(stone age|prehistor|cave ?(man|men|people))", -3000),
    (r"\b(bronze age|ancient egypt|pharaoh)", -1000),
    (r"\b(ancient greece|classical athens)", -300),
    (r"\b(ancient|roman empire|antiquity)", 300),
    (r"\b(viking)", 1050),
    (r"\b(middle ages?|medi(a)?eval|fairy.?tale|knights|feudal|high fantasy|crusade)", 1450),
    (r"\b(renaissance|tudor|elizabethan|shogun)", 1600),
    (r"\b(age of sail|golden age of piracy|baroque|enlightenment|colonial)", 1790),
    (r"\b(regency|napoleonic)", 1820),
    (r"\b(wild west|old west|frontier)", 1890),
    (r"\b(victorian|gaslight|steam age)", 1900),
    (r"\b(edwardian)", 1912),
    (r"\b(roaring twenties|jazz age|prohibition)", 1929),
    (r"\b(between the wars|interwar)", 1938),
    (r"\b(post-?war)", 1955),
    (r"\b(decades ago)", 1985),
)
_HUNDREDS = {"seventeen": 1700, "eighteen": 1800, "nineteen": 1900}


def year(era: str) -> int | None:
    """The last year that somebody of this era knows, such as 1720 for "around 1720"; None if it is today, or unsaid."""
    text = era.casefold()
    found = [int(number) + (9 if plural and number[-1] == "0" else 0) for number, plural in _NUMBERS.findall(text)]
    found += [100 * int(number) for number in _CENTURY.findall(text)]
    found += [start + 99 for word, start in _HUNDREDS.items() if f"{word} hundreds" in text]
    if before := _BEFORE.findall(text):
        return -min(map(int, before))
    if found:
        return _past(max(found))
    return next((last for pattern, last in _NAMED if re.search(pattern, text)), None)


def _past(last: int) -> int | None:
    return last if last < TODAY else None


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
