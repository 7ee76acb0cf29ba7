"""core/feedback.py, and the habits and trust that it reckons with: reactions become verdicts."""

import math
import random
import statistics
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.feedback import Fact, Reading, Seen, Verdict, Voter, read, standing
from core.votes import habits, polarity, trust
from core.votes.polarity import Polarity


def fact(user: str, emoji: str, time: float, removed: bool = False, is_bot: bool = False) -> Fact:
    return Fact(f"{user}{emoji}{time}", user, emoji, time, removed, is_bot)


def test_a_removed_reaction_no_longer_stands_but_others_do() -> None:
    """Each person's each emoji is on its own."""
    facts = [fact("a", "👍", 1), fact("a", "❤", 2), fact("b", "👍", 3), fact("a", "👍", 4, removed=True)]

    assert {("a", "❤"), ("b", "👍")} == {(f.user, f.emoji) for f in standing(facts)}


def test_facts_may_arrive_out_of_order() -> None:
    """Their own time decides, not when we heard of them."""
    assert [] == standing([fact("a", "👍", 5, removed=True), fact("a", "👍", 1)])


def test_put_back_after_it_was_taken_away_it_stands() -> None:
    """The last word counts."""
    assert 1 == len(standing([fact("a", "👍", 1), fact("a", "👍", 2, removed=True), fact("a", "👍", 3)]))


def test_reactions_of_bots_never_stand() -> None:
    """They are kept as facts only."""
    assert [] == standing([fact("bot", "👍", 1, is_bot=True)])


OLD = 1_000_000.0
NOW = 5_000_000.0
DAY = 86_400.0


def reply(name: str, *facts: Fact, length: int = 100, weak: tuple[tuple[str, str], ...] = ()) -> Seen:
    return Seen(reply=name, time=OLD, length=length, facts=facts, platform="discord", workspace="77", weak=weak)


def alone(*seen: Seen, weak: float = 0.0) -> Reading:
    """In a personal scope."""
    return read(seen, polarity.ours(), shared=False, now=NOW, weak=weak)


def together(*seen: Seen, half_life: float = math.inf) -> Reading:
    """In a shared scope."""
    return read(seen, polarity.ours(), shared=True, now=NOW, half_life=half_life)


def verdict(reading: Reading, name: str = "r") -> Verdict:
    return next(one for one in reading.verdicts if one.reply == name)


def voter(reading: Reading, user: str) -> Voter:
    return next(one for one in reading.voters if one.user == user)


class Town(NamedTuple):
    """Simulated raters: `honest…` vote by a hidden taste (one time in ten wrongly), `random…` by a coin, and `clique…`
    against the taste."""

    seen: tuple[Seen, ...]
    taste: dict[str, bool]

    def right(self, reading: Reading) -> float:
        """The share of verdicts that agree with the taste, by their weight."""
        right = sum(one.weight for one in reading.verdicts if one.liked == self.taste[one.reply])
        return right / sum(one.weight for one in reading.verdicts)

    def thumbs(self) -> float:
        """The same for more thumbs up than down, where a tie is right half of the time."""
        return sum(self._net(one) for one in self.seen) / len(self.seen)

    def _net(self, one: Seen) -> float:
        net = sum(1 if fact.emoji == "👍" else -1 for fact in one.facts)
        return 0.5 if net == 0 else float((net > 0) == self.taste[one.reply])


def town(
    seed: int, people: int = 60, replies: int = 300, votes: int = 30, random_share: float = 0.3, clique: float = 0
) -> Town:
    dice = random.Random(seed)
    kinds = ["random"] * int(people * random_share) + ["clique"] * int(people * clique)
    kinds += ["honest"] * (people - len(kinds))
    taste = {str(number): dice.random() < 0.5 for number in range(replies)}
    facts: dict[str, list[Fact]] = {name: [] for name in taste}
    for person, kind in enumerate(kinds):
        for name in dice.sample(list(taste), min(replies, 1 + int(dice.expovariate(1 / votes)))):
            liked = {
                "random": dice.random() < 0.5,
                "clique": not taste[name],
                "honest": taste[name] == (dice.random() < 0.9),
            }[kind]
            time = OLD + len(facts) * person * 1000 + 500 * int(name)
            facts[name].append(fact(f"{kind}{person}", "👍" if liked else "👎", time))
    lengths = {name: int(10 ** dice.uniform(1, 3)) for name in taste}
    return Town(tuple(reply(name, *given, length=lengths[name]) for name, given in facts.items() if given), taste)


