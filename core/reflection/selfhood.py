"""A persona's words about itself, before it believes them: sentence by sentence, is it still the character of the card?

What the card says of name, home, trade, age, family and tastes holds: a sentence that says otherwise is dropped, and so
is one with a name or number that stands neither in the card nor in what happened. Pure; English.
"""

import re
from collections.abc import Sequence

import msgspec

from core.reflection import facts, vetting
from personas.card import Card

MOST = 3  # sentences
KEYED = {"name", "age", "birthday", "home", "status", "work", "self", "people", "animals", "health", "skill", "having"}
_GOOD = re.compile(r"\b(?:love|like|enjoy|adore|fond of|favou?rite|prefer)\w*\b", re.IGNORECASE)
_BAD = re.compile(
    r"\b(?:hate|dislike|detest|despise|loathe)\w*\b|"
    r"\b(?:can(?:['’]|no)t stand|(?:do|does)(?:n['’]t| not) (?:like|love|enjoy))\b",
    re.IGNORECASE,
)
_FIRST = re.compile(r"\b(?:I|me|my|mine|myself)\b|\bI['’]", re.IGNORECASE)
_MACHINE = re.compile(
    r"\b(?:language model|artificial intelligence|AI|chatbot|assistant|programmed|trained on|virtual|algorithm|card|"
    r"roleplay|fictional|character|persona|user)\b",
    re.IGNORECASE,
)


class Own(msgspec.Struct, frozen=True):
    """A card, read once for many sentences: `parts`, its own sentences, and the stems of each."""

    card: Card
    parts: tuple[str, ...]
    stems: tuple[frozenset[str], ...]


def own(card: Card) -> Own:
    """What a card says of who it is."""
    parts = tuple(_lore(card))
    return Own(card, parts, tuple(frozenset(vetting.roots(part)) for part in parts))


def _lore(card: Card) -> list[str]:
    world = [card.world.scene, *(detail.text for detail in card.world.details), *card.world.channels.values()]
    voice = [example.reply for example in card.voice.examples]
    lists = (card.goals, card.skills, card.knowledge.domains, card.actions, card.names)
    texts = [card.title, card.tagline, card.description, *world, *voice, card.greeting, card.knowledge.era]
    return [part for text in [*texts, *(item for items in lists for item in items)] for part in _parts(text)]


def _parts(text: str) -> list[str]:
    return [" ".join(part.split()) for part in re.split(r"(?<=[.!?])\s+|\n+", text) if part.strip()]


def sentences(text: str) -> list[str]:
    """What a model said, as the sentences of a description: without acts between asterisks, and without address."""
    return [opened for part in _parts(re.sub(r"\*[^*]*\*", " ", text)) if (opened := _ADDRESS.sub("", part).strip())]


_ADDRESS = re.compile(
    r"^(?:[Oo]h|[Aa]h|[Ww]ell|[Hh]ello|[Hh]i|[Aa]hoy|[Ii]ndeed)\b[,!]?(?: (?!I\b)[\w’']+){0,2}[,!]\s+"
)


def outside(sentence: str, own: Own, sources: Sequence[str], names: Sequence[str] = ()) -> str:
    """Why a sentence is not of this character as it lives now; empty if it is.

    `sources`: what happened, in sentences; `names`: of the people in it, none of whom it names: what it says of itself,
    everybody in its scope may hear, and nobody else's yes or no is asked for it.
    """
    said = vetting.roots(sentence)
    return vetting.first(
        vetting.size(sentence, 12, 240),
        "it asks" if "?" in sentence else "",
        "" if _FIRST.search(sentence) else "it is not about itself",
        vetting.order(sentence),
        vetting.address(sentence),
        vetting.secret(sentence),
        vetting.language(sentence, own.parts),
        "it steps out of the character" if _MACHINE.search(sentence) and not _in(_MACHINE, sentence, own.parts) else "",
        _forbidden(said, own.card),
        _turned(sentence, said, own),
        _keyed(sentence, said, own),
        _names(sentence, own, sources, names),
        vetting.support(sentence, [*own.parts, *sources], [own.card.title], least=0.6, denials=False),
    )


