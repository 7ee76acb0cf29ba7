"""core/votes/trial.py: votes decide a trial, at any time of looking, and seldom wrongly."""

import random
from collections.abc import Iterator
from itertools import accumulate

import pytest

from core.votes.trial import ALPHA, LEAST, Ballot, Decision, Evidence, Finding, Side, decide, weigh

TRIALS = 300


def ballots(tried: str, live: str) -> list[Ballot]:
    """Votes in turns: `+` liked, `-` did not."""
    return [
        Ballot(tried=side, liked=vote == "+", weight=1.0, time=2.0 * number + side)
        for side, votes in ((True, tried), (False, live))
        for number, vote in enumerate(votes)
    ]


def simulated(dice: random.Random, tried: float, live: float, votes: int, mood: float = 0.0) -> list[Ballot]:
    """Sessions of one to nine votes that take turns; the like-rate of each strays by its `mood`; trust varies."""
    cast: list[Ballot] = []
    session = 0
    while len(cast) < votes:
        side, session = bool(session % 2), session + 1
        rate = (tried if side else live) + dice.gauss(0, mood)
        for _ in range(dice.randint(1, 9) if mood else 1):
            weight = dice.choice((1.0, 1.0, 0.5)) if mood else 1.0
            cast.append(
                Ballot(
                    tried=side, liked=dice.random() < rate, weight=weight, time=float(len(cast)),
                    sitting=f"ann {session}" if mood else "",
                )
            )  # fmt: skip
    return cast


def looks(cast: list[Ballot]) -> Iterator[Evidence]:
    """What is seen by somebody who looks after every few votes."""
    return (weigh(cast[:count]) for count in range(8, len(cast) + 1, 8))


def found(tried: float, live: float, votes: int = 160, mood: float = 0.0, trials: int = TRIALS) -> dict[Finding, float]:
    """How often each was decided at any look, the first decision counting."""
    dice, counts = random.Random(f"{tried} {live} {mood}"), dict.fromkeys(Finding, 0)
    for _ in range(trials):
        said = (decide(seen, 0, 3).finding for seen in looks(simulated(dice, tried, live, votes, mood)))
        counts[next((one for one in said if one != Finding.GO_ON), Finding.GO_ON)] += 1
    return {finding: count / trials for finding, count in counts.items()}


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_of_two_that_are_alike_neither_is_found_better(rate: float):
    """Though somebody looks all the time and stops when it suits them: each error in one of twenty trials at most."""
    said = found(rate, rate)

    assert said[Finding.BETTER] <= ALPHA
    assert said[Finding.WORSE] <= ALPHA


@pytest.mark.parametrize("rate", [0.3, 0.5])
def test_moods_of_sessions_do_not_fool_it(rate: float):
    """Votes of a session are alike, people's trust is not: the errors stay as rare."""
    said = found(rate, rate, mood=0.2)

    assert said[Finding.BETTER] <= ALPHA
    assert said[Finding.WORSE] <= ALPHA


@pytest.mark.parametrize(("tried", "live"), [(0.5, 0.6), (0.2, 0.5)])
def test_a_worse_one_is_never_taken_for_a_better_one(tried: float, live: float):
    """Nor the other way round."""
    assert found(tried, live, trials=100)[Finding.BETTER] <= ALPHA / 2
    assert found(live, tried, trials=100)[Finding.WORSE] <= ALPHA / 2


@pytest.mark.parametrize(("tried", "live", "finding"), [(0.5, 0.8, "worse"), (0.8, 0.5, "better"), (0.2, 0.6, "worse")])
def test_a_clear_difference_is_found(tried: float, live: float, finding: Finding):
    """Within 160 votes, nearly always."""
    assert found(tried, live, trials=100)[finding] >= 0.85


def test_it_does_not_matter_in_which_order_votes_are_given():
    """Each has its time."""
    cast = simulated(random.Random(1), 0.6, 0.4, 60, mood=0.2)
    other = random.Random(2).sample(cast, len(cast))

    assert weigh(cast) == weigh(other)


def test_the_first_votes_decide_nothing():
    """Four against nobody: luck."""
    seen = weigh(ballots("----", "++++"))

    assert (Side(4, 0), Side(4, 4)) == (seen.tried, seen.live)
    assert seen.better < 1 < seen.worse < 1 / ALPHA
    assert Evidence() == weigh([])


def before(votes: str) -> list[Ballot]:
    """Votes on the live one from before the trial."""
    return [Ballot(tried=False, liked=vote == "+", weight=1.0, time=-1.0 - n) for n, vote in enumerate(votes)]


@pytest.mark.parametrize(
    ("tried", "live", "share", "finding", "why"),
    [
        ("-" * 200, "", 0.5, "go on", "fewer than 5 votes on the live one"),
        ("+" * 200, "+" * 4, 0.5, "go on", "fewer than 5 votes on the live one"),
        ("+" * 4, "-" * 20, 0.5, "go on", "fewer than 5 votes on it"),
        ("", "", 1.0, "go on", "fewer than 5 votes on it"),
        ("---++", "+++++", 0.5, "go on", "something speaks against it"),
        ("-++++", "+++++", 0.5, "better", "nothing spoke against it"),
        ("-" * 101 + "+" * 99, "", 1.0, "worse", "worse: most did not like it, and it had all sessions: 99 of"),
        ("-" * 100 + "+" * 100, "", 1.0, "better", "nothing spoke against it"),
    ],
)
def test_time_alone_is_not_in_favour_of_what_could_not_be_compared(
    tried: str, live: str, share: float, finding: Finding, why: str
):
    """Each side needs a few votes, and the new one must not be plainly less liked; with all sessions it is its own
    measure. A share of less waits for long, and then the old one goes on."""
    seen = weigh(ballots(tried, live))
    said, late = (decide(seen, days, 3, alone=share >= 1) for days in (3, 15))

    assert (finding, why) == (said.finding, said.why[: len(why)])
    assert (Finding.OVER if finding == Finding.GO_ON else finding) == late.finding


