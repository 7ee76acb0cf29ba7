"""Prompts that fit a context whose tokenizer is elsewhere: tokens are estimated, and the estimate learns from replies.

The trimming itself is `render.py`'s, as for our own engine.
"""

import math
from collections.abc import Sequence
from typing import Any

from core.prompt import Prompt
from worker.controls import ANY_TOKEN, FAMILIES
from worker.generator import Rendered
from worker.render import Messages, Renderer

DENSE = 0.35  # tokens a byte, until the first reply tells: most texts of most tokenizers stay below
MARGIN = 1.08  # texts differ; better a little room that is not used than a prompt refused
EACH, ONCE = 5, 4  # tokens that chat templates add to a message, and once (about)
ENOUGH = 200  # bytes from which a prompt says something about texts, and not only about templates


class _Estimate:
    """A tokenizer that only knows how many."""

    chat_template = "estimated"
    control_shapes = (ANY_TOKEN,)

    def __init__(self, density: float) -> None:
        self._density = density
        self.all_special_tokens = [*FAMILIES]  # the server's own list cannot be asked for

    def encode(self, text: str, **_: Any) -> list[int]:
        return [0] * math.ceil(size(text) * self._density)

    def apply_chat_template(self, conversation: Messages, **_: Any) -> list[int]:
        return [0] * (ONCE + sum(EACH + len(self.encode(message["content"])) for message in conversation))


class Fitting:
    """Renders for `context` tokens of prompt and reply, `talk` of them of history (see `Renderer`).

    `learn` and `shrink` may be called from another thread.
    """

    def __init__(self, context: int, talk: int = 0) -> None:
        self.context, self._talk = context, talk
        self.density = DENSE
        self._settle()

    def render(self, prompt: Prompt, reserve: int) -> Rendered:
        """See `Renderer.render`."""
        return self._renderer.render(prompt, reserve)

    def count(self, text: str) -> int:
        """See `Renderer.count`."""
        return self._renderer.count(text)

    def room(self, prompt: Sequence[int]) -> int:
        """Tokens that are left for the reply."""
        return max(1, self.context - len(prompt))

    def learn(self, messages: Sequence[dict[str, str]], tokens: int) -> None:
        """The server counted so many in this prompt. More than thought counts at once, less little by little."""
        texts = sum(size(message["content"]) for message in messages)
        if tokens <= 0 or texts < ENOUGH:
            return
        seen = max(tokens - EACH * len(messages) - ONCE, 1) / texts * MARGIN
        self.density = seen if seen > self.density else self.density + 0.2 * (seen - self.density)
        if abs(self.density / self._settled - 1) > 0.05:  # each change may move where the history begins
            self._settle()

    def shrink(self, messages: Sequence[dict[str, str]], tokens: int, limit: int) -> None:
        """This prompt was too long. `tokens` and `limit` are what the server named; 0: it did not.

        Whatever the numbers say, or seem to say, the next prompt is shorter.
        """
        texts = max(sum(size(message["content"]) for message in messages), 1)
        before, self.context = self.context, min(self.context, limit or self.context)
        seen = tokens / texts * MARGIN
        if seen > self.density:
            self.density = seen
        elif not tokens or self.context == before:
            self.density *= 1.3
        self._settle()

    def _settle(self) -> None:
        self._settled = self.density
        self._renderer = Renderer(_Estimate(self.density), self.context, self._talk)


def size(text: str) -> int:
    """Bytes: of all that can be had without a tokenizer, they say most, in every script."""
    return len(text.encode("utf-8", "replace"))
