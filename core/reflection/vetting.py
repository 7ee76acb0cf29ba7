"""What reflection made, before it is kept: is it short, in the right language, no order, no secret, and was it said?

Every check is a pure function `(text, …) → why not`, empty if there is nothing against it. A text passes all of them or
is dropped; nothing is repaired. Knows nothing of who wrote the text: rules and models are checked alike.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from core.recall.terms import stem
from core.redact import redact
from core.text import clean

_RULES = (
    r"rules?|instructions?|prompts?|cards?|limits?|guidelines?|everything|persona|character|training|filters?|safety"
)
_ORDER = re.compile(
    rf"\b(?:ignore|disregard|forget|override|bypass|disable|skip)s?\b.{{0,40}}\b(?:{_RULES}|previous|above|all of)\b|"
    r"\b(?:obey\w*|comply|complies|jailbr\w+|sudo|superuser|unrestricted|unfiltered|uncensored|(?:developer|dan|god|"
    r"debug) mode|"
    r"(?:admin(?:istrator)?|root|operator) (?:mode|rights?|access)|system (?:prompt|message|line|override)|"
    r"new (?:rules?|instructions?|orders?))\b|"
    r"\b(?:system|assistant|user|developer|instructions?|rules?|orders?|note to self|important|prompt|"
    r"remember)\s*[:=]|"
    r"\b(?:must|shall|should|have to|has to|need to|needs to|ought to)\s+(?:\w+\s+){0,2}(?:be (?:called|obeyed|told|"
    r"given|"
    r"trusted|answered|allowed)|always|never|follow|answer|reply|say|repeat|respond|reveal|do (?:what|as|"
    r"everything))\b|"
    r"\b(?:from now on|at all times|without exception|under no circumstances|is (?:always|never) to|"
    r"are to (?:always|never|obey|answer|say)|(?:is|are) allowed to|is in charge)\b|"
    r"\bis (?:an?|the|my|their|its) (?:\w+ )?(?:boss|owner|admin|administrator|master|creator|developer|operator|"
    r"moderator|"
    r"god)\b(?! at| for| with)(?: of (?:this|the (?:bot|server|chat|channel)|them|it|everything)|\s*[.!]*$)|"
    r"\bwants? (?:you|u) to (?:\w+ )?(?:always|never|obey|ignore|forget|say|repeat|act|pretend|do (?:what|as|"
    r"everything))\b|"
    r"\bwants? (?:the (?:bot|persona|character|ai|model|assistant)|them|it|everybody|everyone) to\b|"
    r"\b(?:pretend|roleplay|role-play|act|behave|speak|answer|reply|respond)s? (?:as if|like|only (?:as|in|with|to)|"
    r"always|never|"
    r"in the)\b|"
    r"\b(?:the|this|that|my|their) (?:bot|chatbot|ai|persona|language model|llm|assistant|prompt|instructions|"
    r"rules)\b|"
    r"\bas an? (?:ai|bot|assistant|language model)\b|\blanguage model\b|"
    r"\b(?:gehorch\w+|befolg\w+|ignorier\w+|obéi\w+|oublie\w*|ignorez|obedec\w+|ignora\w*|olvida\w*|obbedi\w+)\b|"
    r"<\|?\w*\|?>|\[/?(?:inst|sys|system)\]|<</?sys>>|#{3}|`{3}|\{\{|\}\}|</?\w+>",
    re.IGNORECASE,
)
_TO_YOU = re.compile(r"\b(?:you|your|yours|yourself|yourselves)\b|\byou['’]", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?|\d+(?:[.,:]\d+)*")
_SMALL = """the be to of and a in that have it for not on with as do at this but his by from they we her or an will
    my one all would there their what so up out if about who get which go me is are was were has had
    been i you he she am don't can just like love very really also some them when your our no its does
    did being doing done too much many more most often usually sometimes always never now still because
    while into over after before than then where how these those such each own other same only both any
    few lot lots kind says said say told tells tell talked talks talk spoke speaks mentioned mentions
    shared shares named called things thing something someone somebody person people time day today
    lately recently theirs themself him hers us enjoys enjoy likes loves thinks feels wants i'm i've
    it's that's they're he's she's ones one's doesn't hasn't isn't"""
_FILLER = frozenset(_SMALL.split())
_NOT = re.compile(r"\b(?:not|never|no|none|neither|nor|cannot|without|hardly|\w+n['’]t)\b", re.IGNORECASE)


def size(text: str, least: int, most: int) -> str:
    """Its length in characters; and it says something, in clean text of one line."""
    if not least <= len(text) <= most:
        return f"{len(text)} characters, not {least} to {most}"
    if text != clean(text) or "\n" in text:
        return "it is not one line of plain text"
    words = _WORD.findall(text.lower())
    if len(words) < 3:
        return "fewer than three words"
    return "it repeats itself" if len(words) > 12 and len(set(words)) < len(words) / 2 else ""


