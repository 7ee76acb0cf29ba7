"""worker/copying.py: a reply does not go on with what was said before."""

import torch

from personas.sampling import Sampling
from worker.copying import GROWTH, MOST, NEVER, OPENING, Copies, Turns, spoken
from worker.sampling import Draw, choose, uncopied

BEFORE = ((1, 2, 3, 4, 5, 6), (9, 2, 3, 4, 7))


def test_the_token_that_would_go_on_with_a_copy_is_held_back() -> None:
    """The more the longer the copy is; what has not been said before is free."""
    copies = Copies(BEFORE, 0.5, 2)

    assert {} == copies.penalties([8, 8, 8])
    assert {} == copies.penalties([3])
    assert {4: 0.5} == copies.penalties([8, 2, 3])
    assert {4: 0.5 * GROWTH} == copies.penalties([1, 2, 3])
    assert {5: 0.5 * GROWTH, 7: 0.5 * GROWTH} == copies.penalties([8, 2, 3, 4])
    assert {5: 0.5 * GROWTH**2, 7: 0.5 * GROWTH} == copies.penalties([1, 2, 3, 4])


def test_a_turn_of_phrase_is_no_copy() -> None:
    """Nor is anything, where that is switched off."""
    assert {} == Copies(BEFORE, 0.5, 4).penalties([2, 3, 4])
    assert {} == Copies(BEFORE, 0.0, 2).penalties([1, 2, 3])


def test_no_reply_begins_as_if_somebody_else_spoke() -> None:
    """A name is unlikely there, and no colon follows it; later, and behind other words, both may come."""
    copies = Copies((), 0.0, 2, Turns(frozenset({1}), {(1, 2): 9, (1,): 9}))

    assert [{1: OPENING}, {9: NEVER}, {9: NEVER}] == [copies.penalties(said) for said in ([], [1], [1, 2])]
    assert [{}, {}, {}] == [copies.penalties(said) for said in ([2], [1, 2, 3], [3, 1])]


def test_what_it_was_told_is_not_begun() -> None:
    """By whatever the reply begins; of several that begin alike, none goes on. The copy that is said besides counts as
    ever."""
    copies = Copies(BEFORE, 0.5, 3, told=((2, 3, 4), (2, 3, 5), (7, 9), (9, 2, 3, 8)))

    assert {4: NEVER, 5: NEVER} == copies.penalties([2, 3])
    assert {9: NEVER} == copies.penalties([1, 2, 7])
    assert {4: NEVER, 5: NEVER, 8: NEVER} == copies.penalties([9, 2, 3])
    assert {5: 0.5, 7: 0.5} == copies.penalties([2, 3, 4])
    assert [{}, {}] == [copies.penalties(said) for said in ([], [3, 2])]
    assert {} == Copies((), 0.0, 3, told=((7, 9),)).penalties([7])


def test_what_can_only_be_said_in_one_way_is_held_back_no_more_than_so_much() -> None:
    """However long the run is: a loop is left long before."""
    long = tuple(range(60))

    assert {59: MOST} == Copies((long,), 0.8, 4).penalties(long[:-1])


def test_what_stands_elsewhere_too_may_be_repeated() -> None:
    """What it has been told, and what somebody else has said; what is left are the words between."""
    said = [(1, 2, 3, 4, 5, 6, 7), (8, 9)]

    assert ((1, 2), (8, 9)) == spoken(said, [(0, 3, 4, 5, 6, 0)])
    assert tuple(said) == spoken(said, [(3, 4, 5), (9, 8)])


def test_only_the_row_that_copies_says_something_else() -> None:
    """Each row has its own past."""
    scores = torch.tensor([[0.0, 0.0, 0.0, 0.0, 2.0, 1.8, 0.0, 0.0]] * 2)
    greedy = Sampling(temperature=0, repetition_penalty=1.0)
    draws = [Draw(greedy, [1, 2, 3], torch.Generator(), copies) for copies in (Copies(BEFORE, 0.5, 2), None)]

    assert [5, 4] == choose(scores, draws)
    assert scores[1].tolist() == uncopied(scores, draws)[1].tolist()