def mean_trust(reading: Reading, kind: str) -> float:
    return statistics.fmean(one.trust for one in reading.voters if one.user.startswith(kind))


def test_a_like_is_a_like_and_a_dislike_a_dislike() -> None:
    """In a personal scope the one person is the measure: trusted fully, without a cap."""
    reading = alone(reply("r", fact("a", "👍", OLD)), reply("s", fact("a", "👎", OLD + 99)))

    assert [("r", True), ("s", False)] == [(one.reply, one.liked) for one in reading.verdicts]
    assert all(0.8 < one.weight < 1 for one in reading.verdicts)
    assert (1.0, 1.0, 2, 1) == (reading.voters[0].trust, reading.voters[0].share, reading.voters[0].votes, 1)


def test_a_strangers_single_vote_is_more_likely_right_than_not() -> None:
    """Somebody unknown starts in the middle, and one vote is no habit."""
    assert 0.5 < verdict(together(reply("r", fact("a", "👍", OLD)))).weight < 0.8


def test_54_emoji_of_one_person_are_one_vote() -> None:
    """People count, not reactions."""
    many = [key for key, (value, _) in polarity.ours().known().items() if value > 0.5][:54]
    one, all_54 = alone(reply("r", fact("a", "👍", OLD))), alone(reply("r", *(fact("a", key, OLD) for key in many)))

    assert 54 == len(many)
    assert 1 == len(verdict(all_54).votes) == voter(all_54, "a").votes
    assert verdict(all_54).weight <= verdict(one).weight


def test_contradictory_emoji_cancel_and_are_named() -> None:
    """Nobody can tell what they mean; so they say nothing."""
    reading = alone(reply("r", fact("a", "👍", OLD), fact("a", "👎", OLD)), reply("s", fact("a", "👍", OLD)))

    assert ["s"] == [one.reply for one in reading.verdicts]
    assert "contradictory on 1 reply" in voter(reading, "a").notes
    assert "1 person contradicted themselves on a reply" in reading.notes


def test_a_vote_that_was_taken_back_does_not_count() -> None:
    """What does not stand is no vote."""
    assert () == alone(reply("r", fact("a", "👍", OLD), fact("a", "👍", OLD + 1, removed=True))).verdicts


def test_bots_have_no_vote() -> None:
    """Neither others nor ourselves."""
    assert () == together(reply("r", fact("bot", "👍", OLD, is_bot=True))).voters


def test_an_unknown_emoji_is_counted_and_says_nothing() -> None:
    """The operator sees what to put into their table."""
    reading = alone(
        reply("r", fact("a", "discord:1", OLD), fact("b", "discord:1", OLD)), reply("s", fact("a", "👍", OLD))
    )

    assert {"discord:1": 2} == reading.unknown
    assert ["s"] == [one.reply for one in reading.verdicts]
    assert any("discord:1 ×2" in note for note in reading.notes)


def test_an_ambiguous_emoji_says_less_than_a_clear_one() -> None:
    """😂 may laugh at us."""
    reading = alone(reply("r", fact("a", "😂", OLD)), reply("s", fact("a", "👍", OLD)))

    assert verdict(reading, "r").liked
    assert verdict(reading, "r").weight < 0.3 * verdict(reading, "s").weight


def test_a_servers_own_meaning_counts_there() -> None:
    """The workspace of the reply decides."""
    table = Polarity({"👍": (1.0, 1.0)}, {"discord:77": {"👍": (-1.0, 1.0)}})

    assert not read([reply("r", fact("a", "👍", OLD))], table, shared=False, now=NOW).verdicts[0].liked