@pytest.mark.parametrize(("rate", "live", "finding"), [(0.5, 0, "worse"), (1.0, 0, "better"), (0.8, 0, "go on")])
def test_where_hardly_anybody_votes_on_the_live_one_it_is_compared_with_before(rate: float, live: int, finding: str):
    """A bet against its like-rate of that time, which was four in five."""
    tried = ["-" if random.Random(n).random() >= rate else "+" for n in range(120)]
    seen = weigh(ballots("".join(tried), "+" * live), before("++++-" * 20))

    assert finding == decide(seen, 1, 3).finding
    assert Side(100, 80) == seen.before == seen.beside
    assert "of the live one's 80 of 100 liked before" in decide(seen, 1, 3).why


def test_what_was_before_counts_no_more_once_the_live_one_has_its_votes():
    """People may have changed; and a handful of votes from before says nothing."""
    tried, now = "-" * 9, "-" * LEAST
    plain = weigh(ballots(tried, now))
    seen = weigh(ballots(tried, now), before("+" * 100))

    assert (plain.better, plain.worse, plain.gap) == (seen.better, seen.worse, seen.gap)
    assert seen.live == seen.beside
    assert (1.0, 1.0) == ((few := weigh(ballots(tried, ""), before("++++"))).better, few.worse)


@pytest.mark.parametrize("known", [8, 30, 200])
def test_a_like_rate_is_known_only_as_well_as_there_were_votes(known: int):
    """Of two that are alike, neither is found better against a past of any length."""
    dice, said = random.Random(known), dict.fromkeys(Finding, 0)
    for _ in range(TRIALS):
        past = before("".join(dice.choice("+-") for _ in range(known)))
        cast = [one for one in simulated(dice, 0.5, 0.5, 160) if one.tried]
        found = (decide(weigh(cast[:count], past), 0, 3).finding for count in range(8, len(cast) + 1, 8))
        said[next((one for one in found if one != Finding.GO_ON), Finding.GO_ON)] += 1

    assert max(said[Finding.BETTER], said[Finding.WORSE]) <= ALPHA * TRIALS


def test_votes_without_a_partner_wait_for_one():
    """A version that nobody has judged cannot be compared."""
    assert (1.0, 1.0) == ((seen := weigh(ballots("", "+" * 50))).better, seen.worse)


def test_who_is_not_trusted_counts_for_little():
    """With no trust for nothing, with half of it for half; more than one is one."""
    full, half, none, more = (
        weigh([Ballot(tried=one.tried, liked=one.liked, weight=weight, time=one.time) for one in ballots("---", "+++")])
        for weight in (1.0, 0.5, 0.0, 7.0)
    )

    assert 1 == none.worse < half.worse < full.worse == more.worse
    assert Side() == none.tried


def test_more_votes_of_one_sitting_say_less_each():
    """Nine count as three."""
    alone = weigh(ballots("-" * 9, "+" * 9)).worse
    one = [
        Ballot(tried=b.tried, liked=b.liked, weight=1.0, time=b.time, sitting="ann 1")
        for b in ballots("-" * 9, "+" * 9)
    ]

    assert weigh(ballots("--", "++")).worse < weigh(one).worse < alone


def test_evidence_grows_with_every_like():
    """And stays a number, however many there are."""
    stakes = [weigh(ballots("+" * count, "-" * count)).better for count in range(1, 30)]

    assert stakes == [*accumulate(stakes, max)]
    assert weigh(ballots("+" * 5000, "-" * 5000)).better > 1e300


@pytest.mark.parametrize(
    ("better", "worse", "days", "finding", "why"),
    [
        (1, 20, 0.1, "worse", "worse: 6 of 9 liked; of the live one's 7 of 8 liked"),
        (20, 1, 0.1, "better", "better: 6 of 9"),
        (19.9, 0, 2.9, "go on", "not decided yet"),
        (0, 19.9, 2.9, "go on", "not decided yet"),
        (1, 2.9, 3, "better", "nothing spoke against it in 3 days: 6 of 9 liked; of the live one's 7 of 8 liked"),
        (0, 3, 3, "go on", "something speaks against it"),
        (0, 3, 15, "over", "over: no answer in 15 days (something speaks against it"),
        (1, 1, 15, "better", "nothing spoke against it"),
        (0, 20, 99, "worse", "worse: "),
    ],
)
def test_a_trial_ends_when_it_is_decided_or_when_nothing_speaks_against_it(
    better: float, worse: float, days: float, finding: Finding, why: str
):
    """One that is in doubt goes on; a clear loss ends it at any time."""
    said = decide(Evidence(Side(9, 6), Side(8, 7), better, worse), days, 3)

    assert Decision(finding, said.why) == said
    assert said.why.startswith(why)
