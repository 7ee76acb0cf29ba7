"""worker/night/gate.py: what is let in, and what is not."""

import math
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from core.nights import Outcome
from worker.night.gate import AUC, BETTER, CHANCE, EACH, Held, Measured, auc, beats_chance, beats_live, judge
from worker.night.voice import Voice

VOICE = Voice(
    words=10.0, distinct=0.8, repeated=0.01, opening=0.1, refusals=0.0, abuse=0.0, questions=0.3, exclamations=0.3
)


def held(count: int, skill: float, seed: int = 0, live: float = 0.0, size: int = 2) -> list[Held]:
    """Rows in groups of `size`; liked ones are on average `skill` further up for the new one, `live` for the other."""
    dice = random.Random(seed)
    rows = []
    for at in range(count):
        liked = at % 2 == 0
        new, old = (dice.gauss(far / 2 if liked else -far / 2, 1) for far in (skill, live))
        rows.append(Held(f"g{at // size}", liked, dice.choice((0.3, 1.0)), new, old))
    return rows


def seen(rows: Sequence[Held] | None = None, **changes: object) -> Measured:
    """Everything as it should be, with `changes`."""
    good = Measured(
        held=held(40, 4.0) if rows is None else rows, perplexity=(20.0, 20.1), card=(5.0, 5.0), kl=0.1,
        voices=(VOICE, VOICE), knows=(0.9, 0.9),
    )  # fmt: skip
    return replace(good, **changes)  # type: ignore[arg-type]


def by_hand(rows: Sequence[Held], scores: Sequence[float]) -> float:
    """Every pair, counted."""
    wins = whole = 0.0
    for up, high in zip(rows, scores, strict=True):
        for down, low in zip(rows, scores, strict=True):
            if up.liked and not down.liked and up.fold == down.fold:
                whole += up.weight * down.weight
                wins += up.weight * down.weight * ((high > low) + 0.5 * (high == low))
    return wins / whole if whole else math.nan


VOTES = st.tuples(st.booleans(), st.sampled_from([0.0, 0.2, 1.0]), st.integers(-3, 3), st.integers(0, 2))


@given(st.lists(VOTES, max_size=25))
def test_the_auc_is_the_share_of_pairs(votes: list[tuple[bool, float, int, int]]) -> None:
    """Against counting each pair of a fold, with ties and weights."""
    rows = [Held("g", liked, weight, float(score), 0.0, fold) for liked, weight, score, fold in votes]
    scores = [row.new for row in rows]

    assert by_hand(rows, scores) == pytest.approx(auc(rows, scores), nan_ok=True)


def test_resampling_whole_conversations_says_how_sure_it_is() -> None:
    """Sure of what is better or worse, half sure of what is the same, and less sure where few conversations speak."""
    dice = random.Random(1)
    better, worse = beats_live(held(40, 4.0), dice, 200), beats_live(held(40, 0.0, live=4.0), dice, 200)
    same = beats_live([replace(row, live=row.new) for row in held(40, 2.0)], dice, 200)
    said = [Held("good", at % 2 == 0, 1.0, (at + 1) % 2, at % 2) for at in range(20)]
    other = [Held("bad", at % 2 == 0, 1.0, at % 2, (at + 1) % 2) for at in range(8)]
    two = beats_live([*said, *other], dice, 500)
    many = beats_live([replace(row, group=str(at)) for at, row in enumerate([*said, *other])], dice, 500)

    assert (better, worse, same) == (pytest.approx(1, abs=0.02), pytest.approx(0, abs=0.02), 0.5)
    assert two < 0.8 < 0.95 < many


def test_one_conversation_shows_nothing_by_itself_but_what_it_says() -> None:
    """Where all rows are disliked, or there are none that could be compared, nothing is sure."""
    only = [Held("g", False, 1.0, 0.0, 0.0)] * 4

    assert 0.0 == beats_live(only, random.Random(0), 10)
    assert 0.0 == beats_chance(only, random.Random(0), 10)


