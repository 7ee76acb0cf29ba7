"""Keys and values of conversations: in one arena of fixed size, each conversation in one piece of it.

What was read once stays until the room is needed (least recently used goes first), so that the next turn reads only
what is new. Whoever begins with the same tokens under the same LoRA gets them copied. Nothing computed under one LoRA
is ever seen under another.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from worker.packed import Storage

BLOCK = 64  # tokens: what a piece grows by
HAND = 1024  # tokens: what is held in passing while a piece moves
WORTH = 16  # tokens: to copy fewer is not worth it
KEEP = 1800.0  # seconds that a conversation stays after its last reply, at most


@dataclass(eq=False)
class Kept:
    """A conversation's keys and values: of `tokens`, read under `lora`, at `at` in the arena with room for `room`."""

    lora: str
    at: int
    room: int
    tokens: list[int] = field(default_factory=list)
    busy: bool = True
    used: float = 0.0


class Arena:
    """Room for `capacity` tokens. Everything is decided here; nothing is computed."""

    def __init__(
        self,
        layers: int,
        heads: int,
        size: int,
        capacity: int,
        dtype: torch.dtype,
        device: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        shape = (heads, capacity, size)
        self.storage = Storage(
            [torch.empty(shape, dtype=dtype, device=device) for _ in range(layers)],
            [torch.empty(shape, dtype=dtype, device=device) for _ in range(layers)],
        )
        self._hand = torch.empty((heads, min(HAND, capacity), size), dtype=dtype, device=device)
        self.capacity, self._clock = capacity, clock
        self.per_token = 2 * layers * heads * size * dtype.itemsize
        self.reused = self.asked = 0  # tokens, since the start
        self._kept: list[Kept] = []  # by place

    @property
    def used(self) -> int:
        """Tokens that are taken."""
        return sum(kept.room for kept in self._kept)

    def open(self, tokens: list[int], lora: str, reply: int) -> Kept | None:
        """Room for a prompt, with as much of it read already as is known. None: there is none now.

        Room for `reply` more tokens is taken too if that costs nobody anything.
        """
        source, known = self._longest(tokens, lora)
        if source and not source.busy and known >= 0.8 * len(source.tokens):
            taken = self._take_over(source, known, len(tokens), reply)
            if taken:
                self._count(known, len(tokens))
                return taken
        kept = self._new(lora, len(tokens), reply, source)
        if kept is None:
            return None
        if source and source in self._kept and known >= WORTH:
            self._copy(source.at, kept.at, known)
            kept.tokens = tokens[:known]
        self._count(len(kept.tokens), len(tokens))
        return kept

    def grow(self, kept: Kept, tokens: int) -> bool:
        """Make sure that there is room for so many. False: there is none, even if all that is idle went."""
        return kept.room >= tokens or self._resize(kept, _blocks(tokens))

    def rest(self, kept: Kept) -> None:
        """Its reply is complete: it stays until its room is needed."""
        kept.busy = False
        kept.room = min(kept.room, _blocks(len(kept.tokens) + BLOCK))
        self._touch(kept)

    def drop(self, kept: Kept) -> None:
        """Forget it."""
        self._kept.remove(kept)

    def forget_idle(self, unused: float = 0.0) -> None:
        """Forget all that no reply is being written with and that nobody has used for so many seconds."""
        since = self._clock() - unused
        self._kept = [kept for kept in self._kept if kept.busy or (unused and kept.used >= since)]

    def _count(self, reused: int, asked: int) -> None:
        self.reused, self.asked = self.reused + reused, self.asked + asked

    def _touch(self, kept: Kept) -> None:
        kept.used = self._clock()

    def _longest(self, tokens: list[int], lora: str) -> tuple[Kept | None, int]:
        """Who shares the longest beginning. One token is always left to read: its logits are what is wanted."""
        found, most = None, 0
        for kept in self._kept:
            if kept.lora == lora and (same := _common(kept.tokens, tokens)) > most:
                found, most = kept, same
        return found, min(most, len(tokens) - 1)

    def _take_over(self, kept: Kept, known: int, prompt: int, reply: int) -> Kept | None:
        kept.busy = True
        before = kept.tokens
        kept.tokens = before[:known]
        if not self._resize(kept, _blocks(prompt + reply), gently=True) and not self.grow(kept, prompt + 1):
            kept.busy, kept.tokens = False, before
            return None
        self._touch(kept)
        return kept

    def _new(self, lora: str, prompt: int, reply: int, spare: Kept | None) -> Kept | None:
        """Room without taking anybody's if possible; else the idle go, `spare` last."""
        room = _blocks(prompt + max(reply, 1))
        at = self._gap(room)
        if at is None:
            room = _blocks(prompt + 1)
            at = self._make_gap(room, spare)
        if at is None:
            return None
        kept = Kept(lora, at, room)
        self._touch(kept)
        self._place(kept)
        return kept

    def _place(self, kept: Kept) -> None:
        self._kept.append(kept)
        self._kept.sort(key=lambda one: one.at)

    def _resize(self, kept: Kept, room: int, gently: bool = False) -> bool:
        """Where it lies if there is room behind it, else elsewhere. `gently`: nobody is made to go."""
        if not self._can_have(room, kept):
            return False
        while room > kept.room:
            if kept.at + room <= self._end(kept):
                kept.room = room
            elif (at := self._gap(room)) is not None:
                self._move(kept, at, room)
            elif gently:
                return False
            elif self.capacity - self.used >= room - kept.room:
                self._compact()
                self._widen(kept, room)
            else:
                self._let_one_go()
        return True

    def _move(self, kept: Kept, at: int, room: int) -> None:
        self._copy(kept.at, at, len(kept.tokens))
        self._kept.remove(kept)
        kept.at, kept.room = at, room
        self._place(kept)

    def _widen(self, kept: Kept, room: int) -> None:
        """All is packed: move those behind it up, the last one first."""
        for other in reversed(self._kept[self._kept.index(kept) + 1 :]):
            self._copy(other.at, other.at + room - kept.room, len(other.tokens))
            other.at += room - kept.room
        kept.room = room

    def _end(self, kept: Kept) -> int:
        """Where the next one begins."""
        after = self._kept.index(kept) + 1
        return self._kept[after].at if after < len(self._kept) else self.capacity

    def _gap(self, room: int) -> int | None:
        """The first place with so much room."""
        at = 0
        for kept in self._kept:
            if kept.at - at >= room:
                return at
            at = kept.at + kept.room
        return at if self.capacity - at >= room else None

    def _make_gap(self, room: int, spare: Kept | None) -> int | None:
        """The same, by letting the idle go, the longest unused first and `spare` last, and by packing the rest."""
        if not self._can_have(room):
            return None
        while (at := self._gap(room)) is None:
            if self.capacity - self.used >= room:
                self._compact()
            else:
                self._let_one_go(spare)
        return at

    def _can_have(self, room: int, mine: Kept | None = None) -> bool:
        """Whether there is so much beside the busy, but for `mine`: nobody goes in vain."""
        return room <= self.capacity - sum(kept.room for kept in self._kept if kept.busy and kept is not mine)

    def _let_one_go(self, spare: Kept | None = None) -> None:
        idle = [kept for kept in self._kept if not kept.busy]
        self.drop(min(idle, key=lambda kept: (kept is spare, kept.used)))

    def _compact(self) -> None:
        at = 0
        for kept in self._kept:
            if kept.at != at:
                self._copy(kept.at, at, len(kept.tokens))
                kept.at = at
            at += kept.room

    def _copy(self, start: int, to: int, count: int) -> None:
        """Takes no memory: on a device that is full, half of a piece would lie here and half there."""
        apart = abs(to - start) >= count
        pieces = range(0, count, max(count, 1) if apart else self._hand.shape[1])
        for part in (*self.storage.keys, *self.storage.values):
            for at in pieces if to < start else reversed(pieces):  # what is yet to be moved is not written over
                size = min(pieces.step, count - at)
                source = part[:, start + at : start + at + size]
                part[:, to + at : to + at + size] = source if apart else self._hand[:, :size].copy_(source)


def _blocks(tokens: int) -> int:
    return -(-tokens // BLOCK) * BLOCK


def _common(a: list[int], b: list[int]) -> int:
    """How many tokens are the same from the beginning."""
    low, high = 0, min(len(a), len(b))
    while low < high:  # halving, so that comparing runs in C
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def capacity(wanted_mb: int, per_token: int, context: int, free: int) -> int:
    """Tokens that an arena shall hold: as told in megabytes, else a part of the `free` bytes.

    A whole context fits, always; capped at 64 contexts, for nobody has more people at once than memory for them.
    """
    room = wanted_mb * 1_000_000 if wanted_mb else free
    tokens = min(room // per_token, 64 * context)
    return max(_blocks(context), int(tokens) // BLOCK * BLOCK)


def shape(config: Any) -> tuple[int, int, int]:
    """(layers, kv heads, size of a head) of a model's configuration."""
    heads = config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    return config.num_hidden_layers, getattr(config, "num_key_value_heads", None) or heads, size
