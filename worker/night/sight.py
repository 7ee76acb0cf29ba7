"""A persona's replies → what a reading of their votes needs: facts, weak signals and sessions, and no prompts.

Replies come one after the other, so a ledger of any size passes through; some 200 bytes a reaction stay in memory, and
the texts of the latest replies.
"""

import hashlib
import math
import re
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Sequence
from sys import intern

import msgspec

from core.events import PersonaKey
from core.feedback import Fact, Seen, standing
from core.store.ledger import FORGOTTEN, Entry, Record, Told

OWNER = 0.9  # of all reactions: with so many, somebody is alone with it
TEXTS = 1_000  # replies whose text is kept for the reading, the latest
IDLE = 30 * 60.0  # a conversation that rested for so many seconds begins a new session


class Sight:
    """Gathers a reading's input from the replies of one persona, oldest first: facts and sessions, no prompts.

    What came after `until` (seconds UTC) is passed over, but for reactions that were taken back since.
    """

    def __init__(self, weak: bool = False, until: float = math.inf) -> None:
        self.refused: Counter[str] = Counter()
        self.groups: dict[str, str] = {}
        self.rated = self.reactions = 0
        self._weak, self._until = weak, until
        self._seen: dict[str, Seen] = {}
        self._texts: deque[str] = deque()
        self._signals: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
        self._sessions: dict[str, tuple[float, float]] = {}  # conversation → (when it began, when it last went on)
        self._last: dict[str, tuple[Record, str]] = {}  # conversation → its latest reply, and the session of that

    def add(self, entry: Entry, allowed: Collection[str] | None = None) -> None:
        """The next reply. Votes of people who are not `allowed` are passed over; None: everybody is."""
        if entry.record.time > self._until:
            return
        record, group = entry.record, self.group(entry)
        known = [fact for fact in entry.facts if fact.removed or fact.time <= self._until]
        stands = bool(standing(known))
        self.rated += stands
        facts = tuple(_slim(fact) for fact in known if _counts(fact, record, allowed))
        self.reactions += len(standing(facts))
        if reason := fault(entry, allowed) or ("" if standing(facts) else "no consent"):
            self.refused[reason] += stands
        if self._weak:
            self._note(entry, group, allowed)
        if facts and not reason:
            self._keep(record, facts, group)

    def seen(self) -> list[Seen]:
        """Every reply that somebody thought something of."""
        return [
            msgspec.structs.replace(one, weak=tuple(self._signals[one.reply])) if one.reply in self._signals else one
            for one in self._seen.values()
        ]

    def said_at(self, reply: str) -> float:
        """When a reply was given, in seconds UTC."""
        return self._seen[reply].time

    def _fade(self) -> None:
        """Who has been said long ago is read without its text."""
        self._texts.append(next(reversed(self._seen)))
        if len(self._texts) > TEXTS and (old := self._seen.get(self._texts.popleft())):
            self._seen[old.reply] = msgspec.structs.replace(old, text="")

    def _keep(self, record: Record, facts: tuple[Fact, ...], group: str) -> None:
        self._seen[record.id] = Seen(
            reply=record.id, time=record.time, length=len(record.text), facts=facts, text=record.text,
            platform=intern(record.place.platform), workspace=intern(record.place.workspace),
        )  # fmt: skip
        self.groups[record.id] = group
        self._fade()

    def group(self, entry: Entry) -> str:
        """The conversation and the session in it. From files, each prompt by itself: replies to it stay together."""
        record = entry.record
        if record.source != "chat":
            told = record.sections or [told.content for told in entry.messages]
            return intern(f"file:{hashlib.sha256(repr(tuple(told)).encode()).hexdigest()[:16]}")
        began, last = self._sessions.get(record.conversation, (record.time, record.time))
        began = record.time if record.time - last > IDLE else began
        self._sessions[record.conversation] = began, record.time
        return intern(f"{record.conversation}@{began:.0f}")

    def _note(self, entry: Entry, group: str, allowed: Collection[str] | None) -> None:
        """What the one who was answered did next says something about the reply before."""
        record = entry.record
        before, its_group = self._last.get(record.conversation, (None, ""))
        self._last[record.conversation] = record, group
        if before and record.regenerates == before.id:
            self._signal(before, its_group, "regenerated", record.author.id, allowed)
        elif before and not record.regenerates and thanks(entry.messages, before.text):
            self._signal(before, its_group, "thanked", record.author.id, allowed)
        if record.finish == "cancelled":
            self._signal(record, group, "stopped", record.author.id, allowed)

    def _signal(self, record: Record, group: str, what: str, person: str, allowed: Collection[str] | None) -> None:
        if allowed is not None and (person not in allowed or record_fault(record, allowed)):
            return
        if record.id not in self._seen:
            self._keep(record, (), group)
        self._signals[record.id].append((what, person))


