"""What people feel about replies, read from the ledger's facts. Pure: facts stay as they are, readings may improve.

What a vote is worth depends on who cast it: a person's trust is how often they agree with others.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress
from math import atanh, inf, tanh
from typing import NamedTuple

import msgspec

from core.votes import damping, habits, trust
from core.votes.habits import Habit
from core.votes.polarity import Polarity
from core.votes.trust import Foretell

WEAK = {"regenerated": -1.0, "stopped": -1.0, "thanked": 1.0}
MOST_WEAK = 0.3
SUREST = 1 - 1e-9  # no vote is certain
CONTRADICTORY = "contradictory"  # so begins the note of who gave opposite emoji to one reply
HELD = 0.999  # whose votes are worth less than that part of what they were is held to a share


class Fact(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody put an emoji on a reply, or took it away. `time` in seconds UTC; `basis`: why we may keep it."""

    id: str
    user: str
    emoji: str
    time: float
    removed: bool = False
    is_bot: bool = False
    basis: str = ""


class Seen(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A reply as a reading needs it: its id, when it was said (seconds UTC), to whom, how many characters it has, and
    every fact about it. `workspace` finds a server's own emoji; `weak` are signals that are no emoji (`regenerated`,
    `stopped`, `thanked`), each with the person behind it; `text` is only for who foretells votes."""

    reply: str
    time: float
    length: int
    facts: tuple[Fact, ...]
    platform: str = ""
    workspace: str = ""
    weak: tuple[tuple[str, str], ...] = ()
    text: str = ""


class Vote(msgspec.Struct, frozen=True):
    """What one person thinks of one reply, -1 to 1, and how much that counts after all damping (0 to 1). `time`: of
    the latest of their emoji there that mean something, in seconds UTC."""

    user: str
    value: float
    weight: float
    time: float = 0.0


class Verdict(msgspec.Struct, frozen=True):
    """What is read of a reply: `liked` or not, and how much that is worth (`weight`, 0 to 1)."""

    reply: str
    liked: bool
    weight: float
    votes: tuple[Vote, ...] = ()


class Voter(msgspec.Struct, frozen=True, omit_defaults=True):
    """One person in a reading. `trust` 0 to 1; `share` of all weight; `notes` in words (`a burst`, `new here`)."""

    user: str
    votes: int
    likes: int
    trust: float
    share: float
    notes: tuple[str, ...] = ()


class Reading(msgspec.Struct, frozen=True, omit_defaults=True):
    """All replies that somebody thought something of. `effective`: labels that the verdicts are worth together, where
    a label (`unit`, as a verdict's weight) is a lone vote of somebody of whom nothing is known;
    `unknown` emoji with their counts; `notes` name what was odd (`only likes`, `one person`), in plain words."""

    verdicts: tuple[Verdict, ...]
    voters: tuple[Voter, ...]
    effective: float
    unit: float = 1.0
    unknown: dict[str, int] = {}
    notes: tuple[str, ...] = ()


def verdict(reply: str, votes: Sequence[Vote]) -> Verdict:
    """What votes say together: they add up as log-odds, and it weighs as much as they are sure."""
    sure = ((one.value > 0, atanh(min(one.weight, SUREST))) for one in votes)
    odds = sum(one if liked else -one for liked, one in sure)
    return Verdict(reply, odds > 0, tanh(abs(odds)), tuple(votes))


def standing(facts: Iterable[Fact]) -> list[Fact]:
    """The reactions that count now: added, and not taken away since. Those of bots never do.

    Facts may come late and out of order: their own time decides, and at the same time the later arrival.
    """
    last: dict[tuple[str, str], Fact] = {}
    for fact in sorted(facts, key=lambda fact: fact.time):
        last[fact.user, fact.emoji] = fact
    return [fact for fact in last.values() if not fact.removed and not fact.is_bot]


def read(
    seen: Sequence[Seen],
    polarity: Polarity,
    *,
    shared: bool,
    now: float,
    weak: float = 0.0,
    half_life: float = inf,
    foretell: Foretell | None = None,
) -> Reading:
    """What all these reactions say. Facts in, verdicts out: per reply, users count and not reactions.

    `shared`: more than one person is to be heard, so people earn trust and nobody has more than their share; else the
    one person is the measure. `now` in seconds UTC. `weak`: what a signal that is no emoji counts, at most 0.3.
    `half_life` in seconds: older replies count less; leave it infinite where the replay sees to that. `foretell` knows
    each reply by its place in `seen`, and lets people earn trust on replies where they are alone.
    """
    weak = min(weak, MOST_WEAK)
    heard = _hear(seen, polarity, weak)
    habit = habits.habits(len(heard.people), heard.users, heard.values, heard.places)
    surprise = [
        habit[user].surprise(place, value > 0)
        for user, value, place in zip(heard.users, heard.values, heard.places, strict=True)
    ]
    notes = {user: list[str]() for user in range(len(heard.people))}
    damped = _damped(heard, now, notes) if shared else [1.0] * len(heard.users)
    evidence = [value * s * d for value, s, d in zip(heard.values, surprise, damped, strict=True)]
    believed = _trusts(heard, evidence, surprise, foretell) if shared else [1.0] * len(heard.people)
    weights = _weights(heard, evidence, believed, weak)
    if half_life < inf:
        weights = _aged(weights, heard, [0.5 ** (max(0.0, now - one.time) / half_life) for one in seen])
    if shared:
        weights = _shared_out(weights, heard, believed, notes)
    unit = tanh(trust.log_odds(trust.MIDDLE if shared else 1.0) / 2)
    verdicts = tuple(_verdicts(seen, heard, weights))
    voters = tuple(_voters(heard, believed, _sums(weights, heard), habit, notes))
    return Reading(
        verdicts,
        voters,
        sum(one.weight for one in verdicts) / unit,
        unit,
        dict(heard.unknown.most_common()),
        tuple(oddities(verdicts, voters, heard.unknown)),
    )


_Sign = tuple[float, float, Fact | None]
"""Value, confidence, and the emoji it comes from, if it comes from one."""


def opinions(one: Seen, polarity: Polarity) -> dict[str, float]:
    """What each person thinks of one reply now, -1 to 1, as its emoji say; nobody of whom that is nothing."""
    found = _opinions(one, polarity, 0.0, Counter())
    return {user: opinion.value for user, opinion in found.items() if opinion.value}


class _Opinion(NamedTuple):
    """One person's vote on one reply: all their emoji there as one value, 0 where they cancel."""

    value: float
    time: float
    contradictory: bool = False
    weak: bool = False
    vouched: bool = False


class _Heard(msgspec.Struct):
    """Every vote, in columns: a million of them are read in seconds. `users` and `replies` are indices."""

    people: list[str] = []
    users: list[int] = []
    replies: list[int] = []
    values: list[float] = []
    times: list[float] = []
    places: list[int] = []
    weak: list[bool] = []
    vouched: list[bool] = []
    first: dict[int, float] = {}
    contradicted: Counter[int] = msgspec.field(default_factory=Counter)
    unknown: Counter[str] = msgspec.field(default_factory=Counter)


def _hear(seen: Sequence[Seen], polarity: Polarity, weak: float) -> _Heard:
    heard, number = _Heard(), dict[str, int]()
    for reply, one in enumerate(seen):
        for user, opinion in _opinions(one, polarity, weak, heard.unknown).items():
            index = number.setdefault(user, len(number))
            if opinion.contradictory:
                heard.contradicted[index] += 1
            if opinion.value:
                _add(heard, index, reply, opinion)
    heard.people = list(number)
    heard.places = habits.places([seen[reply].length for reply in heard.replies])
    heard.first = _first(seen, number)
    return heard


def _add(heard: _Heard, user: int, reply: int, opinion: _Opinion) -> None:
    heard.users.append(user)
    heard.replies.append(reply)
    heard.values.append(opinion.value)
    heard.times.append(opinion.time)
    heard.weak.append(opinion.weak)
    heard.vouched.append(opinion.vouched)


def _opinions(one: Seen, polarity: Polarity, weak: float, unknown: Counter[str]) -> dict[str, _Opinion]:
    """What each person thinks of a reply."""
    server = f"{one.platform}:{one.workspace}"
    signs: dict[str, list[_Sign]] = {}
    for fact in standing(one.facts):
        if meaning := polarity.of(fact.emoji, server):
            signs.setdefault(fact.user, []).append((*meaning, fact))
        else:
            unknown[fact.emoji] += 1
    for signal, user in one.weak if weak else ():
        if signal in WEAK:
            signs.setdefault(user, []).append((WEAK[signal], weak, None))
    return {user: _opinion(given, one.time) for user, given in signs.items()}


def _opinion(signs: Sequence[_Sign], said: float) -> _Opinion:
    """A mean by confidence, and no surer than they are: 54 emoji are one vote, a shrug is less than one."""
    if len(signs) == 1 and (only := signs[0])[2]:  # as nearly always
        return _Opinion(only[0] * only[1], only[2].time, vouched=only[2].basis == "operator")
    certain = sum(confidence for _, confidence, _ in signs)
    value = sum(value * confidence for value, confidence, _ in signs) / max(1.0, certain)
    facts = [fact for _, _, fact in signs if fact]
    clear = [value for value, confidence, _ in signs if abs(value) * confidence >= 0.3]
    return _Opinion(
        value if abs(value) > 1e-9 else 0.0,
        max((fact.time for fact in facts), default=said),
        min(clear, default=0) < 0 < max(clear, default=0),
        not facts,
        any(fact.basis == "operator" for fact in facts),
    )


def _first(seen: Sequence[Seen], number: dict[str, int]) -> dict[int, float]:
    """When each person was first heard of, be it by a reaction that no longer stands."""
    first: dict[int, float] = {}
    for one in seen:
        for fact in one.facts:
            if (index := number.get(fact.user)) is not None and fact.time < first.get(index, inf):
                first[index] = fact.time
    return first


def _damped(heard: _Heard, now: float, notes: dict[int, list[str]]) -> list[float]:
    """What each vote counts after bursts and newcomers are damped; who was gets a note."""
    factors, biggest = damping.bursts(heard.users, heard.times, heard.vouched)
    for user, votes in biggest.items():
        notes[user].append(f"a burst of {votes} votes within a minute")
    new = damping.newcomers(heard.first, now)
    for user in new:
        notes[user].append("new here")
    return [factor * (damping.NEW if user in new else 1) for factor, user in zip(factors, heard.users, strict=True)]


def _trusts(
    heard: _Heard, evidence: Sequence[float], surprise: Sequence[float], foretell: Foretell | None
) -> list[float]:
    spreads = [abs(one) * (2 - s) for one, s in zip(evidence, surprise, strict=True)]  # s(2-s) is 4p(1-p)
    return trust.trusts(len(heard.people), heard.users, heard.replies, evidence, spreads, foretell)


def _weights(heard: _Heard, evidence: Sequence[float], believed: Sequence[float], weak: float) -> list[float]:
    """How sure each vote alone would make us. A weak signal by itself stays weak, however surprising it is."""
    odds = [trust.log_odds(one) for one in believed]
    sure = [tanh(abs(one) * odds[user] / 2) for one, user in zip(evidence, heard.users, strict=True)]
    return [min(one, weak) if only else one for one, only in zip(sure, heard.weak, strict=True)]


def _aged(weights: Sequence[float], heard: _Heard, ages: Sequence[float]) -> list[float]:
    return [weight * ages[reply] for weight, reply in zip(weights, heard.replies, strict=True)]


def _sums(weights: Sequence[float], heard: _Heard) -> list[float]:
    """The weight of each person's votes together."""
    sums = [0.0] * len(heard.people)
    for weight, user in zip(weights, heard.users, strict=True):
        sums[user] += weight
    return sums


def _shared_out(
    weights: Sequence[float], heard: _Heard, believed: Sequence[float], notes: dict[int, list[str]]
) -> list[float]:
    """The weights, with nobody above their share."""
    before = _sums(weights, heard)
    after = trust.capped(before, trust.fair_share(before, believed))
    factors = [b / a if a else 1.0 for a, b in zip(before, after, strict=True)]
    for user, factor in enumerate(factors):
        if factor < HELD:
            notes[user].append("held to a fair share")
    return [weight * factors[user] for weight, user in zip(weights, heard.users, strict=True)]


def _verdicts(seen: Sequence[Seen], heard: _Heard, weights: Sequence[float]) -> Iterator[Verdict]:
    votes: list[list[Vote]] = [[] for _ in seen]
    for at, weight in enumerate(weights):
        vote = Vote(heard.people[heard.users[at]], heard.values[at], weight, heard.times[at])
        votes[heard.replies[at]].append(vote)
    return (verdict(one.reply, cast) for one, cast in zip(seen, votes, strict=True) if cast)


def _voters(
    heard: _Heard,
    believed: Sequence[float],
    sums: Sequence[float],
    habit: Sequence[Habit],
    notes: dict[int, list[str]],
) -> Iterator[Voter]:
    """Everybody who said something, the weightiest first."""
    votes, likes = Counter(heard.users), Counter(compress(heard.users, (value > 0 for value in heard.values)))
    total = sum(sums) or 1.0
    for user in sorted(range(len(heard.people)), key=lambda user: -sums[user]):
        said = [*notes[user], *_remarks(votes[user], likes[user], believed[user], habit[user])]
        if times := heard.contradicted[user]:
            said.append(f"{CONTRADICTORY} on {times} {'reply' if times == 1 else 'replies'}")
        yield Voter(heard.people[user], votes[user], likes[user], believed[user], sums[user] / total, tuple(said))


def _remarks(votes: int, likes: int, trusted: float, habit: Habit) -> Iterator[str]:
    if votes >= 5 and likes in (0, votes):
        yield "likes everything" if likes else "likes nothing"
    if votes >= 10 and abs(habit.slope) > 1:
        yield f"likes whatever is {'long' if habit.slope > 0 else 'short'}"
    if trusted < trust.CHANCE:
        yield "agrees with others hardly more than by chance"


def oddities(verdicts: Iterable[Verdict], voters: Iterable[Voter], unknown: Counter[str]) -> Iterator[str]:
    """What was odd about all of it."""
    votes = [(vote.user, rating.reply, vote.value) for rating in verdicts for vote in rating.votes]
    if not votes:
        yield "no votes"
    elif max(value for _, _, value in votes) < 0:
        yield "no likes: only dislikes came in, and nothing shows what to do instead"
    elif min(value for _, _, value in votes) > 0:
        yield "only likes: nothing shows what to avoid"
    if len({user for user, _, _ in votes}) == 1:
        yield "one person only"
    if len(votes) > 1 and len({reply for _, reply, _ in votes}) == 1:
        yield "all votes are on one reply"
    if people := sum(any(note.startswith(CONTRADICTORY) for note in one.notes) for one in voters):
        yield f"{people} {'person' if people == 1 else 'people'} contradicted themselves on a reply"
    if unknown:
        named = ", ".join(f"{emoji} ×{count}" for emoji, count in unknown.most_common(5))
        yield f"emoji that mean nothing to us, recorded and not counted: {named}"
