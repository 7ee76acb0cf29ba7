"""What several scopes of a card found, as one, for a LoRA that they learn together. Pure.

Each scope was read by itself, for its people are its own measure. Put together, they are people in one shared scope:
somebody who talks in two of them is one, and nobody has more than a fair share of what is learned from.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from core.feedback import HELD, Reading, Verdict, Voter, oddities, verdict
from core.votes import trust
from worker.night.examples import Collected, Example, unfit


def together(founds: Sequence[Collected]) -> Collected:
    """All of it. Where only one scope has rows, that one's own measure is kept."""
    factors = _factors(founds) if sum(bool(found.examples) for found in founds) > 1 else {}
    parts = [_lowered(found, factors) for found in founds]
    unknown, refused = Counter[str](), Counter[str]()
    for part in parts:
        unknown.update(part.reading.unknown)
        refused.update(part.refused)
    rows = sorted((row for part in parts for row in part.examples), key=lambda row: row.time)
    labels = sum(part.effective for part in parts)
    verdicts = tuple(one for part in parts for one in part.reading.verdicts)
    voters = _voters(parts, factors)
    reading = Reading(
        verdicts, tuple(voters), sum(part.reading.effective for part in parts),
        sum(row.weight for row in rows) / labels if labels else 1.0, dict(unknown.most_common()),
        tuple(oddities(verdicts, voters, unknown)),
    )  # fmt: skip
    return Collected(
        examples=rows, reading=reading, refused=dict(refused), replies=sum(part.replies for part in parts),
        reactions=sum(part.reactions for part in parts),
    )  # fmt: skip


def _factors(founds: Sequence[Collected]) -> dict[str, float]:
    """What is left of each vote of those who have more than their share of the rows."""
    weights, trusted = _weights(founds), _trusted(founds)
    before = list(weights.values())
    after = trust.capped(before, trust.fair_share(before, [trusted[user] for user in weights]))
    held = zip(weights, before, after, strict=True)
    return {user: b / a for user, a, b in held if b < HELD * a}


def _rated(found: Collected) -> Iterator[tuple[Example, Verdict, float]]:
    """Each row with its verdict, and what time has left of that."""
    verdicts = {one.reply: one for one in found.reading.verdicts}
    for row in found.examples:
        yield row, verdicts[row.reply], row.weight / verdicts[row.reply].weight


def _weights(founds: Sequence[Collected]) -> dict[str, float]:
    """The weight of each person's votes in all rows, as `core/feedback.py` shares it out in one scope."""
    sums = defaultdict[str, float](float)
    for found in founds:
        for _, rating, fading in _rated(found):
            for vote in rating.votes:
                sums[vote.user] += vote.weight * fading
    return sums


def _trusted(founds: Sequence[Collected]) -> dict[str, float]:
    """How far each person is trusted: as in each scope, by how often they voted there."""
    votes, trusted = Counter[str](), defaultdict[str, float](float)
    for found in founds:
        for one in found.reading.voters:
            votes[one.user] += one.votes
            trusted[one.user] += one.votes * one.trust
    return {user: trusted[user] / (votes[user] or 1) for user in votes}


def _lowered(found: Collected, factors: Mapping[str, float]) -> Collected:
    """The same, with some people's votes worth less: verdicts are found anew."""
    if not factors:
        return found
    verdicts = [_weighed(one, factors) for one in found.reading.verdicts]
    anew = {one.reply: one for one in verdicts}
    rows, refused = list[Example](), Counter(found.refused)
    for row, was, fading in _rated(found):
        now = anew[row.reply]
        if why := unfit(now, row.text):
            refused[why] += 1
        elif now is was:
            rows.append(row)
        else:
            rows.append(msgspec.structs.replace(row, liked=now.liked, weight=now.weight * fading))
    effective = sum(one.weight for one in verdicts) / found.reading.unit
    reading = msgspec.structs.replace(found.reading, verdicts=tuple(verdicts), effective=effective)
    return msgspec.structs.replace(found, examples=rows, reading=reading, refused=dict(refused))


def _weighed(rating: Verdict, factors: Mapping[str, float]) -> Verdict:
    if not any(vote.user in factors for vote in rating.votes):
        return rating
    votes = [msgspec.structs.replace(one, weight=one.weight * factors.get(one.user, 1.0)) for one in rating.votes]
    return verdict(rating.reply, votes)


def _voters(parts: Sequence[Collected], factors: Mapping[str, float]) -> list[Voter]:
    """Everybody who said something, once, the weightiest first."""
    weights, trusted = _weights(parts), _trusted(parts)
    total = sum(weights.values()) or 1.0
    met = defaultdict[str, list[Voter]](list)
    for part in parts:
        for one in part.reading.voters:
            met[one.user].append(one)
    found = []
    for user, ones in met.items():
        held = ["held to a fair share"] if user in factors else []
        notes = dict.fromkeys([*held, *(note for one in ones for note in one.notes)])
        votes, likes = sum(one.votes for one in ones), sum(one.likes for one in ones)
        found.append(Voter(user, votes, likes, trusted[user], weights.get(user, 0.0) / total, tuple(notes)))
    return sorted(found, key=lambda one: -one.share)
