"""Which of somebody's sentences say something lasting of them, what it is about, and how much it weighs. Pure; English.

A sentence is lasting when it tells of a name, a home, a trade, people and animals, tastes, health, habits or plans.
What it is about (its slot) decides which older fact it takes the place of: see `core/memory.py`.
"""

import re

import msgspec

_ADVERB = r"(?:(?:\w+ly|also|always|often|usually|just|still|never|no longer|even|so|very much|do|absolutely)\s+)*"
_I_AM = rf"\bI(?:\s+am|['’]m)\s+{_ADVERB}"
_I = rf"\bI(?:['’]ve)?\s+{_ADVERB}"
_KIN = (
    "wife|husband|partner|spouse|fianc[ée]e?|girlfriend|boyfriend|son|daughter|kids?|child(?:ren)?|baby|mother|father|"
    "mom|mum|dad|mama|papa|parents?|sister|brother|siblings?|twins?|grand\\w+|aunt|uncle|cousin|nephew|niece|"
    "roommate|flatmate|(?:best )?friend|boss|neighbou?r|family"
)
_ANIMAL = r"dogs?|cats?|pupp(?:y|ies)|kittens?|horses?|rabbits?|parrots?|pets?|hamsters?|birds?|fish|turtles?|pony"
_NUMBER = r"(?:an?|one|two|three|four|five|six|seven|eight|nine|ten|no|\d{1,3}|many|several|some)"


class Sort(msgspec.Struct, frozen=True):
    """A kind of lasting fact. `weight`: its importance, 0 to 1. `slot`: what it is about, if there can be only one."""

    name: str
    pattern: re.Pattern[str]
    weight: float
    slot: str = ""


def _sort(name: str, pattern: str, weight: float, slot: str = "") -> Sort:
    return Sort(name, re.compile(pattern, re.IGNORECASE), weight, slot)


SORTS = (
    _sort("name", rf"\bmy name(?:['’]s| is)\b|{_I_AM}(?:called|named)\b", 0.9, "name"),
    Sort("name", re.compile(r"^I(?:['’]m| am) (?!Irish|Catholic|Christian|Jewish|Muslim|[A-Z]\w+(?:an|ese|"
    r"ish)\b)[A-Z][a-z]{2,15}[.!]*$"), 0.9, "name"),
    _sort("health", rf"{_I_AM}(?:allergic|vegetarian|vegan|diabetic|pregnant|disabled|deaf|blind|lactose|celiac|"
          rf"asthmatic|autistic|dyslexic|sober)|{_I}have (?:asthma|diabetes|adhd|epilepsy|cancer|anxiety|depression)"
          rf"|{_I}(?:don['’]t|can(?:no|['’])t|never) (?:eat|drink|smoke)\b|\bmy (?:allerg|illness|diagnos|"
          rf"condition)\w*", 0.9),
    _sort("birthday", rf"\bmy birthday\b|{_I}was born (?:on|in)\b", 0.8, "birthday"),
    _sort("age", rf"{_I_AM}\d{{1,3}}(?: years? old)?\b(?!\s*(?:%|percent|minutes|hours|km|miles|weeks|months|days))|"
          rf"{_I}(?:just )?turned \d", 0.7, "age"),
    _sort("home", rf"{_I}(?:live|reside|moved|grew up)\b (?:in|at|to|near|with|on|by|alone|out|together|here)|"
    rf"{_I_AM}living\b|"
          rf"{_I_AM}from\b|{_I}come from\b|\bmy (?:home ?town|home|house|flat|apartment|place)\b", 0.8, "home"),
    _sort("status", rf"{_I_AM}(?:\w+ )?(?:married|single|divorced|engaged|widowed|separated)\b|"
          rf"{_I}(?:got|get) (?:married|divorced|engaged)\b", 0.8, "status"),
    _sort("work", rf"{_I}(?:work|worked|teach|run|own|study|studied|graduated|retired|drive|manage)\b (?!out|it|"
    rf"on it|hard|up)|"
          rf"{_I_AM}(?:working (?:as|at|for|in)|studying|employed|unemployed|retired|self-employed)|"
          rf"\bmy (?:job|work|career|profession|company|business|degree|major|studies|thesis|school|university|"
          rf"boss)\b|"
          rf"{_I_AM}an? (?!(?:bit|little|lot|big|huge|great|bad|fan|few)\b)(?:[\w-]+ ){{0,2}}"
          r"(?:\w+(?:er|or|ist|ian|ant|man|woman|eer)|nurse|chef|cook|student|pilot|judge|coach|artist|scientist|"
          r"vet|clerk|guide|"
          rf"agent|major|freshman|senior|soldier)\b|{_I_AM}in (?:the (?:army|navy|air force|military)|"
          rf"(?:high )?school|college)\b",
          0.8, "work"),
    _sort("people", rf"\bmy (?:[\w-]+ ){{0,2}}(?:{_KIN})\b|{_I}(?:have|had|"
    rf"got) {_NUMBER} (?:\w+ ){{0,2}}(?:{_KIN})\b", 0.7),
    _sort("animals", rf"\bmy (?:\w+ ){{0,2}}(?:{_ANIMAL})\b|{_I}(?:have|had|got|adopted|own|bought|"
    rf"rescued) {_NUMBER} (?:\w+ ){{0,2}}(?:{_ANIMAL})\b",
          0.7),
    _sort("favourite", r"\bmy (?:\w+ ){0,2}favou?rites?\b", 0.6),
    _sort("taste", rf"{_I}(?:really |don['’]t (?:really |much )?|do not |can['’]t |cannot )?(?:love|like|enjoy|hate|"
    rf"dislike|prefer|adore|stand|"
          rf"despise|detest|collect)\b|{_I_AM}(?:a (?:big |huge |great )?fan of|fond of|into|passionate about|"
          rf"interested in|"
          rf"obsessed with|crazy about|not (?:a fan of|into|fond of))\b|\bmy (?:hobb(?:y|ies)|passion|"
          rf"guilty pleasure)\b", 0.5),
    _sort("fear", rf"{_I_AM}(?:afraid|scared|terrified|frightened) of\b|\bmy (?:biggest |greatest )?fear\b", 0.6),
    _sort("skill", rf"{_I}(?:speak|can speak|play|paint|sing|dance|write|cook|bake|sew|knit|garden|hike|swim|climb|"
    rf"surf|ski|fish|hunt|"
          rf"volunteer|coach|practi[cs]e)\b|{_I_AM}(?:good|great|bad|terrible) at\b|{_I_AM}(?:learning|training|"
          rf"taking|writing|saving|"
          rf"building)\b", 0.5),
    _sort("habit", rf"{_I}(?:\w+ )?(?:every (?:day|morning|evening|night|week|weekend|year|summer|spare)|on weekends)|"
          rf"\bI (?:always|usually|often|never|rarely)\b|every (?:day|morning|evening|night|week|weekend|year)\b|"
          rf"\bregularly\b", 0.4),
    _sort("self", rf"{_I_AM}an? (?!(?:bit|little|lot|few|big fan|huge fan|fan|good|bad|great)\b)|{_I}used to be an?\b|"
          rf"{_I_AM}(?:\w+ )?(?:shy|introverted|extroverted|religious|catholic|christian|jewish|muslim|buddhist|"
          rf"atheist)\b", 0.6),
    _sort("plan", rf"{_I}(?:want|plan|hope|dream|intend|need|have decided|decided) (?:to|of)\b|\bmy (?:dream|goal|"
    rf"plan|wish)\b|"
          rf"{_I_AM}(?:planning|hoping|going) to (?!bed|sleep|go now|try|ask|have a|take a look|go to the)", 0.5),
    _sort("having", rf"{_I}(?:have|own|bought|drive|got) (?:{_NUMBER}|my own) (?!idea|question|problem|lot|feeling|"
    rf"look|great|good|bad|"
          r"wonderful|nice|plan|chance|chat|moment|break|few|point|cold|headache|bit|little)\w+", 0.4),
    _sort("turn", rf"{_I}(?:lost|quit|won|finished|passed|failed|broke|graduated|retired|started|stopped|"
    rf"gave up)\b", 0.5),
)  # fmt: skip

