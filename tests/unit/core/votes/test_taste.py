"""core/votes/taste.py: a head learns from votes, keeps length out of it, and tries out what it doubts."""

from collections.abc import Sequence

import numpy as np
import pytest

from core.feedback import Reading, Verdict
from core.votes.taste import Floats, Head, Looks, counted, manner
from worker.embed import HashEmbedder

WARM = ("You did so well today!", "I missed you, friend!", "Tell me, how are you?", "You make me glad!")
COLD = ("The tide is at six.", "Rope costs two coins.", "It rained on the deck.", "The map lies below.")


def looks(texts: Sequence[str]) -> Looks:
    """As a worker with the hash embedder sees them."""
    return Looks(texts, HashEmbedder().embed(texts))


def head(texts: Sequence[str], values: Sequence[float], weight: float = 1.0) -> Head:
    """One that has seen these votes."""
    return Head(looks(texts), values, [weight] * len(texts))


TAUGHT = head(WARM + COLD, [1.0] * 4 + [-1.0] * 4)


def test_it_prefers_what_was_liked() -> None:
    """In replies that it has not seen."""
    warm, cold = TAUGHT.judge(looks(["I hope you slept well!", "The anchor is heavy."])).mean

    assert warm > 0 > cold


def test_the_other_way_round_if_that_was_liked() -> None:
    """The same replies, opposite votes."""
    one = head(WARM + COLD, [-1.0] * 4 + [1.0] * 4).judge(looks(["I hope you slept well!"])).mean

    assert one == pytest.approx(-TAUGHT.judge(looks(["I hope you slept well!"])).mean)


def test_votes_that_count_less_move_it_less() -> None:
    """A vote of somebody who is hardly believed."""
    hardly = head(WARM + COLD, [1.0] * 4 + [-1.0] * 4, weight=0.05)

    assert abs(hardly.judge(looks(WARM[:1])).mean[0]) < 0.7 * abs(TAUGHT.judge(looks(WARM[:1])).mean[0])


def test_it_is_surer_of_what_it_has_seen() -> None:
    """Doubt is what exploring is made of."""
    seen, new = np.diag(TAUGHT.judge(looks([WARM[0], "Xylophones hum (7 zebras)…"])).spread)

    assert 0 < seen < new


def test_who_likes_long_replies_teaches_nothing_but_that() -> None:
    """Replies that differ in nothing else: what length does is left out again."""
    short, long = "The sea is calm and low.", "The sea is calm and low. " * 6
    texts = [*(f"{word} {text}" for text in (long, short) for word in ("Now", "Here", "Well", "Aye"))]
    alike = np.ones((10, 1), np.float32)
    belief = Head(Looks(texts, alike[:8]), [1.0] * 4 + [-1.0] * 4, [1.0] * 8).judge(
        Looks([f"So {short}", f"So {long}"], alike[:2])
    )

    assert abs(belief.mean[1] - belief.mean[0]) < 0.02


def test_a_pick_is_the_same_for_the_same_seed_and_mostly_the_better_one() -> None:
    """Mostly: now and then it tries the other."""
    belief = TAUGHT.judge(looks(["The hold smells of tar.", "Oh, how you made me laugh!"]))
    picks = [belief.pick(seed) for seed in range(300)]

    assert picks == [belief.pick(seed) for seed in range(300)]
    assert 150 < sum(picks) < 300


def test_replies_that_are_the_same_can_be_picked_from() -> None:
    """Where a model says the same twice, there is no doubt between the two."""
    assert TAUGHT.judge(looks(["Aye."] * 4)).pick(3) in range(4)


def test_one_vote_is_enough_to_begin() -> None:
    """It is hardly more than a guess, and no error."""
    assert head(["You are kind!"], [1.0]).judge(looks(["You are kind!"])).mean[0] > 0


@pytest.mark.parametrize("text", ["", "   ", "👍", "…", "!!!", "数学は楽しい", "a" * 20_000, "*waves* 7"])
def test_any_text_has_a_manner(text: str) -> None:
    """Emoji, nothing, foreign letters, a novel: every sign stays small."""
    assert all(0 <= sign <= 2 for sign in manner(text))
    assert np.isfinite(TAUGHT.judge(looks([text])).mean).all()


def test_rows_can_be_taken_apart_and_joined() -> None:
    """What a worker keeps of each reply by itself is the same as all together."""
    parts = Looks.joined([looks([text]) for text in WARM]).only([2, 0])
    whole = looks([WARM[2], WARM[0]])

    def all_of(one: Looks) -> list[Floats]:
        return [one.vectors, one.words, one.manner, one.length]

    assert all(np.allclose(a, b) for a, b in zip(all_of(parts), all_of(whole), strict=True))


def test_votes_come_from_a_reading() -> None:
    """What trust and damping leave of them, in votes of one person who is believed."""
    verdicts = (Verdict("a", True, 0.8), Verdict("b", False, 0.4), Verdict("c", True, 0.0))
    votes = counted(Reading(verdicts, (), 1.5, unit=0.8))

    assert (("a", "b"), (1.0, -1.0), (1.0, 0.5)) == votes
