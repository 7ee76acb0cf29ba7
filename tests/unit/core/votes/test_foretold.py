"""core/votes/foretold.py: people are believed by what others like in other replies."""

import random
from collections.abc import Sequence

import numpy as np
import pytest

from core.votes import trust
from core.votes.foretold import PARTS, Foretold
from core.votes.taste import Looks

WORDS = ("tide", "rope", "deck", "map", "fog", "anchor", "coin", "parrot", "storm", "rum", "sail", "gull", "cook")
HONEST, COINS, CONTRARY = range(8), range(8, 12), range(12, 14)


def looks(texts: Sequence[str]) -> Looks:
    """By words and manner alone."""
    return Looks(texts, np.zeros((len(texts), 0), np.float32))


def town(replies: int, seed: int = 1) -> tuple[list[str], list[int], list[float]]:
    """(replies of which a third asks back, who votes on each, their votes): all but coins and the contrary like what
    asks back, and nobody shares a reply with anybody."""
    dice = random.Random(seed)
    texts = [" ".join(dice.choices(WORDS, k=8)) + dice.choice(["?", ".", "."]) for _ in range(replies)]
    people = [*HONEST, *COINS, *CONTRARY]
    users = [people[at % len(people)] for at in range(replies)]
    values = [
        dice.choice([1.0, -1.0]) if user in COINS else 1.0 if ("?" in text) == (user in HONEST) else -1.0
        for text, user in zip(texts, users, strict=True)
    ]
    return texts, users, values


def believed(replies: int, of: Sequence[int]) -> list[float]:
    """Everybody's trust, where only the votes on `of` foretell others."""
    texts, users, values = town(replies)
    told = Foretold(looks([texts[at] for at in of]), of)
    return trust.trusts(14, users, range(replies), values, [1.0] * replies, told)


def test_people_who_never_meet_on_a_reply_are_believed_by_what_they_like() -> None:
    """Each reply has one vote, and still it is known who tosses coins and who votes against all others."""
    found = believed(280, range(280))

    assert 0.65 < min(found[one] for one in HONEST)
    assert max(found[one] for one in COINS) < 0.45
    assert max(found[one] for one in CONTRARY) < 0.1


def test_votes_on_other_replies_than_those_given_prove_nothing() -> None:
    """They are to judge: whatever they say, their people's trust comes from elsewhere."""
    texts, users, values = town(280)
    turned = [value if at < 100 else -value for at, value in enumerate(values)]
    told = Foretold(looks(texts[:100]), range(100))
    one, another = (trust.trusts(14, users, range(280), votes, [1.0] * 280, told) for votes in (values, turned))

    assert one == another
    assert min(one[user] for user in HONEST) > max(one[user] for user in CONTRARY)
    assert [trust.MIDDLE] * 14 == believed(280, [])


def test_nobody_is_foretold_by_themselves() -> None:
    """One person's votes, however alike, say nothing of the next; nor do those of whoever is in the same part."""
    texts, _, _ = town(40)
    told = Foretold(looks(texts), range(40))
    said = [1.0 if "?" in text else -1.0 for text in texts]

    assert [0.0] * 40 == told([3] * 40, range(40), said) == told([3, 3 + PARTS] * 20, range(40), said)


def test_where_nobody_voted_nothing_is_foretold() -> None:
    """Replies with reactions that mean nothing, or that cancel out."""
    texts, _, _ = town(3)
    told = Foretold(looks(texts), range(3))

    assert [] == told([], [], [])
    assert [trust.MIDDLE] * 2 == trust.trusts(2, [], [], [], [], told)


def test_a_vote_on_the_same_reply_is_not_counted_twice() -> None:
    """Trust by agreement has it already, so what is foretold of a reply comes from other replies."""
    texts, _, _ = town(40)
    told = Foretold(looks(texts), range(40))
    said = [1.0 if "?" in text else -1.0 for text in texts]
    other = [-said[0], *said[1:]]

    first, changed = (told([0, *[1] * 40], [0, *range(40)], [1.0, *votes])[0] for votes in (said, other))
    assert first == pytest.approx(changed)


def test_taste_that_nobody_shares_is_silenced() -> None:
    """Where all toss coins, nobody is believed for having been foretold once."""
    texts, users, _ = town(140)
    told = Foretold(looks(texts), range(140))
    means = []
    for seed in range(10):
        dice = random.Random(seed)
        votes = [dice.choice([1.0, -1.0]) for _ in texts]
        means.append(sum(trust.trusts(14, users, range(140), votes, [1.0] * 140, told)) / 14)

    assert sum(means) / len(means) < 0.6
