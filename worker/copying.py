"""What a reply must not copy: a small model that sees its own earlier replies gives them again, word for word, and then
sees them twice. Pure.

The DRY rule ("don't repeat yourself", p-e-w 2024, as in llama.cpp and text-generation-webui): once the last tokens of a
reply are a run of something said before, the token that would go on with the run is held back, the more the longer the
run is. It looks at what the persona has said and at how it was told to speak, less whatever its card says of it, what
it is told of the world, people's words, and numbers: those it may say as often as it likes (`spoken`).

What it is told and never to say, it hardly begins: labels, directions, and what it is (`worker/reciting.py`). There the
growing cost comes too late, for a few words of a direction are enough to be seen by everybody.

Where several people talk, each line of the prompt begins with a name, and a small model begins its reply with the one
that it read last, or with its own, and is out of its voice by that: 69 of 96 first replies of SmolLM2-135M as Captain
Mira, and 47 of all in her voice; with such beginnings held back (`Turns`) none, and 90. In a DM 89 are.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

GROWTH = 1.75  # by so much more for each token that the run is longer
MOST = 10.0  # nats: enough to leave a loop, and what can only be said in one way is said all the same
OPENING = 5.0  # nats that a name costs as the beginning of a reply
NEVER = 100.0
LONGEST_NAME = 40  # tokens; names are shown with no more letters
SHARED = 4  # tokens in a row that stand elsewhere, too, belong there
SEEN = 4  # places of one run that are looked at: who has said it more often says it no more

Tokens = tuple[int, ...]
Index = dict[Tokens, list[tuple[Tokens, int]]]


def spoken(said: Iterable[Sequence[int]], free: Iterable[Sequence[int]]) -> tuple[Tokens, ...]:
    """Of what was `said` before, the runs that do not stand in what may be repeated, `free`."""
    known = {tuple(text[at : at + SHARED]) for text in free for at in range(len(text) - SHARED + 1)}
    return tuple(run for text in said for run in _apart(text, known) if len(run) > 1)


def _apart(text: Sequence[int], known: set[Tokens]) -> Iterable[Tokens]:
    """The text without what is known, in pieces."""
    hidden = [False] * len(text)
    for at in range(len(text) - SHARED + 1):
        if tuple(text[at : at + SHARED]) in known:
            hidden[at : at + SHARED] = [True] * SHARED
    piece: list[int] = []
    for token, is_hidden in zip(text, hidden, strict=True):
        if not is_hidden:
            piece.append(token)
        elif piece:
            yield tuple(piece)
            piece = []
    yield tuple(piece)


class Turns(NamedTuple):
    """How lines of a group begin, and replies do not: `openers` are first tokens of names, `labels` whole names with
    the colon that follows."""

    openers: frozenset[int] = frozenset()
    labels: Mapping[Tokens, int] = {}

    def penalties(self, said: Sequence[int]) -> dict[int, float]:
        """As those of `Copies`. A name may begin a reply all the same if nothing else can; no colon ever follows it."""
        if not said:
            return dict.fromkeys(self.openers, OPENING)
        colon = self.labels.get(tuple(said)) if len(said) <= LONGEST_NAME else None
        return {} if colon is None else {colon: NEVER}


NO_TURNS = Turns()


class Copies:
    """Runs of tokens that were `spoken` before. `allowed`: a run so long is no copy yet, it is a turn of phrase.
    `told`: runs of which the last token never follows the others. A multiplier of 0 lets all of these be said."""

    def __init__(
        self, spoken: tuple[Tokens, ...], multiplier: float, allowed: int, turns: Turns = NO_TURNS,
        told: tuple[Tokens, ...] = (),
    ) -> None:  # fmt: skip
        self._spoken, self._multiplier, self._allowed, self._turns = spoken, multiplier, allowed, turns
        self._told = _by_length(told) if multiplier else {}

    def penalties(self, said: Sequence[int]) -> dict[int, float]:
        """By token that would go on with a copy: what is taken off its score, in nats at temperature 1."""
        if turn := self._turns.penalties(said):
            return turn
        found = self._recited(said)
        if not self._multiplier or not self._spoken or len(said) < self._allowed:
            return found
        for text, end in _index(self._spoken, self._allowed).get(tuple(said[-self._allowed :]), ()):
            penalty = min(MOST, self._multiplier * GROWTH ** (_run(said, text, end, self._allowed) - self._allowed))
            found[text[end]] = max(penalty, found.get(text[end], 0.0))
        return found

    def _recited(self, said: Sequence[int]) -> dict[int, float]:
        """What would go on with what it was told."""
        ends = (told.get(tuple(said[-size:]), ()) for size, told in self._told.items())
        return {end: NEVER for after in ends for end in after}


@lru_cache(maxsize=32)
def _by_length(told: tuple[Tokens, ...]) -> dict[int, dict[Tokens, tuple[int, ...]]]:
    """By how many tokens come before it: what must not follow which."""
    found: dict[int, dict[Tokens, tuple[int, ...]]] = {}
    for *head, end in told:
        ends = found.setdefault(len(head), {})
        ends[tuple(head)] = (*ends.get(tuple(head), ()), end)
    return found


@lru_cache(maxsize=32)
def _index(spoken: tuple[Tokens, ...], allowed: int) -> Index:
    """Where each run of `allowed` tokens ends, and goes on. Made when first needed; the candidates of a reply share
    it."""
    found: Index = {}
    for text in spoken:
        for end in range(allowed, len(text)):
            places = found.setdefault(text[end - allowed : end], [])
            if len(places) < SEEN:
                places.append((text, end))
    return found


def _run(said: Sequence[int], text: Sequence[int], end: int, allowed: int) -> int:
    """How long the run is that ends there."""
    most, long = min(len(said), end), allowed
    while long < most and said[-long - 1] == text[end - long - 1]:
        long += 1
    return long
