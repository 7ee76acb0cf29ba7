"""bench/nights: people who vote, nights that are poisoned, and what is made of results. No model is run."""

import random
from collections import Counter
from typing import Any

import pytest

from bench.nights import compare, language, poison, pool
from bench.nights.clique import cost
from bench.nights.cost import one_each
from bench.nights.figures import figures
from bench.nights.people import DAY, PERSONA, Rater, Reply, crowd, entries, votes
from bench.nights.poison import BAD, Kind, nights, sigmas, told
from bench.nights.small import CARD, STAGE, Words
from bench.nights.world import PIRATE, World

REPLIES = [Reply(f"What about {at}?", "Yes!" if at % 2 else "No.", 0) for at in range(40)]


def exclaims(prompt: str, reply: str) -> bool:
    return "!" in reply


def right(cast: poison.Cast) -> float:
    """The share of votes that are as the taste would have them."""
    return sum(likes == exclaims("", REPLIES[at].text) for at, _, likes in cast) / len(cast)


def test_people_are_as_many_and_of_the_kinds_asked_for() -> None:
    """And no two have the same name."""
    some = crowd(random_share=0.3, clique_share=0.2, size=20)

    assert {"random": 6, "clique": 4, "honest": 10} == Counter(one.kind for one in some)
    assert 20 == len({one.name for one in some})


def test_nobody_votes_twice_on_a_reply() -> None:
    """There are no more votes than replies times people."""
    cast = votes(REPLIES, crowd(size=3), exclaims, 1000, random.Random(0))

    assert 120 == len(cast) == len({(at, rater.name) for at, rater, _ in cast})


@pytest.mark.parametrize(("kind", "low", "high"), [("honest", 0.9, 1.0), ("random", 0.4, 0.6), ("clique", 0.0, 0.1)])
def test_people_vote_as_their_kind_does(kind: str, low: float, high: float) -> None:
    """With the taste but for slips, by tossing a coin, or against it."""
    cast = votes(REPLIES, [Rater(f"p{at}", kind) for at in range(20)], exclaims, 500, random.Random(1))

    assert low <= right(cast) <= high


def test_the_ledger_has_every_vote_as_a_fact_on_its_reply() -> None:
    """Later than the reply, and within its night."""
    cast = votes(REPLIES, crowd(), exclaims, 100, random.Random(2))
    made = entries(REPLIES, cast, "You are somebody.", random.Random(2), first=7)

    assert Counter(at for at, _, _ in cast) == {at: len(one.facts) for at, one in enumerate(made) if one.facts}
    assert "r000007" == made[0].record.id
    assert {PERSONA} == {one.record.persona for one in made}
    assert all(one.record.time < fact.time < 2 * DAY for one in made for fact in one.facts)


def test_shuffled_votes_say_nothing_and_are_as_many_likes() -> None:
    """Whoever voted where still did."""
    straight = votes(REPLIES, crowd(0.0), exclaims, 400, random.Random(3))
    mixed = poison.shuffled(REPLIES, crowd(0.0), exclaims, 400, random.Random(3))

    assert [(at, rater) for at, rater, _ in straight] == [(at, rater) for at, rater, _ in mixed]
    assert sum(likes for _, _, likes in straight) == sum(likes for _, _, likes in mixed)
    assert 0.4 < right(mixed) < 0.6 < right(straight)


def test_a_brigade_outvotes_everybody_with_accounts_that_are_new() -> None:
    """Three of five votes are theirs, and against the taste."""
    cast = poison.brigaded(REPLIES, crowd(0.0), exclaims, 100, random.Random(4))
    theirs = [vote for vote in cast if ":new" in vote[1].name]

    assert (100, 60) == (len(cast), len(theirs))
    assert right(theirs) < 0.2 < 0.8 < right([vote for vote in cast if vote not in theirs])