def seen(entries: Iterable[Entry], allowed: Collection[str] | None = None, weak: bool = True) -> list[Seen]:
    """A reading's input, from the replies of one persona. Votes of people who are not `allowed` are left out."""
    sight = Sight(weak)
    for entry in sorted(entries, key=lambda entry: entry.record.time):
        sight.add(entry, allowed)
    return sight.seen()


def people(entry: Entry) -> set[str]:
    """All whose words or votes are in a reply."""
    record = entry.record
    return {*record.people, record.author.id, *(fact.user for fact in entry.facts)}


def fault(entry: Entry, allowed: Collection[str] | None) -> str:
    """Why nothing may be learned from a reply; empty if it may."""
    if any(told.content == FORGOTTEN for told in entry.messages):
        return "forgotten"
    return record_fault(entry.record, allowed)


def record_fault(record: Record, allowed: Collection[str] | None) -> str:
    if not record.text.strip():
        return "empty"
    if record.deleted:
        return "deleted"
    if record.edited:
        return "edited"
    if record.finish == "cancelled":
        return "stopped"
    if record.by:
        return "said by the card, not by the model"
    if record.limit:
        return "beyond what the card knows or discusses"
    if allowed is None or all(person in allowed for person in (*record.people, record.author.id)):
        return ""
    return "no consent"


def _counts(fact: Fact, record: Record, allowed: Collection[str] | None) -> bool:
    return (allowed is None or fact.user in allowed) and fact.user != record.persona.account


def _slim(fact: Fact) -> Fact:
    """The same fact, sharing what many have in common."""
    return Fact(
        fact.id, intern(fact.user), intern(fact.emoji), fact.time, fact.removed, fact.is_bot, intern(fact.basis)
    )


def thanks(messages: Sequence[Told], before: str) -> bool:
    """Is the newest message of a prompt a thank-you, right behind the reply `before`?"""
    talk = [told for told in messages if told.role != "system"]
    if len(talk) < 2 or (talk[-2].role, talk[-2].content) != ("assistant", before) or talk[-1].role != "user":
        return False
    return len(talk[-1].content) <= 120 and bool(_THANKS.search(talk[-1].content))


_THANKS = re.compile(
    r"(?<!no )(?<!no, )(?<!nein )(?<!nein, )(?<!non )\b(?:thanks|thank (?:you|u)|thx|tysm|danke|vielen dank|merci|"
    r"gracias|obrigad[oa]|grazie|tack|takk|dank je|bedankt|dzięk\w{1,4}|děkuj\w|kiitos|teşekkür\w{0,6}|спасибо|"
    r"дякую|terima kasih|cảm ơn)\b(?! for nothing)|ありがと|谢谢|謝謝|감사|고마워|धन्यवाद|شكرا|תודה",
    re.IGNORECASE,
)


def shared(persona: PersonaKey, seen: Iterable[Seen]) -> bool:
    """Is more than one person to be heard? In a channel always; in somebody's own scope, where files brought votes of
    others, and not for a guest's few: who shares out all weight would leave its owner as much as the guest."""
    _, _, kind, _ = persona.scope.split(":")
    votes = Counter(fact.user for one in seen for fact in one.facts)
    return kind not in ("user", "member") or max(votes.values(), default=0) < OWNER * votes.total()
