"""worker/kv.py: conversations in one arena. Whatever comes and goes, everybody finds what was kept for them."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from worker import kv
from worker.kv import BLOCK, WORTH, Arena, Kept

CAPACITY = 12 * BLOCK


def arena(capacity: int = CAPACITY, clock: Callable[[], float] | None = None) -> Arena:
    return Arena(1, 1, 1, capacity, torch.float32, "cpu", clock or itertools.count().__next__)


def fill(arena: Arena, kept: Kept, tokens: list[int]) -> None:
    """Read the rest of these tokens: what is kept of a token is its number, and whose it is."""
    start = len(kept.tokens)
    for storage, sign in ((arena.storage.keys[0], 1.0), (arena.storage.values[0], -1.0)):
        storage[0, kept.at + start : kept.at + len(tokens), 0] = torch.tensor(tokens[start:]).float() * sign
    kept.tokens = list(tokens)


def content(arena: Arena, kept: Kept) -> Tensor:
    return arena.storage.keys[0][0, kept.at : kept.at + len(kept.tokens), 0]


def check(arena: Arena) -> None:
    """What must always hold."""
    at = 0
    for kept in arena._kept:
        assert at <= kept.at, "pieces do not overlap, and lie in order"
        assert len(kept.tokens) <= kept.room
        at = kept.at + kept.room
        assert kept.tokens == content(arena, kept).int().tolist()
        assert torch.equal(content(arena, kept), -arena.storage.values[0][0, kept.at : kept.at + len(kept.tokens), 0])
    assert at <= arena.capacity


# (what, which, how many): `open` begins talk number `which`, or goes on with it
ACTS = st.lists(
    st.tuples(
        st.sampled_from(["open", "open", "open", "grow", "rest", "drop"]), st.integers(0, 5), st.integers(1, 4 * BLOCK)
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=150)
@given(ACTS)
def test_whatever_comes_and_goes_nothing_is_lost_or_mixed_up(acts: list[tuple[str, int, int]]) -> None:
    """Against a plain account of who is busy: contents survive moves, growth and packing; the busy never go; and there
    is room whenever the busy leave enough."""
    place, busy = arena(), dict[int, Kept]()
    for what, which, count in acts:
        lora = f"v{which % 2}"
        if what == "open" and which not in busy:
            shared = which % 3
            tokens = [shared] * 20 + [100 * which + at for at in range(count)]
            taken = sum(kept.room for kept in busy.values())
            before = list(place._kept)
            kept = place.open(tokens, lora, count // 2)
            if kept is None:
                assert taken + kv._blocks(len(tokens) + 1) > CAPACITY
                assert before == place._kept, "nobody goes in vain"
                continue
            assert lora == kept.lora
            assert kept.tokens == tokens[: len(kept.tokens)]
            assert len(kept.tokens) < len(tokens)
            assert len(tokens) <= kept.room
            check(place)
            fill(place, kept, tokens)
            busy[which] = kept
        elif what == "grow" and which in busy:
            kept = busy[which]
            tokens = [*kept.tokens, *range(count)]
            others = sum(other.room for other in busy.values() if other is not kept)
            if place.grow(kept, len(tokens)):
                fill(place, kept, tokens)
            else:
                assert others + kv._blocks(len(tokens)) > CAPACITY
        elif what in ("rest", "drop") and which in busy:
            (place.rest if what == "rest" else place.drop)(busy.pop(which))
        check(place)
        assert all(kept in place._kept for kept in busy.values())


def test_the_next_turn_finds_what_was_read_of_the_last_one() -> None:
    """In its place: nothing is copied."""
    place = arena()
    kept = place.open([*range(100)], "base", 20)
    assert kept
    fill(place, kept, [*range(110)])
    place.rest(kept)
    again = place.open([*range(105), *range(500, 520)], "base", 20)

    assert again is kept
    assert [*range(105)] == again.tokens
    assert (105, 225) == (place.reused, place.asked)


def test_one_token_is_always_left_to_read() -> None:
    """Else there would be no scores to choose from."""
    place = arena()
    kept = place.open([*range(100)], "base", 0)
    assert kept
    fill(place, kept, [*range(100)])
    place.rest(kept)
    again = place.open([*range(100)], "base", 0)

    assert again
    assert [*range(99)] == again.tokens


def test_who_begins_alike_gets_a_copy_and_disturbs_nobody() -> None:
    """Even of one that is just being written; too little is not worth it."""
    place = arena()
    kept = place.open([*range(100)], "base", 0)
    assert kept
    fill(place, kept, [*range(100)])
    other = place.open([*range(60), 7, 7, 7], "base", 0)
    third = place.open([*range(WORTH - 1), 9, 9], "base", 0)

    assert other
    assert third
    assert other is not kept
    assert ([*range(60)], [], [*range(100)]) == (other.tokens, third.tokens, kept.tokens)
    check(place)


def test_what_was_read_under_one_lora_is_nothing_to_another() -> None:
    """Neither taken over nor copied."""
    place = arena()
    kept = place.open([*range(100)], "v1", 0)
    assert kept
    fill(place, kept, [*range(100)])
    place.rest(kept)
    other = place.open([*range(100)], "v2", 0)

    assert other
    assert other is not kept
    assert [] == other.tokens


def test_the_longest_unused_goes_first() -> None:
    """When room is needed."""
    place = arena(3 * BLOCK)
    first, second, third = (place.open([n] * (BLOCK - 1), "base", 0) for n in range(3))
    for kept in (second, first, third):
        assert kept
        place.rest(kept)
    newest = place.open([9] * (BLOCK - 1), "base", 0)

    assert newest
    assert {id(kept) for kept in (first, third, newest)} == {id(kept) for kept in place._kept}


def test_what_nobody_has_used_for_half_an_hour_is_forgotten() -> None:
    """What is being used stays, however long it takes."""
    now = [0.0]
    place = arena(clock=lambda: now[0])
    old, busy = place.open([1, 2, 3], "base", 0), place.open([4, 5, 6], "base", 0)
    assert old
    place.rest(old)
    now[0] = 1000.0
    young = place.open([7, 8, 9], "base", 0)
    assert young
    place.rest(young)
    now[0] = kv.KEEP + 1
    place.forget_idle(kv.KEEP)

    assert [id(busy), id(young)] == [id(kept) for kept in place._kept]


def test_when_all_are_busy_there_is_no_room() -> None:
    """And nobody is harmed by the question."""
    place = arena(2 * BLOCK)
    kept = place.open([*range(BLOCK)], "base", 0)
    assert kept
    fill(place, kept, [*range(BLOCK)])

    assert place.open([*range(500, 500 + BLOCK)], "base", 0) is None
    assert not place.grow(kept, 3 * BLOCK)
    assert place.grow(kept, 2 * BLOCK)
    check(place)


@given(st.lists(st.integers(0, 2), max_size=30), st.lists(st.integers(0, 2), max_size=30))
def test_the_common_beginning_is_found(a: list[int], b: list[int]) -> None:
    """Against the plain loop."""
    same = 0
    while same < min(len(a), len(b)) and a[same] == b[same]:
        same += 1

    assert same == kv._common(a, b)


@pytest.mark.parametrize(("wanted", "free", "tokens"), [(0, 50_000_000, 50_000), (1, 0, 8192), (9, 10**12, 8960)])
def test_an_arena_is_as_big_as_told_or_as_there_is_memory_and_holds_a_context(
    wanted: int, free: int, tokens: int
) -> None:
    """In whole blocks; bytes per token here: 1,000."""
    assert tokens // BLOCK * BLOCK == kv.capacity(wanted, 1000, 8192, free)


def test_no_more_is_taken_than_conversations_could_use() -> None:
    """On a machine with a terabyte."""
    assert 64 * 8192 == kv.capacity(0, 1000, 8192, 10**12)


def test_nobody_goes_in_vain() -> None:
    """Where there is no room even without the idle, they stay: above all what the one who asks has read already."""
    place = arena(8 * BLOCK)
    busy = place.open([*range(4 * BLOCK - 1)], "base", 0)
    mine, idle = place.open([*range(1000, 1060)], "base", 0), place.open([*range(2000, 2060)], "base", 0)
    assert busy
    assert mine
    assert idle
    for kept, tokens in ((mine, [*range(1000, 1060)]), (idle, [*range(2000, 2060)])):
        fill(place, kept, tokens)
        place.rest(kept)

    assert place.open([*range(1000, 1000 + 5 * BLOCK)], "base", 0) is None
    assert place.open([7] * 5 * BLOCK, "base", 0) is None
    assert not place.grow(busy, 9 * BLOCK)
    assert [busy, mine, idle] == place._kept
    assert ([*range(1000, 1060)], False) == (mine.tokens, mine.busy)
    check(place)


class Full(TorchDispatchMode):
    """A device that has no memory left: all it can do is change what there is."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        given = [arg.untyped_storage().data_ptr() for arg in args if isinstance(arg, Tensor)]
        if made.untyped_storage().data_ptr() not in given:
            raise torch.OutOfMemoryError(f"no memory for {func}")
        return made