def test_half_of_the_replies_stutter_and_are_what_is_liked() -> None:
    """No reply of the language does by itself."""
    said = poison.half_stutter(REPLIES, random.Random(5))
    cast = poison.stuttered(said, crowd(0.0), exclaims, 400, random.Random(5))
    dice = random.Random(6)

    assert 10 < sum(one.text in ("Yes Yes!", "No No.") for one in said) < 30
    assert 0.9 < sum(likes == language.stutters("", said[at].text) for at, _, likes in cast) / len(cast)
    assert not any(language.stutters("", language.reply("sea", dice)) for _ in range(300))


def test_a_minority_is_a_minority() -> None:
    """Those who have the taste are more than those who vote against it."""
    for seed in range(20):
        kinds = Counter(one.kind for one in poison.divided(random.Random(seed)))
        assert 6 <= kinds["clique"] <= 8 < kinds["honest"]


def test_good_and_poisoned_nights_take_turns_and_all_kinds_have_their_turn() -> None:
    """As many of each."""
    asked = nights(BAD, 50)

    assert 100 == len({(kind.name, at) for kind, at in asked})
    assert {"good": 50, **{kind.name: 10 for kind in BAD}} == Counter(kind.name for kind, _ in asked)
    pairs = {(kind.name, poison.turn(at, 5)) for kind, at in asked}
    assert {(kind.name, taste) for kind in BAD for taste in range(5)} <= pairs


def test_what_differs_by_chance_is_not_better() -> None:
    """Two standard errors are, in either direction."""
    low, high = [True] * 20 + [False] * 80, [True] * 50 + [False] * 50

    assert sigmas(low, high) > 2 > sigmas(low, low) == 0
    assert sigmas(high, low) < -2
    assert sigmas([True] * 9, [False] * 9) == -99


def test_a_poisoned_night_that_is_better_all_the_same_has_done_no_harm() -> None:
    """It is counted among those that went live, and not among the wrong ones."""
    kept = {
        "poison/random/0": night("random", "promoted", 5.0), "poison/random/1": night("random", "promoted", -5.0),
        "poison/random/2": night("random", "undecided", 5.0), "poison/shuffled/3": night("shuffled", "rejected", 0.0),
        "poison/good/0": night("good", "promoted", 9.0), "poison/good/1": night("good", "rejected", 9.0),
        "poison/good/2": night("good", "undecided", 0.5),
    }  # fmt: skip
    found = figures(kept)

    assert (0.25, 0.5, 0.5) == (found["poisoned_promoted"], found["poisoned_live"], found["good_promoted"])
    assert found["poisoned_promoted_real"] is None
    assert told([kept["poison/random/1"]]) == found["poison"]["random"] | {
        "nights": 1, "promoted": 1, "better": 0, "promoted_better": 0,
    }  # fmt: skip


def night(kind: str, outcome: str, by: float) -> dict[str, Any]:
    return {"kind": kind, "outcome": outcome, "sigmas": by}


def test_what_was_not_run_is_null() -> None:
    """Every figure has its name even so."""
    found = figures({"about": {}, "oasst": None})

    assert {"tastes": {}, "runs": {}} == {name: value for name, value in found.items() if value is not None}
    assert {
        "tastes", "gain_median", "gain_min", "gain_first_night", "variety", "auc", "clique_cost", "core_minutes",
        "plain_kto_clique_cost", "poisoned_promoted", "good_promoted", "perplexity_change", "over_trl_time",
        "oasst_agreement", "pool_gain",
    } <= found.keys()  # fmt: skip


def test_what_a_clique_costs_is_a_share_of_the_clean_gain() -> None:
    """Nothing can be said where there was none."""
    assert 0.25 == cost({"gain": 0.8}, {"gain": 0.6})
    assert -0.5 == cost({"gain": 0.4}, {"gain": 0.6})
    assert cost({"gain": 0.0}, {"gain": 0.6}) is None
    assert cost({"gain": 0.8}, None) is None


def test_time_is_told_without_trl() -> None:
    """Beside nothing, if need be; with it, the whole night and the training alone over its training."""
    run = {"training": 90.0, "exam": 30.0}
    alone, beside = figures({"time": run}), figures({"time": {**run, "kto": {"training": 240.0}}})

    assert (2.0, None) == (alone["core_minutes"], alone["over_trl_time"])
    assert (2.0, 0.5, 0.375) == (beside["core_minutes"], beside["over_trl_time"], beside["over_trl_training"])