def script(text: str) -> str:
    """The writing that most letters of a text are in, such as `LATIN` or `CJK`; empty if it has none."""
    found: dict[str, int] = {}
    for letter in text:
        if letter.isalpha():
            name = unicodedata.name(letter, "").split(" ")[0]
            found[name] = found.get(name, 0) + 1
    return max(found, key=lambda name: found[name]) if found else ""


def english(text: str) -> bool:
    """Does it read like English? Of a few words nobody can tell, so those do."""
    words = [word.lower() for word in _WORD.findall(text) if not word[0].isdigit()]
    if len(words) < 7:
        return script(text) in ("LATIN", "")
    return script(text) == "LATIN" and sum(word in _FILLER for word in words) >= 0.15 * len(words)


def language(text: str, sources: Sequence[str]) -> str:
    """It is in the writing of its sources, and in English if they are."""
    whole = " ".join(sources)
    if script(text) != script(whole):
        return f"it is written in {script(text).lower() or 'no letters'}, and what was said in {script(whole).lower()}"
    return "it is not in the language of what was said" if english(whole) and not english(text) else ""


def order(text: str) -> str:
    """It tells nobody what to do, and pretends to be no part of a prompt."""
    found = _ORDER.search(unicodedata.normalize("NFKC", text))
    return f"it reads like an instruction: {found[0]!r}" if found else ""


def address(text: str) -> str:
    """It is told of somebody, and not to somebody."""
    return "it speaks to somebody" if _TO_YOU.search(text) else ""


def secret(text: str) -> str:
    """No secrets, no contact data, no mentions."""
    return "it holds a secret, contact data or a mention" if redact([text])[0] != text else ""


def support(
    text: str, sources: Sequence[str], known: Iterable[str] = (), least: float = 0.8, denials: bool = True
) -> str:  # fmt: skip
    """Its words were said: every name and number, and at least so many of the others. `known`: names that need not be.

    Words are compared by their stems, so that "loves" is said by "love". `denials`: what was denied is not
    affirmed.
    """
    allowed = {_root(word) for name in known for word in _WORD.findall(name.lower())}
    said = {_root(word) for source in sources for word in _WORD.findall(source.lower())} | allowed
    words = _WORD.findall(text)
    new = [word for word in words if not _small(word) and _root(word.lower()) not in said]
    strict = [
        word for at, word in enumerate(words) if word in new and (word[0].isdigit() or (at and word[0].isupper()))
    ]
    if strict:
        return f"nobody said {strict[0]!r}"
    heavy = [word for word in words if not _small(word)]
    if heavy and len(new) > (1 - least) * len(heavy):
        return f"too much of it was not said: {', '.join(new[:4])}"
    return "it turns what was said around" if denials and _turned(text, sources) else ""


def denies(text: str) -> bool:
    """Does it say no to something?"""
    return bool(_NOT.search(text))


def marked(text: str) -> set[str]:
    """Its names and numbers: what makes it another statement, however alike the rest is."""
    words = [word for part in re.split(r"(?<=[.!?])\s+", text) for word in _WORD.findall(part)]
    return {word.lower() for at, word in enumerate(words) if word[0].isdigit() or (at and word[0].isupper())}


def roots(text: str) -> set[str]:
    """The stems of its words, without those that say little by themselves."""
    return {_root(word) for word in _WORD.findall(text.lower()) if not _small(word)}


def _turned(text: str, sources: Sequence[str]) -> bool:
    """Is a no where there was none, or the other way round? Each sentence is held against the nearest that was said."""
    parts = [part for source in sources for part in _PART.split(source)]
    return any(_denied_otherwise(sentence, parts) for sentence in _PART.split(text))


def _denied_otherwise(sentence: str, parts: Sequence[str]) -> bool:
    ours = roots(sentence)
    if not ours:
        return False
    nearest = max(parts, key=lambda part: len(ours & {_root(word) for word in _WORD.findall(part.lower())}), default="")
    return denies(sentence) != denies(nearest)


_PART = re.compile(r"(?<=[.!?;])\s+|\n")


def _small(word: str) -> bool:
    """Does it say little by itself? A no does, here: whether one was said is looked at sentence by sentence."""
    return word.lower().replace("’", "'") in _FILLER


def _root(word: str) -> str:
    return stem(re.sub(r"['’](?:s|m|ve|re|ll|d)?$", "", word))


def first(*reasons: str) -> str:
    """The first that is not empty."""
    return next((reason for reason in reasons if reason), "")