def test_who_likes_everything_says_little_and_their_dislike_much() -> None:
    """A person's own base rate is taken out."""
    likes = [reply(f"r{n}", fact("a", "👍", OLD + 100 * n)) for n in range(60)]
    reading = alone(*likes, reply("no", fact("a", "👎", OLD + 9999)))

    assert verdict(reading, "r7").weight < 0.3 < 0.9 < verdict(reading, "no").weight


def test_somebody_who_likes_all_long_replies_makes_none_longer() -> None:
    """Their likes of long replies, and dislikes of short ones, are what was to be expected."""
    by_length = [
        reply(f"r{n}", fact("a", "👍" if n % 2 else "👎", OLD + 100 * n), length=900 if n % 2 else 30)
        for n in range(60)
    ]
    by_coin = [reply(one.reply, *one.facts, length=100 + n // 2) for n, one in enumerate(by_length)]

    assert alone(*by_length).effective < 0.35 * alone(*by_coin).effective
    assert "likes whatever is long" in alone(*by_length).voters[0].notes


@given(st.lists(st.tuples(st.integers(1, 3000), st.booleans()), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_nothing_is_left_of_a_preference_for_length(votes: list[tuple[int, bool]]) -> None:
    """Whatever one person's votes are: what they count goes neither with length nor for likes, up to the shrinkage."""
    places = habits.places([length for length, _ in votes])
    habit = habits.habits(1, [0] * len(votes), [1.0 if liked else -1.0 for _, liked in votes], places)[0]
    counted = [
        (1 if liked else -1) * habit.surprise(place, liked) for place, (_, liked) in zip(places, votes, strict=True)
    ]
    plain = [1 if liked else -1 for _, liked in votes]

    assert abs(sum(counted)) <= abs(sum(plain)) + 2 * habits.IMAGINARY
    assert abs(sum(c * x for c, x in zip(counted, places, strict=True))) <= 2 * habits.IMAGINARY * habits.GRAIN
    assert all(0 <= abs(one) <= 2 for one in counted)


@pytest.mark.parametrize("seed", range(4))
def test_with_a_third_of_the_raters_random_verdicts_still_follow_the_taste(seed: int) -> None:
    """Far better than net thumbs, and the random ones are found out."""
    place = town(seed)
    reading = together(*place.seen)

    assert 1 - place.right(reading) < 0.5 * (1 - place.thumbs())
    assert mean_trust(reading, "random") < 0.4 < 0.65 < mean_trust(reading, "honest")


@pytest.mark.parametrize("seed", range(8))
def test_a_clique_gains_no_trust_by_agreeing_with_itself(seed: int) -> None:
    """One person in five votes against the taste, three in ten by a coin: half are honest, and that is enough."""
    place = town(seed, clique=0.2)
    reading = together(*place.seen)

    assert 0.9 < place.right(reading) > place.thumbs() + 0.15
    assert mean_trust(reading, "clique") < 0.25 < 0.6 < mean_trust(reading, "honest")


def test_three_busy_liars_do_not_outvote_thirty_people() -> None:
    """At first people outnumber people: many votes alone give no majority."""
    place = town(5, people=30, random_share=0)
    liars = ("x", "y", "z")
    seen = [
        reply(
            one.reply,
            *one.facts,
            *(fact(liar, "👎" if place.taste[one.reply] else "👍", OLD + 100 * int(one.reply)) for liar in liars),
            length=one.length,
        )
        for one in place.seen
    ]
    reading = together(*seen)

    assert max(voter(reading, liar).trust for liar in liars) < 0.1
    assert 0.95 < place.right(reading)


@given(st.lists(st.floats(0, 1000).map(lambda weight: round(weight, 6)), min_size=1, max_size=40))
@settings(max_examples=200)
def test_nobody_has_more_than_their_share(weights: list[float]) -> None:
    """A tenth, or one nth of those who take part; and nobody's weight grows by it."""
    share = trust.fair_share(weights, [1.0] * len(weights))
    after = trust.capped(weights, share)

    assert all(b <= a for a, b in zip(weights, after, strict=True))
    assert max(after) <= share * sum(after) * (1 + 1e-6)


@pytest.mark.parametrize(("people", "share"), [(2, 1 / 2), (5, 1 / 5), (12, 1 / 10), (30, 1 / 10)])
def test_somebody_with_most_of_the_votes_is_held_to_a_fair_share(people: int, share: float) -> None:
    """In a shared scope the persona is not one person's."""
    facts = {f"r{n}": ("busy", n) for n in range(200)} | {
        f"s{user}-{n}": (f"u{user}", 200 + n) for user in range(people - 1) for n in range(4)
    }
    seen = [reply(name, fact(user, "👍" if n % 2 else "👎", OLD + 100 * n)) for name, (user, n) in facts.items()]
    reading = together(*seen)

    assert share + 1e-6 >= voter(reading, "busy").share
    assert "held to a fair share" in voter(reading, "busy").notes
    assert 1 == pytest.approx(sum(one.share for one in reading.voters))


def test_a_passer_by_does_not_take_the_say_from_those_who_are_there_each_day() -> None:
    """They are heard, but not counted in n."""
    seen = [
        reply(f"{user}{n}", fact(user, "👍" if n % 2 else "👎", OLD + 100 * n)) for user in "abcd" for n in range(30)
    ]
    before, after = together(*seen), together(*seen, reply("x", fact("x", "👍", OLD)))

    assert before.effective <= after.effective
    assert 0 < voter(after, "x").share < 0.02


def test_those_who_toss_coins_do_not_make_others_small() -> None:
    """Two people who agree are not held down to the weight of three whom nobody can believe."""
    assert 0.5 == trust.fair_share([20, 20, 0.3, 0.2, 0.2], [0.8, 0.8, 0.05, 0.02, 0.02])
    assert 0.2 == trust.fair_share([20, 20, 0.3, 0.2, 0.2], [0.8, 0.8, 0.6, 0.6, 0.6])


def test_a_burst_counts_as_a_few_votes() -> None:
    """Forty votes within a minute are no judgement of forty replies."""
    others = [
        reply(f"o{user}{n}", fact(f"u{user}", "👍" if n % 3 else "👎", OLD + 100 * n))
        for user in range(12)
        for n in range(40)
    ]
    slow = [reply(f"r{n}", fact("a", "👍" if n % 2 else "👎", OLD + 100 * n)) for n in range(40)]
    fast = [reply(one.reply, fact("a", one.facts[0].emoji, OLD + n)) for n, one in enumerate(slow)]

    assert 1.5 * verdict(together(*fast, *others), "r7").weight < verdict(together(*slow, *others), "r7").weight
    assert "a burst of 40 votes within a minute" in voter(together(*fast, *others), "a").notes
    assert not any("burst" in note for note in voter(together(*slow, *others), "a").notes)


def test_ratings_that_were_brought_in_without_a_time_are_no_burst() -> None:
    """They all bear the moment of the import, on the operator's word."""
    seen = [
        reply(f"r{n}", Fact(f"f{n}", "a", "👍" if n % 2 else "👎", OLD, basis="operator"), length=100)
        for n in range(40)
    ]

    assert () == together(*seen).voters[0].notes


def test_somebody_new_counts_half_where_most_are_known() -> None:
    """Where everybody is new, nobody is."""
    known = [reply(f"k{user}", fact(f"u{user}", "👍", OLD)) for user in range(20)]
    new = reply("r", fact("new", "👍", NOW - DAY / 2))

    assert "new here" in voter(together(*known, new), "new").notes
    assert verdict(together(*known, new)).weight < 0.7 * verdict(together(*known, new), "k0").weight
    assert () == voter(together(new), "new").notes


def test_weak_signals_are_off_by_default_and_stay_weak() -> None:
    """A regenerated reply is a hint, no vote."""
    hinted = reply("r", weak=(("regenerated", "a"),))

    assert () == alone(hinted).verdicts
    assert not verdict(alone(hinted, weak=0.2)).liked
    assert 0.2 == pytest.approx(verdict(alone(hinted, weak=0.2)).weight)
    assert 0.3 == pytest.approx(verdict(alone(hinted, weak=1.0)).weight)
    assert verdict(alone(reply("r", weak=(("thanked", "a"),)), weak=0.3)).liked


def test_an_emoji_says_more_than_a_weak_signal() -> None:
    """Who thumbs up and regenerates liked it."""
    assert verdict(alone(reply("r", fact("a", "👍", OLD), weak=(("regenerated", "a"),)), weak=0.3)).liked


def test_old_replies_fade_where_a_half_life_is_given() -> None:
    """A reply as old as the half-life counts half."""
    fresh = verdict(together(reply("r", fact("a", "👍", OLD)))).weight
    faded = verdict(together(reply("r", fact("a", "👍", OLD)), half_life=NOW - OLD)).weight

    assert fresh / 2 == pytest.approx(faded)


def test_more_trusted_votes_make_a_surer_verdict_and_opposite_ones_a_weaker() -> None:
    """Votes add up as log-odds."""
    one = verdict(together(reply("r", fact("a", "👍", OLD)))).weight
    two = verdict(together(reply("r", fact("a", "👍", OLD), fact("b", "👍", OLD)))).weight
    split = verdict(together(reply("r", fact("a", "👍", OLD), fact("b", "👎", OLD)))).weight

    assert split < 0.01 < one < two < 1


def test_effective_is_how_sure_all_verdicts_are_together() -> None:
    """So a night knows whether it has enough to go by."""
    reading = together(*town(1).seen)

    assert sum(one.weight for one in reading.verdicts) == pytest.approx(reading.effective * reading.unit)
    assert 0 < reading.effective * reading.unit < len(reading.verdicts)


@pytest.mark.parametrize(
    ("seen", "note"),
    [
        ((), "no votes"),
        ((reply("r"),), "no votes"),
        ((reply("r", fact("a", "👎", 1)), reply("s", fact("b", "👎", 1))), "no likes"),
        ((reply("r", fact("a", "👍", 1)), reply("s", fact("b", "👍", 1))), "only likes"),
        ((reply("r", fact("a", "👍", 1)), reply("s", fact("a", "👎", 1))), "one person only"),
        ((reply("r", fact("a", "👍", 1), fact("b", "👎", 1)), reply("s")), "all votes are on one reply"),
    ],
)
def test_what_is_odd_is_named(seen: tuple[Seen, ...], note: str) -> None:
    """In plain words, for the report."""
    assert any(one.startswith(note) for one in together(*seen).notes)


def test_a_sound_reading_has_nothing_odd() -> None:
    """Notes are for what is not as it should be."""
    assert () == together(*town(2).seen).notes


@given(
    st.lists(
        st.tuples(
            st.integers(0, 4),
            st.sampled_from("abcdef"),
            st.sampled_from("👍👎😂🪿🔥"),
            st.floats(0, 9e6),
            st.booleans(),
            st.booleans(),
        ),
        max_size=40,
    ),
    st.booleans(),
    st.lists(st.integers(0, 5000), min_size=5, max_size=5),
)
@settings(max_examples=150, deadline=None)
def test_whatever_comes_in_the_reading_is_within_its_bounds(
    rows: list[tuple[int, str, str, float, bool, bool]], shared: bool, lengths: list[int]
) -> None:
    """No weight, trust or share leaves 0 to 1; shares add up; the same facts give the same reading."""
    facts = [(row[0], fact(*row[1:])) for row in rows]
    seen = [reply(str(n), *(f for at, f in facts if at == n), length=lengths[n]) for n in range(5)]
    reading = read(seen, polarity.ours(), shared=shared, now=NOW, weak=0.3)

    assert all(0 <= one.weight <= 1 for one in reading.verdicts)
    assert all(0 <= vote.weight <= 1 and -1 <= vote.value <= 1 for one in reading.verdicts for vote in one.votes)
    assert all(0 <= one.trust <= 1 and 0 <= one.share <= 1 + 1e-9 for one in reading.voters)
    assert reading == read(seen, polarity.ours(), shared=shared, now=NOW, weak=0.3)
