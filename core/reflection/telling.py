"""What somebody says of themselves → the same said of them: "I live in Graz" → "Ann lives in Graz". Pure; English.

By rules and word for word, so that nothing is made up. What such rules cannot read (a question, a supposition, a quote,
whatever is said to the persona rather than of oneself) is left alone. Knows nothing of what is worth keeping.
"""

import re
from collections.abc import Callable, Iterator

SHORTEST, LONGEST = 8, 180  # characters of a sentence

_END = re.compile(r"(?<=[.!?…])[\"”)\]]?\s+|\n+")
_OPENING = re.compile(
    r"^(?:(?:oh|ah|well|so|yes|yeah|yep|no|nope|hi|hello|hey|ok|okay|sure|of course|thanks|thank you|by the way|btw|"
    r"actually|also|and|but|you know|anyway|hmm+|haha+|lol|wow|great|right|alright|good (?:morning|evening|afternoon)|"
    r"for example|for instance|after all|to be honest|honestly|(?:hi|hello|hey|ok|okay|thanks|thank you)[ ,]+"
    r"(?:there|[\w ]{1,30}?))[,!.;:—–-]+\s+|(?:but|and|so|because|then)\s+)+",
    re.IGNORECASE,
)
_OWN = re.compile(r"\b(?:I|[Mm]y|[Mm]ine|[Mm]e)\b")
_SUPPOSED = re.compile(
    r"\b(?:if|unless|wish(?:ed)?|would|could|might|imagine|imagining|suppose|supposing|pretend(?:ing)?|hypothetically|"
    r"maybe|perhaps|let's say|as though|I'd|I’d|joking|kidding|once upon)\b",
    re.IGNORECASE,
)
_TO_YOU = re.compile(r"\b(?:you|your|yours|yourself|ya|u|thou|thee)\b|\b(?:you|u)['’]", re.IGNORECASE)
_TITLE = re.compile(r"[\"“”](?=[A-Z0-9])[^\"“”.:!?]{2,60}[\"“”]")  # of a book, say: the only quotes that can be retold
_QUOTED = re.compile(
    r"[\"“”«»*`<>|{}()\[\]\\#]|(?<!\w)['’]|['’](?!\w)|https?:|\b(?:said|says|told|asked|replied)\b", re.IGNORECASE
)
_TOGETHER = re.compile(r"\b(?:we|us|our|ours|let's)\b", re.IGNORECASE)


def sentences(text: str) -> list[str]:
    """The sentences of a text, without the greetings they open with."""
    parts = (" ".join(part.split()) for part in _END.split(text) if part and part.strip())
    return [opened for part in parts if (opened := _OPENING.sub("", part))]


def plain(sentence: str) -> str:
    """Why a sentence cannot be retold; empty if it can."""
    if not SHORTEST <= len(sentence) <= LONGEST:
        return "too short or too long"
    bare = _TITLE.sub("", sentence)
    for pattern, why in _REASONS:
        if pattern.search(bare):
            return why
    return "" if _OWN.search(sentence) else "not of themselves"


_REASONS = (
    (re.compile(r"\?"), "a question"),
    (_TO_YOU, "said to the persona"),
    (_SUPPOSED, "only supposed"),
    (_QUOTED, "a quote, an act or no plain words"),
    (_TOGETHER, "of several people"),
)

_ADVERBS = (
    "also always often usually sometimes never ever really truly absolutely just still only even already actually "
    "currently recently mostly mainly normally generally particularly especially simply finally once soon now "
    "honestly definitely certainly quite very rather kinda sorta"
)
_SKIP = rf"(?P<skip>(?:(?:{'|'.join(_ADVERBS.split())}|no longer|\w+ly)\s+)*)"
_FIRST = re.compile(rf"\bI\b(?P<tail>['’](?:m|ve|ll))?(?P<gap>\s+){_SKIP}(?P<verb>[A-Za-z]+(?:['’]t)?)?")
_FIXED = {  # verbs that do not simply take an s, or take nothing
    "am": "is", "was": "was", "were": "was", "have": "has", "do": "does", "don't": "doesn't", "don’t": "doesn’t",
    "haven't": "hasn't", "haven’t": "hasn’t", "go": "goes", "undergo": "undergoes",
}  # fmt: skip
_SAME = """can can't could will won't shall should must may might cannot did didn't had hadn't wasn't used became began
    bought brought built came caught chose drew drank drove ate fell felt fought found flew forgot forgave got
    gave went grew hung heard held kept knew led left lent lost made meant met paid rode ran said saw sold
    sent shot shut sang sat slept spoke spent stood stole stuck swam took taught thought threw told understood
    woke wore won wrote broke dealt fed froze hid hurt laid lay let quit rang rose sought shook shone shrank
    sank slid spun spread sprang stung swore swept swung tore wept wound ought dreamt learnt burnt baked"""
