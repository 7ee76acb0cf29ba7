"""core/votes/trust.py and core/votes/habits.py as numbers: what agreement proves, and what it does not."""

import random

import pytest

from core.votes import habits, trust


def believed(votes: list[tuple[int, int, bool]], people: int) -> list[float]:
    """The trust after these votes (user, reply, liked), all of full weight."""
    users, replies, likes = (list(column) for column in zip(*votes, strict=True))
    return trust.trusts(people, users, replies, [1.0 if liked else -1.0 for liked in likes], [1.0] * len(votes))


def test_nobody_agrees_with_themselves() -> None:
    """Two people who vote on the same replies, each by a coin: there is nothing in common, so there is no trust."""
    dice = random.Random(3)
    votes = [(user, reply, dice.random() < 0.5) for reply in range(200) for user in (0, 1)]

    assert 0.25 > max(believed(votes, 2))


def test_people_who_agree_are_trusted_and_who_contradicts_them_is_not() -> None:
    """Three who say the same, and one who says the opposite."""
    votes = [(user, reply, (reply % 2 == 0) == (user < 3)) for reply in range(40) for user in range(4)]
    *agreeing, contrary = believed(votes, 4)

    assert 0.8 < min(agreeing)
    assert contrary < 0.01


def test_agreement_proves_nothing_where_everybody_likes_everything() -> None:
    """What would have been agreed on by chance is taken out: people stay in the middle."""
    votes = [(user, (user + step) % 12, True) for user in range(40) for step in range(3)]

    assert all(one == pytest.approx(trust.MIDDLE, abs=0.05) for one in believed(votes, 40))


def test_votes_on_replies_of_ones_own_say_nothing_of_trust() -> None:
    """Who is alone with their votes stays unknown."""
    assert [trust.MIDDLE] * 3 == believed([(user, 10 * user + n, True) for user in range(3) for n in range(10)], 3)


def test_one_agreement_moves_trust_a_little() -> None:
    """The median voter votes once: they stay near the middle."""
    votes = [(user, reply, reply == 0) for reply in (0, 1) for user in (2 * reply, 2 * reply + 1)]

    assert all(trust.MIDDLE < one < 0.75 for one in believed(votes, 4))


def test_a_preference_for_length_that_all_share_is_taken_from_those_who_voted_once() -> None:
    """A habit of one vote is the habit of all, but for how often they like."""
    people = 200
    places = habits.places([900 if user % 2 else 30 for user in range(people)])
    values = [1.0 if user % 2 else -1.0 for user in range(people)]
    habit = habits.habits(people, range(people), values, places)

    assert habit[1].surprise(max(places), liked=True) < 0.3
    assert 1.7 < habit[1].surprise(min(places), liked=True)
    assert 0.8 < habit[1].surprise(0, liked=True) < 1


def test_nobody_speaks_for_all_in_what_length_is_worth() -> None:
    """One person with a thousand votes is no preference of everybody."""
    busy = [(0, n % 2 == 1, 900 if n % 2 else 30) for n in range(1000)]
    others = [(1 + n, n % 3 > 0, 900 if n % 2 else 30) for n in range(200)]
    users, likes, lengths = (list(column) for column in zip(*busy, *others, strict=True))
    places = habits.places(lengths)
    habit = habits.habits(201, users, [1.0 if liked else -1.0 for liked in likes], places)

    assert 0.7 < habit[7].surprise(max(places), liked=True)
    assert 0.1 > habit[0].surprise(max(places), liked=True)


def test_the_imaginary_votes_make_one_like_a_small_habit() -> None:
    """Six of eleven, at a middling length."""
    assert 6 / 11 == pytest.approx(habits.fit(((0, 1.0, 0.0),), 0.0).likes(0), abs=1e-3)


def test_the_largest_are_lowered_to_one_level() -> None:
    """And no more than is needed: 5 is a quarter of 5 + 5 + 5 + 5, and of nothing less."""
    assert [5, 5, 5, 5] == pytest.approx(trust.capped([40, 30, 5, 5], 0.25))
    assert [10, 10, 6, 4, 3] == pytest.approx(trust.capped([90, 10, 6, 4, 3], 1 / 3), abs=2)
    assert [] == trust.capped([], 0.1)
