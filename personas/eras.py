"""Times as people write them into cards: `The 1950s`, `Victorian London`, `Today`. Pure.

Knows years, decades, centuries and the common names of ages, in English. A time that lies ahead of us knows everything.
"""

import re

TODAY = 2030
FORMS = (
    "a year (around 1720), a decade (the 1950s), a century (the 14th century), an age by its name (Victorian, "
    "age of sail), the future, or today"
)
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
    (r"\b(today|now|nowadays|present|modern|contemporary|current|tomorrow|timeless)\b", None),
    (r"\b(this (year|decade|century)|our (own )?(times?|days?|age|century))\b", None),
)
_HUNDREDS = {"seventeen": 1700, "eighteen": 1800, "nineteen": 1900}


def year(era: str) -> int | None:
    """The last year that somebody of this era knows, such as 1720 for "around 1720"; None if it is today, or unsaid."""
    times = _times(era.casefold())
    return times[0] if times else None


def names_a_time(era: str) -> bool:
    """Can it be told from this text when that is?"""
    return bool(_times(era.casefold()))


def _times(text: str) -> list[int | None]:
    """The one time that the text is about, as its last year or None for today; nothing if it names no time."""
    if before := _BEFORE.findall(text):
        return [-min(map(int, before))]
    found = [int(number) + (9 if plural and number[-1] == "0" else 0) for number, plural in _NUMBERS.findall(text)]
    found += [100 * int(number) for number in _CENTURY.findall(text)]
    found += [start + 99 for word, start in _HUNDREDS.items() if f"{word} hundreds" in text]
    if found:
        return [max(found) if max(found) < TODAY else None]
    return [last for pattern, last in _NAMED if re.search(pattern, text)][:1]
