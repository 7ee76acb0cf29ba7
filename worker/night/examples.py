"""The ledger's replies and a reading of their votes → training rows, with the exact prompt that was served.

A ledger may hold a million reactions, so it is looked at twice, in batches: without prompts for the reading, then for
the prompts of those rows that weigh most (`MOST`). Knows no torch: bots export with it.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from math import inf

import msgspec

from core.events import PersonaKey
from core.feedback import Reading, Seen, Verdict, verdict
from core.redact import redact
from core.store.consents import Consents
from core.store.ledger import Entry, Ledger, Told
from worker.night.sight import Sight, fault, people
from worker.night.voice import loops

DAY = 86_400.0
MOST = 5_000  # rows of one night; what weighs less than those waits, and mostly for ever
BATCH = 500
HALF_LIFE = 14.0  # nights


class Example(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A training row: what the model was given (`messages`), what it said (`text`), and what that is worth.

    `weight` (0 to 1) has everything in it: trust, damping, age. `group` is the conversation and session it stood in:
    rows of one group never fall on both sides of a split. `people` are all whose words or votes are in it. `cut`: the
    reply ran into its length limit, so it is no example of how a reply ends.
    """

    reply: str
    group: str
    time: float
    messages: tuple[Told, ...]
    text: str
    liked: bool
    weight: float
    people: tuple[str, ...] = ()
    lora: str = "base"
    cut: bool = False


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two replies to one prompt, of which people liked one and disliked the other."""

    chosen: Example
    rejected: Example

    @property
    def weight(self) -> float:
        """As much as the weaker of the two."""
        return min(self.chosen.weight, self.rejected.weight)


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """What a night has to learn from. `refused`: rated replies that were not used, by reason."""

    examples: list[Example]
    reading: Reading
    refused: dict[str, int]
    replies: int
    reactions: int

    @property
    def effective(self) -> float:
        """Labels that the examples are worth together, after fading (see `core.feedback.Reading`)."""
        return sum(one.weight for one in self.examples) / self.reading.unit


async def collect(
    ledger: Ledger, consents: Consents, persona: PersonaKey, read: Callable[[Sequence[Seen]], Reading], *, now: float,
    half_life_days: float = HALF_LIFE, weak: bool = False, pool: bool = False, most: int = MOST,
    since: float = 0.0, until: float = inf,
) -> Collected:  # fmt: skip
    """All examples of one persona, oldest first, from people who allowed it; with `pool`, who allowed pooling as well.

    Whoever did not is left out before anything is read, so a reading knows nothing of their votes. `weak`: look for
    signals that are no emoji, too. `since`, `until`: only replies and votes between (seconds UTC). Raises StoreError.
    """
    ids, sight, allowed, met = await ledger.replies(persona, since), Sight(weak, until), set[str](), set[str]()
    for at in range(0, len(ids), BATCH):
        batch = await (ledger.entries if weak else ledger.outlines)(ids[at : at + BATCH])
        fresh = {person for entry in batch for person in people(entry)} - met
        allowed |= await consents.allowing(fresh, pool)
        met |= fresh
        for entry in batch:
            sight.add(entry, allowed)
    reading = await asyncio.to_thread(read, sight.seen())  # seconds, if there are very many
    rows: list[Example] = []
    refused = Counter(sight.refused)
    wanted = _weightiest(reading, sight, now, half_life_days, most)
    refused["beyond the night's bound"] += len(reading.verdicts) - len(wanted)
    for at in range(0, len(wanted), BATCH):
        batch = await ledger.entries(wanted[at : at + BATCH])
        more, not_these = examples(
            batch, reading, allowed, now=now, half_life_days=half_life_days, groups=sight.groups
        )  # fmt: skip
        rows += more
        refused.update(not_these)
    return Collected(
        examples=rows, reading=reading, refused=dict(+refused), replies=sight.rated, reactions=sight.reactions
    )  # fmt: skip


def _weightiest(reading: Reading, sight: "Sight", now: float, half_life_days: float, most: int) -> list[str]:
    """Ids of the replies whose verdicts weigh most by now, oldest first."""
    weights = {
        one.reply: one.weight * faded(now - rated_at(sight.said_at(one.reply), one), half_life_days)
        for one in reading.verdicts
    }
    best = sorted(weights, key=lambda reply: (-weights[reply], reply))[:most]
    return sorted(best, key=lambda reply: (sight.said_at(reply), reply))


def rated_at(said: float, rating: Verdict) -> float:
    """When the latest vote that counts came; never before the reply, whatever a platform's clock says."""
    return max([said, *(vote.time for vote in rating.votes if vote.weight)])


