"""What a reply must not copy: a small model that sees its own earlier replies gives them again, word for word, and then
sees them twice. Pure.

The DRY rule ("don't repeat yourself", p-e-w 2024, as in llama.cpp and text-generation-webui): once the last tokens of a
reply are a run of something said before, the token that would go on with the run is held back, the more the longer the
run is. It looks at what the persona has said and at its stage directions, not at the card or at people's words: who it
is, and what it was just told, it may say as often as it likes.
"""

from collections.abc import Iterable, Sequence

GROWTH = 1.75  # by so much more for each token that the run is longer
LONGEST = 24  # tokens of a run that are counted


class Copies:
    """Runs of tokens in what was said before. `allowed`: a run so long is no copy yet, it is a turn of phrase."""

    def __init__(self, spoken: Iterable[Sequence[int]], multiplier: float, allowed: int) -> None:
        self._spoken, self._multiplier, self._allowed = list(spoken), multiplier, allowed
        self._ends: dict[tuple[int, ...], list[tuple[int, int]]] = {}
        for number, text in enumerate(self._spoken if multiplier else ()):
            for end in range(allowed, len(text)):
                self._ends.setdefault(tuple(text[end - allowed : end]), []).append((number, end))

    def penalties(self, said: Sequence[int]) -> dict[int, float]:
        """By token that would go on with a copy: what is taken off its score, in nats at temperature 1."""
        found: dict[int, float] = {}
        for number, end in self._ends.get(tuple(said[-self._allowed :]), ()) if len(said) >= self._allowed else ():
            text = self._spoken[number]
            penalty = self._multiplier * GROWTH ** (self._run(said, text, end) - self._allowed)
            found[text[end]] = max(penalty, found.get(text[end], 0.0))
        return found

    def _run(self, said: Sequence[int], text: Sequence[int], end: int) -> int:
        """How long the run is that ends there."""
        most, long = min(len(said), end, LONGEST), self._allowed
        while long < most and said[-long - 1] == text[end - long - 1]:
            long += 1
        return long