_UNCHANGED = frozenset(_SAME.split())
_BASE_IN_ED = frozenset(
    ("need", "feed", "speed", "breed", "bleed", "exceed", "proceed", "succeed", "embed", "heed", "weed", "seed")
)
_PAST = re.compile(
    r"\b(?:yesterday|ago|last (?:night|week|month|year|summer|winter|spring|autumn|fall))\b", re.IGNORECASE
)


def third(sentence: str, name: str) -> str:
    """The sentence as somebody else tells it of `name`. "They" stands for every mention but the first."""
    at = _FIRST.search(sentence)
    if at is None or _owner_first(sentence, at.start()):
        return _finish(_theirs(sentence, name))
    past = bool(_PAST.search(sentence))
    head, tail = sentence[: at.start()], sentence[at.end() :]
    subject = name + _verb(at, past)
    later = _FIRST.sub(_they, tail)
    if _AND_I.search(head):
        auxiliary = {"m": " are", "ve": " have", "ll": " will", "": ""}[(at["tail"] or "")[1:]]
        both = f"{name}{auxiliary}{at['gap']}{at['skip'] or ''}{_both(at['verb'] or '')}"
        return _finish(_named(head, name) + both + _possessed(later))
    return _finish(_possessed(head) + subject + _possessed(later))


def _owner_first(sentence: str, subject: int) -> bool:
    """Is it of something of theirs: "my dog sleeps when I work"?"""
    return bool(re.match(r"[Mm]y\b", sentence)) and not _AND_I.search(sentence[:subject])


_AND_I = re.compile(r"\b[Mm]y (?:[\w’'-]+ ){1,4}and\s+$")  # "my wife and I live in Graz"


def _theirs(sentence: str, name: str) -> str:
    """With their name at the first `my`, or else `me`."""
    return _possessed(_FIRST.sub(_they, _named(sentence, name)))


def _named(sentence: str, name: str) -> str:
    if re.search(r"\b[Mm]y\b", sentence):
        return re.sub(r"\b[Mm]y\b", f"{name}{'’' if name.endswith('s') else '’s'}", sentence, count=1)
    return re.sub(r"\b[Mm]e\b", name, sentence, count=1)


def _both(verb: str) -> str:
    return {"am": "are", "was": "were"}.get(verb, verb)


def _verb(found: re.Match[str], past: bool) -> str:
    """What follows the name: its verb in the third person."""
    tail, skip, verb = (found["tail"] or "")[1:], found["skip"] or "", found["verb"] or ""
    auxiliary = {"m": " is", "ve": " has", "ll": " will", "": ""}[tail]
    if auxiliary or not verb:
        return f"{auxiliary}{found['gap']}{skip}{verb}"
    return f"{found['gap']}{skip}{conjugated(verb, past)}"


def conjugated(verb: str, past: bool = False) -> str:
    """A verb as it follows `I` → as it follows a name. `past`: the sentence is about the past."""
    low = verb.lower()
    if low in _FIXED:
        return _FIXED[low]
    ended = low.endswith("ed") and low not in _BASE_IN_ED
    if low.replace("’", "'") in _UNCHANGED or ended or (past and low in ("read", "put", "cut", "set", "hit", "cost")):
        return verb
    if re.search(r"(?:s|x|z|ch|sh)$", low):
        return verb + "es"
    return verb[:-1] + "ies" if re.search(r"[^aeiou]y$", low) else verb + "s"


def _they(found: re.Match[str]) -> str:
    """A later `I`, with its verb, which after `they` is that of `I` but for to be."""
    tail = (found["tail"] or "").replace("m", "re")
    return f"they{tail}{found['gap']}{found['skip'] or ''}{_both(found['verb'] or '')}"


def _possessed(text: str) -> str:
    for word, instead in (("my", "their"), ("mine", "theirs"), ("me", "them"), ("myself", "themself"), ("I", "they")):
        text = re.sub(rf"\b{word}\b", instead, text)
        if word != "I":
            text = re.sub(rf"\b{word.capitalize()}\b", instead.capitalize(), text)
    return text


_TOO = re.compile(r",? (?:too|as well|though)$", re.IGNORECASE)


def _finish(text: str) -> str:
    """One clean sentence."""
    text = _TOO.sub("", " ".join(text.split()).rstrip(" ,;:-!.…"))
    return text[:1].upper() + text[1:] + "."