def faded(age: float, half_life_days: float) -> float:
    """What is left of a rating's weight after `age` seconds."""
    return float(0.5 ** (max(age, 0.0) / DAY / half_life_days))


def examples(
    entries: Iterable[Entry], reading: Reading, allowed: Collection[str], *, now: float,
    half_life_days: float = HALF_LIFE, groups: Mapping[str, str] | None = None,
) -> tuple[list[Example], "Counter[str]"]:  # fmt: skip
    """Rows from replies of one persona, oldest first, and how many were refused, by reason. `groups`: their sessions,
    where these entries are not all there are."""
    entries = sorted(entries, key=lambda entry: entry.record.time)
    assert len({entry.record.persona for entry in entries}) <= 1, "a scope is a wall"
    verdicts = {one.reply: one for one in reading.verdicts}
    where = groups if groups is not None else _groups_of(entries)
    rows, refused = [], Counter[str]()
    for entry in entries:
        rating = verdicts.get(entry.record.id)
        if rating is None:
            continue
        rating = _heeding(rating, allowed)
        if reason := unfit(rating, entry.record.text) or fault(entry, allowed):
            refused[reason] += 1
        else:
            age = now - rated_at(entry.record.time, rating)
            rows.append(_example(entry, rating, where[entry.record.id], faded(age, half_life_days)))
    return rows, refused


def _groups_of(entries: Sequence[Entry]) -> dict[str, str]:
    sight = Sight()
    return {entry.record.id: sight.group(entry) for entry in entries}


def _heeding(rating: Verdict, allowed: Collection[str]) -> Verdict:
    """A verdict without the votes of people who did not allow it (a reading of `collect` has none of those)."""
    votes = tuple(vote for vote in rating.votes if vote.user in allowed)
    return rating if len(votes) == len(rating.votes) else verdict(rating.reply, votes)


def unfit(rating: Verdict, text: str) -> str:
    """Why nothing can be learned from what people think of a text; empty if something can."""
    if not rating.weight:
        return "votes that cancel out" if rating.votes else "no consent"
    if rating.liked and loops(text):  # disliked, it is as good an example as any
        return "liked, but a loop"
    return ""


def _example(entry: Entry, rating: Verdict, group: str, fading: float) -> Example:
    record = entry.record
    *contents, text = redact([*(told.content for told in entry.messages), record.text])
    messages = tuple(Told(told.role, content) for told, content in zip(entry.messages, contents, strict=True))
    voters = (vote.user for vote in rating.votes)
    return Example(
        reply=record.id, group=group, time=record.time, messages=messages, text=text, liked=rating.liked,
        weight=rating.weight * fading, people=tuple(sorted({*record.people, record.author.id, *voters})),
        lora=record.lora_version, cut=record.finish == "length",
    )  # fmt: skip


def pairs(rows: Iterable[Example]) -> list[Pair]:
    """Liked against disliked, where one prompt has replies of both kinds: the strongest with the strongest, and every
    reply at least once, so that there are no more pairs than replies."""
    prompts: defaultdict[tuple[Told, ...], list[Example]] = defaultdict(list)
    for row in rows:
        prompts[row.messages].append(row)
    found = []
    for told in prompts.values():
        ranked = sorted(told, key=lambda row: (-row.weight, row.reply))
        liked, disliked = [row for row in ranked if row.liked], [row for row in ranked if not row.liked]
        found += [
            Pair(chosen=liked[k % len(liked)], rejected=disliked[k % len(disliked)])
            for k in range(max(len(liked), len(disliked)) if liked and disliked else 0)
        ]
    return found
