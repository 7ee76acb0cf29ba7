"""worker/night/evidence.py: what later votes say of a LoRA by a model of taste, and the gate's two tests with it."""

import random
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from core.nights import Outcome
from core.votes.taste import Head
from tests.unit.worker.test_night_gate import seen
from worker.night import gate
from worker.night.evidence import Evidence, Spoken, Vote, looks
from worker.night.gate import AUC, CHANCE, Held, beats_chance, beats_live, judge

SAID = ("the tide is low", "rope costs two coins", "we sail at noon", "the map lies below", "fog on the water")


def reply(dice: random.Random, loud: bool) -> str:
    """Something about this and that, in one of two manners."""
    return f"{dice.choice(SAID)}, {dice.choice(SAID)}{'!' if loud else '.'}"


def night(
    seed: int, agree: float, moved: float, votes: int = 60, leans: float = 0.0, earlier: int = 30, questions: int = 24
) -> tuple[list[Held], Spoken]:
    """A night of people who like what is loud, and say so in so many of their votes; what learned from them is loud in
    `moved` of its answers, and what serves in three of ten. `leans`: how much further up the liked ones are."""
    dice = random.Random(seed)
    marks = [dice.random() < 0.3 for _ in range(votes + earlier)]
    texts = [reply(dice, loud) for loud in marks]
    liked = [loud if dice.random() < agree else dice.random() < 0.3 for loud in marks]
    rows = [
        Held(f"g{at}", like, 1.0, dice.gauss(leans if like else 0, 1), 0.0, at * 3 // votes)
        for at, like in enumerate(liked[earlier:])
    ]
    folds = [-1] * earlier + [row.fold for row in rows]
    said = [Vote(text, like, 1.0, fold) for text, like, fold in zip(texts, liked, folds, strict=True)]
    live, *tried = ([reply(dice, dice.random() < far) for _ in range(questions)] for far in (0.3, *[moved] * 3))
    return rows, Spoken(said, live, tried)


NIGHTS = [night(seed, agree=0.8, moved=0.7, leans=0.4) for seed in range(8)]


def both(rows: Sequence[Held], spoken: Spoken, seed: int = 0, draws: int = 200) -> tuple[float, float]:
    """(better than chance, better than live)."""
    evidence, dice = Evidence(spoken), random.Random(seed)
    return beats_chance(rows, dice, draws, evidence), beats_live(rows, dice, draws, evidence)


def test_a_taste_is_found_though_what_learned_hardly_leans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Votes that a head foretells are no luck, and answers that it likes better are better."""
    monkeypatch.setattr(gate, "beats_chance", partial(beats_chance, shuffles=500))  # a quarter, to the same end
    monkeypatch.setattr(gate, "beats_live", partial(beats_live, resamples=500))
    found = [judge(seen(rows, spoken=spoken)).outcome for rows, spoken in NIGHTS]
    leaning = [judge(seen(rows)).outcome for rows, _ in NIGHTS]

    assert found.count(Outcome.PROMOTED) >= 5 > 2 >= leaning.count(Outcome.PROMOTED)


def test_what_says_the_same_as_before_is_no_better() -> None:
    """However clear the taste is; and what says less of what is liked is worse."""
    same = [both(*night(seed, agree=0.8, moved=0.3))[1] for seed in range(12)]
    worse = [both(*night(seed, agree=0.8, moved=0.0))[1] for seed in range(12)]

    assert 0.35 < sum(same) / len(same) < 0.65
    assert sum(worse) / len(worse) < 0.2


def test_votes_by_coin_are_found_out_as_often_as_is_said() -> None:
    """Though whoever learned from them leans as the head does, for both have learned from the same votes."""
    found = []
    for seed in range(200):
        rows, spoken = night(seed, agree=0.0, moved=0.7, earlier=12)
        evidence, dice = Evidence(replace(spoken, tried=())), random.Random(seed)
        foretold = evidence.foretold()
        rows = [replace(row, new=told + dice.gauss(0, 0.1)) for row, told in zip(rows, foretold, strict=True)]
        found.append(beats_chance(rows, random.Random(seed), 100, evidence))

    for share in (0.5, 0.9):
        assert 1 - share == pytest.approx(sum(one >= share for one in found) / len(found), abs=0.09)


def test_one_that_leans_the_wrong_way_is_not_let_in() -> None:
    """However clear the taste is, and though what serves now leans so even more."""
    rows, spoken = night(1, agree=0.9, moved=0.7)
    astray = [
        replace(row, new=-1.0 if row.liked else at % 3 - 1.0, live=-9.0 * row.liked) for at, row in enumerate(rows)
    ]

    found = judge(seen(astray, spoken=spoken, live="ann/1"))

    assert Outcome.UNDECIDED == found.outcome
    assert AUC in [check.name for check in found.checks if not check.passed]


def test_who_finds_every_pair_is_sure_though_nothing_is_heard() -> None:
    """An AUC that is 1 in every draw has no deviation, and says all the same how sure it is."""
    rows, spoken = night(5, agree=0.8, moved=0.3)
    perfect = [replace(row, new=float(row.liked)) for row in rows]

    assert both(perfect, spoken)[1] > 0.95


def test_what_leans_right_counts_as_before() -> None:
    """Where a head sees nothing in the votes: people like what it has no eye for."""
    rows, spoken = night(2, agree=0.0, moved=0.3, leans=4.0)

    assert both(rows, spoken)[0] > 0.98
    assert CHANCE in judge(seen(rows, spoken=replace(spoken, tried=()))).scores


def test_it_foretells_as_the_head_does() -> None:
    """All votes before a fold teach it, and no other; a usual vote counts 1."""
    rows, spoken = night(3, agree=0.8, moved=0.7)
    half = replace(spoken, votes=[replace(one, weight=0.2) for one in spoken.votes])
    before, now = ([one for one in spoken.votes if (one.fold < 1) == early and one.fold < 2] for early in (True, False))
    head = Head(
        looks([one.text for one in before]), [1.0 if one.liked else -1.0 for one in before], [1.0] * len(before)
    )
    wanted = head.judge(looks([one.text for one in now])).mean
    found, fainter = Evidence(spoken).foretold(), Evidence(half).foretold()
    mine = [told for told, row in zip(found, rows, strict=True) if row.fold == 1]

    assert np.corrcoef(wanted, mine)[0, 1] > 0.97
    assert found == pytest.approx(fainter)


def test_nothing_said_is_no_evidence() -> None:
    """A night of which nobody has kept what was said is judged by what it leans to alone."""
    rows, spoken = night(4, agree=0.8, moved=0.7, leans=1.0)
    alone = Evidence(replace(spoken, tried=()))

    assert 0 == alone.questions
    assert beats_live(rows, random.Random(5), 100) == beats_live(rows, random.Random(5), 100, alone)