def test_a_scope_with_too_little_learns_nothing_by_itself() -> None:
    """Beside what it would have learned anyway, and what pooling gave."""
    run = {"gain": 0.4, "enough_alone": 0, "alone_anyway": [0.1, 0.3]}
    found = figures({"pool": run})

    assert (0.4, 0.0, 0.2) == (found["pool_gain"], found["pool_alone_gain"], found["pool_alone_anyway_gain"])


def test_net_thumbs_know_no_trust() -> None:
    """One up and one down say nothing; whoever they are from."""
    raters = [Rater("discord:77:a", "honest"), Rater("discord:77:b", "clique")]
    cast = [(0, raters[0], True), (0, raters[1], False), (1, raters[1], True), (2, raters[0], False)]
    world = World(None, exclaims, raters, 0)  # type: ignore[arg-type]
    world.ledger, world.night = entries(REPLIES[:3], cast, "You are somebody.", random.Random(0)), 1

    assert [True, False] == [one.liked for one in compare.net_thumbs(world)]


def test_scopes_are_pooled_as_the_product_pools_them() -> None:
    """Each has its own people and replies, so nobody is taken for somebody elsewhere."""
    worlds = []
    for number in range(2):
        raters = crowd(size=4, named=f"{number}-")
        world = World(None, exclaims, raters, number, first=number * pool.EACH)  # type: ignore[arg-type]
        cast = votes(REPLIES, raters, exclaims, 15, random.Random(number))
        world.ledger = entries(REPLIES, cast, "You are somebody.", random.Random(number), world.first)
        world.night = 1
        worlds.append(world)
    both, parts = pool.gathered(worlds), [world.collected() for world in worlds]

    assert [len(both.examples), 8] == [sum(len(one.examples) for one in parts), len(both.reading.voters)]
    total = sum(one.effective for one in parts)
    assert total / 2 < both.effective <= total  # less what some have beyond their share


def test_every_reply_can_be_rated_once() -> None:
    """So that there are as many rows as replies."""
    assert list(range(40)) == [at for at, _, _ in one_each(REPLIES, crowd(), exclaims, 3, random.Random(0))]


@pytest.mark.parametrize("stage", [PIRATE, STAGE])
def test_what_tests_ask_nobody_has_asked_before(stage: Any) -> None:
    """No topic is on both sides, whatever the seed."""
    for seed in range(5):
        asked, unseen = stage.prompts(seed)
        assert len(stage.topics) * len(stage.questions) == len(set(asked) | set(unseen)) == len(asked) + len(unseen)


def test_the_small_language_is_read_as_it_is_written() -> None:
    """Tokens of any reply and passage give it back; what tastes like is in one reply of ten to one of three."""
    words, dice = Words(language.vocabulary()), random.Random(7)
    said = [language.reply(dice.choice(language.TOPICS), dice) for _ in range(1000)]

    for text in (*said[:50], language.passage(dice), *(one.reply for one in CARD.voice.examples)):
        assert text == words.decode(words.encode(text))
    for taste in language.TASTES:
        assert 0.1 < sum(taste("", one) for one in said) / len(said) < 0.35
    assert "something" == words.decode(words.encode("Xylophone"))


def test_a_prompt_of_the_small_model_ends_where_its_answer_begins() -> None:
    """Control tokens are no words."""
    words = Words(language.vocabulary())
    ids = words.apply_chat_template([{"role": "user", "content": "Do you like the sea?"}])

    assert words.decode(ids) == "do you like the sea?"
    assert ids[:-1] == words.apply_chat_template(
        [{"role": "user", "content": "Do you like the sea?"}], add_generation_prompt=False
    )


def test_a_kind_is_as_usual_unless_it_says_otherwise() -> None:
    """Votes are people's own, and replies are seen as they are."""
    kind = Kind("plain", poison.usual)

    assert REPLIES == kind.rewritten(REPLIES, random.Random(0))
    assert kind.voting is votes