_LOOSE = re.compile(  # nothing that would make sense on another day
    r"\b(?:it|that|this|them|these|those|one|so|him|her|there|here|same|such|to|of|for fun|my favou?rite)\s*[.!…]*$|"
    r"^\W*(?:it|that|this|these|those)\b|\b(?:this|that|these|those) (?:one|way|method|idea|advice|suggestion|book|"
    r"place|movie)s?\b|"
    r"\bI (?:love|like|enjoy|hate|prefer|want|need) (?:it|that|this|them|those|these)\b|"
    r"\bI (?:\w+ ){1,2}(?:it|them|this|that one)\b|"
    r"\b(?:love|like|enjoy|hate|want|need)(?: to \w+)? the [\w-]+\s*[.!]*$|^\W*(?:However, )?I (?:really |"
    r"just )?(?:think|guess|feel|believe) |"
    r"\bI want to (?:make sure|know|say|see if|thank)\b",
    re.IGNORECASE,
)
_TOO = re.compile(r",? (?:too|as well|though|lately|in general)(?=\s*[.!…]*$)", re.IGNORECASE)
_PASSING = re.compile(
    r"\b(?:today|tonight|right now|at the moment|this (?:morning|evening|afternoon)|a (?:while|minute|moment) ago|"
    r"tomorrow|yesterday|last night|just now|later)\b",
    re.IGNORECASE,
)
_DATE = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|"
    r"nov(?:ember)?|dec(?:ember)?|\d{1,2}(?:st|nd|rd|th)?(?!\d| (?:days|weeks|months|hours)))\b"
)
_CERTAIN = re.compile(
    rf"\bmy birthday(?:['’]s| is| falls)(?: always)?(?: on| in)?(?: the)? {_DATE}|\bI was born (?:on|in)\b|"
    r"\bI (?:don['’]t|do not|never|no longer) (?:eat|drink|smoke)\b|\bI no longer\b|"
    r"\bI (?:don['’]t|do not|can['’]t|cannot) .*\b(?:any ?more|any longer)\W*$",
    re.IGNORECASE,
)
_TURNING = ("turn", "status", "home", "work", "people", "animals", "birthday", "age", "health")


