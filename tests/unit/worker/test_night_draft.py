"""worker/night/draft.py: what a night keeps of what it found."""

from core.feedback import Reading, Voter
from core.settings import Settings
from core.store.nights import without
from tests.fakes import nights
from worker.night.draft import Draft
from worker.night.examples import Collected


def test_a_night_counts_all_who_voted() -> None:
    """It names a thousand."""
    voters = tuple(Voter(f"discord:{at}", 1, 1, 0.6, 1 / 1500) for at in range(1500))
    draft = Draft(nights.PERSONA, "20261127", Settings(), 0)
    draft.count(Collected(examples=[], reading=Reading((), voters, 0.0), refused={}, replies=9, reactions=9))
    ratings = draft.night().ratings

    assert (1000, 1500) == (len(ratings.people), ratings.voters)
    assert 1499 == without(draft.night(), ratings.people[0].user).ratings.voters