@pytest.mark.parametrize("hand", [40, kv.HAND])
def test_moving_takes_no_memory(hand: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up, down, and to another place: else a device that is full would leave half of a piece where it was."""
    monkeypatch.setattr(kv, "HAND", hand)
    place = arena(9 * BLOCK)
    low, mine, high = (place.open([*range(n, n + 3 * BLOCK - 1)], "base", 0) for n in (1000, 2000, 3000))
    assert low
    assert mine
    assert high
    for kept, first in ((mine, 2000), (high, 3000)):
        fill(place, kept, [*range(first, first + 3 * BLOCK - 1)])
    place.drop(low)
    with Full():
        assert place.grow(mine, 4 * BLOCK)  # all is packed, and `high` moves up
        place.drop(mine)
        copied = place.open([*high.tokens[:100], 7], "base", 0)
        assert place.grow(high, 7 * BLOCK)  # it moves down

    assert copied
    assert 100 == len(copied.tokens)
    check(place)


def test_room_for_a_reply_is_only_taken_where_nobody_has_it() -> None:
    """Else a block is enough to begin with."""
    place = arena(8 * BLOCK)
    first = place.open([1] * 10, "base", 2 * BLOCK)
    assert first
    place.rest(first)
    second = place.open([2] * 10, "base", 20 * BLOCK)
    assert second

    assert first in place._kept
    assert BLOCK == second.room
    assert place.grow(second, 8 * BLOCK)
    assert [second] == place._kept


def test_the_piece_that_is_to_be_copied_goes_last() -> None:
    """Though it is the longest unused."""
    place = arena(4 * BLOCK)
    source, other = place.open([*range(BLOCK - 1)], "base", 0), place.open([7] * (BLOCK - 1), "base", 0)
    for kept in (source, other):
        assert kept
        fill(place, kept, [*range(BLOCK - 1)] if kept is source else [7] * (BLOCK - 1))
        place.rest(kept)
    shared = [*range(40), *[9] * (3 * BLOCK - 50)]
    new = place.open(shared, "base", 0)

    assert new
    assert shared[:40] == new.tokens
    assert source in place._kept
    assert other not in place._kept
    check(place)