def _names(sentence: str, own: Own, sources: Sequence[str], names: Sequence[str]) -> str:
    """No person is named, and no name or number falls that is not the card's. A word at the beginning may be a name,
    too, if nobody has said it."""
    lore = {word for part in own.parts for word in re.findall(r"\w+", part.lower())}
    said = set(re.findall(r"\w+", sentence.lower()))
    people = {word for name in names for word in re.findall(r"\w+", name.lower())} - lore
    if said & people:
        return "it names somebody"
    new = {word for word in vetting.marked(sentence) if not set(re.findall(r"\w+", word)) <= lore | _TAILS}
    new |= said & _NUMBERS - lore
    begins = next(iter(sentence.split()), "").strip(_MARKS).lower()
    if begins not in _BEGINNINGS and vetting.roots(begins) - set().union(*own.stems, *map(vetting.roots, sources)):
        new.add(begins)
    return f"nobody said {min(new)!r}" if new else ""


_MARKS = ",;:.!?-–—'’\"“”‘()*_"
_OPENING = """although but despite during every here if maybe once perhaps since soon though through today tomorrow
    tonight unless until whenever wherever whether yes yesterday yet"""
_COUNTING = """two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred hundreds thousand thousands million
    millions dozen dozens twice thrice"""
_BEGINNINGS, _NUMBERS = frozenset(_OPENING.split()), frozenset(_COUNTING.split())
_TAILS = {"i", "m", "ve", "d", "ll", "re", "s", "t"}


def _in(pattern: re.Pattern[str], sentence: str, own: Sequence[str]) -> bool:
    """Does the card itself speak so?"""
    found = pattern.search(sentence)
    return found is not None and any(re.search(rf"\b{re.escape(found[0])}\b", part, re.IGNORECASE) for part in own)


def _forbidden(said: set[str], card: Card) -> str:
    for topic in card.limits.topics:
        words = vetting.roots(topic)
        if words and words <= said:
            return f"the card does not talk about {topic}"
    return ""


def _turned(sentence: str, said: set[str], own: Own) -> str:
    """It likes what the card hates, or the other way round; or it denies what the card says."""
    good, bad = bool(_GOOD.search(sentence)) and not _BAD.search(sentence), bool(_BAD.search(sentence))
    for part, theirs in zip(own.parts, own.stems, strict=True):
        shared = {word for word in said & theirs if not _TASTE.match(word)}
        if not shared:
            continue
        if (good and _BAD.search(part)) or (bad and _GOOD.search(part) and not _BAD.search(part)):
            return f"the card says: {part!r}"
        if len(shared) >= 2 and not (good or bad) and vetting.denies(sentence) != vetting.denies(part):
            return f"the card says: {part!r}"
    return ""


_TASTE = re.compile(r"(?:love|like|enjoi|hate|dislik|favou?rit|prefer|fond|thing|good|bad|much|stand|adore)$")


def _keyed(sentence: str, said: set[str], own: Own) -> str:
    """What it says of name, home, trade and the like stands in the card, in one sentence of it or in two."""
    sort = next((one for one in facts.SORTS if one.name in KEYED and one.pattern.search(sentence)), None)
    if sort is None:
        return ""
    new = said - {word for stems in own.stems for word in said & stems}
    if len(new) * 3 > len(said) or new == said:
        return f"the card says nothing of this ({sort.name}): {', '.join(sorted(new)[:3])}"
    return ""


_SECOND = (
    (r"\b[Yy]ou are\b|\b[Yy]ou['’]re\b", "I am"), (r"\b[Yy]ou were\b", "I was"), (r"\b[Yy]ourself\b", "myself"),
    (r"\b(?P<p>to|for|with|of|by|from|at|about|than|helps?|lets?|gives?|tells?|calls?) you\b", r"\g<p> me"),
    (r"\b[Yy]ou\b", "I"), (r"\bYours\b", "Mine"), (r"\byours\b", "mine"), (r"\bYour\b", "My"), (r"\byour\b", "my"),
)  # fmt: skip


def sides(card: Card) -> list[str]:
    """What the card tells it of itself ("You love rain."), as it would tell it ("I love rain.")."""
    found = []
    for part in _parts(card.description):
        if re.match(r"(?:You|Your)\b", part):
            for pattern, instead in _SECOND:
                part = re.sub(pattern, instead, part)
            found.append(part)
    return found


def of_itself(sentence: str) -> bool:
    """Does it tell of itself, rather than greet, advise or ask?"""
    return bool(re.search(r"\b(?:I|my|My)\b", sentence)) and "?" not in sentence
