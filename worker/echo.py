"""A model that needs no model, for tests only: people always talk to a real one. Deterministic, no torch."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.prompt import Prompt
from worker.generator import Finished, Piece, Rendered, Request


@dataclass
class _Row:
    """What is still to be said, and what has been."""

    words: list[str]
    finish: str
    said: list[str] = field(default_factory=list)


class Echo:
    """Says back what it was told, a word a step: `I heard N lines. You said: …`, then `words` more by the seed.

    `delay` is the seconds that a step takes.
    """

    def __init__(self, delay: float = 0.0, words: int = 0) -> None:
        self._delay, self._words = delay, words
        self._rows: dict[str, _Row] = {}
        self._unwanted: set[str] = set()

    def render(self, prompt: Prompt, reserve: int) -> Rendered:
        """Every line as it is. The tokens spell what will be answered, so that nothing need be remembered."""
        system = {"role": "system", "content": "\n\n".join(section.text for section in prompt.system)}
        lines = [*prompt.examples, *prompt.history, prompt.message]
        messages = [system, *({"role": said.role, "content": said.text} for said in lines)]
        if prompt.asides:
            asides = "\n".join(section.text for section in prompt.asides)
            messages.insert(-1, {"role": "system", "content": asides})
        heard = sum(said.role == "user" for said in [*prompt.history, prompt.message])
        answer = f"I heard {heard} lines. You said: {prompt.message.text}"
        tokens = tuple(answer.encode("utf-8", "replace"))
        return Rendered(messages=tuple(messages), tokens=tokens, own=1 + len(prompt.examples))

    def weighing(self, request_id: str, lead: str, choices: Sequence[str], asked: Request) -> Request | None:
        """It has no likelihoods."""
        return None

    def add(self, request: Request) -> None:
        """Join."""
        more = "".join(f" {request.seed}-{number}" for number in range(self._words))
        text, most = bytes(request.tokens).decode("utf-8") + more, request.sampling.max_tokens
        stops = [text.index(stop) for stop in request.sampling.stop if stop in text]
        words = text[: min(stops)].rstrip().split(" ") if stops else text.split(" ")
        self._rows[request.id] = _Row(words[:most], "stop" if len(words) <= most else "length")

    def cancel(self, request_id: str) -> None:
        """End with what there is."""
        self._unwanted.add(request_id)

    def step(self) -> list[Piece | Finished]:
        """A word for everybody."""
        time.sleep(self._delay)
        events: list[Piece | Finished] = []
        for name, row in list(self._rows.items()):
            cancelled = name in self._unwanted
            if not cancelled and len(row.said) < len(row.words):
                row.said.append(row.words[len(row.said)])
                events.append(Piece(name, " " * (len(row.said) > 1) + row.said[-1], len(row.said)))
                continue
            finish = "cancelled" if cancelled else row.finish
            events.append(Finished(id=name, text=" ".join(row.said), finish=finish, tokens=len(row.said)))
            del self._rows[name]
            self._unwanted.discard(name)
        return events

    @property
    def active(self) -> int:
        """How many are being answered."""
        return len(self._rows)

    def about(self) -> dict[str, str | int | float]:
        """Nothing more than that."""
        return {}

    def faults(self) -> dict[str, str]:
        """It has no LoRAs."""
        return {}