def lasting(sentence: str) -> Sort | None:
    """What sort of lasting fact a first-person sentence is; None if it is of the moment, or points at what is not in
    it."""
    if not stands_alone(sentence):
        return None
    found = next((sort for sort in SORTS if sort.pattern.search(sentence)), None)
    if found and _PASSING.search(sentence) and found.name not in _TURNING:
        return None
    return found


def certain(sentence: str) -> bool:
    """Do its words leave no doubt that it lasts, whatever an embedder takes it for? A date of birth, what somebody does
    not eat, or what holds no longer."""
    return bool(_CERTAIN.search(sentence)) and not _PASSING.search(sentence)


def stands_alone(sentence: str) -> bool:
    """Does it make sense to somebody who has not heard the rest?"""
    return not _LOOSE.search(_TOO.sub("", sentence))


def timeless(sentence: str) -> bool:
    """Does it stand alone, and speak of no moment?"""
    return stands_alone(sentence) and not _PASSING.search(sentence)


def bare(sentence: str) -> str:
    """The sentence without the small words that make an embedder take it for small talk."""
    return re.sub(r"\b(?:also|really|just|too|actually|usually)\b ?", "", sentence)


def happened(sentence: str) -> bool:
    """Does it tell of something that happened, or that will?"""
    return bool(_EVENT.search(sentence))


def idle(sentence: str) -> float:
    """How much it is only small talk, from 0 to 1."""
    return 1.0 if _IDLE.search(sentence) else 0.0


_EVENT = re.compile(
    r"\bI(?:['’]ve)? (?:\w+ly |also |just )?(?:\w{3,}ed|went|saw|met|got|had|made|took|found|bought|read|ate|wrote|"
    r"learnt|won|lost|ran|"
    r"flew|drove|broke|began)\b|\b(?:yesterday|today|tomorrow|last (?:night|week|month|year)|next (?:week|month|"
    r"year))\b",
    re.IGNORECASE,
)
_IDLE = re.compile(
    r"^\W*(?:I(?:['’]m| am| feel) (?:so |very |really |just )?(?:sorry|glad|happy|sure|not sure|fine|good|okay|ok|"
    r"here|back|done|excited)\b"
    r"[^,;]{0,25}$|I (?:really )?(?:think|guess|see|understand|know|hope|agree|believe|mean|don['’]t know|"
    r"appreciate|suppose)\b|"
    r"I['’]ll\b|I will\b|I should\b|I can\b|[\w ]{0,20}sounds? )",
    re.IGNORECASE,
)

# By which an embedder tells lasting facts from talk of the moment (`likely`).
LASTING = (
    "My name is Anna.", "I live in a small town.", "I work as a nurse.", "I have two dogs.", "My brother is a doctor.",
    "I love jazz music.", "My favorite food is sushi.", "I'm allergic to nuts.", "I play the guitar.", "I'm married.",
    "I go running every morning.", "I want to move to Spain.", "I'm a student of history.", "I'm afraid of spiders.",
)  # fmt: skip
PASSING = (
    "I don't know.", "I'm glad to hear that.", "I'll try that.", "I feel a bit down today.", "I think so.",
    "I'm tired now.", "I had a great time.", "I'm not sure.", "I will consider it.", "I have a question.",
    "I understand.", "It sounds good to me.", "I hope it works.", "I'm going to bed.",
)  # fmt: skip
WARM = (
    "Thank you so much, that really helped me.", "I love talking with you.", "You are so kind.",
    "I'm so glad you are here.", "You are a wonderful friend.", "That was sweet of you.",
)  # fmt: skip
COLD = (
    "You are useless.", "Shut up and leave me alone.", "That was a stupid answer.", "You idiot.",
    "You are so annoying.", "This bot is garbage.",
)  # fmt: skip

_OF = re.compile(rf"^\W*my (?P<other>(?:[\w-]+ ){{0,2}}?(?:{_KIN}|{_ANIMAL}))\b", re.IGNORECASE)


def about(sentence: str, sort: Sort | None, slot: str) -> str:
    """The slot of a sentence whose words have `slot` (of `core.memory.slot`): a sister's home is not one's own, and
    cheese is the same cheese when it is liked no more."""
    slot = _ANY_MORE.sub("", slot)
    other = _OF.match(sentence)
    slot = (
        "" if slot.rpartition(":")[2] in ("is", "are", "was", "were") else slot
    )  # a favourite of nothing that is named
    if other is None:
        return (sort.slot if sort else "") or (slot if slot.partition(":")[0] not in _OWN_SLOTS else "")
    whose = other["other"].lower()
    return f"{whose}/{slot}" if slot and not re.match(r"(?:other|second|younger|older|new|old)\b", whose) else ""


_ANY_MORE = re.compile(r"(?: (?:any ?more|any longer|no more|at all|now|these days|nowadays|so much|very much))+$")
_OWN_SLOTS = {sort.slot for sort in SORTS if sort.slot}
