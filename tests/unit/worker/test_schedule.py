"""worker/schedule.py: who is read how far. Nobody starves, and no step is longer than it may be."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from core.jobs import Lane
from worker.schedule import ALONE, LEAST, REMAINDER, TURN, Want, first, shares, youngest

LANES = st.sampled_from([Lane.LIVE, Lane.BACKGROUND])


def wants_of(longest: int, most: int) -> st.SearchStrategy[list[Want]]:
    """Up to so many, of prompts that are no longer."""
    return st.lists(st.tuples(st.integers(1, longest), st.integers(0, 4000), LANES), min_size=1, max_size=most).map(
        lambda rows: [Want(left, past, lane, order) for order, (left, past, lane) in enumerate(rows)]
    )


WANTS = wants_of(5000, 12)


@given(WANTS, st.integers(16, 512), st.floats(200, 5000), st.integers(0, 20))
def test_a_step_holds_a_token_of_every_reply_and_no_more_of_prompts_than_it_may(
    wants: list[Want], room: int, far: float, step: int
) -> None:
    """Counting what is far back as dearer; one token more at most, for whom even one is too dear."""
    given = shares(wants, room, far, step)
    replies = sum(want.left == 1 for want in wants)
    cost = sum(
        count * (1 + want.past / far) for want, count in zip(wants, given, strict=True) if want.left > 1 and count
    )
    dearest = max(1 + want.past / far for want in wants)

    assert all(0 <= count <= want.left for want, count in zip(wants, given, strict=True))
    assert all(count == 1 for want, count in zip(wants, given, strict=True) if want.left == 1)
    assert cost <= (ALONE if len(wants) == 1 else REMAINDER) * max(room - replies, LEAST) + dearest


@given(WANTS, st.integers(16, 512))
def test_something_is_read_in_every_step(wants: list[Want], room: int) -> None:
    """However full it is of replies."""
    assert sum(shares(wants, room, 1000.0, 1)) > sum(want.left == 1 for want in wants) - all(
        want.left == 1 for want in wants
    )


def test_the_short_goes_before_the_long_and_people_before_files() -> None:
    """Except in every fourth step, which is the longest-waiting one's."""
    wants = [
        Want(4000, 0, Lane.LIVE, 1),
        Want(50, 0, Lane.LIVE, 2),
        Want(10, 0, Lane.BACKGROUND, 0),
    ]

    assert [78, 50, 0] == shares(wants, 128, 1e9, 1)
    assert [118, 0, 10] == shares(wants, 128, 1e9, TURN)


def test_a_long_prompt_is_read_under_a_flood_of_short_ones() -> None:
    """A new short one in every step, which would fill it."""
    left, steps = 1000, 0
    while left > 0:
        left -= shares([Want(left, 1000 - left, Lane.LIVE, 0), Want(128, 0, Lane.LIVE, steps + 1)], 128, 1e9, steps)[0]
        steps += 1

    assert steps <= TURN * (1000 // 128 + 1)


def test_a_small_remainder_is_read_at_once() -> None:
    """A step of its own would cost more; a bigger one waits, unless nobody else is there."""
    reply = Want(1, 9, Lane.LIVE, 1)

    assert [78, 1] == shares([Want(78, 0, Lane.LIVE, 0), reply], 64, 1e9, 1)
    assert [63, 1] == shares([Want(79, 0, Lane.LIVE, 0), reply], 64, 1e9, 1)
    assert [192] == shares([Want(192, 0, Lane.LIVE, 0)], 64, 1e9, 1)
    assert [64] == shares([Want(193, 0, Lane.LIVE, 0)], 64, 1e9, 1)


def test_far_back_a_step_reads_fewer_tokens() -> None:
    """So that it takes no longer."""
    assert [128] == shares([Want(4000, 0, Lane.LIVE, 0)], 128, 1000.0, 1)
    assert [32] == shares([Want(4000, 3000, Lane.LIVE, 0)], 128, 1000.0, 1)


def test_the_youngest_yields_and_files_before_people() -> None:
    """By arrival, not by length."""
    wants = [Want(1, 900, Lane.LIVE, 3), Want(1, 10, Lane.LIVE, 7), Want(1, 10, Lane.BACKGROUND, 1)]

    assert 2 == youngest(wants)
    assert 1 == youngest(wants[:2])


def test_people_are_let_in_before_files_then_by_arrival() -> None:
    """Whoever yielded keeps its place."""
    assert [2, 0, 1] == first([(Lane.LIVE, 5), (Lane.BACKGROUND, 1), (Lane.LIVE, 2)])


@settings(deadline=None, max_examples=30)
@given(wants_of(1500, 3), st.integers(16, 64), st.floats(500, 5000))
def test_all_are_read_to_their_end_by_and_by(wants: list[Want], room: int, far: float) -> None:
    """While new short ones and replies fill every step; the longest-waiting one's steps alone would be enough."""
    total = sum(want.left * (1 + (want.past + want.left) / far) for want in wants if want.left > 1)
    most = TURN * (total / LEAST * 2 + len(wants) + 1)
    flood = [Want(room, 0, Lane.LIVE, 10**6), *[Want(1, 50, Lane.LIVE, 10**6)] * room]
    step = 0
    while wants := [want for want in wants if want.left > 1]:
        given = shares([*wants, *flood], room, far, step)
        wants = [replace(w, left=w.left - n, past=w.past + n) for w, n in zip(wants, given, strict=False)]
        step += 1
        assert step <= most


def test_the_end_of_a_long_prompt_is_dearer_than_it_is_long() -> None:
    """100 tokens after 3,000 take more computing than 200 from the beginning."""
    assert [0, 64] == shares([Want(100, 3000, Lane.LIVE, 0), Want(200, 0, Lane.LIVE, 1)], 64, 1000.0, 1)
