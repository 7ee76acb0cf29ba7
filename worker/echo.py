"""A model that needs no model, for tests only: people always talk to a real one. Deterministic, no torch, no downloads."""

import time

from core.prompt import Prompt
from worker.generator import Finished, Piece, Rendered, Request


class Echo:
    """Says back what it was told, a word a step: `I heard N lines. You said: …`, then as many words as it may."""

    def __init__(self, delay: float = 0.0, words: int = 0) -> None:
        self._delay, self._words = delay, words
        self._texts: dict[tuple[int, ...], str] = {}
        self._rows: dict[str, tuple[Request, list[str], list[str]]] = {}
        self._cancelled: set[str] = set()

    def render(self, prompt: Prompt, reserve: int) -> Rendered:
        """Every line as it is; a word is a token."""
        system = {"role": "system", "content": "\n\n".join(section.text for section in prompt.system)}
        lines = [*prompt.examples, *prompt.history, prompt.message]
        messages = (system, *({"role": said.role, "content": said.text} for said in lines))
        heard = sum(said.role == "user" for said in [*prompt.history, prompt.message])
        tokens = tuple(prompt.message.text.encode()) + (heard,)
        self._texts[tokens] = f"I heard {heard} lines. You said: {prompt.message.text}"
        return Rendered(messages=messages, tokens=tokens)

    def add(self, request: Request) -> None:
        """Join."""
        words = self._texts[request.tokens].split(" ")
        words += [f"{request.seed}-{number}" for number in range(self._words)]
        self._rows[request.id] = (request, words[: request.sampling.max_tokens], [])

    def cancel(self, request_id: str) -> None:
        """End with what there is."""
        self._cancelled.add(request_id)

    def step(self) -> list[Piece | Finished]:
        """A word for everybody."""
        time.sleep(self._delay)
        events: list[Piece | Finished] = []
        for name, (_, words, said) in list(self._rows.items()):
            if name in self._cancelled or len(said) == len(words):
                finish = "cancelled" if name in self._cancelled else "stop"
                events.append(Finished(id=name, text=" ".join(said), finish=finish, tokens=len(said)))
                del self._rows[name]
                self._cancelled.discard(name)
                continue
            said.append(words[len(said)])
            events.append(Piece(name, (" " if len(said) > 1 else "") + said[-1], len(said)))
        return events

    @property
    def active(self) -> int:
        """How many are being answered."""
        return len(self._rows)