_NAMING = r"(?i:my name(?:['’]s| is)|I(?:['’]m| am)(?: called| named)?|(?:(?:people|friends) )?call me)"
_NAME = r"[^\W\d_][\w'’-]*(?: [A-Z][\w'’-]*){0,2}"
_INTRODUCTION = re.compile(rf"{_NAMING} (?P<name>{_NAME})(?:,? (?:by the way|here))?\W*$")
_BEGINNING = re.compile(rf"(?P<naming>{_NAMING}) (?P<name>{_NAME})(?:,? and|[,;]| [–—-]) (?=(?:I|[Mm]y)\b)")

_HALF = re.compile(r"[Mm]y (?:[\w-]+ ){0,2}[\w-]+['’]s (?:is|was|are)\b")  # "my brother's is Tom"


def introduces(sentence: str, name: str) -> bool:
    """Does it say nothing but the name that we know already?"""
    found = _INTRODUCTION.match(sentence)
    return found is not None and _known(found["name"], name)


def _known(said: str, name: str) -> bool:
    return said.split()[0].casefold() in name.casefold().split()


def _parted(sentence: str, name: str) -> list[str]:
    """A sentence without the introduction that it begins with, which is a sentence of its own."""
    found = _BEGINNING.match(sentence)
    if found and (_known(found["name"], name) or found["name"][0].isupper() or "name" in found["naming"].lower()):
        rest = sentence[found.end() :]
        if not plain(rest) and not _HALF.match(rest):
            return [f"{found['naming']} {found['name']}.", rest]
    named = re.match(r"(?P<am>I(?:['’]m| am)) (?P<name>[\w'’-]+),? (?=(?:from|an?) )", sentence)
    if named and _known(named["name"], name):  # "I'm Ann from Graz"
        return [f"{named['am']} {sentence[named.end() :]}"]
    return [sentence]


# Two clauses that each say something by themselves: "I live in Graz and my dog is called Rex".

_HOLDS = (
    r"(?:is|was|has|had|lives|lived|works|worked|studies|likes|loves|hates|plays|comes|came|died|got)\b|"
    r"(?<=[a-z]s )(?:are|were|have|live|work|study|like|love|hate|play|come)\b"
)
_OF_MINE = rf"[Mm]y (?:[\w’'-]+ ){{1,3}}(?<!['’]s )(?:{_HOLDS})"
_WHOLE = re.compile(rf"I(?:['’](?:m|ve))? +\w+|{_OF_MINE}|[Mm]y (?:[\w-]+ ){{1,3}}and I \w+")
_JOINT = re.compile(r"(?:[,;]? and|;) (?=(?:I|[Mm]y)\b)")
_INNER = re.compile(rf"\bI\b|{_OF_MINE}")
_HANGS = re.compile(  # on the rest of the sentence: a subclause, or what somebody thinks, sees and fears
    r"\b(?:when|while|because|since|that|who|whom|whose|which|where|after|before|until|till|although|though|as if|"
    r"whenever|how|why|what|whether|so|but|than|either|neither|both|between|or)\b|"
    r"\bI (?:\w+ ){0,2}(?:think|thought|know|knew|hoped?|believed?|guess|doubt|dream\w*|feel|felt|fear|see|saw|hear|"
    r"heard|mean|say|find|found|remember|forgot|notice\w*|decided|learn\w*|let|make|made|watch\w*)\b|"
    r"\bI(?:['’]m| am) (?:\w+ )?(?:sure|glad|happy|afraid|sorry|sad|proud|certain) (?:I|my)\b"
)
_POINTS = re.compile(  # at what was named before
    r"\b(?:he|she|it|they|him|her|his|its|them|their|there|then|this|that|these|those|such|same|therefore)\b"
)


def _clauses(sentence: str, alone: Callable[[str], bool]) -> list[str]:
    """A sentence as the clauses that it joins, if each is whole, hangs on nothing and is `alone`; or as it is."""
    for joint in _JOINT.finditer(sentence):
        head, tail = sentence[: joint.start()] + ".", sentence[joint.end() :]
        if _whole(head) and not _POINTS.search(tail) and _WHOLE.match(tail):
            rest = _clauses(tail, alone)
            if all(map(alone, [head, *rest])):
                return [head, *rest]
    return [sentence]


def _whole(clause: str) -> bool:
    """Is it one clause, and no more?"""
    found = _WHOLE.match(clause)
    return found is not None and not _HANGS.search(clause) and not _INNER.search(clause, found.end())


def told(text: str, name: str, alone: Callable[[str], bool] = lambda _: False) -> Iterator[tuple[str, str]]:
    """(sentence, the same of `name`) for each sentence of a text that can be retold. `alone`: whether a clause says
    something by itself; those that do are sentences of their own."""
    for sentence in sentences(text):
        if not plain(sentence):
            for part in _parted(sentence, name):
                for clause in _clauses(part, alone):
                    yield clause, third(clause, name)