def test_shuffled_votes_are_a_fair_measure_of_luck() -> None:
    """Of nights that know nothing, as many are above each share as should be; one that knows is above all."""
    found = [beats_chance(held(24, 0.0, seed), random.Random(seed), 100) for seed in range(200)]

    assert 1.0 == beats_chance(held(40, 4.0), random.Random(0), 200)
    for share in (0.5, 0.9):
        assert 1 - share == pytest.approx(sum(one >= share for one in found) / len(found), abs=0.09)


def moody(seed: int, sessions: int = 2, votes: int = 20) -> list[Held]:
    """A night that knows nothing, of few sessions: each has a mood of its own, and a topic to which it leans."""
    dice, rows = random.Random(seed), list[Held]()
    for at in range(3 * sessions):
        mood, topic = min(0.95, max(0.05, dice.gauss(0.5, 0.3))), dice.gauss(0, 1)
        for _ in range(votes):
            rows.append(Held(f"g{at}", dice.random() < mood, 1.0, topic + dice.gauss(0, 1), 0.0, at // sessions))
    return rows


def test_the_mood_of_a_session_is_no_taste() -> None:
    """Sessions that by chance lean to where people were in a good mood pass as seldom as others. (Each vote shuffled
    by itself, 22 in 100 passed the test that says 10.)"""
    found = [beats_chance(moody(seed), random.Random(seed), 100) for seed in range(200)]

    for share in (0.5, 0.9):
        assert 1 - share == pytest.approx(sum(one >= share for one in found) / len(found), abs=0.09)


def test_sessions_that_differ_in_mood_alone_show_nothing() -> None:
    """All of one is liked and nothing of the other, and they are not alike: there is nothing to compare this with."""
    rows = [Held("good" if at < 9 else "bad", at < 9, 1.0, float(at < 9), 0.0) for at in range(20)]

    assert 0.0 == beats_chance(rows, random.Random(0), 100)


def test_learners_who_speak_louder_than_others_prove_nothing() -> None:
    """Scores of one fold are all far above those of the other, whose votes are worse: nobody knows anything."""
    rows = [
        Held(f"g{at}", at % 5 > 0 if at < 20 else at % 5 == 0, 1.0, at % 7 + (100 if at < 20 else 0), 0.0, int(at < 20))
        for at in range(40)
    ]

    assert (
        auc(rows, [row.new for row in rows]) < 0.7 < auc([replace(row, fold=0) for row in rows], [r.new for r in rows])
    )
    assert beats_chance(rows, random.Random(0), 200) < 0.95


def test_the_best_of_many_recipes_must_be_better_still() -> None:
    """What passes alone is open where six were tried: one of them would by luck."""
    rows = next(
        rows
        for seed in range(99)
        if 0.991 < beats_chance(rows := held(40, 0.9, seed), random.Random(0)) < 0.997
        and beats_live(rows, random.Random(0)) > 0.9
    )

    assert (Outcome.PROMOTED, Outcome.UNDECIDED) == (judge(seen(rows)).outcome, judge(seen(rows), tries=6).outcome)


def test_what_is_better_and_the_same_character_is_promoted() -> None:
    """With its reasons in words."""
    found = judge(seen())

    assert Outcome.PROMOTED == found.outcome
    assert all(check.passed for check in found.checks)
    assert "it finds the liked one likelier; the base does in" in found.reasons[0]
    assert {AUC, BETTER, CHANCE, "neutral perplexity"} <= set(found.scores)


BOUNDS = [
    ({"perplexity": (20.0, 20.7)}, "Plain text has become harder for it: 20.00 before, 20.70 after (+3.5%)."),
    ({"perplexity": (20.0, math.nan)}, "Plain text has become harder"),
    ({"perplexity": (20.0, math.inf)}, "Plain text has become harder"),
    ({"card": (5.0, 7.6)}, "Its own example lines have become strange to it: 5.00 before, 7.60 after (+52.0%)."),
    ({"kl": 1.01}, "Its words are far from the base's, in nats per token (1.01)."),
    ({"kl": math.nan}, "Its words are far from the base's"),
    ({"knows": (0.9, 0.6)}, "Asked who it is, it says so less often (0.60)."),
    ({"unended": (0.2, 0.6)}, "More of its replies run on to where the exam ends them (0.60)."),
    ({"distinct": 0.69}, "It says the same things more often (distinct-2) (0.69)."),
    ({"repeated": 0.07}, "It repeats itself within a reply (0.07)."),
    ({"opening": 0.3}, "Replies begin with the same words (0.30)."),
    ({"words": 15.0}, "Replies have become much longer (15.00)."),
    ({"words": 7.0}, "Replies have become much shorter (7.00)."),
    ({"refusals": 0.09}, "It refuses to answer more often (0.09)."),
    ({"abuse": 0.06}, "It has become abusive (0.06)."),
]


@pytest.mark.parametrize(("change", "why"), BOUNDS, ids=[next(iter(change)) for change, _ in BOUNDS])
def test_each_bound_rejects_with_words_and_numbers(change: dict[str, object], why: str) -> None:
    """However well it knows what people like, and whether or not the votes say so."""
    measured = change if hasattr(seen(), next(iter(change))) else {"voices": (VOICE, changed(VOICE, **change))}
    for rows in (None, []):
        found = judge(seen(rows, **measured))
        assert Outcome.REJECTED == found.outcome
        assert found.reasons[0].startswith(why)
        assert 1 == sum(not check.passed for check in found.checks if check.name != "held-out ratings")


def test_a_character_with_flaws_of_its_own_may_keep_them() -> None:
    """What was so before is no reason."""
    odd = changed(VOICE, opening=0.6, repeated=0.3, refusals=0.4, abuse=0.2, distinct=0.1)

    assert Outcome.PROMOTED == judge(seen(voices=(odd, odd), knows=(0.1, 0.1), unended=(0.9, 1.0))).outcome


def test_replies_that_never_end_are_seen_though_the_exam_ends_them() -> None:
    """At the limit they are hardly longer than the base's, which end by themselves; it has gone too far."""
    found = judge(seen(voices=(VOICE, changed(VOICE, words=13.0)), unended=(0.1, 1.0)))

    assert (Outcome.REJECTED, True) == (found.outcome, found.overshoots)
    assert judge(seen(unended=(0.3, 0.3 + 12 / 32))).outcome == Outcome.PROMOTED  # luck, perhaps


@pytest.mark.parametrize("rows", [[], held(2 * EACH - 1, 9.0), [row for row in held(60, 9.0) if row.liked]])
def test_few_held_out_ratings_decide_nothing(rows: list[Held]) -> None:
    """And it is said how many there were. Rows that weigh nothing are none."""
    found = judge(seen(rows))
    weightless = judge(seen([*rows, *(replace(row, weight=0.0) for row in held(40, 9.0))]))

    assert [Outcome.UNDECIDED] * 2 == [found.outcome, weightless.outcome]
    likes = sum(row.liked for row in rows)
    said = f"{likes} liked and {len(rows) - likes} disliked replies were held out."
    assert (said,) == found.reasons == weightless.reasons


def test_what_is_not_shown_to_be_better_is_not_let_in() -> None:
    """As good as the live one: no decision, for the next night has more to go by. Worse: rejected, and why."""
    alike = judge(seen([replace(row, live=row.new) for row in held(40, 4.0)], live="ann/1"))
    worse = judge(seen(held(40, 0.5, live=4.0), live="ann/1"))

    assert (Outcome.UNDECIDED, Outcome.REJECTED) == (alike.outcome, worse.outcome)
    assert "what serves now does in" in alike.reasons[0]
    assert worse.reasons[0].startswith("It knows worse what people like: In")


def test_votes_that_mean_nothing_promote_nothing() -> None:
    """Nights over votes of coins, with as many rows held out as real nights have."""
    found = [judge(seen(held(24, 0.0, seed), seed=seed)).outcome for seed in range(16)]

    assert Outcome.PROMOTED not in found
    assert {Outcome.UNDECIDED, Outcome.REJECTED} == set(found)


def test_what_truly_is_better_gets_in() -> None:
    """A LoRA that tells four of five pairs apart, with sixty rows held out, where the base knows nothing."""
    found = [judge(seen(held(60, 2.0, seed), seed=seed)).outcome for seed in range(5)]

    assert found.count(Outcome.PROMOTED) >= 4


def test_the_same_night_is_judged_alike() -> None:
    """By its seed."""
    rows = held(40, 0.8, 4)

    assert judge(seen(rows, seed=3)) == judge(seen(rows, seed=3))
